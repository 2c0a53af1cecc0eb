"""External ids and contiguous indices, one vocabulary per node label."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from kgrec.errors import VocabularyError

#: What callers may name a node by.
NodeId = str | int


def id_text(value: Any) -> str:
    """Gives an id as every entry takes it: text as it is, a whole number as its digits.

    Raises:
        VocabularyError: If it is neither, such as None, 1.5, True or a list.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(float(value)))
    raise VocabularyError(
        f"{value!r} of type {type(value).__name__} is no id; expected text or a whole number, such "
        f"as 'u1' or 1; ask for one id at a time"
    )


def id_texts(values: Any) -> list[str]:
    """Gives several ids as `id_text` does; a single one is a list of one.

    Raises:
        VocabularyError: If one is neither text nor a whole number.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        return [id_text(values)]
    return [id_text(value) for value in values]


class Vocabulary:
    """A bijection between external string ids and the indices 0 … n - 1.

    Args:
        ids: The external ids in index order.
        label: What the ids name ("User", "Item" …), for messages.

    Raises:
        VocabularyError: If an id occurs twice.
    """

    def __init__(self, ids: Iterable[str], label: str) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        self.label = label
        self._index = {key: index for index, key in enumerate(self.ids)}
        if len(self._index) != len(self.ids):
            raise VocabularyError(
                f"{label} ids occur more than once ({len(self.ids) - len(self._index)} repeats); "
                f"expected unique ids; remove the repeats"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, key: object) -> bool:
        try:
            return id_text(key) in self._index
        except VocabularyError:
            return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.ids == other.ids and self.label == other.label

    __hash__ = None  # type: ignore[assignment]

    def index(self, key: NodeId) -> int:
        """Gives the index of an id.

        Raises:
            VocabularyError: If no node has the id, or it is none.
        """
        key = id_text(key)
        try:
            return self._index[key]
        except KeyError:
            raise VocabularyError(
                f"no {self.label} has the id {key!r}; expected one of the {len(self):,} ids in the "
                f"graph; check the id, or ingest it and train again"
            ) from None

    def indices(self, keys: Sequence[NodeId]) -> npt.NDArray[np.int64]:
        """Gives the int64 indices (n,) of n ids; raises VocabularyError for an unknown one."""
        return np.fromiter((self.index(key) for key in keys), dtype=np.int64, count=len(keys))
