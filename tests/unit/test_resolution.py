"""Proposals for whole data sets: what is found, what stays apart, what people decided."""

from pathlib import Path

import pandas as pd
import pytest
from catalogues import Catalogues, made_load, make_catalogues, precision_and_recall

from kgrec.config import Config
from kgrec.data.tables import Dataset
from kgrec.errors import ConfigError
from kgrec.resolution.resolve import Resolution, resolve, unresolved
from kgrec.resolution.review import COLUMNS, read_decisions, write_proposals
from kgrec.resolution.sides import comparisons
from kgrec.schema import NodeLabel

ENDS = ["left", "right"]
ITEM, ENTITY, USER = NodeLabel.ITEM, NodeLabel.ENTITY, NodeLabel.USER


def settings(**resolution: object) -> Config:
    tree = {"data": {"interactions": "x.csv"}, "resolution": {"vectors": False, **resolution}}
    return Config.build(tree)


def items(*sources: pd.DataFrame, kinds: tuple[str, ...] = ()) -> Dataset:
    """Each frame is a source of items, "s1", "s2" …"""
    frames = [frame.assign(load=at + 1) for at, frame in enumerate(sources)]
    loads = tuple(made_load(at + 1, f"s{at + 1}") for at in range(len(sources)))
    return Dataset({ITEM: pd.concat(frames, ignore_index=True)}, {}, loads=loads)


def titles(prefix: str, *names: str, **columns: list[object]) -> pd.DataFrame:
    ids = [f"{prefix}{at}" for at in range(len(names))]
    return pd.DataFrame({"id": ids, "title": list(names), **columns})


def pairs(found: Resolution, accepted: str | None = None) -> set[tuple[str, str]]:
    rows = found.proposals
    rows = rows if accepted is None else rows[rows["accepted"] == accepted]
    return set(rows[ENDS].itertuples(index=False, name=None))


def among(rows: pd.DataFrame, known: pd.DataFrame) -> int:
    return int(pd.MultiIndex.from_frame(rows[ENDS]).isin(pd.MultiIndex.from_frame(known)).sum())


# The seeds are none of those that the constants of scoring were chosen on.
@pytest.mark.parametrize("seed", [11, 12])
def test_two_catalogues_are_joined_and_sequels_stay_apart(seed: int) -> None:
    made = make_catalogues(seed)
    found = resolve(made.dataset(), settings())
    accepted = found.proposals[found.proposals["accepted"] == "yes"]
    assert among(accepted, made.sequels) == 0
    by = precision_and_recall(found.proposals, made.truth)
    assert by.loc[("name", 0.95), "precision"] == 1.0
    assert by.loc[("all", 0.95), "precision"] >= 0.995
    assert by.loc[("all", 0.95), "recall"] >= 0.95
    assert by.loc[("all", 0.6), "recall"] >= 0.99
    # Typing errors are found by similar names alone.
    wrong = made.truth[made.truth["right"].isin(made.typos)]
    similar = found.proposals[found.proposals["method"] == "similar_name"]
    assert among(similar, wrong) / len(wrong) >= 0.97


@pytest.mark.parametrize("seed", [11, 12])
def test_without_years_a_similar_name_waits_rather_than_joins_a_sequel(seed: int) -> None:
    made = make_catalogues(seed, years=False)
    found = resolve(made.dataset(), settings())
    accepted = found.proposals[found.proposals["accepted"] == "yes"]
    assert among(accepted, made.sequels) == 0
    by = precision_and_recall(found.proposals, made.truth)
    assert by.loc[("all", 0.95), "precision"] >= 0.99
    assert by.loc[("all", 0.6), "recall"] >= 0.98
    assert by.loc[("similar_name", 0.6), "precision"] < by.loc[("similar_name", 0.95), "precision"]


@pytest.fixture(scope="module")
def made() -> Catalogues:
    return make_catalogues(21, films=60)


