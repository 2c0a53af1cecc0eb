"""The journal's rows into one Dataset, or into the changes that new interactions make to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import DataConfig, Kind
from kgrec.data.cleaning.report import Report, current_report
from kgrec.data.fingerprint import edge_hashes, hash_ids, node_hashes, total, version_of
from kgrec.data.journal.events import Events
from kgrec.data.journal.journal import Journal, Part
from kgrec.data.journal.manifest import GraphRecord
from kgrec.data.tables import Changes, Dataset, named_edges
from kgrec.data.view.identities import Identities, read_identities
from kgrec.data.view.interactions import InteractionView, derive_interactions
from kgrec.data.view.knowledge import KnowledgeView, derive_knowledge
from kgrec.data.view.nodes import table_ids
from kgrec.data.view.rows import SourceRows
from kgrec.data.view.scaling import Scale
from kgrec.data.view.splits import HeldOutIds, is_local
from kgrec.errors import DataError
from kgrec.schema import NodeLabel, Split

#: Events that are folded at once, where a user's events can be folded without the others'.
PART_EVENTS = 5_000_000

#: Kinds of source whose rows depend on what is held out, or merge ids.
_ENTANGLED = ("reviews", "queries", "same_as")

_CODED = (NodeLabel.USER, NodeLabel.ITEM)


@dataclass(frozen=True)
class _CodedIds:
    """What codes stand for.

    Attributes:
        ids: Per label the id of each code, object (n,).
        hashes: Per label their hashes, uint64 (n,).
        canonical: Per label the code that counts for each code, int32 (n,); None where each counts
            for itself.
    """

    ids: Mapping[NodeLabel, npt.NDArray[np.object_]]
    hashes: Mapping[NodeLabel, npt.NDArray[np.uint64]]
    canonical: Mapping[NodeLabel, npt.NDArray[np.int32] | None]

    def merged(self, events: Events) -> Events:
        """The events with every id replaced by the one that counts for it."""
        user, item = (self.canonical[label] for label in _CODED)
        if user is not None:
            events = replace(events, user=user[events.user])
        if item is not None:
            events = replace(events, item=item[events.item])
        return events

    def derive(
        self, events: Events, config: DataConfig, seed: int, *, whole: bool
    ) -> InteractionView:
        """Does what `derive_interactions` does, with messages that name ids."""
        users, items = (self.ids[label] for label in _CODED)
        return derive_interactions(
            events,
            self.hashes[NodeLabel.USER],
            self.hashes[NodeLabel.ITEM],
            config,
            seed,
            whole=whole,
            name=lambda user, item: (str(users[user]), str(items[item])),
        )


def build_dataset(
    journal: Journal,
    config: DataConfig,
    seed: int,
    *,
    scales: Mapping[str, Scale] | None = None,
    on_events: Callable[[Events], None] | None = None,
) -> tuple[Dataset, Mapping[str, Scale]]:
    """Derives the dataset from all loads that count, and gives the normalisations fitted on it.

    Args:
        journal: The rows.
        config: What is done with them.
        seed: Of the split.
        scales: Normalisations fitted before; None fits them.
        on_events: Is given the events.

    Raises:
        DataError: If the rows cannot be used as they are.
        ConfigError: If a setting does not fit the rows.
        SchemaError: If a relation's name gives no relationship type.
    """
    rows = _rows(journal, config)
    same = rows.get("same_as", ())
    identities = read_identities(same, _known_ids(journal, rows) if same else None)
    coded = _coded_ids(journal, identities)
    view = _derive(journal, coded, config, seed, on_events)
    if not view.users.any():
        raise DataError("no interaction is left; see what was left out with kgrec check")
    train = np.unique(view.splits[Split.TRAIN]["tail"].to_numpy())
    knowledge = derive_knowledge(
        rows,
        _first_loads(journal, NodeLabel.USER, coded, view.users),
        _first_loads(journal, NodeLabel.ITEM, coded, view.items),
        HeldOutIds(view.held_out, coded.ids),
        pd.Index(coded.ids[NodeLabel.ITEM][train]),
        identities,
        config,
        scales,
    )
    return _assembled(journal, coded, view, knowledge), knowledge.scales


def _coded_ids(journal: Journal, identities: Identities) -> _CodedIds:
    """Gives what the journal's codes stand for; an id that counts for others gets a code."""
    ids, hashes, canonical = {}, {}, {}
    for label in _CODED:
        own = journal.codes(label).ids()
        targets = identities.canonical(label, pd.Series(own, dtype="str"))
        merged = None
        if (targets.to_numpy() != np.asarray(own, dtype=object)).any():
            places = {key: code for code, key in enumerate(own)}
            merged = np.array([places.setdefault(key, len(places)) for key in targets], np.int32)
            extra = np.arange(len(own), len(places), dtype=np.int32)
            own, merged = list(places), np.concatenate([merged, extra])
        ids[label] = np.asarray(own, dtype=object)
        hashes[label] = hash_ids(pd.Index(ids[label]))
        canonical[label] = merged
    return _CodedIds(ids, hashes, canonical)


