"""What a forgetting has set out to do: kept until it is done, so that a killed one is completed."""

import json
from dataclasses import dataclass
from pathlib import Path

from kgrec.data.journal.forgotten import UNFINISHED, replace_json
from kgrec.errors import ConfigError, DataError
from kgrec.files import atomic_file
from kgrec.schema import NodeLabel

KEYS = "forgetting.keys"


@dataclass(frozen=True)
class Target:
    """Who or what is to be forgotten: a label and an external id."""

    label: NodeLabel
    id: str


def target_of(user: str | None, item: str | None) -> Target | None:
    """Gives whom or what the ids name, None for neither; raises ConfigError for both."""
    if user is not None and item is not None:
        raise ConfigError("give a user or an item, one at a time")
    if user is not None:
        return Target(NodeLabel.USER, user)
    return None if item is None else Target(NodeLabel.ITEM, item)


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
        tree = json.loads(path.read_text(encoding="utf-8"))
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
