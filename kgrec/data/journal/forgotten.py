"""Who was forgotten, told by salted hashes, so that a later delivery does not bring them back.

The file holds no id. Its salt is its own, so equal ids have unlike hashes in two journals; who has
the file and guesses an id can check the guess, as kgrec itself does with every row it takes in.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.config import Kind
from kgrec.data.cleaning.report import current_report
from kgrec.errors import DataError
from kgrec.files import parsed_json, read_text, sealed, unsealed, write_text
from kgrec.schema import NodeLabel

NAME = "forgotten.json"
#: What a forgetting that was interrupted leaves beside it.
UNFINISHED = "forgetting.json"

_LAYOUT = 1
_Mask = npt.NDArray[np.bool_]
#: Says which values (n,) of a column name somebody of a label who is gone.
IsGone = Callable[[NodeLabel, pa.ChunkedArray], _Mask]

_USER, _ITEM, _ENTITY = NodeLabel
#: By kind of source the columns that name nodes, and the labels that a name there may be of. An id
#: in triples that names an item is that item.
ID_COLUMNS: Mapping[Kind, Mapping[str, tuple[NodeLabel, ...]]] = {
    "interactions": {"user": (_USER,), "item": (_ITEM,)},
    "users": {"id": (_USER,)},
    "items": {"id": (_ITEM,)},
    "entities": {"id": (_ENTITY,)},
    "triples": {"head": (_ITEM, _ENTITY), "tail": (_ITEM, _ENTITY)},
    "link": {"item": (_ITEM,), "entity": (_ENTITY,)},
    "social": {"head": (_USER,), "tail": (_USER,)},
    "item_edges": {"head": (_ITEM,), "tail": (_ITEM,)},
    "reviews": {"user": (_USER,), "item": (_ITEM,)},
    "queries": {"user": (_USER,)},
}
_SAME_AS: Mapping[str, tuple[NodeLabel, NodeLabel]] = {
    "User": (_USER, _USER),
    "Item": (_ITEM, _ITEM),
    "Entity": (_ENTITY, _ENTITY),
    "Item/Entity": (_ITEM, _ENTITY),
}


@dataclass(frozen=True)
class Forgotten:
    """The hashes of who was forgotten.

    Attributes:
        salt: 32 hex digits.
        hashes: SHA-256 of salt, label and id, in hex.
    """

    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    hashes: frozenset[str] = frozenset()

    def holds(self, label: NodeLabel, key: str) -> bool:
        """Whether somebody was forgotten."""
        return bool(self.hashes) and self._hash(label, key) in self.hashes

    def named_in(self, cells: Iterable[str | None]) -> bool:
        """Whether raw cells name anybody who was forgotten; words within a cell count as well.

        Nobody knows which column of a bad row is which, so a number that is somebody's id counts
        wherever it stands.
        """
        if not self.hashes:
            return False
        words = {word for cell in cells if cell for word in (cell.strip(), *_words(cell))}
        spelt = words | {word.lower() for word in words}
        return any(self.holds(label, word) for word in spelt for label in NodeLabel)

    def with_ids(self, ids: Mapping[NodeLabel, Iterable[str]]) -> "Forgotten":
        """The same and more."""
        more = {self._hash(label, key) for label, keys in ids.items() for key in keys}
        return replace(self, hashes=self.hashes | more)

    def without_ids(self, ids: Mapping[NodeLabel, Iterable[str]]) -> "Forgotten":
        """The same and fewer: these may come again."""
        fewer = {self._hash(label, key) for label, keys in ids.items() for key in keys}
        return replace(self, hashes=self.hashes - fewer)

    def remaining(self, source: str, kind: Kind, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Gives cleaned tables without the rows that name who was forgotten; counts these."""
        dropped = 0
        for table in tables:
            rest = without(table, kind, self._is_gone) if self.hashes else table
            dropped += len(table) - len(rest)
            if len(rest):
                yield rest
        current_report().add(
            source, "forgotten", "dropped", dropped,
            "rows name users or items that were forgotten; kgrec forget --readmit lets them in",
        )  # fmt: skip

    def _is_gone(self, label: NodeLabel, column: pa.ChunkedArray) -> _Mask:
        coded = column.combine_chunks()
        if not pa.types.is_dictionary(coded.type):
            coded = coded.dictionary_encode()
        is_forgotten = [
            key is not None and self.holds(label, key) for key in coded.dictionary.to_pylist()
        ]
        codes = pc.fill_null(coded.indices, len(is_forgotten)).to_numpy(zero_copy_only=False)
        return np.asarray(np.array([*is_forgotten, False], dtype=bool)[codes])

    def _hash(self, label: NodeLabel, key: str) -> str:
        return hashlib.sha256(f"{self.salt}\0{label}\0{key}".encode()).hexdigest()


