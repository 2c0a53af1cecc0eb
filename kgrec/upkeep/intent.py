"""What a forgetting has set out to do, under all names of who or what is to be forgotten.

An intent is kept until it is done, so that a killed forgetting is completed.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kgrec.config import DataConfig, Kind
from kgrec.data.journal.forgotten import ID_COLUMNS, UNFINISHED, replace_json
from kgrec.data.journal.journal import Journal
from kgrec.data.view.identities import read_identities
from kgrec.data.view.rows import SourceRows, standing
from kgrec.errors import ConfigError, DataError
from kgrec.files import atomic_file, parsed_json, read_text, unsealed
from kgrec.schema import NodeLabel
from kgrec.vocabulary import NodeId, id_text

KEYS = "forgetting.keys"


@dataclass(frozen=True)
class Target:
    """Who or what is to be forgotten: a label and an external id."""

    label: NodeLabel
    id: str


def target_of(user: NodeId | None, item: NodeId | None) -> Target | None:
    """Gives whom or what the ids name, None for neither; raises ConfigError for both."""
    if user is not None and item is not None:
        raise ConfigError("give a user or an item, one at a time")
    if user is not None:
        return Target(NodeLabel.USER, id_text(user))
    return None if item is None else Target(NodeLabel.ITEM, id_text(item))


@dataclass(frozen=True)
class Intent:
    """A forgetting that has begun.

    Attributes:
        target: Who or what.
        ids: By label all ids that name it.
        runs: Absolute paths of the runs it is taken out of.
    """

    target: Target
    ids: dict[NodeLabel, frozenset[str]]
    runs: tuple[Path, ...]


def read_intent(folder: Path) -> Intent | None:
    """Gives what was begun and not finished; raises DataError if its file is damaged."""
    path = folder / UNFINISHED
    try:
        tree = unsealed(parsed_json(read_text(path)))
        return Intent(
            Target(NodeLabel(tree["label"]), tree["id"]),
            {NodeLabel(label): frozenset(ids) for label, ids in tree["gone"].items()},
            tuple(Path(run) for run in tree["runs"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DataError(
            f"{path} cannot be read: {exc!r}; remove it and run kgrec forget again"
        ) from exc


def write_intent(folder: Path, intent: Intent, keys: frozenset[bytes]) -> None:
    """Keeps what is to be done, and the keys of all texts that the graph tells now."""
    if keys or not (folder / KEYS).exists():
        with atomic_file(folder / KEYS) as temporary:
            temporary.write_bytes(b"".join(sorted(keys)))
    replace_json(
        folder / UNFINISHED,
        {
            "label": intent.target.label,
            "id": intent.target.id,
            "gone": {label: sorted(ids) for label, ids in intent.ids.items()},
            "runs": [str(run) for run in intent.runs],
        },
    )


def read_keys(folder: Path) -> frozenset[bytes]:
    """Gives the keys of the texts that the graph told when the forgetting began."""
    try:
        content = (folder / KEYS).read_bytes()
    except FileNotFoundError:
        return frozenset()
    return frozenset(content[at : at + 32] for at in range(0, len(content) - 31, 32))


def remove_intent(folder: Path) -> None:
    """It is done; nothing is left that names anybody."""
    (folder / UNFINISHED).unlink(missing_ok=True)
    (folder / KEYS).unlink(missing_ok=True)


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
    if target.id in journal.codes(target.label):
        return True
    for record in journal.manifest.loads:
        kind = record.load.kind
        columns = {
            name
            for name, labels in ID_COLUMNS.get(kind, {}).items()  # type: ignore[call-overload]
            if target.label in labels
        }
        if kind == "queries" and target.label is NodeLabel.ITEM:
            columns = {"item"}  # which no query is of, but some led to
        if record.rows_in and kind != "interactions" and columns:
            rows = journal.rows(record)
            if rows[sorted(columns)].isin([target.id]).to_numpy().any():
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
