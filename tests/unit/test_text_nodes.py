from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kgrec.config import TextConfig
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.graph.texts import display_names, node_texts, text_features
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.text.templates import readable
from kgrec.vocabulary import Vocabulary

USER, ITEM, ENTITY = NodeLabel.USER, NodeLabel.ITEM, NodeLabel.ENTITY


def edges(name: str, head: NodeLabel, tail: NodeLabel, *pairs: tuple[int, int]) -> RelationEdges:
    ends = np.array(pairs, dtype=np.int64)
    return RelationEdges(name, EdgeKey(name.upper(), head, tail), ends[:, 0], ends[:, 1])


def interactions(*rows: tuple[int, int, float]) -> Interactions:
    frame = np.array(rows).reshape(-1, 3)
    return Interactions(
        frame[:, 0].astype(np.int64), frame[:, 1].astype(np.int64), time=frame[:, 2]
    )


@pytest.fixture
def graph() -> GraphData:
    """Four films; Mann is named, the director of the other three is not."""
    return GraphData(
        version="v",
        vocabularies={
            USER: Vocabulary(["u1", "u2", "u3"], "User"),
            ITEM: Vocabulary(["h", "f", "r", "b"], "Item"),
            ENTITY: Vocabulary(["mann", "p-7", "crime", "CRIME", "lone"], "Entity"),
        },
        properties={
            USER: pd.DataFrame({"id": ["u1", "u2", "u3"], "index": [0, 1, 2], "age": [20, 30, 40]}),
            ITEM: pd.DataFrame(
                {
                    "id": ["h", "f", "r", "b"],
                    "title": ["Heat", "Fargo", "Raising Arizona", "Blood Simple"],
                    "year": [1995, 1996, np.nan, 1984],
                    "load": ["x"] * 4,
                }
            ),
            ENTITY: pd.DataFrame({"name": ["Mann", None, "crime", "Crime", np.nan]}),
        },
        train=interactions((0, 0, 5), (0, 1, 9), (0, 2, 7), (1, 3, 1)),
        held_out={
            Split.VALID: interactions((0, 3, 99)),
            Split.TEST: interactions((2, 3, 99)),
        },
        relations=(
            edges("directed_by", ITEM, ENTITY, (0, 0), (1, 1), (2, 1), (3, 1)),
            edges("genre", ITEM, ENTITY, (0, 2), (0, 3), (1, 2)),
            edges("near", ITEM, ITEM, (0, 1)),
            edges("born_in", ENTITY, ENTITY, (1, 4)),
        ),
    )


def test_texts_by_hand(graph: GraphData) -> None:
    texts = node_texts(graph, TextConfig(history=2))
    assert texts[ITEM] == [
        # The genre is told once, though two entities are called so.
        "Heat (1995); genre: crime; directed by Mann; near: Fargo",
        "Fargo (1996); genre: crime; near of Heat",
        "Raising Arizona",
        "Blood Simple (1984)",
    ]
    assert texts[USER] == [
        "age 20; lately: Fargo, Raising Arizona",
        "age 30; lately: Blood Simple",
        "age 40",
    ]
    assert texts[ENTITY] == [
        "Mann; director of Heat",
        "director of Fargo, Raising Arizona, Blood Simple",
        "crime; genre of Heat, Fargo",
        "Crime; genre of Heat",
        "",  # no name, and its only neighbour has none
    ]


def test_names_for_everything(graph: GraphData) -> None:
    names = display_names(graph)
    assert names[ITEM] == ["Heat", "Fargo", "Raising Arizona", "Blood Simple"]
    assert names[USER] == ["u1", "u2", "u3"]
    assert names[ENTITY] == [
        "Mann",
        "the director of Fargo, Raising Arizona and 1 other",
        "crime",
        "Crime",
        "lone",
    ]


def test_held_out_interactions_reach_no_text(graph: GraphData) -> None:
    told = node_texts(graph, TextConfig())
    hidden = replace(graph, held_out={Split.VALID: interactions(), Split.TEST: interactions()})
    assert node_texts(hidden, TextConfig()) == told
    assert "Blood Simple" not in told[USER][0] + told[USER][2]


def test_the_order_of_edges_and_interactions_changes_nothing(graph: GraphData) -> None:
    order = np.array([3, 1, 0, 2])
    train = graph.train
    assert train.time is not None
    turned = replace(
        graph,
        train=Interactions(
            train.user_index[order], train.item_index[order], time=train.time[order]
        ),
        relations=tuple(
            replace(part, head_index=part.head_index[::-1], tail_index=part.tail_index[::-1])
            for part in graph.relations[::-1]
        ),
    )
    assert node_texts(turned, TextConfig()) == node_texts(graph, TextConfig())
    assert display_names(turned) == display_names(graph)


def test_neighbours_are_bounded_and_the_best_connected_come_first() -> None:
    films = 30
    cast = [(film, person) for person in range(8) for film in range(films - 3 * person)]
    graph = GraphData(
        version="v",
        vocabularies={
            USER: Vocabulary([], "User"),
            ITEM: Vocabulary(map(str, range(films)), "Item"),
            ENTITY: Vocabulary(map(str, range(8)), "Entity"),
        },
        properties={ENTITY: pd.DataFrame({"name": [f"P{n}" for n in range(8)]})},
        train=interactions(),
        held_out={},
        relations=(edges("starring", ITEM, ENTITY, *cast),),
    )
    texts = node_texts(graph, TextConfig())
    assert texts[ITEM][0] == "starring P0, P1, P2, P3"
    assert texts[ENTITY][7] == "P7"  # its films have no titles
    names = display_names(graph)
    assert names[ITEM][29] == "the one starring P0"
    assert names[ITEM][28] == "the one starring P0"


