"""Models compared with kgrec, user by user: of several fits, so no fact of one.

The numbers of the users stay on the machine that fitted both; what follows from them goes to the
results, with a hash of the rows that were compared. It counts as long as these are the rows of the
table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from pydantic import BaseModel, ConfigDict

from kgrec.bench.fits import Fit, PerUser
from kgrec.bench.peers import REFERENCE
from kgrec.evaluation.bootstrap import Interval, paired_bootstrap

#: The rows of fits by label and seed.
Digests = Mapping[str, Mapping[int, str]]
#: Gives the numbers of the users of a fit by row; None if they are not on this machine.
ReadUsers = Callable[[Fit], Mapping[str, PerUser] | None]


class Difference(BaseModel):
    """A row minus kgrec's.

    Attributes:
        rows: By seed the digests of the row and of kgrec's.
        metrics: By name `difference`, `low` and `high` of the 95 % interval.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: dict[int, tuple[str, str]]
    metrics: dict[str, dict[str, float]]

    def holds(self, label: str, digests: Digests) -> bool:
        """Whether the rows that were compared are those of the table."""
        own, reference = digests.get(label, {}), digests.get(REFERENCE, {})
        return all(pair == (own.get(s), reference.get(s)) for s, pair in self.rows.items())


def row_label(model: str, row: str) -> str:
    """Gives what a table calls a row of a fit."""
    return f"{model}/{row}" if row else model


def digests_of(fits: Sequence[Fit]) -> Digests:
    """Gives the digests of all rows, by label and seed."""
    digests: dict[str, dict[int, str]] = {}
    for fit in fits:
        for name, row in fit.rows.items():
            digests.setdefault(row_label(fit.model, name), {})[fit.seed] = row.digest
    return digests


def compare(
    fits: Sequence[Fit], earlier: Mapping[str, Difference], read_users: ReadUsers
) -> dict[str, Difference]:
    """Compares all rows with kgrec's in the seeds whose users' numbers are on this machine.

    Args:
        fits: The fits of the table.
        earlier: The comparisons so far; one of more seeds stays as long as it holds.
        read_users: Where the numbers are.

    Returns:
        By label the comparisons that hold.
    """
    digests = digests_of(fits)
    holding = {label: past for label, past in earlier.items() if past.holds(label, digests)}
    users_of = {(fit.model, fit.seed): read_users(fit) or {} for fit in fits}
    pairs: dict[str, dict[int, tuple[PerUser, PerUser]]] = {}
    for (model, seed), users in users_of.items():
        reference = users_of.get((REFERENCE, seed), {}).get("")
        for name, per_user in users.items():
            label = row_label(model, name)
            if reference is not None and label != REFERENCE:
                pairs.setdefault(label, {})[seed] = (per_user, reference)
    for label, by_seed in pairs.items():
        if label not in holding or len(by_seed) >= len(holding[label].rows):
            holding[label] = _difference(label, by_seed, digests)
    return holding


def _difference(
    label: str, pairs: Mapping[int, tuple[PerUser, PerUser]], digests: Digests
) -> Difference:
    (first, _), *_ = pairs.values()
    intervals = {name: difference(list(pairs.values()), name) for name in first.metrics}
    return Difference(
        rows={seed: (digests[label][seed], digests[REFERENCE][seed]) for seed in pairs},
        metrics={name: asdict(interval) for name, interval in intervals.items() if interval},
    )


def difference(pairs: Sequence[tuple[PerUser, PerUser]], metric: str) -> Interval | None:
    """Gives the 95 % interval of the mean difference of a metric, the first minus the second.

    A user who is judged under several seeds is one user: their differences are averaged before the
    users are drawn.

    Args:
        pairs: Two models' numbers of one seed each, of the same users.
        metric: One of their metrics.

    Returns:
        The interval; None if the metric is of no user.
    """
    users = np.concatenate([a.users for a, _ in pairs])
    values = np.concatenate([a.metrics[metric] - b.metrics[metric] for a, b in pairs])
    measured = np.isfinite(values)
    if not measured.any():
        return None
    _, place = np.unique(users[measured], return_inverse=True)
    mean = np.bincount(place, values[measured]) / np.bincount(place)
    return paired_bootstrap(mean, np.zeros_like(mean))
