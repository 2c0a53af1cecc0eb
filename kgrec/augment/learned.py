"""What a trained generator gives: edges, and itself as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kgrec.augment.adversary import Discriminator, Generator
from kgrec.augment.bank import Bank
from kgrec.augment.gan import Augmenter
from kgrec.augment.sources import Plan, ScoredSource
from kgrec.config import GanConfig
from kgrec.config.removals import without_removed
from kgrec.graph.data import SyntheticEdges


@dataclass(frozen=True, eq=False)
class LearnedSource:
    """The proposals of a trained generator.

    Attributes:
        name: What the edges are marked with.
        augmenter: The generator.
        bank: What it is told of users and items.
    """

    name: str
    augmenter: Augmenter
    bank: Bank

    def propose(self, plan: Plan, seed: int) -> SyntheticEdges:
        """Gives the candidates that it prefers, by the noise of a seed."""
        preferred = self.augmenter.scorer(self.bank, seed)
        return ScoredSource(self.name, preferred).propose(plan, seed)


def augmenter_state(augmenter: Augmenter) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Gives tensors and JSON values from which `augmenter_from_state` makes an equal one."""
    tensors = _under("generator", augmenter.generator.state_dict())
    if augmenter.discriminator is not None:
        tensors |= _under("discriminator", augmenter.discriminator.state_dict())
    values = {
        "names": list(augmenter.names),
        "config": augmenter.config.model_dump(mode="json"),
        "report": augmenter.report,
    }
    return tensors, values


def augmenter_from_state(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Augmenter:
    """Makes the augmenter that `augmenter_state` described."""
    names = tuple(values["names"])
    settings, _ = without_removed({"augment": {"gan": values["config"]}})
    config = GanConfig(**settings["augment"]["gan"])
    with torch.random.fork_rng(devices=[]):  # initial values are drawn, and then replaced
        generator = Generator(len(names) + 1, config.noise, config.hidden)
        generator.load_state_dict(_part("generator", tensors))
        discriminator, weights = None, _part("discriminator", tensors)
        if weights:
            discriminator = Discriminator(len(names) + 1)
            discriminator.load_state_dict(weights)
            discriminator.eval()
    return Augmenter(generator, names, config, dict(values["report"]), discriminator)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mark = f"{prefix}/"
    return {k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)}
