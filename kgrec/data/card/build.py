"""A dataset, its report and its events into a data card."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import DataConfig
from kgrec.data.card.card import (
    BehaviourSummary,
    Card,
    PropertySummary,
    RelationSummary,
    SourceSummary,
    SplitSummary,
)
from kgrec.data.card.leaks import find_cautions
from kgrec.data.card.statistics import (
    EventStatistics,
    degrees_of,
    ends,
    iso,
    summarise,
    timeline_of,
    times_of,
)
from kgrec.data.cleaning.report import Report
from kgrec.data.journal.events import NO_TIME
from kgrec.data.tables import Dataset, RelationTable
from kgrec.schema import NodeLabel, Role, Split

_USER, _ITEM, _ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY
#: Times that the 5 % and 95 % points are found from.
_MOST_TIMES = 1_000_000


def build_card(
    dataset: Dataset,
    report: Report,
    config: DataConfig,
    events: EventStatistics | None,
    *,
    name: str = "data",
    seed: int = 0,
) -> Card:
    """Describes a dataset.

    Args:
        dataset: The tables.
        report: What cleaning found.
        config: The settings that they were made with.
        events: Counted before they were folded; None counts the folded ones.
        name: Of the data, for titles.
        seed: Of the pairs that are drawn to look for leaks.
    """
    size = {label: len(dataset.nodes.get(label, ())) for label in NodeLabel}
    ends_in_train = zip((_USER, _ITEM), ends(dataset.interactions[Split.TRAIN]), strict=True)
    degrees = {label: degrees_of(positions, size[label]) for label, positions in ends_in_train}
    splits = _splits(dataset, degrees, size)
    interactions = sum(map(len, dataset.interactions.values()))
    kind = None if config.split is None else config.split.kind
    counted = _folded(dataset, config) if events is None else events
    possible = size[_USER] * size[_ITEM]
    return Card(
        name=name,
        users=size[_USER],
        items=size[_ITEM],
        entities=size[_ENTITY],
        interactions=interactions,
        density=interactions / possible if possible else 0.0,
        split_kind=kind,
        folded=events is None,
        events_per_user=float(np.median(counted.per_user)) if counted.events else 0.0,
        deleted=counted.deleted,
        splits=splits,
        behaviours=tuple(_behaviours(dataset, config, counted)),
        timeline=timeline_of(counted),
        user_degrees=summarise(degrees[_USER]),
        item_degrees=summarise(degrees[_ITEM]),
        relations=_relations(dataset, size),
        items_with_edges=_items_with_edges(dataset, size[_ITEM]),
        properties=tuple(_properties(dataset)),
        sources=tuple(
            SourceSummary(s.name, s.kind, report.rows[s.name], report.rejected(s.name))
            for s in config.all_sources()
            if s.name in report.rows
        ),
        findings=report.findings,
        cautions=find_cautions(dataset, splits, kind, seed),
    )


def _splits(
    dataset: Dataset,
    train: dict[NodeLabel, npt.NDArray[np.int64]],
    size: dict[NodeLabel, int],
) -> tuple[SplitSummary, ...]:
    summaries = []
    for split in Split:
        frame = dataset.interactions.get(split)
        if frame is None:
            continue
        active = {
            label: degrees_of(positions, size[label]) > 0
            for label, positions in zip((_USER, _ITEM), ends(frame), strict=True)
        }
        new = {label: int((mask & (train[label] == 0)).sum()) for label, mask in active.items()}
        times = times_of(frame)
        known_times = times[times != NO_TIME]
        first = early = late = last = None
        if len(known_times):
            sampled_times = known_times[:: -(-len(known_times) // _MOST_TIMES)]
            first, last = known_times.min(), known_times.max()
            early, late = np.percentile(sampled_times, (5, 95))
        summaries.append(
            SplitSummary(
                split=str(split),
                interactions=len(frame),
                users=int(active[_USER].sum()),
                items=int(active[_ITEM].sum()),
                new_users=new[_USER],
                new_items=new[_ITEM],
                without_time=len(frame) - len(known_times),
                first=iso(first),
                early=iso(early),
                late=iso(late),
                last=iso(last),
            )
        )
    return tuple(summaries)


def _folded(dataset: Dataset, config: DataConfig) -> EventStatistics:
    """Counts the edges where nobody counted the events; targets have one name then."""
    statistics = EventStatistics()
    targets = [name for name, b in config.all_behaviours().items() if b.role == "target"]
    sets = [(targets[0] if len(targets) == 1 else "target", f) for f in
            dataset.interactions.values()]  # fmt: skip
    sets += [(table.name, table.edges) for table in dataset.relations if _is_behaviour(table)]
    for name, frame in sets:
        rating = (
            frame["rating"].to_numpy(dtype=np.float64, na_value=np.nan)
            if "rating" in frame
            else np.full(len(frame), np.nan)
        )
        statistics.count(name, ends(frame)[0], times_of(frame), rating)
    return statistics


def _behaviours(
    dataset: Dataset, config: DataConfig, events: EventStatistics
) -> Iterator[BehaviourSummary]:
    roles = {name: str(b.role) for name, b in config.all_behaviours().items()}
    edges = {table.name: len(table.edges) for table in dataset.relations if _is_behaviour(table)}
    roles |= {t.name: str(t.role) for t in dataset.relations if _is_behaviour(t)}
    roles |= {name: "target" for name in events.behaviours if name not in roles}
    for name, role in roles.items():
        statistics = events.behaviours.get(name)
        if statistics is None:
            if name in edges:
                yield BehaviourSummary(name, role, None, edges[name])
            continue
        rated = statistics.events - statistics.without_rating
        yield BehaviourSummary(
            name,
            role,
            statistics.events,
            edges.get(name),
            statistics.without_time,
            statistics.without_rating,
            iso(statistics.first),
            iso(statistics.last),
            statistics.rating_sum / rated if rated else None,
            statistics.ratings(),
        )


def _is_behaviour(table: RelationTable) -> bool:
    return table.role in {Role.EVIDENCE, Role.NEGATIVE}


def _relations(dataset: Dataset, size: dict[NodeLabel, int]) -> tuple[RelationSummary, ...]:
    summaries = []
    for table in dataset.relations:
        if _is_behaviour(table):
            continue
        head, tail = ends(table.edges)
        out, into = degrees_of(head, size[table.key.head]), degrees_of(tail, size[table.key.tail])
        heads, tails = int((out > 0).sum()), int((into > 0).sum())
        summaries.append(
            RelationSummary(
                name=table.name,
                type=table.key.type,
                head=str(table.key.head),
                tail=str(table.key.tail),
                role=str(table.role),
                edges=len(table.edges),
                heads=heads,
                tails=tails,
                mean_out=len(table.edges) / heads if heads else 0.0,
                max_out=int(out.max(initial=0)),
                mean_in=len(table.edges) / tails if tails else 0.0,
                max_in=int(into.max(initial=0)),
            )
        )
    return tuple(sorted(summaries, key=lambda r: (-r.edges, r.type, r.head, r.tail)))


def _items_with_edges(dataset: Dataset, items: int) -> int:
    touched = np.zeros(items, bool)
    for table in dataset.relations:
        if _is_behaviour(table):
            continue
        labels = (table.key.head, table.key.tail)
        for label, positions in zip(labels, ends(table.edges), strict=True):
            if label is _ITEM:
                touched[positions] = True
    return int(touched.sum())


def _properties(dataset: Dataset) -> Iterator[PropertySummary]:
    for label, frame in dataset.nodes.items():
        for name in frame.columns:
            if name in {"id", "load"}:
                continue
            column = frame[name]
            missing = int(column.isna().sum())
            common = (str(label), str(name))
            counts = (len(frame), missing, int(column.nunique()))
            if not pd.api.types.is_numeric_dtype(column.dtype):
                yield PropertySummary(*common, "text", *counts)
                continue
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            values = values[~np.isnan(values)]
            spread = (values.min(), np.median(values), values.max()) if len(values) else ()
            yield PropertySummary(*common, "number", *counts, *map(float, spread))
