"""What `kgrec inspect` proposes: graphs in which the right answer is visible by eye."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from kgrec.adopt.facts import Degrees, GraphFacts, Label, Property, RelationshipType
from kgrec.adopt.proposal import to_toml
from kgrec.adopt.propose import propose
from kgrec.config import AdoptConfig, Config
from kgrec.errors import DataError

URI = "bolt://h:7687"


def prop(name: str, kind: str = "STRING", differing: float = 1, **more: Any) -> Property:
    values: dict[str, Any] = {
        "mixed": False, "present": 1.0, "length": 10.0 if kind == "STRING" else 0.0,
        "unique": False, "examples": ("5", "4", "2"), "sampled": 100, **more,
    }  # fmt: skip
    return Property(name=name, type=kind, differing=differing, **values)


def kind(
    name: str, head: str, tail: str, edges: int, own: float, shared: float, *properties: Property
) -> RelationshipType:
    degrees = [Degrees(mean, mean, int(mean * 3), 1.0) for mean in (own, shared)]
    return RelationshipType(name, edges, {head: edges}, {tail: edges}, properties, *degrees)


MOVIES = GraphFacts(
    URI,
    (
        Label("Customer", 100, (prop("email"), prop("customerId", unique=True),
                                prop("age", "INTEGER", 0.4))),
        Label("Movie", 80, (
            prop("title", differing=0.9), prop("movieId", "INTEGER", unique=True),
            prop("imdbId"), prop("plot", length=200.0), prop("language", differing=0.05),
            prop("year", "INTEGER", 0.4), prop("embedding", "LIST<FLOAT>"), prop("posterUrl"),
        )),
        Label("Person", 50, (prop("name"),)),
        Label("Genre", 6, (prop("name", sampled=6),)),
        Label("Log", 5, (prop("id", sampled=5),)),
        Label("City", 2, (prop("name", sampled=2),)),
    ),
    (
        kind("RATED", "Customer", "Movie", 2000, 20, 25, prop("stars", "INTEGER", 0.05),
             prop("at", "INTEGER", examples=("1700000000000", "1710000000000"))),
        kind("VIEWED", "Customer", "Movie", 3000, 30, 40, prop("on", "DATE")),
        kind("ACTED_IN", "Person", "Movie", 400, 8, 5),
        kind("IN_GENRE", "Movie", "Genre", 900, 11, 150),
        kind("LIVES_WITH", "Customer", "Customer", 30, 1, 1),
        kind("LIVES_IN", "Customer", "City", 100, 1, 50),
    ),
)  # fmt: skip


def settings(facts: GraphFacts) -> AdoptConfig:
    config = Config.build(tomllib.loads(to_toml(propose(facts), facts.uri)))
    assert config.adopt is not None
    return config.adopt


def test_a_movie_graph() -> None:
    proposal = propose(MOVIES)
    assert proposal.unsure() == ()
    adopt = settings(MOVIES)
    assert (adopt.user.label, adopt.user.key, adopt.user.key_type) == (
        "Customer", "customerId", "string",
    )  # fmt: skip
    assert adopt.user.properties == ("age",)  # not the e-mail address
    assert (adopt.item.label, adopt.item.key, adopt.item.key_type) == (
        "Movie", "movieId", "integer",
    )  # fmt: skip
    assert (adopt.item.title, adopt.item.text, adopt.item.attributes, adopt.item.properties) == (
        "title", ("plot",), ("language",), ("year",),
    )  # fmt: skip
    rated, viewed = adopt.interactions
    assert (rated.type, rated.role, rated.rating, rated.time) == ("RATED", "target", "stars", "at")
    assert rated.time_format.unit == "ms"
    assert (viewed.type, viewed.role, viewed.time) == ("VIEWED", "evidence", "on")
    assert [(e.label, e.key) for e in adopt.entities] == [("Genre", "name"), ("Person", "name")]
    assert proposal.relations == ("ACTED_IN", "IN_GENRE", "LIVES_WITH")
    assert [text.partition(":")[0] for text in proposal.left_out] == [
        "LIVES_IN", "City", "Log",
    ]  # fmt: skip
    assert Config.build(tomllib.loads(to_toml(proposal, URI))).data.split.kind == "temporal_user"  # type: ignore[union-attr]


def test_reasons_are_in_words() -> None:
    choice = propose(MOVIES).interactions[0].type
    assert choice.score == 0.94
    assert choice.reasons == (
        "RATED is what such a type is called",
        "Customer is what users are called",
        "Movie is what items are called",
        "it begins at them, as what somebody does begins at who does it",
        "it has ratings (stars)",
        "it has times (at)",
        "20.0 of them a Customer (median 20, at most 60)",
        "25.0 of them a Movie, so users share items",
    )
    assert choice.alternatives[0][0] == "(:Customer)-[:VIEWED]->(:Movie)"
    text = to_toml(propose(MOVIES), URI)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "# type, 0.94 of 1: RATED is what such a type is called;" in text


def test_a_type_that_goes_from_the_item_to_the_user() -> None:
    bought = kind("PURCHASED_BY", "Product", "Client", 900, 30, 9, prop("quantity", "INTEGER"))
    facts = GraphFacts(
        URI, (Label("Client", 100, (prop("id"),)), Label("Product", 30, (prop("sku"),))), (bought,)
    )
    (interaction,) = settings(facts).interactions
    assert (interaction.type, interaction.direction) == ("PURCHASED_BY", "in")
    assert interaction.weight == "quantity"
    assert settings(facts).user.label == "Client"


def test_categories_are_no_items() -> None:
    """Six genres that all movies share have more edges than the ratings, and are not liked."""
    rated = kind("REL1", "A", "B", 500, 10, 10)
    genre = kind("REL2", "A", "C", 5000, 10, 800)
    labels = tuple(Label(name, nodes, (prop("id"),)) for name, nodes in
                   (("A", 500), ("B", 400), ("C", 6)))  # fmt: skip
    proposal = propose(GraphFacts(URI, labels, (genre, rated)))
    assert proposal.interactions[0].type.name == "REL1"


def test_what_rests_on_little_says_so() -> None:
    labels = tuple(Label(name, 100, (prop("id"),)) for name in ("A", "B", "C"))
    facts = GraphFacts(
        URI, labels, (kind("X", "A", "B", 900, 9, 9), kind("Y", "A", "C", 900, 9, 9))
    )
    proposal = propose(facts)
    (doubt,) = proposal.unsure()
    assert doubt.startswith("little says that (:A)-[:X]->(:B) are the interactions; others are ")
    assert "(:A)-[:Y]->(:C)" in doubt
    assert "# UNSURE: little says" in to_toml(proposal, URI)


def test_two_that_are_as_good_are_named() -> None:
    both = [
        kind("RATED", "User", name, 900, 9, 9, prop("stars", "INTEGER"), prop("at", "DATE"))
        for name in ("Movie", "Book")
    ]
    labels = tuple(Label(name, 100, (prop("id"),)) for name in ("User", "Movie", "Book"))
    named = tuple(replace(one, name=f"RATED_{n}") for n, one in enumerate(both))
    (doubt,) = propose(GraphFacts(URI, labels, named)).unsure()
    assert "(:User)-[:RATED_1]->(:Book) could as well be the interactions" in doubt


def test_a_key_that_is_none_says_so() -> None:
    names = (prop("name", differing=0.8),)
    facts = replace(MOVIES, labels=(*MOVIES.labels[:2], Label("Person", 50, names),
                                    *MOVIES.labels[3:]))  # fmt: skip
    (doubt,) = propose(facts).unsure()
    assert doubt.startswith("no property of Person is on every node and different on each")
    half = replace(prop("id"), sampled=50)
    facts = replace(MOVIES, labels=(Label("Customer", 100, (half,)), *MOVIES.labels[1:]))
    (doubt,) = propose(facts).unsure()
    assert doubt == ("Customer.id is unique on 50 of 100 nodes, and no constraint says so of all")


def test_a_label_that_every_node_has_is_not_taken() -> None:
    everything = Label("Resource", 1000, (prop("uri"),))
    types = tuple(
        replace(one, heads={**one.heads, "Resource": one.edges},
                tails={**one.tails, "Resource": one.edges})
        for one in MOVIES.types
    )  # fmt: skip
    facts = replace(MOVIES, labels=(everything, *MOVIES.labels), types=types)
    assert settings(facts).user.label == "Customer"
    assert settings(facts).item.label == "Movie"
    assert "Resource" not in [entity.label for entity in settings(facts).entities]


def test_nothing_to_propose() -> None:
    loop = kind("KNOWS", "A", "A", 10, 1, 1)
    with pytest.raises(DataError, match="connects nodes of two labels"):
        propose(GraphFacts(URI, (Label("A", 5, (prop("id"),)),), (loop,)))
    bare = (Label("User", 5, ()), Label("Movie", 5, (prop("id"),)))
    with pytest.raises(DataError, match="'User' have no text or whole number"):
        propose(GraphFacts(URI, bare, (kind("RATED", "User", "Movie", 10, 2, 2),)))


@pytest.mark.parametrize("name", ['a"b', "a'b", "a`b", "a # b", "]]", "日本", '[x]"', " "])
def test_settings_load_whatever_the_names(name: str) -> None:
    rated = kind(f"T{name}", f"U{name}", f"I{name}", 900, 9, 9, prop(f"r{name}", "INTEGER"))
    made = kind(f"M{name}", f"E{name}", f"I{name}", 90, 9, 3)
    labels = tuple(
        Label(f"{begin}{name}", 100, (prop(f"id{name}", unique=True),)) for begin in "UIE"
    )
    adopt = settings(GraphFacts(URI, labels, (rated, made)))
    assert {adopt.user.label, adopt.item.label} == {f"U{name}", f"I{name}"}
    assert adopt.user.key == f"id{name}"
    assert adopt.interactions[0].type == f"T{name}"
    assert [entity.label for entity in adopt.entities] == [f"E{name}"]


def test_names_that_differ_in_case_only_are_one() -> None:
    labels = [
        replace(label, properties=(*label.properties, prop("has_tag", differing=0.05)))
        if label.name == "Movie"
        else label
        for label in MOVIES.labels
    ]
    types = (
        *MOVIES.types,
        kind("rated", "Customer", "Movie", 50, 2, 2, prop("stars", "INTEGER", 0.05)),
        kind("has_tag", "Movie", "Genre", 90, 2, 9),
        kind("HAS_TAG", "Movie", "Genre", 80, 2, 9),
    )
    facts = replace(MOVIES, labels=tuple(labels), types=types)
    adopt = settings(facts)
    assert adopt.relations.rename == {"has_tag": "HAS_TAG"}
    assert adopt.item.attributes == ("language",)
    assert (
        "Movie.has_tag: a relationship type of the name HAS_TAG is there" in propose(facts).left_out
    )
    assert sorted((i.type, i.behaviour()) for i in adopt.interactions) == [
        ("RATED", "rated"), ("VIEWED", "viewed"), ("rated", "rated_2"),
    ]  # fmt: skip
