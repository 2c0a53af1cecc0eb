"""Events as index arrays, and codes of ids, which never change, so that rows can keep them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Index32 = npt.NDArray[np.int32]


class Codes:
    """Codes of the ids of one label, in the order in which they were first met.

    Unlike a `Vocabulary` it grows, and its codes say nothing about the graph's indices.

    Args:
        ids: Known ids, by code.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._code = {key: code for code, key in enumerate(ids)}

    def __len__(self) -> int:
        return len(self._code)

    def __contains__(self, key: object) -> bool:
        return key in self._code

    def get(self, key: str) -> int:
        """Gives the code of an id, -1 if it has none."""
        return self._code.get(key, -1)

    def ids(self, start: int = 0) -> list[str]:
        """Gives the ids by code, from a code on."""
        return list(self._code)[start:]

    def encode(self, column: pa.Array | pa.ChunkedArray) -> Index32:
        """Gives the codes (n,) of str ids (n,); new ids get the next ones."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        distinct = column.dictionary.to_pylist()
        code_of = self._code
        codes = np.fromiter(
            (code_of.setdefault(key, len(code_of)) for key in distinct), np.int32, len(distinct)
        )
        return np.asarray(codes[column.indices.to_numpy(zero_copy_only=False)], dtype=np.int32)


#: Stands where a time is unknown, before all times; journals of whole seconds hold it as int64.
NO_TIME = float(np.iinfo(np.int64).min)
NO_SPLIT = -1

#: The type of each column of events, and what stands where it holds nothing.
COLUMNS: Mapping[str, tuple[Any, Any]] = {
    "user": (np.int32, 0),
    "item": (np.int32, 0),
    "behaviour": (np.int16, 0),
    "time": (np.float64, NO_TIME),
    "rating": (np.float64, np.nan),
    "weight": (np.float64, np.nan),
    "split": (np.int8, NO_SPLIT),
    "deleted": (np.bool_, False),
    "load": (np.int32, 0),
}


@dataclass(frozen=True)
class Events:
    """Cleaned interactions, one row an event; all arrays are (n,).

    Attributes:
        user: int32, the journal's code of the user.
        item: int32, the journal's code of the item.
        behaviour: int16, position in `behaviours`.
        time: float64 seconds since 1970 UTC; NO_TIME where unknown.
        rating: float64, NaN where unknown.
        weight: float64, NaN where unknown.
        split: int8, position in `Split` of a given split; NO_SPLIT.
        deleted: bool; the row takes back the events it names (those of its user, item and
            behaviour, up to its time where it has one).
        load: int32, number of the load that brought it; greater is later.
        behaviours: Names of the settings.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    behaviour: npt.NDArray[np.int16]
    time: npt.NDArray[np.float64]
    rating: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    split: npt.NDArray[np.int8]
    deleted: npt.NDArray[np.bool_]
    load: npt.NDArray[np.int32]
    behaviours: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, where: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Events":
        """The events of a mask or of positions."""
        arrays = {name: getattr(self, name)[where] for name in COLUMNS}
        return Events(**arrays, behaviours=self.behaviours)
