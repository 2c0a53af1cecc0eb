"""Events into the edges between users and items: cleaned, folded, split, and without leaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import CleaningConfig, DataConfig, SplitConfig
from kgrec.data.fingerprint import Hashes
from kgrec.data.journal.events import Events
from kgrec.data.tables import RelationTable
from kgrec.data.view.behaviours import DISLIKED_NAME, Behaviours, Ratings
from kgrec.data.view.filtering import Names, k_core
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.folding import BlockFolder
from kgrec.data.view.pairs import Index, Mask, Pairs, contains, pair_keys
from kgrec.data.view.splits import TEMPORAL, HeldOut, split_pairs
from kgrec.errors import DataError
from kgrec.schema import DISLIKED, EdgeKey, NodeLabel, Role, Split


@dataclass(frozen=True)
class InteractionView:
    """All edges between users and items, by their codes.

    Attributes:
        splits: Per split a frame with `head`, `tail` (int32, codes of user and item), those of
            `rating`, `time`, `weight`, `count` and `session` that carry anything, and `load`
            (int32), sorted by head and tail. `weight` and `count` are NaN where they are 1; whole
            numbers are float64 where some are missing.
        behaviours: Every behaviour that is evidence or negative, with or without edges, and last
            the dislikes, if a target has a `min_rating`; their edges are frames like the splits'.
        held_out: What valid and test hold, and what else would give it away.
        users: Whether a user's code is in the graph, bool (num_users,): it occurs in an event that
            is no deletion, and no rule has left the user out.
        items: Likewise for items (num_items,).
        ratings: What ratings were met.

    Raises:
        DataError: If a pair is in two splits.
    """

    splits: Mapping[Split, pd.DataFrame]
    behaviours: tuple[RelationTable, ...]
    held_out: HeldOut
    users: Mask
    items: Mask
    ratings: Ratings = field(compare=False)

    def __post_init__(self) -> None:
        keys = {split: _keys(frame, len(self.items)) for split, frame in self.splits.items()}
        for few, many in combinations(reversed(Split), 2):
            overlap = contains(keys[many], keys[few])
            if overlap.any():
                user, item = divmod(int(keys[few][overlap][0]), len(self.items))
                raise DataError(
                    f"the pair of user code {user} and item code {item} is in {many} and in {few}, "
                    f"as are {overlap.sum() - 1:,} others; expected disjoint splits"
                )

    @classmethod
    def joined(cls, views: list["InteractionView"]) -> "InteractionView":
        """Joins the views (at least one) of parts of the users, and empties them.

        Raises:
            ConfigError: If `min_rating` is set, but nothing is rated.
            DataError: If no rating reaches `min_rating`, or a user is in two parts.
        """
        num_items = len(views[0].items)
        splits = {
            split: _joined_frames([view.splits[split] for view in views], num_items)
            for split in Split
        }
        behaviours = tuple(
            replace(
                first,
                edges=_joined_frames([view.behaviours[at].edges for view in views], num_items),
            )
            for at, first in enumerate(views[0].behaviours)
        )
        held_out = HeldOut.joined([view.held_out for view in views])
        users = np.logical_or.reduce([view.users for view in views])
        items = np.logical_or.reduce([view.items for view in views])
        ratings = reduce(Ratings.plus, [view.ratings for view in views])
        views.clear()
        ratings.check()
        return cls(splits, behaviours, held_out, users, items, ratings)


def _keys(frame: pd.DataFrame, num_items: int) -> Index:
    return pair_keys(frame["head"].to_numpy(), frame["tail"].to_numpy(), num_items)


def _joined_frames(frames: list[pd.DataFrame], num_items: int) -> pd.DataFrame:
    """Puts frames together, sorted by head and tail, column by column, and empties them."""
    if len(frames) == 1:
        return frames[0]
    keys = np.concatenate([_keys(frame, num_items) for frame in frames])
    order = np.argsort(keys, kind="stable")  # quick on parts that are sorted
    del keys
    rows = [len(frame) for frame in frames]
    columns = {}
    for name in [n for n in _COLUMNS if any(n in frame for frame in frames)]:
        parts = [
            frame.pop(name).to_numpy() if name in frame else np.full(length, np.nan)
            for frame, length in zip(frames, rows, strict=True)
            if length
        ]
        whole = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        del parts
        columns[name] = whole[order]
    return pd.DataFrame(columns, copy=False)


_COLUMNS = ("head", "tail", "rating", "time", "weight", "count", "session", "load")


def derive_interactions(
    events: Events,
    user_hash: Hashes,
    item_hash: Hashes,
    config: DataConfig,
    seed: int,
    *,
    whole: bool = True,
    name: Names = lambda user, item: (f"code {user}", f"code {item}"),
) -> InteractionView:
    """Turns events into edges; neither their order nor their repetition changes anything.

    In this order: repeated events, deletions, bots, each user's latest, sessions, folding,
    dislikes, targets, k-core, split, leaks.

    Args:
        events: All events, or all those of some users.
        user_hash: Hashes of the users' ids, uint64 (num_users,), by code.
        item_hash: Hashes of the items' ids, uint64 (num_items,), by code.
        config: Behaviours, cleaning and split.
        seed: Of the kinds of split that draw.
        whole: Whether these are all events. Of those of some users nobody can say that a
            `min_rating` fits nothing, so that is asked of all parts, when they are joined.
        name: Gives the ids of a user's and an item's code, for messages.

    Raises:
        ConfigError: If a setting does not fit the events.
        DataError: If given splits overlap, or the k-core leaves nothing.
        SchemaError: If a behaviour's name gives no relationship type.
    """
    behaviours = Behaviours.of(config)
    users = _occurs(events.user, events.deleted, len(user_hash))
    items = _occurs(events.item, events.deleted, len(item_hash))
    ratings = Ratings.none(behaviours)
    folded = BlockFolder(config, behaviours, user_hash, item_hash, name, ratings).fold(events)
    if whole:
        ratings.check()
    users[folded.bots] = False
    targets = folded.targets
    _keep_core(targets, config.cleaning, users, items)

    parts, held_out = _held_out(targets, user_hash, item_hash, config, seed)
    for position, split in enumerate(Split):
        note(SOURCE, "{split}", parts == position, split=split)
    splits = targets.frames(parts)
    del parts

    tables: list[RelationTable] = []
    for at, called, key, role in behaviours.nontargets:
        pairs = folded.nontargets.pop(at)
        _drop_leaks(pairs, called, users, items, held_out)
        tables.append(RelationTable(called, key, pairs.frame(), role))
    if behaviours.has_dislikes:
        key, pairs = EdgeKey(DISLIKED, NodeLabel.USER, NodeLabel.ITEM), folded.disliked
        _drop_leaks(pairs, DISLIKED_NAME, users, items, held_out)
        tables.append(RelationTable(DISLIKED_NAME, key, pairs.frame(), Role.NEGATIVE))
    return InteractionView(splits, tuple(tables), held_out, users, items, ratings)


def _occurs(codes: npt.NDArray[np.int32], deleted: Mask, size: int) -> Mask:
    """Marks the codes (size,) that occur in events that are no deletions."""
    occurs = np.zeros(size, dtype=np.bool_)
    occurs[codes[~deleted] if deleted.any() else codes] = True
    return occurs


def _keep_core(targets: Pairs, cleaning: CleaningConfig, users: Mask, items: Mask) -> None:
    """Leaves the k-core in `targets`, and takes those outside out of `users` and `items`.

    A core of 1 asks nothing: an item's core alone takes items, but no user.
    """
    if cleaning.user_core == 1 and cleaning.item_core == 1:
        return
    keep = k_core(targets["user"], targets["item"], cleaning)
    cores = f"a core of {cleaning.user_core} items a user and {cleaning.item_core} users an item"
    note(SOURCE, "k-core", ~keep, cores=cores)
    for mask, end, core in (
        (users, "user", cleaning.user_core),
        (items, "item", cleaning.item_core),
    ):
        if core > 1:
            before = int(mask.sum())
            mask &= np.bincount(targets[end][keep], minlength=len(mask)) > 0
            note(
                SOURCE, "{end}s outside the k-core", before - int(mask.sum()), end=end, cores=cores
            )
    if len(keep) and not keep.any():
        raise DataError(
            f"no target is left in {cores}; there were {len(keep):,}; lower "
            f"data.cleaning.user_core or data.cleaning.item_core"
        )
    targets.keep(keep)


def _held_out(
    targets: Pairs, user_hash: Hashes, item_hash: Hashes, config: DataConfig, seed: int
) -> tuple[npt.NDArray[np.int8], HeldOut]:
    """Gives the part of each target (n,), as its source says or as drawn, and what is held out."""
    if "split" in targets.names:
        parts, moments, by_time = targets["split"], None, False
    else:
        how = config.split or SplitConfig()
        parts, moments = split_pairs(targets, user_hash, item_hash, how, seed)
        by_time = how.kind in TEMPORAL
    sizes = len(user_hash), len(item_hash)
    return parts, HeldOut.of(targets, parts, *sizes, by_time=by_time, moments=moments)


def _drop_leaks(pairs: Pairs, name: str, users: Mask, items: Mask, held_out: HeldOut) -> None:
    """Leaves the edges whose ends are in the graph and that tell nothing of what is held out."""
    in_graph = users[pairs["user"]] & items[pairs["item"]]
    leaks = held_out.leaves(pairs["user"], pairs["item"], pairs["time"])
    note(SOURCE, "{name} outside the k-core", ~in_graph, name=name)
    note(SOURCE, "{name} leaks", leaks & in_graph, name=name)
    pairs.keep(in_graph & ~leaks)