def test_the_order_of_rows_changes_nothing(made: Catalogues) -> None:
    first = resolve(made.dataset(), settings()).proposals
    turned = Catalogues(
        made.left[::-1], made.right.sample(frac=1, random_state=4), made.truth, made.sequels,
        made.typos,
    )  # fmt: skip
    second = resolve(turned.dataset(), settings()).proposals
    pd.testing.assert_frame_equal(first, second)


def test_a_node_is_accepted_once_and_scores_fall(made: Catalogues) -> None:
    rows = resolve(made.dataset(), settings(accept=0.3, propose=0.1)).proposals
    accepted = rows[rows["accepted"] == "yes"]
    assert accepted["left"].is_unique
    assert accepted["right"].is_unique
    assert rows["score"].is_monotonic_decreasing
    assert (accepted["score"] >= 0.3).all()
    assert set(rows["decided_by"]) == {"threshold"} | ({""} if len(accepted) < len(rows) else set())


def test_running_again_writes_the_same_file(made: Catalogues, tmp_path: Path) -> None:
    path = tmp_path / "same_as.csv"
    written = []
    for _ in range(2):
        found = resolve(made.dataset(), settings(), read_decisions(path))
        write_proposals(path, found.proposals)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert len(pairs(found)) > 60


def test_what_a_person_decided_stays_whatever_is_found_later(
    made: Catalogues, tmp_path: Path
) -> None:
    path = tmp_path / "same_as.csv"
    write_proposals(path, resolve(made.dataset(), settings()).proposals)
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    refused = rows.loc[0, ENDS].tolist()  # kgrec is surest of it
    rows.loc[0, "accepted"] = "no"
    chosen = [rows.loc[1, "left"], rows.loc[2, "right"]]  # crosswise, against both scores
    extra = {"left": chosen[0], "right": chosen[1], "accepted": "yes"}
    rows = pd.concat([rows, pd.DataFrame([extra])], ignore_index=True).fillna("")
    rows.to_csv(path, index=False)

    for config in (settings(), settings(accept=0.99), settings(accept=1.0, propose=1.0)):
        found = resolve(made.dataset(), config, read_decisions(path))
        write_proposals(path, found.proposals)
        after = read_decisions(path)
        said = after.set_index(ENDS)["accepted"]
        assert said[tuple(refused)] == "no"
        assert said[tuple(chosen)] == "yes"
        assert len(after) == 2
        # Nodes of an accepted pair are in no other one.
        others = found.proposals[found.proposals["decided_by"] != "person"]
        assert chosen[0] not in set(others["left"])
        assert chosen[1] not in set(others["right"])
    assert found.counts()[""] == {"accepted": 0, "waiting": 0, "yes": 1, "no": 0}


def test_decisions_on_nodes_that_are_gone_are_kept_and_told(made: Catalogues) -> None:
    decided = pd.DataFrame([dict.fromkeys(COLUMNS, "")]).assign(
        left="gone", right="b1", label="Item", accepted="yes", decided_by="person", score=0.7
    )
    found = resolve(made.dataset(), settings(), decided)
    assert ("gone", "b1") in pairs(found, "yes")
    assert any("1 decisions name a node that the data does not have" in n for n in found.notes)


def test_a_decision_holds_in_either_direction() -> None:
    data = items(titles("a", "Heat"), titles("b", "Heat"))
    turned = pd.DataFrame([dict.fromkeys(COLUMNS, "")]).assign(
        left="b0", right="a0", label="Item", accepted="no", decided_by="person", score=0.97
    )
    assert pairs(resolve(data, settings(), turned)) == {("b0", "a0")}


def test_equal_names_are_told_apart_by_their_years() -> None:
    left = titles("a", "Sabrina", "Sabrina (1995)", "Hamlet", *map(str, range(30)))
    right = titles("b", "Sabrina", "Sabrina", "Hamlet", *map(str, range(30)))
    left["year"] = [1954.0, None, None, *map(float, range(1900, 1930))]
    right["year"] = [1995.0, 1954.0, None, *map(float, range(1900, 1930))]
    found = resolve(items(left, right), settings())
    assert {("a0", "b1"), ("a1", "b0"), ("a2", "b2")} <= pairs(found, "yes")
    # Without years nothing tells them apart, so neither is proposed.
    bare = resolve(items(left.drop(columns="year").replace("Sabrina (1995)", "Sabrina"),
                         right.drop(columns="year")), settings())  # fmt: skip
    assert not {"a0", "a1"} & {left for left, _ in pairs(bare)}


