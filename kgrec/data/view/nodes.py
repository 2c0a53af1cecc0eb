"""Tables of users, items and entities, of several sources and loads, as one table a label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import PropertyRule
from kgrec.data.cleaning.report import Report
from kgrec.data.view.attributes import attribute_values, no_values
from kgrec.data.view.findings import note
from kgrec.data.view.properties import Column, columns_of, display_clash, numbers, typed
from kgrec.data.view.rows import SourceRows, newest, standing
from kgrec.errors import ConfigError
from kgrec.schema import NodeLabel


@dataclass(frozen=True)
class NodeTable:
    """What all tables of one label say.

    Attributes:
        frame: `id` (str, unique, sorted), typed properties, and `load` (int64, the newest that any
            of the node's rows is from).
        values: Values of attributes, with `kgrec.data.view.attributes.VALUE_COLUMNS`.
        scaled: By property that is normalised the source that asks for it, and its rule.
        ids: By source the ids that its table has.
    """

    frame: pd.DataFrame
    values: pd.DataFrame
    scaled: Mapping[str, tuple[str, PropertyRule]]
    ids: Mapping[str, pd.Index]


@dataclass
class _Property:
    """A property and the columns that it is made of, in the order of the sources."""

    name: str
    parts: list[tuple[SourceRows, Column]]

    def kind(self) -> str:
        """Gives `property`, `number` or `text`; what one source says holds for all."""
        kinds = {column.rule.kind for _, column in self.parts} - {"property"}
        if len(kinds) > 1:
            raise ConfigError(
                f"the sources {self._sources()} say differently what {self.name!r} is: "
                f"{', '.join(sorted(kinds))}; give them one rule, or the property another name"
            )
        return min(kinds, default="property")

    def scaled(self) -> tuple[str, PropertyRule] | None:
        """Gives the source that asks for a scaled twin, and its rule."""
        asking = [
            (rows.source.name, column.rule)
            for rows, column in self.parts
            if column.rule.normalise is not None
        ]
        if len({(rule.normalise, rule.impute) for _, rule in asking}) > 1:
            raise ConfigError(
                f"the sources {self._sources()} normalise {self.name!r} differently; give them "
                f"one rule"
            )
        return asking[0] if asking else None

    def merged(self, ids: pd.Index) -> pd.Series:
        """Gives the values (n,) under `ids`: of the first source that has one."""
        kind = self.kind()
        out: pd.Series | None = None
        for rows, column in self.parts:
            values = _cells(rows, column.column, kind).reindex(ids)
            if out is None:
                out = values
                continue
            differ = (out.notna() & values.notna() & (out != values)).to_numpy(dtype=bool)
            examples = map(repr, ids[differ])
            note(rows.source.name, "conflicting {name}", differ, examples, name=self.name)
            out = out.where(out.notna(), values)
        assert out is not None
        return typed(out) if kind == "property" else out

    def _sources(self) -> str:
        return " and ".join(rows.source.name for rows, _ in self.parts)


def read_nodes(tables: Sequence[SourceRows], label: NodeLabel) -> NodeTable:
    """Merges the sources of one label.

    A node's newest row in a source counts. Where several sources describe it, an earlier one in the
    settings counts and later ones fill what is missing; values of attributes add up.

    Args:
        tables: Rows by source, in the order of the settings.
        label: What they describe.

    Raises:
        DataError: If an untimed file has an id twice with different cells, a column's name is
            kgrec's own or no name for a property, or a number is none.
        ConfigError: If the settings name a column that is not there, or contradict each other.
    """
    latest = [_latest(rows) for rows in tables]
    columns = [columns_of(rows, label) for rows in latest]
    properties: dict[str, _Property] = {}
    values = [no_values()]
    for rows, described in zip(latest, columns, strict=True):
        for column in described:
            if column.rule.kind == "attribute":
                values.append(attribute_values(rows, column, label))
            else:
                entry = properties.setdefault(column.name, _Property(column.name, []))
                entry.parts.append((rows, column))
    display_clash(label, properties)
    ids_by_source = {rows.source.name: pd.Index(rows.frame["id"]) for rows in latest}
    ids = _sorted_ids(*ids_by_source.values())
    merged = {name: entry.merged(ids).array for name, entry in properties.items()}
    scaled = {name: p.scaled() for name, p in properties.items()}
    return NodeTable(
        pd.DataFrame({"id": ids, **merged, "load": _loads(latest, ids)}),
        pd.concat([part for part in values if len(part)] or values[:1], ignore_index=True),
        {name: scaling for name, scaling in scaled.items() if scaling is not None},
        ids_by_source,
    )


def table_ids(tables: Sequence[SourceRows]) -> pd.Index:
    """Gives the ids that stand in some tables of nodes, sorted."""
    with Report():  # `read_nodes` says it
        return _sorted_ids(*(standing(rows, ["id"]).frame["id"] for rows in tables))


def _latest(rows: SourceRows) -> SourceRows:
    """Gives the newest row of each id; raises DataError where a file contradicts itself."""
    rows = standing(rows, ["id"])
    cells = [name for name in rows.frame.columns if name not in ("time", "deleted", "file", "row")]
    place = [*cells, "file"]
    rows = rows.take(~rows.frame.duplicated([*place, "time"]).to_numpy())
    untimed = np.isnan(rows.times())
    again = np.zeros(len(untimed), dtype=bool)
    again[untimed] = rows.frame[untimed].duplicated(["id", "load", "file"]).to_numpy()
    rows.refuse(again, "id", "every id once", "remove the repeated row, or give the rows times")
    latest = newest(rows, ["id"])
    note(
        rows.source.name,
        "older row",
        len(rows.frame) - len(latest.frame),
        how="are older than another one of their id",
    )
    return latest


def _cells(rows: SourceRows, column: str, kind: str) -> pd.Series:
    ids = pd.Index(rows.frame["id"])
    if kind == "number":
        return pd.Series(numbers(rows, column), index=ids)
    cells = rows.texts(column).set_axis(ids)
    return cells.where(cells != "", None)


def _loads(latest: Sequence[SourceRows], ids: pd.Index) -> npt.NDArray[np.int64]:
    loads = np.zeros(len(ids), dtype=np.int64)
    for rows in latest:
        at = ids.get_indexer(pd.Index(rows.frame["id"]))
        loads[at] = np.maximum(loads[at], rows.frame["load"].to_numpy(np.int64))
    return loads


def _sorted_ids(*ids: pd.Index | pd.Series) -> pd.Index:
    """Gives distinct ids in the order of their code points."""
    distinct: pd.Index = pd.Index([], dtype="str")
    for part in ids:
        distinct = distinct.append(pd.Index(part, dtype="str")).unique()
    ordered: pd.Index = distinct.sort_values().rename("id")
    return ordered
