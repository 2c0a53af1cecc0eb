"""The input files into one validated `Dataset`."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kgrec.config import DataConfig, SplitConfig
from kgrec.data.properties import Described, list_values, node_frame, read_nodes
from kgrec.data.readers import Table, read_interactions
from kgrec.data.splits import split_interactions
from kgrec.data.tables import Dataset
from kgrec.data.triples import Facts, read_facts
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
    users = None if config.users is None else read_nodes(config.users, NodeLabel.USER, notes).frame
    described = _described_items(config, notes)
    items = None if described is None else described.frame
    item_ids = _union(everything["item"], items)

    listed, values = _listed(config, described)
    facts = _joined([read_facts(config, item_ids, notes), *listed])
    entities = _entities(config, facts, values, notes)
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


def _described_items(config: DataConfig, notes: list[str]) -> Described | None:
    if config.items is not None:
        return read_nodes(config.items, NodeLabel.ITEM, notes, tuple(config.item_lists))
    if config.item_lists:
        raise ConfigError(
            f"data.item_lists names the column {next(iter(config.item_lists))!r}, but there is no "
            f"data.items; give the table that has it, or remove item_lists"
        )
    return None


def _union(ids: pd.Series, described: pd.DataFrame | None) -> pd.Index:
    given = [ids] if described is None else [ids, described["id"]]
    known: pd.Index = pd.Index(pd.concat(given).unique())
    return known


def _listed(config: DataConfig, items: Described | None) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Gives the facts in list columns, and the entities they make (`id`, `name`)."""
    facts: list[pd.DataFrame] = []
    made = [pd.DataFrame({"id": [], "name": []}, dtype="str")]
    if items is None:
        return facts, made[0]
    for column, cells in items.lists.items():
        relation = config.item_lists[column]
        values = list_values(cells)
        tails = relation + ":" + values
        made.append(pd.DataFrame({"id": tails, "name": values}))
        facts.append(
            pd.DataFrame(
                {
                    "relation": relation,
                    "head": items.frame["id"].loc[values.index],
                    "head_is_item": True,
                    "tail": tails,
                    "tail_is_item": False,
                }
            )
        )
    return facts, pd.concat(made).drop_duplicates("id")


def _joined(frames: list[pd.DataFrame]) -> Facts:
    given = [frame for frame in frames if len(frame)] or frames[:1]
    facts = pd.concat(given, ignore_index=True)
    return Facts(facts.astype({"head_is_item": bool, "tail_is_item": bool}).drop_duplicates())


def _entities(
    config: DataConfig, facts: Facts, listed: pd.DataFrame, notes: list[str]
) -> pd.DataFrame:
    """Gives the node table of the entities that occur in facts."""
    ids = facts.entity_ids()
    described = None
    if config.entities is not None:
        described = read_nodes(config.entities, NodeLabel.ENTITY, notes).frame
        occurs = described["id"].isin(ids)
        if not occurs.all():
            notes.append(
                f"{config.entities}: {(~occurs).sum():,} of {len(occurs):,} entities occur in no "
                f"triple and were left out"
            )
        listed = pd.concat([described[occurs & ~described["id"].isin(listed["id"])], listed])
    return node_frame(listed if len(listed) or described is not None else None, ids)
