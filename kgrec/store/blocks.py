"""Records of edges, one a tail, as columns."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from kgrec.store.base import EdgeBlock, Row

#: Edges an exported block aims at.
EDGE_BLOCK = 250_000


def edge_block(rows: Sequence[Row], properties: Sequence[str]) -> EdgeBlock:
    """Turns records into a block.

    Args:
        rows: Per tail `tail` (int), `heads` (ints) and, with properties, `values`: one list per
            property, in the order of the heads.
        properties: Names of the properties.
    """
    counts = np.fromiter((len(row["heads"]) for row in rows), dtype=np.int64, count=len(rows))
    tails = np.fromiter((row["tail"] for row in rows), dtype=np.int64, count=len(rows))
    total = int(counts.sum())
    heads = np.fromiter(chain.from_iterable(row["heads"] for row in rows), np.int64, count=total)

    def values(at: int) -> Iterator[Any]:
        return chain.from_iterable(row["values"][at] for row in rows)

    # A list, as NumPy reads None in it as NaN, which fromiter does not.
    columns = {
        name: np.array(list(values(at)), dtype=np.float64) for at, name in enumerate(properties)
    }
    return EdgeBlock(heads, np.repeat(tails, counts), columns)
