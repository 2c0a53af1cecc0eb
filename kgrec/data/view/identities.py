"""Nodes that were found to be the same: which one counts, and what it takes over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.view.findings import note
from kgrec.data.view.rows import SourceRows, among
from kgrec.schema import DISPLAY_PROPERTY, NodeLabel

#: What `label` of a row may be, and the labels of its left and right.
_ENDS: Mapping[str, tuple[NodeLabel, NodeLabel]] = {
    **{str(label): (label, label) for label in NodeLabel},
    "Item/Entity": (NodeLabel.ITEM, NodeLabel.ENTITY),
}
_MEMBER_COLUMNS = ["label", "id", "group", "score", "load"]


@dataclass(frozen=True)
class Identities:
    """Groups of ids that name one thing.

    The id that counts for its group is, within a label, the first by code point; an item counts for
    the entities of its group. Being the same carries on: if a is b and b is c, a is c, even if b is
    no node.

    Attributes:
        members: Columns `label` (NodeLabel), `id`, `group` (integer), `score` (float64, the highest
            of the rows that name the id) and `load` (int64, of that row); one row an id of a group,
            groups of two or more.
    """

    members: pd.DataFrame

    def canonical(self, label: NodeLabel, ids: pd.Series) -> pd.Series:
        """Gives the id (n,) that counts for each id, of the same label; most count for themselves.

        Ids may be missing; they are str, or categories that include all members. The result is
        under the index of `ids` and of its type.
        """
        replacement = self.replacements[label]
        if replacement.empty:
            return ids
        if isinstance(ids.dtype, pd.CategoricalDtype):
            names = ids.dtype.categories
            counts = np.arange(-1, len(names))  # the first is for missing ids, of code -1
            counts[1 + names.get_indexer(replacement.index)] = names.get_indexer(
                pd.Index(replacement)
            )
            replaced = pd.Categorical.from_codes(
                counts[1 + ids.cat.codes.to_numpy()], dtype=ids.dtype
            )
            return pd.Series(replaced, index=ids.index, name=ids.name)
        counted = ids.map(replacement)
        return counted.where(counted.notna(), ids).astype("str")

    def ids(self, label: NodeLabel) -> pd.Index:
        """Gives all ids of a label that are in a group, the ones that count among them."""
        ids: pd.Index = pd.Index(self.members["id"][self.members["label"] == label], dtype="str")
        return ids

    @cached_property
    def links(self) -> pd.DataFrame:
        """Which entities are items: `item` and `entity`, both the ids that count."""
        item, entity = (
            self.members[self.members["label"] == label].groupby("group")["id"].min()
            for label in (NodeLabel.ITEM, NodeLabel.ENTITY)
        )
        links = pd.DataFrame({"item": item, "entity": entity}).dropna()
        return links.astype("str").reset_index(drop=True)

    def among(self, label: NodeLabel, ids: pd.Index) -> "Identities":
        """Forgets the members of a label that are not among some ids."""
        return Identities(_in_groups(_without_strangers(self.members, label, ids)))

    @cached_property
    def replacements(self) -> Mapping[NodeLabel, pd.Series]:
        """By label the ids that count for another one, under the ids of those others."""
        first = self.members.groupby(["group", "label"])["id"].transform("min")
        replaced = self.members.assign(first=first)[self.members["id"] != first]
        return {
            label: pd.Series(rows["first"].to_numpy(), index=pd.Index(rows["id"], dtype="str"))
            for label in NodeLabel
            for rows in [replaced[replaced["label"] == label]]
        }


def read_identities(
    tables: Sequence[SourceRows], node_ids: Mapping[NodeLabel, pd.Index] | None = None
) -> Identities:
    """Joins the accepted rows of `same_as`.

    The last row on a pair in a source says whether it is accepted. A pair that any source accepts
    is joined.

    Args:
        tables: Rows by source.
        node_ids: By label all ids that nodes have; ids that are not among them join others, but are
            left out. Of a label that is not given, all ids are taken for nodes.
    """
    pairs = [_accepted(rows) for rows in tables]
    members = _members([pair for pair in pairs if len(pair)])
    for label, ids in (node_ids or {}).items():
        members = _without_strangers(members, label, ids)
    return Identities(_in_groups(members))


def components(
    left: npt.NDArray[np.integer[Any]], right: npt.NDArray[np.integer[Any]], size: int
) -> npt.NDArray[np.int32]:
    """Gives the number of the connected component of each node, int32 (size,).

    Args:
        left: One end of each edge (n,), from 0.
        right: The other end (n,).
        size: Number of nodes.
    """
    # SciPy takes a third of a second to import, which a run without anything new need not wait for.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(left), dtype=np.int8)
    _, labels = connected_components(
        coo_array((ones, (left, right)), shape=(size, size)), directed=False
    )
    return np.asarray(labels, dtype=np.int32)


def adopted(
    nodes: Mapping[NodeLabel, pd.DataFrame], identities: Identities
) -> dict[NodeLabel, pd.DataFrame]:
    """Fills missing properties of the nodes that count from those they count for.

    Of several members the first by id that has a value gives it; an entity's name becomes an item's
    title.

    Args:
        nodes: Per label `id`, properties and `load`.
        identities: The groups.
    """
    frames = dict(nodes)
    for label, frame in nodes.items():
        replacement = identities.replacements[label]
        donors = frame[among(frame["id"], replacement.index)]
        if len(donors):
            heirs = identities.canonical(label, donors["id"])
            frames[label] = _filled(frame, donors, heirs, label)
    links = identities.links
    entities = frames[NodeLabel.ENTITY]
    donors = entities[among(entities["id"], pd.Index(links["entity"]))]
    if len(donors):
        renaming = {DISPLAY_PROPERTY[NodeLabel.ENTITY]: DISPLAY_PROPERTY[NodeLabel.ITEM]}
        heirs = donors["id"].map(links.set_index("entity")["item"])
        frames[NodeLabel.ITEM] = _filled(
            frames[NodeLabel.ITEM], donors.rename(columns=renaming), heirs, NodeLabel.ITEM
        )
    return frames


def _filled(
    frame: pd.DataFrame, donors: pd.DataFrame, heirs: pd.Series, label: NodeLabel
) -> pd.DataFrame:
    """Fills what `heirs` (n,) lack from the rows (n,) of `donors`, which are sorted by id."""
    properties = donors.drop(columns=["id", "load"])
    values = properties.groupby(heirs.to_numpy()).first()
    values = values.reindex(pd.Index(frame["id"]))
    out = frame.copy()
    for name in values.columns:
        offered = values[name].set_axis(frame.index)
        if not offered.notna().any():
            continue
        if name not in out.columns:
            out.insert(list(out.columns).index("load"), name, offered)
            continue
        numeric = [pd.api.types.is_numeric_dtype(column) for column in (out[name], offered)]
        missing = out[name].isna() & offered.notna()
        if numeric[0] == numeric[1]:
            out[name] = out[name].where(~missing, offered)
        else:
            note("graph", "{name} not taken over", missing, name=name, label=label)
    return out


def _accepted(rows: SourceRows) -> pd.DataFrame:
    """Gives the accepted rows of a source: left and right with their labels, score and load."""
    frame = rows.frame
    left, right = frame["left"], frame["right"]
    # Within a label, (a, b) is the pair (b, a).
    turn = ((right < left) & (frame["label"] != "Item/Entity")).to_numpy(dtype=bool)
    pairs = pd.DataFrame(
        {
            "left": left.where(~turn, right),
            "right": right.where(~turn, left),
            "kind": frame["label"],
            "score": frame["score"].to_numpy(dtype=np.float64, na_value=np.nan),
            "load": frame["load"].to_numpy(np.int64),
            "accepted": frame["accepted"].astype("boolean").to_numpy(dtype=bool, na_value=False),
        }
    )
    pairs = pairs.iloc[np.argsort(rows.order())]
    pairs = pairs[~pairs.duplicated(["left", "right", "kind"], keep="last")]
    note(rows.source.name, "not accepted", ~pairs["accepted"])
    pairs = pairs[pairs["accepted"]]
    labels = {
        f"{end}_label": pairs["kind"].map({kind: ends[at] for kind, ends in _ENDS.items()})
        for at, end in enumerate(("left", "right"))
    }
    return pairs.assign(**labels)


def _members(pairs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Joins pairs into groups; every id that a pair names is a member of one."""
    if not pairs:
        types = {"label": "object", "id": "str", "group": "int64", "score": "float64"}
        return pd.DataFrame(columns=_MEMBER_COLUMNS).astype({**types, "load": "int64"})
    rows = pd.concat(pairs, ignore_index=True)
    ends = pd.concat(
        [
            rows[["score", "load"]].assign(label=rows[f"{end}_label"], id=rows[end])
            for end in ("left", "right")
        ],
        ignore_index=True,
    )
    ends["node"] = ends.groupby(["label", "id"], sort=True).ngroup()
    size = int(ends["node"].max()) + 1
    left, right = ends["node"].to_numpy().reshape(2, len(rows))
    group = components(left, right, size)
    best = ends.sort_values(["node", "score", "load"], ascending=[True, False, True])
    members = best[~best.duplicated("node")].reset_index(drop=True)
    return members.assign(group=group.astype(np.int64)[members["node"]])[_MEMBER_COLUMNS]


def _in_groups(members: pd.DataFrame) -> pd.DataFrame:
    """Leaves out members that are alone."""
    shared = members["group"].duplicated(keep=False).to_numpy(dtype=bool)
    return members[shared].reset_index(drop=True)


def _without_strangers(members: pd.DataFrame, label: NodeLabel, ids: pd.Index) -> pd.DataFrame:
    stray = (members["label"] == label).to_numpy() & ~among(members["id"], ids)
    note("same_as", "unknown id", stray, map(repr, members["id"][stray]))
    return members[~stray]
