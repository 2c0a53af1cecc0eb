"""Similar texts: cosines of vectors of names and descriptions."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import TextConfig
from kgrec.resolution.grams import Neighbours, nearest
from kgrec.resolution.sides import Side
from kgrec.schema import RESERVED_PROPERTIES

Index = npt.NDArray[np.int64]

# Shorter values say little of what a thing is about (a code, a colour).
_PROSE = 60
# Cells of the matrix of cosines at once: 64 MB.
_CELLS = 16_000_000


def described_nodes(side: Side, nodes: Index) -> tuple[Index, list[str]]:
    """Gives those of the nodes (k,) that have a description, and a text of each.

    A text is the name and all values of more than 60 characters. Nodes without such a value are
    left out: the vector of a name alone finds what sounds related, not what is the same.
    """
    prose: list[list[str]] = [[] for _ in nodes]
    for column in side.frame.columns:
        cells = side.frame[column].iloc[nodes]
        if column in RESERVED_PROPERTIES or pd.api.types.is_numeric_dtype(cells.dtype):
            continue
        for at, cell in enumerate(cells):
            if isinstance(cell, str) and len(cell) > _PROSE:
                prose[at].append(" ".join(cell.split()))
    described = np.flatnonzero(np.array([len(parts) for parts in prose], dtype=np.int64))
    names = side.names.display[nodes]
    texts = [". ".join([str(names[at])] * bool(names[at]) + prose[at]) for at in described]
    return nodes[described], texts


def similar_texts(
    left: tuple[Side, Index],
    right: tuple[Side, Index],
    config: TextConfig,
    cache_dir: Path,
    k: int,
    least: float,
    *,
    same: bool = False,
) -> Neighbours:
    """Finds each left node's k nearest right nodes by the cosine of their texts' vectors.

    Args:
        left: A side and the positions of the nodes to look at.
        right: Likewise.
        config: How to encode.
        cache_dir: Where vectors are kept.
        k: Neighbours a node, at most.
        least: Cosine that a neighbour must reach, above 0.
        same: Both are one set: a pair is given once, and no node with itself.

    Raises:
        ConfigError: If the encoder cannot be loaded.
    """
    sides = [described_nodes(*left), described_nodes(*right)]
    (at, texts), (to, right_texts) = sides
    if not (len(at) and len(to)):
        return Neighbours(at[:0], to[:0], np.zeros(0))
    from kgrec.text.encoder import encode_texts  # torch, which names and keys do without

    vectors = encode_texts(texts + right_texts, config, cache_dir)
    near = nearest_rows(vectors[: len(at)], vectors[len(at) :], k, least, same=same)
    return Neighbours(at[near.left], to[near.right], near.cosine)


def nearest_rows(
    left: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
    k: int,
    least: float,
    *,
    same: bool = False,
) -> Neighbours:
    """Finds each left row's k nearest right rows, in blocks of bounded memory.

    Args:
        left: (n, d), rows of unit length or zero.
        right: (m, d), likewise.
        k: Neighbours a row, at most.
        least: Cosine that a neighbour must reach.
        same: As for `similar_texts`.
    """
    parts: list[Neighbours] = []
    step = max(1, _CELLS // max(len(right), 1))
    count = min(k, len(right))
    for start in range(0, len(left), step) if count else ():
        cosines = left[start : start + step] @ right.T
        if same:
            rows = np.arange(start, start + len(cosines))
            cosines[np.arange(len(right)) <= rows[:, None]] = -1.0
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(cosines, best, axis=1)
        at, column = np.nonzero(values >= least)
        pairs = Neighbours(
            at + start, best[at, column].astype(np.int64), values[at, column].astype(np.float64)
        )
        parts.append(nearest(pairs, k))
    empty = Neighbours(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    parts = parts or [empty]
    return Neighbours(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.cosine for part in parts]),
    )
