"""All kinds of rows at once, as one small world by hand."""

from itertools import permutations

import numpy as np
import pandas as pd
from deliveries import Held, delivered, derived
from graph_oracle import dataset_of_ids

from kgrec.config import Config
from kgrec.data.tables import Dataset
from kgrec.data.view.identities import read_identities
from kgrec.data.view.knowledge import KnowledgeView, derive_knowledge
from kgrec.data.view.rows import SourceRows
from kgrec.schema import EDGE_PROPERTIES, NodeLabel, Split

ITEM, USER, ENTITY = NodeLabel.ITEM, NodeLabel.USER, NodeLabel.ENTITY


def small_world() -> list[SourceRows]:
    return [
        delivered(
            "items",
            "id,title,year,tags\n1,Heat,1995,crime|thriller\n2,Fargo,1996,crime\n9,Ran,,drama\n",
            properties={"tags": {"as": "attribute", "relation": "tag", "split": "auto"}},
        ),
        delivered("users", "id,age,name\nu2,30,Ann\nu0,40,Bob\n"),
        delivered(
            "triples",
            "head,relation,tail\nm.heat,film.directed_by,m.mann\nm.mann,director.film,m.heat\n"
            "2,film.directed_by,m.coen\nm.heat,film.sequel,m.fargo\nm.ins,film.directed_by,m.mann\n",
        ),
        delivered("link", "item,entity\n1,m.heat\n2,m.fargo\n"),
        delivered(
            "entities", "id,name,born\nm.mann,Mann,1943\nm.coen,Coen,1954\nm.none,Nobody,1900\n"
        ),
    ]


RULES = {
    "film.directed_by": {"name": "directed_by"},
    "director.film": {"name": "directed_by", "inverse": True},
    "film.sequel": {"name": "sequel"},
}


def dataset(view: KnowledgeView) -> Dataset:
    """The view with one interaction of everybody, so that it must hold together."""
    pairs = pd.DataFrame({"user": view.nodes[USER]["id"], "item": view.nodes[ITEM]["id"][0]})
    return dataset_of_ids(view.nodes, {Split.TRAIN: pairs}, view.relations)


