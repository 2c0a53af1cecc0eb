"""The input files into one validated `Dataset`."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from kgrec.config import DataConfig, SplitConfig
from kgrec.data.properties import list_values, node_frame, read_nodes
from kgrec.data.readers import Table, read_interactions
from kgrec.data.splits import split_interactions
from kgrec.data.tables import Dataset
from kgrec.data.triples import FACT_COLUMNS, Facts, read_facts
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel, Split

logger = logging.getLogger(__name__)


def load_dataset(config: DataConfig, seed: int) -> Dataset:
    """Reads, checks and joins all input files.

    Users and items are those of the interactions (of every split, and whether or not they were
    rated too low to be kept) and of their tables. Entities are the other ends of triples, and the
    values of item lists.

    Args:
        config: The files and what to do with them.
        seed: Seeds the random split.

    Raises:
        DataError: If a file cannot be used as it is; the message names the place and the next step.
        ConfigError: If a setting does not fit the files.
        SchemaError: If a relation's name gives no relationship type.
    """
    notes: list[str] = []
    everything, interactions = _interactions(config, seed, notes)
    items = _described(config.items, NodeLabel.ITEM, notes)
    users = _described(config.users, NodeLabel.USER, notes)
    item_ids = _union(everything["item"], items)

    facts, listed, items = _facts(config, items, item_ids, notes)
    entities = _entities(config, facts, listed, notes)
    for note in notes:
        logger.info("note=%s", note)
    return Dataset(
        nodes={
            NodeLabel.USER: node_frame(users, _union(everything["user"], users)),
            NodeLabel.ITEM: node_frame(items, item_ids),
            NodeLabel.ENTITY: entities,
        },
        interactions=interactions,
        relations=facts.tables(),
        notes=tuple(notes),
    )


def _interactions(
    config: DataConfig, seed: int, notes: list[str]
) -> tuple[pd.DataFrame, Mapping[Split, pd.DataFrame]]:
    """Gives all rows that were read (for the ids), and the kept ones by split."""
    if config.interactions is not None:
        table = _unique_pairs(read_interactions(config.interactions), notes)
        kept = _well_rated(table, config.min_rating, notes)
        rng = np.random.default_rng(seed)
        return table.frame, split_interactions(kept, config.split or SplitConfig(), rng)
    tables = {
        split: _unique_pairs(read_interactions(path), notes)
        for split, path in zip(Split, (config.train, config.valid, config.test), strict=True)
        if path is not None
    }
    _refuse_overlap(tables)
    everything = pd.concat([table.frame for table in tables.values()])
    empty = everything.iloc[:0]
    parts = {
        split: _well_rated(tables[split], config.min_rating, notes) if split in tables else empty
        for split in Split
    }
    return everything, {
        split: frame.sort_values(["user", "item"], ignore_index=True)
        for split, frame in parts.items()
    }


def _unique_pairs(table: Table, notes: list[str]) -> Table:
    """Keeps a pair's last interaction, by time where there are times, else by line."""
    rows = table.frame
    if "time" in rows.columns:
        rows = rows.sort_values("time", kind="stable")
    kept = rows[~rows.duplicated(["user", "item"], keep="last")]
    if len(kept) < len(rows):
        notes.append(
            f"{table.path}: {len(rows) - len(kept):,} of {len(rows):,} interactions repeat a "
            f"pair; the last of each was kept"
        )
    return Table(table.path, kept, table.quoted)


def _well_rated(table: Table, least: float | None, notes: list[str]) -> pd.DataFrame:
    if least is None:
        return table.frame
    if "rating" not in table.frame.columns:
        raise ConfigError(
            f"data.min_rating = {least} needs a column 'rating' in {table.path}; found "
            f"{', '.join(table.frame.columns)}; add it or remove min_rating"
        )
    kept = table.frame[table.frame["rating"] >= least]
    if kept.empty:
        raise DataError(
            f"{table.path}: no interaction is rated {least} or higher (the highest is "
            f"{table.frame['rating'].max()}); lower data.min_rating"
        )
    if len(kept) < len(table.frame):
        notes.append(
            f"{table.path}: {len(table.frame) - len(kept):,} of {len(table.frame):,} interactions "
            f"are rated below {least} and were left out"
        )
    return kept


def _refuse_overlap(tables: Mapping[Split, Table]) -> None:
    """Raises DataError if a pair is in two split files."""
    seen: list[Table] = []
    for table in tables.values():
        for other in seen:
            both = (
                table.frame.rename_axis("line")
                .reset_index()
                .merge(other.frame[["user", "item"]], on=["user", "item"])
            )
            if len(both):
                first = both.sort_values("line").iloc[0]
                raise DataError(
                    f"{table.path}:{first['line']}: user {first['user']!r} and item "
                    f"{first['item']!r} are in {other.path} too, as are {len(both) - 1:,} other "
                    f"pairs; expected disjoint split files; remove them from one of the two"
                )
        seen.append(table)


def _described(path: Path | None, label: NodeLabel, notes: list[str]) -> pd.DataFrame | None:
    return None if path is None else read_nodes(path, label, notes)[1]


def _union(ids: pd.Series, described: pd.DataFrame | None) -> pd.Index:
    given = [ids] if described is None else [ids, described["id"]]
    known: pd.Index = pd.Index(pd.concat(given).unique())
    return known


def _facts(
    config: DataConfig, items: pd.DataFrame | None, item_ids: pd.Index, notes: list[str]
) -> tuple[Facts, pd.DataFrame, pd.DataFrame | None]:
    """Gives all facts, the entities that lists made (`id`, `name`), and the items without lists."""
    frames = [read_facts(config, item_ids, notes)]
    made = []
    for column, relation in config.item_lists.items():
        if items is None or column not in items.columns:
            found = "no item table" if items is None else ", ".join(items.columns[1:])
            raise ConfigError(
                f"data.item_lists names the item column {column!r}; found {found}; correct the "
                f"name, or give data.items"
            )
        values = list_values(items[column].astype("str"))
        tails = relation + ":" + values
        made.append(pd.DataFrame({"id": tails, "name": values}))
        frames.append(
            pd.DataFrame(
                {
                    "relation": relation,
                    "head": items["id"].loc[values.index],
                    "head_is_item": True,
                    "tail": tails,
                    "tail_is_item": False,
                }
            )
        )
        items = items.drop(columns=column)
    given = [frame for frame in frames if len(frame)]
    facts = pd.concat(given, ignore_index=True) if given else pd.DataFrame(columns=FACT_COLUMNS)
    facts = facts.astype({"head_is_item": bool, "tail_is_item": bool})
    listed = pd.concat(made) if made else pd.DataFrame({"id": [], "name": []}, dtype="str")
    return Facts(facts.drop_duplicates()), listed.drop_duplicates("id"), items


def _entities(
    config: DataConfig, facts: Facts, listed: pd.DataFrame, notes: list[str]
) -> pd.DataFrame:
    """Gives the node table of the entities that occur in facts."""
    ids = facts.entity_ids()
    described = _described(config.entities, NodeLabel.ENTITY, notes)
    if described is not None:
        occurs = described["id"].isin(ids)
        if not occurs.all():
            notes.append(
                f"{config.entities}: {(~occurs).sum():,} of {len(occurs):,} entities occur in no "
                f"triple and were left out"
            )
        listed = pd.concat([described[occurs & ~described["id"].isin(listed["id"])], listed])
    return node_frame(listed if len(listed) or described is not None else None, ids)
