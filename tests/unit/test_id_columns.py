"""Which column is the id, whose ids meet whose, and what is numbered alike and is not the same."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kgrec.config import Config
from kgrec.data.load import Intake, read_dataset
from kgrec.data.tables import Dataset
from kgrec.errors import ConfigError, DataError
from kgrec.schema import EdgeKey, NodeLabel

INTERACTIONS = "user,item\nu,a\nu,b\nv,a\n"


def load(folder: Path, files: dict[str, str], **data: Any) -> tuple[Dataset, dict[str, str]]:
    """Gives the dataset and its findings as sentences by rule."""
    for name, text in {"i.csv": INTERACTIONS, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    config = Config.build({"data": {"interactions": "i.csv", **data}}, base=folder)
    dataset, report = read_dataset(config.data, 0, Intake())
    return dataset, {finding.rule: str(finding) for finding in report.findings}


def items_of(dataset: Dataset) -> dict[str, Any]:
    frame = dataset.nodes[NodeLabel.ITEM]
    return dict(zip(frame["id"], frame.get("title", frame["id"]), strict=True))


TABLES = {
    "named second": "title,id\nAlpha,a\nBeta,b\n",
    "usual name": "title,item_id\nAlpha,a\nBeta,b\n",
    "pandas index": "Unnamed: 0,item_id,title\n0,a,Alpha\n1,b,Beta\n",
    "nameless index": ",item_id,title\n0,a,Alpha\n1,b,Beta\n",
    "nameless index, no usual name": ",code,title\n0,a,Alpha\n1,b,Beta\n",
    "first": "code,title\na,Alpha\nb,Beta\n",
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_usual_names_win_and_row_numbers_are_no_ids(tmp_path: Path, table: str) -> None:
    dataset, findings = load(tmp_path, {"items.csv": table}, items="items.csv")
    assert items_of(dataset) == {"a": "Alpha", "b": "Beta"}
    assert not any(name.startswith("unnamed") for name in dataset.nodes[NodeLabel.ITEM])
    assert ("row numbers" in findings) == table.startswith((",", "Unnamed"))
    first = table.lower().removeprefix("unnamed: 0").lstrip(",").partition(",")[0]
    assert ("column of the id" in findings) == (first not in ("id", "item_id"))


def test_row_numbers_of_a_parquet_file_are_no_ids(tmp_path: Path) -> None:
    frame = pd.DataFrame({"title": ["Alpha", "Beta"], "movie_id": ["a", "b"]}, index=[7, 9])
    frame.to_parquet(tmp_path / "items.parquet")
    dataset, _ = load(tmp_path, {}, items="items.parquet")
    assert items_of(dataset) == {"a": "Alpha", "b": "Beta"}


def test_two_columns_that_fit_are_said_and_the_settings_choose(tmp_path: Path) -> None:
    rows = "user,movie_id,item_id\nu,a,1\nv,b,2\n"
    dataset, findings = load(tmp_path, {"i.csv": rows})
    assert set(items_of(dataset)) == {"1", "2"}
    assert "'item_id' is taken, not 'movie_id'; columns.item" in findings["columns of the item"]
    sources = [
        {"name": "e", "kind": "interactions", "path": "i.csv", "columns": {"item": "movie_id"}}
    ]
    dataset, findings = load(tmp_path, {"i.csv": rows}, interactions=None, sources=sources)
    assert set(items_of(dataset)) == {"a", "b"}
    assert "columns of the item" not in findings


@pytest.mark.parametrize(("kind", "noun"), [("users", "users"), ("items", "items")])
def test_a_table_that_meets_no_interaction_is_noted(tmp_path: Path, kind: str, noun: str) -> None:
    table = "id,city\n001,Rome\n002,Oslo\n"
    dataset, findings = load(tmp_path, {"t.csv": table}, **{kind: "t.csv"})
    assert f"0 of 2 {noun} have interactions" in findings["no interactions"]
    assert findings["no interactions"].startswith(f"{kind}: 2 ")
    table = "id,city\nu,Rome\na,Rome\n002,Oslo\n"
    _, findings = load(tmp_path, {"t.csv": table}, **{kind: "t.csv"})
    assert "no interactions" not in findings
    assert len(dataset.nodes[NodeLabel.USER]) >= 2


TAGGED = "item\ttag\na\t1\na\t2\nb\t2\n1\t2\n"
TAGS = "tagID\ttagValue\n1\tmetal\n2\tpop\n"


def tag_sources(prefix: str | dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": "events", "kind": "interactions", "path": "i.csv"},
        {
            "name": "tags", "kind": "entities", "path": "tags.tsv", "prefix": prefix,
            "columns": {"id": "tagID", "name": "tagValue"},
        },
        {
            "name": "tagged", "kind": "triples", "path": "tagged.tsv", "relation": "tagged",
            "columns": {"head": "item", "tail": "tag"}, "prefix": prefix,
        },
    ]  # fmt: skip


def test_what_is_numbered_alike_is_noted_and_a_prefix_keeps_it_apart(tmp_path: Path) -> None:
    files = {
        "i.csv": INTERACTIONS + "v,1\n", "tags.tsv": TAGS, "tagged.tsv": TAGGED,
    }  # fmt: skip
    dataset, findings = load(tmp_path, files, interactions=None, sources=tag_sources(""))
    assert findings["also items"].startswith("tags: 1 ids of entities are also ids of items")
    assert "1 of 4 tails of 'tagged' are ids of items" in findings["tagged of two kinds"]
    dataset, findings = load(tmp_path, files, interactions=None, sources=tag_sources("tag:"))
    assert not {"also items", "tagged of two kinds"} & set(findings)
    (table,) = dataset.relations
    assert table.key == EdgeKey("TAGGED", NodeLabel.ITEM, NodeLabel.ENTITY)
    assert len(table.edges) == 4
    entities = dataset.nodes[NodeLabel.ENTITY]
    assert dict(zip(entities["id"], entities["name"], strict=True)) == {
        "tag:1": "metal", "tag:2": "pop",
    }  # fmt: skip


def test_an_unlinked_id_that_is_an_item_s_is_noted(tmp_path: Path) -> None:
    files = {
        "kg.tsv": "head\trelation\ttail\nm.1\tgenre\tg\na\tgenre\tb\n",
        "link.tsv": "item\tentity\na\tm.1\n",
    }
    _, findings = load(tmp_path, files, triples="kg.tsv", link="link.tsv")
    assert findings["unlinked items"].startswith("triples: 2 ends of triples are in no link")
    sources = [
        {"name": "i", "kind": "interactions", "path": "i.csv"},
        {"name": "link", "kind": "link", "path": "link.tsv"},
        {
            "name": "kg", "kind": "triples", "path": "kg.tsv",
            "prefix": {"head": "kg:", "tail": "kg:"},
        },
    ]  # fmt: skip
    sources[1]["prefix"] = "kg:"
    settings = {"interactions": None, "sources": sources, "unknown_triples": "drop"}
    dataset, findings = load(tmp_path, files, **settings)
    assert "unlinked items" not in findings
    (table,) = dataset.relations
    assert table.key.head is NodeLabel.ITEM
    assert len(table.edges) == 1  # that of the linked item; kg:a is connected to nothing known


def test_triples_without_a_relation_column_take_that_of_the_settings(tmp_path: Path) -> None:
    sources = tag_sources("tag:")[::2]
    files = {"i.csv": INTERACTIONS + "v,1\n", "tagged.tsv": TAGGED}
    dataset, _ = load(tmp_path, files, interactions=None, sources=sources)
    assert [table.key.type for table in dataset.relations] == ["TAGGED"]
    del sources[1]["relation"]
    with pytest.raises(DataError, match="has no column 'relation'"):
        load(tmp_path, files, interactions=None, sources=sources)


def test_a_prefix_needs_to_know_which_ids(tmp_path: Path) -> None:
    source = {"name": "e", "kind": "interactions", "path": "i.csv", "prefix": "b:"}
    with pytest.raises(ConfigError, match=r"which ids of interactions begin with 'b:'\?"):
        load(tmp_path, {}, interactions=None, sources=[source])
    source["prefix"] = {"item": "b:"}
    dataset, _ = load(tmp_path, {}, interactions=None, sources=[source])
    assert set(items_of(dataset)) == {"b:a", "b:b"}
    assert set(dataset.nodes[NodeLabel.USER]["id"]) == {"u", "v"}
