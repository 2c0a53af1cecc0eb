"""Reviews and queries: entities with a text, between those who wrote them and what they are on."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from unicodedata import normalize

import numpy as np
import pandas as pd

from kgrec.config import Kind
from kgrec.data.view.facts import ENTITY, ITEM, USER, facts_frame
from kgrec.data.view.findings import note
from kgrec.data.view.identities import Identities
from kgrec.data.view.rows import SourceRows, among, newest, stacked, standing
from kgrec.data.view.splits import HeldOutIds
from kgrec.schema import NodeLabel

#: Characters of a text that name its node.
NAME_LENGTH = 60

#: By kind of source: the nodes' `kind`, the relation from the user, and the one to the item.
_RELATIONS: Mapping[Kind, tuple[str, str, str]] = {
    "reviews": ("review", "wrote", "reviews"),
    "queries": ("query", "searched", "led_to"),
}
_LABELS = {"user": USER, "item": ITEM, "entity": ENTITY}
#: Columns of a frame of texts and their types; `entity` is the node's id.
TEXT_COLUMNS = {
    "kind": "str", "entity": "str", "user": "str", "item": "str", "text": "str",
    "time": "float64", "load": "int64", "source": "str",
}  # fmt: skip


def read_texts(tables: Mapping[Kind, Sequence[SourceRows]], before: float | None) -> pd.DataFrame:
    """Reads the reviews and queries that stand, with TEXT_COLUMNS.

    A review's newest row counts. A query keeps a row for each user and item it names; queries whose
    texts are equal, but for case and spaces, are one entity.
    """
    parts = []
    for kind, (word, _, _) in _RELATIONS.items():
        keys = ["id"] if kind == "reviews" else ["id", "user", "item"]
        for rows in tables.get(kind, ()):
            rows = standing(rows, ["id"], before)
            latest = newest(rows, keys, "repeat another one or are older")
            frame, source = latest.frame, rows.source.name
            parts.append(
                pd.DataFrame(
                    {
                        "kind": word,
                        "entity": f"review:{source}:" + frame["id"].astype("str")
                        if kind == "reviews"
                        else _query_ids(frame["text"]),
                        **{name: latest.texts(name) for name in ("user", "item", "text")},
                        "time": latest.numbers("time"),
                        "load": frame["load"].to_numpy(np.int64),
                        "source": source,
                    }
                )
            )
    return stacked(parts, TEXT_COLUMNS)


def kept_texts(
    texts: pd.DataFrame,
    node_ids: Mapping[NodeLabel, pd.Index],
    identities: Identities,
    held_out: HeldOutIds,
) -> pd.DataFrame:
    """Keeps the texts that have a known end and say nothing of what is held out.

    Args:
        texts: TEXT_COLUMNS.
        node_ids: By label all known ids of users and of items.
        identities: Which ids count for others.
        held_out: What is held out.

    Returns:
        TEXT_COLUMNS; users and items that are not known are missing, all others count.
    """
    if texts.empty:
        return texts
    labels = {"user": NodeLabel.USER, "item": NodeLabel.ITEM}
    ends = {end: identities.canonical(label, texts[end]) for end, label in labels.items()}
    leaving = held_out.leaves(ends["user"], ends["item"], texts["time"])
    _count(texts[leaving], "held out")
    for end, label in labels.items():
        stray = texts[end].notna().to_numpy() & ~among(texts[end], node_ids[label])
        ends[end] = ends[end].where(~stray, None)
        _count(texts[stray & ~leaving], "unknown {end}", end=end)
    alone = (ends["user"].isna() & ends["item"].isna()).to_numpy()
    _count(texts[alone & ~leaving], "no end")
    return texts.assign(**ends)[~leaving & ~alone].reset_index(drop=True)


def text_facts(texts: pd.DataFrame) -> list[pd.DataFrame]:
    """Gives the edges from users to texts and from texts to items, as frames of facts."""
    facts = []
    for word, by, on in _RELATIONS.values():
        rows = texts[texts["kind"] == word]
        for relation, head, tail in ((by, "user", "entity"), (on, "entity", "item")):
            edges = rows[rows[head].notna() & rows[tail].notna()]
            name = pd.Series(relation, index=edges.index, dtype="str")
            columns = {"relation": name, "head": edges[head], "tail": edges[tail]}
            labels = {"head_label": _LABELS[head], "tail_label": _LABELS[tail]}
            facts.append(facts_frame({**columns, **labels, **edges[["time", "load"]]}))
    return facts


def text_nodes(texts: pd.DataFrame) -> pd.DataFrame:
    """Gives the entities: `id`, `kind`, `text` and `name`, its beginning.

    Of the spellings of one query, the most frequent is its text, then the first by code point.
    """
    count = texts.groupby(["entity", "text"])["text"].transform("size")
    spellings = texts.assign(count=count).sort_values(
        ["entity", "count", "text"], ascending=[True, False, True]
    )
    spellings = spellings[~spellings.duplicated("entity")]
    spaced = spellings["text"].str.replace(r"\s+", " ", regex=True).str.strip()
    name = spaced.str.slice(0, NAME_LENGTH).str.strip()
    nodes = spellings[["entity", "kind", "text"]].rename(columns={"entity": "id"})
    return nodes.assign(name=name).reset_index(drop=True)


def _query_ids(texts: pd.Series) -> pd.Series:
    """Gives `query:` and 16 hex digits, equal for texts that differ in case and spaces only."""
    codes, distinct = pd.factorize(texts)
    folded = [normalize("NFC", normalize("NFC", text).casefold()) for text in distinct]
    words = [" ".join(text.split()).encode() for text in folded]
    ids = np.array([f"query:{sha256(text).hexdigest()[:16]}" for text in words], dtype=object)
    return pd.Series(ids[codes], index=texts.index, dtype="str")


def _count(texts: pd.DataFrame, rule: str, **words: str) -> None:
    for source, number in texts["source"].value_counts(sort=False).items():
        note(str(source), rule, int(number), **words)
