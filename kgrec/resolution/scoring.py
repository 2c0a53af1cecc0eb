"""How sure a pair is.

Every pair has log odds: a part for how it was found, and a part for its properties
(`kgrec.resolution.evidence`). Its score is

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
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
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
