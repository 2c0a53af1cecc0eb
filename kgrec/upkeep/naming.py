"""All ids by which the journal names one user or item."""

import pandas as pd

from kgrec.config import DataConfig, Kind
from kgrec.data.journal.journal import Journal
from kgrec.data.view.identities import read_identities
from kgrec.data.view.rows import SourceRows, standing
from kgrec.schema import NodeLabel
from kgrec.upkeep.intent import Target

_ENDS: dict[Kind, dict[str, NodeLabel]] = {
    "users": {"id": NodeLabel.USER},
    "social": {"head": NodeLabel.USER, "tail": NodeLabel.USER},
    "items": {"id": NodeLabel.ITEM},
    "item_edges": {"head": NodeLabel.ITEM, "tail": NodeLabel.ITEM},
    "triples": {"head": NodeLabel.ITEM, "tail": NodeLabel.ITEM},
    "link": {"item": NodeLabel.ITEM},
    "reviews": {"user": NodeLabel.USER, "item": NodeLabel.ITEM},
    "queries": {"user": NodeLabel.USER, "item": NodeLabel.ITEM},
}


def all_names(
    journal: Journal, config: DataConfig, target: Target
) -> dict[NodeLabel, frozenset[str]]:
    """Gives by label every id that stands for the target.

    Ids that accepted `same_as` rows join are one thing, and so are an item and the entities that
    are linked to it and to no other item: whoever is forgotten under one name is forgotten.
    """
    ids_by_label: dict[NodeLabel, set[str]] = {label: set() for label in NodeLabel}
    ids_by_label[target.label].add(target.id)
    members = read_identities(_rows(journal, config, "same_as")).members
    groups = members["group"][(members["label"] == target.label) & (members["id"] == target.id)]
    for label, key in members[members["group"].isin(groups)][["label", "id"]].itertuples(
        index=False
    ):
        ids_by_label[NodeLabel(label)].add(key)
    for rows in _rows(journal, config, "link"):
        frame = standing(rows, ["item", "entity"]).frame
        names_target = frame["item"].isin(ids_by_label[NodeLabel.ITEM])
        shared_entities = set(frame["entity"][~names_target])
        ids_by_label[NodeLabel.ENTITY] |= set(frame["entity"][names_target]) - shared_entities
    return {label: frozenset(ids) for label, ids in ids_by_label.items()}


def is_named(journal: Journal, target: Target) -> bool:
    """Whether any row of the journal, also one that does not count, names the target."""
    if target.label in (NodeLabel.USER, NodeLabel.ITEM) and target.id in journal.codes(
        target.label
    ):
        return True
    for record in journal.manifest.loads:
        ends = _ENDS.get(record.load.kind, {}) if record.rows_in else {}  # type: ignore[call-overload]
        columns = [name for name, label in ends.items() if label is target.label]
        if columns and journal.rows(record)[columns].isin([target.id]).to_numpy().any():
            return True
    return False


def _rows(journal: Journal, config: DataConfig, kind: Kind) -> list[SourceRows]:
    source_rows = []
    for source in config.all_sources():
        records = [
            record
            for record in journal.active(kind)
            if record.load.source == source.name and record.rows_in
        ]
        if source.kind == kind and records:
            frame = pd.concat([journal.rows(record) for record in records], ignore_index=True)
            source_rows.append(SourceRows(source, frame, {}))
    return source_rows
