"""Names of graphs that others made: what is refused, and that the rest is nothing but a name."""

import re

import pytest

from kgrec.adopt import OWN, Naming
from kgrec.errors import ConfigError, SchemaError
from kgrec.schema import MAX_NAME, NodeLabel, literal, quoted
from kgrec.store.cypher import parse_statement

REFUSED = {
    "": "is empty",
    "x" * (MAX_NAME + 1): "has 256 characters",
    "a\x00b": r"U\+0000",
    "a\nb": r"U\+000A",
    "a\x7fb": r"U\+007F",
    "a\u2028b": r"U\+2028",
    "a\u202eb": r"U\+202E",
    "a\u200bb": r"U\+200B",
    "a\ud800b": r"U\+D800",
    # Neo4j makes a back-tick of it before it looks for the end of the name.
    "a\\u0060) DETACH DELETE n //": "has a backslash",
    "a\\": "has a backslash",
}

HOSTILE = (
    "Movie`) DETACH DELETE n //",
    "``",
    "`",
    "Movie {id: 1}) SET n.x = 1 //",
    "a;b",
    "a b",
    " ",
    "$param",
    "{{user}}",
    "a'b\"c",
    "/* c */ -- //",
    "CALL dbms.shutdown()",
    "日本語 фильм 🎬",
    "x" * MAX_NAME,
    "`" * MAX_NAME,
)


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SchemaError, match=REFUSED[name]):
        quoted(name)
    with pytest.raises(SchemaError, match=REFUSED[name]):
        literal(name)
    with pytest.raises(SchemaError, match=REFUSED[name]):
        Naming(item=name)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_a_name_stays_within_its_back_ticks(name: str) -> None:
    text = quoted(name)
    assert re.fullmatch(r"`(?:[^`]|``)*`", text)  # no back-tick ends it before its last character
    assert text[1:-1].replace("``", "`") == name
    string = literal(name)
    assert re.fullmatch(r"'(?:[^'\\]|\\')*'", string)
    assert string[1:-1].replace("\\'", "'") == name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_statement_takes_it_as_one_name(name: str) -> None:
    statement = parse_statement(
        "x",
        "// purpose: P.\n// use: export\n// writes: no\n"
        "MATCH (n:{{item}})-[:{{interacted}}]-(:{{user}}) RETURN n.{{item_key}} AS id",
    )
    naming = Naming.adopted(
        user="U", user_key="k", item=name, item_key=name, item_title=None, interacted=(name, "B")
    )
    inner = quoted(name)
    assert statement.fill(names=naming.placeholders()) == (
        f"MATCH (n:{inner})-[:{inner}|`B`]-(:`U`) RETURN n.{inner} AS id"
    )


@pytest.mark.parametrize("text", ["User", "`a`b`", "`a", "``", "`a\\u0060`", "`a`|b", "`a` {x: 1}"])
def test_a_statement_refuses_what_is_not_in_back_ticks(text: str) -> None:
    statement = parse_statement(
        "x", "// purpose: P.\n// use: export\n// writes: no\nMATCH (n:{{user}}) RETURN 1 AS x"
    )
    with pytest.raises(SchemaError, match="not in back-ticks"):
        statement.fill(names={"user": text})


def test_joiners_are_part_of_a_spelling() -> None:
    assert quoted("می\u200cخواهم") == "`می\u200cخواهم`"


def test_names_of_kgrecs_own_graph() -> None:
    assert OWN.placeholders() == {
        "user": "`User`",
        "user_key": "`id`",
        "item": "`Item`",
        "item_key": "`id`",
        "item_title": "`title`",
        "interacted": "`INTERACTED`",
        "recommended": "`RECOMMENDED`",
        "similar": "`SIMILAR`",
        "vector_a": "`vector_a`",
        "vector_b": "`vector_b`",
    }


def test_names_of_a_graph_that_others_made() -> None:
    naming = Naming.adopted(
        user="Customer", user_key="no", item="Movie", item_key="movieId", item_title=None,
        interacted=("RATED", "BOUGHT IT"), item_key_type="integer",
    )  # fmt: skip
    assert naming.foreign
    filled = naming.placeholders()
    assert filled["interacted"] == "`RATED`|`BOUGHT IT`"
    assert filled["item_title"] == "`movieId`"
    assert set(naming.written_names) == {
        "KGREC_RECOMMENDED", "KGREC_SIMILAR", "kgrec_vector_a", "kgrec_vector_b",
    }  # fmt: skip
    assert naming.values(NodeLabel.USER, ["1"]) == ["1"]
    assert naming.values(NodeLabel.ITEM, ["1", "-7", "0"]) == [1, -7, 0]


@pytest.mark.parametrize("key", ["a", "", "01", "1.0", "-0", "²", "٣", " 1", "9" * 19, "9" * 5000])
def test_an_integer_key_takes_integers_only(key: str) -> None:
    with pytest.raises(SchemaError, match="is no integer"):
        Naming(item_key_type="integer").values(NodeLabel.ITEM, [key])


def test_what_must_differ_differs() -> None:
    with pytest.raises(ConfigError, match="one label"):
        Naming(user="Person", item="Person")
    with pytest.raises(ConfigError, match="type of interactions"):
        Naming(interacted=())
    with pytest.raises(ConfigError, match="vector_a and vector_b"):
        Naming(vector_a="v", vector_b="v")


def test_nothing_unmarked_is_written_into_what_others_made() -> None:
    with pytest.raises(ConfigError, match=r"begin with 'kgrec_' .*got 'RECOMMENDED'"):
        Naming(foreign=True)
