"""How many edges nodes have, and how unevenly."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kgrec.data.card.card import Bin, Degrees

Counts = npt.NDArray[np.int64]
Positions = npt.NDArray[np.integer]

#: Edges that are looked at at once, so that no copy of all of them is made.
SLICE = 1_000_000


def slices(length: int) -> Iterator[slice]:
    """Gives consecutive slices that cover so many rows."""
    for start in range(0, length, SLICE):
        yield slice(start, min(start + SLICE, length))


def degrees_of(positions: Positions, nodes: int) -> Counts:
    """Counts how often each of so many nodes occurs among positions (n,); int64 (nodes,)."""
    counts = np.zeros(nodes, np.int64)
    for part in slices(len(positions)):
        np.add.at(counts, positions[part], 1)
    return counts


def summarise(degrees: Counts) -> Degrees:
    """Describes degrees (nodes,)."""
    ascending = np.sort(degrees)
    nodes, total = len(ascending), int(ascending.sum())
    empty = nodes == 0
    return Degrees(
        nodes=nodes,
        without=int((ascending == 0).sum()),
        few=int(((ascending > 0) & (ascending <= 5)).sum()),
        mean=0.0 if empty else total / nodes,
        median=0.0 if empty else float(np.median(ascending)),
        p90=0.0 if empty else float(np.percentile(ascending, 90)),
        max=0 if empty else int(ascending[-1]),
        gini=gini(ascending),
        top_1=_top_share(ascending, 0.01),
        top_10=_top_share(ascending, 0.1),
        bins=log2_bins(ascending),
    )


def gini(ascending: Counts) -> float:
    """Gives the Gini coefficient of counts (n,) in ascending order; 0 if there is nothing."""
    total = float(ascending.sum())
    if not total:
        return 0.0
    nodes = len(ascending)
    ranks = 2 * np.arange(1, nodes + 1) - nodes - 1
    return float((ranks * ascending).sum() / (nodes * total))


def log2_bins(degrees: Counts) -> tuple[Bin, ...]:
    """Counts nodes by degree: 0, 1, 2–3, 4–7 …; no bin in between is left out."""
    if not len(degrees):
        return ()
    # A number's length in binary is its bin: 0 has none, 1 one, 2 and 3 two digits.
    digits = np.frexp(degrees.astype(np.float64))[1]
    counts = np.bincount(digits)
    return tuple(
        Bin(2**place // 2, max(2**place - 1, 0), int(count)) for place, count in enumerate(counts)
    )


def _top_share(ascending: Counts, share: float) -> float:
    total = int(ascending.sum())
    top = max(round(len(ascending) * share), 1)
    return float(ascending[-top:].sum()) / total if total else 0.0
