"""The journal's rows into one Dataset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import DataConfig, Kind
from kgrec.data.cleaning.report import current_report
from kgrec.data.fingerprint import hash_ids
from kgrec.data.journal.events import Events
from kgrec.data.journal.journal import Journal, Part
from kgrec.data.tables import Dataset
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

_CODED = (NodeLabel.USER, NodeLabel.ITEM)
_Positions = npt.NDArray[np.int32]


@dataclass(frozen=True)
class CodedIds:
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
    coded = coded_ids(journal, identities)
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


def coded_ids(journal: Journal, identities: Identities) -> CodedIds:
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
    return CodedIds(ids, hashes, canonical)


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
    coded: CodedIds,
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
    journal: Journal, label: NodeLabel, coded: CodedIds, keep: npt.NDArray[np.bool_]
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
    coded: CodedIds,
    view: InteractionView,
    knowledge: KnowledgeView,
) -> Dataset:
    index = {label: pd.Index(frame["id"]) for label, frame in knowledge.nodes.items()}
    place = {
        label: index[label].get_indexer(pd.Index(coded.ids[label])).astype(np.int32)
        for label in _CODED
    }
    relations = [replace(table, edges=_placed(table.edges, place)) for table in view.behaviours]
    for table in knowledge.relations:
        ends = {
            end: index[label].get_indexer(pd.Index(table.edges[end])).astype(np.int32)
            for label, end in ((table.key.head, "head"), (table.key.tail, "tail"))
        }
        relations.append(replace(table, edges=table.edges.assign(**ends)))
    return Dataset(
        knowledge.nodes,
        {split: _placed(frame, place) for split, frame in view.splits.items()},
        tuple(sorted(relations, key=lambda table: table.key)),
        tuple(record.load for record in journal.active()),
        current_report().notes(),
    )


def _placed(edges: pd.DataFrame, place: Mapping[NodeLabel, _Positions]) -> pd.DataFrame:
    """Edges from users to items with positions instead of codes."""
    return edges.assign(
        head=place[NodeLabel.USER][edges["head"].to_numpy()],
        tail=place[NodeLabel.ITEM][edges["tail"].to_numpy()],
    )
