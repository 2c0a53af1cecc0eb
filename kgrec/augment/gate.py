"""Whether synthetic edges earn their place: every source against none, for every cohort."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from kgrec.evaluation.bootstrap import Interval, paired_bootstrap
from kgrec.evaluation.metrics import FloatArray

#: Networks that learned on for as long without edges.
NONE = "none"
#: Networks as they were before anything was tried; they are served where no source is let in.
UNTOUCHED = "untouched"
#: The cohort of users for whom edges are proposed.
SPARSE = "sparse"
_TAIL = "tail items"

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """What one source did, against networks that learned on without edges.

    Attributes:
        source: Its name.
        cohorts: NDCG@20 of each cohort of users, `SPARSE` among them, and `all`.
        tail: Recall@20 of items outside the most popular fifth; None if nobody has any.
        relative: The gain of sparse users as a share of what they have without.
        helps: Whether sparse users gain significantly, against the untouched networks too.
        harmed: What is significantly worse, against either.
        trainings: From so many networks this is known.
    """

    source: str
    cohorts: Mapping[str, Interval]
    tail: Interval | None
    relative: float
    helps: bool
    harmed: tuple[str, ...]
    trainings: int

    @property
    def sparse(self) -> Interval:
        """NDCG@20 of sparse users."""
        return self.cohorts[SPARSE]

    @property
    def may_enter(self) -> bool:
        """Whether it helps sparse users and harms nobody."""
        return self.helps and not self.harmed


@dataclass(frozen=True)
class Decision:
    """What the gate picked, and why.

    Attributes:
        winner: A source, or `none`.
        verdicts: Of each source.
        versus: NDCG@20 of sparse users, of each two sources the first against the second.
    """

    winner: str
    verdicts: tuple[Verdict, ...]
    versus: Mapping[tuple[str, str], Interval]

    @property
    def leader(self) -> str | None:
        """The source with the largest gain for sparse users among those that harm nobody."""
        gaining = [v for v in self.verdicts if v.sparse.difference > 0 and not v.harmed]
        best = max(gaining, key=lambda verdict: verdict.sparse.difference, default=None)
        return None if best is None else best.source

    def but_for(self, sure: "Decision") -> "Decision":
        """Gives this one with the verdicts of another, and its pick, in the place of its own."""
        by_source = {verdict.source: verdict for verdict in sure.verdicts}
        verdicts = tuple(by_source.get(verdict.source, verdict) for verdict in self.verdicts)
        return replace(self, winner=sure.winner, verdicts=verdicts)

    def words(self) -> str:
        """Says what was picked and what the others were worth."""
        most = max((v.trainings for v in self.verdicts), default=1)
        lines = [
            f"{v.source}: {v.sparse.difference:+.4f} [{v.sparse.low:+.4f}, {v.sparse.high:+.4f}] "
            f"NDCG@20 of the networks ({v.relative:+.1%}) for users with few interactions"
            + (" (one alone)" if v.trainings < most else "")
            + (f"; harms {', '.join(v.harmed)}" if v.harmed else "")
            for v in self.verdicts
        ]
        first = f"The gate lets in {self.winner}."
        if self.winner == NONE:
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
        ndcg: By source, `none` and perhaps `untouched` among them, NDCG@20 (s, n) of s trainings
            and n users.
        tail: Likewise recall@20 of items outside the most popular fifth; NaN for users without any.
        cohorts: Users (n,) by cohort, `SPARSE` among them with at least one user.
        seed: Of the bootstrap's draws.
    """
    cohorts = {"all": np.ones(ndcg[NONE].shape[1], dtype=bool), **cohorts}
    cohorts = {name: members for name, members in cohorts.items() if members.any()}
    has_tail = np.asarray(np.isfinite(tail[NONE]).all(axis=0))
    references = [name for name in (NONE, UNTOUCHED) if name in ndcg]
    names = [name for name in ndcg if name not in references]
    verdicts = []
    for name in names:
        intervals: dict[str, dict[str, Interval]] = {}
        for reference in references:
            intervals[reference] = {
                cohort: _difference(ndcg, name, reference, members, seed)
                for cohort, members in cohorts.items()
            }
            if has_tail.any():
                intervals[reference][_TAIL] = _difference(tail, name, reference, has_tail, seed)
        of_tail = intervals[NONE].get(_TAIL)
        harmed = dict.fromkeys(
            cohort
            for of_cohorts in intervals.values()
            for cohort, interval in of_cohorts.items()
            if interval.high < 0
        )
        helps = all(of_cohorts[SPARSE].low > 0 for of_cohorts in intervals.values())
        without = float(ndcg[NONE][:, cohorts[SPARSE]].mean())
        relative = intervals[NONE][SPARSE].difference / without if without else 0.0
        of_users = {cohort: intervals[NONE][cohort] for cohort in cohorts}
        trainings = len(ndcg[name])
        verdicts.append(Verdict(name, of_users, of_tail, relative, helps, tuple(harmed), trainings))
    allowed = [verdict for verdict in verdicts if verdict.may_enter]
    best = max(allowed, key=lambda verdict: verdict.sparse.difference, default=None)
    versus = {
        (first, second): _difference(ndcg, first, second, cohorts[SPARSE], seed)
        for first, second in combinations(names, 2)
    }
    return Decision(best.source if best else NONE, tuple(verdicts), versus)


def _difference(
    values: Mapping[str, FloatArray], source: str, reference: str, members: _Mask, seed: int
) -> Interval:
    return paired_bootstrap(values[source][:, members], values[reference][:, members], seed=seed)
