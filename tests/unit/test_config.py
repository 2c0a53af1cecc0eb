import json
from pathlib import Path
from typing import Any

import pytest

from kgrec.config import Config
from kgrec.errors import ConfigError

TEXT = """
seed = 3
[store]
uri = "embedded:graph.kgl"
[data]
interactions = "data/all.tsv"
split = {kind = "temporal_user", valid = 0.2}
items = "/somewhere/items.csv"
item_lists = {class = "genre"}
[data.relations]
"film.director.film" = {name = "directed_by", inverse = true}
[evaluation]
k = [5]
"""


def test_a_file_is_read_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    config = Config.load(path)
    assert config.seed == 3
    assert config.data.interactions == tmp_path / "data" / "all.tsv"
    assert config.data.items == Path("/somewhere/items.csv")
    assert config.store.uri == f"embedded:{tmp_path / 'graph.kgl'}"
    assert config.data.split is not None
    assert (config.data.split.kind, config.data.split.valid, config.data.split.test) == (
        "temporal_user",
        0.2,
        0.1,
    )
    assert config.data.relations["film.director.film"].inverse
    assert config.evaluation.k == (5,)


def test_what_is_saved_builds_the_same_settings(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    config = Config.load(path)
    assert Config.build(json.loads(config.to_json()), base=Path("/elsewhere")) == config


def test_overrides_are_toml_or_bare_words(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    overrides = ("training.epochs=5", "model.encoder=attention", "evaluation.k=[1,2]", "seed = 9")
    config = Config.load(path, overrides)
    assert (config.training.epochs, config.model.encoder) == (5, "attention")
    assert (config.evaluation.k, config.seed) == ((1, 2), 9)
    assert Config.load(path, ("store.uri=bolt://localhost:7687",)).store.uri == (
        "bolt://localhost:7687"
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epoch=5", "training.epoch: unknown key"),
        ("training.epochs=-1", "training.epochs: Input should be greater than or equal to 0"),
        ("training.epochs=many", 'got "many"'),
        ("trainng.epochs=5", "trainng: unknown key"),
        ("seed.x=5", "seed is a value, not a section"),
        ("training.epochs", "is not section.key=value"),
        ("=5", "is not section.key=value"),
        ("evaluation.k=[0]", "k must be positive, got [0]"),
        ("data.valid=a.tsv", "valid and test go with train"),
        ("data.split.kind=sorted", "data.split.kind"),
        ("model.temperature=0", "model.temperature"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, override: str, expected: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    with pytest.raises(ConfigError) as caught:
        Config.load(path, (override,))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({}, "data: Field required"),
        ({"data": {}}, "give either interactions (one file, with split) or train"),
        ({"data": {"interactions": "a", "train": "b"}}, "give either interactions"),
        ({"data": {"train": "a", "split": {}}}, "split applies to interactions"),
        (
            {
                "data": {"train": "a"},
                "fusion": {"network": False, "popularity": False},
                "closed_form": {"enabled": False},
                "user_side": {"enabled": False},
                "factors": {"enabled": False},
            },
            "nothing can score",
        ),
    ],
)
def test_settings_that_do_not_go_together(tree: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.build(tree)
    assert expected in str(caught.value)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no config at"):
        Config.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seed = = 3")
    with pytest.raises(ConfigError, match="is not TOML"):
        Config.load(tmp_path / "bad.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        Config.load(tmp_path / "binary.toml")


def test_settings_are_frozen() -> None:
    config = Config.build({"data": {"train": "a"}})
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


def test_settings_of_a_copied_project_find_its_own_files(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "events.csv").touch()
    (tmp_path / "old" / "only.csv").touch()
    tree = {
        "store": {"uri": "embedded:data/events.csv"},
        "data": {"interactions": "data/events.csv", "items": "only.csv"},
    }
    config = Config.build(tree, base=tmp_path / "old")
    moved = config.moved(tmp_path / "old" / "runs", tmp_path / "new" / "runs")
    assert moved.store.uri == f"embedded:{tmp_path / 'new' / 'data' / 'events.csv'}"
    assert moved.data.interactions == tmp_path / "new" / "data" / "events.csv"
    assert moved.data.items == tmp_path / "old" / "only.csv"
