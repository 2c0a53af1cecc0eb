"""A data set to look for leaks in: eight tastes, ten train and two held-out items a user."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from kgrec.data.tables import Dataset, RelationTable
from kgrec.schema import EdgeKey, NodeLabel, Role, Split, relation_type

NUM_USERS, NUM_ITEMS, TASTES, TRAIN, HELD_OUT = 400, 1600, 8, 10, 2
USER, ITEM, ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY

Pair = tuple[int, int]


def frame(pairs: Iterable[Pair], **columns: object) -> pd.DataFrame:
    """Edges by positions."""
    told = list(pairs)
    edges = pd.DataFrame({"head": [h for h, _ in told], "tail": [t for _, t in told]}, dtype=int)
    return edges.assign(**columns)


def relation(
    name: str, head: NodeLabel, tail: NodeLabel, pairs: Iterable[Pair], role: Role = Role.RELATION
) -> RelationTable:
    return RelationTable(
        name, EdgeKey(relation_type(name), head, tail), frame(sorted(set(pairs))), role
    )


def nodes(label: NodeLabel, number: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"{label[0]}{n}" for n in range(number)]}).assign(**columns)


def dataset_of(
    train: Iterable[Pair],
    test: Iterable[Pair],
    relations: Iterable[RelationTable] = (),
    *,
    users: int = NUM_USERS,
    items: int = NUM_ITEMS,
    entities: int = 0,
    **item_columns: object,
) -> Dataset:
    return Dataset(
        {
            USER: nodes(USER, users),
            ITEM: nodes(ITEM, items, **item_columns),
            ENTITY: nodes(ENTITY, entities),
        },
        {Split.TRAIN: frame(train), Split.VALID: frame([]), Split.TEST: frame(test)},
        tuple(relations),
    )


class Tastes:
    """Interactions that follow taste and popularity, and nothing else.

    Attributes:
        train: Pairs of user and item.
        test: Likewise.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.train: list[Pair] = []
        self.test: list[Pair] = []
        for user in range(NUM_USERS):
            own = np.arange(user % TASTES, NUM_ITEMS, TASTES)
            appeal = 1 / np.sqrt(1 + np.arange(len(own)))
            chosen = self.rng.choice(own, TRAIN + HELD_OUT, replace=False, p=appeal / appeal.sum())
            self.rng.shuffle(chosen)
            self.train += [(user, int(item)) for item in chosen[:TRAIN]]
            self.test += [(user, int(item)) for item in chosen[TRAIN:]]

    def items_of(self, user: int) -> list[int]:
        """The train items of a user."""
        return [item for _, item in self.train[TRAIN * user : TRAIN * (user + 1)]]

    def dataset(
        self, *relations: RelationTable, entities: int = 0, **item_columns: object
    ) -> Dataset:
        return dataset_of(
            self.train, self.test, relations, users=NUM_USERS, items=NUM_ITEMS, entities=entities,
            **item_columns,
        )  # fmt: skip

    def timed(self, train: np.ndarray, test: np.ndarray) -> Dataset:
        """The data set with times (pairs,)."""
        plain = self.dataset()
        return replace(
            plain,
            interactions={
                Split.TRAIN: frame(self.train, time=train),
                Split.TEST: frame(self.test, time=test),
            },
        )
