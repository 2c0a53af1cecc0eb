from itertools import permutations

import pandas as pd
import pytest
from deliveries import delivered, derived

from kgrec.errors import ConfigError, DataError, SchemaError
from kgrec.schema import NodeLabel

ITEM, USER, ENTITY = NodeLabel.ITEM, NodeLabel.USER, NodeLabel.ENTITY


def test_property_types_and_names() -> None:
    world = derived(
        delivered(
            "items",
            "id,name,zip,n,x,gap,none,run-time\n1,A,00501,7,1.5,3,,9\n2,B,10001,-2,2,,,8\n",
        ),
        items="1 2",
    )
    items = world.view.nodes[ITEM]
    assert list(items.columns) == ["id", "title", "zip", "n", "x", "gap", "run_time", "load"]
    assert items["title"].tolist() == ["A", "B"]
    assert items["zip"].tolist() == ["00501", "10001"]
    assert {name: str(items[name].dtype) for name in ("n", "x", "gap", "load")} == {
        "n": "int64",
        "x": "float64",
        "gap": "float64",
        "load": "int64",
    }
    assert items["x"].tolist() == [1.5, 2.0]
    assert items["gap"][0] == 3
    assert pd.isna(items["gap"][1])
    assert world.notes == [
        "items: 2 columns are kept under another name ('name' is kept as 'title', 'run-time' is "
        "kept as 'run_time')",
        "items: 1 columns are empty and were left out ('none')",
    ]


def test_nodes_are_those_of_interactions_and_tables() -> None:
    world = derived(
        delivered("items", "id,year\n9,1990\n2,1995\n", numbers=[4]),
        delivered("users", "id,name\nu9,Ann\n", numbers=[5]),
    )
    items = world.view.nodes[ITEM]
    assert items["id"].tolist() == ["1", "2", "3", "9"]
    assert items["year"].fillna(0).tolist() == [0, 1995, 0, 1990]
    assert items["load"].tolist() == [1, 4, 1, 4]
    assert world.view.nodes[USER]["id"].tolist() == ["u1", "u2", "u3", "u9"]
    # A user may have a name; only items and entities are shown by one of their own.
    assert world.column(USER, "name") == {"u9": "Ann"}
    assert len(world.view.nodes[ENTITY]) == 0


def test_what_becomes_of_a_column_is_said_by_its_rule() -> None:
    world = derived(
        delivered(
            "items",
            "id,code,price,plot,internal\n1,7,0010,42,x\n2,8,9.5,A story,y\n",
            properties={
                "Code": {"as": "property", "name": "sku"},
                "price": {"as": "number"},
                "plot": {"as": "text", "name": "description"},
                "internal": {"as": "drop"},
            },
        ),
        items="1 2",
    )
    items = world.view.nodes[ITEM]
    assert list(items.columns) == ["id", "sku", "price", "description", "load"]
    assert items["sku"].tolist() == [7, 8]
    assert items["price"].tolist() == [10.0, 9.5]
    # A text stays a text, even where it looks like a number.
    assert items["description"].tolist() == ["42", "A story"]
    assert world.notes == []


