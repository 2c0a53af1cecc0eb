"""The facade: load a run, ask for recommendations, be told why."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from kgrec.errors import ConfigError, NotFittedError
from kgrec.explanation.reasons import (
    Connection,
    Explanation,
    Reason,
    explain_scores,
    fetch_connections,
    graph_share,
)
from kgrec.graph.fetch import fetch_graph
from kgrec.model.scorer import check_numbers
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.state import graph_version
from kgrec.training.behaviours import Behaviours
from kgrec.training.directory import Run, load_run
from kgrec.vocabulary import NodeId, id_text, id_texts

logger = logging.getLogger(__name__)

_NOTHING = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Recommendation:
    """One place of a ranked list.

    Attributes:
        item_id: The item's external id.
        name: What to call it.
        score: A logit; comparable within one list only.
        rank: From 1.
        reasons: Why, largest share first; the shares of all own items and `rest` add up to the
            score.
        rest: What no own item accounts for.
        relations: What arrives through each relationship type; adds up to the score as well.
        graph: What of this the relations of the graph carry.
        cold: Whether this is the answer for a user of whom nothing is known: the most popular
            items.
    """

    item_id: str
    name: str
    score: float
    rank: int
    reasons: tuple[Reason, ...] = ()
    rest: float = 0.0
    relations: Mapping[str, float] = field(default_factory=dict)
    graph: float = 0.0
    cold: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The recommendation as JSON values."""
        return asdict(self)


