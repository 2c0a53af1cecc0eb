"""`kgrec query`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.options import AsJson, OptionalConfigFile, StoreUri, store_config
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.store.cypher import Statement


def query(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The query; without it, all are listed.")
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="K=V", help="A parameter's value; repeatable."),
    ] = None,
    store: StoreUri = None,
    config: OptionalConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Run one of the named read-only queries on a store."""
    from kgrec.store.cypher import queries

    settings = store_config(config, store)
    engine = "embedded" if settings.uri.startswith("embedded:") else "neo4j"
    known = {statement.name: statement for statement in queries(engine) if not statement.writes}
    with Reporter(as_json) as reporter:
        if name is None:
            reporter.answer(
                {"queries": [_described(statement) for statement in known.values()]},
                _catalogue(list(known.values())),
            )
            return
        if name not in known:
            raise ConfigError(f"there is no query {name!r}; the queries are {', '.join(known)}")
        values = _values(known[name], params or [])

        from kgrec.store.connect import open_store
        from kgrec.store.state import ready_state

        with open_store(settings, read_only=True) as opened:
            if name != "graph_state":  # which tells of a graph that is not whole
                ready_state(opened)
            rows = opened.read(name, **values)
        reporter.answer({"query": name, "rows": rows}, _table(known[name], rows))


def _values(statement: Statement, given: list[str]) -> dict[str, Any]:
    """Reads the parameters; those with a default have its type, the others are ids.

    Raises:
        ConfigError: If one is missing, unknown or of another type.
    """
    values: dict[str, Any] = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or key not in statement.parameters:
            raise ConfigError(
                f"--param {text!r} does not fit query {statement.name}; expected "
                f"{' '.join(_usage(statement)) or 'no parameters'}"
            )
        values[key] = _value(statement, key, value)
    missing = set(statement.parameters) - set(values) - set(statement.defaults)
    if missing:
        raise ConfigError(
            f"query {statement.name} needs {', '.join(sorted(missing))}; give "
            f"{' '.join(_usage(statement))}"
        )
    return values


def _value(statement: Statement, key: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if key not in statement.defaults:  # an id, though it may look like a number; or a list of ids
        if isinstance(value, list):
            return [str(part) for part in value]
        return [text] if f"IN ${key} " in statement.text else text
    default = statement.defaults[key]
    if default is None or isinstance(default, list):  # what a filter takes may be anything
        return value
    expected = type(default)
    if type(value) is not expected or (expected is int and value < min(default, 1)):
        wanted = "a positive whole number" if expected is int else expected.__name__
        raise ConfigError(f"--param {key}={text} of query {statement.name} must be {wanted}")
    return value


def _usage(statement: Statement) -> list[str]:
    return [
        f"--param {name}={statement.defaults.get(name, name.upper())}"
        for name in statement.parameters
    ]


def _described(statement: Statement) -> dict[str, Any]:
    return {
        "name": statement.name,
        "purpose": statement.purpose,
        "parameters": list(statement.parameters),
        "defaults": dict(statement.defaults),
        "columns": list(statement.columns),
    }


def _catalogue(statements: list[Statement]) -> Table:
    table = Table("query", "parameters", "what it tells", box=None, pad_edge=False)
    for statement in statements:
        parameters = [
            f"{name}={statement.defaults[name]}" if name in statement.defaults else name
            for name in statement.parameters
        ]
        table.add_row(f"[bold]{statement.name}[/bold]", "\n".join(parameters), statement.purpose)
    return table


def _table(statement: Statement, rows: list[dict[str, Any]]) -> Table | str:
    if not rows:
        return "no rows"
    table = Table(box=None, pad_edge=False)
    for column in rows[0] or statement.columns:
        numeric = all(isinstance(row[column], int | float | None) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", header_style="bold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "[dim]–[/dim]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return escape(" · ".join("–" if part is None else str(part) for part in value))
    return escape(str(value))
