"""What hangs together in a graph."""

from typing import Any

import numpy as np
import numpy.typing as npt


def components(
    left: npt.NDArray[np.integer[Any]], right: npt.NDArray[np.integer[Any]], size: int
) -> npt.NDArray[np.int32]:
    """Gives the number of the connected component of each node, int32 (size,).

    Args:
        left: One end of each edge (n,), from 0.
        right: The other end (n,).
        size: Number of nodes.
    """
    # SciPy takes a third of a second to import, which a run without anything new need not wait for.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(left), dtype=np.int8)
    _, labels = connected_components(
        coo_array((ones, (left, right)), shape=(size, size)), directed=False
    )
    return np.asarray(labels, dtype=np.int32)