class Recommender:
    """Serves a run.

    Args:
        run: The run.
        store: The graph it was trained on, for the paths behind reasons; None gives reasons
            without paths.

    Raises:
        RunError: If the store holds another version of the graph.
        StoreError: If the store fails.
    """

    def __init__(self, run: Run, store: GraphStore | None = None) -> None:
        if store is not None:
            run.check_version(graph_version(store))
        if run.behaviours.held_out is None:
            run = _with_held_out(run, store)
        self.run = run
        self.store = store
        self._items = run.vocabularies[NodeLabel.ITEM]
        self._users = run.vocabularies[NodeLabel.USER]
        entities = run.vocabularies[NodeLabel.ENTITY]
        self._entity_names = dict(zip(entities.ids, run.names[NodeLabel.ENTITY], strict=True))
        self._takers = run.scorer.history.transposed()  # the users of each item
        self._fan_out: Mapping[str, float] = run.record.fan_out

    @classmethod
    def load(cls, run_dir: str | Path, store: GraphStore | None = None) -> Self:
        """Loads a run directory; raises RunError if it is missing, damaged or of another graph."""
        return cls(load_run(Path(run_dir)), store)

    def recommend(
        self,
        user_id: NodeId,
        k: int = 10,
        *,
        num_reasons: int = 3,
        num_paths: int = 2,
        allow_disliked: bool = False,
    ) -> list[Recommendation]:
        """Gives the k best items the user has not met, in any split, and is not known to dislike.

        A user of whom nothing is known, in the run or not, gets the most popular items, marked
        `cold`: no training items, no behaviour that speaks for an item and that the network has
        learned from, and nothing else that tells users apart, such as an occupation or friends.

        Args:
            user_id: External id; a whole number is its digits.
            k: List length; the list is shorter if fewer items are left.
            num_reasons: At most so many reasons an item.
            num_paths: At most so many store paths a reason.
            allow_disliked: Whether items may come that the user has turned down: dismissed, or
                rated below their behaviour's `min_rating`.

        Raises:
            ConfigError: If k is not positive.
            VocabularyError: If `user_id` is no id.
            StoreError: If the store fails.
        """
        _check_k(k)
        user_id = id_text(user_id)
        if user_id not in self._users:
            return self._popular(k, _NOTHING)
        user = self._users.index(user_id)
        masked = self.run.known_items(user)
        if not allow_disliked:
            masked = torch.cat([masked, self.run.behaviours.disliked.row(user)])
        if self.is_stranger(user):
            return self._popular(k, masked)
        scores = self.run.scorer.score(torch.tensor([user]))[0].clone()  # (I,)
        scores[masked] = -torch.inf
        top = self._top(scores, k)
        explanations = self.contributions(user_id, [self._items.ids[i] for i, _ in top])
        return [
            replace(
                self._place(rank, index, score),
                reasons=self._alike(user, explanation)[:num_reasons]
                or self._reasons(explanation, num_reasons, num_paths),
                rest=explanation.rest,
                relations=explanation.relations,
                graph=graph_share(explanation.relations, self.run.config.data),
            )
            for rank, ((index, score), explanation) in enumerate(
                zip(top, explanations, strict=True), start=1
            )
        ]

    def score(self, user_id: NodeId, item_ids: Sequence[NodeId]) -> list[float]:
        """Gives the scores of items for a user; raises VocabularyError if one is unknown."""
        user = torch.tensor([self._users.index(user_id)])
        items = torch.from_numpy(self._items.indices(id_texts(item_ids)))
        out: list[float] = self.run.scorer.score(user)[0, items].tolist()
        return out

    def contributions(self, user_id: NodeId, item_ids: Sequence[NodeId]) -> list[Explanation]:
        """Decomposes scores into own items and into relations.

        Raises:
            VocabularyError: If the user or an item is unknown.
        """
        run = self.run
        ids = id_text(user_id), id_texts(item_ids)
        return explain_scores(run.scorer, run.vocabularies, run.names, *ids)

    def similar(self, item_id: NodeId, k: int = 10) -> list[Recommendation]:
        """Gives the k items closest to one: by the network's cosine, else the closed form.

        Raises:
            VocabularyError: If the item is unknown.
            ConfigError: If k is not positive.
            NotFittedError: If the run has neither network nor closed form.
        """
        _check_k(k)
        item_id = id_text(item_id)
        index = self._items.index(item_id)
        scores = self.item_scores(torch.tensor([index]))[0]
        scores[index] = -torch.inf
        top = self._top(scores, k)
        return [
            self._place(rank, i, score, reasons=self._shared(item_id, self._items.ids[i]))
            for rank, (i, score) in enumerate(top, start=1)
        ]

    def is_stranger(self, user_index: int) -> bool:
        """Whether nothing is known of a user, who then gets the most popular items."""
        if len(self.run.scorer.history.row(user_index)):
            return False
        scorer = self.run.scorer
        if scorer.profile_views(user_index):
            return False
        observed = bool(self.run.behaviours.observed[user_index])
        return not (observed and scorer.part_weights.get("network", 0.0) != 0)

    def item_scores(self, item_indices: Tensor) -> Tensor:
        """Gives how alike items (B,) int64 are to all, (B, num_items); raises NotFittedError."""
        parts = self.run.scorer.parts
        for name in ("network", "closed_form"):
            if name in parts:
                with suppress(NotFittedError):
                    return parts[name].item_likeness(item_indices)
        raise NotFittedError(
            f"run {self.run.directory} has neither network nor closed form, so items have no "
            f"similarity; train with fusion.network or closed_form.enabled"
        )

    def popularity(self) -> Tensor:
        """Gives how many users have taken each item, (num_items,) float32."""
        columns = self.run.scorer.history.columns
        return torch.bincount(columns, minlength=len(self._items)).float()

    def _popular(self, k: int, masked: Tensor) -> list[Recommendation]:
        counts = self.popularity()
        counts[masked] = -torch.inf
        return [
            self._place(
                rank, index, count, cold=True,
                reasons=(Reason(f"taken by {count:.0f} users", count),),
            )
            for rank, (index, count) in enumerate(self._top(counts, k), start=1)
        ]  # fmt: skip

    def _top(self, scores: Tensor, k: int) -> list[tuple[int, float]]:
        # A stable sort puts equals in the order of their indices, hence of their ids.
        order = torch.sort(scores, descending=True, stable=True)
        check_numbers(order.values[:k], "the run")
        pairs = zip(order.indices[:k].tolist(), order.values[:k].tolist(), strict=True)
        return [(index, score) for index, score in pairs if score > -torch.inf]

    def _place(
        self,
        rank: int,
        index: int,
        score: float,
        *,
        reasons: tuple[Reason, ...] = (),
        cold: bool = False,
    ) -> Recommendation:
        name = self.run.names[NodeLabel.ITEM][index]
        return Recommendation(self._items.ids[index], name, score, rank, reasons, cold=cold)

    def _reasons(self, explanation: Explanation, most: int, paths: int) -> tuple[Reason, ...]:
        own = [o for o in explanation.own_items if o.share > 0][:most]
        connections_of = self._connections([o.item_id for o in own], explanation.item_id, paths)
        reasons = []
        for item in own:
            connections = connections_of.get(item.item_id, ())
            links = [c.text for c in connections] or [self._company(item.item_id, explanation)]
            reasons.append(Reason.of_item(item, links, connections))
        return tuple(reasons)

    def _alike(self, user: int, explanation: Explanation) -> tuple[Reason, ...]:
        """Says by what a cold user is like those who took the item, if that speaks for it."""
        views = self.run.scorer.profile_views(user)
        if not views:
            return ()
        share = explanation.score - explanation.relations["self"]
        text = f"taken by users alike in {', '.join(views)}"
        return (Reason(text, share),) if share > 0 else ()

    def _company(self, own_id: str, explanation: Explanation) -> str:
        """Says how many users took both items, where no path tells more."""
        own_item, item = self._items.index(own_id), self._items.index(explanation.item_id)
        takers = set(self._takers.row(own_item).tolist()) & set(self._takers.row(item).tolist())
        if not takers:
            return "alike to the model"
        return f"taken together by {len(takers):,} user{'s' if len(takers) > 1 else ''}"

    def _shared(self, own_id: str, item_id: str) -> tuple[Reason, ...]:
        connections = self._connections([own_id], item_id).get(own_id, ())
        return tuple(Reason(c.text, 0.0, own_id, (c,)) for c in connections)

    def _connections(
        self, own_ids: Sequence[str], item_id: str, most: int = 2
    ) -> dict[str, tuple[Connection, ...]]:
        if self.store is None or not own_ids or most < 1:
            return {}
        return fetch_connections(
            self.store,
            own_ids,
            item_id,
            entity_names=self._entity_names,
            fan_out=self._fan_out,
            most=most,
        )


def _with_held_out(run: Run, store: GraphStore | None) -> Run:
    """Takes what a run of version 0.1 does not keep from its graph."""
    if store is None:
        logger.warning(
            "run %s was made by version 0.1, which kept no interactions of valid and test, and its "
            "store is not open: items that users have met there may be served; give the store, or "
            "run kgrec refresh once",
            run.directory,
        )
        return run
    behaviours = Behaviours.of(fetch_graph(store), run.scorer.history)
    return replace(run, behaviours=replace(run.behaviours, held_out=behaviours.held_out))


def _check_k(k: int) -> None:
    if k <= 0:
        raise ConfigError(f"k must be positive, got {k}; give a list length such as 10")
