"""Reasons that add up, and connections as the store has them."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from graph_oracle import dataset_of_ids
from graphs import history_of, random_graph, tensors_of

from kgrec.data.tables import RelationTable
from kgrec.errors import VocabularyError
from kgrec.explanation.reasons import Connection, explain_scores, fetch_connections
from kgrec.ingestion import write_dataset
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.network import GraphNetwork
from kgrec.schema import SAME_AS, EdgeKey, NodeLabel, Role, Split
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.relation_rows import relation_rows

GRAPH = random_graph(9)
NAMES = {
    label: [f"Name {key}" for key in vocabulary.ids]
    for label, vocabulary in GRAPH.vocabularies.items()
}


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    history, tensors = history_of(GRAPH), tensors_of(GRAPH)
    net = GraphNetwork(tensors, channels=6, generator=torch.Generator().manual_seed(0))
    parts = {
        "network": PropagationScorer.from_network(net, tensors, history, 0.2),
        "closed_form": ClosedForm.fit(history, relation_rows(GRAPH), {"genre": 1.0}, 2.0),
    }
    return Fusion(parts, {"network": 1.0, "closed_form": 0.5})


def test_explanations_add_up_to_the_served_score(fusion: Fusion) -> None:
    asked = ["i7", "i0", "i3"]
    found = explain_scores(fusion, GRAPH.vocabularies, NAMES, "u2", asked)
    served = fusion.score(torch.tensor([2]))[0, [7, 0, 3]].tolist()
    history = {f"i{item}" for item in history_of(GRAPH).row(2).tolist()}
    for explanation, item, score in zip(found, asked, served, strict=True):
        assert (explanation.user_id, explanation.item_id) == ("u2", item)
        assert explanation.score == pytest.approx(score, abs=1e-5)
        shares = [own.share for own in explanation.own_items]
        assert sum(shares) + explanation.rest == pytest.approx(score, abs=1e-5)
        assert sum(explanation.relations.values()) == pytest.approx(score, abs=1e-5)
        assert shares == sorted(shares, reverse=True)
        assert {own.item_id for own in explanation.own_items} == history
        assert all(own.name == f"Name {own.item_id}" for own in explanation.own_items)
        assert {"VIEW", "DISMISS", "FOLLOWS", "GENRE"} <= set(explanation.relations)
        assert explanation.exact
        assert not explanation.relations_exact


def test_shares_belong_to_their_items(fusion: Fusion) -> None:
    (explanation,) = explain_scores(fusion, GRAPH.vocabularies, NAMES, "u2", ["i7"])
    made = fusion.contributions(2, torch.tensor([7]))
    wanted = dict(zip(made.own_items.tolist(), made.by_item[0].tolist(), strict=True))
    assert {own.item_id: own.share for own in explanation.own_items} == {
        f"i{item}": share for item, share in wanted.items()
    }


def test_behaviours_are_told_by_their_type_both_directions_together(fusion: Fusion) -> None:
    (explanation,) = explain_scores(fusion, GRAPH.vocabularies, NAMES, "u2", ["i7"])
    made = fusion.contributions(2, torch.tensor([7]))
    shares = dict(zip(made.relation_names, made.by_relation[0].tolist(), strict=True))
    for kind in ("VIEW", "DISMISS"):
        both = shares[kind] + shares[f"rev_{kind}"]
        assert explanation.relations[kind] == pytest.approx(both, abs=1e-6)
    assert set(explanation.relations) == {
        "self", "INTERACTED", "GENRE", "DIRECTED_BY", "FEATURES", "SEQUEL", "LIKES", "FOLLOWS",
        "VIEW", "DISMISS",
    }  # fmt: skip


def test_the_unknown_is_refused(fusion: Fusion) -> None:
    with pytest.raises(VocabularyError, match="no Item has the id 'i99'"):
        explain_scores(fusion, GRAPH.vocabularies, NAMES, "u2", ["i99"])
    with pytest.raises(VocabularyError, match="no User has the id 'nobody'"):
        explain_scores(fusion, GRAPH.vocabularies, NAMES, "nobody", ["i1"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    """heat, ali and up; a director and a language (the hub) that they share, and what users did."""
    path: Path = tmp_path_factory.mktemp("store") / "graph.kgl"
    items = ["ali", "heat", "inside", "up"]
    facts = {
        "directed_by": [("ali", "mann"), ("heat", "mann"), ("inside", "riley")],
        "written_by": [("heat", "mann"), ("inside", "mann")],
        "language": [(item, "english") for item in items],
    }
    tables = [
        RelationTable(
            name,
            EdgeKey(name.upper(), NodeLabel.ITEM, NodeLabel.ENTITY),
            pd.DataFrame(rows, columns=["head", "tail"]),
        )
        for name, rows in facts.items()
    ]
    sequel = pd.DataFrame({"head": ["heat"], "tail": ["up"]})
    tables.append(
        RelationTable("sequel", EdgeKey("SEQUEL", NodeLabel.ITEM, NodeLabel.ITEM), sequel)
    )
    user, item, entity = NodeLabel
    for name, key, pairs, role in (
        ("view", EdgeKey("VIEW", user, item), [("u", "up"), ("u", "heat")], Role.EVIDENCE),
        ("dismiss", EdgeKey("DISMISS", user, item), [("u", "inside")], Role.NEGATIVE),
        ("searched", EdgeKey("SEARCHED", user, entity), [("v", "q")], Role.RELATION),
        ("led_to", EdgeKey("LED_TO", entity, item), [("q", "ali"), ("q", "up")], Role.RELATION),
        ("same_as", EdgeKey(SAME_AS, item, item), [("ali", "inside")], Role.IDENTITY),
    ):
        frame = pd.DataFrame(pairs, columns=["head", "tail"])
        tables.append(RelationTable(name, key, frame, role))
    empty = pd.DataFrame({"user": ["u"], "item": ["ali"]})
    dataset = dataset_of_ids(
        {
            NodeLabel.USER: pd.DataFrame({"id": ["u", "v"]}),
            NodeLabel.ITEM: pd.DataFrame({"id": items, "title": [x.title() for x in items]}),
            NodeLabel.ENTITY: pd.DataFrame(
                {
                    "id": ["english", "mann", "q", "riley"],
                    "name": ["English", "Michael Mann", None, None],
                    "kind": [None, None, "query", None],
                    "text": [None, None, "films for a lonely evening", None],
                }
            ),
        },
        {Split.TRAIN: empty, Split.VALID: empty.iloc[:0], Split.TEST: empty.iloc[:0]},
        tuple(tables),
    )
    with open_store(f"embedded:{path}") as opened:
        write_dataset(dataset, opened)
        yield opened


FAN_OUT = {"DIRECTED_BY": 1.5, "WRITTEN_BY": 2.0, "LANGUAGE": 4.0}


def connect(store: GraphStore, own: list[str], item: str, **more: int):
    return fetch_connections(
        store, own, item, entity_names={"riley": "J. Riley"}, fan_out=FAN_OUT, **more
    )


def test_a_rare_relation_tells_more_than_a_hub(store: GraphStore) -> None:
    found = connect(store, ["ali"], "heat")
    # Mann directed both; that he also wrote heat is not told again. The language comes last.
    assert found == {
        "ali": (
            Connection("ali", "heat", "DIRECTED_BY", "DIRECTED_BY", "mann", "Michael Mann"),
            Connection("ali", "heat", "LANGUAGE", "LANGUAGE", "english", "English"),
        )
    }
    first, last = found["ali"]
    assert first.text == "both directed by Michael Mann"
    assert last.text == "both language: English"


def test_the_average_fan_out_decides_the_order(store: GraphStore) -> None:
    names = {"entity_names": {}, "most": 1}
    turned = {"DIRECTED_BY": 9.0, "WRITTEN_BY": 9.0, "LANGUAGE": 2.0}
    (only,) = fetch_connections(store, ["ali"], "heat", fan_out=turned, **names)["ali"]
    assert only.entity_id == "english"


def test_a_direct_connection_comes_first(store: GraphStore) -> None:
    (direct, language) = connect(store, ["heat"], "up")["heat"]
    assert direct == Connection("heat", "up", "SEQUEL", "SEQUEL")
    assert direct.text == "connected by “sequel”"
    assert language.entity_id == "english"


def test_an_entity_in_two_roles(store: GraphStore) -> None:
    (mann, _) = connect(store, ["ali"], "inside")["ali"]
    assert (mann.own_type, mann.item_type) == ("DIRECTED_BY", "WRITTEN_BY")
    assert mann.text == "directed by Michael Mann, who is here as “written by”"


def test_what_people_did_is_no_reason(store: GraphStore) -> None:
    # Item inside was dismissed and is the same as ali, up was viewed, and a query of somebody
    # else led to ali and up: of all this, nothing is told.
    (found,) = connect(store, ["ali"], "up", most=9)["ali"]
    assert (found.item_type, found.entity_id) == ("LANGUAGE", "english")
    told = connect(store, ["ali", "heat"], "inside", most=9)
    assert {c.entity_id for one in told.values() for c in one} == {"mann", "english"}


def test_only_asked_items_and_never_the_item_itself(store: GraphStore) -> None:
    found = connect(store, ["heat", "up"], "heat", most=1)
    assert set(found) == {"up"}
    assert connect(store, [], "heat") == {}
    assert connect(store, ["ali"], "nothing") == {}
