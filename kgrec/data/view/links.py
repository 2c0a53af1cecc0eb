"""Ends of facts: which are items, which entities, and which id counts for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kgrec.data.view.facts import ENTITY, ITEM, LABELS, encoded
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities
from kgrec.data.view.rows import SourceRows, among, standing
from kgrec.errors import DataError
from kgrec.schema import NodeLabel


@dataclass(frozen=True)
class Link:
    """Which entities are items.

    Attributes:
        pairs: Columns `item` and `entity`, both the ids that count, no repeats.
        entities: The ids of all entities that are linked, whether or not they count.
    """

    pairs: pd.DataFrame
    entities: pd.Index

    def encoded(self, terms: pd.CategoricalDtype) -> "Link":
        """The same with `pairs` as categories."""
        return replace(self, pairs=self.pairs.apply(encoded, terms=terms))


def read_link(tables: Sequence[SourceRows], items: pd.Index, identities: Identities) -> Link:
    """Reads which entity is which item, and adds what the identities say of it.

    Args:
        tables: Rows by source.
        items: All known item ids.
        identities: Which ids count for others.

    Raises:
        DataError: If a source links no known item.
    """
    parts = [pd.DataFrame({"item": [], "entity": []}, dtype="str")]
    for rows in tables:
        link = standing(rows, ["item", "entity"]).frame[["item", "entity"]]
        link = link.drop_duplicates()
        is_known = among(link["item"], items)
        if len(link) and not is_known.any():
            raise DataError(
                f"{rows.source.name} links no known item: {link['item'].iloc[0]!r} and "
                f"{len(link) - 1:,} others are in neither the interactions nor the item table; "
                f"check that it belongs to this data"
            )
        note(rows.source.name, "unknown item", ~is_known, map(repr, link["item"][~is_known]))
        parts.append(link[is_known])
    links = pd.concat(parts, ignore_index=True)
    pairs = pd.DataFrame(
        {
            "item": identities.canonical(NodeLabel.ITEM, links["item"]),
            "entity": identities.canonical(NodeLabel.ENTITY, links["entity"]),
        }
    )
    pairs = pd.concat([pairs, identities.links], ignore_index=True).drop_duplicates()
    members = identities.ids(NodeLabel.ENTITY)
    counted = identities.canonical(NodeLabel.ENTITY, members.to_series())
    linked = members[among(counted, pd.Index(pairs["entity"].unique()))]
    return Link(pairs, pd.Index(links["entity"].unique(), dtype="str").union(linked, sort=False))


def recognised(frame: pd.DataFrame, items: pd.Index, link: Link) -> pd.DataFrame:
    """Tells items from entities: an id that names an item and is not linked is that item."""
    labels = {}
    for end in ("head", "tail"):
        is_item = among(frame[end], items) & ~among(frame[end], link.entities)
        labels[f"{end}_label"] = np.where(is_item, ITEM, ENTITY).astype(np.int8)
    return frame.assign(**labels)


def redirected(frame: pd.DataFrame, link: Link, identities: Identities) -> pd.DataFrame:
    """Puts the ids that count in the place of others, and items in the place of linked entities.

    A fact about an entity of several items (two releases of one film) speaks of each.

    Args:
        frame: Columns `head`, `head_label`, `tail`, `tail_label` and any others; ids are str, or
            categories as those of `link`.
        link: Which entities are items.
        identities: Which ids count for others.
    """
    for end in ("head", "tail"):
        frame = redirected_end(frame, end, f"{end}_label", link, identities)
    return frame


def redirected_end(
    frame: pd.DataFrame, end: str, label: str, link: Link, identities: Identities
) -> pd.DataFrame:
    """Does what `redirected` does for one end, given its columns of ids and labels."""
    ids, labels = frame[end], frame[label].to_numpy()
    for position, name in enumerate(LABELS):
        if len(identities.ids(name)) and (labels == position).any():
            ids = ids.where(labels != position, identities.canonical(name, ids))
    frame = frame.assign(**{end: ids})
    if link.pairs.empty:
        return frame
    entity = frame[end].where(labels == ENTITY, None)
    frame = frame.assign(entity=entity).merge(link.pairs, on="entity", how="left")
    is_linked = frame["item"].notna()
    frame[end] = frame["item"].where(is_linked, frame[end])
    frame[label] = np.where(is_linked, ITEM, frame[label]).astype(np.int8)
    return frame.drop(columns=["entity", "item"])
