from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kgrec.config import Config, DataConfig
from kgrec.data.load import load_dataset
from kgrec.data.tables import Dataset
from kgrec.errors import ConfigError, DataError, SchemaError
from kgrec.schema import NodeLabel, Split

INTERACTIONS = """user item rating time
u1 1 5 10
u1 2 4 20
u1 3 1 30
u2 1 3 40
u2 2 2 50
u2 3 5 60
u3 2 5 70
"""
ITEMS = """item_id title year tags
1 Heat 1995 crime|thriller
2 Fargo 1996 crime
9 Ran - drama
"""
TRIPLES = """head relation tail
m.heat film.directed_by m.mann
m.mann director.film m.heat
2 film.directed_by m.coen
m.heat film.sequel m.fargo
m.ins film.directed_by m.mann
"""
LINK = """item entity
1 m.heat
2 m.fargo
"""
RULES = {
    "film.directed_by": {"name": "directed_by"},
    "director.film": {"name": "directed_by", "inverse": True},
    "film.sequel": {"name": "sequel"},
}


def table(path: Path, text: str) -> Path:
    """Writes a table whose cells are parted by spaces and whose empty cells are "-"."""
    rows = [line.split(" ") for line in text.splitlines()]
    lines = ["\t".join("" if cell == "-" else cell for cell in r) for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def load(tmp_path: Path, seed: int = 0, /, **given: Any) -> Dataset:
    for name, value in given.items():
        if isinstance(value, str) and "\n" in value:
            given[name] = table(tmp_path / f"{name}.tsv", value)
    return load_dataset(Config.build({"data": given}).data, seed)


def edges(dataset: Dataset) -> dict[str, set[tuple[str, str]]]:
    return {
        f"{t.name} {t.key.head}->{t.key.tail}": set(
            dataset.pairs(t.key)[["head", "tail"]].itertuples(index=False, name=None)
        )
        for t in dataset.relations
    }


def said(dataset: Dataset) -> str:
    return "\n".join(dataset.notes)


def test_a_small_world_by_hand(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        interactions=INTERACTIONS,
        items=ITEMS,
        triples=TRIPLES,
        link=LINK,
        relations=RULES,
        entities="id name born\nm.mann Mann 1943\nm.coen Coen 1954\nm.none Nobody 1900\n",
        users="id age name\nu2 30 Ann\nu0 40 Bob\n",
        item_lists={"tags": "tag"},
    )
    assert dataset.nodes[NodeLabel.USER]["id"].tolist() == ["u0", "u1", "u2", "u3"]
    items = dataset.nodes[NodeLabel.ITEM]
    assert items["id"].tolist() == ["1", "2", "3", "9"]
    assert list(items.columns) == ["id", "title", "year", "load"]
    assert items["year"].fillna(0).tolist() == [1995, 1996, 0, 0]
    assert edges(dataset) == {
        # Said from both ends, counted once; the linked entity is its item.
        "directed_by Item->Entity": {("1", "m.mann"), ("2", "m.coen")},
        "directed_by Entity->Entity": {("m.ins", "m.mann")},
        "sequel Item->Item": {("1", "2")},
        "tag Item->Entity": {
            ("1", "tag:crime"),
            ("1", "tag:thriller"),
            ("2", "tag:crime"),
            ("9", "tag:drama"),
        },
    }
    entities = dataset.nodes[NodeLabel.ENTITY].set_index("id")
    assert entities["name"].dropna().to_dict() == {
        "m.mann": "Mann",
        "m.coen": "Coen",
        "tag:crime": "crime",
        "tag:thriller": "thriller",
        "tag:drama": "drama",
    }
    assert entities.loc["m.mann", "born"] == 1943
    assert "m.ins" in entities.index
    notes = "\n".join(dataset.notes)
    assert "1 of 5 triples repeat another one" in notes
    assert "1 of 3 entities occur in no fact" in notes


def test_users_with_few_interactions_stay_in_train_and_seeds_differ(tmp_path: Path) -> None:
    dataset = load(tmp_path, interactions=INTERACTIONS)
    assert {s: len(f) for s, f in dataset.interactions.items()} == {
        Split.TRAIN: 3,
        Split.VALID: 2,
        Split.TEST: 2,
    }
    assert "u3" in set(dataset.pairs(Split.TRAIN)["head"])
    again = {load(tmp_path, seed, interactions=INTERACTIONS).fingerprint for seed in range(5)}
    assert len(again) > 1
    assert load(tmp_path, 0, interactions=INTERACTIONS).fingerprint == dataset.fingerprint


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    header, *rows = INTERACTIONS.splitlines()
    first, *triples = TRIPLES.splitlines()
    given = {"items": ITEMS, "link": LINK, "relations": RULES}
    one = load(tmp_path, interactions=INTERACTIONS, triples=TRIPLES, **given)
    other = load(
        tmp_path,
        interactions="\n".join([header, *rows[::-1]]) + "\n",
        triples="\n".join([first, *triples[::-1]]) + "\n",
        **given,
    )
    assert one.fingerprint == other.fingerprint


def test_split_files_are_taken_as_they_are(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        train="user item\nu1 1\nu1 2\n",
        valid="user item\nu2 1\n",
        test="user item\nu1 7\n",
        triples="head relation tail\n7 0 e\n",
    )
    assert dataset.nodes[NodeLabel.USER]["id"].tolist() == ["u1", "u2"]
    assert dataset.nodes[NodeLabel.ITEM]["id"].tolist() == ["1", "2", "7"]
    assert edges(dataset) == {"0 Item->Entity": {("7", "e")}}
    assert dataset.relations[0].key.type == "REL_0"
    test = dataset.pairs(Split.TEST)
    assert test[["head", "tail"]].to_dict("list") == {"head": ["u1"], "tail": ["7"]}
    assert [load.source for load in dataset.loads] == ["train", "valid", "test", "triples"]
    assert test["load"].tolist() == [3]


def test_only_a_train_file_leaves_the_other_splits_empty(tmp_path: Path) -> None:
    dataset = load(tmp_path, train="user item rating\nu1 1 5\n")
    assert [len(dataset.interactions[split]) for split in Split] == [1, 0, 0]


def test_a_pair_in_two_split_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"user 'u1' and item '2' are in train and in test"):
        load(
            tmp_path,
            train="user item\nu1 1\nu1 2\n",
            test="user item\nu2 2\nu1 2\n",
        )


