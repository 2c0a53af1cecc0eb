"""External ids and contiguous indices, one vocabulary per node label."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from kgrec.errors import VocabularyError


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
        return key in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.ids == other.ids and self.label == other.label

    __hash__ = None  # type: ignore[assignment]

    def index(self, key: str) -> int:
        """Gives the index of an id.

        Raises:
            VocabularyError: If no node has the id.
        """
        try:
            return self._index[key]
        except KeyError:
            raise VocabularyError(
                f"no {self.label} has the id {key!r}; expected one of the {len(self):,} ids in the "
                f"graph; check the id, or ingest it and train again"
            ) from None

    def indices(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """Gives the int64 indices (n,) of n ids; raises VocabularyError for an unknown one."""
        return np.fromiter((self.index(key) for key in keys), dtype=np.int64, count=len(keys))
