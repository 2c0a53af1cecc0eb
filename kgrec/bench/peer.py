"""What a peer is: a name, its settings in words, and how it is fitted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kgrec.config import Config
from kgrec.graph.data import GraphData
from kgrec.model.scorer import Scorer
from kgrec.schema import Split

#: Catalogues beyond so many items are searched on their so many most popular ones.
SEARCH_ITEMS = 4_000


@dataclass(frozen=True)
class Job:
    """What one fit is given.

    Attributes:
        graph: The graph; choices are made on its valid split, test is not looked at.
        config: kgrec's settings.
        seed: Of everything that is drawn.
        refit: Whether the fit that is judged learns from valid as well.
        minutes: Peers that train by epochs stop after so long.
        work: A folder for what a fit writes; None where it may write nothing.
    """

    graph: GraphData
    config: Config
    seed: int
    refit: bool = False
    minutes: float = 60.0
    work: Path | None = None

    @cached_property
    def final(self) -> GraphData:
        """The graph that the judged fit learns from."""
        return self.graph.with_splits(Split.VALID) if self.refit else self.graph


@dataclass(frozen=True)
class PeerFit:
    """What a fit gives.

    Attributes:
        scorer: Judged under the peer's name.
        parts: Scorers of the same fit that get rows of their own, by name.
        parameters: Learned numbers of the scorer ("") and of the parts by name; those that are
            not named are counted by `count_parameters`.
        choices: What was chosen on valid, and how the fit went.
        seconds: How long it took, if not what the caller measures.
        peak_memory_mb: Likewise the most memory it held, in MB of 10⁶ bytes.
    """

    scorer: Scorer
    parts: Mapping[str, Scorer] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    peak_memory_mb: float | None = None


@dataclass(frozen=True)
class Peer:
    """A model to compare with.

    Attributes:
        name: Its row's name.
        settings: Its settings in words, and what was tried on valid.
        fit: Fits it.
        seeded: Whether a seed changes anything.
        sections: Sections of kgrec's settings that change anything; None are all, and kgrec's code.
    """

    name: str
    settings: str
    fit: Callable[[Job], PeerFit]
    seeded: bool = True
    sections: tuple[str, ...] | None = ()


def count_parameters(scorer: Scorer) -> int:
    """Counts the floating-point numbers that a scorer keeps; its users' histories are none."""
    tensors, _ = scorer.state()
    return sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())
