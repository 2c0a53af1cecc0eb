"""A graph as RecBole's atomic files: what a peer may learn from, and nothing else.

Tokens are kgrec's indices: users `0 …`, items `0 …`; in the knowledge graph an item is `i<index>`
and an entity `e<index>`. Every user and item of the vocabularies has a token, so peers know the
same catalogue as kgrec, with the items nobody has met.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from kgrec.errors import DataError
from kgrec.graph.data import GraphData, Interactions
from kgrec.schema import NodeLabel, Role, Split

logger = logging.getLogger(__name__)

#: The files' common name; RecBole calls it the data set.
DATASET = "kgrec"
_TOKEN = {NodeLabel.ITEM: "i", NodeLabel.ENTITY: "e"}


def write_atomic(graph: GraphData, folder: Path) -> dict[str, int]:
    """Writes train, valid, users, items, triples and links into `folder/kgrec/`.

    There is no test file: hopwise is given valid twice, so no test pair can reach it. Pairs of
    valid whose user has nothing in train are left out, because RippleNet cannot score such users.
    Where no pair of valid is left, the first of train stands in, as hopwise wants a file; then
    nothing may be judged on it. Triples are the edges of role RELATION between items and entities,
    each once; behaviours and edges of users are none, as these peers know one behaviour and no
    facts about users.

    Args:
        graph: Its train, held-out valid and relations are read.
        folder: Made if it is missing; files in it are replaced.

    Returns:
        Number of rows of each file: `train`, `valid`, `user`, `item`, `kg`, `link`; `judged`, the
        real pairs of valid; and `nodes`, the items and the entities with a triple.

    Raises:
        DataError: If train is empty.
    """
    if not len(graph.train):
        raise DataError("peers learn from train; expected pairs, got none; check [data.split]")
    train = _pairs(graph.train)
    valid = _valid_pairs(graph)
    items = np.arange(graph.num_items)
    triples = _triples(graph)
    entities = [f"i{item}" for item in items]
    link = pd.DataFrame({"item_id": items, "entity_id": entities})
    in_triples = set(triples["head_id"]).union(triples["tail_id"])
    frames = {
        "train.inter": train,
        "valid.inter": valid if len(valid) else train.head(1),
        "user": pd.DataFrame({"user_id": np.arange(graph.num_users)}),
        "item": pd.DataFrame({"item_id": items}),
        "kg": triples,
        # hopwise 0.9.1 cannot read the link of an item without a triple from split files.
        "link": link[link["entity_id"].isin(in_triples)],
    }
    target = folder / DATASET
    target.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        typed = frame.set_axis([f"{column}:token" for column in frame.columns], axis=1)
        typed.to_csv(target / f"{DATASET}.{name}", sep="\t", index=False, lineterminator="\n")
    rows = {name.removesuffix(".inter"): len(frame) for name, frame in frames.items()}
    return rows | {"judged": len(valid), "nodes": len(in_triples.union(entities))}


def _valid_pairs(graph: GraphData) -> pd.DataFrame:
    """The pairs of valid whose users have something in train."""
    part = graph.held_out.get(Split.VALID)
    if part is None:
        return _pairs(graph.train).head(0)
    pairs = _pairs(part)
    has_train = pairs["user_id"].isin(graph.train.user_index)
    if not has_train.all():
        logger.info("valid_left_out=%d reason=no_training_items", int((~has_train).sum()))
    return pairs[has_train]


def _pairs(part: Interactions) -> pd.DataFrame:
    frame = pd.DataFrame({"user_id": part.user_index, "item_id": part.item_index})
    return frame.drop_duplicates()


def _triples(graph: GraphData) -> pd.DataFrame:
    columns = ("head_id", "relation_id", "tail_id")
    parts = [pd.DataFrame({column: pd.Series(dtype=str) for column in columns})]
    for edges in graph.relations:
        key = edges.key
        if edges.role is not Role.RELATION or not {key.head, key.tail} <= _TOKEN.keys():
            continue
        head = [f"{_TOKEN[key.head]}{index}" for index in edges.head_index]
        tail = [f"{_TOKEN[key.tail]}{index}" for index in edges.tail_index]
        parts.append(pd.DataFrame(dict(zip(columns, (head, key.type, tail), strict=True))))
    return pd.concat(parts, ignore_index=True).drop_duplicates()
