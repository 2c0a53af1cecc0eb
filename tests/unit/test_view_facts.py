from itertools import permutations

import pytest
from deliveries import Held, delivered, derived
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.errors import ConfigError, DataError, SchemaError
from kgrec.schema import NodeLabel

ITEM, ENTITY = NodeLabel.ITEM, NodeLabel.ENTITY

TRIPLES = """head,relation,tail
m.heat,film.directed_by,m.mann
m.mann,director.film,m.heat
2,film.directed_by,m.coen
m.heat,film.sequel,m.fargo
m.ins,film.directed_by,m.mann
"""
LINK = "item,entity\n1,m.heat\n2,m.fargo\n"
RULES = {
    "film.directed_by": {"name": "directed_by"},
    "director.film": {"name": "directed_by", "inverse": True},
    "film.sequel": {"name": "sequel"},
}


def test_rules_and_links_by_hand() -> None:
    world = derived(
        delivered("triples", TRIPLES), delivered("link", LINK, numbers=[2]), relations=RULES
    )
    assert world.edges() == {
        # Said from both ends, counted once; the linked entity is its item.
        "directed_by Item->Entity": {("1", "m.mann"), ("2", "m.coen")},
        "directed_by Entity->Entity": {("m.ins", "m.mann")},
        "sequel Item->Item": {("1", "2")},
    }
    assert world.ids(ENTITY) == ["m.coen", "m.ins", "m.mann"]
    assert [str(table.key) for table in world.view.relations] == [
        "(Entity)-[DIRECTED_BY]->(Entity)",
        "(Item)-[DIRECTED_BY]->(Entity)",
        "(Item)-[SEQUEL]->(Item)",
    ]
    assert world.notes == [
        "triples: 1 ends of triples are in no link, but are ids of items, and are taken for these "
        "items; prefix keeps them apart ('2')",
        "triples: 1 of 5 triples repeat another one (after relations were merged) and were left "
        "out",
    ]


def test_several_sources_of_triples_and_links_add_up() -> None:
    world = derived(
        delivered("triples", "head,relation,tail\nfilm,by,x\n1,by,x\n", name="kg"),
        delivered("triples", "head,relation,tail\n2,by,y\nfilm,By,z\n", name="more"),
        delivered("link", "item,entity\n1,film\n", name="a"),
        delivered("link", "item,entity\n2,film\n7,other\n1,film\n", name="b"),
        relations={"By": {"name": "by"}},
    )
    # An entity of two items speaks of both.
    assert world.edges() == {
        "by Item->Entity": {("1", "x"), ("2", "x"), ("2", "y"), ("1", "z"), ("2", "z")},
    }
    assert world.notes == [
        "b: 1 links of unknown items were left out ('7')",
        "kg: 1 ends of triples are in no link, but are ids of items, and are taken for these "
        "items; prefix keeps them apart ('1')",
        "more: 1 ends of triples are in no link, but are ids of items, and are taken for these "
        "items; prefix keeps them apart ('2')",
        # Linked to two items, two rows are four, and 1 by x is said once more.
        "kg: 1 of 3 triples repeat another one (after relations were merged) and were left out",
    ]


