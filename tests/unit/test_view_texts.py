import hashlib

import pandas as pd
import pytest
from deliveries import Held, delivered, derived

from kgrec.errors import DataError
from kgrec.schema import NodeLabel

ENTITY = NodeLabel.ENTITY


def query_id(normalised: str) -> str:
    return "query:" + hashlib.sha256(normalised.encode()).hexdigest()[:16]


def test_reviews_stand_between_users_and_items() -> None:
    long = "A long   review that\nsays a great deal more than its name can hold, and on it goes"
    world = derived(
        delivered(
            "reviews",
            f'id,user,item,text,time\nr1,u1,1,Good,10\nr2,u2,2,"{long}",20\nr3,u3,,No item,\n',
            name="shop",
            numbers=[3],
        )
    )
    assert world.edges() == {
        "wrote User->Entity": {
            ("u1", "review:shop:r1"),
            ("u2", "review:shop:r2"),
            ("u3", "review:shop:r3"),
        },
        "reviews Entity->Item": {("review:shop:r1", "1"), ("review:shop:r2", "2")},
    }
    entities = world.view.nodes[ENTITY].set_index("id")
    assert entities.loc["review:shop:r2"].to_dict() == {
        "kind": "review",
        "text": long,
        "name": "A long review that says a great deal more than its name can",
        "load": 3,
    }
    reviews = world.view.relations[0]
    assert str(reviews.key) == "(Entity)-[REVIEWS]->(Item)"
    assert reviews.edges["time"].tolist() == [10, 20]
    assert reviews.edges["load"].tolist() == [3, 3]
    assert world.notes == []


def test_the_newest_row_of_a_review_counts_and_tombstones_take_it_back() -> None:
    loads = [
        "id,user,item,text,time\nr1,u1,1,old,10\nr2,u1,2,gone,10\n",
        "id,user,item,text,time\nr1,u1,1,new,20\n",
        "id,user,item,text,time,deleted\nr2,u1,2,x,30,yes\n",
    ]
    for order in (loads, loads[::-1]):
        world = derived(delivered("reviews", *order))
        assert world.column(ENTITY, "text") == {"review:reviews:r1": "new"}
        assert set(world.notes) == {
            "reviews: 1 rows were taken back by later ones",
            "reviews: 1 rows repeat another one or are older and were left out",
        }


def test_ends_that_nobody_knows_are_left_out() -> None:
    world = derived(
        delivered(
            "reviews",
            "id,user,item,text\na,u1,99,x\nb,nobody,1,y\nc,nobody,99,z\nd,nobody,,w\n",
        )
    )
    assert world.edges() == {
        "wrote User->Entity": {("u1", "review:reviews:a")},
        "reviews Entity->Item": {("review:reviews:b", "1")},
    }
    assert world.ids(ENTITY) == ["review:reviews:a", "review:reviews:b"]
    assert world.notes == [
        "reviews: 3 texts name an unknown user, which was left out",
        "reviews: 2 texts name an unknown item, which was left out",
        "reviews: 2 texts have no known user or item and left",
    ]


def test_texts_on_what_is_held_out_leave() -> None:
    rows = [
        delivered(
            "reviews", "id,user,item,text,time\na,u1,1,x,10\nb,u1,2,y,10\nc,u2,2,z,100\nd,u2,1,w,\n"
        ),
        delivered("queries", "id,user,item,text\nq,u1,2,seas\nr,u2,2,seas\n"),
    ]
    held = Held(frozenset({("u1", "2")}))
    world = derived(*rows, held=held)
    assert world.edges() == {
        "wrote User->Entity": {
            ("u1", "review:reviews:a"),
            ("u2", "review:reviews:c"),
            ("u2", "review:reviews:d"),
        },
        "reviews Entity->Item": {
            ("review:reviews:a", "1"),
            ("review:reviews:c", "2"),
            ("review:reviews:d", "1"),
        },
        "searched User->Entity": {("u2", query_id("seas"))},
        "led_to Entity->Item": {(query_id("seas"), "2")},
    }
    assert world.notes == [
        "reviews: 1 texts speak of held-out interactions and left",
        "queries: 1 texts speak of held-out interactions and left",
    ]
    cut = derived(*rows, held=Held(held.pairs, moment=100))
    assert "review:reviews:c" not in cut.ids(ENTITY)
    assert (
        "reviews: 1 rows are of the moment at which valid begins, or later, and were left out"
        in cut.notes
    )


def test_queries_that_say_the_same_are_one_entity() -> None:
    world = derived(
        delivered(
            "queries",
            "id,user,item,text,time\n1,u1,1,Deep  Sea,10\n1,u1,2,Deep  Sea,11\n2,u2,,deep sea,12\n"
            "3,u3,2,deep sea ,13\n4,u3,3,CAFÉ,14\n5,u1,3,cafe\u0301,15\n",
            name="log",
        )
    )
    sea, cafe = query_id("deep sea"), query_id("café")
    assert world.edges() == {
        "searched User->Entity": {
            ("u1", sea), ("u2", sea), ("u3", sea), ("u3", cafe), ("u1", cafe)
        },
        # One query may lead to several items.
        "led_to Entity->Item": {(sea, "1"), (sea, "2"), (cafe, "3")},
    }  # fmt: skip
    # The most frequent spelling; of equally frequent ones the first by code point.
    assert world.column(ENTITY, "text") == {sea: "Deep  Sea", cafe: "CAFÉ"}
    assert world.column(ENTITY, "name") == {sea: "Deep Sea", cafe: "CAFÉ"}
    assert set(world.column(ENTITY, "kind").values()) == {"query"}
    led = world.view.relations[0].edges.set_index(["head", "tail"])
    assert led["time"].to_dict() == {(sea, "1"): 10, (sea, "2"): 13, (cafe, "3"): 15}


def test_ids_of_several_sources_of_reviews_do_not_meet() -> None:
    world = derived(
        delivered("reviews", "id,user,item,text\n1,u1,1,x\n", name="a"),
        delivered("reviews", "id,user,item,text\n1,u1,1,y\n", name="b"),
    )
    assert world.column(ENTITY, "text") == {"review:a:1": "x", "review:b:1": "y"}


def test_texts_and_other_entities_share_one_table() -> None:
    reviews = delivered("reviews", "id,user,item,text\nr,u1,1,Fine\n")
    tags = delivered("items", "id,tag\n1,noir\n", properties={"tag": {"as": "attribute"}})
    world = derived(reviews, tags)
    assert world.column(ENTITY, "name") == {"review:reviews:r": "Fine", "tag:noir": "noir"}
    assert pd.isna(world.view.nodes[ENTITY].set_index("id").loc["tag:noir", "text"])
    numbered = delivered("entities", "id,kind\ntag:noir,7\n")
    with pytest.raises(DataError, match="have numbers as 'kind', which is the kind of reviews"):
        derived(reviews, tags, numbered)


def test_texts_with_too_many_edges_go_with_them() -> None:
    rows = "".join(f"{n},u{n},{n},tv\n" for n in (1, 2, 3))
    world = derived(
        delivered("queries", f"id,user,item,text\n{rows}9,u1,1,rare\n"), cleaning={"max_fan_out": 2}
    )
    assert world.column(ENTITY, "text") == {query_id("rare"): "rare"}
