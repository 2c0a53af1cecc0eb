"""Edit distances of many pairs of short texts at once."""

import numpy as np
import numpy.typing as npt

Texts = npt.NDArray[np.object_]

#: Longer texts are cut: what differs after so many characters is no typing error of a name.
MAX_LENGTH = 64
# Pairs at once; a few tens of MB.
_CHUNK = 65_536
_PADDING_LEFT, _PADDING_RIGHT = 0x110000, 0x110001  # no code points, and never equal


def edit_similarity(left: Texts, right: Texts) -> npt.NDArray[np.float64]:
    """Gives 1 - d / max(length) for pairs of texts.

    d is the optimal string alignment distance: insertions, deletions, substitutions and swaps of
    neighbours, each at a cost of 1.

    Args:
        left: str (p,).
        right: str (p,).

    Returns:
        float64 (p,) within [0, 1]; 1 where both are empty.
    """
    out = np.ones(len(left), dtype=np.float64)
    for start in range(0, len(left), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        out[chunk] = _similarity(left[chunk], right[chunk])
    return out


def _similarity(left: Texts, right: Texts) -> npt.NDArray[np.float64]:
    a, sizes_a = _points(left, _PADDING_LEFT)
    b, sizes_b = _points(right, _PADDING_RIGHT)
    width = b.shape[1]
    ramp = np.arange(width + 1, dtype=np.int16)
    before = np.zeros((len(a), width + 1), dtype=np.int16)
    row = np.broadcast_to(ramp, (len(a), width + 1)).copy()
    distance = sizes_b.copy()  # to an empty text
    for i in range(a.shape[1]):
        letter = a[:, i : i + 1]
        differs = letter != b
        new = np.empty_like(row)
        new[:, 0] = i + 1
        new[:, 1:] = np.minimum(row[:, 1:] + 1, row[:, :-1] + differs)
        if i and width > 1:
            swapped = (letter == b[:, :-1]) & (a[:, i - 1 : i] == b[:, 1:])
            new[:, 2:] = np.where(swapped, np.minimum(new[:, 2:], before[:, :-2] + 1), new[:, 2:])
        # Insertions run along the row: the least of new[k] + (j - k) over k <= j.
        new = np.minimum.accumulate(new - ramp, axis=1) + ramp
        before, row = row, new
        ends_here = sizes_a == i + 1
        distance[ends_here] = new[ends_here, sizes_b[ends_here]]
    longest = np.maximum(np.maximum(sizes_a, sizes_b), 1)
    return np.asarray(1.0 - distance / longest, dtype=np.float64)


def _points(texts: Texts, padding: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Gives code points (p, longest) and lengths (p,)."""
    cut = [text[:MAX_LENGTH] for text in texts]
    sizes = np.array([len(text) for text in cut], dtype=np.int64)
    points = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    out = np.full((len(cut), int(sizes.max(initial=0))), padding, dtype=np.uint32)
    out[np.arange(out.shape[1]) < sizes[:, None]] = points
    return out, sizes
