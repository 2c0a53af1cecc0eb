"""`kgrec query` and `kgrec status`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli.options import AsJson, OptionalConfigFile, StoreUri, store_config
from kgrec.cli.output import Reporter, plain_table
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
            described_queries = [
                {key: value for key, value in vars(description).items() if key != "is_graph"}
                for description in descriptions
            ]
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


def _catalogue(queries: list[Description]) -> Table:
    rows = []
    for query in queries:
        parameters = [
            f"{name}={_parameter_text(query.defaults[name])}" if name in query.defaults else name
            for name in query.parameters
        ]
        rows.append((Text(query.name, "bold"), "\n".join(parameters), query.purpose))
    return plain_table("query", "parameters", "what it tells", rows=rows)


def _table(result: QueryResult[Any]) -> Table | str:
    if not result:
        return "no rows"
    rows = result.to_dict()["rows"]
    numbers = [
        column
        for column in result.columns
        if all(isinstance(row[column], int | float | None) for row in rows)
    ]
    cells = [[_date(row[c]) if c in _TIMES else _cell(row[c]) for c in row] for row in rows]
    return plain_table(*result.columns, rows=cells, right=numbers)


#: Columns of seconds since 1970, which people read as dates.
_TIMES = frozenset({"time", "first", "last"})


def _date(seconds: float | None) -> str | Text:
    """Writes a time in UTC; as the number it is, where that is no time of a calendar."""
    if seconds is None:
        return _cell(None)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return _cell(seconds)


def _cell(value: Any) -> str | Text:
    if value is None:
        return Text("–", "dim")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " · ".join("–" if part is None else _part(part) for part in value)
    return _part(value)


def _part(value: Any) -> str:
    """What is inside a list or a map, on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {part}" for key, part in value.items() if part is not None)
    return str(value)


def status(
    store: StoreUri = None, config: OptionalConfigFile = None, as_json: AsJson = False
) -> None:
    """Say what is in a store."""
    settings = store_config(config, store)
    with Reporter(as_json) as reporter:
        from kgrec.graph.fetch import status
        from kgrec.store.connect import open_store

        with open_store(settings, read_only=True) as graph_store:
            summary = status(graph_store)
        loads = summary["loads"]
        reporter.answer(
            summary, _heading(summary), _counts(summary), *([_loads(loads)] if loads else [])
        )


def _heading(summary: dict[str, Any]) -> Text:
    version = f", version {summary['version']}" if summary["version"] else ""
    engine = f"  {summary['engine']} {summary['engine_version']}\n"
    return Text.assemble((summary["uri"], "bold"), engine, f"{summary['state']}{version}")


def _counts(summary: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    behaviours = {key: behaviour["count"] for key, behaviour in summary["behaviours"].items()}
    for title, counts in (
        ("nodes", summary["nodes"]),
        ("interactions", summary["interactions"]),
        ("behaviours", behaviours),
        ("relations", summary["relations"]),
        ("identities", summary["identities"]),
    ):
        if counts:
            table.add_row(Text(title, "bold"), "")
        for name, count in sorted(counts.items(), key=lambda item: -item[1]):
            table.add_row(f"  {name}", f"{count:,}")
    return table


def _loads(loads: list[dict[str, Any]]) -> Table:
    names = ("number", "source", "rows", "rejected", "loaded_at")
    titles = ("", *names[1:-1], "when")
    rows = [[load[name] for name in names] for load in loads]
    return plain_table(*titles, rows=rows, right=["", "rows", "rejected"], title="loads")
