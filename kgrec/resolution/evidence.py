"""How sure a pair is.

Every pair has log odds: a part for how it was found, and a part for its properties.
Its score is

    odds / (1 + odds of all pairs of the same left node, or the right one's if these are more)

because a node is at most one node of the other side: two equal names with nothing that tells them
apart share their probability. Where a node may be several, the score is odds / (1 + odds).

    found by                             log odds
    key, nobody else has it              score 1
    key, shared                          3.48 (as a name that is equal)
    name, equal                          ln(.97 / .03) = 3.48
    alias, or equal without article      ln(.93 / .07) = 2.59
    similar name of similarity s         18 (s - 0.8), at most 2.59
    similar text of cosine c             12 (c - 0.6) + 2 (s - 0.2), and never accepted

The constants for names were chosen on made-up catalogues (`tests/catalogues.py`, other seeds than
the tests take) and looked at on MovieLens titles against names of Freebase topics; those for texts
are a judgement, which is why a person has the last word there.

s is the mean of the 3-gram cosine and the edit similarity, or the greater of the two less 0.1.

What properties say for or against a pair: log likelihood ratios, after Fellegi and Sunter.

A property that agrees in a share m of the pairs that are one thing, and in a share u of the pairs
that are not, adds ln(m / u) to the log odds where it agrees and ln((1 - m) / (1 - u)) where it
differs; a missing one adds nothing. u follows from how often each value occurs on either side. m is
counted on pairs that are certain without the property, with `_PRIOR_PAIRS` imagined ones of which
`_PRIOR_AGREE` agree. So a brand that half the catalogue has counts little, and so does a price that
the two sources never give alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import ResolutionConfig
from kgrec.errors import ConfigError
from kgrec.resolution.names import Floats, Index, Names, Texts, key_form, objects
from kgrec.resolution.sides import Comparison, Side
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES

Method = Literal["key", "name", "alias", "similar_name", "text"]

EQUAL_NAME = float(np.log(0.97 / 0.03))
ALSO_CALLED = float(np.log(0.93 / 0.07))
#: Only a key makes a pair certain.
MOST = 0.99


def name_similarity(cosine: Floats, edit: Floats) -> Floats:
    """Joins the cosine over 3-grams, which forgives order, and the edit similarity (p,)."""
    return np.maximum((cosine + edit) / 2, np.maximum(cosine, edit) - 0.1)


def similar_name(similarity: Floats) -> Floats:
    """Gives the log odds of pairs with names of that similarity (p,)."""
    return np.minimum(18 * (similarity - 0.8), ALSO_CALLED)


def similar_text(cosine: Floats, similarity: Floats) -> Floats:
    """Gives the log odds of pairs with texts of that cosine and names of that similarity (p,)."""
    return np.asarray(12 * (cosine - 0.6) + 2 * (similarity - 0.2))


def scores(left: Index, right: Index, log_odds: Floats, *, rivals: bool) -> Floats:
    """Gives the scores (p,) of pairs, at most MOST.

    Args:
        left: Positions on the left (p,).
        right: Positions on the right (p,).
        log_odds: Log odds (p,).
        rivals: Whether a node is at most one node of the other side.
    """
    odds = np.exp(np.clip(log_odds, -30.0, 30.0))
    total = odds
    if rivals and len(odds):
        total = np.maximum(np.bincount(left, odds)[left], np.bincount(right, odds)[right])
    return np.minimum(odds / (1.0 + total), MOST)


_PRIOR_PAIRS, _PRIOR_AGREE = 20.0, 0.9
# No property is worth more, whatever was counted: properties hang together.
_MOST = 4.0
# A column whose values are longer is prose, which two sources write differently.
_PROSE = 60
#: Sources often differ by one in a year (of a film's festival and its release): neither agrees.
_YEAR = "year"
#: What different numbers in two names add: "Toy Story" and "Toy Story 2" are two things.
NUMBERS_DIFFER = -4.0
#: What an "s" more or less adds, which is seldom a typing error: "Alien" and "Aliens".
PLURAL_DIFFERS = -2.5
#: What different remarks in brackets add, "(Live)" and "(Remix)", and one that has none opposite.
REMARKS_DIFFER, REMARK_ALONE = -3.0, -0.4


@dataclass(frozen=True)
class Property:
    """One property on both sides.

    Attributes:
        name: Its column.
        left: Codes of the left nodes' values (n,), -1 where missing; equal codes are equal values.
        right: Codes of the right nodes' values (m,), likewise.
        values: What the codes stand for, as people read them.
        numbers: The values as numbers, for those that may be nearly equal; else None.
        chance: u, how often two nodes agree that are not one thing.
    """

    name: str
    left: Index
    right: Index
    values: Texts
    numbers: Floats | None
    chance: float

    def agreement(self, left: Index, right: Index) -> npt.NDArray[np.int8]:
        """Gives 1 (agrees), -1 (differs) or 0 (missing, or nearly equal) for pairs (p,)."""
        a, b = self.left[left], self.right[right]
        out = np.where(a == b, 1, -1).astype(np.int8)
        if self.numbers is not None:
            out[(out < 0) & (np.abs(self.numbers[a] - self.numbers[b]) <= 1)] = 0
        out[(a < 0) | (b < 0)] = 0
        return out

    def weights(self, left: Index, right: Index) -> tuple[float, float]:
        """Gives what agreeing and differing add to the log odds, counted on certain pairs (p,)."""
        agreement = self.agreement(left, right)
        agree, differ = int((agreement > 0).sum()), int((agreement < 0).sum())
        m = (agree + _PRIOR_AGREE * _PRIOR_PAIRS) / (agree + differ + _PRIOR_PAIRS)
        u = min(max(self.chance, 1e-6), 1 - 1e-6)
        agrees, differs = np.log([m / u, (1 - m) / (1 - u)]).tolist()
        # A property that differs more often in certain pairs than by chance says nothing.
        return min(max(agrees, 0.0), _MOST), max(min(differs, 0.0), -_MOST)


@dataclass(frozen=True)
class Evidence:
    """All that speaks for or against pairs of one comparison, besides their names.

    Attributes:
        properties: What is compared.
        weights: What agreeing and differing adds, per property: `Property.weights` of pairs that
            are certain without it.
        names: Names of the left (n,) and the right (m,) nodes.
    """

    properties: Sequence[Property]
    weights: Sequence[tuple[float, float]]
    names: tuple[Names, Names]

    def log_odds(self, left: Index, right: Index) -> Floats:
        """Gives what is added to the log odds of pairs (p,)."""
        out = np.zeros(len(left))
        for prop, (agree, differ) in zip(self.properties, self.weights, strict=True):
            agreement = prop.agreement(left, right)
            out += np.where(agreement > 0, agree, np.where(agreement < 0, differ, 0.0))
        out[self._numbers_differ(left, right)] += NUMBERS_DIFFER
        out[self._plural_differs(left, right)] += PLURAL_DIFFERS
        a, b = self.names[0].brackets[left], self.names[1].brackets[right]
        alone = (a == "") | (b == "")
        out += np.where(a == b, 0.0, np.where(alone, REMARK_ALONE, REMARKS_DIFFER))
        return out

    def words(self, left: Index, right: Index) -> Texts:
        """Gives what properties say of pairs (p,): "year 1995; brand Acme ≠ Apex"."""
        out = np.full(len(left), "", dtype=object)
        for prop in self.properties:
            agreement = prop.agreement(left, right)
            a, b = prop.values[prop.left[left]], prop.values[prop.right[right]]
            rows = np.flatnonzero(agreement)
            same = f"; {prop.name} " + a[rows]
            out[rows] += np.where(agreement[rows] > 0, same, same + " ≠ " + b[rows])
        out[self._numbers_differ(left, right)] += "; numbers differ"
        out[self._plural_differs(left, right)] += "; singular and plural"
        return objects(str(text).removeprefix("; ") for text in out)

    def _numbers_differ(self, left: Index, right: Index) -> npt.NDArray[np.bool_]:
        return np.asarray(self.names[0].numbers[left] != self.names[1].numbers[right], dtype=bool)

    def _plural_differs(self, left: Index, right: Index) -> npt.NDArray[np.bool_]:
        a, b = self.names
        same = a.singular[left] == b.singular[right]
        return np.asarray(same & (a.bare[left] != b.bare[right]), dtype=bool)


def shared_properties(comparison: Comparison, config: ResolutionConfig) -> list[Property]:
    """Gives the properties that both sides have and that can tell pairs apart.

    Names, prose, columns of only one side and columns without a common value are left out; years
    in brackets of a name fill the column `year`.

    Raises:
        ConfigError: If `compare` names a column that neither side has.
    """
    left, right = comparison.left, comparison.right
    excluded = {*RESERVED_PROPERTIES, *config.aliases, "title", "name", "id"}
    excluded |= {str(DISPLAY_PROPERTY[side.label]) for side in (left, right)}
    columns = [name for name in _columns(left) if name in _columns(right) and name not in excluded]
    if config.compare is not None:
        for name in config.compare:
            if name not in _columns(left) and name not in _columns(right):
                raise ConfigError(
                    f"resolution.compare names {name!r}, which the nodes of {comparison} lack; "
                    f"expected some of {', '.join(columns) or 'no column, they share none'}"
                )
        columns = [name for name in columns if name in {*config.compare, *config.keys}]
    properties = (
        _property(name, _cells(left, name), _cells(right, name), comparison.within)
        for name in columns
    )
    return [prop for prop in properties if prop is not None]


def name_property(comparison: Comparison) -> Property | None:
    """Gives the bare name as a property, for pairs that something else proposes."""
    sides = comparison.left.names, comparison.right.names
    bare = [pd.Series(side.bare) for side in sides]
    return _property("name", bare[0], bare[1], comparison.within)


def _columns(side: Side) -> list[str]:
    columns = [str(name) for name in side.frame.columns]
    dated = _YEAR not in columns and not np.isnan(side.names.year).all()
    return [*columns, _YEAR] if dated else columns


def _cells(side: Side, name: str) -> pd.Series:
    cells = side.frame.get(name)
    if name != _YEAR:
        assert cells is not None
        return cells
    years = pd.Series(side.names.year)
    if cells is None:
        return years
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        return cells
    return cells.astype(np.float64).fillna(years)


def _property(name: str, left: pd.Series, right: pd.Series, within: bool) -> Property | None:
    cells = pd.concat([left, right], ignore_index=True)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        floats = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        codes, distinct = pd.factorize(floats)
        numbers = distinct if name == _YEAR else None
        values = objects(f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}" for value in distinct)
    else:
        texts = cells.where(cells.notna(), "").astype(str)
        nonempty = texts[texts != ""]
        if nonempty.empty or nonempty.str.len().median() > _PROSE:
            return None
        codes, values = _text_codes(texts)
        numbers = None
    a, b = np.asarray(codes[: len(left)]), np.asarray(codes[len(left) :])
    chance = _chance(a, b, len(values), within)
    return Property(name, a, b, values, numbers, chance) if chance > 0 else None


def _chance(left: Index, right: Index, size: int, within: bool) -> float:
    """Gives how often the values of two nodes drawn by chance are equal."""
    a, b = (np.bincount(codes[codes >= 0], minlength=size) for codes in (left, right))
    equal, pairs = float(a @ b), float(a.sum()) * float(b.sum())
    if within:  # a node is not compared with itself
        equal, pairs = equal - float(a.sum()), pairs - float(a.sum())
    return equal / pairs if pairs else 0.0


def _text_codes(texts: pd.Series) -> tuple[Index, Texts]:
    """Gives codes by normal form, -1 for empty ones, and the first spelling of each."""
    spelling, spellings = pd.factorize(texts.to_numpy(dtype=object))
    forms = objects(key_form(text) or text for text in spellings)
    with_form = np.flatnonzero(forms != "")
    codes, distinct = pd.factorize(forms[with_form])
    of_spelling = np.full(len(spellings), -1, dtype=np.int64)
    of_spelling[with_form] = codes
    first = np.zeros(len(distinct), dtype=np.int64)
    first[codes[::-1]] = with_form[::-1]
    return of_spelling[spelling], objects(spellings)[first]
