"""External ids and their codes, which never change, so that rows on disk can keep them."""

from collections.abc import Iterable

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
