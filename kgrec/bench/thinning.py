"""Makes dense users sparse, so that it is seen what helps those of whom little is known."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config.bench import ThinConfig
from kgrec.data.tables import Dataset, RelationTable
from kgrec.schema import NodeLabel, Role, Split


def thinned(dataset: Dataset, config: ThinConfig, seed: int) -> Dataset:
    """Takes most of their train interactions from some users; valid, test and the graph stay.

    Who is drawn and what stays depends on ids and the seed alone, not on the order of rows. What
    else such a user did with an item that was taken (viewed it, say) is taken as well.

    Args:
        dataset: With its splits.
        config: How many users, and what each keeps.
        seed: Of the draws.
    """
    train = dataset.interactions[Split.TRAIN]
    user, item = train["head"].to_numpy(), train["tail"].to_numpy()
    place = {
        label: np.argsort(np.argsort(dataset.nodes[label]["id"].to_numpy(dtype=str)))
        for label in (NodeLabel.USER, NodeLabel.ITEM)
    }
    order = np.lexsort((place[NodeLabel.ITEM][item], place[NodeLabel.USER][user]))
    rng = np.random.default_rng(seed)
    owner = place[NodeLabel.USER][user][order]  # (n,) ascending
    count = np.bincount(owner, minlength=len(place[NodeLabel.USER]))
    dense = np.flatnonzero(count > config.keep)
    thinned_users = rng.choice(dense, round(config.share * len(dense)), replace=False)
    shuffled = np.lexsort((rng.random(len(owner)), owner))
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    is_removed = np.zeros(len(owner), dtype=bool)
    is_removed[order[shuffled]] = (rank >= config.keep) & np.isin(owner, thinned_users)
    keys = _keys(train[is_removed], dataset)
    relations = tuple(_without(table, keys, dataset) for table in dataset.relations)
    remaining = train[~is_removed].reset_index(drop=True)
    return replace(
        dataset,
        interactions={**dataset.interactions, Split.TRAIN: remaining},
        relations=relations,
    )


def _keys(edges: pd.DataFrame, dataset: Dataset) -> npt.NDArray[np.int64]:
    width = len(dataset.nodes[NodeLabel.ITEM])
    keys: npt.NDArray[np.int64] = edges["head"].to_numpy(dtype=np.int64) * width + edges["tail"]
    return np.asarray(keys)


def _without(table: RelationTable, keys: npt.NDArray[np.int64], dataset: Dataset) -> RelationTable:
    if table.role not in (Role.EVIDENCE, Role.NEGATIVE):
        return table
    is_kept = ~np.isin(_keys(table.edges, dataset), keys)
    return replace(table, edges=table.edges[is_kept].reset_index(drop=True))
