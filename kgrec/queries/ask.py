"""Asking a store one of the named queries."""

from typing import Any

from kgrec.queries.results import G, GraphResult, QueryResult, R
from kgrec.queries.values import check_timeout, check_value
from kgrec.store.base import GraphStore
from kgrec.store.cypher import get_statement

#: Seconds a statement may take unless said otherwise.
TIMEOUT = 30.0


def ask(
    store: GraphStore, query: str, row_type: type[R], timeout: float | None, **values: Any
) -> QueryResult[R]:
    """Checks the parameters, runs the statement and gives its rows.

    Raises:
        ConfigError: If a parameter is of another kind or out of range.
        QueryTimedOut: If it takes longer than `timeout` seconds.
        StoreError: If the store refuses.
    """
    limit = check_timeout(query, timeout)
    params = check_values(store, query, values)
    rows = tuple(row_type.of(row) for row in store.query(query, params, timeout=limit))
    return QueryResult(query, params, row_type, rows)


def ask_graph(
    store: GraphStore, query: str, row_type: type[G], timeout: float | None, **values: Any
) -> GraphResult[G]:
    """Asks a query whose rows are pieces of a graph; see `ask`."""
    result = ask(store, query, row_type, timeout, **values)
    return GraphResult(result.query, result.parameters, row_type, result.rows)


def check_values(store: GraphStore, query: str, values: dict[str, Any]) -> dict[str, Any]:
    """Gives parameters as the statement takes them; None only where that is the default."""
    defaults = get_statement(store.capabilities.engine, query).defaults
    return {
        name: check_value(query, name, value, optional=defaults.get(name, "") is None)
        for name, value in values.items()
    }
