"""Cleaned rows of one source over all its loads: which of them stand, and where they came from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import Source
from kgrec.data.view.findings import note
from kgrec.errors import DataError

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SourceRows:
    """The rows of one source that its active loads brought.

    Attributes:
        source: The source.
        frame: Columns of `kgrec.data.cleaning.rows` and `load` (integers, the number of the load
            that brought the row); of node kinds also the source's other columns, str or None.
        origins: Per load the names of its files, in the order in which `file` counts.
    """

    source: Source
    frame: pd.DataFrame
    origins: Mapping[int, tuple[str, ...]]

    def take(self, where: Mask | Positions) -> "SourceRows":
        """The rows of a mask or of positions, counted anew."""
        return replace(self, frame=self.frame.iloc[where].reset_index(drop=True))

    def where(self, position: int, column: str = "") -> str:
        """Names a row as `file:row`, or a cell as `file:row:column`, by its position from 0."""
        row = self.frame.iloc[position]
        files = self.origins.get(int(row["load"]), ())
        file = int(row["file"])
        name = files[file] if file < len(files) else self.source.name
        return f"{name}:{int(row['row'])}" + (f":{column}" if column else "")

    def refuse(self, bad: Mask, column: str, expected: str, step: str) -> None:
        """Raises for the first of the bad rows (n,).

        Raises:
            DataError: If any row is bad; the message names the cell, what was expected, what it
                holds and what to do.
        """
        if not bad.any():
            return
        first, num_others = int(np.argmax(bad)), int(bad.sum()) - 1
        more = f" (and {num_others:,} more)" if num_others else ""
        raise DataError(
            f"{self.where(first, column)}: expected {expected}, got "
            f"{self.frame[column].iloc[first]!r}{more}; {step}"
        )

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """A column of numbers, float64 (n,), NaN where there is none or no such column.

        Times are seconds since 1970 UTC.
        """
        if column not in self.frame.columns:
            return np.full(len(self.frame), np.nan)
        cells = self.frame[column]
        return np.asarray(cells.to_numpy(dtype=np.float64, na_value=np.nan))

    def texts(self, column: str) -> pd.Series:
        """A column as str (n,), missing where it is."""
        cells = self.frame[column]
        return cells.astype("str").where(cells.notna(), None)

    def deleted(self) -> Mask:
        """Which rows (n,) take others back."""
        if "deleted" not in self.frame.columns:
            return np.zeros(len(self.frame), dtype=bool)
        flags = self.frame["deleted"].astype("boolean")
        return np.asarray(flags.to_numpy(dtype=bool, na_value=False))

    def order(self) -> Positions:
        """The rank (n,) of each row by load, file and row."""
        places = [self.frame[name].to_numpy(np.int64) for name in ("row", "file", "load")]
        ranks = np.empty(len(self.frame), dtype=np.int64)
        ranks[np.lexsort(places)] = np.arange(len(self.frame))
        return ranks


def standing(rows: SourceRows, keys: Sequence[str], before: float | None = None) -> SourceRows:
    """Gives the rows that no later row of their source took back.

    A row with `deleted` takes back the rows with its keys that are no later than itself: by time
    where both have one, else by load, file and row. (Which loads count at all, also of sources with
    `replace`, is the journal's business.)

    Args:
        rows: The rows of a source.
        keys: Columns that say what a row is about.
        before: Rows of this moment or later, tombstones as well, are not known yet; None knows all.
    """
    if before is not None:
        late = rows.numbers("time") >= before
        note(rows.source.name, "after the cut", late & ~rows.deleted())
        rows = rows.take(~late)
    deleted = rows.deleted()
    if not deleted.any():
        return rows
    is_taken_back = _taken_back(rows, keys, deleted)
    note(rows.source.name, "taken back", is_taken_back & ~deleted)
    return rows.take(~is_taken_back & ~deleted)


def newest(rows: SourceRows, keys: Sequence[str], how: str) -> SourceRows:
    """Keeps the newest row of each key: by time, then by load, file and row.

    Rows without a time are older than those with one. `how` says what the others are, in a report.
    """
    times = rows.numbers("time")
    order = np.lexsort((rows.order(), np.where(np.isnan(times), -np.inf, times)))
    last = ~rows.frame.iloc[order].duplicated(list(keys), keep="last").to_numpy()
    note(rows.source.name, "older row", ~last, how=how)
    return rows.take(np.sort(order[last]))


def stacked(parts: Iterable[pd.DataFrame], types: Mapping[str, str]) -> pd.DataFrame:
    """Puts frames one below the other; without any row an empty one with columns of `types`."""
    nonempty = [part for part in parts if len(part)]
    if nonempty:
        return pd.concat(nonempty, ignore_index=True)
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def among(values: pd.Series, ids: pd.Index) -> Mask:
    """Tells which values (n,) are ids; far faster than `isin` where values repeat."""
    codes, unique = pd.factorize(values)
    # Code -1 is a missing value, which is no id.
    is_id = np.append(ids.get_indexer(pd.Index(unique)) >= 0, False)
    return np.asarray(is_id[codes])


def _taken_back(rows: SourceRows, keys: Sequence[str], deleted: Mask) -> Mask:
    key = rows.frame.groupby(list(keys), sort=False).ngroup().to_numpy()
    times, order = rows.numbers("time"), rows.order()
    timed = ~np.isnan(times)
    # By key: the last time named by a tombstone, and the last places of tombstones.
    until = np.full(len(rows.frame), -np.inf)
    last = np.full(len(rows.frame), -1, dtype=np.int64)
    last_untimed = last.copy()
    dated, plain = deleted & timed, deleted & ~timed
    np.maximum.at(until, key[dated], times[dated])
    np.maximum.at(last, key[deleted], order[deleted])
    np.maximum.at(last_untimed, key[plain], order[plain])
    by_time = (times <= until[key]) | (order < last_untimed[key])
    return np.asarray(np.where(timed, by_time, order < last[key]))
