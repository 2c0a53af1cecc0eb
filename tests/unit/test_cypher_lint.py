"""The rules of the dialect that both engines answer alike, checked on every statement."""

import re
from functools import cache
from pathlib import Path

import pytest
from offenders import on_every

from kgrec.adopt import OWN
from kgrec.errors import SchemaError
from kgrec.schema import INTERACTION_TYPES, EdgeKey, NodeLabel, Split
from kgrec.store.cypher import USES, Statement, load_statements, parse_statement, queries

ROOT = Path(__file__).parents[2] / "cypher"
FILES = sorted(ROOT.rglob("*.cypher"))
PLACEHOLDERS = {
    "label", "type", "head", "tail", "dimensions", "head_key", "tail_key", "node", "key", "vector",
    "index", *OWN.placeholders(),
}  # fmt: skip

#: What an engine lacks, answers differently or answers slowly.
FORBIDDEN = {
    r"\bapoc\b": "no APOC",
    r"\btimestamp\s*\(": "times are parameters",
    r"vector\.similarity\.": "similarities are computed in NumPy",
    r"\bCOLLECT\s*\{": "use a pattern comprehension",
    r"\{\s*\d+\s*,\s*\d+\s*\}": "use -[*1..3]- instead of a quantified path",
    r"\bSHORTEST\b": "use shortestPath()",
    r"\bCREATE\s*\([^)]*\$": "make nodes with MERGE and SET +=",
    r"\bIN\s+TRANSACTIONS\b": "batch in Python",
    r"-\[\s*\w*\s*:\s*\$": "one statement per relationship type",
    r"/\*": "comments begin with //",
    r"\bCALL\s*\{\s*WITH\b": "import variables as CALL (n) {…}",
    r"\bMATCH\s+(\w+\s*=\s*)?\([^()]*\)\s*-\[[^\]]*\*\d*\.\.\s*\]": "bound every path",
}


@cache
def read(path: Path) -> Statement:
    return parse_statement(path.stem, path.read_text(encoding="utf-8"))


def test_there_are_statements() -> None:
    assert len(FILES) > 20
    assert {statement.use for statement in map(read, FILES)} == set(USES)


@on_every(FILES, ROOT)
def test_forbidden_forms(path: Path) -> None:
    text = re.sub(r"\{\{\w+\}\}", "X", read(path).text)
    for pattern, reason in FORBIDDEN.items():
        assert not re.search(pattern, text, re.IGNORECASE), reason


@on_every(FILES, ROOT)
def test_one_statement_and_known_placeholders(path: Path) -> None:
    statement = read(path)
    assert ";" not in statement.text
    assert statement.placeholders <= PLACEHOLDERS
    assert statement.purpose.endswith(".")


@on_every(FILES, ROOT)
def test_writes_are_declared(path: Path) -> None:
    statement = read(path)
    writing = r"\b(CREATE|MERGE|SET|DELETE|REMOVE|DROP)\b"
    assert bool(re.search(writing, statement.text)) == statement.writes


@on_every(FILES, ROOT)
def test_no_writes_in_subqueries(path: Path) -> None:
    for body in re.findall(r"CALL\s*\([^)]*\)\s*\{(.*?)^\}", read(path).text, re.DOTALL | re.M):
        assert not re.search(r"\b(CREATE|MERGE|SET|DELETE)\b", body)


@on_every(FILES, ROOT)
def test_merge_of_relationships_has_bound_ends(path: Path) -> None:
    text = read(path).text
    for head, tail in re.findall(r"MERGE \(([^)]*)\)-\[[^\]]*\]->\(([^)]*)\)", text):
        for end in (head, tail):
            assert re.fullmatch(r"\w+", end), "both ends are matched first"
            assert re.search(rf"MATCH \({end}[ :{{)]", text)


@on_every(FILES, ROOT)
def test_merge_of_nodes_is_on_the_id(path: Path) -> None:
    for body in re.findall(r"MERGE \((\w+:[^)]*)\)(?!-)", read(path).text):
        assert re.search(r"\{id: ", body)


@on_every(FILES, ROOT)
def test_what_is_held_out_masks_and_is_read_for_nothing_else(path: Path) -> None:
    statement = read(path)
    types = "|".join(INTERACTION_TYPES[split] for split in Split)
    rest = statement.text.replace(f"NOT EXISTS {{ MATCH (u)-[:{types}]->(i) }}", "")
    for split in (Split.VALID, Split.TEST):
        # A user's history names the split of each row.
        assert statement.name == "user_history" or INTERACTION_TYPES[split] not in rest
    if statement.use == "query":
        assert not statement.placeholders, "a query reads no type that a caller chooses"
        assert not statement.writes


