import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kgrec.data import movielens
from kgrec.data.cache import user_cache
from kgrec.data.load import load_dataset
from kgrec.data.movielens import demo_config, fetch_movielens, spoken_title
from kgrec.data.tables import Dataset
from kgrec.errors import DataError
from kgrec.schema import NodeLabel, Split


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache filled from pip's index, once; the tests below then need no network."""
    folder = tmp_path_factory.mktemp("cache")
    try:
        fetch_movielens(folder)
    except DataError as exc:
        if "cannot fetch" in str(exc):
            pytest.skip(f"no package index, so no MovieLens-100k: {exc}")
        raise
    return folder


@pytest.fixture(scope="module")
def dataset(cache: Path) -> Dataset:
    return load_dataset(demo_config(cache).data, 0)


def tails(dataset: Dataset, relation: str, title: str) -> set[str]:
    """Names or titles at the other end of a film's relation."""
    items = dataset.nodes[NodeLabel.ITEM]
    item = items.loc[items["title"] == title, "id"].item()
    entities = dataset.nodes[NodeLabel.ENTITY]
    names = {
        NodeLabel.ITEM: dict(zip(items["id"], items["title"], strict=True)),
        NodeLabel.ENTITY: dict(zip(entities["id"], entities["name"], strict=True)),
    }
    found = set()
    for table in dataset.relations:
        if table.name == relation and table.key.head == NodeLabel.ITEM:
            edges = dataset.pairs(table.key)
            rows = edges[edges["head"] == item]
            found |= {names[table.key.tail][tail] for tail in rows["tail"]}
    return found


def test_sizes(dataset: Dataset) -> None:
    assert len(dataset.nodes[NodeLabel.USER]) == 943
    assert len(dataset.nodes[NodeLabel.ITEM]) == 1682
    parts = dataset.interactions
    assert sum(len(part) for part in parts.values()) == 100_000
    assert len(parts[Split.VALID]) == pytest.approx(10_000, rel=0.01)
    assert len(parts[Split.TEST]) == pytest.approx(10_000, rel=0.01)
    assert {len(part["head"].unique()) for part in parts.values()} == {943}
    names = {table.name for table in dataset.relations}
    assert not [name for name in names if "film." in name]
    assert len(names) == 14


def test_known_facts_through_the_corrected_link(dataset: Dataset) -> None:
    assert tails(dataset, "directed_by", "Star Wars") == {"George Lucas"}
    assert tails(dataset, "written_by", "Star Wars") == {"George Lucas"}
    assert "The Empire Strikes Back" in tails(dataset, "sequel", "Star Wars")
    assert "Return of the Jedi" in tails(dataset, "sequel", "The Empire Strikes Back")
    assert tails(dataset, "directed_by", "Pulp Fiction") == {"Quentin Tarantino"}
    assert {"Sci-Fi", "War"} <= tails(dataset, "genre", "Star Wars")
    assert "Harrison Ford" in tails(dataset, "starring", "Star Wars")


def test_a_fact_said_from_both_ends_counts_once(dataset: Dataset) -> None:
    directed = [table for table in dataset.relations if table.name == "directed_by"]
    assert sum(len(table.edges) for table in directed) <= 1727
    assert {table.key.tail for table in directed} == {NodeLabel.ENTITY}
    assert any("19,096 of 91,631 triples repeat" in note for note in dataset.notes)


def test_titles_years_and_profiles(dataset: Dataset) -> None:
    items = dataset.nodes[NodeLabel.ITEM].set_index("id")
    assert items["title"].notna().all()
    assert items.loc["50", "title"] == "Star Wars"
    assert items.loc["12", "title"] == "The Usual Suspects"
    assert items.loc["1412", "title"] == "Land Before Time III: The Time of the Great Giving"
    assert items.loc["1412", "year"] == 1995
    assert items.loc["267", "title"] == "unknown"
    assert np.isnan(items.loc["267", "year"])
    years = items["year"].dropna()
    assert len(years) == 1681
    assert years.between(1922, 1998).all()
    users = dataset.nodes[NodeLabel.USER].set_index("id")
    assert users.loc["1"].to_dict() == {
        "age": 24,
        "gender": "M",
        "occupation": "technician",
        "zip_code": "85711",
        "load": 3,
    }


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Net, The", "The Net"),
        ("Postino, Il", "Il Postino"),
        ("Avventura, L'", "L'Avventura"),
        ("American in Paris, An", "An American in Paris"),
        ("Tin Drum, The (Blechtrommel, Die)", "The Tin Drum (Blechtrommel, Die)"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("Mrs. Brown (Her Majesty, Mrs. Brown)", "Mrs. Brown (Her Majesty, Mrs. Brown)"),
        ("Paris, Texas", "Paris, Texas"),
        ("Star Wars", "Star Wars"),
    ],
)
def test_titles_are_written_as_they_are_said(written: str, spoken: str) -> None:
    assert spoken_title(written) == spoken


def forbid_pip(monkeypatch: pytest.MonkeyPatch, code: int | None = 1) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if code is None:
            raise subprocess.TimeoutExpired(command, 300)
        return subprocess.CompletedProcess(command, code, "", "noise\nERROR: no route to index")

    monkeypatch.setattr(subprocess, "run", run)


def test_a_filled_cache_is_used_without_pip(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_pip(monkeypatch)
    assert fetch_movielens(cache) == cache / "ml-100k"
    monkeypatch.setenv("KGREC_CACHE", str(cache))
    assert demo_config().data.interactions == cache / "ml-100k" / "ml-100k.inter"


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_cache_is_filled_again(cache: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(cache / "ml-100k", tmp_path / "ml-100k")
    victim = tmp_path / "ml-100k" / "ml-100k.kg"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1]) if damage == "changed" else victim.unlink()
    fetch_movielens(tmp_path)
    assert victim.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["ml-100k"]


@pytest.mark.parametrize(("code", "reason"), [(1, "no route to index"), (None, "within 300 s")])
def test_without_an_index_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, reason: str
) -> None:
    monkeypatch.delenv("KGREC_ML100K_WHEEL", raising=False)
    forbid_pip(monkeypatch, code)
    with pytest.raises(DataError) as caught:
        fetch_movielens(tmp_path)
    message = str(caught.value)
    assert reason in message
    assert "KGREC_ML100K_WHEEL" in message
    assert str(tmp_path / "recbole-1.2.1-py3-none-any.whl") in message
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_or_absent_wheel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_pip(monkeypatch)
    (tmp_path / "recbole-1.2.1-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(DataError, match=r"is not the wheel of recbole==1\.2\.1: expected SHA-256"):
        fetch_movielens(tmp_path)
    monkeypatch.setenv("KGREC_ML100K_WHEEL", str(tmp_path / "none.whl"))
    with pytest.raises(DataError, match="where no file is"):
        fetch_movielens(tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="set KGREC_CACHE"):
        fetch_movielens(tmp_path / "file" / "cache")


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    monkeypatch.setenv("KGREC_CACHE", "")
    assert user_cache() == Path("/shared/kgrec")
    monkeypatch.setenv("KGREC_CACHE", "/own")
    assert user_cache() == Path("/own")
    monkeypatch.delenv("KGREC_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "kgrec"


def test_every_rule_of_the_demo_names_a_relation_once(cache: Path) -> None:
    rules = demo_config(cache).data.relations
    assert len(rules) == 24
    turned = {name for name, rule in rules.items() if rule.inverse}
    assert {rules[name].name for name in turned} <= {
        rule.name for name, rule in rules.items() if name not in turned
    }
    assert movielens.WHEEL_VARIABLE == "KGREC_ML100K_WHEEL"
