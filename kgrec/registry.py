"""The parts that a recommender can be made of, by dotted name: a new part is one line here.

A part's file is read when its name is first asked for, and reads what is heavy only when it fits.
A part that is not kgrec's own is added by `register_part` of `kgrec.training.part`, by whoever
imports it; no file on disk can name one.
"""

from importlib import import_module
from typing import Any

#: Where each part stands, in the order in which a fusion climbs over their weights.
_MODULES = {
    "closed_form": "kgrec.training.parts.closed_form",
    "user_side": "kgrec.training.parts.user_side",
    "factors": "kgrec.training.parts.factors",
    "directed": "kgrec.training.parts.directed",
    "network": "kgrec.training.parts.network",
    "popularity": "kgrec.training.parts.popularity",
}
_PARTS: dict[str, Any] = {}


def parts() -> list[Any]:
    """Gives all parts, each a `kgrec.training.part.Part`, in their order; added ones last."""
    return [part(name) for name in dict.fromkeys((*_MODULES, *_PARTS))]


def part(name: str) -> Any:
    """Gives a part by its name; raises KeyError if there is none."""
    if name in _MODULES and name not in _PARTS:
        _PARTS[name] = import_module(_MODULES[name]).PART
    return _PARTS[name]


def is_built_in(name: str) -> bool:
    """Whether a part of that name is kgrec's own."""
    return name in _MODULES


def add(new: Any) -> None:
    """Adds a part behind the others, or replaces the one of its name."""
    _PARTS[new.name] = new
