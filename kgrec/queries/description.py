"""What there is to know of a query before it is asked."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

from kgrec.queries import QUERIES
from kgrec.store.cypher import load_statements

#: Parameters of the functions that are none of the query.
_OF_THE_CALL = ("store", "timeout")


@dataclass(frozen=True)
class Description:
    """One query.

    Attributes:
        name: Its name; that of the function and of the file under `cypher/`.
        purpose: What it tells, in a sentence.
        parameters: Names of the parameters.
        defaults: Values of those that may be left out.
        columns: Names of the columns.
        is_graph: Whether its rows are pieces of a graph.
    """

    name: str
    purpose: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]
    columns: tuple[str, ...]
    is_graph: bool


def describe(name: str) -> Description:
    """Describes a query; raises KeyError if there is none."""
    function = QUERIES[name]
    parameters = inspect.signature(function).parameters.values()
    query_parameters = [parameter for parameter in parameters if parameter.name not in _OF_THE_CALL]
    statement = load_statements("embedded")[name]
    defaults = {
        p.name: p.default for p in query_parameters if p.default is not inspect.Parameter.empty
    }
    result = get_type_hints(function)["return"]
    (row_type,) = get_args(result)
    return Description(
        name,
        (inspect.getdoc(function) or statement.purpose).splitlines()[0],
        tuple(parameter.name for parameter in query_parameters),
        {
            key: statement.defaults[key] if value in ((), None) else value
            for key, value in defaults.items()
        },
        tuple(field.name for field in fields(row_type)),
        hasattr(result, "to_networkx"),
    )
