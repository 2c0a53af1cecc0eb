"""`kgrec query`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.options import AsJson, OptionalConfigFile, StoreUri, store_config
from kgrec.cli.output import Reporter
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.queries import QueryResult
    from kgrec.queries.description import Description


def query(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The query; without it, all are listed.")
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="K=V", help="A parameter's value, text or JSON; repeatable."
        ),
    ] = None,
    store: StoreUri = None,
    config: OptionalConfigFile = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Take the relation weights from this run."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", help="Seconds a statement may take.")
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Run one of the named read-only queries on a store."""
    settings = store_config(config, store)
    from kgrec.queries import QUERIES
    from kgrec.queries.description import describe

    with Reporter(as_json) as reporter:
        if name is None:
            descriptions = [describe(query_name) for query_name in sorted(QUERIES)]
            described_queries = [_description_json(query_name) for query_name in descriptions]
            reporter.answer({"queries": described_queries}, _catalogue(descriptions))
            return
        if name not in QUERIES:
            raise ConfigError(
                f"there is no query {name!r}; the queries are {', '.join(sorted(QUERIES))}"
            )
        values = _values(describe(name), params or [], run)

        from kgrec.store.connect import open_store
        from kgrec.store.state import ready_state

        with open_store(settings, read_only=True) as graph_store:
            if name != "graph_state":  # which tells of a graph that is not whole
                ready_state(graph_store)
            result = QUERIES[name](graph_store, **values, timeout=timeout)
        reporter.answer(result.to_dict(), _table(result))


def _values(description: Description, assignments: list[str], run: Path | None) -> dict[str, Any]:
    """Reads the parameters.

    Raises:
        ConfigError: If one is missing, unknown or of another kind.
    """
    from kgrec.queries.values import check_value, kind_of
    from kgrec.queries.weights import relation_weights

    values: dict[str, Any] = {}
    if run is not None:
        if "weights" not in description.parameters:
            raise ConfigError(
                f"query {description.name} takes no relation weights; leave out --run"
            )
        values["weights"] = relation_weights(run)
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator or key not in description.parameters:
            raise ConfigError(
                f"--param {text!r} does not fit query {description.name}; expected "
                f"{' '.join(_usage(description)) or 'no parameters'}"
            )
        values[key] = kind_of(description.name, key).read(value)
        optional = description.defaults.get(key, "") is None
        check_value(
            description.name, key, values[key], optional=optional
        )  # before a store is opened
    missing = [
        key for key in description.parameters if key not in {**description.defaults, **values}
    ]
    if missing:
        raise ConfigError(
            f"query {description.name} needs {', '.join(missing)}; "
            f"give {' '.join(_usage(description))}"
        )
    return values


def _usage(description: Description) -> list[str]:
    defaults = {name: _parameter_text(value) for name, value in description.defaults.items()}
    return [f"--param {name}={defaults.get(name, name.upper())}" for name in description.parameters]


def _parameter_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _description_json(query: Description) -> dict[str, Any]:
    return {
        "name": query.name,
        "purpose": query.purpose,
        "parameters": list(query.parameters),
        "defaults": dict(query.defaults),
        "columns": list(query.columns),
    }


def _catalogue(queries: list[Description]) -> Table:
    table = Table("query", "parameters", "what it tells", box=None, pad_edge=False)
    for query in queries:
        parameters = [
            f"{name}={_parameter_text(query.defaults[name])}" if name in query.defaults else name
            for name in query.parameters
        ]
        table.add_row(f"[bold]{query.name}[/bold]", "\n".join(parameters), query.purpose)
    return table


def _table(result: QueryResult[Any]) -> Table | str:
    if not result:
        return "no rows"
    rows = result.to_dict()["rows"]
    table = Table(box=None, pad_edge=False)
    for column in result.columns:
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
        return escape(" · ".join("–" if part is None else _part(part) for part in value))
    return escape(_part(value))


def _part(value: Any) -> str:
    """What is inside a list or a map, on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {part}" for key, part in value.items() if part is not None)
    return str(value)
