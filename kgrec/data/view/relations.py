"""Facts into relation tables: each counted once, about something known, none too common."""

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import numpy as np
import pandas as pd

from kgrec.data.tables import RelationTable
from kgrec.data.view.facts import (
    ENTITY,
    FACT_COLUMNS,
    FACT_KEYS,
    ITEM,
    LABELS,
    Link,
)
from kgrec.data.view.findings import note
from kgrec.data.view.identities import components
from kgrec.data.view.rows import Mask, SourceRows, among
from kgrec.errors import DataError
from kgrec.schema import SAME_AS, EdgeKey, Role, relation_type


def once(frame: pd.DataFrame, noun: str) -> pd.DataFrame:
    """Keeps the newest of stated facts that are the same, and none that joins a node to itself.

    Args:
        frame: As `kgrec.data.view.facts.Stated` has it, with the labels of the ends.
        noun: What the rows are called, e.g. "triples".
    """
    facts = _newest(frame)
    unique = facts["source"].value_counts()
    for name, rows in frame.groupby("source", observed=True):
        note(str(name), "repeated", len(rows) - unique[name], number=len(rows), noun=noun)
    loops = _joins_itself(facts)
    for name, rows in facts[loops].groupby("source", observed=True):
        note(str(name), "self loop", len(rows), map(repr, rows["head"]), noun=noun)
    return facts[~loops].reset_index(drop=True)


def about_known(
    frame: pd.DataFrame,
    tables: Mapping[str, SourceRows],
    entities: pd.Index,
    unknown: Literal["error", "drop"],
) -> pd.DataFrame:
    """Keeps the triples that a chain of triples connects to an item.

    Args:
        frame: As for `once`.
        tables: The sources they are from, by name.
        entities: Entities that are as good as items: attributes and texts name them.
        unknown: What to do with the others.

    Raises:
        DataError: If there are others and `unknown` is "error".
    """
    if frame.empty or not (stray := ~_connected(frame, entities)).any():
        return frame
    if unknown == "error":
        first = frame[stray].sort_values(["source", "at"]).iloc[0]
        where = tables[first["source"]].where(int(first["at"]))
        raise DataError(
            f"{where}: nothing connects ({first['head']}, {first['relation']}, {first['tail']}) to "
            f"an item; {stray.sum():,} of {len(frame):,} triples are so; set "
            f'data.unknown_triples = "drop" to leave them out, or check data.link'
        )
    for name, rows in frame.assign(stray=stray).groupby("source", observed=True):
        note(str(name), "about nothing known", rows["stray"], number=len(rows))
    return frame[~stray].reset_index(drop=True)


