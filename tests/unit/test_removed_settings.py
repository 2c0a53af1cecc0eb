"""Settings of earlier versions: refused with what replaces them, dropped from what was saved."""

from pathlib import Path
from typing import Any

import pytest

from kgrec.config import Config
from kgrec.config.removals import REMOVED, REMOVED_VALUES, without_removed
from kgrec.errors import ConfigError

FILES: dict[str, Any] = {"data": {"interactions": "i.tsv"}}


def nested(name: str, value: Any) -> dict[str, Any]:
    tree: Any = value
    for part in reversed(name.split(".")):
        tree = {part: tree}
    return {**FILES, **tree}


NAMED = [(name, "old", name, words) for name, words in REMOVED.items()]
NAMED += [
    (name, value, f"{name} = {value}", words)
    for name, values in REMOVED_VALUES.items()
    for value, words in values.items()
]


@pytest.mark.parametrize(("name", "value", "label", "words"), NAMED)
def test_what_is_gone_is_refused_and_dropped(
    name: str, value: str, label: str, words: str, tmp_path: Path
) -> None:
    tree = nested(name, value)
    with pytest.raises(ConfigError) as refusal:
        Config.build(tree, source="shop.toml")
    assert str(refusal.value) == f"shop.toml: {label} is gone since 0.2: {words}"
    path = tmp_path / "shop.toml"
    path.write_text('[data]\ninteractions = "i.tsv"\n')
    with pytest.raises(ConfigError, match="is gone since"):
        Config.load(path, (f"{name}={value}",))
    trimmed, names = without_removed(tree)
    assert names == (label,)
    assert Config.build(trimmed) == Config.build(FILES)
    assert tree == nested(name, value)  # what was given is as it was


def test_what_is_not_gone_stays() -> None:
    tree = {**FILES, "augment": {"source": "knn"}, "seed": 3}
    assert without_removed(tree) == (tree, ())
    assert Config.build(tree).augment.source == "knn"
