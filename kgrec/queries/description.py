"""What there is to know of a query before it is asked."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

from kgrec.queries import QUERIES
from kgrec.store.cypher import load_statements

#: Parameters of the functions that are none of the query.
_OF_THE_CALL = {"store", "timeout", "page"}


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
    signature = inspect.signature(function).parameters
    types = get_type_hints(function)
    page = get_type_hints(*get_args(types["page"])) if "page" in types else {}
    statement = load_statements("embedded")[name]
    names = [key for key in (*signature, *page) if key not in _OF_THE_CALL]
    if page:
        names.sort(key=statement.parameters.index)
    defaults = {
        **statement.defaults,
        **{key: p.default for key, p in signature.items() if p.default not in (p.empty, (), None)},
    }
    return Description(
        name,
        (inspect.getdoc(function) or statement.purpose).splitlines()[0],
        tuple(names),
        {key: defaults[key] for key in names if key in defaults},
        tuple(field.name for field in fields(*get_args(types["return"]))),
        hasattr(types["return"], "to_networkx"),
    )
