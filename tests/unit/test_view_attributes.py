import pytest
from deliveries import delivered, derived

from kgrec.errors import DataError
from kgrec.schema import NodeLabel

ENTITY = NodeLabel.ENTITY


def test_lists_are_taken_apart_by_the_separator_the_column_has() -> None:
    def values(first: str, second: str, **rule: object) -> set[tuple[str, str]]:
        rules = {"kinds": {"as": "attribute", "relation": "kind", "split": "auto"} | rule}
        items = delivered("items", f'id,kinds\n1,"{first}"\n2,"{second}"\n', properties=rules)
        return derived(items).edges()["kind Item->Entity"]

    assert values("Film Noir|War", "War") == {
        ("1", "kind:Film Noir"),
        ("1", "kind:War"),
        ("2", "kind:War"),
    }
    assert values("a b, c", "") == {("1", "kind:a b"), ("1", "kind:c")}
    # Cells that look like numbers stay as they are written.
    assert values("7", "") == {("1", "kind:7")}
    assert values("a  b a", "c") == {("1", "kind:a"), ("1", "kind:b"), ("2", "kind:c")}
    assert values("a, b; c ;", "d", split=";") == {
        ("1", "kind:a, b"),
        ("1", "kind:c"),
        ("2", "kind:d"),
    }
    assert values(" a|b, c ", "d", split=None) == {("1", "kind:a|b, c"), ("2", "kind:d")}


def test_values_that_differ_in_case_or_form_are_one_entity() -> None:
    tag = {"tag": {"as": "attribute"}}
    world = derived(
        delivered(
            "items",
            "id,tag\n1,Café\n2,cafe\u0301\n3,CAFÉ\n4,café\n5,Bar\n6,bar\n7,zoo\n8,Zoo\n",
            properties=tag,
        ),
        # Users and items share the entities of a relation.
        delivered("users", "id,tag\nu1,BAR\nu2,BAR\n", properties=tag),
        items="1",
    )
    assert world.edges() == {
        "tag Item->Entity": {
            ("1", "tag:café"),
            ("2", "tag:café"),
            ("3", "tag:café"),
            ("4", "tag:café"),
            ("5", "tag:BAR"),
            ("6", "tag:BAR"),
            ("7", "tag:Zoo"),  # as frequent as zoo, and before it by code point
            ("8", "tag:Zoo"),
        },
        "tag User->Entity": {("u1", "tag:BAR"), ("u2", "tag:BAR")},
    }
    assert world.column(ENTITY, "name") == {
        "tag:café": "café",
        "tag:BAR": "BAR",
        "tag:Zoo": "Zoo",
    }
    assert world.notes == [
        "items: 6 attribute values are spelt unlike most of their kind and were joined with them "
        "('Café' as 'café', 'cafe\u0301' as 'café', 'CAFÉ' as 'café')"
    ]


@pytest.mark.parametrize(
    ("bin_", "cells", "values"),
    [
        ("decade", ["1994", "1990.0", "2000", "9"], ["1990s", "1990s", "2000s", "0s"]),
        (
            "century",
            ["1994", "1901", "1900", "1", "1011", "2100", "2150"],
            [
                "20th century",
                "20th century",
                "19th century",
                "1st century",
                "11th century",
                "21st century",
                "22nd century",
            ],
        ),
        (
            "log2",
            ["300", "256", "255", "1", "0", "2", "3", "511.9"],
            ["256-511", "256-511", "128-255", "1", "0", "2-3", "2-3", "256-511"],
        ),
    ],
)
def test_bins(bin_: str, cells: list[str], values: list[str]) -> None:
    rows = "".join(f"{number},{cell}\n" for number, cell in enumerate(cells, start=1))
    rule = {"as": "attribute", "bin": bin_, "relation": "in"}
    world = derived(delivered("items", f"id,a\n{rows}", properties={"a": rule}), items="1")
    assert world.edges()["in Item->Entity"] == {
        (str(number), f"in:{value}") for number, value in enumerate(values, start=1)
    }


@pytest.mark.parametrize(
    ("bin_", "cell", "expected"),
    [
        ("decade", "soon", "a year from 1 on"),
        ("century", "0", "a year from 1 on"),
        ("log2", "-1", "a number from 0 on"),
        ("log2", "inf", "a number from 0 on"),
    ],
)
def test_what_has_no_bin_is_refused(bin_: str, cell: str, expected: str) -> None:
    rules = {"a": {"as": "attribute", "bin": bin_}}
    items = delivered("items", f"id,a\n1,5\n2,{cell}\n", properties=rules)
    with pytest.raises(DataError, match=rf"items-1\.csv:3:a: expected {expected}, got '{cell}'"):
        derived(items)


def test_several_sources_add_up_attributes() -> None:
    tag = {"tag": {"as": "attribute"}}
    world = derived(
        delivered("items", "id,tag\n1,a\n", name="one", properties=tag),
        delivered("items", "id,tag\n1,b\n2,a\n", name="two", properties=tag),
    )
    assert world.edges() == {
        "tag Item->Entity": {("1", "tag:a"), ("1", "tag:b"), ("2", "tag:a")},
    }


def test_attributes_of_attributes_are_followed() -> None:
    world = derived(
        delivered("items", "id,city\n1,Bern\n", properties={"city": {"as": "attribute"}}),
        delivered(
            "entities",
            "id,name,country\ncity:Bern,Bern,CH\ncountry:CH,Switzerland,\ncity:Rome,Rome,IT\n",
            properties={"country": {"as": "attribute"}},
        ),
    )
    assert world.edges() == {
        "city Item->Entity": {("1", "city:Bern")},
        "country Entity->Entity": {("city:Bern", "country:CH")},
    }
