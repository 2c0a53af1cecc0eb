"""The named statements under `cypher/`: finding, checking and filling them.

A statement is a file with a header and one Cypher statement:

    // purpose: What it does, in one line.
    // use: query
    // parameters: user, limit = 20
    // columns: id, title
    // writes: no
    MATCH …

`use` is `query` (people may run it by name), `load`, `export` or `schema`. Values are always
parameters. The only text that is ever filled in are the placeholders for labels and relationship
types, and these come from `EdgeKey` and `NodeLabel` objects, or, for a graph with names of its
own, from a `kgrec.adopt.Naming` in back-ticks, and from nowhere else.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from kgrec.errors import SchemaError
from kgrec.schema import EdgeKey, NodeLabel

USES = ("query", "load", "export", "schema")

_HEADER = re.compile(r"//\s*([a-z]+):\s*(.*)")
_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_QUOTED = re.compile(r"`(?:[^`\\]|``)+`(?:\|`(?:[^`\\]|``)+`)*")
_ENTRY = re.compile(r"(\w+)(?:\s*=\s*([^,]+?))?(?:\s*\([^)]*\))?\s*(?:,|$)")


@dataclass(frozen=True)
class Statement:
    """One named statement.

    Attributes:
        name: Name of the file, without `.cypher`.
        text: The Cypher text with its placeholders, without the header.
        purpose: What it does, in a sentence.
        use: One of `USES`.
        parameters: Names of all parameters.
        defaults: Values of the parameters that may be left out.
        columns: Names of the result columns.
        placeholders: Names in double braces, to be filled from the schema.
        writes: Whether it changes the graph.
    """

    name: str
    text: str
    purpose: str
    use: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]
    columns: tuple[str, ...]
    placeholders: frozenset[str]
    writes: bool

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Gives the parameters with the defaults filled in.

        Raises:
            SchemaError: If a parameter is missing or unknown.
        """
        bound = {**self.defaults, **params}
        missing = [name for name in self.parameters if name not in bound]
        unknown = sorted(set(bound) - set(self.parameters))
        if missing or unknown:
            problems = [f"is missing {name!r}" for name in missing]
            problems += [f"has no parameter {name!r}" for name in unknown]
            expected = ", ".join(self.parameters) or "none"
            raise SchemaError(
                f"statement {self.name} {' and '.join(problems)}; expected parameters: {expected}"
            )
        return bound

    def fill(
        self,
        key: EdgeKey | None = None,
        label: NodeLabel | None = None,
        dimensions: int | None = None,
        names: Mapping[str, str] | None = None,
    ) -> str:
        """Gives the text with labels and types filled in.

        Args:
            key: Fills type, head and tail.
            label: Fills label.
            dimensions: Fills dimensions.
            names: Names in back-ticks by placeholder, as `kgrec.adopt.Naming` gives them; those
                that the statement has no placeholder for are left out.

        Raises:
            SchemaError: If a placeholder has no value, nothing takes what was given, or a name is
                not in back-ticks.
        """
        replacements: list[dict[str, str]] = []
        if key is not None:
            replacements.append({"type": key.type, "head": key.head.value, "tail": key.tail.value})
        if label is not None:
            replacements.append({"label": NodeLabel(label).value})
        if dimensions is not None:
            replacements.append({"dimensions": str(int(dimensions))})
        for name, text in (names or {}).items():
            if not _QUOTED.fullmatch(text):
                raise SchemaError(f"statement {self.name}: {name} is not in back-ticks: {text!r}")
        values = dict(names or {})
        for replacement in replacements:
            values |= replacement
        has_unused = any(not replacement.keys() & self.placeholders for replacement in replacements)
        if has_unused or not self.placeholders <= values.keys():
            raise SchemaError(
                f"statement {self.name} has the placeholders {sorted(self.placeholders)}, "
                f"got {sorted(values)}; give a key for type, head, tail and a label for label"
            )
        return _PLACEHOLDER.sub(lambda match: values[match.group(1)], self.text)


def parse_statement(name: str, source: str) -> Statement:
    """Reads a statement from the text of its file.

    Raises:
        SchemaError: If the header lacks a line, has an unknown one, or names other parameters
            than the text uses.
    """
    header: dict[str, str] = {}
    body: list[str] = []
    for line in source.splitlines():
        match = _HEADER.match(line) if not body else None
        if match:
            header[match.group(1)] = match.group(2).strip()
        elif line.strip() and not line.lstrip().startswith("//"):
            body.append(line.rstrip())
    text = "\n".join(body)
    problem = _header_problem(header, text)
    if problem:
        raise SchemaError(f"cypher/{name}.cypher: {problem}; see kgrec/store/cypher.py")
    entries = _ENTRY.findall(header.get("parameters", ""))
    return Statement(
        name=name,
        text=text,
        purpose=header["purpose"],
        use=header["use"],
        parameters=tuple(parameter for parameter, _ in entries),
        defaults={parameter: json.loads(value) for parameter, value in entries if value},
        columns=tuple(column for column, _ in _ENTRY.findall(header.get("columns", ""))),
        placeholders=frozenset(_PLACEHOLDER.findall(text)),
        writes=header["writes"] == "yes",
    )


def _header_problem(header: Mapping[str, str], text: str) -> str | None:
    missing = {"purpose", "use", "writes"} - header.keys()
    if missing:
        return f"the header lacks {', '.join(sorted(missing))}"
    unknown = header.keys() - {"purpose", "use", "parameters", "columns", "writes"}
    if unknown:
        return f"the header has the unknown line {', '.join(sorted(unknown))}"
    if header["use"] not in USES or header["writes"] not in {"yes", "no"}:
        return f"use must be one of {USES} and writes yes or no"
    parameters = {parameter for parameter, _ in _ENTRY.findall(header.get("parameters", ""))}
    if parameters != set(_PARAMETER.findall(text)):
        return f"the header names {sorted(parameters)}, the text {sorted(_PARAMETER.findall(text))}"
    return None


@cache
def cypher_root() -> Traversable:
    """Gives the folder of the statements: inside the installed package, or in the source tree.

    Raises:
        SchemaError: If neither is there.
    """
    for folder in (files("kgrec") / "_cypher", Path(__file__).parents[2] / "cypher"):
        if folder.is_dir():
            return folder
    raise SchemaError(
        "the statements (cypher/) are not in this installation of kgrec; install it again"
    )


@cache
def load_statements(engine: str) -> Mapping[str, Statement]:
    """Reads all statements for an engine ("embedded" or "neo4j"), its overrides included."""
    root = cypher_root()
    statements: dict[str, Statement] = {}
    for folder in (root, root / engine):
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            name, _, kind = entry.name.partition(".")
            if kind == "cypher":
                statements[name] = parse_statement(name, entry.read_text(encoding="utf-8"))
    return dict(sorted(statements.items()))


def get_statement(engine: str, name: str) -> Statement:
    """Gives a statement by name.

    Raises:
        SchemaError: If there is none; names those that people may run.
    """
    statements = load_statements(engine)
    if name not in statements:
        query_names = ", ".join(query.name for query in queries(engine))
        raise SchemaError(f"there is no statement {name!r}; the queries are {query_names}")
    return statements[name]


def queries(engine: str = "embedded") -> tuple[Statement, ...]:
    """Gives the statements that people may run by name, sorted."""
    return tuple(s for s in load_statements(engine).values() if s.use == "query")
