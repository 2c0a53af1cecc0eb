"""Events into the edges between users and items: cleaned, folded, split, and without leaks."""

import numpy as np
import numpy.typing as npt

from kgrec.config import CleaningConfig, DataConfig, SplitConfig
from kgrec.data.fingerprint import Hashes
from kgrec.data.journal.events import Events
from kgrec.data.view.behaviours import DISLIKED_NAME, Behaviours
from kgrec.data.view.blocks import BlockFolder
from kgrec.data.view.filtering import Names, k_core
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.interaction_view import BehaviourEdges, InteractionView
from kgrec.data.view.leaks import HeldOut
from kgrec.data.view.pairs import Pairs
from kgrec.data.view.runs import Mask
from kgrec.data.view.splits import TEMPORAL, Moments, is_local, split_pairs
from kgrec.errors import DataError
from kgrec.schema import DISLIKED, EdgeKey, NodeLabel, Role, Split

__all__ = [
    "BehaviourEdges",
    "HeldOut",
    "InteractionView",
    "derive_interactions",
    "is_local",
]


def derive_interactions(
    events: Events,
    user_hash: Hashes,
    item_hash: Hashes,
    config: DataConfig,
    seed: int,
    *,
    moments: Moments | None = None,
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
        moments: Where an earlier view made its global cut; `valid_from` and `test_from` of the
            settings go first.
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
    folder = BlockFolder(config, behaviours, len(user_hash), item_hash, name)
    folded = folder.fold(events)
    if whole:
        folder.ratings.check()
    users[folded.bots] = False
    targets = folded.targets
    _keep_core(targets, config.cleaning, users, items)

    parts, held_out = _held_out(targets, user_hash, item_hash, config, seed, moments)
    for position, split in enumerate(Split):
        note(SOURCE, "{split}", parts == position, split=split)
    splits = targets.frames(parts)
    del parts

    edges: list[BehaviourEdges] = []
    for at, called, key, role in behaviours.nontargets():
        pairs = folded.nontargets.pop(at)
        _drop_leaks(pairs, called, users, items, held_out)
        edges.append(BehaviourEdges(called, key, role, pairs.frame()))
    if behaviours.has_dislikes:
        key, pairs = EdgeKey(DISLIKED, NodeLabel.USER, NodeLabel.ITEM), folded.disliked
        _drop_leaks(pairs, DISLIKED_NAME, users, items, held_out)
        edges.append(BehaviourEdges(DISLIKED_NAME, key, Role.NEGATIVE, pairs.frame()))
    return InteractionView(splits, tuple(edges), held_out, users, items, folder.ratings)


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
    targets: Pairs,
    user_hash: Hashes,
    item_hash: Hashes,
    config: DataConfig,
    seed: int,
    moments: Moments | None,
) -> tuple[npt.NDArray[np.int8], HeldOut]:
    """Gives the part of each target (n,), as its source says or as drawn, and what is held out."""
    sizes = len(user_hash), len(item_hash)
    if "split" in targets.names:
        parts = targets["split"]
        return parts, HeldOut.of(targets, parts, *sizes, by_time=False)
    how = config.split or SplitConfig()
    parts, cut = split_pairs(targets, user_hash, item_hash, how, seed, moments)
    by_time = how.kind in TEMPORAL
    return parts, HeldOut.of(targets, parts, *sizes, by_time=by_time, moments=cut)


def _drop_leaks(pairs: Pairs, name: str, users: Mask, items: Mask, held_out: HeldOut) -> None:
    """Leaves the edges whose ends are in the graph and that tell nothing of what is held out."""
    in_graph = users[pairs["user"]] & items[pairs["item"]]
    leaks = held_out.leaves(pairs["user"], pairs["item"], pairs["time"])
    note(SOURCE, "{name} outside the k-core", ~in_graph, name=name)
    note(SOURCE, "{name} leaks", leaks & in_graph, name=name)
    pairs.keep(in_graph & ~leaks)
