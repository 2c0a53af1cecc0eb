"""Users, items and entities: tables of several sources and loads as one, then one frame a label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kgrec.config import PropertyRule
from kgrec.data.cleaning.report import Report
from kgrec.data.tables import RelationTable
from kgrec.data.view.columns import (
    VALUE_COLUMNS,
    Column,
    attribute_ids,
    attribute_values,
    columns_of,
    refuse_two_displays,
    typed,
)
from kgrec.data.view.facts import ENTITY
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities, adopted
from kgrec.data.view.rows import SourceRows, newest, stacked, standing
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel

_ID_AND_LOAD = {"id": "str", "load": "int64"}


@dataclass(frozen=True)
class NodeTable:
    """What all tables of one label say.

    Attributes:
        frame: `id` (str, unique, sorted), typed properties, and `load` (int64, the newest that any
            of the node's rows is from).
        values: Values of attributes, with `kgrec.data.view.columns.VALUE_COLUMNS`.
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
    parts: list[Column]

    def kind(self) -> str:
        """Gives `property`, `number` or `text`; what one source says holds for all."""
        kinds = {column.rule.kind for column in self.parts} - {"property"}
        if len(kinds) > 1:
            raise ConfigError(
                f"the sources {self._sources()} say differently what {self.name!r} is: "
                f"{', '.join(sorted(kinds))}; give them one rule, or the property another name"
            )
        return min(kinds, default="property")

    def scaled(self) -> tuple[str, PropertyRule] | None:
        """Gives the source that asks for a scaled twin, and its rule."""
        asking = [
            (column.rows.source.name, column.rule)
            for column in self.parts
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
        out = self.parts[0].cells(kind).reindex(ids)
        for column in self.parts[1:]:
            values = column.cells(kind).reindex(ids)
            differ = (out.notna() & values.notna() & (out != values)).to_numpy(dtype=bool)
            examples = map(repr, ids[differ])
            source = column.rows.source.name
            note(source, "conflicting {name}", differ, examples, name=self.name)
            out = out.where(out.notna(), values)
        return typed(out) if kind == "property" else out

    def _sources(self) -> str:
        return " and ".join(column.rows.source.name for column in self.parts)


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
    properties: dict[str, _Property] = {}
    values = []
    for column in [column for rows in latest for column in columns_of(rows, label)]:
        if column.rule.kind == "attribute":
            values.append(attribute_values(column, label))
        else:
            properties.setdefault(column.name, _Property(column.name, [])).parts.append(column)
    refuse_two_displays(f"the sources of {label} nodes have", properties)
    described = stacked([rows.frame[["id", "load"]] for rows in latest], _ID_AND_LOAD)
    loads = described.astype(_ID_AND_LOAD).groupby("id")["load"].max()
    ids = loads.index
    merged = {name: entry.merged(ids).array for name, entry in properties.items()}
    scaled = {name: p.scaled() for name, p in properties.items()}
    return NodeTable(
        pd.DataFrame({"id": ids, **merged, "load": loads.array}),
        stacked(values, VALUE_COLUMNS),
        {name: scaling for name, scaling in scaled.items() if scaling is not None},
        {rows.source.name: pd.Index(rows.frame["id"]) for rows in latest},
    )


def table_ids(tables: Sequence[SourceRows]) -> pd.Index:
    """Gives the ids that stand in some tables of nodes, sorted."""
    with Report():  # `read_nodes` says it
        frames = [standing(rows, ["id"]).frame[["id"]] for rows in tables]
    ids: pd.Index = pd.Index(stacked(frames, _ID_AND_LOAD)["id"].unique(), dtype="str")
    return ids.sort_values()


def _latest(rows: SourceRows) -> SourceRows:
    """Gives the newest row of each id; raises DataError where a file contradicts itself."""
    rows = standing(rows, ["id"])
    cells = [name for name in rows.frame.columns if name not in ("time", "deleted", "file", "row")]
    place = [*cells, "file"]
    rows = rows.take(~rows.frame.duplicated([*place, "time"]).to_numpy())
    untimed = np.isnan(rows.numbers("time"))
    again = np.zeros(len(untimed), dtype=bool)
    again[untimed] = rows.frame[untimed].duplicated(["id", "load", "file"]).to_numpy()
    rows.refuse(again, "id", "every id once", "remove the repeated row, or give the rows times")
    return newest(rows, ["id"], "are older than another one of their id")


def loads_by_id(
    label: NodeLabel, first_loads: pd.Series, table: NodeTable, identities: Identities
) -> pd.Series:
    """Gives the load (float64, NaN if unknown) of each user or item by id.

    Args:
        label: Users or items.
        first_loads: By id the load of the interaction that named it first, NaN if unknown.
        table: Those that tables describe; their loads count.
        identities: Whose members are nodes as well.
    """
    members = identities.members[identities.members["label"] == label]
    described, same = table.frame.set_index("id")["load"], members.set_index("id")["load"]
    loads = pd.concat([part.astype(np.float64) for part in (described, first_loads, same)])
    return loads[~loads.index.duplicated()]


def entity_loads(facts: pd.DataFrame, same: Sequence[RelationTable], table: NodeTable) -> pd.Series:
    """Gives the load (float64) of each entity by id: its table's, else the first that names it.

    Entities are the ends of facts, and those that are the same as such or as items.

    Args:
        facts: All facts.
        same: The edges to nodes that count for others.
        table: What tables say of entities.
    """
    ends = [
        facts.loc[facts[f"{end}_label"] == ENTITY].groupby(end, observed=True)["load"].min()
        for end in ("head", "tail")
    ]
    ends += [
        table.edges.groupby("head")["load"].min()
        for table in same
        if table.key.head == NodeLabel.ENTITY
    ]
    firsts = pd.concat([loads.set_axis(loads.index.astype("str")) for loads in ends])
    first_load = firsts.groupby(level=0).min().astype(np.float64)
    described = table.frame.set_index("id")["load"].astype(np.float64)
    return described.reindex(first_load.index).fillna(first_load)


def node_frames(
    tables: Mapping[NodeLabel, NodeTable],
    loads: Mapping[NodeLabel, pd.Series],
    texts: pd.DataFrame,
    values: pd.DataFrame,
    identities: Identities,
) -> dict[NodeLabel, pd.DataFrame]:
    """Gives the nodes of every label with their properties.

    Args:
        tables: What tables say.
        loads: By label the load of each node by id.
        texts: Nodes of texts, as `kgrec.data.view.texts.text_nodes` gives them.
        values: Values of attributes; each names its entity, unless a table does.
        identities: A node that counts for others takes over what it lacks.

    Returns:
        Frames with `id` (str, unique, sorted), the properties (integers become float64 where some
        are missing) and `load` (int64; float64 with NaN where some are unknown).

    Raises:
        DataError: If a table of entities has numbers where texts or attributes have a text.
    """
    attribute_names = pd.DataFrame({"id": attribute_ids(values), "name": values["value"]})
    frames = {label: table.frame for label, table in tables.items()}
    frames[NodeLabel.ENTITY] = _entity_table(
        frames[NodeLabel.ENTITY], [texts, attribute_names.drop_duplicates("id")]
    )
    return adopted(
        {label: _node_frame(frame, loads[label]) for label, frame in frames.items()},
        identities,
    )


def _node_frame(table: pd.DataFrame, loads: pd.Series) -> pd.DataFrame:
    loads = loads.sort_index()
    index = pd.Index(loads.index, dtype="str", name="id")
    frame = table.drop(columns="load", errors="ignore").set_index("id").reindex(index)
    whole = not loads.isna().any()
    return frame.assign(load=loads.to_numpy(dtype=np.int64 if whole else np.float64)).reset_index()


def _entity_table(described: pd.DataFrame, derived: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Joins what tables say of entities with what texts and attributes do; the first counts."""
    out = described.set_index("id")
    for frame in derived:
        more = frame.drop(columns="load", errors="ignore").set_index("id")
        if more.empty:
            continue
        for name in more.columns:
            if name in out.columns and pd.api.types.is_numeric_dtype(out[name]) and len(out):
                raise DataError(
                    f"the sources of entities have numbers as {name!r}, which is the {name} of "
                    f"reviews, queries or attributes; rename the column"
                )
        columns = [*out.columns, *(name for name in more.columns if name not in out.columns)]
        out = out.combine_first(more)[columns]
    return out.rename_axis("id").reset_index()
