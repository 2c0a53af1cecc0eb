"""Records of edges, one a tail, as columns."""

from collections.abc import Sequence

import numpy as np

from kgrec.store.base import EdgeBlock, Row

#: Edges an exported block aims at.
EDGE_BLOCK = 250_000


def edge_block(rows: list[Row], properties: Sequence[str]) -> EdgeBlock:
    """Turns records into a block.

    Args:
        rows: Per tail `tail` (int) and `heads`: ints, or lists of an int and the properties.
        properties: Names of the properties in these lists.
    """
    counts = np.fromiter((len(row["heads"]) for row in rows), dtype=np.int64, count=len(rows))
    tails = np.fromiter((row["tail"] for row in rows), dtype=np.int64, count=len(rows))
    total = int(counts.sum())
    width = 1 + len(properties)
    flat = (head for row in rows for head in row["heads"])
    if not properties:
        heads = np.fromiter(flat, dtype=np.int64, count=total)
        return EdgeBlock(heads, np.repeat(tails, counts), {})
    table = np.array([value for head in flat for value in head], dtype=np.float64)
    table = table.reshape(total, width)
    columns = {name: table[:, at].copy() for at, name in enumerate(properties, start=1)}
    return EdgeBlock(table[:, 0].astype(np.int64), np.repeat(tails, counts), columns)