@pytest.mark.parametrize(
    ("text", "properties", "kind", "message"),
    [
        ("id,a\n1,x\n", {"genre": {}}, ConfigError, "name 'genre', but it has a; correct the name"),
        ("id,title,name\n1,A,B\n", {}, DataError, "both 'title' and 'name'"),
        ("id,index\n1,4\n", {}, DataError, "'index', which kgrec keeps for itself"),
        ("id,a\n1,4\n", {"a": {"name": "index"}}, ConfigError, "'index', which kgrec keeps"),
        ("id,1st\n1,4\n", {}, DataError, "rename the column"),
        ("id,a\n1,4\n", {"a": {"name": "A b"}}, ConfigError, "property 'A b' cannot be written"),
        ("id,a-b,a.b\n1,4,5\n", {}, DataError, "two columns would become the property 'a_b'"),
        (
            "id,title\n1,Heat\n1,Ran\n",
            {},
            DataError,
            r"items-1\.csv:3:id: expected every id once, got '1'; remove the repeated row",
        ),
        (
            "id,p\n1,4\n2,cheap\n3,inf\n",
            {"p": {"as": "number"}},
            DataError,
            r"items-1\.csv:3:p: expected a finite number, got 'cheap' \(and 1 more\)",
        ),
        (
            "id,tag\n1,x\n",
            {"tag": {"as": "attribute", "relation": "interacted"}},
            SchemaError,
            "INTERACTED, which kgrec keeps",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    text: str, properties: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        derived(delivered("items", text, properties=properties))


def test_identical_rows_are_one_and_a_later_load_replaces_an_id() -> None:
    world = derived(
        delivered("items", "id,title\n1,Heat\n1,Heat\n2,Ran\n", "id,title\n1,HEAT\n"), items="1 2"
    )
    assert world.column(ITEM, "title") == {"1": "HEAT", "2": "Ran"}
    assert world.view.nodes[ITEM]["load"].tolist() == [2, 1]
    assert world.notes == ["items: 1 rows are older than another one of their id and were left out"]


def test_a_column_of_one_load_only_is_a_property_of_its_rows() -> None:
    world = derived(
        delivered("items", "id,title\n1,Heat\n", "id,title,year\n2,Ran,1985\n"), items="1 2"
    )
    assert world.column(ITEM, "year") == {"2": 1985.0}
    assert world.column(ITEM, "title") == {"1": "Heat", "2": "Ran"}


def test_the_newest_row_by_time_counts_in_whatever_order_deliveries_come() -> None:
    loads = [
        "id,title,time\n1,old,10\n2,two,10\n",
        "id,title,time\n1,new,30\n",
        "id,title,time\n1,middle,20\n1,oldest,5\n",
        "id,title,time,deleted\n2,,15,yes\n3,,9,yes\n",
        "id,title,time\n3,three,12\n",
    ]
    for order in [*permutations(loads)][::17]:  # 8 of 120, every load first and last
        world = derived(delivered("items", *order), items="1 2 3")
        assert world.column(ITEM, "title") == {"1": "new", "3": "three"}
    repeated = derived(delivered("items", *loads, *loads))
    assert repeated.column(ITEM, "title") == {"1": "new", "3": "three"}


def test_times_that_are_equal_or_missing() -> None:
    # Deleted at the moment it was written: deleted, whichever came first.
    loads = ["id,a,time\n1,x,10\n2,y,10\n", "id,a,time,deleted\n1,,10,yes\n2,,9,yes\n"]
    for order in (loads, loads[::-1]):
        assert derived(delivered("items", *order)).column(ITEM, "a") == {"2": "y"}
    # A row without a time is older than any with one.
    loads = ["id,a,time\n1,timed,10\n", "id,a,time\n1,untimed,\n"]
    for order in (loads, loads[::-1]):
        assert derived(delivered("items", *order)).column(ITEM, "a") == {"1": "timed"}
    # The same again, later: it counts again.
    back = delivered("items", "id,a,time\n1,x,10\n1,y,20\n1,x,30\n")
    assert derived(back).column(ITEM, "a") == {"1": "x"}


def test_a_tombstone_without_a_time_takes_back_what_came_before_it() -> None:
    loads = ["id,a\n1,x\n2,y\n", "id,a,deleted\n1,,yes\n"]
    assert derived(delivered("items", *loads)).column(ITEM, "a") == {"2": "y"}
    back = delivered("items", *loads, "id,a\n1,z\n")
    assert derived(back).column(ITEM, "a") == {"1": "z", "2": "y"}
    # Within one file, by the order of its rows.
    one = delivered("items", "id,a,deleted\n1,x,\n1,,yes\n1,z,\n2,y,\n2,,yes\n")
    world = derived(one)
    assert world.column(ITEM, "a") == {"1": "z"}
    assert world.notes == [
        "items: 2 rows were taken back by later ones",
        "interactions: 2 of 3 items with interactions are in no table of items ('2', '3')",
    ]


def test_an_item_that_only_a_table_knew_is_gone_with_its_row() -> None:
    loads = ["id,a\n8,x\n", "id,a,deleted\n8,,yes\n"]
    assert derived(delivered("items", loads[0])).ids(ITEM) == ["1", "2", "3", "8"]
    assert derived(delivered("items", *loads)).ids(ITEM) == ["1", "2", "3"]


def test_sources_fill_what_earlier_ones_lack() -> None:
    world = derived(
        delivered("items", "id,title,year\n1,Heat,1995\n2,,1996\n", name="books"),
        delivered("items", "id,name,pages\n1,HEAT,170\n2,Fargo,98\n3,Ran,162\n", name="shop"),
    )
    assert list(world.view.nodes[ITEM].columns) == ["id", "title", "year", "pages", "load"]
    assert world.column(ITEM, "title") == {"1": "Heat", "2": "Fargo", "3": "Ran"}
    assert world.column(ITEM, "year") == {"1": 1995, "2": 1996}
    assert world.view.nodes[ITEM]["pages"].tolist() == [170, 98, 162]
    assert world.notes == [
        "shop: 1 columns are kept under another name ('name' is kept as 'title')",
        "shop: 1 values of 'title' differ from those of an earlier source, which count ('1')",
    ]


def test_a_rule_of_one_source_holds_for_the_property() -> None:
    number = {"price": {"as": "number"}}
    one = delivered("items", "id,price\n1,7\n", name="one", properties=number)
    other = delivered("items", "id,price\n1,7.0\n2,8\n", name="other")
    world = derived(one, other)
    assert world.column(ITEM, "price") == {"1": 7.0, "2": 8.0}
    assert world.notes == [
        "interactions: 1 of 3 items with interactions are in no table of items ('3')"
    ]  # 7 and 7.0 are one number
    text = delivered("items", "id,price\n2,8\n", name="text", properties={"price": {"as": "text"}})
    with pytest.raises(ConfigError, match="one and text say differently what 'price' is"):
        derived(one, text)
    bad = delivered("items", "id,price\n2,free\n", name="bad")
    with pytest.raises(DataError, match=r"bad-1\.csv:2:price: expected a finite number"):
        derived(one, bad)


def test_two_sources_of_users_may_not_show_a_node_in_two_ways() -> None:
    one = delivered("users", "id,title\nu1,Dr\n", name="one")
    other = delivered("users", "id,name\nu1,Ann\n", name="other")
    with pytest.raises(DataError, match="sources of User nodes have both 'title' and 'name'"):
        derived(one, other)


def test_entities_are_described_where_they_occur() -> None:
    world = derived(
        delivered("triples", "head,relation,tail\n1,by,m.mann\n"),
        delivered(
            "entities",
            "id,name,born,country\nm.mann,Mann,1943,US\nm.none,Nobody,1900,FR\ncountry:US,USA,,\n",
            properties={"country": {"as": "attribute"}},
        ),
    )
    assert world.edges() == {
        "by Item->Entity": {("1", "m.mann")},
        "country Entity->Entity": {("m.mann", "country:US")},
    }
    assert world.ids(ENTITY) == ["country:US", "m.mann"]
    # A table's name goes before the value's own.
    assert world.column(ENTITY, "name") == {"country:US": "USA", "m.mann": "Mann"}
    assert world.column(ENTITY, "born") == {"m.mann": 1943}
    assert world.notes == [
        "entities: 1 of 3 entities occur in no fact and were left out ('m.none')"
    ]
