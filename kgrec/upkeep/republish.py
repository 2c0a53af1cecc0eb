"""The current publication brought to a folded run, as far as it is affected.

Affected are users with other items than before, users whose list lost an item that is gone, and
users in whose list a new item has a place; items with other users than before, whose list of
similar ones and whose vector are made anew; and the vectors of these users. Everybody else's
scores move a little too, with degrees and popularity: that is left until `kgrec publish`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.adopt import OWN
from kgrec.errors import NotFittedError, StoreError
from kgrec.publish import Publication, current
from kgrec.publish.lists import TopLists, block_size, item_lists, user_lists
from kgrec.publish.switching import note
from kgrec.publish.updating import Place, recount, replace_vectors, write_places
from kgrec.publish.vectors import run_vectors
from kgrec.publish.writing import edge_names
from kgrec.recommend import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.training.directory import Run
from kgrec.upkeep.fold import Folded

#: Scores (users times items) that are looked through for places of new items; beyond, new items
#: wait for the next full publication, but in the lists that are made anew.
MOST_SCORES = 300_000_000


@dataclass(frozen=True)
class Republished:
    """What was replaced in a publication.

    Attributes:
        publication: Its id.
        users: Users with a new list.
        items: Items with a new list.
        vectors: Vectors that were written.
        looked_for_new_items: Whether all users' lists were looked through for new items.
    """

    publication: str
    users: int
    items: int
    vectors: int
    looked_for_new_items: bool


def is_of(publication: Publication | None, run: Run) -> bool:
    """Whether a publication is a run's, at the version the run is at."""
    return (
        publication is not None
        and publication.run == run.directory.resolve().name
        and publication.graph_version == run.record["graph_version"]
    )


def republish(store: GraphStore, folded: Folded, run: Run) -> Republished:
    """Replaces affected lists and vectors of the current publication.

    Args:
        store: Open for writing, at the version of the folded run.
        folded: The folding.
        run: What it gave.

    Raises:
        StoreError: If nothing is published, or what is was made of another run's version.
    """
    publication = current(store)
    if publication is None:
        raise StoreError(
            f"nothing is published in {store.uri}, so nothing can be brought up to date; run "
            f"kgrec publish --run {run.directory} first"
        )
    before = folded.run.record["graph_version"]
    if publication.graph_version not in (before, run.record["graph_version"]):
        raise StoreError(
            f"publication {publication.id} is of graph version {publication.graph_version}, the "
            f"run of {before}: what changed since is not known; run kgrec publish --run "
            f"{run.directory}"
        )
    recommender = Recommender(run)
    users, looked = _affected_users(store, folded, recommender, publication)
    items = _affected_items(store, folded, recommender, publication)
    top, similar = publication.top, publication.similar_top
    _replace(store, run, publication, "recommended", users,
             lambda part: user_lists(recommender, part, top))  # fmt: skip
    _replace(store, run, publication, "similar", items,
             lambda part: item_lists(recommender, part, similar))  # fmt: skip
    vectors = _vectors(store, folded, run, publication)
    noted = {"graph_version": run.record["graph_version"], "run": run.directory.resolve().name}
    note(store, publication, noted)
    store.checkpoint()
    return Republished(publication.id, len(users), len(items), vectors, looked)


def _affected_users(
    store: GraphStore, folded: Folded, recommender: Recommender, publication: Publication
) -> tuple[Tensor, bool]:
    affected = folded.changed_users.clone()
    affected |= _short(store, folded, publication, "recommended", publication.top)
    new = folded.places[NodeLabel.ITEM] < 0
    if not bool(new.any()):
        return torch.nonzero(affected).squeeze(1), True
    scorer = recommender.run.scorer
    if scorer.num_users * scorer.num_items > MOST_SCORES:
        return torch.nonzero(affected).squeeze(1), False
    for part in torch.split(torch.arange(scorer.num_users), block_size(scorer.num_items)):
        found = user_lists(recommender, part, publication.top)
        affected[torch.from_numpy(found.head[new.numpy()[found.item]])] = True
    return torch.nonzero(affected).squeeze(1), True


def _affected_items(
    store: GraphStore, folded: Folded, recommender: Recommender, publication: Publication
) -> Tensor:
    if not publication.similar_top:
        return torch.empty(0, dtype=torch.int64)
    try:
        recommender.item_scores(torch.tensor([0]))
    except NotFittedError:
        return torch.empty(0, dtype=torch.int64)
    affected = folded.changed_items | _short(
        store, folded, publication, "similar", publication.similar_top
    )
    return torch.nonzero(affected).squeeze(1)


def _short(
    store: GraphStore, folded: Folded, publication: Publication, counter: str, length: int
) -> Tensor:
    """Says whose lists are too short, where items are gone and took their places with them."""
    label = NodeLabel.USER if counter == "recommended" else NodeLabel.ITEM
    short = torch.zeros(len(folded.graph.vocabularies[label]), dtype=torch.bool)
    if not folded.counts[str(NodeLabel.ITEM)]["gone"]:
        return short
    rows = store.read("list_sizes", names=edge_names(OWN, counter), run=publication.id)
    ids = [row["id"] for row in rows if row["count"] < length]
    known = folded.graph.vocabularies[label]
    short[torch.from_numpy(known.indices([key for key in ids if key in known]))] = True
    return short


def _replace(
    store: GraphStore,
    run: Run,
    publication: Publication,
    counter: str,
    heads: Tensor,
    lists: Callable[[Tensor], TopLists],
) -> None:
    label = NodeLabel.USER if counter == "recommended" else NodeLabel.ITEM
    head_ids, item_ids = run.vocabularies[label].ids, run.vocabularies[NodeLabel.ITEM].ids
    for part in torch.split(heads, block_size(run.scorer.num_items)):
        if not len(part):
            continue
        made: dict[str, list[Place]] = {head_ids[at]: [] for at in part.tolist()}
        found = lists(part)
        columns = (found.head, found.item, found.score, found.rank, found.cold)
        for head, item, score, rank, cold in zip(*(x.tolist() for x in columns), strict=True):
            made[head_ids[head]].append((item_ids[item], score, rank, cold))
        write_places(store, publication, counter, made)
    if len(heads):
        recount(store, publication, counter)


def _vectors(store: GraphStore, folded: Folded, run: Run, publication: Publication) -> int:
    vectors = run_vectors(run)
    if vectors is None or not publication.dimensions:
        return 0
    written = 0
    for label, changed in (
        (NodeLabel.USER, folded.changed_users),
        (NodeLabel.ITEM, folded.changed_items),
    ):
        rows = torch.nonzero(changed).squeeze(1)
        ids = run.vocabularies[label].ids
        matrix: npt.NDArray[np.float32] = vectors.of(label)[rows].numpy()
        if len(rows):
            chosen = [ids[row] for row in rows.tolist()]
            written += replace_vectors(store, publication, label, chosen, matrix)
    return written
