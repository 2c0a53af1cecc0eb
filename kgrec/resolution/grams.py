"""Similar names and texts: cosines over character 3-grams, and over vectors of texts.

Each left name looks only at names that share one of its telling 3-grams: those it would keep a
cosine of `least` without are left out of the search, though not out of the cosine. Names are taken
in blocks of bounded work, so memory does not grow with the number of names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from kgrec.config import TextConfig
from kgrec.resolution.names import Index, Texts
from kgrec.resolution.sides import Side
from kgrec.schema import RESERVED_PROPERTIES

# Multiplications a block: some hundred MB of products at most.
_WORK = 10_000_000
# Of the norm that the search leaves out: a name that shares nothing else cannot reach `least`, and
# few that share a little of the rest have to be looked at.
_LEFT_OUT = 0.5
# Pairs of rows multiplied at once.
_PAIRS = 200_000
_CODEPOINT_BITS = 21


@dataclass(frozen=True)
class Neighbours:
    """Pairs (p,) of positions, with a similarity of each.

    Attributes:
        left: Positions on the left.
        right: Positions on the right.
        cosine: Cosine of each pair.
    """

    left: Index
    right: Index
    cosine: npt.NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence["Neighbours"]) -> "Neighbours":
        """All parts after one another; no pairs where there are no parts."""
        empty = cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
        columns = ("left", "right", "cosine")
        rows = [[getattr(part, name) for part in (empty, *parts)] for name in columns]
        return cls(*map(np.concatenate, rows))


def gram_matrix(*sides: Texts) -> list[sparse.csr_array]:
    """Gives per side a CSR matrix (n, g) of TF-IDF weights, rows of unit length (empty ones zero).

    The weights are fitted on all sides together.
    """
    texts = np.concatenate(sides)
    rows, grams = _trigrams(texts)
    vocabulary, columns = np.unique(grams, return_inverse=True)
    counts = sparse.csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(vocabulary))
    )
    counts.sum_duplicates()
    frequency = np.bincount(counts.indices, minlength=len(vocabulary))
    idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
    weights = (1 + np.log(counts.data)) * idf[counts.indices]
    of_row = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
    norm = np.sqrt(np.bincount(of_row, weights**2, minlength=len(texts)))
    counts.data = weights / norm[of_row]
    ends = np.cumsum([len(side) for side in sides])
    return [counts[end - len(side) : end] for end, side in zip(ends, sides, strict=True)]


def similar_rows(
    left: sparse.csr_array,
    right: sparse.csr_array,
    k: int,
    least: float,
    *,
    same: bool = False,
) -> Neighbours:
    """Finds each left row's k nearest right rows.

    Args:
        left: (n, g), rows of unit length or zero.
        right: (m, g), likewise.
        k: Neighbours a row, at most.
        least: Cosine that a neighbour must reach, above 0.
        same: Both are one set: a row is no neighbour of its own, and a pair is given once.

    Returns:
        Pairs ordered by left, then falling cosine, then right.
    """
    telling, rest = _telling(left, _LEFT_OUT * least)
    columns = right.T.tocsr()
    parts = []
    for rows in _blocks(telling, columns):
        partial = (telling[rows.start : rows.stop] @ columns).tocoo()
        at, to = partial.coords[0] + rows.start, partial.coords[1]
        mask = partial.data + rest[at] >= least
        if same:
            mask &= at < to
        at, to = at[mask].astype(np.int64), to[mask].astype(np.int64)
        cosine = cosines(left, right, at, to)
        mask = cosine >= least
        parts.append(nearest(Neighbours(at[mask], to[mask], cosine[mask]), k))
    return Neighbours.joined(parts)


def nearest(pairs: Neighbours, k: int) -> Neighbours:
    """Keeps the k best of each left node, ties by the right one's position."""
    # Rounded, so that the order of equals does not hang on the order of summing.
    order = np.lexsort((pairs.right, -np.round(pairs.cosine, 9), pairs.left))
    left = pairs.left[order]
    best = order[np.arange(len(left)) - np.searchsorted(left, left) < k]
    return Neighbours(pairs.left[best], pairs.right[best], pairs.cosine[best])


def _trigrams(texts: Texts) -> tuple[Index, Index]:
    """Gives the row and the number of every 3-gram of the texts, a space before and behind."""
    padded = [f" {text} " if text else "" for text in texts]
    sizes = np.array([len(text) for text in padded], dtype=np.int64)
    points = np.frombuffer(
        "".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    ).astype(np.int64)
    rows = np.repeat(np.arange(len(padded)), sizes)
    if len(points) < 3:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    inside = rows[:-2] == rows[2:]
    grams = (points[:-2] << 2 * _CODEPOINT_BITS) | (points[1:-1] << _CODEPOINT_BITS) | points[2:]
    return rows[:-2][inside], grams[inside]


def _telling(
    matrix: sparse.csr_array, most: float
) -> tuple[sparse.csr_array, npt.NDArray[np.float64]]:
    """Leaves out each row's lightest weights, as many as have a norm below `most` together.

    Returns:
        The rest (n, g), and the norm (n,) of what was left out.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.data, rows))  # the row's lightest first
    squares = matrix.data[order] ** 2
    total = np.cumsum(squares)
    before = np.concatenate([[0.0], total])[matrix.indptr[:-1]]
    light = total - before[rows] < most**2
    norm = np.sqrt(np.bincount(rows[light], squares[light], minlength=matrix.shape[0]))
    heavy = order[~light]
    telling = sparse.csr_array(
        (matrix.data[heavy], (rows[heavy], matrix.indices[heavy])), shape=matrix.shape
    )
    return telling, norm


def _blocks(left: sparse.csr_array, columns: sparse.csr_array) -> Iterator[range]:
    """Gives runs of rows whose product costs about `_WORK` multiplications each."""
    cost = np.diff(columns.indptr)[left.indices]
    total = np.concatenate([[0], np.cumsum(cost)])[left.indptr]
    start, size = 0, left.shape[0]
    while start < size:
        stop = int(np.searchsorted(total, total[start] + _WORK, side="right")) - 1
        stop = min(max(stop, start + 1), size)
        yield range(start, stop)
        start = stop


def cosines(
    left: sparse.csr_array, right: sparse.csr_array, at: Index, to: Index
) -> npt.NDArray[np.float64]:
    """Gives the cosines (p,) of pairs of rows of unit length."""
    out = np.zeros(len(at))
    for start in range(0, len(at), _PAIRS):
        rows = slice(start, start + _PAIRS)
        out[rows] = np.asarray((left[at[rows]] * right[to[rows]]).sum(axis=1)).ravel()
    return out


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
        return Neighbours.joined([])
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
    return Neighbours.joined(parts)
