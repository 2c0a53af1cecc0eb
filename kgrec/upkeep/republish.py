"""The current publication brought to a folded run, as far as it is affected.

Affected are users with other items than before, users whose list lost an item that is gone, and
users in whose list a new item has a place; items with other users than before, whose list of
similar ones and whose vector are made anew; and the vectors of these users. Everybody else's
scores move a little too, with degrees and popularity: that is left until `kgrec publish`.

The publication notes from which version it is taken to which. A call that was killed is done again
by the next one; if the graph has changed since, some lists may be of a version that nobody knows
any more, and all of them are made anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.adopt import OWN, Naming, graph_of_users
from kgrec.config import Config
from kgrec.errors import NotFittedError, StoreError
from kgrec.publication import Publication, current_publication
from kgrec.publication.lists import (
    Row,
    block_size,
    edge_names,
    list_rows,
    recount,
    replace_rows,
    top_lists,
)
from kgrec.publication.vectors import drop_vectors, replace_vectors, run_vectors
from kgrec.publication.versions import HEADS, Target, note
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.upkeep.fold import Folded

#: Scores (users times items) that are looked through for places of new items; beyond, new items
#: wait for the next full publication, but in the lists that are made anew.
MOST_SCORES = 300_000_000

#: Property of a publication: from which version it is taken to which.
_VERSIONS = "refreshing"


@dataclass(frozen=True)
class Readers:
    """The graph in which readers find what is published.

    Attributes:
        store: kgrec's own, or that of others which it adopted; open for writing.
        naming: How it calls users, items and what is written.
    """

    store: GraphStore
    naming: Naming = OWN


@contextmanager
def open_readers(config: Config, store: GraphStore) -> Iterator[Readers]:
    """Gives the graph that the settings' users read: the adopted one, or kgrec's own store."""
    settings, naming = graph_of_users(config)
    if naming.foreign:
        with open_store(settings) as adopted:
            yield Readers(adopted, naming)
    else:
        yield Readers(store)


@dataclass(frozen=True)
class RepublishReport:
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
        and publication.graph_version == run.record.graph_version
    )


def republish(readers: Readers, folding: Folded, run: Run) -> RepublishReport:
    """Replaces affected lists and vectors of the current publication.

    Args:
        readers: Where it is; kgrec's own graph is at the version of the folded run.
        folding: The folding.
        run: What it gave.

    Raises:
        StoreError: If nothing is published, or what is was made of another run's version.
    """
    store, publication = readers.store, current_publication(readers.store)
    if publication is None:
        raise StoreError(
            f"nothing is published in {store.uri}, so nothing can be brought up to date; run "
            f"kgrec publish --run {run.directory} first"
        )
    version_before = folding.run.record.graph_version
    version_after = run.record.graph_version
    versions = _versions(publication, version_before, version_after)
    if publication.graph_version not in versions:
        raise StoreError(
            f"publication {publication.id} is of graph version {publication.graph_version}, the "
            f"run of {version_before}: what changed since is not known; run kgrec publish --run "
            f"{run.directory}"
        )
    note(store, publication, {_VERSIONS: versions})
    affects_all = not {version_before, version_after}.issuperset(versions)
    work = _Work(Target(store, readers.naming, publication), folding, run, affects_all)
    users, looked_for_new_items = work.affected_users()
    items = work.affected_items()
    for counter, heads in zip(HEADS, (users, items), strict=True):
        work.replace(counter, heads)
    vectors = work.vectors()
    properties = {
        "graph_version": version_after,
        "run": run.directory.resolve().name,
        _VERSIONS: sorted({version_before, version_after}, key=versions.index),
    }
    note(store, publication, properties)
    store.checkpoint()
    return RepublishReport(publication.id, len(users), len(items), vectors, looked_for_new_items)


def is_half_done(store: GraphStore, version: str) -> bool:
    """Whether a call that was killed took what is published away from a version of the graph."""
    publication = current_publication(store)
    if publication is None:
        return False
    versions = _versions(publication, version, version)
    return len(versions) > 1 and publication.graph_version in versions


def _versions(publication: Publication, version_before: str, version_after: str) -> list[str]:
    """The version that a publication was of, and all that it was, or is, to be taken to."""
    versions = publication.properties.get(_VERSIONS) or []
    if versions[:1] != [version_before]:  # that came to its end
        versions = [version_before]
    return versions if version_after in versions else [*versions, version_after]


@dataclass(frozen=True)
class _Work:
    """What there is to replace.

    Attributes:
        target: What is brought up to date, and where.
        folding: The folding.
        run: What it gave.
        affects_all: Whether all that has a list is affected.
    """

    target: Target
    folding: Folded
    run: Run
    affects_all: bool

    @cached_property
    def recommender(self) -> Recommender:
        """Makes the lists."""
        return Recommender(self.run)

    def affected_users(self) -> tuple[Tensor, bool]:
        """The indices of users with a new list, and whether all places of new items are found."""
        affected = self.folding.changed_users | self._short("recommended")
        new = self.folding.places[NodeLabel.ITEM] < 0
        if not bool(new.any()):
            return torch.nonzero(affected).squeeze(1), True
        scorer = self.run.scorer
        if scorer.num_users * scorer.num_items > MOST_SCORES:
            return torch.nonzero(affected).squeeze(1), False
        for part in torch.split(torch.arange(scorer.num_users), block_size(scorer.num_items)):
            lists = top_lists(self.recommender, self.target.publication, "recommended", part)
            affected[torch.from_numpy(lists.head[new.numpy()[lists.item]])] = True
        return torch.nonzero(affected).squeeze(1), True

    def affected_items(self) -> Tensor:
        """The indices of items with a new list."""
        none = torch.empty(0, dtype=torch.int64)
        if not self.target.publication.similar_top:
            return none
        try:
            self.recommender.item_scores(torch.tensor([0]))
        except NotFittedError:
            return none
        affected = self.folding.changed_items | self._short("similar")
        return torch.nonzero(affected).squeeze(1)

    def _short(self, counter: str) -> Tensor:
        """Says whose lists lack places, as items are gone; all with one if all are affected."""
        vocabulary = self.folding.graph.vocabularies[HEADS[counter]]
        short_mask = torch.zeros(len(vocabulary), dtype=torch.bool)
        gone_ids = self._gone_ids(NodeLabel.ITEM)
        if not (gone_ids or self.affects_all):
            return short_mask
        store, naming = self.target.store, self.target.naming
        names, run = edge_names(naming, counter), self.target.publication.id
        length = self.target.publication.length(counter)
        rows = store.read("list_sizes", names=names, run=run)
        keys = [row["id"] for row in rows if self.affects_all or row["count"] < length]
        if naming.foreign and gone_ids:  # the items may be there, and so the places
            items = naming.values(NodeLabel.ITEM, gone_ids)
            rows = store.read("lists_with", names=names, run=run, items=items)
            keys += [row["id"] for row in rows]
        ids = [str(key) for key in keys]
        indices = vocabulary.indices([key for key in ids if key in vocabulary])
        short_mask[torch.from_numpy(indices)] = True
        return short_mask

    def _gone_ids(self, label: NodeLabel) -> list[str]:
        """The ids of nodes that the run no longer knows."""
        vocabulary = self.run.vocabularies[label]
        return [key for key in self.folding.run.vocabularies[label].ids if key not in vocabulary]

    def replace(self, counter: str, heads: Tensor) -> None:
        """Replaces the lists of users (`recommended`) or items (`similar`)."""
        publication, naming = self.target.publication, self.target.naming
        label, vocabularies = HEADS[counter], self.run.vocabularies
        head_ids = naming.values(label, vocabularies[label].ids)
        item_ids = naming.values(NodeLabel.ITEM, vocabularies[NodeLabel.ITEM].ids)
        for part in torch.split(heads, block_size(len(item_ids))):
            if not len(part):
                continue
            rows_by_head: dict[str | int, list[Row]] = {head_ids[at]: [] for at in part.tolist()}
            lists = top_lists(self.recommender, publication, counter, part)
            for row in list_rows(lists, head_ids, item_ids):
                rows_by_head[row[0]].append(row)
            replace_rows(self.target, counter, rows_by_head)
        if naming.foreign:  # nodes that the run no longer knows may be there
            gone_keys = naming.values(label, self._gone_ids(label))
            replace_rows(self.target, counter, {key: [] for key in gone_keys})
        recount(self.target, counter)

    def vectors(self) -> int:
        """Replaces vectors; gives how many were written."""
        vectors = run_vectors(self.run)
        if vectors is None or not self.target.publication.dimensions:
            return 0
        store, naming, num_written = self.target.store, self.target.naming, 0
        for label, changed_mask in (
            (NodeLabel.USER, self.folding.changed_users),
            (NodeLabel.ITEM, self.folding.changed_items),
        ):
            rows = torch.nonzero(changed_mask | self.affects_all).squeeze(1)
            ids = self.run.vocabularies[label].ids
            matrix: npt.NDArray[np.float32] = vectors[label][rows].numpy()
            if len(rows):
                row_ids = [ids[row] for row in rows.tolist()]
                num_written += replace_vectors(
                    store, self.target.publication, label, row_ids, matrix, naming=naming
                )
            if naming.foreign and (gone_ids := self._gone_ids(label)):
                drop_vectors(self.target, label, gone_ids)
        return num_written
