import pytest

from kgrec.errors import SchemaError
from kgrec.schema import (
    INTERACTION_TYPES,
    EdgeKey,
    NodeLabel,
    Split,
    interaction_key,
    property_name,
    relation_type,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film.film.directed_by", "FILM_FILM_DIRECTED_BY"),
        ("7", "REL_7"),
        ("actedIn", "ACTEDIN"),
        ("http://x.org/made by", "HTTP_X_ORG_MADE_BY"),
        ("--sequel--", "SEQUEL"),
    ],
)
def test_relation_types(name: str, expected: str) -> None:
    assert relation_type(name) == expected


@pytest.mark.parametrize(
    "name", ["", "…", "日本", "x" * 64, *INTERACTION_TYPES.values(), "held-out test", "Similar"]
)
def test_names_that_give_no_type_are_refused(name: str) -> None:
    with pytest.raises(SchemaError, match="rename it under"):
        relation_type(name)


@pytest.mark.parametrize("kind", ["A`]->() DETACH DELETE n //", "lower", "1A", "", "A B"])
def test_nothing_but_a_name_reaches_a_statement(kind: str) -> None:
    with pytest.raises(SchemaError):
        EdgeKey(kind, NodeLabel.ITEM, NodeLabel.ENTITY)


def test_edge_keys_sort_print_and_check_their_labels() -> None:
    one = EdgeKey("A", NodeLabel.ITEM, NodeLabel.ENTITY)
    assert str(one) == "(Item)-[A]->(Entity)"
    assert one == EdgeKey("A", "Item", "Entity")  # type: ignore[arg-type]
    assert sorted([EdgeKey("B", NodeLabel.ITEM, NodeLabel.ITEM), one])[0] == one
    with pytest.raises(ValueError, match="Film"):
        EdgeKey("A", "Film", NodeLabel.ITEM)  # type: ignore[arg-type]


def test_held_out_interactions_have_types_of_their_own() -> None:
    keys = {split: interaction_key(split) for split in Split}
    assert len({key.type for key in keys.values()}) == 3
    assert {(key.head, key.tail) for key in keys.values()} == {(NodeLabel.USER, NodeLabel.ITEM)}


@pytest.mark.parametrize("name", ["Title", "a-b", "", "1a", "a`b", "a b", "x" * 64])
def test_property_names(name: str) -> None:
    assert property_name("release_year2") == "release_year2"
    with pytest.raises(SchemaError, match="rename the column"):
        property_name(name)
