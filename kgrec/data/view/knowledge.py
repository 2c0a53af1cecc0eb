"""Everything that is known besides interactions: nodes with properties, and facts about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kgrec.config import DataConfig, Kind
from kgrec.data.cleaning.report import Report
from kgrec.data.tables import RelationTable
from kgrec.data.view.columns import attribute_ids, one_spelling
from kgrec.data.view.facts import (
    ENTITY,
    Link,
    Stated,
    between,
    check_rules,
    encoded,
    facts_frame,
    read_stated,
    vocabulary,
)
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities
from kgrec.data.view.nodes import (
    NodeTable,
    entity_loads,
    loads_by_id,
    node_frames,
    read_nodes,
)
from kgrec.data.view.relations import (
    about_known,
    entities_of,
    merged,
    occurring,
    once,
    relation_tables,
    same_as_tables,
    without_hubs,
)
from kgrec.data.view.rows import SourceRows, among, standing
from kgrec.data.view.scaling import Scale, scaled_numbers
from kgrec.data.view.splits import HeldOutIds
from kgrec.data.view.texts import kept_texts, read_texts, text_facts, text_nodes
from kgrec.schema import NodeLabel

Rows = Mapping[Kind, Sequence[SourceRows]]

_TABLES: Mapping[NodeLabel, Kind] = {
    NodeLabel.USER: "users",
    NodeLabel.ITEM: "items",
    NodeLabel.ENTITY: "entities",
}
_BETWEEN: Mapping[Kind, NodeLabel] = {"social": NodeLabel.USER, "item_edges": NodeLabel.ITEM}
_STATED: tuple[Kind, ...] = ("triples", *_BETWEEN)


@dataclass(frozen=True)
class KnowledgeView:
    """Nodes and all edges that are no interactions.

    Attributes:
        nodes: Per label `id` (str, unique, sorted), typed properties and `load` (int64; float64
            with NaN if users or items came without their loads).
        relations: Edges whose `head` and `tail` are ids, with `load` and, where there are any,
            `weight`, `time` and `score`.
        scales: How numbers were normalised, by `Label.property`.
    """

    nodes: Mapping[NodeLabel, pd.DataFrame]
    relations: tuple[RelationTable, ...]
    scales: Mapping[str, Scale]


def derive_knowledge(
    rows: Rows,
    users: pd.Series,
    items: pd.Series,
    held_out: HeldOutIds,
    train_items: pd.Index,
    identities: Identities,
    config: DataConfig,
    scales: Mapping[str, Scale] | None = None,
) -> KnowledgeView:
    """Turns all rows that are no events into nodes and relations.

    Neither the order of timed deliveries nor their repetition changes anything but loads.

    Args:
        rows: By kind the rows of each source, in the order of the settings.
        users: Users that interactions name: by id the load that named it first, NaN if unknown.
        items: Items likewise.
        held_out: What must not be told.
        train_items: Ids of items with interactions in train; numbers of items are fitted on them.
        identities: Which users, items and entities are the same, of `read_identities`.
        config: What is done with rows.
        scales: Normalisations fitted before, by `Label.property`; None fits them.

    Raises:
        DataError: If rows cannot be used as they are.
        ConfigError: If a setting does not fit the rows.
        SchemaError: If a relation's name gives no relationship type.
    """
    tables = {label: read_nodes(rows.get(kind, ()), label) for label, kind in _TABLES.items()}
    loads = {
        label: loads_by_id(label, first_loads, tables[label], identities)
        for label, first_loads in ((NodeLabel.USER, users), (NodeLabel.ITEM, items))
    }
    node_ids = {label: pd.Index(load.index, dtype="str") for label, load in loads.items()}
    _note_strangers(tables, {NodeLabel.USER: users.index, NodeLabel.ITEM: items.index}, identities)
    values = one_spelling(pd.concat([table.values for table in tables.values()]))
    texts = read_texts(rows, held_out.moment)
    stated_rows = {kind: rows.get(kind, ()) for kind in _STATED}
    check_rules(config.relations, [table for tables in stated_rows.values() for table in tables])
    stated = {
        kind: read_stated(sources, config.relations, held_out.moment)
        for kind, sources in stated_rows.items()
    }
    if len(identities.ids(NodeLabel.ENTITY)):
        entity_ids = _named_entities(rows, stated, tables, values, texts, node_ids)
        identities = identities.among(NodeLabel.ENTITY, entity_ids)
    link = Link.read(rows.get("link", ()), node_ids[NodeLabel.ITEM], identities)
    for source, ids in tables[NodeLabel.ENTITY].ids.items():
        also_items = ids.isin(node_ids[NodeLabel.ITEM]) & ~ids.isin(link.entities)
        note(source, "also items", also_items, map(repr, ids[also_items]))
    texts = kept_texts(texts, node_ids, identities, held_out)
    facts = _facts(stated, values, texts, node_ids, link, config)
    same = same_as_tables(facts, link)
    loads[NodeLabel.ENTITY] = entity_loads(facts, same, tables[NodeLabel.ENTITY])
    for source, ids in tables[NodeLabel.ENTITY].ids.items():
        unused = ~ids.isin(loads[NodeLabel.ENTITY].index)
        note(source, "unused entity", unused, map(repr, ids[unused]), number=len(ids))
    _say_undescribed(tables[NodeLabel.ITEM], items.index, identities)
    nodes = node_frames(tables, loads, text_nodes(texts), values, identities)
    rules = {label: table.scaled for label, table in tables.items()}
    nodes, fitted_scales = scaled_numbers(nodes, rules, train_items, identities, scales or {})
    relations = sorted((*relation_tables(facts), *same), key=lambda table: table.key)
    return KnowledgeView(nodes, tuple(relations), fitted_scales)


def _note_strangers(
    tables: Mapping[NodeLabel, NodeTable],
    interacting: Mapping[NodeLabel, pd.Index],
    identities: Identities,
) -> None:
    """Notes tables none of whose ids occurs in an interaction: as a rule the wrong column."""
    for label, known_ids in interacting.items():
        known_ids = known_ids.union(identities.ids(label))
        for source, ids in tables[label].ids.items():
            if len(known_ids) and not ids.isin(known_ids).any():
                noun = f"{label.lower()}s"
                examples = map(repr, ids)
                note(source, "no interactions", len(ids), examples, noun=noun, number=len(ids))


def _named_entities(
    rows: Rows,
    stated: Mapping[Kind, Stated],
    tables: Mapping[NodeLabel, NodeTable],
    values: pd.DataFrame,
    texts: pd.DataFrame,
    node_ids: Mapping[NodeLabel, pd.Index],
) -> pd.Index:
    """Gives every id that rows name as an entity."""
    triples = stated["triples"].frame
    ends = pd.concat([triples["head"], triples["tail"]])
    ends = ends[~among(ends, node_ids[NodeLabel.ITEM])]
    with Report():  # `Link.read` says it
        linked = [
            standing(link, ["item", "entity"]).frame["entity"] for link in rows.get("link", ())
        ]
    parts = [ends, *linked, tables[NodeLabel.ENTITY].frame["id"], attribute_ids(values)]
    entities: pd.Index = pd.Index(pd.concat([*parts, texts["entity"]]).unique(), dtype="str")
    return entities


def _facts(
    stated: Mapping[Kind, Stated],
    values: pd.DataFrame,
    texts: pd.DataFrame,
    node_ids: Mapping[NodeLabel, pd.Index],
    link: Link,
    config: DataConfig,
) -> pd.DataFrame:
    """Joins the facts of all kinds, each once and between the ids that count."""
    columns = values[["relation", "head", "head_label", "load"]]
    attributes = facts_frame({**columns, "tail": attribute_ids(values), "tail_label": ENTITY})
    of_texts = text_facts(texts)
    frame_of = {kind: part.frame for kind, part in stated.items()}
    frames = [attributes, *of_texts, *frame_of.values()]
    ids = vocabulary(
        [frame[end] for frame in frames for end in ("head", "tail")]
        + [link.pairs["item"], link.pairs["entity"], link.identities.members["id"]]
    )
    names = vocabulary([frame["relation"] for frame in frames])
    link = link.encoded(ids)

    def ready(frame: pd.DataFrame) -> pd.DataFrame:
        types = {"relation": names, "head": ids, "tail": ids}
        return frame.assign(**{name: encoded(frame[name], kind) for name, kind in types.items()})

    attributes = link.redirected(ready(attributes))
    # What entities are like is told of those only that something else speaks of.
    of_entities = (attributes["head_label"] == ENTITY).to_numpy()
    parts = [attributes[~of_entities]]
    parts += [link.redirected(ready(edges)) for edges in of_texts]
    mentioned = entities_of(pd.concat(parts))

    triples = link.recognised(ready(frame_of["triples"]), node_ids[NodeLabel.ITEM])
    triples = once(link.redirected(triples), "triples")
    tables = stated["triples"].tables
    parts.append(about_known(triples, tables, mentioned, config.unknown_triples))
    for kind, label in _BETWEEN.items():
        edges = between(ready(frame_of[kind]), label, node_ids[label])
        parts.append(once(link.redirected(edges), "edges"))
    parts.append(occurring(pd.concat(parts), attributes[of_entities]))
    return without_hubs(merged(parts), config.cleaning.max_fan_out)


def _say_undescribed(table: NodeTable, active: pd.Index, identities: Identities) -> None:
    """Says how many items of the interactions no table describes, if there are tables."""
    ids = [identities.canonical(NodeLabel.ITEM, ids.to_series()) for ids in table.ids.values()]
    if not sum(map(len, ids)):
        return
    described = pd.Index(pd.concat(ids).unique())
    lacking = active[~among(active.to_series(), described)]
    note("interactions", "not in a table", len(lacking), map(repr, lacking), number=len(active))
