"""New interactions into the changes they make to a graph, without deriving the rest of it anew.

Where every step of the settings depends on a user's own rows alone, only the users that the new
rows name can change. They are derived twice, without and with the new rows; the difference is what
a store has to write.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import DataConfig
from kgrec.data.cleaning.report import Report
from kgrec.data.fingerprint import edge_hashes, hash_ids, node_hashes, total, version_of
from kgrec.data.journal.journal import Journal
from kgrec.data.journal.manifest import GraphRecord
from kgrec.data.tables import Changes, named_edges
from kgrec.data.view.build import CodedIds, coded_ids
from kgrec.data.view.identities import read_identities
from kgrec.data.view.interactions import InteractionView
from kgrec.data.view.splits import is_local
from kgrec.schema import EdgeKey, NodeLabel

#: Kinds of source whose rows depend on what is held out, or merge ids.
_ENTANGLED = ("reviews", "queries", "same_as")


def derive_changes(
    journal: Journal, graph: GraphRecord, config: DataConfig, seed: int
) -> Changes | None:
    """Gives what the loads since a graph was written change in it.

    Args:
        journal: The rows.
        graph: What the graph holds; derived with the same settings.
        config: What is done with rows.
        seed: Of the split.

    Returns:
        The changes; None if more than the interactions of some users may have changed, so that
        the graph must be derived as a whole.
    """
    active = journal.active()
    before = [record for record in active if record.load.number in set(graph.loads)]
    new_loads = [record for record in active if record.load.number not in set(graph.loads)]
    if (
        len(before) < len(graph.loads)
        or any(record.load.kind != "interactions" for record in new_loads)
        or any(record.load.kind in _ENTANGLED for record in active)
        or config.cleaning.max_per_day is not None
        or not is_local(config)
    ):
        return None
    behaviours = tuple(config.all_behaviours())
    coded = coded_ids(journal, read_identities(()))
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
    journal: Journal, coded: CodedIds, fresh: Mapping[NodeLabel, npt.NDArray[np.bool_]]
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
    coded: CodedIds,
    old: InteractionView,
    new: InteractionView,
    nodes: dict[NodeLabel, pd.DataFrame],
) -> Changes:
    value = int(graph.version, 16)
    for label, frame in nodes.items():
        value += total(node_hashes(label, hash_ids(frame["id"]), frame.drop(columns="id")))
    was, now = (
        {(name, key): edges for name, key, edges in named_edges(view.splits, view.behaviours)}
        for view in (old, new)
    )
    edges, gone_edges, more = {}, {}, 0
    for name, key in sorted(set(was) | set(now)):
        sides = [_hashed(name, key, side.get((name, key)), coded) for side in (was, now)]
        value += total(sides[1].index.to_numpy()) - total(sides[0].index.to_numpy())
        more += len(sides[1]) - len(sides[0])
        upserts = sides[1][~sides[1].index.isin(sides[0].index)]
        deletions = sides[0][~sides[0].index.isin(sides[1].index)]
        deletions = deletions[~_pairs(deletions).isin(_pairs(sides[1]))]
        if len(upserts):
            edges[key] = _with_ids(upserts, coded)
        if len(deletions):
            gone_edges[key] = _with_ids(deletions[["head", "tail"]], coded)
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


def _hashed(name: str, key: EdgeKey, frame: pd.DataFrame | None, coded: CodedIds) -> pd.DataFrame:
    """Coded edges under their hashes."""
    if frame is None or not len(frame):
        empty = pd.DataFrame({"head": np.empty(0, np.int32), "tail": np.empty(0, np.int32)})
        return empty.set_index(pd.Index(np.empty(0, np.uint64)))
    return frame.set_index(pd.Index(edge_hashes(name, key, frame, coded.hashes)))


def _pairs(frame: pd.DataFrame) -> pd.Series:
    return frame["head"].astype(np.int64) * 2**32 + frame["tail"].astype(np.int64)


def _with_ids(edges: pd.DataFrame, coded: CodedIds) -> pd.DataFrame:
    return edges.assign(
        head=coded.ids[NodeLabel.USER][edges["head"].to_numpy()],
        tail=coded.ids[NodeLabel.ITEM][edges["tail"].to_numpy()],
    ).reset_index(drop=True)
