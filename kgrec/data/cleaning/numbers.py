"""Numbers out of raw cells: finite, in range, or a bad row."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.data.cleaning.cells import Cleaned, Fault, Mask, encode, family, missing

_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_WHOLE = r"^[+-]?(\d{1,18}|[0-8]\d{18})$"  # as int64 has them


@dataclass(frozen=True)
class Bounds:
    """What a number may be.

    Attributes:
        name: Its name, e.g. `rating`.
        low: The least it may be.
        high: The greatest it may be.
        above: What it must be greater than.
    """

    name: str
    low: float = -np.inf
    high: float = np.inf
    above: float = -np.inf

    @property
    def expected(self) -> str:
        """The range in words."""
        if np.isfinite(self.above):
            return f"a {self.name} above {self.above:g}"
        return f"a {self.name} from {self.low:g} to {self.high:g}"


def clean_numbers(cells: pa.Array, bounds: Bounds) -> Cleaned:
    """Cleans plain cells (n,) into float64 (n,), null where missing or bad.

    Text is a plain decimal such as `-1.5` or `1e3`. A decimal comma, NaN and infinity make a bad
    row, as does anything out of bounds.
    """
    values, bad = read_numbers(cells)
    present = ~missing(cells)
    if family(cells.type) == "text":
        present &= ~np.isnan(values) | bad
    bad = bad | (present & ~np.isfinite(values))
    name = bounds.name
    message = f"rows whose {name} is no finite decimal number"
    hint = " (decimals are written with a point)" if _commas(cells, bad) else ""
    unread = Fault(f"{name} that is no number", message, "a finite number", bad, hint)
    finite = present & ~bad
    outside = finite & ~((values >= bounds.low) & (values <= bounds.high) & (values > bounds.above))
    message = f"rows whose {name} is out of range"
    far = Fault(f"{name} out of range", message, bounds.expected, outside)
    return Cleaned(pa.array(values, mask=~finite | outside), (unread, far))


def read_numbers(cells: pa.Array) -> tuple[npt.NDArray[np.float64], Mask]:
    """Reads plain cells as numbers.

    Returns:
        float64 (n,), NaN where there is none; and bool (n,), which cells are there but are no
        numbers (of the numbers, NaN and infinity may be left).
    """
    kind = family(cells.type)
    is_missing = missing(cells)
    if kind in ("whole", "float", "decimal"):
        values = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(values, dtype=np.float64), np.zeros(len(cells), dtype=bool)
    if kind != "text":
        return np.full(len(cells), np.nan), ~is_missing
    texts = encode(cells)
    values, fine = parse_decimals(texts.values)
    return np.append(values, np.nan)[texts.codes], texts.rows(~fine)


def parse_decimals(values: pa.Array) -> tuple[npt.NDArray[np.float64], Mask]:
    """Reads distinct text (d,) as float64 (d,), NaN where it is no decimal; and which are one."""
    fine = matches(values, _DECIMAL)
    # Arrow's parser takes no plus sign.
    digits = pc.utf8_ltrim(values, characters="+").filter(pa.array(fine))
    numbers = np.full(len(values), np.nan)
    numbers[fine] = digits.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers, fine


def parse_integers(values: pa.Array) -> tuple[npt.NDArray[np.int64], Mask]:
    """Reads distinct text (d,) as int64 (d,), 0 where it is no integer; and which are one."""
    fine = matches(values, _WHOLE)
    digits = pc.utf8_ltrim(values, characters="+").filter(pa.array(fine))
    numbers = np.zeros(len(values), dtype=np.int64)
    numbers[fine] = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers, fine


def matches(values: pa.Array, pattern: str) -> Mask:
    """Which text (d,) a pattern matches, bool (d,)."""
    is_match = pc.match_substring_regex(values, pattern)
    return np.asarray(is_match.to_numpy(zero_copy_only=False), dtype=bool)


def _commas(cells: pa.Array, bad: Mask) -> bool:
    """Whether the first bad cell has a comma."""
    if not bad.any():
        return False
    first = cells[int(np.argmax(bad))]
    return family(cells.type) == "text" and b"," in first.as_buffer().to_pybytes()