def among(ids: Mapping[NodeLabel, Sequence[Any] | npt.NDArray[np.integer[Any]]]) -> IsGone:
    """Says which values are among these ids, or codes, of their label."""

    def is_gone(label: NodeLabel, column: pa.ChunkedArray) -> _Mask:
        value_set = pa.array(ids.get(label, ()), column.type)
        return np.asarray(pc.is_in(column, value_set).to_numpy(), dtype=bool)

    return is_gone


def without(table: pa.Table, kind: Kind, is_gone: IsGone) -> pa.Table:
    """Gives the rows of a kind of source that do not name who is gone.

    A query that led to an item that is gone stays its user's: only the item is taken out of it.
    """
    mask = np.zeros(len(table), dtype=bool)
    if kind == "same_as":
        pairs = table["label"].to_pylist()
        for side, name in enumerate(("left", "right")):
            for label in NodeLabel:
                of_label = np.array([_SAME_AS[pair][side] is label for pair in pairs], dtype=bool)
                mask |= of_label & is_gone(label, table[name])
        return _rest(table, mask)
    for name, labels in ID_COLUMNS[kind].items():
        for label in labels:
            mask |= is_gone(label, table[name])
    if kind == "queries":
        lost = is_gone(_ITEM, table["item"])
        if lost.any():
            at = table.schema.get_field_index("item")
            field_of = table.schema.field(at)
            blank = pc.if_else(pa.array(lost), pa.scalar(None, field_of.type), table["item"])
            table = table.set_column(at, field_of, blank)
            mask |= lost & np.asarray(table["user"].is_null().to_numpy(), dtype=bool)
    return _rest(table, mask)


def _rest(table: pa.Table, mask: _Mask) -> pa.Table:
    return table.filter(pa.array(~mask)) if mask.any() else table


def read_forgotten(folder: Path) -> Forgotten:
    """Reads who was forgotten; raises DataError if the file is damaged."""
    path = folder / NAME
    try:
        tree = unsealed(parsed_json(read_text(path)))
        if tree["layout"] != _LAYOUT:
            raise ValueError(f"it has layout {tree['layout']}, expected {_LAYOUT}")
        return Forgotten(str(tree["salt"]), frozenset(tree["hashes"]))
    except FileNotFoundError:
        return Forgotten()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DataError(
            f"{path} cannot be read: {exc!r}; it says who must not come back, so nothing is taken "
            f"in without it: bring it back from a copy of the journal"
        ) from exc


def write_forgotten(folder: Path, forgotten: Forgotten) -> None:
    """Replaces the file, atomically and flushed to the disk."""
    tree = {"layout": _LAYOUT, "salt": forgotten.salt, "hashes": sorted(forgotten.hashes)}
    replace_json(folder / NAME, tree)


def replace_json(path: Path, tree: Mapping[str, Any]) -> None:
    """Replaces a small file as a whole; raises DataError if it cannot be written."""
    try:
        write_text(path, json.dumps(sealed(tree), ensure_ascii=False, indent=1))
    except OSError as exc:
        raise DataError(f"cannot write {path}: {exc.strerror or exc}; make room") from exc


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^\w.@:-]+", text) if word]
