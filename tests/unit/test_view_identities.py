import pandas as pd
import pytest
from deliveries import World, delivered, derived
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.cleaning.report import Report
from kgrec.data.view.identities import Identities, read_identities
from kgrec.data.view.rows import SourceRows
from kgrec.schema import NodeLabel, Role

ITEM, USER, ENTITY = NodeLabel.ITEM, NodeLabel.USER, NodeLabel.ENTITY


def canonical(identities: Identities, label: NodeLabel, ids: str) -> list[str]:
    return identities.canonical(label, pd.Series(ids.split(), dtype="str")).tolist()


def same(*loads: str, name: str = "same", **more: object) -> SourceRows:
    return delivered("same_as", *loads, name=name, **more)  # type: ignore[arg-type]


def test_the_first_id_of_a_group_counts() -> None:
    rows = same("left,right,label\n3,2,\n2,5,Item\n9,8,Item\nu2,u1,User\n3,7,Entity\n")
    identities = read_identities([rows])
    assert canonical(identities, ITEM, "1 2 3 5 8 9 2") == ["1", "2", "2", "2", "8", "8", "2"]
    assert canonical(identities, USER, "u1 u2 u3 2") == ["u1", "u1", "u3", "2"]
    assert canonical(identities, ENTITY, "3 7") == ["3", "3"]
    some = pd.Series(["5", None, "x"], index=[7, 8, 9], dtype="str")
    assert identities.canonical(ITEM, some).fillna("none").to_dict() == {7: "2", 8: "none", 9: "x"}


def test_the_last_row_on_a_pair_says_whether_it_is_accepted() -> None:
    first = "left,right,accepted\n1,2,yes\n3,4,\n5,6,yes\n"
    then = "left,right,accepted\n2,1,no\n4,3,yes\n"
    with Report() as report:
        identities = read_identities([same(first, then)])
    assert canonical(identities, ITEM, "1 2 3 4 5 6") == ["1", "2", "3", "3", "5", "5"]
    assert report.notes() == ("same: 1 pairs are not accepted and change nothing",)
    # What one source refuses, another may accept.
    both = read_identities([same(first, then), same("left,right\n1,2\n", name="b")])
    assert canonical(both, ITEM, "2") == ["1"]


