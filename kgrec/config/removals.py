"""Settings of earlier versions: what replaces each, for who still names it."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from kgrec.errors import ConfigError

#: By dotted name, what to do instead; all of them went with 0.2.
REMOVED: Mapping[str, str] = {
    "augment.use": "synthetic edges are further positives; leave it out",
    "augment.gan.loss": "generator and discriminator play the non-saturating loss; leave it out",
    "augment.gan.texts": "a generator is told of relations, not of texts; leave it out",
    "augment.weights": "every synthetic edge counts augment.weight; leave it out",
}
#: Values that are gone of settings that stay, likewise.
REMOVED_VALUES: Mapping[str, Mapping[str, str]] = {
    "augment.source": {
        "generator": "take gan, which begins as that generator",
        "popularity": "it is a control of kgrec bench --augment; take auto, teacher, knn or gan",
        "random": "it is a control of kgrec bench --augment; take auto, teacher, knn or gan",
    },
}

_ABSENT = object()


def refuse_removed(tree: Mapping[str, Any], source: str) -> None:
    """Refuses settings that name what is gone.

    Args:
        tree: Nested settings, not validated yet.
        source: Where they come from, for the message.

    Raises:
        ConfigError: If a setting, or a value of one, is gone; the message names what replaces it.
    """
    sentences = [f"{name} is gone since 0.2: {instead}" for _, name, instead in _removals(tree)]
    if sentences:
        raise ConfigError(f"{source}: " + "; ".join(sentences))


def without_removed(tree: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Drops what is gone from the settings of a run that an earlier version made.

    Args:
        tree: Nested settings, not validated yet; they are not changed.

    Returns:
        The same settings without these, which fall back to their defaults, and the dotted names of
        what was dropped; of a value that is gone `name = value`.
    """
    leaves = list(_removals(tree))
    trimmed = deepcopy(dict(tree))
    for path, _, _ in leaves:
        *sections, last = path
        section = trimmed
        for name in sections:
            section = section[name]
        del section[last]
    return trimmed, tuple(name for _, name, _ in leaves)


def _removals(tree: Mapping[str, Any]) -> Iterator[tuple[list[str], str, str]]:
    """Path, dotted name and replacement of each gone setting that a tree names."""
    for name, instead in REMOVED.items():
        path = name.split(".")
        if _value(tree, path) is not _ABSENT:
            yield path, name, instead
    for name, values in REMOVED_VALUES.items():
        path = name.split(".")
        value = _value(tree, path)
        if isinstance(value, str) and value in values:
            yield path, f"{name} = {value}", values[value]


def _value(tree: Any, path: list[str]) -> Any:
    """What a tree holds at a path, or `_ABSENT`."""
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return _ABSENT
        tree = tree[name]
    return tree