def merged(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Joins facts of all kinds; of those that are the same, the newest stays."""
    nonempty = [part[FACT_COLUMNS] for part in parts if len(part)]
    if not nonempty:
        return parts[0].reindex(columns=FACT_COLUMNS)
    facts = pd.concat(nonempty, ignore_index=True)
    return _newest(facts[~_joins_itself(facts)])


def _joins_itself(facts: pd.DataFrame) -> Mask:
    loops = (facts["head"] == facts["tail"]) & (facts["head_label"] == facts["tail_label"])
    return np.asarray(loops.to_numpy(dtype=bool))


def without_hubs(facts: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """Leaves out the edges of a relation at entities that have more than `most` of them.

    Edges that come and edges that go count together. Relations and ids are categories.
    """
    if most is None or facts.empty:
        return facts
    # One number a pair of a relation and an entity.
    size = len(facts["head"].cat.categories)
    relation = facts["relation"].cat.codes.to_numpy(np.int64) * size
    keys = np.stack(
        [relation + facts[end].cat.codes.to_numpy(np.int64) for end in ("head", "tail")]
    )
    at_entity = facts[["head_label", "tail_label"]].to_numpy().T == ENTITY  # (2, edges), as keys
    pairs, counts = np.unique(keys[at_entity], return_counts=True)
    hubs = pairs[counts > most]
    common: Mask = (np.isin(keys, hubs) & at_entity).any(axis=0)
    relations, entities = facts["relation"].cat.categories, facts["head"].cat.categories
    examples = (f"{entities[hub % size]!r} by {relations[hub // size]}" for hub in hubs)
    note("graph", "fan-out", common, examples, hubs=len(hubs), most=most)
    return facts[~common].reset_index(drop=True)


def entities_of(facts: pd.DataFrame) -> pd.Index:
    """Gives the ids of all entities that facts name."""
    ends = [facts.loc[facts[f"{end}_label"] == ENTITY, end] for end in ("head", "tail")]
    entities: pd.Index = pd.Index(np.asarray(pd.concat(ends).unique()), dtype="str")
    return entities


def occurring(facts: pd.DataFrame, attributes: pd.DataFrame) -> pd.DataFrame:
    """Gives the attributes of entities that occur: in facts, or as attributes of such that do."""
    entities = entities_of(facts)
    keep = np.zeros(len(attributes), dtype=bool)
    while True:
        occurs = among(attributes["head"], entities)
        if (occurs == keep).all():
            return attributes[keep]
        keep = occurs
        tails = attributes["tail"][keep & (attributes["tail_label"] == ENTITY).to_numpy()]
        entities = entities.append(pd.Index(np.asarray(tails.unique()), dtype="str")).unique()


def relation_tables(facts: pd.DataFrame) -> tuple[RelationTable, ...]:
    """Parts facts by relation and labels, sorted; the ends of edges are ids.

    Raises:
        DataError: If two relation names give one relationship type.
        SchemaError: If a name gives none.
    """
    name_of: dict[str, str] = {}
    tables = []
    keys = ["relation", "head_label", "tail_label"]
    for group, rows in facts.groupby(keys, observed=True):
        name, head, tail = cast(tuple[str, int, int], group)
        kind = relation_type(name)
        if name_of.setdefault(kind, name) != name:
            raise DataError(
                f"relations {name_of[kind]!r} and {name!r} would both become {kind}; give them one "
                f"name, or names further apart, under [data.relations]"
            )
        edges = rows[["head", "tail"]].assign(load=rows["load"].astype(np.int64))
        for column in ("weight", "time"):
            if rows[column].notna().any():
                edges[column] = rows[column].astype(np.float64)
        edges = edges.sort_values(["head", "tail"], ignore_index=True)
        edges = edges.astype({"head": "str", "tail": "str"})
        tables.append(RelationTable(name, EdgeKey(kind, LABELS[head], LABELS[tail]), edges))
    return tuple(sorted(tables, key=lambda table: table.key))


def same_as_tables(facts: pd.DataFrame, link: Link) -> tuple[RelationTable, ...]:
    """Joins each node that another one counts for to that one.

    Args:
        facts: All facts; an entity that none of them names is no node.
        link: Which entities are items, and the groups.
    """
    members = link.identities.members
    numbers = members["label"].map({label: number for number, label in enumerate(LABELS)})
    ends = {f"{end}_label": numbers.astype(np.int8) for end in ("head", "tail")}
    edges = members[["score", "load"]].assign(head=members["id"], tail=members["id"], **ends)
    edges = link.redirected(edges, ["tail"])
    absent = (edges["tail_label"] == ENTITY) & ~among(edges["tail"], entities_of(facts))
    edges = edges[~(_joins_itself(edges) | absent.to_numpy(dtype=bool))]
    note("same_as", "merged", len(edges))
    tables = []
    for group, rows in edges.groupby(["head_label", "tail_label"]):
        head, tail = cast(tuple[int, int], group)
        columns = ["head", "tail", "load", *(["score"] if rows["score"].notna().any() else [])]
        key = EdgeKey(SAME_AS, LABELS[head], LABELS[tail])
        ordered = rows[columns].sort_values(["head", "tail"], ignore_index=True)
        tables.append(RelationTable("same_as", key, ordered, Role.IDENTITY))
    return tuple(tables)


def _newest(facts: pd.DataFrame) -> pd.DataFrame:
    """Keeps the last by time, then load, then row of facts that are the same."""
    again = facts.duplicated(FACT_KEYS, keep=False).to_numpy()
    if not again.any():
        return facts.reset_index(drop=True)
    times = np.nan_to_num(facts["time"].to_numpy(dtype=np.float64), nan=-np.inf)
    places = np.flatnonzero(again)
    order = places[np.lexsort((places, facts["load"].to_numpy(np.int64)[again], times[again]))]
    older = order[facts.iloc[order].duplicated(FACT_KEYS, keep="last").to_numpy()]
    keep = np.ones(len(facts), dtype=bool)
    keep[older] = False
    return facts[keep].reset_index(drop=True)


def _connected(frame: pd.DataFrame, entities: pd.Index) -> Mask:
    """Tells for each triple (n,) whether its connected component holds something known."""
    ids = pd.concat([frame["head"], frame["tail"]], ignore_index=True)
    is_item = np.concatenate([frame["head_label"], frame["tail_label"]]) == ITEM
    codes, distinct = pd.factorize(ids)
    # An item and an entity may share an id: items take the even numbers.
    nodes = codes.astype(np.int64) * 2 + ~is_item
    size = 2 * len(distinct)
    head, tail = nodes[: len(frame)], nodes[len(frame) :]
    component = components(head, tail, size)
    has_known = np.zeros(size, dtype=bool)
    has_known[component[nodes[is_item | among(ids, entities)]]] = True
    return np.asarray(has_known[component[head]])
