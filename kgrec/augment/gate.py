"""Whether synthetic edges earn their place: every source against none, for every cohort."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgrec.evaluation.bootstrap import Interval, paired_bootstrap
from kgrec.evaluation.metrics import FloatArray

#: The source without edges.
NONE = "none"
#: The cohort of users for whom edges are proposed.
SPARSE = "sparse"

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """What one source did, against none.

    Attributes:
        source: Its name.
        sparse: NDCG@20 of sparse users.
        cohorts: NDCG@20 of each cohort of users, and `all`.
        tail: Recall@20 of items outside the most popular fifth.
        relative: The gain of sparse users as a share of what they have without.
        harmed: What is significantly worse with it.
    """

    source: str
    sparse: Interval
    cohorts: Mapping[str, Interval]
    tail: Interval
    relative: float
    harmed: tuple[str, ...]

    @property
    def may_enter(self) -> bool:
        """Whether it helps sparse users significantly and harms nobody."""
        return self.sparse.low > 0 and not self.harmed


@dataclass(frozen=True)
class Decision:
    """What the gate picked, and why.

    Attributes:
        picked: A source, or `none`.
        verdicts: Of each source.
        versus: NDCG@20 of sparse users, each source (first) against each other.
    """

    picked: str
    verdicts: tuple[Verdict, ...]
    versus: Mapping[tuple[str, str], Interval]

    def words(self) -> str:
        """Says what was picked and what the others were worth."""
        lines = [
            f"{v.source}: {v.sparse.difference:+.4f} [{v.sparse.low:+.4f}, {v.sparse.high:+.4f}] "
            f"NDCG@20 ({v.relative:+.1%}) for users with few interactions"
            + (f"; harms {', '.join(v.harmed)}" if v.harmed else "")
            for v in self.verdicts
        ]
        first = f"The gate lets in {self.picked}."
        if self.picked == NONE:
            first = "The gate lets no synthetic edges in: no source helps without harm."
        return "\n".join([first, *lines])


def decide(
    ndcg: Mapping[str, FloatArray],
    tail: Mapping[str, FloatArray],
    cohorts: Mapping[str, _Mask],
    *,
    seed: int = 0,
) -> Decision:
    """Picks the source with the largest gain for sparse users among those that harm nobody.

    Args:
        ndcg: By source, `none` among them, NDCG@20 (s, n) of s trainings and n users.
        tail: Likewise recall@20 of items outside the most popular fifth; NaN for users without any.
        cohorts: Users (n,) by cohort, `SPARSE` among them.
        seed: Of the bootstrap's draws.
    """
    cohorts = {"all": np.ones(ndcg[NONE].shape[1], dtype=bool), **cohorts}
    told = np.isfinite(tail[NONE]).all(axis=0)
    names = [name for name in ndcg if name != NONE]
    verdicts = []
    for name in names:
        found = {
            cohort: paired_bootstrap(ndcg[name][:, members], ndcg[NONE][:, members], seed=seed)
            for cohort, members in cohorts.items()
            if members.any()
        }
        of_tail = paired_bootstrap(tail[name][:, told], tail[NONE][:, told], seed=seed)
        harmed = [cohort for cohort, interval in found.items() if interval.high < 0]
        harmed += ["tail items"] if of_tail.high < 0 else []
        without = float(ndcg[NONE][:, cohorts[SPARSE]].mean())
        sparse = found[SPARSE]
        relative = sparse.difference / without if without else 0.0
        verdicts.append(Verdict(name, sparse, found, of_tail, relative, tuple(harmed)))
    allowed = [verdict for verdict in verdicts if verdict.may_enter]
    best = max(allowed, key=lambda verdict: verdict.sparse.difference, default=None)
    members = cohorts[SPARSE]
    versus = {
        (one, other): paired_bootstrap(ndcg[one][:, members], ndcg[other][:, members], seed=seed)
        for one in names
        for other in names
        if one != other
    }
    return Decision(best.source if best else NONE, tuple(verdicts), versus)
