"""Which pairs of a user and an item a relation connects."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kgrec.data.card.sample import Index, Mask, Sample, contains, edge_keys
from kgrec.data.card.statistics import degrees_of, ends

#: Neighbours of one node that are followed, about; others are left out at random.
MOST_NEIGHBOURS = 100
#: Train interactions whose items' entities are counted.
_MOST_PROFILE = 100_000


@dataclass(frozen=True)
class Coverage:
    """How pairs of a sample are connected; row by row the three sorts are of one user.

    Where a path leads through train interactions of the user, the one that the train pair of the
    row is goes unseen for all three, so that each has a history of the same length.

    Attributes:
        pairs: Rows.
        held_out: Rows whose held-out pair is connected.
        control: Rows whose pair of the user and a random item as popular is.
        seen: Rows whose train pair is.
        above_control: Rows where more paths connect the held-out pair than the control pair.
        below_control: Rows where fewer do.
        above_seen: Rows where more paths connect the held-out pair than the train pair.
        below_seen: Rows where fewer do.
    """

    pairs: int
    held_out: int
    control: int
    seen: int
    above_control: int
    below_control: int
    above_seen: int
    below_seen: int

    @classmethod
    def of(cls, paths: Index | Mask) -> "Coverage":
        """Compares numbers of paths (3, rows), of pairs as in `Sample.items`."""
        held_out, control, seen = paths.astype(np.int64)
        tests = (held_out, control, seen, held_out > control, held_out < control)
        counts = (np.count_nonzero(x) for x in (*tests, held_out > seen, held_out < seen))
        return cls(len(held_out), *map(int, counts))


@dataclass(frozen=True)
class Neighbours:
    """Neighbours of marked nodes: those of node n are `ends[starts[n]:starts[n + 1]]`."""

    starts: Index
    ends: Index

    def of(self, nodes: Index) -> tuple[Index, Index]:
        """Gives all neighbours of nodes (n,): the position of the node each is of, and itself."""
        counts = self.starts[nodes + 1] - self.starts[nodes]
        row = np.repeat(np.arange(len(nodes)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return row, self.ends[self.starts[nodes][row] + within]


def neighbours(
    directions: list[tuple[np.ndarray, np.ndarray]], mask: Mask, rng: np.random.Generator
) -> Neighbours:
    """Follows edges from wanted nodes.

    Args:
        directions: Pairs of nodes (m,) and what they lead to (m,).
        mask: Which nodes are asked for, (nodes,).
        rng: Draws among the neighbours of a node that has too many.
    """
    sources, targets = [], []
    for source, target in directions:
        edges = np.flatnonzero(mask[source])
        sources.append(source[edges].astype(np.int64))
        targets.append(target[edges].astype(np.int64))
    source, target = np.concatenate(sources), np.concatenate(targets)
    degree = degrees_of(source, len(mask))
    if degree.max(initial=0) > MOST_NEIGHBOURS:
        edges = np.flatnonzero(rng.random(len(source)) * degree[source] < MOST_NEIGHBOURS)
        source, target = source[edges], target[edges]
        degree = degrees_of(source, len(mask))
    order = np.argsort(source, kind="stable")
    return Neighbours(np.concatenate([[0], np.cumsum(degree)]), target[order])


def through_items(edges: pd.DataFrame, sample: Sample, rng: np.random.Generator) -> Coverage:
    """Covers pairs whose item is an edge away, either way, from another train item of the user."""
    head, tail = ends(edges)
    near = neighbours([(head, tail), (tail, head)], _marked(sample.num_items, sample.items), rng)
    paths = []
    for items in sample.items:
        row, neighbour = near.of(items)
        in_history = contains(sample.own, sample.user[row] * sample.num_items + neighbour)
        in_history &= (neighbour != items[row]) & (neighbour != sample.items[2, row])
        paths.append(_counts(row[in_history], len(sample)))
    return Coverage.of(np.stack(paths))


def through_users(
    edges: pd.DataFrame,
    sample: Sample,
    train: pd.DataFrame,
    num_users: int,
    rng: np.random.Generator,
) -> Coverage:
    """Covers pairs whose item is in the train of another user an edge away, either way."""
    head, tail = ends(edges)
    near = neighbours([(head, tail), (tail, head)], _marked(num_users, sample.user), rng)
    row, neighbour = near.of(sample.user)
    apart = neighbour != sample.user[row]
    row, neighbour = row[apart], neighbour[apart]
    keys = neighbour * sample.num_items + sample.items[:, row]
    in_train = _among(train, keys, num_users, sample.num_items)
    return Coverage.of(np.stack([_counts(row[part], len(sample)) for part in in_train]))


def direct(edges: pd.DataFrame, sample: Sample, num_users: int, *, turned: bool) -> Coverage:
    """Covers pairs that are edges themselves; `turned` where the item is the head."""
    frame = edges.rename(columns={"head": "tail", "tail": "head"}) if turned else edges
    return Coverage.of(_among(frame, sample.keys, num_users, sample.num_items))


def through_entities(
    item_to_entity: tuple[np.ndarray, np.ndarray],
    num_entities: int,
    sample: Sample,
    rng: np.random.Generator,
) -> Coverage:
    """Covers pairs whose item shares an entity with another train item of the user."""
    sample = _first_users(sample)
    user, item = np.divmod(sample.own, sample.num_items)
    marked = _marked(sample.num_items, item) | _marked(sample.num_items, sample.items)
    near = neighbours([item_to_entity], marked, rng)
    row, entity = near.of(item)
    keys, counts = np.unique(user[row] * num_entities + entity, return_counts=True)
    hidden_row, hidden = near.of(sample.items[2])
    hidden_keys = np.unique(hidden_row * num_entities + hidden)
    paths = []
    for items in sample.items:
        row, entity = near.of(items)
        shared = _counted(keys, counts, sample.user[row] * num_entities + entity)
        # The train item of the row goes unseen, so its entities count once less.
        shared -= contains(hidden_keys, row * num_entities + entity)
        paths.append(_counts(row, len(sample), shared))
    return Coverage.of(np.stack(paths))


@dataclass(frozen=True)
class EntityPaths:
    """Paths from users to an entity to an item.

    Attributes:
        coverage: Of the sample's pairs.
        reached: Pairs of a sampled user and an item that such paths give, each once.
        reached_held_out: Those of them that are held out.
        reached_train: Those of them that are in train.
    """

    coverage: Coverage
    reached: int
    reached_held_out: int
    reached_train: int


def over_entity(
    user_to_entity: tuple[np.ndarray, np.ndarray],
    entity_to_item: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int, int],
    sample: Sample,
    rng: np.random.Generator,
) -> EntityPaths | None:
    """Covers pairs that an entity joins; None if no entity joins anything.

    Args:
        user_to_entity: Users and their entities, both (m,).
        entity_to_item: Entities and their items, both (k,).
        sizes: How many users and entities there are.
        sample: Pairs to look at.
        rng: Draws among the neighbours of a node that has too many.
    """
    num_users, num_entities = sizes
    users = np.unique(sample.user)
    first = neighbours([user_to_entity], _marked(num_users, users), rng)
    row, entity = first.of(users)
    if not len(row):
        return None
    second = neighbours([entity_to_item], _marked(num_entities, entity), rng)
    path, item = second.of(entity)
    if not len(path):
        return None
    reached = np.unique(users[row][path] * sample.num_items + item)
    return EntityPaths(
        Coverage.of(contains(reached, sample.keys)),
        len(reached),
        int(contains(sample.held_out_keys, reached).sum()),
        int(contains(sample.own, reached).sum()),
    )


def _first_users(sample: Sample) -> Sample:
    """Keeps the rows and train keys of the first users that are not too many to follow."""
    users, first = np.unique(sample.user, return_index=True)
    users = users[np.argsort(first)]  # in the order in which they were drawn
    begin, end = (np.searchsorted(sample.own, (users + k) * sample.num_items) for k in (0, 1))
    fits = np.cumsum(end - begin) <= _MOST_PROFILE
    fits[:1] = True
    profiled = np.sort(users[fits])
    rows = contains(profiled, sample.user)
    own = sample.own[contains(profiled, sample.own // sample.num_items)]
    return replace(sample, user=sample.user[rows], items=sample.items[:, rows], own=own)


def _counted(ascending: Index, counts: Index, values: Index) -> Index:
    """Gives the counts of values (n,) by ascending ones (m,); 0 for others."""
    if not len(ascending):
        return np.zeros(len(values), np.int64)
    places = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[places] == values, counts[places], 0)


def _among(edges: pd.DataFrame, keys: Index, num_heads: int, num_tails: int) -> Mask:
    """Tells which keys, `head * num_tails + tail` in any shape, are edges."""
    unique_keys = np.unique(keys)
    heads = _marked(num_heads, unique_keys // num_tails)
    tails = _marked(num_tails, unique_keys % num_tails)
    present = np.zeros(len(unique_keys), bool)
    for candidates in edge_keys(edges, heads, tails, num_tails):
        matches = candidates[contains(unique_keys, candidates)]
        present[np.searchsorted(unique_keys, matches)] = True
    return np.asarray(present[np.searchsorted(unique_keys, keys)])


def _marked(size: int, nodes: Index) -> Mask:
    marked = np.zeros(size, bool)
    marked[nodes] = True
    return marked


def _counts(rows: Index, size: int, weights: Index | None = None) -> Index:
    """Counts how often each row occurs, or sums its weights; int64 (size,)."""
    return np.bincount(rows, weights, minlength=size).astype(np.int64)
