"""Every node of the graph with its properties and its load, one frame a label."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kgrec.data.tables import RelationTable
from kgrec.data.view.attributes import attribute_ids
from kgrec.data.view.facts import ENTITY
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities, adopted
from kgrec.data.view.nodes import NodeTable
from kgrec.data.view.rows import among
from kgrec.data.view.scaling import Scale, with_twins
from kgrec.errors import DataError
from kgrec.schema import NodeLabel

#: Nodes that are known without a table: their ids, or by id the load that named them first.
Known = pd.Index | pd.Series | Mapping[str, int]


def loads_by_id(
    label: NodeLabel, named_ids: Known, table: NodeTable, identities: Identities
) -> pd.Series:
    """Gives the load (float64, NaN if unknown) of each user or item by id.

    Args:
        label: Users or items.
        named_ids: Those that interactions name.
        table: Those that tables describe; their loads count.
        identities: Whose members are nodes as well.
    """
    loads = _known_loads(named_ids, table.frame)
    members = identities.members[identities.members["label"] == label]
    if members.empty:
        return loads
    member_loads = members.set_index("id")["load"].astype(np.float64)
    if isinstance(named_ids, pd.Index):
        member_loads[:] = np.nan
    return loads.reindex(loads.index.union(member_loads.index)).fillna(member_loads)


def entity_loads(facts: pd.DataFrame, same: Sequence[RelationTable], table: NodeTable) -> pd.Series:
    """Gives the load (float64) of each entity by id: its table's, else the first that names it.

    Entities are the ends of facts, and those that are the same as such or as items.

    Args:
        facts: All facts.
        same: The edges to nodes that count for others.
        table: What tables say of entities.
    """
    ends = [
        facts.loc[facts[f"{end}_label"] == ENTITY, [end, "load"]].set_axis(["id", "load"], axis=1)
        for end in ("head", "tail")
    ]
    ends += [
        table.edges[["head", "load"]].set_axis(["id", "load"], axis=1)
        for table in same
        if table.key.head == NodeLabel.ENTITY
    ]
    firsts = [
        part.groupby("id", observed=True)["load"].min().reset_index().astype({"id": "str"})
        for part in ends
    ]
    first_load = pd.concat(firsts).groupby("id")["load"].min().astype(np.float64)
    described = table.frame.set_index("id")["load"].astype(np.float64)
    return described.reindex(first_load.index).fillna(first_load)


def report_unused(table: NodeTable, entities: pd.Index) -> None:
    """Reports the entities of each table that are not among those of the graph."""
    for source, ids in table.ids.items():
        unused = ~ids.isin(entities)
        note(source, "unused entity", unused, map(repr, ids[unused]), number=len(ids))


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


def scaled_numbers(
    nodes: Mapping[NodeLabel, pd.DataFrame],
    tables: Mapping[NodeLabel, NodeTable],
    train_items: pd.Index,
    identities: Identities,
    scales: Mapping[str, Scale],
) -> tuple[dict[NodeLabel, pd.DataFrame], dict[str, Scale]]:
    """Adds the scaled twins of numbers, fitted on the items of train, or on all users or entities.

    Args:
        nodes: The nodes.
        tables: What tables say, and how numbers are normalised.
        train_items: Ids of the items of train.
        identities: Nodes that another one counts for are no part of the fit.
        scales: Normalisations that are used instead of fitting, by `Label.property`.

    Returns:
        The nodes and all normalisations.

    Raises:
        DataError: As `kgrec.data.view.scaling.with_twins`.
    """
    out: dict[NodeLabel, pd.DataFrame] = {}
    fitted_scales: dict[str, Scale] = {}
    for label, frame in nodes.items():
        if label == NodeLabel.ITEM:
            looked_at = among(frame["id"], train_items)
        else:
            counts = identities.canonical(label, frame["id"])
            looked_at = (counts == frame["id"]).to_numpy(dtype=bool)
        out[label], own = with_twins(label, frame, tables[label].scaled, looked_at, scales)
        fitted_scales |= own
    return out, fitted_scales


def _known_loads(named_ids: Known, table: pd.DataFrame) -> pd.Series:
    if isinstance(named_ids, pd.Index):
        ids, loads = named_ids, np.full(len(named_ids), np.nan)
    else:
        load_of = pd.Series(named_ids, dtype=np.float64)
        ids, loads = load_of.index, load_of.to_numpy()
    fresh = ~pd.Index(ids).isin(pd.Index(table["id"]))
    ids = pd.Index(table["id"]).append(pd.Index(ids, dtype="str")[fresh])
    loads = np.concatenate([table["load"].to_numpy(np.float64), loads[fresh]])
    return pd.Series(loads, index=pd.Index(ids, dtype="str"))


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