def test_keys_come_first_and_common_ones_are_told() -> None:
    left = titles("a", "Phone", "Case", "Cable", "Cable", ean=["1 2", "9", "9", "9"])
    right = titles("b", "Telefon", "Case", "Wire", "Phone", ean=["12", "9", "9", None])
    found = resolve(items(left, right), settings(keys=("ean",), max_shared=2))
    rows = found.proposals.set_index(ENDS)
    assert rows.loc[("a0", "b0"), ["score", "method"]].tolist() == [1.0, "key"]
    assert rows.loc[("a1", "b1"), "method"] == "name"
    assert ("a0", "b3") not in rows.index  # Phone is settled by its key
    assert "1 keys are shared by more than 2 nodes of a side" in found.notes[0]
    assert "'9' by 3" in found.notes[0]


def test_two_keys_that_say_different_things_settle_nothing() -> None:
    left = titles("a", "Phone", ean=["1"], isbn=["7"])
    right = titles("b", "x", "y", ean=["1", None], isbn=[None, "7"])
    found = resolve(items(left, right), settings(keys=("ean", "isbn"), propose=0.1))
    assert not pairs(found, "yes")
    assert pairs(found) == {("a0", "b0"), ("a0", "b1")}


def test_a_film_is_one_node_only_unless_asked_otherwise() -> None:
    left = titles("a", "Heat", "Heat")
    data = items(left, titles("b", "Heat"))
    assert pairs(resolve(data, settings(propose=0.1)), "yes") == set()
    free = resolve(data, settings(one_to_one=False))
    assert pairs(free, "yes") == {("a0", "b0"), ("a1", "b0")}


def test_three_sources_and_no_chain_back_into_the_first() -> None:
    data = items(
        titles("a", "Heat (Director's Cut)", "Heat (Special Edition)"),
        titles("b", "Heat (Director's Cut)"),
        titles("c", "Heat (Special Edition)"),
    )
    accepted = pairs(resolve(data, settings()), "yes")
    assert accepted == {("a0", "b0"), ("a1", "c0")}  # b0 = c0 would make a0 and a1 one


def test_within_a_source_doubles_are_found_if_asked() -> None:
    data = items(titles("a", "Heat", "HEAT!", "Alien"))
    with pytest.raises(ConfigError, match="nothing to compare: nodes come from s1"):
        resolve(data, settings())
    assert pairs(resolve(data, settings(within=True)), "yes") == {("a0", "a1")}


def graph(entities: pd.DataFrame, kind: str = "entities") -> Dataset:
    loads = (made_load(1, "catalogue"), made_load(2, "graph", kind), made_load(3, "people"))
    return Dataset(
        {
            ITEM: titles("i", "Heat", "Alien").assign(load=1),
            ENTITY: entities,
            USER: pd.DataFrame({"id": ["u"], "load": [3]}),
        },
        {},
        loads=loads,
    )


def test_items_are_compared_with_the_entities_of_other_sources() -> None:
    entities = pd.DataFrame(
        {"id": ["genre:Alien", "Q1", "Q2"], "name": ["Alien", "Alien", "Heat"], "load": [1, 2, 2]}
    )
    found = resolve(graph(entities), settings())
    rows = found.proposals[["left", "right", "label"]].to_numpy().tolist()
    # The catalogue's own attribute could be Q1 too, but then it were one thing with an item.
    assert rows == [["i0", "Q2", "Item/Entity"], ["i1", "Q1", "Item/Entity"]]
    assert [what for what, _, _ in found.compared] == [
        "Entity of catalogue and graph",
        "Item/Entity of catalogue and graph",
    ]


