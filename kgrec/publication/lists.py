"""The best items of many users or items at once, and writing them to a publication.

A whole publication is written batch by batch: each is one transaction that also notes on the
publication how far it has come. What a killed process wrote is thus known exactly; the next one
goes on behind it, and a transaction that a driver repeats, as it never heard of its end, does
nothing the second time. A few lists of the current publication are replaced in place: readers see
the old list of a user or the new one, on an embedded store nothing before the caller's
`checkpoint`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.adopt import OWN, Naming
from kgrec.errors import StoreError
from kgrec.model.scorer import check_numbers
from kgrec.publication.versions import (
    HEADS,
    Publication,
    Saver,
    State,
    Target,
    find,
    note,
    retired_error,
)
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel, quoted
from kgrec.store.base import GraphStore

logger = logging.getLogger(__name__)

#: Scores that are held at once; 64 MB.
SCORES_AT_ONCE = 2**24
#: Edges a transaction.
EDGE_ROWS = 10_000

_Indices = npt.NDArray[np.int64]
#: Head, item, score, rank, whether the user is cold (else None).
Row = list[Any]
#: One place of a list: id of the item, score, rank from 1, whether the user is cold.
Place = tuple[str, float, int, bool]


@dataclass(frozen=True, eq=False)
class TopLists:
    """Lists of several heads, one after the other; a head without items has no place.

    Attributes:
        head: int64 (n,), the index of the user or item that a place is in the list of.
        item: int64 (n,), the index of the item.
        score: float32 (n,), descending within a list; equal ones by the index of the item.
        rank: int64 (n,), from 1 within a list.
        cold: bool (n,), whether nothing is known of the user, so that these are popular items.
    """

    head: _Indices
    item: _Indices
    score: npt.NDArray[np.float32]
    rank: _Indices
    cold: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.head)


def user_lists(recommender: Recommender, users: Tensor, k: int) -> TopLists:
    """Gives the k best items of users (B,) int64, as `Recommender.recommend` does.

    What a user has met in any split and what they are known to dislike does not come; those of
    whom nothing is known get the most popular items, marked.
    """
    run = recommender.run
    cold = torch.tensor([recommender.is_stranger(user) for user in users.tolist()])
    scores = run.scorer.score(users).clone()  # (B, I)
    if cold.any():
        scores[cold] = recommender.popularity()
    for place, user in enumerate(users.tolist()):
        scores[place, run.known_items(user)] = -torch.inf
        scores[place, run.behaviours.disliked.row(user)] = -torch.inf
    return _top(scores, users, k, cold)


def item_lists(recommender: Recommender, items: Tensor, k: int) -> TopLists:
    """Gives the k items closest to items (B,) int64, as `Recommender.similar_items` does.

    Raises:
        NotFittedError: If the run has neither network nor closed form.
    """
    scores = recommender.item_scores(items).clone()  # (B, I)
    scores[torch.arange(len(items)), items] = -torch.inf
    return _top(scores, items, k, torch.zeros(len(items), dtype=torch.bool))


def top_lists(
    recommender: Recommender, publication: Publication, counter: str, heads: Tensor
) -> TopLists:
    """Gives the lists of users (`recommended`) or items (`similar`) as a publication has them."""
    lists = user_lists if counter == "recommended" else item_lists
    return lists(recommender, heads, publication.length(counter))


def block_size(num_items: int) -> int:
    """Gives how many heads may be scored at once."""
    return max(1, SCORES_AT_ONCE // max(num_items, 1))


def _top(scores: Tensor, heads: Tensor, k: int, cold: Tensor) -> TopLists:
    """Gives the k best of each row (B, I), as a stable sort would, which sorts them all."""
    k = min(k, scores.shape[1])
    best = scores.topk(k, dim=1).values  # (B, k)
    check_numbers(best, "the run")
    least = best[:, -1:]
    # All that is as good as the k-th takes part: equals come in the order of their indices.
    row, column = torch.nonzero((scores >= least) & (scores > -torch.inf), as_tuple=True)
    value = scores[row, column]
    order = torch.sort(value, descending=True, stable=True).indices
    order = order[torch.sort(row[order], stable=True).indices]
    row, column, value = row[order], column[order], value[order]
    count = torch.bincount(row, minlength=len(scores))  # (B,)
    rank = torch.arange(len(row)) - (count.cumsum(0) - count)[row] + 1
    keep_mask = rank <= k
    row, column, value, rank = row[keep_mask], column[keep_mask], value[keep_mask], rank[keep_mask]
    return TopLists(
        heads[row].numpy(), column.numpy(), value.numpy(), rank.numpy(), cold[row].numpy()
    )


def edge_names(naming: Naming, counter: str) -> dict[str, str]:
    """Gives the names for statements about `recommended` or `similar` edges, in back-ticks."""
    head, head_key = naming.label_and_key(HEADS[counter])
    return {
        "head": quoted(head),
        "head_key": quoted(head_key),
        "type": quoted(naming.recommended if counter == "recommended" else naming.similar),
        "tail": quoted(naming.item),
        "tail_key": quoted(naming.item_key),
        "index": quoted(f"kgrec_{counter}_run"),
    }


def write_lists(
    target: Target, recommender: Recommender, counter: str, heads: Sequence[int]
) -> None:
    """Writes the lists of users (`recommended`) or items (`similar`).

    Args:
        target: Where to.
        recommender: The run.
        counter: `recommended` or `similar`.
        heads: Indices of the users or items, in the order that is kept when it is gone on with.

    Raises:
        StoreError: If the publication was retired meanwhile, or a node is not in kgrec's graph.
    """
    publication, for_users = target.publication, counter == "recommended"
    vocabularies, values = recommender.run.vocabularies, target.naming.values
    item_ids = values(NodeLabel.ITEM, vocabularies[NodeLabel.ITEM].ids)
    head_ids = values(HEADS[counter], vocabularies[HEADS[counter]].ids)
    length = max(publication.length(counter), 1)
    step = min(block_size(len(item_ids)), max(1, EDGE_ROWS // length))
    num_done = int(publication.properties.get(f"{counter}_done", 0))
    num_written = int(publication.properties.get(counter, 0))
    num_cold = int(publication.properties.get("cold_users", 0))
    saver = Saver(target.store)
    while num_done < len(heads):
        block = torch.tensor(heads[num_done : num_done + step])
        lists = top_lists(recommender, publication, counter, block)
        num_cold += int(np.unique(lists.head[lists.cold]).size)
        progress = {
            f"{counter}_done": num_done + len(block),
            ("users" if for_users else "items"): num_done + len(block),
            counter: num_written + len(lists),
            **({"cold_users": num_cold} if for_users else {}),
        }
        rows = list_rows(lists, head_ids, item_ids)
        num_written += _write_batch(target, counter, num_done, progress, rows)
        num_done += len(block)
        saver.sometimes()
        target.advance(f"{counter}: {num_written:,} edges")
    target.store.checkpoint()


def list_rows(
    lists: TopLists, head_ids: Sequence[str | int], item_ids: Sequence[str | int]
) -> list[Row]:
    """Gives lists as rows with the keys of their ends."""
    columns = (lists.head, lists.item, lists.score, lists.rank, lists.cold)
    return [
        [head_ids[head], item_ids[item], score, rank, cold or None]
        for head, item, score, rank, cold in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _write_batch(
    target: Target,
    counter: str,
    num_before: int,
    progress: Mapping[str, int],
    rows: list[Row],
) -> int:
    """Writes a batch exactly once; gives how many edges it has."""
    store, publication = target.store, target.publication
    if not rows:
        note(store, publication, progress)
        return 0
    names = edge_names(target.naming, counter)
    num_written: int = store.write(
        "publish_edges",
        names=names,
        run=publication.id,
        counter=f"{counter}_done",
        before=num_before,
        progress=dict(progress),
        rows=rows,
    )[0]["written"]
    if num_written == len(rows):
        return len(rows)
    latest = find(store, publication.id)
    if latest.state is not State.WRITING:
        raise retired_error(store, publication)
    if num_written == 0 and latest.properties[f"{counter}_done"] == progress[f"{counter}_done"]:
        # The driver may have lost the answer, and repeated what was done.
        num_stored = store.read("count_published", names=names, run=publication.id)[0]["count"]
        num_written = len(rows) - progress[counter] + num_stored
    elif num_written == 0:
        raise StoreError(
            f"publication {publication.id} in {store.uri} is being written by another process; "
            f"let it end, or take it back with kgrec publish --retire {publication.id}"
        )
    num_missing = len(rows) - num_written
    if not num_missing:
        return num_written
    if target.naming.foreign:
        logger.debug("counter=%s missing=%d: their nodes have gone", counter, num_missing)
        note(store, publication, {counter: progress[counter] - num_missing})
        return num_written
    store.write("retire_publication", id=publication.id)
    raise StoreError(
        f"{num_missing:,} of {len(rows):,} {counter} edges have an end that is not in the graph in "
        f"{store.uri}, though its version is the run's: somebody else deleted nodes; move the "
        f"graph away or empty the database, run kgrec ingest, then kgrec publish again"
    )


def replace_lists(
    store: GraphStore,
    publication: Publication,
    counter: str,
    lists: Mapping[str, Sequence[Place]],
    *,
    naming: Naming = OWN,
) -> int:
    """Puts new lists in place of those that users or items have.

    Args:
        store: A store that is open for writing.
        publication: The publication, as a rule the current one.
        counter: `recommended` for lists of users, `similar` for those of items.
        lists: By the id of the user or item; an empty one only takes the old one away.
        naming: How the graph calls users, items and what is written.

    Returns:
        The number of edges written; those whose ends are not in the graph are left out.

    Raises:
        StoreError: If the publication was retired meanwhile.
    """
    target = Target(store, naming, publication)
    rows_by_head: dict[str | int, list[Row]] = {}
    for head, places in zip(
        naming.values(HEADS[counter], list(lists)), lists.values(), strict=True
    ):
        items = naming.values(NodeLabel.ITEM, [place[0] for place in places])
        rows_by_head[head] = [
            [head, item, score, rank, cold or None]
            for item, (_, score, rank, cold) in zip(items, places, strict=True)
        ]
    num_written = replace_rows(target, counter, rows_by_head)
    recount(target, counter)
    return num_written


def replace_rows(
    target: Target, counter: str, rows_by_head: Mapping[str | int, Sequence[Row]]
) -> int:
    """Does as `replace_lists`, but for the count on the publication: for many calls in a row."""
    num_written = 0
    for heads in _batches(rows_by_head, EDGE_ROWS):
        answer = target.store.write(
            "replace_edges",
            names=edge_names(target.naming, counter),
            run=target.publication.id,
            heads=heads,
            rows=[row for head in heads for row in rows_by_head[head]],
        )
        num_written += answer[0]["written"]
    return num_written


def recount(target: Target, counter: str) -> None:
    """Notes on a publication how many edges the database has of it, and how many have any.

    Raises:
        StoreError: If the publication was retired meanwhile.
    """
    names, run = edge_names(target.naming, counter), target.publication.id
    row = target.store.read("count_published", names=names, run=run)[0]
    heads = {"users": row["heads"], "cold_users": row["cold"]}
    heads = heads if counter == "recommended" else {"items": row["heads"]}
    note(target.store, target.publication, {counter: row["count"], **heads})


def _batches(rows_by_head: Mapping[str | int, Sequence[Row]], size: int) -> list[list[str | int]]:
    """Cuts lists into batches of about so many rows, and no more heads."""
    batches: list[list[str | int]] = [[]]
    num_rows = 0
    for head, rows in rows_by_head.items():
        if batches[-1] and num_rows + max(len(rows), 1) > size:
            batches.append([])
            num_rows = 0
        batches[-1].append(head)
        num_rows += max(len(rows), 1)
    return batches if batches[-1] else []