def test_a_small_world_by_hand() -> None:
    world = derived(*small_world(), relations=RULES)
    assert world.ids(USER) == ["u0", "u1", "u2", "u3"]
    items = world.view.nodes[ITEM]
    assert items["id"].tolist() == ["1", "2", "3", "9"]
    assert list(items.columns) == ["id", "title", "year", "load"]
    assert items["year"].fillna(0).tolist() == [1995, 1996, 0, 0]
    assert world.edges() == {
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
    assert world.column(ENTITY, "name") == {
        "m.mann": "Mann",
        "m.coen": "Coen",
        "tag:crime": "crime",
        "tag:thriller": "thriller",
        "tag:drama": "drama",
    }
    assert world.column(ENTITY, "born") == {"m.mann": 1943, "m.coen": 1954}
    assert "m.ins" in world.ids(ENTITY)
    assert world.notes == [
        "triples: 1 ends of triples are in no link, but are ids of items, and are taken for these "
        "items; prefix keeps them apart ('2')",
        "triples: 1 of 5 triples repeat another one (after relations were merged) and were left "
        "out",
        "entities: 1 of 3 entities occur in no fact and were left out ('m.none')",
        "interactions: 1 of 3 items with interactions are in no table of items ('3')",
    ]


def test_everything_at_once_makes_a_dataset() -> None:
    world = derived(
        *small_world(),
        delivered("social", "head,relation,tail,weight\nu1,knows,u2,0.5\n"),
        delivered("item_edges", "head,relation,tail,time\n1,like,9,50\n"),
        delivered("reviews", "id,user,item,text,time\nr,u1,1,Fine,70\n"),
        delivered("queries", "id,user,item,text\nq,u3,2,snow\n"),
        delivered("same_as", "left,right,label,score\n3,9,Item,0.7\nu0,u3,User,0.6\n"),
        relations=RULES,
        held=Held(moment=100),
    )
    made = dataset(world.view)
    assert len(made.fingerprint) == 16
    assert [str(key) for key in made.edges()][1:] == [
        "(Entity)-[DIRECTED_BY]->(Entity)",
        "(Item)-[DIRECTED_BY]->(Entity)",
        "(User)-[KNOWS]->(User)",
        "(Entity)-[LED_TO]->(Item)",
        "(Item)-[LIKE]->(Item)",
        "(Entity)-[REVIEWS]->(Item)",
        "(Item)-[SAME_AS]->(Item)",
        "(User)-[SAME_AS]->(User)",
        "(User)-[SEARCHED]->(Entity)",
        "(Item)-[SEQUEL]->(Item)",
        "(Item)-[TAG]->(Entity)",
        "(User)-[WROTE]->(Entity)",
    ]
    for frame in made.edges().values():
        assert set(frame.columns) <= {"head", "tail", *EDGE_PROPERTIES}
    for frame in world.view.nodes.values():
        assert frame["id"].is_monotonic_increasing
        assert frame["id"].is_unique
        assert str(frame["load"].dtype) == "int64"


def test_nothing_but_interactions() -> None:
    world = derived()
    assert world.view.relations == ()
    assert {label: len(frame) for label, frame in world.view.nodes.items()} == {
        USER: 3,
        ITEM: 3,
        ENTITY: 0,
    }
    assert world.notes == []


def test_sources_without_rows_are_as_good_as_none() -> None:
    headers = {
        "items": "id,title\n",
        "entities": "id,name\n",
        "triples": "head,relation,tail\n",
        "social": "head,relation,tail\n",
        "link": "item,entity\n",
        "reviews": "id,user,item,text\n",
        "same_as": "left,right,label\n",
    }
    world = derived(
        *(delivered(kind, text) for kind, text in headers.items()),  # type: ignore[arg-type]
        relations=RULES,  # nothing is there yet that they could name
    )
    assert dataset(world.view).fingerprint == dataset(derived().view).fingerprint
    assert world.notes == []


def test_the_order_of_rows_and_sources_of_facts_changes_nothing() -> None:
    plain = dataset(derived(*small_world(), relations=RULES).view).fingerprint
    turned = [
        SourceRows(rows.source, rows.frame.iloc[::-1].reset_index(drop=True), rows.origins)
        for rows in small_world()
    ]
    assert dataset(derived(*turned, relations=RULES).view).fingerprint == plain
    for order in [*permutations(small_world())][::29]:
        assert dataset(derived(*order, relations=RULES).view).fingerprint == plain


def test_timed_deliveries_commute() -> None:
    loads = {
        "items": [
            "id,title,price,tag,time\n1,Heat,5,a,10\n2,Ran,8,b,10\n",
            "id,title,price,tag,time\n1,HEAT,6,c,20\n3,Fargo,,a,5\n",
            "id,title,price,tag,time,deleted\n2,,,,30,yes\n",
        ],
        "triples": [
            "head,relation,tail,time\n1,by,x,10\n2,by,x,11\n",
            "head,relation,tail,time,deleted\n1,by,x,12,yes\n",
            "head,relation,tail,time\n1,by,y,13\n2,by,x,14\n",
        ],
        "reviews": [
            "id,user,item,text,time\nr,u1,1,old,10\n",
            "id,user,item,text,time\nr,u1,1,new,20\ns,u2,2,other,5\n",
            "id,user,item,text,time,deleted\ns,u2,2,,6,yes\n",
        ],
    }
    rules = {
        "price": {"as": "number", "normalise": "log", "impute": "median"},
        "tag": {"as": "attribute"},
    }
    found = set()
    for order in permutations(range(3)):
        tables = [
            delivered(
                kind,  # type: ignore[arg-type]
                *(texts[place] for place in [*order, order[0]]),  # the first one comes again
                properties=rules if kind == "items" else {},
            )
            for kind, texts in loads.items()
        ]
        found.add(dataset(derived(*tables).view).fingerprint)
    assert len(found) == 1


def test_users_and_items_may_come_without_their_loads() -> None:
    config = Config.build({"data": {"interactions": "x.csv"}}).data
    items = delivered("items", "id,title\n2,Ran\n", numbers=[6])
    view = derive_knowledge(
        {"items": [items]},
        pd.Series(np.nan, index=["u"]),
        pd.Series(np.nan, index=["1", "2"]),
        Held(),
        pd.Index(["1"]),
        read_identities(()),
        config,
    )
    load = view.nodes[ITEM]["load"]
    assert np.isnan(load[0])
    assert load[1] == 6
