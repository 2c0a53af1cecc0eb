"""Cautions: relations and properties that may know the answers, and splits that surprise.

A relation is judged by how well it connects a user's held-out pair, compared to the same user's
pair with a random item as popular, and to a train pair of the user, each without that train pair.
Far better than the random pair is what a useful relation does as well. Better than the train pair
it is only if it knows what is held out; worse, if it was made from train.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from kgrec.data.card.card import LEVELS, Caution, Level, SplitSummary
from kgrec.data.card.holdout import SURE, order_cautions, popularity_cautions, unseen_cautions
from kgrec.data.card.paths import (
    Coverage,
    EntityPaths,
    direct,
    over_entity,
    through_entities,
    through_items,
    through_users,
)
from kgrec.data.card.sample import Sample, draw_sample
from kgrec.data.card.statistics import ends
from kgrec.data.tables import Dataset, RelationTable
from kgrec.schema import NodeLabel, Role, Split

#: Fewer held-out pairs than this tell nothing.
FEWEST_PAIRS = 30
#: How many times as often as at random counts as far more than chance.
_FAR_MORE = 5.0
#: How many times as often as fewer paths than the train pair's counts as knowing the held-out one.
_BEYOND_TRAIN = 1.5
#: A relation that connects a smaller share of the held-out pairs can do little harm.
_LEAST_SHARE = 0.01
#: A relation of items or users that connects so many may have been made from all interactions.
_SUSPECT_SHARE = 0.1
#: Share of held-out pairs among those that paths join beyond train, from which on they give
#: them away.
_FEW_OTHERS = 0.2

_USER, _ITEM, _ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY


def find_cautions(
    dataset: Dataset, splits: tuple[SplitSummary, ...], split_kind: str | None, seed: int
) -> tuple[Caution, ...]:
    """Looks for what may mislead; the work is bounded, whatever the size of the data.

    Args:
        dataset: The tables.
        splits: Their summaries.
        split_kind: How the split was made; None if the files say it.
        seed: Of the pairs that are drawn.

    Returns:
        The cautions, the surest first.
    """
    rng = np.random.default_rng(seed)
    cautions = [
        *relation_cautions(dataset, draw_sample(dataset, rng), rng),
        *popularity_cautions(dataset, rng),
        *order_cautions(dataset, split_kind),
        *unseen_cautions(splits, split_kind),
    ]
    return tuple(sorted(cautions, key=lambda caution: LEVELS.index(caution.level)))


def relation_cautions(
    dataset: Dataset, sample: Sample | None, rng: np.random.Generator
) -> Iterator[Caution]:
    """Looks at every relation and behaviour, and at the paths of two over an entity."""
    if sample is None or len(sample) < FEWEST_PAIRS:
        return
    size = {label: len(frame) for label, frame in dataset.nodes.items()}
    for table in dataset.relations:
        labels = {table.key.head, table.key.tail}
        if not len(table.edges) or table.role is Role.IDENTITY:
            continue
        if labels == {_USER, _ITEM}:
            turned = table.key.head is _ITEM
            coverage = direct(table.edges, sample, size[_USER], turned=turned)
            yield from _direct_caution(table, coverage)
        elif labels == {_ITEM}:
            yield from _path_caution(table, through_items(table.edges, sample, rng))
        elif labels == {_USER}:
            train = dataset.interactions[Split.TRAIN]
            coverage = through_users(table.edges, sample, train, size[_USER], rng)
            yield from _path_caution(table, coverage)
        elif labels == {_ITEM, _ENTITY}:
            coverage = through_entities(_from(table, _ITEM), size[_ENTITY], sample, rng)
            yield from _path_caution(table, coverage)
    for first, second in _joined(dataset):
        paths = over_entity(
            _from(first, _USER), _from(second, _ENTITY), (size[_USER], size[_ENTITY]), sample, rng
        )
        if paths is not None:
            yield from _entity_caution(first, second, paths)


def exceeds(above: int, below: int, times: float) -> bool:
    """Tells whether rows go one way so many times as often as the other, and not by accident.

    Args:
        above: Rows that go one way.
        below: Rows that go the other way.
        times: The least ratio.
    """
    error = math.sqrt(above + below)
    sure = error > 0 and (above - below) / error >= SURE
    return sure and above >= times * below


def _direct_caution(table: RelationTable, coverage: Coverage) -> Iterator[Caution]:
    far = exceeds(coverage.above_control, coverage.below_control, _FAR_MORE)
    if far and coverage.held_out >= _LEAST_SHARE * coverage.pairs:
        yield _caution(
            "leak",
            f"{table.role} {table.name}",
            f"It joins the user and the item of {_shares(coverage)}",
            "Remove its edges for held-out pairs: a model reads the answer off them.",
            coverage,
        )


def _path_caution(table: RelationTable, coverage: Coverage) -> Iterator[Caution]:
    if coverage.held_out < _LEAST_SHARE * coverage.pairs:
        return
    labels = {table.key.head, table.key.tail}
    does = {
        frozenset({_ITEM}): "It leads from an item of the user to that of",
        frozenset({_USER}): "It leads from the user to one who has the item of",
        frozenset({_ITEM, _ENTITY}): "It shares an entity between an item of the user and that of",
    }[frozenset(labels)]
    measured = f"{does} {_shares(coverage)}"
    far = exceeds(coverage.above_control, coverage.below_control, 2.0)
    if far and exceeds(coverage.above_seen, coverage.below_seen, _BEYOND_TRAIN):
        yield _caution(
            "leak",
            f"relation {table.name}",
            measured,
            f"More such paths lead to the held-out pair than to the user's train pair "
            f"{coverage.above_seen:,} times, fewer {coverage.below_seen:,} times: as if it was "
            f"made from what is held out. Make it from what was known before the cut, or drop it "
            f"under [data.relations].",
            coverage,
        )
    elif (
        labels != {_ITEM, _ENTITY}
        and exceeds(coverage.above_control, coverage.below_control, _FAR_MORE)
        and coverage.held_out >= _SUSPECT_SHARE * coverage.pairs
        # Made from train alone, it knows train pairs better.
        and not exceeds(coverage.below_seen, coverage.above_seen, _BEYOND_TRAIN)
    ):
        yield _caution(
            "suspect",
            f"relation {table.name}",
            measured,
            "Good knowledge looks like this, and so does a relation that was computed from all "
            "interactions, the held-out ones among them: find out when and from what it was made.",
            coverage,
        )


def _entity_caution(
    first: RelationTable, second: RelationTable, paths: EntityPaths
) -> Iterator[Caution]:
    coverage = paths.coverage
    far = exceeds(coverage.above_control, coverage.below_control, _FAR_MORE)
    if not far or coverage.held_out < _LEAST_SHARE * coverage.pairs:
        return
    news = paths.reached - paths.reached_train
    sure = paths.reached_held_out >= _FEW_OTHERS * news or exceeds(
        coverage.above_seen, coverage.below_seen, _BEYOND_TRAIN
    )
    # Once reviews and searches of held-out pairs are gone, they know train pairs better.
    if not sure and (
        coverage.held_out < _SUSPECT_SHARE * coverage.pairs
        or coverage.below_seen > coverage.above_seen
    ):
        return
    num_others = paths.reached - paths.reached_held_out - paths.reached_train
    yield _caution(
        "leak" if sure else "suspect",
        f"relations {first.name} and {second.name}",
        f"They lead over an entity from the user to the item of {_shares(coverage)}. Of all "
        f"{paths.reached:,} pairs that they join, {paths.reached_held_out:,} are held out, "
        f"{paths.reached_train:,} in train and {num_others:,} neither",
        "Leave out the entities that come from held-out interactions (a review, a search), or "
        "their edges: a model reads the answer off them."
        if sure
        else "This may be taste. If these entities come from interactions (a review, a search), "
        "see that none comes from a held-out one.",
        coverage,
        reached=paths.reached,
        reached_held_out=paths.reached_held_out,
        reached_train=paths.reached_train,
    )


def _shares(coverage: Coverage) -> str:
    control = max(coverage.control, 1)
    return (
        f"{coverage.held_out:,} of {coverage.pairs:,} held-out pairs "
        f"({coverage.held_out / coverage.pairs:.1%}); of {coverage.control:,} "
        f"({coverage.control / coverage.pairs:.1%}) with a random item as popular, so "
        f"{coverage.held_out / control:.0f} times as often as at random; and of {coverage.seen:,} "
        f"train pairs ({coverage.seen / coverage.pairs:.1%})"
    )


def _caution(
    level: Level, subject: str, measured: str, advice: str, coverage: Coverage, **numbers: int
) -> Caution:
    lift = coverage.held_out / max(coverage.control, 1)
    return Caution(
        level, subject, f"{measured}.", advice, {**asdict(coverage), "lift": lift, **numbers}
    )


def _joined(dataset: Dataset) -> Iterator[tuple[RelationTable, RelationTable]]:
    """Gives relations of users and entities with those of entities and items."""
    tables = [table for table in dataset.relations if len(table.edges)]
    for first in tables:
        if {first.key.head, first.key.tail} != {_USER, _ENTITY}:
            continue
        connected = np.zeros(len(dataset.nodes[_ENTITY]), bool)
        connected[_from(first, _USER)[1]] = True
        for second in tables:
            if {second.key.head, second.key.tail} == {_ITEM, _ENTITY} and bool(
                connected[_from(second, _ENTITY)[0]].any()
            ):
                yield first, second


def _from(table: RelationTable, label: NodeLabel) -> tuple[np.ndarray, np.ndarray]:
    """Gives the edges' ends, those of a label first."""
    head, tail = ends(table.edges)
    return (head, tail) if table.key.head is label else (tail, head)
