"""Triples into relation tables: rules applied, items recognised, every fact counted once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kgrec.config import DataConfig, RelationRule
from kgrec.data.readers import Table, read_ids
from kgrec.data.tables import RelationTable
from kgrec.errors import ConfigError, DataError
from kgrec.schema import EdgeKey, NodeLabel, relation_type

#: Columns of a frame of facts: `relation` is the name, `*_is_item` tells the label of an end.
FACT_COLUMNS = ["relation", "head", "head_is_item", "tail", "tail_is_item"]


@dataclass(frozen=True)
class Facts:
    """Facts with known labels, before they are parted into tables.

    Attributes:
        frame: FACT_COLUMNS, no repeats.
    """

    frame: pd.DataFrame

    def entity_ids(self) -> set[str]:
        """Gives the ids of all entities that occur."""
        heads = self.frame.loc[~self.frame["head_is_item"], "head"]
        tails = self.frame.loc[~self.frame["tail_is_item"], "tail"]
        return set(heads) | set(tails)

    def tables(self) -> tuple[RelationTable, ...]:
        """Parts the facts by relation and labels, sorted.

        Raises:
            DataError: If two relation names give one relationship type.
            SchemaError: If a name gives none.
        """
        named: dict[str, str] = {}
        tables = []
        for group, rows in self.frame.groupby(["relation", "head_is_item", "tail_is_item"]):
            name, head_is_item, tail_is_item = cast(tuple[str, bool, bool], group)
            kind = relation_type(name)
            if named.setdefault(kind, name) != name:
                raise DataError(
                    f"relations {named[kind]!r} and {name!r} would both become {kind}; give them "
                    f"one name, or names further apart, under [data.relations]"
                )
            key = EdgeKey(kind, _label(head_is_item), _label(tail_is_item))
            edges = rows[["head", "tail"]].sort_values(["head", "tail"], ignore_index=True)
            tables.append(RelationTable(name, key, edges))
        return tuple(sorted(tables, key=lambda table: table.key))


def read_facts(config: DataConfig, items: pd.Index, notes: list[str]) -> pd.DataFrame:
    """Reads the triples with link and relation rules.

    An entity that the link names is its item (or each of its items); any other id that names an
    item is that item; all others are entities.

    Args:
        config: `triples`, `link`, `relations` and `unknown_triples` are used.
        items: All known item ids.
        notes: Receives sentences on what was left out.

    Returns:
        Frame with FACT_COLUMNS, no repeats.

    Raises:
        DataError: If a file cannot be used, or triples are about nothing known and
            `unknown_triples` is "error".
        ConfigError: If a rule names a relation that does not occur.
    """
    if config.triples is None:
        return pd.DataFrame(columns=FACT_COLUMNS)
    table = read_ids(config.triples, ("head", "relation", "tail"))
    frame = _ruled(table.frame.rename_axis("line").reset_index(), config.relations, config.triples)
    link = _read_link(config.link, items, notes)
    for end in ("head", "tail"):
        frame = _recognised(frame, end, link, items)

    said = len(frame)
    frame = frame.drop_duplicates(FACT_COLUMNS, ignore_index=True)
    if len(frame) < said:
        notes.append(
            f"{config.triples}: {said - len(frame):,} of {said:,} triples repeat another one "
            f"(after relations were merged) and were left out"
        )
    loops = (frame["head"] == frame["tail"]) & (frame["head_is_item"] == frame["tail_is_item"])
    if loops.any():
        notes.append(
            f"{config.triples}: {loops.sum():,} triples join a node to itself and were left out"
        )
        frame = frame[~loops].reset_index(drop=True)
    return _about_items(frame, table, config.unknown_triples, notes)[FACT_COLUMNS]


def _ruled(frame: pd.DataFrame, rules: Mapping[str, RelationRule], path: Path) -> pd.DataFrame:
    """Renames, turns round and drops relations as the rules say."""
    occurring = set(frame["relation"].unique())
    if stray := sorted(set(rules) - occurring):
        raise ConfigError(
            f"data.relations names {stray[0]!r}, which does not occur in {path}; it has "
            f"{_some(sorted(occurring))}; correct or remove the rule"
        )
    relation = frame["relation"]
    dropped = {name for name, rule in rules.items() if rule.drop}
    turned = relation.isin([name for name, rule in rules.items() if rule.inverse])
    frame = frame.assign(
        head=frame["head"].where(~turned, frame["tail"]),
        tail=frame["tail"].where(~turned, frame["head"]),
        relation=relation.map({name: _name(rules, name) for name in occurring}),
    )
    return frame[~relation.isin(dropped)] if dropped else frame


def _name(rules: Mapping[str, RelationRule], relation: str) -> str:
    rule = rules.get(relation)
    return relation if rule is None or rule.name is None else rule.name


def _read_link(path: Path | None, items: pd.Index, notes: list[str]) -> pd.DataFrame:
    """Reads which entity is which item; columns `item`, `entity`, no repeats."""
    if path is None:
        return pd.DataFrame({"item": pd.Series(dtype="str"), "entity": pd.Series(dtype="str")})
    link = read_ids(path, ("item", "entity")).frame.drop_duplicates()
    known = _among(link["item"], items)
    if not known.any():
        raise DataError(
            f"{path} links no known item: {link['item'].iloc[0]!r} and {len(link) - 1:,} others "
            f"are in neither the interactions nor the item table; check that it belongs to this "
            f"data"
        )
    if not known.all():
        notes.append(f"{path}: {(~known).sum():,} links of unknown items were left out")
    return link[known]


def _recognised(frame: pd.DataFrame, end: str, link: pd.DataFrame, items: pd.Index) -> pd.DataFrame:
    """Replaces linked entities by their items and tells items from entities."""
    if len(link):
        # An entity of two items (two releases of one film) speaks of both.
        frame = frame.merge(
            link.rename(columns={"entity": end, "item": "linked"}), on=end, how="left"
        )
        linked = frame.pop("linked")
        frame[f"{end}_is_item"] = linked.notna() | _among(frame[end], items)
        frame[end] = linked.where(linked.notna(), frame[end])
        return frame
    return frame.assign(**{f"{end}_is_item": _among(frame[end], items)})


def _about_items(frame: pd.DataFrame, table: Table, unknown: str, notes: list[str]) -> pd.DataFrame:
    """Keeps the triples that a chain of triples connects to an item."""
    if frame.empty:
        return frame
    stray = ~_connected_to_items(frame)
    if not stray.any():
        return frame
    if unknown == "error":
        first = frame[stray].sort_values("line").iloc[0]
        raise DataError(
            f"{table.path}:{first['line']}: nothing connects ({first['head']}, "
            f"{first['relation']}, {first['tail']}) to an item; {stray.sum():,} of {len(frame):,} "
            f'triples are so; set data.unknown_triples = "drop" to leave them out, or check '
            f"data.link"
        )
    notes.append(
        f"{table.path}: {stray.sum():,} of {len(frame):,} triples are connected to no item and "
        f"were left out"
    )
    return frame[~stray].reset_index(drop=True)


def _connected_to_items(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tells for each triple (n,) whether its connected component holds an item."""
    is_item = np.concatenate([frame["head_is_item"], frame["tail_is_item"]]).astype(bool)
    codes, ids = pd.factorize(pd.concat([frame["head"], frame["tail"]], ignore_index=True))
    # An item and an entity may share an id: items take the even numbers.
    nodes = codes.astype(np.int64) * 2 + ~is_item
    size = 2 * len(ids)
    head, tail = nodes[: len(frame)], nodes[len(frame) :]
    ones = np.ones(len(frame), dtype=np.int8)
    _, component = connected_components(
        coo_array((ones, (head, tail)), shape=(size, size)), directed=False
    )
    known = np.zeros(size, dtype=bool)
    known[component[nodes[is_item]]] = True
    return np.asarray(known[component[head]])


def _among(values: pd.Series, ids: pd.Index) -> pd.Series:
    """Tells which values are ids; far faster than `isin` where values repeat."""
    codes, unique = pd.factorize(values)
    return pd.Series((ids.get_indexer(pd.Index(unique)) >= 0)[codes], index=values.index)


def _label(is_item: bool) -> NodeLabel:
    return NodeLabel.ITEM if is_item else NodeLabel.ENTITY


def _some(names: Iterable[str], most: int = 30) -> str:
    listed = [repr(name) for name, _ in zip(names, count(1), strict=False)]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
