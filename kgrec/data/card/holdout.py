"""What the split itself does: times that run backwards, users and items that train lacks."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.data.card.card import Caution, SplitSummary
from kgrec.data.card.sample import ends
from kgrec.data.card.statistics import slices
from kgrec.data.journal.events import NO_TIME
from kgrec.data.tables import Dataset
from kgrec.schema import NodeLabel, Split

#: Share of held-out interactions before a train one of the user from which on it is said.
_BACKWARDS = 0.01
_TEMPORAL = frozenset({"temporal_user", "leave_last_out", "temporal_global"})


def times_of(edges: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Gives the times of edges (n,) in seconds since 1970 UTC, NO_TIME where unknown."""
    if "time" not in edges:
        return np.full(len(edges), NO_TIME)
    column = edges["time"]
    if pd.api.types.is_integer_dtype(column.dtype) and not column.hasnans:
        return column.to_numpy(dtype=np.int64)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.isnan(values)
    times: npt.NDArray[np.int64] = np.where(missing, 0, values).astype(np.int64)
    times[missing] = NO_TIME
    return times


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
