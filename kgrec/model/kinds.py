"""The kinds of scorers by the names that files know them by, and scorers as tensors and values."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from torch import Tensor

import kgrec.model
from kgrec.errors import RunError

if TYPE_CHECKING:
    from kgrec.model.scorer import Scorer

_KINDS: "dict[str, type[Scorer]]" = {}


def register_kind(kind: str, scorer: "type[Scorer]") -> None:
    """Remembers the class of a kind; raises RunError if another class has it."""
    holder = _KINDS.setdefault(kind, scorer)
    if (holder.__module__, holder.__qualname__) != (scorer.__module__, scorer.__qualname__):
        raise RunError(
            f"two scorers are of kind {kind!r}, {holder.__module__}.{holder.__qualname__} and "
            f"{scorer.__module__}.{scorer.__qualname__}; give one of them another kind"
        )
    _KINDS[kind] = scorer  # a module that is read again brings its class anew


def scorer_kind(kind: str) -> "type[Scorer]":
    """Gives the scorer class of a kind that a file carries.

    The files of `kgrec.model` are read if need be; what others made is known only if their module
    was imported by whoever asks, never because a file names it.

    Raises:
        RunError: If there is none of that kind.
    """
    if kind not in _KINDS:
        for module in iter_modules(kgrec.model.__path__, "kgrec.model."):
            import_module(module.name)
    if kind not in _KINDS:
        raise RunError(
            f"the run holds a scorer of kind {kind!r}, expected one of {sorted(_KINDS)}; import "
            f"the module that has it first, as in kgrec --import MODULE; if it comes from another "
            f"version of kgrec, train again"
        )
    return _KINDS[kind]


def described(scorer: "Scorer") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Gives a scorer's tensors, and its kind with its values: what `from_description` reads.

    Raises:
        RunError: If its class names no kind.
    """
    tensors, values = scorer.state()
    if not scorer.kind:
        raise RunError(
            f"a {type(scorer).__name__} cannot be saved, as its class has no kind; expected "
            f'class {type(scorer).__name__}(Scorer, kind="…")'
        )
    return tensors, {"kind": scorer.kind, "values": values}


def from_description(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> "Scorer":
    """Makes the scorer that `described` described; raises RunError if its kind is not there."""
    return scorer_kind(values["kind"]).from_state(tensors, values["values"])


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives the tensors whose names start with a prefix and a slash, by what follows."""
    start = f"{prefix}/"
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
