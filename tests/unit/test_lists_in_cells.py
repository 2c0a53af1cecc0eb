"""Several values in one cell: lists are lists from every origin, and what stays text is said."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.data.tables import Dataset
from kgrec.data.view.columns import list_values, written_list
from kgrec.schema import NodeLabel

ROWS = [{"id": "a", "cats": ["x", "y, z"]}, {"id": "b", "cats": ["x"]}]
AS_LIST = {"cats": {"as": "attribute", "relation": "cat"}}


def _write(folder: Path, origin: str) -> Path:
    path = folder / f"items.{origin}"
    if origin == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    elif origin == "parquet":
        pd.DataFrame(ROWS).to_parquet(path)
    else:
        pd.DataFrame(ROWS).to_csv(path, index=False)  # ['x', 'y, z'], as Python writes lists
    return path


def _loaded(folder: Path, path: Path, **settings: Any) -> Dataset:
    interactions = folder / "interactions.csv"
    interactions.write_text("user,item\nu,a\nu,b\nv,a\n", encoding="utf-8")
    data: dict[str, Any] = {"interactions": interactions}
    if "item_lists" in settings:
        data |= {"items": path, **settings}
    else:
        data["sources"] = [{"name": "m", "kind": "items", "path": path, **settings}]
    return load_dataset(Config.build({"data": data}).data, 0)


@pytest.mark.parametrize("origin", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize(
    "settings", [{"properties": AS_LIST}, {"item_lists": {"cats": "cat"}}], ids=["rule", "lists"]
)
def test_lists_are_lists_from_every_origin(
    tmp_path: Path, origin: str, settings: dict[str, Any]
) -> None:
    dataset = _loaded(tmp_path, _write(tmp_path, origin), **settings)
    assert dataset.nodes[NodeLabel.ENTITY]["id"].tolist() == ["cat:x", "cat:y, z"]
    assert any("2 cells of 'cats' are lists and were taken apart" in n for n in dataset.notes)


@pytest.mark.parametrize("origin", ["jsonl", "parquet", "csv"])
def test_lists_that_stay_text_are_said(tmp_path: Path, origin: str) -> None:
    dataset = _loaded(tmp_path, _write(tmp_path, origin))
    assert any(
        "2 cells of 'cats' look like lists and are kept as one text" in n for n in dataset.notes
    )


@pytest.mark.parametrize("settings", [{}, {"properties": AS_LIST}])
def test_cells_with_bars_that_stay_text_are_said(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,title,cats\na,A|B,x|y\nb,B,x\n", encoding="utf-8")
    dataset = _loaded(tmp_path, path, **settings)
    assert [n for n in dataset.notes if "look like lists" in n] == [
        "m: 1 cells of 'cats' look like lists and are kept as one text; to make entities of their "
        "values give the column as = \"attribute\" and its split, or item_lists ('x|y')"
    ]


def test_lists_and_plain_cells_of_one_column() -> None:
    values = pd.Series(['["p|q", 1.0, null, 2]', "a|b|a", "[not a list]"])
    assert list_values(values).tolist() == ["p|q", "1", "2", "a", "b", "[not a list]"]
    assert written_list("[" * 100_000 + "]" * 100_000) is None


def test_items_that_the_catalogue_lacks_are_said(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,title\na,A\nz,Z\n", encoding="utf-8")
    dataset = _loaded(tmp_path, path)
    assert (
        "interactions: 1 of 2 items with interactions are in no table of items ('b')"
        in dataset.notes
    )