def test_texts_are_no_things() -> None:
    entities = pd.DataFrame({"id": ["r1"], "name": ["Heat"], "load": [2]})
    with pytest.raises(ConfigError, match="nothing to compare"):
        comparisons(graph(entities, "reviews"), settings().resolution)


def test_tables_that_know_no_loads_are_compared_by_their_labels() -> None:
    data = Dataset(
        {ITEM: titles("i", "Heat"), ENTITY: pd.DataFrame({"id": ["Q2"], "name": ["Heat"]})}, {}
    )
    assert pairs(resolve(data, settings()), "yes") == {("i0", "Q2")}


def test_only_the_pairs_of_the_settings_are_compared() -> None:
    data = items(titles("a", "Heat"), titles("b", "Heat"), titles("c", "Heat"))
    found = resolve(data, settings(pairs=[{"left": "s3", "right": "s1"}]))
    assert pairs(found, "yes") == {("c0", "a0")}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pairs": [{"left": "s1", "right": "x"}]}, r"pairs names the source 'x'.*s1, s2"),
        ({"pairs": [{"left": "s1", "right": "s1"}]}, "compares 's1' with itself"),
        ({"keys": ["ean"]}, r"resolution.keys names 'ean'.*id, title"),
        ({"compare": ["brand"]}, r"resolution.compare names 'brand'"),
        ({"aliases": ["aka"]}, r"resolution.aliases names 'aka'"),
    ],
)
def test_settings_that_name_what_is_not_there_are_refused(
    config: dict[str, object], message: str
) -> None:
    data = items(titles("a", "Heat"), titles("b", "Heat"))
    with pytest.raises(ConfigError, match=message):
        resolve(data, settings(**config))


def test_nameless_nodes_are_no_reason_to_fail() -> None:
    people = pd.DataFrame({"id": ["u1", "v1"], "mail": ["A@x.org", "a@X.ORG"], "load": [1, 2]})
    loads = (made_load(1, "shop", "users"), made_load(2, "club", "users"))
    found = resolve(Dataset({USER: people}, {}, loads=loads), settings(keys=("mail",)))
    assert pairs(found, "yes") == {("u1", "v1")}
    assert found.proposals.loc[0, ["label", "left_name"]].tolist() == ["User", ""]


def test_texts_propose_what_names_hide_and_never_accept(tmp_path: Path) -> None:
    plots = {
        "Nikita": "A young criminal is trained by the secret service to be a professional killer.",
        "Amélie": "A shy waitress in Montmartre decides to change the lives of those around her.",
        "Jaws": "A huge white shark hunts bathers off a beach and the police chief goes after it.",
    }
    left = titles("a", *plots, "Nameless", plot=[*plots.values(), None])
    others = ["La femme", "Le fabuleux destin", "Der weiße Hai", "Nichts"]
    right = titles("b", *others, plot=[*plots.values(), "short"])
    tree = {
        "data": {"interactions": "x"},
        "resolution": {"accept": 0.6, "propose": 0.6, "compare": []},
    }
    found = resolve(items(left, right), Config.build(tree), cache_dir=tmp_path)
    rows = found.proposals
    assert pairs(found) == {("a0", "b0"), ("a1", "b1"), ("a2", "b2")}
    assert set(rows["method"]) == {"text"}
    assert set(rows["accepted"]) == {""}
    assert rows["evidence"].str.contains("text similarity 0.").all()
    off = Config.build({**tree, "text": {"enabled": False}})
    assert resolve(items(left, right), off, cache_dir=tmp_path).proposals.empty


def test_the_file_itself_is_no_part_of_what_is_compared() -> None:
    config = Config.build(
        {
            "data": {
                "interactions": "x.csv",
                "sources": [{"name": "same", "kind": "same_as", "path": "same_as.csv"}],
            }
        }
    )
    assert [s.name for s in unresolved(config.data).all_sources()] == ["interactions"]
