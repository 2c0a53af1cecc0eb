"""What splits and item properties know of what is held out.

Of splits: times that run backwards, users and items that train lacks. Of item properties: how
popular an item became after the cut.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.card.card import Caution, SplitSummary
from kgrec.data.card.statistics import degrees_of, ends, slices, times_of
from kgrec.data.journal.events import NO_TIME
from kgrec.data.tables import Dataset
from kgrec.schema import NodeLabel, Split

#: Share of held-out interactions before a train one of the user from which on it is said.
_BACKWARDS = 0.01
_TEMPORAL = frozenset({"temporal_user", "leave_last_out", "temporal_global"})

Numbers = npt.NDArray[np.float64]

#: Items that are looked at.
MOST_ITEMS = 200_000
#: Fewer items with the property tell nothing.
_FEWEST_ITEMS = 30
#: Standard errors beyond which a difference is no accident.
SURE = 4.0


def order_cautions(dataset: Dataset, split_kind: str | None) -> Iterator[Caution]:
    """Looks for held-out interactions before train interactions of the same user."""
    train = dataset.interactions[Split.TRAIN]
    latest = np.full(len(dataset.nodes[NodeLabel.USER]), NO_TIME)
    users, times = ends(train)[0], times_of(train)
    for part in slices(len(times)):
        np.maximum.at(latest, users[part], times[part])
    earlier = num_known = 0
    for split, frame in dataset.interactions.items():
        if split is Split.TRAIN:
            continue
        users, times = ends(frame)[0], times_of(frame)
        comparable = (times != NO_TIME) & (latest[users] != NO_TIME)
        num_known += int(comparable.sum())
        earlier += int((comparable & (times < latest[users])).sum())
    if not num_known or earlier / num_known < _BACKWARDS:
        return
    temporal = split_kind in _TEMPORAL
    yield Caution(
        "leak" if temporal else "note",
        "split",
        f"{earlier:,} of {num_known:,} held-out interactions with a time "
        f"({earlier / num_known:.0%}) are older than the newest train interaction of their user.",
        f"A split of kind {split_kind} should not do this: check the times."
        if temporal
        else "Models learn from what came later, so measured quality is that of filling gaps, not "
        'of predicting. For the latter use data.split.kind = "temporal_user" or '
        '"temporal_global", or split the files by time.',
        {"earlier": earlier, "of": num_known},
    )


def unseen_cautions(splits: tuple[SplitSummary, ...], split_kind: str | None) -> Iterator[Caution]:
    """Tells which users and items of valid and test train lacks."""
    cold_nodes = {"cold_user": "users", "cold_item": "items"}.get(split_kind or "")
    for summary in splits:
        for nodes, new, of in (
            ("users", summary.new_users, summary.users),
            ("items", summary.new_items, summary.items),
        ):
            if summary.split == Split.TRAIN or not new:
                continue
            yield Caution(
                "note",
                f"{nodes} of {summary.split}",
                f"{new:,} of {of:,} {nodes} of {summary.split} ({new / of:.0%}) have no "
                f"interaction in train.",
                f"That is what the split {split_kind} is for."
                if nodes == cold_nodes
                else f"Nothing can be learnt of these {nodes} but from the graph and texts. Read "
                f"the cohorts of kgrec evaluate beside its totals.",
                {"new": new, "of": of},
            )


@dataclass(frozen=True)
class RankCorrelations:
    """Spearman correlations of a property with the popularity of items.

    Attributes:
        items: Items that have the property.
        held_out: With their held-out interactions.
        train: With their train ones.
        partial: With their held-out ones among items alike in train: 0 if the property knows no
            more of the future than train does.
        errors: By how many standard errors `held_out` exceeds `train`, in absolute value (Meng,
            Rosenthal and Rubin's test for correlations that share a variable).
    """

    items: int
    held_out: float
    train: float
    partial: float
    errors: float

    @property
    def knows_held_out(self) -> bool:
        """Whether the property tells more of held-out popularity than train popularity does."""
        beyond = abs(self.partial) >= 0.5 and abs(self.partial) * math.sqrt(self.items) >= SURE
        closer = abs(self.held_out) - abs(self.train) >= 0.1 and self.errors >= SURE
        return abs(self.held_out) >= 0.3 and (beyond or closer)


def popularity_cautions(dataset: Dataset, rng: np.random.Generator) -> Iterator[Caution]:
    """Looks at every number of the items."""
    items = dataset.nodes[NodeLabel.ITEM]
    popularity = {
        split: degrees_of(ends(frame)[1], len(items))
        for split, frame in dataset.interactions.items()
    }
    held_out = sum(
        (popularity[s] for s in (Split.VALID, Split.TEST) if s in popularity),
        start=np.zeros(len(items), np.int64),
    )
    if not held_out.any():
        return
    sample = np.arange(len(items))
    if len(sample) > MOST_ITEMS:
        sample = np.sort(rng.choice(sample, MOST_ITEMS, replace=False))
    for name in _numbers(items):
        values = items[name].to_numpy(dtype=np.float64, na_value=np.nan)[sample]
        finite = np.isfinite(values)
        correlations = rank_correlations(
            values[finite],
            popularity[Split.TRAIN][sample][finite].astype(np.float64),
            held_out[sample][finite].astype(np.float64),
        )
        if correlations is not None and correlations.knows_held_out:
            yield _caution(name, correlations)


def rank_correlations(
    values: Numbers, train: Numbers, held_out: Numbers
) -> RankCorrelations | None:
    """Correlates a property (n,) with popularities (n,); None if n is too small or one is flat."""
    ranks = [pd.Series(x).rank().to_numpy(dtype=np.float64) for x in (values, train, held_out)]
    if len(values) < _FEWEST_ITEMS or any(np.ptp(rank) == 0 for rank in ranks):
        return None
    rho = np.asarray(np.corrcoef(ranks))
    with_train, with_held_out, between = rho[0, 1], rho[0, 2], rho[1, 2]
    rest = math.sqrt(max((1 - with_train**2) * (1 - between**2), 0.0))
    partial = (with_held_out - with_train * between) / rest if rest > 1e-9 else 0.0
    return RankCorrelations(
        items=len(values),
        held_out=float(with_held_out),
        train=float(with_train),
        partial=float(np.clip(partial, -1, 1)),
        errors=_difference(abs(with_held_out), abs(with_train), abs(between), len(values)),
    )


def _difference(first: float, second: float, between: float, number: int) -> float:
    """Meng, Rosenthal and Rubin's z (1992) for two correlations with a common variable."""
    z_first, z_second = (math.atanh(min(r, 1 - 1e-9)) for r in (first, second))
    mean_square = (first**2 + second**2) / 2
    if mean_square >= 1 - 1e-9 or between >= 1 - 1e-9:
        return 0.0
    shape = min((1 - between) / (2 * (1 - mean_square)), 1.0)
    spread = (1 - shape * mean_square) / (1 - mean_square)
    return (z_first - z_second) * math.sqrt((number - 3) / (2 * (1 - between) * spread))


def _numbers(items: pd.DataFrame) -> Iterator[str]:
    for name in items.columns:
        twin = name.endswith("_scaled") and name.removesuffix("_scaled") in items
        if pd.api.types.is_numeric_dtype(items[name].dtype) and name != "load" and not twin:
            yield str(name)


def _caution(name: str, correlations: RankCorrelations) -> Caution:
    return Caution(
        "leak" if abs(correlations.partial) >= 0.5 else "suspect",
        f"item property {name}",
        f"Over {correlations.items:,} items its rank correlation with held-out popularity is "
        f"{correlations.held_out:+.2f}, with train popularity {correlations.train:+.2f}; among "
        f"items equally popular in train it is still {correlations.partial:+.2f}.",
        "It looks as if it was counted after the cut. Take its value from before the first "
        'held-out interaction, or leave it out (as = "drop"). It may be fair if it says when an '
        "item came out, or was known all along.",
        asdict(correlations),
    )
