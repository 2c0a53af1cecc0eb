"""Which text needs looking at: the bytes of a column are screened in one go.

Nearly all ids of nearly all files are plain ASCII and pass, without a Python object made of any.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgrec.data.cleaning.cells import Mask, missing


def odd_values(text: pa.Array, *, longest: int, lower: bool = False) -> Mask:
    """Which text or bytes (n,) are not plain: not visible ASCII, with a space at an end, or empty.

    Args:
        text: str or bytes (n,); null is not odd.
        longest: Bytes from which on a value is odd, too.
        lower: Whether capital letters are odd.

    Returns:
        bool (n,).
    """
    start, data = _bytes(text)
    length = np.diff(start)
    is_odd = (length == 0) | (length > longest)
    filled = np.flatnonzero(length)
    odd = (data < 0x20) | (data > 0x7E)
    if lower:
        odd |= (data >= ord("A")) & (data <= ord("Z"))
    if odd.any():
        is_odd[np.searchsorted(start, np.flatnonzero(odd), side="right") - 1] = True
    is_odd[filled] |= (data[start[filled]] == 0x20) | (data[start[filled + 1] - 1] == 0x20)
    return np.asarray(is_odd & ~missing(text), dtype=bool)


def _bytes(text: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where the values of text or bytes (n,) begin, int64 (n + 1,), and the bytes of them all."""
    if not len(text):
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    _, offsets, data = text.buffers()
    start = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    start = start.astype(np.int64)
    if data is None or start[0] == start[-1]:
        return start - start[0], np.zeros(0, dtype=np.uint8)
    return start - start[0], np.frombuffer(data, np.uint8)[start[0] : start[-1]]