def _rows(journal: Journal, config: DataConfig) -> dict[Kind, list[SourceRows]]:
    """Reads the rows that are no events, by kind and source, in the order of the settings."""
    tables: dict[Kind, list[SourceRows]] = {}
    for source in config.all_sources():
        if source.kind == "interactions":
            continue
        records = [
            record
            for record in journal.active(source.kind)
            if record.load.source == source.name and record.rows_in
        ]
        if records:
            frame = pd.concat([journal.rows(record) for record in records], ignore_index=True)
            origins = {r.load.number: tuple(f.origin for f in r.files) for r in records}
            tables.setdefault(source.kind, []).append(SourceRows(source, frame, origins))
    return tables


def _derive(
    journal: Journal,
    coded: _CodedIds,
    config: DataConfig,
    seed: int,
    on_events: Callable[[Events], None] | None,
) -> InteractionView:
    """Folds all events; part by part where that gives the same, since it takes less memory."""
    behaviours = tuple(config.all_behaviours())
    alone = is_local(config) and coded.canonical[NodeLabel.USER] is None
    count = max(-(-journal.num_events() // PART_EVENTS), 1) if alone else 1
    views = []
    for number in range(count):
        events = coded.merged(journal.events(behaviours, part=Part(number, count)))
        if on_events is not None:
            on_events(events)
        views.append(coded.derive(events, config, seed, whole=count == 1))
        del events
    return views[0] if count == 1 else InteractionView.joined(views)


def _known_ids(
    journal: Journal, rows: Mapping[Kind, list[SourceRows]]
) -> dict[NodeLabel, pd.Index]:
    """All ids of users and items that events or their tables name."""
    kinds: dict[NodeLabel, Kind] = {NodeLabel.USER: "users", NodeLabel.ITEM: "items"}
    ids_of = {}
    for label, kind in kinds.items():
        ids = np.asarray(journal.codes(label).ids(), dtype=object)
        named_ids = ids[journal.is_named(label, journal.active("interactions"))]
        ids_of[label] = pd.Index(named_ids, dtype="str").union(table_ids(rows.get(kind, ())))
    return ids_of


def _first_loads(
    journal: Journal, label: NodeLabel, coded: _CodedIds, keep: npt.NDArray[np.bool_]
) -> pd.Series:
    """The load that first named each id that counts and is kept, by the id."""
    first = journal.first_loads(label)
    canonical = coded.canonical[label]
    counts = np.arange(len(first)) if canonical is None else canonical[: len(first)]
    load = np.full(len(keep), np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(load, counts, first)
    return pd.Series(load[keep].astype(np.int64), index=pd.Index(coded.ids[label][keep]))


def _assembled(
    journal: Journal,
    coded: _CodedIds,
    view: InteractionView,
    knowledge: KnowledgeView,
) -> Dataset:
    index = {label: pd.Index(frame["id"]) for label, frame in knowledge.nodes.items()}
    place = {
        label: index[label].get_indexer(pd.Index(coded.ids[label])).astype(np.int32)
        for label in _CODED
    }
    relations = [replace(table, edges=_with_ends(table.edges, place)) for table in view.behaviours]
    for table in knowledge.relations:
        ends = {
            end: index[label].get_indexer(pd.Index(table.edges[end])).astype(np.int32)
            for label, end in ((table.key.head, "head"), (table.key.tail, "tail"))
        }
        relations.append(replace(table, edges=table.edges.assign(**ends)))
    return Dataset(
        knowledge.nodes,
        {split: _with_ends(frame, place) for split, frame in view.splits.items()},
        tuple(sorted(relations, key=lambda table: table.key)),
        tuple(record.load for record in journal.active()),
        current_report().notes(),
    )


def _with_ends(edges: pd.DataFrame, ends: Mapping[NodeLabel, npt.NDArray[Any]]) -> pd.DataFrame:
    """Edges from users to items with something else, per label by code, in the place of codes."""
    return edges.assign(
        head=ends[NodeLabel.USER][edges["head"].to_numpy()],
        tail=ends[NodeLabel.ITEM][edges["tail"].to_numpy()],
    )


def derive_changes(
    journal: Journal, graph: GraphRecord, config: DataConfig, seed: int
) -> Changes | None:
    """Gives what the loads since a graph was written change in it, without deriving all of it anew.

    Where every step of the settings depends on a user's own rows alone, only the users that the new
    rows name can change. They are derived twice, without and with the new rows; the difference is
    what a store has to write.

    Args:
        journal: The rows.
        graph: What the graph holds; derived with the same settings.
        config: What is done with rows.
        seed: Of the split.

    Returns:
        The changes; None if more than the interactions of some users may have changed, so that
        the graph must be derived as a whole.
    """
    active, earlier = journal.active(), set(graph.loads)
    before = [record for record in active if record.load.number in earlier]
    new_loads = [record for record in active if record.load.number not in earlier]
    if (
        len(before) < len(graph.loads)
        or any(record.load.kind != "interactions" for record in new_loads)
        or any(record.load.kind in _ENTANGLED for record in active)
        or config.cleaning.max_per_day is not None
        or not is_local(config)
    ):
        return None
    behaviours = tuple(config.all_behaviours())
    coded = _coded_ids(journal, read_identities(()))
    concerned = np.zeros(len(coded.ids[NodeLabel.USER]), dtype=bool)
    concerned[journal.events(behaviours, loads=new_loads).user] = True

    events = journal.events(behaviours, users=concerned)
    is_old = np.isin(events.load, graph.loads)
    with Report():  # said when they came
        old = coded.derive(events.take(is_old), config, seed, whole=False)
    new = coded.derive(events, config, seed, whole=False)
    items = journal.is_named(NodeLabel.ITEM, before)
    fresh = {NodeLabel.USER: new.users & ~old.users, NodeLabel.ITEM: new.items & ~items}
    nodes = _new_nodes(journal, coded, fresh)
    return None if nodes is None else _changes(journal, graph, coded, old, new, nodes)


def _new_nodes(
    journal: Journal, coded: _CodedIds, fresh: Mapping[NodeLabel, npt.NDArray[np.bool_]]
) -> dict[NodeLabel, pd.DataFrame] | None:
    """Gives the nodes that only the new rows name; None if another row speaks of one of them."""
    mentioned = journal.mentioned() if any(mask.any() for mask in fresh.values()) else set()
    nodes = {}
    for label, mask in fresh.items():
        codes = np.flatnonzero(mask)
        ids = coded.ids[label][codes]
        if not mentioned.isdisjoint(ids):
            return None
        load = journal.first_loads(label)[codes].astype(np.int64)
        nodes[label] = pd.DataFrame({"id": pd.Series(ids, dtype="str"), "load": load})
    return nodes


def _changes(
    journal: Journal,
    graph: GraphRecord,
    coded: _CodedIds,
    old: InteractionView,
    new: InteractionView,
    nodes: dict[NodeLabel, pd.DataFrame],
) -> Changes:
    value = int(graph.version, 16)
    for label, frame in nodes.items():
        value += total(node_hashes(label, hash_ids(frame["id"]), frame.drop(columns="id")))
    edges, gone_edges, more = {}, {}, 0
    # Both have the same sets of edges, those of the settings.
    sides = [named_edges(view.splits, view.behaviours) for view in (old, new)]
    for (name, key, old_edges), (_, _, new_edges) in zip(*sides, strict=True):
        was, now = (
            frame.set_index(pd.Index(edge_hashes(name, key, frame, coded.hashes)))
            for frame in (old_edges, new_edges)
        )
        value += total(now.index.to_numpy()) - total(was.index.to_numpy())
        more += len(now) - len(was)
        upserts, deletions = now[~now.index.isin(was.index)], was[~was.index.isin(now.index)]
        deletions = deletions[~_pairs(deletions).isin(_pairs(now))]
        if len(upserts):
            edges[key] = _with_ends(upserts, coded.ids).reset_index(drop=True)
        if len(deletions):
            pairs = _with_ends(deletions[["head", "tail"]], coded.ids)
            gone_edges[key] = pairs.reset_index(drop=True)
    catalogue = {key: (name, key, role) for name, key, role in graph.catalogue}
    catalogue |= {t.key: (t.name, t.key, t.role) for t in new.behaviours}
    return Changes(
        base=graph.version,
        version=version_of(value),
        nodes={label: frame for label, frame in nodes.items() if len(frame)},
        gone_nodes={},
        edges=edges,
        gone_edges=gone_edges,
        catalogue=tuple(catalogue[key] for key in sorted(catalogue)),
        loads=tuple(record.load for record in journal.active()),
        more_nodes=sum(map(len, nodes.values())),
        more_edges=more,
    )


def _pairs(frame: pd.DataFrame) -> pd.Series:
    return frame["head"].astype(np.int64) * 2**32 + frame["tail"].astype(np.int64)
