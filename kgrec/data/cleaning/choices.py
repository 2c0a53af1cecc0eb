"""Cells that hold one of a few values: behaviours, yes or no, labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgrec.config import DataConfig, Source
from kgrec.data.cleaning.cells import Cleaned, Fault, as_text, encode, family, missing
from kgrec.errors import ConfigError
from kgrec.schema import NodeLabel

_YES = ("true", "1", "yes", "t", "x")
_NO = ("false", "0", "no")

#: What a same_as row may join.
LABELS = (*map(str, NodeLabel), f"{NodeLabel.ITEM}/{NodeLabel.ENTITY}")


@dataclass(frozen=True)
class _Choice:
    """A column of few values.

    Attributes:
        meanings: What each value means, by the value in lower case.
        rule: Short name of what else is found.
        text: What such rows are, as it follows their count.
        hint: What to do about it.
    """

    meanings: Mapping[str, str | bool]
    rule: str
    text: str
    hint: str = ""

    @property
    def expected(self) -> str:
        return f"one of {_listed(tuple(self.meanings))}"

    def read(self, cells: pa.Array, default: str | bool | None) -> Cleaned:
        """Looks plain cells (n,) up; the default stands where one is missing, null where bad."""
        kind = pa.bool_() if default is False else pa.string()
        is_missing = missing(cells)
        if family(cells.type) == "nested":
            values, bad = pa.nulls(len(cells), kind), ~is_missing
        else:
            texts = encode(as_text(cells))
            results = [self.meanings.get(value.lower()) for value in texts.values.to_pylist()]
            bad = texts.rows(np.array([value is None for value in results], dtype=bool))
            values, is_missing = texts.spread(pa.array(results, kind)), texts.codes < 0
        if default is not None and is_missing.any():
            values = pc.if_else(pa.array(is_missing), pa.scalar(default, kind), values)
        return Cleaned(values, (Fault(self.rule, self.text, self.expected, bad, self.hint),))


def clean_flags(cells: pa.Array, name: str) -> Cleaned:
    """Cleans plain cells (n,) into bool (n,), False where missing, null where bad."""
    meanings = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)
    text = f"rows whose {name} is neither yes nor no"
    return _Choice(meanings, f"{name} is no yes or no", text).read(cells, default=False)


def clean_labels(cells: pa.Array) -> Cleaned:
    """Cleans plain cells (n,) into one of LABELS (n,), Item where missing, null where bad."""
    meanings = {label.lower(): label for label in LABELS}
    choice = _Choice(meanings, "unknown label", "rows whose label is none of the graph's")
    return choice.read(cells, default=str(NodeLabel.ITEM))


class Behaviours:
    """Says which behaviour of the settings a row is of.

    Args:
        source: Where the rows are from.
        config: The settings.

    Raises:
        ConfigError: If the source names a behaviour that is none of the settings, or two behaviours
            share a value.
    """

    def __init__(self, source: Source, config: DataConfig) -> None:
        behaviours = config.all_behaviours()
        self._source = source.name
        self._names = tuple(behaviours)
        if source.behaviour is not None and source.behaviour not in behaviours:
            raise ConfigError(
                f"source {source.name!r}: no behaviour {source.behaviour!r}; expected one of "
                f"{_listed(self._names)}; correct it, or add [data.behaviours.{source.behaviour}]"
            )
        self._default = source.behaviour or (self._names[0] if len(behaviours) == 1 else None)
        meanings: dict[str, str] = {}
        for name, behaviour in behaviours.items():
            for value in behaviour.values or (name,):
                owner = meanings.setdefault(value.strip().lower(), name)
                if owner != name:
                    raise ConfigError(
                        f"the value {value!r} is of two behaviours, {owner!r} and {name!r}; give "
                        f"it to one of them in data.behaviours"
                    )
        self._choice = _Choice(
            meanings,
            "unknown behaviour",
            "rows of a behaviour that is not in the settings",
            "; others are added as [data.behaviours.<name>]",
        )

    def constant(self, rows: int) -> Cleaned:
        """The behaviour of rows that no column says it of, a dictionary (n,).

        Raises:
            ConfigError: If there are several and the source names none.
        """
        if self._default is None:
            raise ConfigError(
                f"source {self._source!r} has no column of behaviours; expected one, since there "
                f"are several ({_listed(self._names)}); name it in columns.behaviour, or give the "
                f"source its behaviour"
            )
        codes = pa.array(np.zeros(rows, dtype=np.int16))
        return Cleaned(pa.DictionaryArray.from_arrays(codes, pa.array([self._default])))

    def clean(self, cells: pa.Array) -> Cleaned:
        """Cleans plain cells (n,) into a dictionary (n,) of names, null where missing or bad."""
        cleaned = self._choice.read(cells, self._default)
        text, expected = "rows without a behaviour", self._choice.expected
        lost = Fault("missing behaviour", text, expected, cleaned.lacking())
        encoded = cleaned.values.dictionary_encode()
        names = pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int16()), encoded.dictionary)
        return Cleaned(names, (*cleaned.faults, lost))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
