"""How good proposals are, where the truth is known."""

from collections.abc import Sequence

import pandas as pd

from kgrec.errors import DataError


def judge(
    proposals: pd.DataFrame,
    truth: pd.DataFrame,
    thresholds: Sequence[float] = (0.6, 0.8, 0.95),
) -> pd.DataFrame:
    """Counts right and wrong proposals by method and threshold.

    Args:
        proposals: Columns `left`, `right`, `score` and `method`.
        truth: Columns `left` and `right`: all pairs that are one thing.
        thresholds: Scores from which on a proposal counts.

    Returns:
        A row per method and threshold, and per threshold one of all methods (`method` "all"):
        `method`, `threshold`, `proposed`, `right` (how many of these are true), `precision` (NaN
        without proposals) and `recall` (of all of the truth).

    Raises:
        DataError: If a column is missing or there is no truth.
    """
    for name, frame, columns in (
        ("proposals", proposals, ("left", "right", "score", "method")),
        ("truth", truth, ("left", "right")),
    ):
        if missing := [column for column in columns if column not in frame.columns]:
            raise DataError(f"{name} have no column {missing[0]!r}; expected {', '.join(columns)}")
    known = pd.MultiIndex.from_frame(truth[["left", "right"]]).unique()
    if not len(known):
        raise DataError("there is no truth to judge by; give pairs that are one thing")
    once = proposals.drop_duplicates(["left", "right"])
    correct = pd.MultiIndex.from_frame(once[["left", "right"]]).isin(known)
    rows = []
    for method in [*sorted(set(once["method"])), "all"]:
        of_method = (once["method"] == method) | (method == "all")
        for threshold in thresholds:
            counted = of_method & (once["score"] >= threshold)
            proposed, right = int(counted.sum()), int((counted & correct).sum())
            rows.append(
                {
                    "method": method,
                    "threshold": threshold,
                    "proposed": proposed,
                    "right": right,
                    "precision": right / proposed if proposed else float("nan"),
                    "recall": right / len(known),
                }
            )
    return pd.DataFrame(rows)