@pytest.mark.parametrize(
    ("rules", "link", "kind", "message"),
    [
        (
            {"film.directed_bi": {"drop": True}},
            LINK,
            ConfigError,
            "'film.directed_bi', which does not occur in triples; expected one of 'director.film'",
        ),
        ({"film.sequel": {"name": "film directed_by"}}, LINK, DataError, "would both become"),
        ({"film.sequel": {"name": "interacted"}}, LINK, SchemaError, "INTERACTED"),
        ({"film.sequel": {"name": "same as"}}, LINK, SchemaError, "SAME_AS"),
        ({}, "item,entity\n77,m.heat\n", DataError, "link links no known item: '77' and 0 others"),
    ],
)
def test_what_does_not_fit_is_refused(
    rules: dict[str, object], link: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        derived(
            delivered("triples", TRIPLES),
            delivered("link", link),
            relations=rules,
            unknown_triples="drop",
        )


def test_triples_about_nothing_known() -> None:
    triples = delivered("triples", "head,relation,tail\n1,r,a\nx,r,y\ny,r,z\na,r,b\n")
    with pytest.raises(DataError) as caught:
        derived(triples)
    message = str(caught.value)
    assert "triples-1.csv:3: nothing connects (x, r, y) to an item; 2 of 4" in message
    assert 'data.unknown_triples = "drop"' in message
    world = derived(triples, unknown_triples="drop")
    assert world.edges() == {"r Item->Entity": {("1", "a")}, "r Entity->Entity": {("a", "b")}}
    assert world.ids(ENTITY) == ["a", "b"]
    assert world.notes == ["triples: 2 of 4 triples are connected to no item and were left out"]


def test_an_attribute_connects_triples_as_well() -> None:
    world = derived(
        delivered("items", "id,genre\n1,noir\n", properties={"genre": {"as": "attribute"}}),
        delivered("triples", "head,relation,tail\ngenre:noir,broader,crime\n"),
    )
    assert world.edges()["broader Entity->Entity"] == {("genre:noir", "crime")}


def test_dropped_relations_connect_nothing_and_loops_go() -> None:
    triples = delivered("triples", "head,relation,tail\n1,near,a\na,r,b\n1,r,1\n1,r,c\n")
    with pytest.raises(DataError, match=r"triples-1\.csv:3: nothing connects"):
        derived(triples, relations={"near": {"drop": True}})
    world = derived(triples, relations={"near": {"drop": True}}, unknown_triples="drop")
    assert world.edges() == {"r Item->Entity": {("1", "c")}}
    assert world.notes == [
        "triples: 1 rows are of relations that data.relations drops (near)",
        "triples: 1 of 3 tails of 'r' are ids of items, the others of entities; prefix keeps apart "
        "what is numbered alike ('1')",
        "triples: 1 triples join a node to itself and were left out ('1')",
        "triples: 1 of 2 triples are connected to no item and were left out",
    ]


def test_an_id_may_name_an_item_and_an_entity() -> None:
    # "2" is linked, so in triples it is item 1; the item 2 is still itself elsewhere.
    world = derived(
        delivered("triples", "head,relation,tail\n2,by,x\n3,by,y\n"),
        delivered("link", "item,entity\n1,2\n"),
    )
    assert world.edges() == {"by Item->Entity": {("1", "x"), ("3", "y")}}
    assert world.ids(ITEM) == ["1", "2", "3"]


def test_a_list_and_triples_may_share_a_relation() -> None:
    rule = {"as": "attribute", "relation": "tag"}
    world = derived(
        delivered("items", "id,tags\n1,crime\n", properties={"tags": rule}),
        delivered("triples", "head,relation,tail\n1,tag,g1\n1,tag,tag:crime\n"),
    )
    assert world.edges() == {"tag Item->Entity": {("1", "g1"), ("1", "tag:crime")}}


def test_the_newest_row_of_a_fact_gives_its_weight_time_and_load() -> None:
    triples = delivered(
        "triples",
        "head,relation,tail,weight,time\n1,by,x,1,10\n1,by,y,5,\n",
        "head,relation,tail,weight,time\n1,by,x,3,30\n",
        "head,relation,tail,weight,time\n1,by,x,2,20\n",
        numbers=[4, 5, 6],
    )
    (table,) = derived(triples).view.relations
    assert list(table.edges.columns) == ["head", "tail", "load", "weight", "time"]
    assert table.edges.fillna(-1).to_dict("list") == {
        "head": ["1", "1"],
        "tail": ["x", "y"],
        "load": [5, 4],
        "weight": [3.0, 5.0],
        "time": [30.0, -1.0],
    }


def test_edges_carry_only_what_some_row_says() -> None:
    (plain,) = derived(delivered("triples", "head,relation,tail\n1,by,x\n")).view.relations
    assert list(plain.edges.columns) == ["head", "tail", "load"]
    timed = delivered("triples", "head,relation,tail,time\n1,by,x,7\n")
    (table,) = derived(timed).view.relations
    assert table.edges["time"].tolist() == [7]


def test_a_fact_is_taken_back_by_time_or_by_load() -> None:
    loads = [
        "head,relation,tail,time\n1,by,x,10\n1,by,y,10\n",
        "head,relation,tail,time,deleted\n1,by,x,20,yes\n1,by,y,5,yes\n",
        "head,relation,tail,time\n2,by,x,30\n",
    ]
    for order in permutations(loads):
        world = derived(delivered("triples", *order))
        assert world.edges() == {"by Item->Entity": {("1", "y"), ("2", "x")}}
        assert world.notes == ["triples: 1 rows were taken back by later ones"]
    untimed = [
        "head,relation,tail\n1,by,x\n",
        "head,relation,tail,deleted\n1,by,x,yes\n",
        "head,relation,tail\n1,by,x\n",
    ]
    assert derived(delivered("triples", *untimed[:2])).edges() == {}
    assert derived(delivered("triples", *untimed)).edges() == {"by Item->Entity": {("1", "x")}}


def test_a_tombstone_speaks_for_its_own_source_only() -> None:
    world = derived(
        delivered("triples", "head,relation,tail\n1,by,x\n", name="one"),
        delivered("triples", "head,relation,tail,deleted\n1,by,x,yes\n", name="two"),
    )
    assert world.edges() == {"by Item->Entity": {("1", "x")}}


def test_what_is_known_only_from_the_cut_on_leaves() -> None:
    triples = delivered(
        "triples",
        "head,relation,tail,time,weight,deleted\n"
        "1,by,x,99,1,\n"  # known before
        "1,by,y,100,1,\n"  # from the cut on
        "2,by,x,,1,\n"  # of no time
        "2,by,y,50,1,\n2,by,y,150,1,yes\n"  # taken back too late to know
        "3,by,x,50,1,\n3,by,x,150,2,\n",  # changed too late to know
    )
    world = derived(triples, held=Held(moment=100))
    assert world.edges() == {"by Item->Entity": {("1", "x"), ("2", "x"), ("2", "y"), ("3", "x")}}
    assert world.view.relations[0].edges["weight"].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert world.notes == [
        "triples: 2 rows are of the moment at which valid begins, or later, and were left out"
    ]


def test_entities_of_too_many_edges_lose_them() -> None:
    triples = delivered(
        "triples",
        "head,relation,tail\n1,in,big\n2,in,big\n3,in,big\n1,in,small\n2,in,small\n"
        "3,by,big\nbig,in,world\n",
    )
    assert len(derived(triples, cleaning={"max_fan_out": 4}).edges()["in Item->Entity"]) == 5
    world = derived(triples, cleaning={"max_fan_out": 3})
    # big has 4 edges of `in`, one of them going out, and one of `by`.
    assert world.edges() == {
        "in Item->Entity": {("1", "small"), ("2", "small")},
        "by Item->Entity": {("3", "big")},
    }
    assert world.ids(ENTITY) == ["big", "small"]
    assert world.notes == [
        "graph: 4 edges are of 1 entities with more than 3 of one relation and were left out "
        "('big' by in)"
    ]


def test_social_edges_join_known_users() -> None:
    social = delivered(
        "social",
        "head,relation,tail,weight\nu1,follows,u2,2\nu2,follows,u1,\nu1,follows,stranger,1\n"
        "u3,follows,u3,1\nu1,trusts,u3,1\nu1,follows,u2,4\n",
    )
    world = derived(social, relations={"trusts": {"name": "relies on", "inverse": True}})
    assert world.edges() == {
        "follows User->User": {("u1", "u2"), ("u2", "u1")},
        "relies on User->User": {("u3", "u1")},
    }
    follows = world.view.relations[0].edges
    assert follows["weight"].fillna(-1).tolist() == [4, -1]
    assert world.ids(NodeLabel.USER) == ["u1", "u2", "u3"]
    assert world.notes == [
        "social: 1 edges name an unknown user and were left out ('u1' to 'stranger')",
        "social: 1 of 5 edges repeat another one (after relations were merged) and were left out",
        "social: 1 edges join a node to itself and were left out ('u3')",
    ]


def test_item_edges_join_known_items() -> None:
    edges = delivered("item_edges", "head,relation,tail\n1,bought_with,2\n2,bought_with,9\n")
    world = derived(edges)
    assert world.edges() == {"bought_with Item->Item": {("1", "2")}}
    assert world.notes == [
        "item_edges: 1 edges name an unknown item and were left out ('2' to '9')"
    ]
    known = derived(edges, delivered("items", "id,a\n9,x\n"))
    assert known.edges() == {"bought_with Item->Item": {("1", "2"), ("2", "9")}}


def test_edges_between_items_and_triples_are_one_relation() -> None:
    world = derived(
        delivered("item_edges", "head,relation,tail\n1,sequel,2\n"),
        delivered("triples", "head,relation,tail\n1,sequel,2\n2,sequel,3\n2,sequel,x\n"),
    )
    assert world.edges() == {
        "sequel Item->Item": {("1", "2"), ("2", "3")},
        "sequel Item->Entity": {("2", "x")},
    }


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_the_order_and_repetition_of_timed_rows_change_nothing(data: st.DataObject) -> None:
    keys = [("1", "x"), ("1", "y"), ("2", "x"), ("x", "y")]
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from(keys), st.booleans()), min_size=1, max_size=8)
    )
    lines = [
        f"{head},by,{tail},{time},{'yes' if gone else ''}"
        for time, ((head, tail), gone) in enumerate(rows)
    ]
    # By hand: of each fact the latest row says whether it stands.
    latest = dict(rows)
    expected = {key for key, gone in latest.items() if not gone}
    shuffled = data.draw(st.permutations(lines + data.draw(st.lists(st.sampled_from(lines)))))
    cut = data.draw(st.integers(1, len(shuffled)))
    header = "head,relation,tail,time,deleted\n"
    loads = [header + "\n".join(part) + "\n" for part in (shuffled[:cut], shuffled[cut:]) if part]
    world = derived(
        delivered("triples", *loads), delivered("triples", "head,relation,tail\n1,is,x\n", name="t")
    )
    found = world.edges()
    assert {
        pair for name, pairs in found.items() if name.startswith("by") for pair in pairs
    } == expected