def test_without_times_the_best_rated_count_as_the_latest(graph: GraphData) -> None:
    train = graph.train
    rating = np.array([1.0, 2.0, 5.0, 3.0])
    rated = replace(graph, train=Interactions(train.user_index, train.item_index, rating))
    assert node_texts(rated, TextConfig(history=2))[USER][0].endswith(
        "lately: Raising Arizona, Fargo"
    )


def test_features_are_whitened_over_all_labels_together(graph: GraphData, tmp_path: Path) -> None:
    features = text_features(graph, TextConfig(components=6), tmp_path)[0]
    assert {label: matrix.shape for label, matrix in features.items()} == {
        USER: (3, 6),
        ITEM: (4, 6),
        ENTITY: (5, 6),
    }
    stacked = np.concatenate(list(features.values()))
    assert stacked.dtype == np.float32
    assert not features[ENTITY][4].any()
    told = stacked[stacked.any(axis=1)]
    assert len(told) == 11
    np.testing.assert_allclose(told.T @ told / 11, np.eye(6), atol=1e-3)
    again = text_features(graph, TextConfig(components=6), tmp_path)[0]
    for label in NodeLabel:
        np.testing.assert_array_equal(again[label], features[label])


@pytest.fixture
def shop(graph: GraphData) -> GraphData:
    """The films with a review, a query, an unnamed entity of another kind, and what users did."""
    entities = pd.DataFrame(
        {
            "name": ["Mann", None, "crime", "Crime", None, None, "bank heist", "France"],
            "kind": ["person", None, None, None, "person", "review", "query", "place"],
            "text": [None, None, None, None, None, "The diner scene!", "bank heist", None],
        }
    )
    names = ["mann", "p-7", "crime", "CRIME", "lone", "rev", "q", "fr"]
    return replace(
        graph,
        vocabularies={**graph.vocabularies, ENTITY: Vocabulary(names, "Entity")},
        properties={
            **graph.properties,
            ENTITY: entities,
            USER: graph.properties[USER].assign(age_scaled=[0.1, 0.2, 0.3], shoe_scaled=4),
        },
        relations=(
            *graph.relations,
            edges("wrote", USER, ENTITY, (0, 5)),
            edges("reviews", ENTITY, ITEM, (5, 0)),
            edges("searched", USER, ENTITY, (1, 6)),
            edges("led_to", ENTITY, ITEM, (6, 0), (6, 1)),
            edges("country", USER, ENTITY, (0, 7), (2, 7)),
            edges("follows", USER, USER, (0, 1)),
            replace(edges("view", USER, ITEM, (2, 3), (1, 0)), role=Role.EVIDENCE),
            replace(edges("dismiss", USER, ITEM, (1, 1)), role=Role.NEGATIVE),
        ),
    )


def test_reviews_and_queries_are_told_by_their_text(shop: GraphData) -> None:
    texts = node_texts(shop, TextConfig(history=2))
    assert texts[ENTITY][5:] == [
        "The diner scene!; reviews: Heat",
        "bank heist; led to Heat, Fargo",
        "France; kind place",
    ]
    assert texts[ENTITY][0] == "Mann; director of Heat; kind person"
    assert texts[ENTITY][4] == ""  # of a kind, but neither a name nor a text


def test_users_are_told_by_attributes_and_train_not_by_what_else_they_did(
    shop: GraphData, graph: GraphData
) -> None:
    texts = node_texts(shop, TextConfig(history=2))
    assert texts[USER] == [
        "age 20, shoe scaled 4; country: France; lately: Fargo, Raising Arizona",
        "age 30, shoe scaled 4; lately: Blood Simple",
        "age 40, shoe scaled 4; country: France",  # who viewed Blood Simple
    ]
    assert texts[ITEM] == node_texts(graph, TextConfig(history=2))[ITEM]


def test_texts_are_called_by_their_first_words(shop: GraphData) -> None:
    names = display_names(shop)
    assert names[ENTITY][4:] == ["lone", "“The diner scene!”", "bank heist", "France"]
    assert names[USER] == ["u1", "u2", "u3"]  # none of them is "the one with country France"
    named = shop.properties[ENTITY].assign(name="A review")
    again = display_names(replace(shop, properties={**shop.properties, ENTITY: named}))
    assert again[ENTITY][5] == "A review"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("comedy", "comedy"), ("tag:comedy", "comedy"), ("sci-fi", "sci-fi"),
        ("imdb top 250", "imdb top 250"), ("http://dbpedia.org/resource/Heat", "Heat"),
        ("喜剧", "喜剧"), ("don't look", "don't look"), ("m.06pj8", None), ("Q42", None),
        ("12", None), ("item 12", None), ("tag:12", None), ("u7", None), ("deadbeef", None),
        ("5f0c1e2a-9b7d-4c3e-8a1f-0123456789ab", None), ("xx", None), ("", None),
    ],
)  # fmt: skip
def test_a_readable_id_is_a_name(key: str, name: str | None) -> None:
    assert readable(key) == name


def test_a_tag_is_called_by_its_id_not_by_what_it_tags(graph: GraphData) -> None:
    tags = Vocabulary(["mann", "comedy", "crime", "CRIME", "lone"], "Entity")
    named = replace(graph, vocabularies={**graph.vocabularies, ENTITY: tags})
    assert display_names(graph)[ENTITY][1] == "the director of Fargo, Raising Arizona and 1 other"
    assert display_names(named)[ENTITY][1] == "comedy"
