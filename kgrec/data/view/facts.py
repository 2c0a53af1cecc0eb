"""Facts: stated ones by their rules, and which item or entity each end is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import RelationRule
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities
from kgrec.data.view.rows import SourceRows, among, stacked, standing
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel

#: Labels by the number that frames of facts name them with.
LABELS = tuple(NodeLabel)
USER, ITEM, ENTITY = (LABELS.index(label) for label in NodeLabel)

#: Columns of a frame of facts: `relation` is the name, `*_label` the position in LABELS of an
#: end's label, `weight` and `time` are float64 (NaN if there is none).
FACT_COLUMNS = [
    "relation", "head", "head_label", "tail", "tail_label", "weight", "time", "load",
]  # fmt: skip
#: What makes two facts the same.
FACT_KEYS = FACT_COLUMNS[:5]
_STATED_COLUMNS = {
    "relation": "str", "head": "str", "tail": "str", "weight": "float64", "time": "float64",
    "load": "int64", "source": "str", "at": "int64",
}  # fmt: skip


@dataclass(frozen=True)
class Stated:
    """The facts that the sources of one kind state.

    Attributes:
        tables: The rows that stand, by the source's name.
        frame: FACT_COLUMNS but for the labels of the ends, `source` (its name, a category) and `at`
            (position in the rows of the source).
    """

    tables: Mapping[str, SourceRows]
    frame: pd.DataFrame


def facts_frame(columns: Mapping[str, object]) -> pd.DataFrame:
    """Builds a frame of facts; `weight` and `time` may be left out."""
    frame = pd.DataFrame({"weight": np.nan, "time": np.nan, **columns})
    return frame.astype({"head_label": np.int8, "tail_label": np.int8})[FACT_COLUMNS]


def vocabulary(parts: Iterable[pd.Series]) -> pd.CategoricalDtype:
    """Gives a type of which every value is a category, sorted by code point.

    Facts are joined, compared and sorted many times; as categories that is work on integers.
    """
    distinct = [pd.Series(part.unique()) for part in parts if len(part)]
    if not distinct:
        return pd.CategoricalDtype(pd.Index([], dtype="str"))
    categories = pd.Index(pd.concat(distinct).dropna().unique(), dtype="str")
    return pd.CategoricalDtype(categories.sort_values())


def encoded(values: pd.Series, terms: pd.CategoricalDtype) -> pd.Series:
    """Gives str values (n,) as categories."""
    codes, distinct = pd.factorize(values)
    # Code -1 is a missing value, and stays one.
    places = np.append(terms.categories.get_indexer(pd.Index(distinct, dtype="str")), -1)
    return pd.Series(pd.Categorical.from_codes(places[codes], dtype=terms), index=values.index)


def check_rules(rules: Mapping[str, RelationRule], tables: Iterable[SourceRows]) -> None:
    """Raises ConfigError if a rule names a relation that no row of any source has."""
    nonempty = [rows for rows in tables if len(rows.frame)]
    occurring = {str(name) for rows in nonempty for name in rows.frame["relation"].unique()}
    if nonempty and (stray := sorted(set(rules) - occurring)):
        raise ConfigError(
            f"data.relations names {stray[0]!r}, which does not occur in "
            f"{', '.join(rows.source.name for rows in nonempty)}; expected one of "
            f"{_listed(sorted(occurring))}; correct or remove the rule"
        )


def read_stated(
    tables: Sequence[SourceRows], rules: Mapping[str, RelationRule], before: float | None
) -> Stated:
    """Reads the rows of one kind that stand, with the rules for relations.

    Args:
        tables: Rows by source.
        rules: By the name of a relation in the data.
        before: Rows of this moment or later leave; None keeps all.
    """
    sources = {
        rows.source.name: standing(rows, ["head", "relation", "tail"], before) for rows in tables
    }
    names = pd.CategoricalDtype(list(sources))  # sources come in the order of the settings
    parts = []
    for name, rows in sources.items():
        frame = pd.DataFrame(
            {
                **{column: rows.texts(column) for column in ("relation", "head", "tail")},
                "weight": rows.numbers("weight"),
                "time": rows.numbers("time"),
                "load": rows.frame["load"].to_numpy(np.int64),
                "source": pd.Categorical([name], dtype=names).repeat(len(rows.frame)),
                "at": np.arange(len(rows.frame)),
            }
        )
        parts.append(_ruled(frame, rules, name))
    return Stated(sources, stacked(parts, _STATED_COLUMNS))


def between(frame: pd.DataFrame, label: NodeLabel, ids: pd.Index) -> pd.DataFrame:
    """Keeps the stated edges whose ends are both known nodes of a label."""
    position = np.int8(LABELS.index(label))
    is_known = among(frame["head"], ids) & among(frame["tail"], ids)
    for name, edges in frame[~is_known].groupby("source", observed=True):
        examples = (f"{head!r} to {tail!r}" for head, tail in edges[["head", "tail"]].values)
        note(str(name), "unknown end", len(edges), examples, label=label.lower())
    return frame[is_known].assign(head_label=position, tail_label=position)


def _note_two_kinds(source: str, frame: pd.DataFrame, is_item: npt.NDArray[np.bool_]) -> None:
    """Notes relations some of whose tails are items and some are not."""
    for relation, rows in frame.groupby("relation", observed=True).indices.items():
        count = int(is_item[rows].sum())
        if 0 < count < len(rows):
            examples = map(repr, frame["tail"].iloc[rows][is_item[rows]].unique())
            words = {"relation": str(relation), "number": len(rows)}
            note(source, "{relation} of two kinds", count, examples, **words)


def _ruled(frame: pd.DataFrame, rules: Mapping[str, RelationRule], source: str) -> pd.DataFrame:
    """Renames, turns round and drops relations as the rules say."""
    codes, names = pd.factorize(frame["relation"])
    applied = [rules.get(str(name), RelationRule()) for name in names]
    turned = np.array([rule.inverse for rule in applied], dtype=bool)[codes]
    dropped = np.array([rule.drop for rule in applied], dtype=bool)[codes]
    examples = sorted(str(name) for name, rule in zip(names, applied, strict=True) if rule.drop)
    note(source, "dropped relation", dropped, examples)
    called = [rule.name or str(name) for name, rule in zip(names, applied, strict=True)]
    frame = frame.assign(relation=pd.Series(called, dtype="str").array.take(codes))
    if turned.any():
        head, tail = frame["head"], frame["tail"]
        frame = frame.assign(head=head.where(~turned, tail), tail=tail.where(~turned, head))
    return frame[~dropped] if dropped.any() else frame


def _listed(names: Sequence[str], most: int = 30) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


@dataclass(frozen=True)
class Link:
    """Which entities are items, and which ids count for others.

    Attributes:
        identities: Which ids count for others.
        pairs: Columns `item` and `entity`, both the ids that count, no repeats.
        entities: The ids of all entities that are linked, whether or not they count.
    """

    identities: Identities
    pairs: pd.DataFrame
    entities: pd.Index

    @classmethod
    def read(cls, tables: Sequence[SourceRows], items: pd.Index, identities: Identities) -> Self:
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
        pairs = links.assign(
            item=identities.canonical(NodeLabel.ITEM, links["item"]),
            entity=identities.canonical(NodeLabel.ENTITY, links["entity"]),
        )
        pairs = pd.concat([pairs, identities.links], ignore_index=True).drop_duplicates()
        members = identities.ids(NodeLabel.ENTITY)
        counted = identities.canonical(NodeLabel.ENTITY, members.to_series())
        linked = members[among(counted, pd.Index(pairs["entity"].unique()))]
        entities = pd.Index(links["entity"].unique(), dtype="str").union(linked, sort=False)
        return cls(identities, pairs, entities)

    def encoded(self, ids: pd.CategoricalDtype) -> Self:
        """The same with ids as categories."""
        return replace(self, pairs=self.pairs.apply(encoded, terms=ids))

    def recognised(self, frame: pd.DataFrame, items: pd.Index) -> pd.DataFrame:
        """Tells items from entities: an id that names an item and is not linked is that item."""
        labels = {}
        for end in ("head", "tail"):
            is_linked = among(frame[end], self.entities)
            is_item = among(frame[end], items) & ~is_linked
            labels[f"{end}_label"] = np.where(is_item, ITEM, ENTITY).astype(np.int8)
            for source, rows in frame.groupby("source", observed=True).indices.items():
                name, item_ids = str(source), frame[end].iloc[rows][is_item[rows]]
                if len(self.pairs):
                    note(name, "unlinked items", len(item_ids), map(repr, item_ids.unique()))
                elif end == "tail" and len(item_ids) < len(rows):
                    _note_two_kinds(name, frame.iloc[rows], is_item[rows])
        return frame.assign(**labels)

    def redirected(
        self, frame: pd.DataFrame, ends: Sequence[str] = ("head", "tail")
    ) -> pd.DataFrame:
        """Puts the ids that count in the place of others, and items in that of linked entities.

        A fact about an entity of several items (two releases of one film) speaks of each.

        Args:
            frame: For each end a column of ids and one of labels (`head_label`), and any others;
                ids are str, or categories as those of the pairs.
            ends: Names of the columns of ids.
        """
        for end in ends:
            ids, labels = frame[end], frame[f"{end}_label"].to_numpy()
            for position, name in enumerate(LABELS):
                if len(self.identities.ids(name)) and (labels == position).any():
                    counted = self.identities.canonical(name, ids)
                    ids = ids.where(labels != position, counted)
            frame = frame.assign(**{end: ids})
            if self.pairs.empty:
                continue
            entity = ids.where(labels == ENTITY, None)
            frame = frame.assign(entity=entity).merge(self.pairs, on="entity", how="left")
            is_linked = frame["item"].notna()
            frame[end] = frame["item"].where(is_linked, frame[end])
            frame[f"{end}_label"] = np.where(is_linked, ITEM, frame[f"{end}_label"]).astype(np.int8)
            frame = frame.drop(columns=["entity", "item"])
        return frame
