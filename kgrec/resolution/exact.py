"""Pairs with an equal key or an equal name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.resolution.names import Index, key_form, objects
from kgrec.resolution.sides import Comparison, Side


@dataclass(frozen=True)
class Matches:
    """Pairs (p,) of positions that share a value.

    Attributes:
        left: Positions on the left.
        right: Positions on the right.
        unique: Whether no other node of either side has the value, bool (p,).
        common: Values that too many nodes share, with the most of them on a side; no pairs are
            made of these.
    """

    left: Index
    right: Index
    unique: npt.NDArray[np.bool_]
    common: tuple[tuple[str, int], ...] = ()

    def certain(self) -> "Matches":
        """The unique ones."""
        mask = self.unique
        return Matches(self.left[mask], self.right[mask], mask[mask], self.common)


def equal_keys(comparison: Comparison, column: str, most: int) -> Matches:
    """Finds pairs with an equal key; case, spaces and punctuation do not count.

    Args:
        comparison: What is compared.
        column: Column of the key; a side that lacks it has no pairs.
        most: Nodes of a side that may share a value.
    """
    sides = [_keys(side, column) for side in (comparison.left, comparison.right)]
    return _equal(sides[0], sides[1], most, within=comparison.within)


def equal_names(comparison: Comparison, part: str, most: int) -> Matches:
    """Finds pairs with an equal `whole` or `full` name."""
    sides = [
        pd.DataFrame({"form": getattr(side.names, part), "node": np.arange(len(side.frame))})
        for side in (comparison.left, comparison.right)
    ]
    return _equal(sides[0], sides[1], most, within=comparison.within)


def equal_aliases(comparison: Comparison, most: int) -> Matches:
    """Finds pairs of which one is also called what the other is called.

    Two remarks in brackets make no pair: "(TV)" is no name.
    """
    left, right = comparison.left.names.alias_forms, comparison.right.names.alias_forms
    matches = [
        _equal(left[~left["aside"]], right, most, within=comparison.within),
        _equal(left, right[~right["aside"]], most, within=comparison.within),
    ]
    return joined(matches)


def joined(matches: Sequence[Matches]) -> Matches:
    """Puts matches together, each pair once; unique where any of them says so."""
    columns = ("left", "right", "unique")
    columns_of_all = {
        name: np.concatenate([getattr(part, name) for part in matches]) for name in columns
    }
    # The unique one of equal pairs comes first.
    ordered = pd.DataFrame(columns_of_all).sort_values(list(columns), ascending=[True, True, False])
    pairs = ordered.drop_duplicates(["left", "right"])
    common = tuple(dict.fromkeys(value for part in matches for value in part.common))
    return Matches(
        pairs["left"].to_numpy(np.int64),
        pairs["right"].to_numpy(np.int64),
        pairs["unique"].to_numpy(bool),
        common,
    )


def _keys(side: Side, column: str) -> pd.DataFrame:
    if column not in side.frame.columns:
        return pd.DataFrame({"form": objects([]), "node": np.zeros(0, dtype=np.int64)})
    cells = side.frame[column]
    if pd.api.types.is_numeric_dtype(cells.dtype):
        # An EAN of a column with gaps is 4006381333931.0.
        floats = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        codes, values = pd.factorize(floats)
        forms = objects(f"{value:.0f}" if value == int(value) else repr(value) for value in values)
    else:
        codes, values = pd.factorize(cells.where(cells.notna(), None).to_numpy(dtype=object))
        forms = objects(key_form(str(value)) for value in values)
    has_key = np.flatnonzero(codes >= 0)
    return pd.DataFrame({"form": forms[codes[has_key]], "node": has_key})


def _equal(left: pd.DataFrame, right: pd.DataFrame, most: int, *, within: bool) -> Matches:
    """Joins two frames `form`, `node`; empty forms are equal to nothing."""
    left, right = (side[side["form"] != ""] for side in (left, right))
    counts = pd.concat(
        [side.groupby("form")["node"].nunique() for side in (left, right)], axis=1, join="inner"
    )
    largest = counts.max(axis=1)
    crowded = largest[largest > most].sort_values(ascending=False, kind="stable")
    left = left[~left["form"].isin(crowded.index)]
    pairs = left.merge(right, on="form", suffixes=("_left", "_right"))
    alone = 2 if within else 1
    unique = pairs["form"].map(largest <= alone).to_numpy(dtype=bool)
    a, b = (pairs[f"node_{end}"].to_numpy(np.int64) for end in ("left", "right"))
    mask = a < b if within else np.ones(len(a), dtype=bool)
    common = tuple((str(form), int(count)) for form, count in crowded.items())
    return Matches(a[mask], b[mask], unique[mask], common)
