"""Which peers there are, and the settings that are not hopwise's defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Peer:
    """A model of hopwise.

    Attributes:
        name: As hopwise calls it.
        paper: Where it was published.
        knowledge: Whether it reads the knowledge graph.
        settings: What differs from hopwise's defaults.
        cells: Scores of one batch of an evaluation; changes its speed and memory alone.
        bytes_per_pair: Memory a step needs for every pair of items and entities.
    """

    name: str
    paper: str
    knowledge: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    cells: int = 4_000_000
    bytes_per_pair: float = 0.0


#: hopwise gives up after 11 epochs without a gain. On small data an epoch is few steps, and that
#: ends a slow start: LightGCN on ml-100k stopped after 35 epochs, on a plateau that it had begun to
#: leave.
_PATIENT = {"stopping_step": 50}
#: As long as the authors of these models train at most.
_LONG = {**_PATIENT, "epochs": 1000}
#: The authors' own code of KGIN and MCCLK adds every triple reversed, and both pass messages only
#: from tail to head: without, entities would learn nothing from items.
_BOTH_WAYS = {**_LONG, "kg_reverse_r": True}

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("LightGCN", "He et al., SIGIR 2020, arXiv:2002.02126", False, _LONG),
        Peer("KGIN", "Wang et al., WWW 2021, arXiv:2102.07057", True, _BOTH_WAYS),
        # hopwise compares all entities, not only items, to build the item graph: dense float32.
        Peer(
            "MCCLK",
            "Zou et al., SIGIR 2022, arXiv:2204.08807",
            True,
            _BOTH_WAYS,
            bytes_per_pair=8.0,
        ),
        Peer("CFKG", "Ai et al., Algorithms 2018, arXiv:1805.03352", True, _PATIENT),
        # Its evaluation holds 64 numbers a score, several times.
        Peer(
            "RippleNet", "Wang et al., CIKM 2018, arXiv:1803.03467", True, _PATIENT, cells=400_000
        ),
    )
}

#: Asked for, and not there: said when somebody asks, not left out in silence.
MISSING = {
    "KGRec": "Yang et al., KDD 2023, arXiv:2307.02759: hopwise has data sets of this name, no model"
}