def test_the_last_of_repeated_pairs_is_kept(tmp_path: Path) -> None:
    dataset = load(tmp_path, train="user item rating time\nu 1 5 9\nu 1 2 8\nu 2 1 3\nu 2 4 3\n")
    assert dataset.interactions[Split.TRAIN]["rating"].tolist() == [5, 4]
    assert "2 events 'interaction' were folded into others" in said(dataset)
    dataset = load(tmp_path, train="user item rating\nu 1 5\nu 1 2\n")
    # Nothing says which is later, and the order of rows must not: the better rating counts.
    assert dataset.interactions[Split.TRAIN]["rating"].tolist() == [5]


def test_ratings_below_min_rating_are_dislikes(tmp_path: Path) -> None:
    dataset = load(tmp_path, train=INTERACTIONS, min_rating=4.0)
    assert dataset.interactions[Split.TRAIN]["rating"].min() == 4
    assert len(dataset.interactions[Split.TRAIN]) == 4
    assert dataset.nodes[NodeLabel.ITEM]["id"].tolist() == ["1", "2", "3"]
    assert "3 pairs 'interaction' are rated below 4" in said(dataset)
    assert edges(dataset) == {"disliked User->Item": {("u1", "3"), ("u2", "1"), ("u2", "2")}}
    with pytest.raises(DataError, match=r"the highest is 5"):
        load(tmp_path, train=INTERACTIONS, min_rating=6.0)
    with pytest.raises(ConfigError, match="needs ratings, but none of the 1 interactions"):
        load(tmp_path, train="user item\nu 1\n", min_rating=4.0)


def test_triples_about_nothing_known(tmp_path: Path) -> None:
    triples = "head relation tail\n1 r a\nx r y\ny r z\na r b\n"
    with pytest.raises(DataError) as caught:
        load(tmp_path, train="user item\nu 1\n", triples=triples)
    message = str(caught.value)
    assert "triples.tsv:3: nothing connects (x, r, y) to an item; 2 of 4" in message
    assert 'data.unknown_triples = "drop"' in message
    dataset = load(tmp_path, train="user item\nu 1\n", triples=triples, unknown_triples="drop")
    assert edges(dataset) == {"r Item->Entity": {("1", "a")}, "r Entity->Entity": {("a", "b")}}
    assert dataset.nodes[NodeLabel.ENTITY]["id"].tolist() == ["a", "b"]
    assert "2 of 4 triples are connected to no item" in said(dataset)


def test_dropped_relations_connect_nothing_and_loops_go(tmp_path: Path) -> None:
    triples = "head relation tail\n1 near a\na r b\n1 r 1\n1 r c\n"
    with pytest.raises(DataError, match=r"triples\.tsv:3: nothing connects"):
        load(
            tmp_path,
            train="user item\nu 1\n",
            triples=triples,
            relations={"near": {"drop": True}},
        )
    dataset = load(tmp_path, train="user item\nu 1\n", triples=triples)
    assert "r Item->Item" not in edges(dataset)
    assert "1 triples join a node to itself" in said(dataset)


