"""What a run keeps of its users beside what its scorer learned from: it masks what is served."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from kgrec.graph.data import GraphData
from kgrec.model.incidence import Incidence
from kgrec.schema import Role

# Tensors of a run's file, or prefixes of their names.
_DISLIKED, _HELD_OUT, _OBSERVED = "disliked.", "held_out.", "observed"


@dataclass(frozen=True, eq=False)
class Behaviours:
    """What users did that a scorer's history lacks.

    Attributes:
        disliked: The items that each user is known to dislike.
        observed: bool (num_users,), who has done something that speaks for an item: a user without
            training items, but with evidence, is no stranger to the network.
        held_out: The items that each user has met and the scorer has not learned from: those of
            valid and test, and of users whom the defence set aside. None in runs of version 0.1.
    """

    disliked: Incidence
    observed: Tensor
    held_out: Incidence | None

    @classmethod
    def of(cls, graph: GraphData, history: Incidence) -> Self:
        """Gives a graph's, beside what a scorer of it has learned from."""
        size = graph.num_users, graph.num_items
        user, item = map(torch.from_numpy, graph.pairs_of(Role.NEGATIVE))
        disliked = Incidence.from_pairs(user, item, *size)
        observed = torch.zeros(graph.num_users, dtype=torch.bool)
        observed[torch.from_numpy(graph.pairs_of(Role.EVIDENCE)[0])] = True
        splits = (graph.train, *graph.held_out.values())
        pairs = np.concatenate([part.user_index * size[1] + part.item_index for part in splits])
        keys = np.setdiff1d(pairs, (history.rows * size[1] + history.columns).numpy())
        user, item = (torch.from_numpy(ends) for ends in np.divmod(keys, max(size[1], 1)))
        return cls(disliked, observed, Incidence.from_pairs(user, item, *size))

    @property
    def pairs(self) -> dict[str, Incidence]:
        """What is known of users and items, by its prefix in a run's file; nothing if unknown."""
        held_out = self.held_out
        if held_out is None:
            none = torch.empty(0, dtype=torch.int64)
            size = self.disliked.num_rows, self.disliked.num_columns
            held_out = Incidence.from_pairs(none, none, *size)
        return {_DISLIKED: self.disliked, _HELD_OUT: held_out}

    def tensors(self) -> dict[str, Tensor]:
        """Gives the arrays as a run's file names them."""
        tensors = {_OBSERVED: self.observed}
        for prefix, pairs in self.pairs.items():
            tensors |= pairs.tensors(prefix)
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], num_items: int) -> Self:
        """Makes what was saved; raises KeyError if tensors are missing."""
        has_held_out = f"{_HELD_OUT}pointer" in tensors
        return cls(
            Incidence.from_tensors(tensors, num_items, _DISLIKED),
            tensors[_OBSERVED],
            Incidence.from_tensors(tensors, num_items, _HELD_OUT) if has_held_out else None,
        )