def test_an_id_that_no_node_has_joins_others_but_never_counts() -> None:
    rows = same("left,right\n2,0-ghost\n0-ghost,3\n4,ghost\n")
    with Report() as report:
        identities = read_identities([rows], {ITEM: pd.Index(["2", "3", "4"])})
    assert canonical(identities, ITEM, "2 3 4 0-ghost") == ["2", "2", "4", "0-ghost"]
    assert report.notes() == (
        "same_as: 2 ids that no node has were said to be the same as others and were left out "
        "('0-ghost', 'ghost')",
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_groups_are_connected_components(pairs: list[tuple[int, int]]) -> None:
    text = "left,right\n" + "".join(f"{left},{right}\n" for left, right in pairs)
    identities = read_identities([same(text)])
    # By hand: labels spread until nothing changes.
    least = list(range(10))
    for _ in range(10):
        for left, right in pairs:
            least[left] = least[right] = min(least[left], least[right])
    assert canonical(identities, ITEM, "0 1 2 3 4 5 6 7 8 9") == [str(key) for key in least]


def test_the_node_that_counts_has_all_edges_and_what_it_lacked() -> None:
    world = derived(
        delivered("items", "id,title,year,genre\n1,,1995,noir\n2,Heat,1996,crime\n3,Ran,,war\n",
                  properties={"genre": {"as": "attribute"}}),
        delivered("item_edges", "head,relation,tail\n1,like,2\n2,like,3\n3,like,1\n"),
        delivered("triples", "head,relation,tail\n1,by,mann\n2,by,mann\n2,by,pacino\n"),
        delivered("social", "head,relation,tail\nu1,knows,u3\nu2,knows,u3\nu1,knows,u2\n"),
        delivered("reviews", "id,user,item,text\nr,u2,2,Fine\n"),
        same("left,right,label,score\n2,1,Item,0.9\nu1,u2,User,0.8\nmann,pacino,Entity,\n",
             numbers=[7]),
    )  # fmt: skip
    assert world.edges() == {
        "genre Item->Entity": {("1", "genre:noir"), ("1", "genre:crime"), ("3", "genre:war")},
        "like Item->Item": {("1", "3"), ("3", "1")},
        "by Item->Entity": {("1", "mann")},
        "knows User->User": {("u1", "u3")},
        "wrote User->Entity": {("u1", "review:reviews:r")},
        "reviews Entity->Item": {("review:reviews:r", "1")},
    }
    assert world.edges(Role.IDENTITY) == {
        "same_as Item->Item": {("2", "1")},
        "same_as User->User": {("u2", "u1")},
        "same_as Entity->Entity": {("pacino", "mann")},
    }
    assert world.column(ITEM, "title") == {"1": "Heat", "2": "Heat", "3": "Ran"}
    assert world.column(ITEM, "year") == {"1": 1995, "2": 1996}
    tables = {str(t.key): t.edges for t in world.view.relations if t.role == Role.IDENTITY}
    assert tables["(Item)-[SAME_AS]->(Item)"].to_dict("list") == {
        "head": ["2"],
        "tail": ["1"],
        "load": [7],
        "score": [0.9],
    }
    assert list(tables["(Entity)-[SAME_AS]->(Entity)"].columns) == ["head", "tail", "load"]
    assert "same_as: 3 nodes gave their edges to the one they are" in world.notes


def test_an_item_counts_for_the_entities_that_are_it() -> None:
    world = derived(
        delivered("items", "id,year\n1,\n2,1996\n"),
        delivered(
            "triples", "head,relation,tail\nm.heat,by,mann\nq.heat,by,pacino\nx,near,m.heat\n"
        ),
        delivered("entities", "id,name,year\nm.heat,Heat,1995\nq.heat,HEAT,1990\n"),
        same("left,right,label\n1,q.heat,Item/Entity\nm.heat,q.heat,Entity\n"),
    )
    assert world.edges() == {
        "by Item->Entity": {("1", "mann"), ("1", "pacino")},
        "near Entity->Item": {("x", "1")},
    }
    assert world.edges(Role.IDENTITY) == {
        "same_as Entity->Item": {("m.heat", "1"), ("q.heat", "1")}
    }
    assert world.column(ITEM, "title") == {"1": "Heat"}
    assert world.column(ITEM, "year") == {"1": 1995, "2": 1996}
    assert "name" not in world.view.nodes[ITEM]
    assert world.ids(ENTITY) == ["m.heat", "mann", "pacino", "q.heat", "x"]


def test_an_entity_that_is_the_same_as_a_linked_one_is_its_items() -> None:
    world = derived(
        delivered("triples", "head,relation,tail\nm.heat,by,mann\nq.heat,by,pacino\n"),
        delivered("link", "item,entity\n1,m.heat\n2,m.heat\n"),
        same("left,right,label\nm.heat,q.heat,Entity\n"),
    )
    assert world.edges() == {
        "by Item->Entity": {("1", "mann"), ("2", "mann"), ("1", "pacino"), ("2", "pacino")},
    }
    assert world.edges(Role.IDENTITY) == {
        "same_as Entity->Item": {
            ("m.heat", "1"), ("m.heat", "2"), ("q.heat", "1"), ("q.heat", "2"),
        }
    }  # fmt: skip


def test_items_joined_by_an_entity_are_one() -> None:
    world = derived(
        delivered("triples", "head,relation,tail\n2,by,mann\n"),
        same("left,right,label\n2,imdb-7,Item/Entity\n1,imdb-7,Item/Entity\n"),
    )
    assert world.edges() == {"by Item->Entity": {("1", "mann")}}
    assert world.edges(Role.IDENTITY) == {"same_as Item->Item": {("2", "1")}}
    assert world.ids(ENTITY) == ["mann"]


def test_attribute_values_may_be_found_the_same() -> None:
    world = derived(
        delivered("items", "id,genre\n1,Sci-Fi\n2,SF\n", properties={"genre": {"as": "attribute"}}),
        delivered("triples", "head,relation,tail\n3,genre,m.scifi\n"),
        same("left,right,label\ngenre:SF,genre:Sci-Fi,Entity\nm.scifi,genre:SF,Entity\n"),
    )
    assert world.edges() == {
        "genre Item->Entity": {("1", "genre:SF"), ("2", "genre:SF"), ("3", "genre:SF")}
    }
    assert world.column(ENTITY, "name") == {"genre:SF": "SF", "genre:Sci-Fi": "Sci-Fi"}


def test_what_connects_a_triple_may_be_an_identity() -> None:
    rows = [
        delivered("triples", "head,relation,tail\n1,by,mann\nq.mann,born,chicago\n"),
        same("left,right,label\nq.mann,mann,Entity\n"),
    ]
    world = derived(*rows)
    assert world.edges()["born Entity->Entity"] == {("mann", "chicago")}


def test_entities_that_no_fact_names_are_no_nodes() -> None:
    world = derived(
        delivered("triples", "head,relation,tail\n1,by,a\n"),
        delivered("entities", "id,name\nb,B\nc,C\nd,D\n"),
        same("left,right,label\nb,a,Entity\nc,d,Entity\ne,a,Entity\n"),
    )
    assert world.ids(ENTITY) == ["a", "b"]
    assert world.column(ENTITY, "name") == {"a": "B", "b": "B"}
    assert world.edges(Role.IDENTITY) == {"same_as Entity->Entity": {("b", "a")}}
    assert world.notes == [
        "same_as: 1 ids that no node has were said to be the same as others and were left out "
        "('e')",
        "same_as: 1 nodes gave their edges to the one they are",
        "entities: 2 of 3 entities occur in no fact and were left out ('c', 'd')",
    ]


def test_values_of_another_type_are_not_taken_over() -> None:
    world = derived(
        delivered("items", "id,year\n1,\n2,1996\n"),
        delivered("entities", "id,year\nm.heat,about 1995\n"),
        delivered("triples", "head,relation,tail\nm.heat,by,mann\n"),
        same("left,right,label\n1,m.heat,Item/Entity\n"),
    )
    assert world.column(ITEM, "year") == {"2": 1996}
    assert (
        "graph: 1 Item nodes lack 'year' and did not take it from the node that is the same, "
        "where it is of another type" in world.notes
    )


def world_with(*identities: SourceRows) -> World:
    return derived(
        delivered("items", "id,title,price\n1,,5\n2,Heat,\n3,Ran,9\n", properties={
            "price": {"as": "number", "normalise": "standard"}}),
        delivered("users", "id,age\nu1,\nu2,40\n"),
        delivered("entities", "id,name\nm.heat,Heat\nq.mann,Mann\n"),
        delivered("triples", "head,relation,tail\nm.heat,by,mann\n1,by,q.mann\n2,in,m.heat\n"),
        delivered("queries", "id,user,item,text\nq,u2,2,heat\n"),
        *identities,
    )  # fmt: skip


@pytest.mark.parametrize(
    "refused",
    [
        (),
        (same("left,right,label,accepted\n1,2,Item,no\nu1,u2,User,\n"),),
        (
            same(
                "left,right,label,accepted\n2,1,Item,yes\nmann,q.mann,Entity,yes\n",
                "left,right,label,accepted\n1,2,Item,no\nmann,q.mann,Entity,no\n",
            ),
        ),
    ],
)
def test_what_is_taken_back_leaves_no_trace(refused: tuple[SourceRows, ...]) -> None:
    merged = world_with(
        same("left,right,label\n1,2,Item\nu1,u2,User\nmann,q.mann,Entity\n3,m.heat,Item/Entity\n")
    )
    before, after = world_with(), world_with(*refused)
    assert merged.edges() != before.edges()
    assert len(merged.edges(Role.IDENTITY)) == 4
    for label in NodeLabel:
        pd.testing.assert_frame_equal(before.view.nodes[label], after.view.nodes[label])
        assert set(before.ids(label)) == set(merged.ids(label))
    assert before.view.scales == after.view.scales
    assert len(before.view.relations) == len(after.view.relations)
    for one, other in zip(before.view.relations, after.view.relations, strict=True):
        assert (one.name, one.key, one.role) == (other.name, other.key, other.role)
        pd.testing.assert_frame_equal(one.edges, other.edges)