def test_an_entity_of_two_items_speaks_of_both_and_an_id_may_name_item_and_entity(
    tmp_path: Path,
) -> None:
    dataset = load(
        tmp_path,
        train="user item\nu 1\nu 2\n",
        triples="head relation tail\nfilm by x\n2 by y\n",
        link="item_id entity_id\n1 film\n2 film\n7 other\n",
    )
    assert edges(dataset) == {"by Item->Entity": {("1", "x"), ("2", "x"), ("2", "y")}}
    assert "1 links of unknown items" in said(dataset)


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        ({"relations": {"film.directed_bi": {"drop": True}}}, ConfigError, "does not occur in"),
        ({"relations": {"film.sequel": {"name": "film directed_by"}}}, DataError, "both become"),
        ({"relations": {"film.sequel": {"name": "interacted"}}}, SchemaError, "INTERACTED"),
        ({"link": "item entity\n77 m.heat\n"}, DataError, "links no known item"),
        ({"item_lists": {"genres": "genre"}}, ConfigError, "'genres', but"),
        ({"items": None, "item_lists": {"tags": "tag"}}, ConfigError, "there is no items"),
        ({"items": "id title name\n1 Heat Heat\n"}, DataError, "both 'title' and 'name'"),
        ({"items": "id index\n1 4\n"}, DataError, "'index', which kgrec keeps"),
        ({"items": "id 1st\n1 4\n"}, DataError, "rename the column"),
        ({"items": "id A-b a.b\n1 4 5\n"}, DataError, "two columns"),
        ({"items": "id title\n1 Heat\n1 Ran\n"}, DataError, "items.tsv:3:id: expected every id"),
        ({"interactions": "user item\nu 1\n", "split": {"kind": "temporal_user"}}, ConfigError, ""),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, given: dict[str, Any], kind: type[Exception], expected: str
) -> None:
    usual: dict[str, Any] = {
        "interactions": INTERACTIONS,
        "items": ITEMS,
        "triples": TRIPLES,
        "link": LINK,
        "unknown_triples": "drop",
    }
    with pytest.raises(kind) as caught:
        load(tmp_path, **{**usual, **given})
    assert expected in str(caught.value)


def test_property_types_and_names(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        train="user item\nu 1\nu 2\n",
        items="id Name zip n x gap none Run-time\n1 A 00501 7 1.5 3 - 9\n2 B 10001 -2 2 - - 8\n",
    )
    items = dataset.nodes[NodeLabel.ITEM]
    assert list(items.columns) == ["id", "title", "zip", "n", "x", "gap", "run_time", "load"]
    assert items["zip"].tolist() == ["00501", "10001"]
    assert str(items["n"].dtype) == "int64"
    assert str(items["x"].dtype) == str(items["gap"].dtype) == "float64"
    assert pd.isna(items["gap"][1])
    assert "1 columns are empty and were left out ('none')" in said(dataset)
    assert any("'name' is kept as 'title'" in note for note in dataset.notes)


def test_lists_are_taken_apart_by_the_separator_the_column_has(tmp_path: Path) -> None:
    def values(cells: tuple[str, str]) -> set[tuple[str, str]]:
        path = tmp_path / "listed.tsv"
        path.write_text(f"id\tkinds\n1\t{cells[0]}\n2\t{cells[1]}\n")
        dataset = load(
            tmp_path, train="user item\nu 1\nu 2\n", items=path, item_lists={"kinds": "kind"}
        )
        return edges(dataset)["kind Item->Entity"]

    assert values(("Film Noir|War", "War")) == {
        ("1", "kind:Film Noir"),
        ("1", "kind:War"),
        ("2", "kind:War"),
    }
    assert values(("a b, c", "")) == {("1", "kind:a b"), ("1", "kind:c")}
    # Cells that look like numbers stay as they are written.
    assert values(("7", "")) == {("1", "kind:7")}
    assert values(("a  b a", "c")) == {("1", "kind:a"), ("1", "kind:b"), ("2", "kind:c")}


def test_a_list_and_triples_may_share_a_relation(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        train="user item\nu 1\n",
        items="id tags\n1 crime\n",
        triples="head relation tail\n1 tag g1\n",
        item_lists={"tags": "tag"},
    )
    assert edges(dataset) == {"tag Item->Entity": {("1", "g1"), ("1", "tag:crime")}}


def test_a_dataset_refuses_strangers_and_repeats() -> None:
    nodes = {
        NodeLabel.USER: pd.DataFrame({"id": ["u"]}),
        NodeLabel.ITEM: pd.DataFrame({"id": ["1"]}),
        NodeLabel.ENTITY: pd.DataFrame({"id": pd.Series([], dtype="str")}),
    }
    off = pd.DataFrame({"head": [0], "tail": [1]})
    with pytest.raises(DataError, match="tail at position 1; expected one of the 1 Item nodes"):
        Dataset(nodes, {Split.TRAIN: off})
    twice = {**nodes, NodeLabel.USER: pd.DataFrame({"id": ["u", "u"]})}
    with pytest.raises(DataError, match="User id 'u' occurs twice"):
        Dataset(twice, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    config = DataConfig(train=tmp_path / "none.tsv")
    with pytest.raises(DataError, match=r"no file at .*none\.tsv"):
        load_dataset(config, 0)