@on_every(FILES, ROOT)
def test_untyped_patterns_are_filtered_by_the_catalogue(path: Path) -> None:
    text = read(path).text
    for variable in re.findall(r"-\[(\w*)\]-", text):
        assert variable, "an untyped relationship has a name"
        assert re.search(rf"type\({variable}\) IN|= type\({variable}\)|\[0\] = type", text)
        assert "KgrecRelation" in text


@on_every(FILES, ROOT)
def test_results_are_named_and_ordered(path: Path) -> None:
    statement = read(path)
    last = re.split(r"\bRETURN\b", statement.text)[-1]
    returns = "RETURN" in statement.text and not statement.text.rstrip().endswith("}")
    assert bool(statement.columns) == returns
    for column in statement.columns:
        assert re.search(rf"\bAS {column}\b|\b{column}\b\s*(,|\n|$)", last)
    if statement.use == "query" and "graph" not in statement.name:
        assert "ORDER BY" in last, "rows come in one order"
    if "LIMIT" in last:
        assert "ORDER BY" in last or statement.writes


@on_every(FILES, ROOT)
def test_every_limit_is_a_parameter(path: Path) -> None:
    statement = read(path)
    assert not re.search(r"LIMIT\s+\d", statement.text)
    if statement.use == "query" and statement.name not in {"graph_state", "relations", "loads"}:
        assert statement.defaults.get("limit"), "a query is bounded unless asked otherwise"


@on_every(FILES, ROOT)
def test_orders_end_in_a_tie_breaker(path: Path) -> None:
    for keys in re.findall(r"ORDER BY ([^\n]+)", read(path).text):
        last = keys.split(",")[-1].strip().removesuffix(" DESC")
        assert re.fullmatch(r"(\w\.)?id|type|types|steps|type_out|type\(x\)|name|number", last)


@on_every(FILES, ROOT)
def test_shown_names(path: Path) -> None:
    text = read(path).text
    assert not re.search(r"\b(u|v|User)\.(title|name)\b", text)
    for label, wrong in (("Item", "name"), ("Entity", "title")):
        for variable in re.findall(rf"\((\w+):{label}\b", text):
            assert not re.search(rf"\b{variable}\.{wrong}\b", text)


@on_every(FILES, ROOT)
def test_no_node_is_matched_again_inside_exists(path: Path) -> None:
    for body in re.findall(r"(?:EXISTS|COUNT)\s*\{([^}]*)\}", read(path).text):
        assert "{id" not in body


def test_engines_have_the_same_queries() -> None:
    names = [[query.name for query in queries(engine)] for engine in ("embedded", "neo4j")]
    assert names[0] == names[1]
    assert set(load_statements("embedded")) <= set(load_statements("neo4j"))


def test_headers_are_checked() -> None:
    good = "// purpose: P.\n// use: query\n// parameters: a, b = 3\n// writes: no\nRETURN $a, $b"
    statement = parse_statement("x", good)
    assert statement.parameters == ("a", "b")
    assert statement.bind({"a": 1}) == {"a": 1, "b": 3}
    for wrong, message in (
        (good.replace("// use: query\n", ""), "lacks use"),
        (good.replace("use: query", "use: fun"), "use must be one of"),
        (good.replace("$b", "$c"), "the text"),
        (good.replace("writes: no", "writes: no\n// colour: red"), "colour"),
    ):
        with pytest.raises(SchemaError, match=message):
            parse_statement("x", wrong)


def test_only_schema_objects_fill_placeholders() -> None:
    statement = parse_statement(
        "x",
        "// purpose: P.\n// use: export\n// writes: no\nMATCH (:{{head}})-[:{{type}}]->() RETURN 1",
    )
    key = EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)
    assert statement.fill(key) == "MATCH (:Item)-[:GENRE]->() RETURN 1"
    with pytest.raises(SchemaError, match="placeholders"):
        statement.fill()
    with pytest.raises(SchemaError, match="placeholders"):
        statement.fill(key, NodeLabel.ITEM)
    with pytest.raises(SchemaError):
        EdgeKey("X]->() DETACH DELETE n //", NodeLabel.ITEM, NodeLabel.ITEM)
