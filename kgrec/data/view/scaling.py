"""Numbers on a common scale, fitted on the nodes of train alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import PropertyRule
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities
from kgrec.data.view.rows import among
from kgrec.errors import DataError
from kgrec.schema import NodeLabel

Numbers = npt.NDArray[np.float64]

_WORDS = {
    "minmax": "scaled to [0, 1]",
    "standard": "standardised",
    "log": "log1p, then standardised",
}

_FITTED_ON = {
    NodeLabel.USER: "users",
    NodeLabel.ITEM: "train items",
    NodeLabel.ENTITY: "entities",
}


@dataclass(frozen=True)
class Scale:
    """How numbers of one property become comparable.

    Attributes:
        kind: `minmax` to [0, 1], `standard` to mean 0 and standard deviation 1, `log` takes
            log(1 + x) first.
        impute: What a missing number is made from; `none` leaves it missing.
        center: The least fitted number (`minmax`), else their mean (of logarithms for `log`).
        spread: Their range (`minmax`), else their standard deviation; 0 where all are equal.
        filler: The number, unscaled, that a missing one counts as; None leaves it missing.
        fitted: How many numbers it was fitted on.
        imputed: How many were missing when it was fitted, among all nodes of the label.
    """

    kind: Literal["minmax", "standard", "log"]
    impute: Literal["none", "median", "mean", "zero"]
    center: float
    spread: float
    filler: float | None
    fitted: int
    imputed: int

    @classmethod
    def fit(cls, values: Numbers, fit_mask: npt.NDArray[np.bool_], rule: PropertyRule) -> "Scale":
        """Fits on some of the numbers.

        Args:
            values: float64 (n,), NaN where missing; not below 0 for `log`.
            fit_mask: bool (n,), the nodes that may be looked at; one at least has a number.
            rule: A rule with `normalise`.
        """
        assert rule.normalise is not None
        numbers = values[fit_mask & ~np.isnan(values)]
        fillers = {"none": None, "zero": 0.0}
        fillers |= {"median": float(np.median(numbers)), "mean": float(np.mean(numbers))}
        filler = fillers[rule.impute]
        # What is made up joins the fit, so that a standardised column has mean 0 as it stands.
        looked_at = values[fit_mask] if filler is not None else numbers
        amounts = _filled(looked_at, filler)
        if rule.normalise == "log":
            amounts = np.log1p(amounts)
        if rule.normalise == "minmax":
            center, spread = amounts.min(), np.ptp(amounts)
        else:
            center, spread = amounts.mean(), amounts.std()
        missing = 0 if filler is None else int(np.isnan(values).sum())
        return cls(
            rule.normalise,
            rule.impute,
            float(center),
            # Equal numbers may have a mean that is a last digit off, and so a spread.
            float(spread) if np.ptp(amounts) > 0 else 0.0,
            filler,
            len(numbers),
            missing,
        )

    def apply(self, values: Numbers) -> Numbers:
        """Scales numbers (n,); NaN stays where nothing is imputed. Equal numbers become 0."""
        amounts = _filled(values, self.filler)
        if self.kind == "log":
            amounts = np.log1p(amounts)
        scaled = (amounts - self.center) / (self.spread or 1.0)
        if self.spread == 0:
            scaled = np.where(np.isnan(scaled), np.nan, 0.0)
        return np.clip(scaled, 0.0, 1.0) if self.kind == "minmax" else scaled

    def __str__(self) -> str:
        words = _WORDS[self.kind]
        if self.imputed:
            by = "0" if self.impute == "zero" else f"the {self.impute} {self.filler:,.6g}"
            words += f"; {self.imputed:,} missing imputed by {by}"
        return words


def scaled_numbers(
    nodes: Mapping[NodeLabel, pd.DataFrame],
    rules: Mapping[NodeLabel, Mapping[str, tuple[str, PropertyRule]]],
    train_items: pd.Index,
    identities: Identities,
    scales: Mapping[str, Scale],
) -> tuple[dict[NodeLabel, pd.DataFrame], dict[str, Scale]]:
    """Adds the scaled twins `<name>_scaled` (float64) of numbers.

    They are fitted on the items of train, or on all users or entities.

    Args:
        nodes: The nodes.
        rules: By label and property the source that asks for it, and its rule.
        train_items: Ids of the items of train.
        identities: Nodes that another one counts for are no part of the fit.
        scales: Normalisations that are used instead of fitting, by `Label.property`.

    Returns:
        The nodes and all normalisations.

    Raises:
        DataError: If a twin's name is taken, or a logarithm is asked of a number below 0.
    """
    frames = dict(nodes)
    used_scales: dict[str, Scale] = {}
    for label, frame in nodes.items():
        ids = frame["id"]
        if label == NodeLabel.ITEM:
            fit_mask = among(ids, train_items)
        else:
            fit_mask = (identities.canonical(label, ids) == ids).to_numpy(dtype=bool)
        for name, (source, rule) in rules[label].items():
            twin, key = f"{name}_scaled", f"{label}.{name}"
            if twin in frames[label].columns:
                raise DataError(
                    f"{source}: the scaled twin of {name!r} would be {twin!r}, which is a column "
                    f"already; rename the column"
                )
            values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
            _refuse_negative(source, name, ids, values, rule)
            words = {"twin": twin, "whom": _FITTED_ON[label]}
            scale, verb = scales.get(key), "fitted earlier"
            if scale is None or (scale.kind, scale.impute) != (rule.normalise, rule.impute):
                if not (fit_mask & ~np.isnan(values)).any():
                    note(source, "{twin} not fitted", 1, name=name, **words)
                    continue
                scale, verb = Scale.fit(values, fit_mask, rule), "fitted"
            note(source, "{twin}", scale.fitted, verb=verb, scale=scale, **words)
            frames[label] = frames[label].assign(**{twin: scale.apply(values)})
            used_scales[key] = scale
    return frames, used_scales


def _filled(values: Numbers, filler: float | None) -> Numbers:
    return values if filler is None else np.where(np.isnan(values), filler, values)


def _refuse_negative(
    source: str, name: str, ids: pd.Series, values: Numbers, rule: PropertyRule
) -> None:
    bad = values < 0
    if rule.normalise == "log" and bad.any():
        first = int(np.argmax(bad))
        raise DataError(
            f'{source}: {name} of {ids.iloc[first]!r} is {values[first]:g}; normalise = "log" '
            f'expects no number below 0; correct it, or use normalise = "standard"'
        )
