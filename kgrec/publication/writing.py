"""Writing the lists of a publication, batch by batch.

Each batch is one transaction that also notes on the publication how far it has come. What a killed
process wrote is thus known exactly; the next one goes on behind it, and a transaction that a driver
repeats, as it never heard of its end, does nothing the second time.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from kgrec.adopt import Naming
from kgrec.errors import StoreError
from kgrec.publication.lists import TopLists, block_size, item_lists, user_lists
from kgrec.publication.target import Saver, Target
from kgrec.publication.versions import State, find, note, retired_error
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel, quoted

logger = logging.getLogger(__name__)

#: Edges a transaction.
EDGE_ROWS = 10_000


def edge_names(naming: Naming, counter: str) -> dict[str, str]:
    """Gives the names for statements about `recommended` or `similar` edges, in back-ticks."""
    user = counter == "recommended"
    kind = naming.recommended if user else naming.similar
    return {
        "head": quoted(naming.user if user else naming.item),
        "head_key": quoted(naming.user_key if user else naming.item_key),
        "type": quoted(kind),
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
    publication, naming = target.publication, target.naming
    for_users = counter == "recommended"
    lists, k = (user_lists, publication.top) if for_users else (item_lists, publication.similar_top)
    vocabularies = recommender.run.vocabularies
    item_ids = naming.item_values(vocabularies[NodeLabel.ITEM].ids)
    head_ids = naming.user_values(vocabularies[NodeLabel.USER].ids) if for_users else item_ids
    step = min(block_size(len(item_ids)), max(1, EDGE_ROWS // max(k, 1)))
    num_done = int(publication.properties.get(f"{counter}_done", 0))
    num_written = int(publication.properties.get(counter, 0))
    num_cold = int(publication.properties.get("cold_users", 0))
    saver = Saver(target.store)
    while num_done < len(heads):
        block = torch.tensor(heads[num_done : num_done + step])
        top_lists = lists(recommender, block, k)
        num_cold += int(np.unique(top_lists.head[top_lists.cold]).size)
        progress = {
            f"{counter}_done": num_done + len(block),
            ("users" if for_users else "items"): num_done + len(block),
            counter: num_written + len(top_lists),
            **({"cold_users": num_cold} if for_users else {}),
        }
        rows = list_rows(top_lists, head_ids, item_ids)
        num_written += _write_batch(target, counter, num_done, progress, rows)
        num_done += len(block)
        saver.sometimes()
        target.advance(f"{counter}: {num_written:,} edges")
    target.store.checkpoint()


def list_rows(
    top_lists: TopLists, head_ids: Sequence[str | int], item_ids: Sequence[str | int]
) -> list[list[object]]:
    """Gives lists as rows: head, item, score, rank, whether the user is cold (else None)."""
    columns = (top_lists.head, top_lists.item, top_lists.score, top_lists.rank, top_lists.cold)
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
    rows: list[list[object]],
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
