"""What a trained generator gives: weighted edges, and itself as tensors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgrec.augment.bank import Bank
from kgrec.augment.calibration import Calibration
from kgrec.augment.gan import Augmenter
from kgrec.augment.generator import Discriminator, Generator
from kgrec.augment.plan import Plan
from kgrec.augment.sources import ScoredSource
from kgrec.augment.unseen import USERS_AT_ONCE
from kgrec.config import GanConfig
from kgrec.graph.data import IndexArray
from kgrec.graph.synthetic import SyntheticEdges


@dataclass(frozen=True, eq=False)
class LearnedSource:
    """The proposals of a trained generator.

    Attributes:
        name: What the edges are marked with.
        augmenter: The generator.
        bank: What it is told of users and items.
        weighted: Whether an edge counts the plan's weight times how likely it is real.
    """

    name: str
    augmenter: Augmenter
    bank: Bank
    weighted: bool = False

    def propose(self, plan: Plan, seed: int) -> SyntheticEdges:
        """Gives the candidates that it prefers, by the noise of a seed."""
        preferred = self.augmenter.scorer(self.bank, seed)
        edges = ScoredSource(self.name, preferred).propose(plan, seed)
        if not self.weighted or not len(edges):
            return edges
        users, place = np.unique(edges.user_index, return_inverse=True)
        items, at = _padded(place, edges.item_index, len(users))
        sure = _confidence(self.augmenter, self.bank, torch.from_numpy(users), items, seed)
        weight = edges.weight * sure.numpy()[place, at]
        return replace(edges, weight=weight.astype(np.float32))


def _confidence(
    augmenter: Augmenter, bank: Bank, users: Tensor, items: Tensor, seed: int
) -> Tensor:
    """How likely users' (a,) items (a, k), -1 for none, are real: (a, k)."""
    noise = augmenter.scorer(bank, seed).noise[users]
    parts = [torch.empty(0, items.shape[1])]
    blocks = (torch.split(x, USERS_AT_ONCE) for x in (users, items, noise))
    for block, candidates, drawn in zip(*blocks, strict=True):
        parts.append(augmenter.confidence(bank.features(block, candidates), drawn))
    return torch.cat(parts)


def _padded(place: IndexArray, items: IndexArray, rows: int) -> tuple[Tensor, IndexArray]:
    """Items (n,) in rows (n,) as a table (rows, most), -1 behind the last, and their columns."""
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=rows)
    start = np.repeat(np.cumsum(counts) - counts, counts)
    column = np.empty(len(items), dtype=np.int64)
    column[order] = np.arange(len(items)) - start
    table = torch.full((rows, int(counts.max(initial=0))), -1)
    table[torch.from_numpy(place), torch.from_numpy(column)] = torch.from_numpy(items)
    return table, column


def augmenter_state(augmenter: Augmenter) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Gives tensors and JSON values from which `augmenter_from_state` makes an equal one."""
    tensors = _named("generator", augmenter.generator.state_dict())
    if augmenter.discriminator is not None:
        tensors |= _named("discriminator", augmenter.discriminator.state_dict())
    if augmenter.calibration is not None:
        tensors |= _named("calibration", asdict(augmenter.calibration))
    values = {
        "names": list(augmenter.names),
        "config": augmenter.config.model_dump(mode="json"),
        "report": augmenter.report,
    }
    return tensors, values


def augmenter_from_state(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Augmenter:
    """Makes the augmenter that `augmenter_state` described."""
    names, config = tuple(values["names"]), GanConfig(**values["config"])
    with torch.random.fork_rng(devices=[]):  # initial values are drawn, and then replaced
        generator = Generator(len(names) + 1, config.noise, config.hidden)
        generator.load_state_dict(_part("generator", tensors))
        discriminator, told = None, _part("discriminator", tensors)
        if told:
            discriminator = Discriminator(len(names) + 1)
            discriminator.load_state_dict(told)
            discriminator.eval()
    found = _part("calibration", tensors)
    calibration = Calibration(**found) if found else None
    return Augmenter(generator, names, config, dict(values["report"]), discriminator, calibration)


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mark = f"{prefix}/"
    return {k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)}
