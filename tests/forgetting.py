"""A shop with every kind of source, and a search for an id in everything that is kept of it."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgrec.config import Config
from kgrec.ingestion import ingest
from kgrec.schema import EdgeKey, NodeLabel
from kgrec.store.base import GraphStore
from kgrec.upkeep.places import DERIVED_KEYS

USER, ITEM, OTHER = "zora-x9q", "kettle-77zz", "abel-k3w"

CONFIG = """\
[store]
uri = "{store}"
[text]
enabled = false
[model]
channels = 8
[training]
epochs = 2
ensemble = 1
[closed_form]
search_items = 40
search_steps = 2
[cold]
enabled = false
[data]
split = {{ kind = "random", valid = 0.1, test = 0.1 }}
unknown_triples = "drop"
[data.cleaning]
max_bad_rows = "40%"
[data.behaviours.buy]
[data.behaviours.view]
role = "evidence"
[data.behaviours.dismiss]
role = "negative"
[[data.sources]]
name = "events"
kind = "interactions"
path = "day*.csv"
[[data.sources]]
name = "people"
kind = "users"
path = "people.csv"
[[data.sources]]
name = "catalogue"
kind = "items"
path = "items.csv"
properties = {{ brand = {{ as = "attribute", relation = "made_by" }} }}
[[data.sources]]
name = "kg"
kind = "triples"
path = "kg.tsv"
[[data.sources]]
name = "link"
kind = "link"
path = "link.tsv"
[[data.sources]]
name = "friends"
kind = "social"
path = "friends.csv"
relation = "knows"
[[data.sources]]
name = "follows"
kind = "item_edges"
path = "item_edges.csv"
relation = "goes_with"
[[data.sources]]
name = "reviews"
kind = "reviews"
path = "reviews.csv"
[[data.sources]]
name = "queries"
kind = "queries"
path = "queries.csv"
[[data.sources]]
name = "same"
kind = "same_as"
path = "same.csv"
"""

#: What only the forgotten user has said.
SECRETS = ("lime green kettles of zora", "where to buy a samovar quietly")


def build_shop(folder: Path, store: str) -> Config:
    """Writes the files; the user and the item have everything that a node can have."""
    rng = np.random.default_rng(5)
    users = [USER, OTHER, "zora-old-1q", *(f"u{n}" for n in range(20))]
    items = [ITEM, *(f"i{n}" for n in range(25))]
    rows = []
    for user in users:
        for place, item in enumerate(rng.choice(items, 9, replace=False)):
            behaviour = ("buy", "buy", "buy", "buy", "buy", "view", "buy", "dismiss", "view")[place]
            rows.append(f"{user},{item},{behaviour},{1000 + place}")
    rows += [f"{USER},{ITEM},buy,2000", f"{OTHER},{ITEM},buy,2001", f"{USER},i1,buy,nonsense"]
    rows += ["u1,i1,buy,rubbish"]
    files = {
        "day1.csv": ["user,item,behaviour,time", *rows],
        "people.csv": ["id,city", *(f"{u},town{n % 3}" for n, u in enumerate(users))],
        "items.csv": ["id,title,brand",
                      *(f"{i},The {i},brand{n % 4}" for n, i in enumerate(items))],
        "kg.tsv": ["head\trelation\ttail", f"{ITEM}\tpart_of\tset1", "i1\tpart_of\tset1",
                   "m.kettle99\tlike\tm.pot1", "i2\tlike\tm.pot1"],
        "link.tsv": ["item\tentity", f"{ITEM}\tm.kettle99", "i2\tm.pan2"],
        "friends.csv": ["head,tail", f"{USER},u1", f"u2,{USER}", "u1,u2"],
        "item_edges.csv": ["head,tail", f"{ITEM},i1", "i2,i3"],
        "reviews.csv": ["id,user,item,text", f"r1,{USER},i3,{SECRETS[0]}", "r2,u1,i3,fine",
                        f"r3,u2,{ITEM},boils well"],
        "queries.csv": ["user,item,text", f"{USER},i4,{SECRETS[1]}", f"u3,{ITEM},kettle",
                        "u3,i5,kettle"],
        "same.csv": ["left,right,label,accepted", f"{USER},zora-old-1q,User,yes",
                     "i7,i8,Item,yes"],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "kgrec.toml").write_text(CONFIG.format(store=store), encoding="utf-8")
    return Config.load(folder / "kgrec.toml")


def deliver(config: Config, name: str, *rows: str) -> None:
    """Writes a day of events beside those that are there, and takes it in."""
    path = next(s.path for s in config.data.sources if s.name == "events")
    assert path is not None
    text = "\n".join(["user,item,behaviour,time", *rows])
    path.with_name(f"day-{name}.csv").write_text(text + "\n")
    ingest(config)


def add_derived(store: GraphStore) -> None:
    """Writes what models write: recommendations, similar items, synthetic edges, vectors."""
    recommended, similar, synthetic = DERIVED_KEYS
    for key, rows in {
        recommended: [[USER, "i9", {"score": 1.0}], ["u1", ITEM, {"score": 0.5}]],
        similar: [[ITEM, "i1", {"score": 1.0}], ["i2", ITEM, {"score": 0.5}]],
        synthetic: [[USER, "i11", {"weight": 1.0}], ["u4", ITEM, {"weight": 1.0}]],
    }.items():
        written = store.write("upsert_edges", key=key, rows=rows)
        assert written[0]["written"] == 2
    for label in (NodeLabel.USER, NodeLabel.ITEM):
        ids = list(store.export_nodes(label)["id"])
        matrix = np.random.default_rng(1).normal(size=(len(ids), 4)).astype(np.float32)
        store.write_vectors(label, ids, matrix)
    store.checkpoint()


def found_in_files(folders: list[Path], *words: str) -> list[str]:
    """Searches every byte of every file, packed ones also unpacked and Parquet also decoded."""
    found = []
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            for kind, content in _contents(path):
                for word in words:
                    if word.encode() in content or word in str(path):
                        found.append(f"{path} ({kind}): {word}")
    return found


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    whole = path.read_bytes()
    yield "raw", whole
    if path.suffix == ".parquet":
        yield "decoded", pq.read_table(path).to_pandas().to_csv().encode()
    # kglite packs columns as zstd frames, one after the other.
    for found in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), whole):
        with suppress(OSError):
            packed = pa.input_stream(io.BytesIO(whole[found.start() :]), compression="zstd")
            yield "unpacked", packed.read()


def found_in_store(store: GraphStore, keys: list[EdgeKey], *words: str) -> list[str]:
    """Searches every property of every node, and looks for edges of nodes that are not there."""
    found: list[str] = []
    for label in NodeLabel:
        frame: Any = store.export_nodes(label, provenance=True)
        text = frame.to_csv()
        found += [f"{label}: {word}" for word in words if word in text]
        known = set(frame["id"])
        keys_with, matrix = store.vectors(label)
        found += [f"vector {key}" for key in keys_with if key not in known]
        if len(matrix):  # and the index, asked for everything that it has
            near = store.read("nearest", label=label, vector=matrix[0].tolist(), limit=500)
            found += [f"index {row['id']}" for row in near if row["id"] not in known]
            assert len(near) == len(keys_with)
    for key in keys:
        for block in store.export_edges(key):
            for label, index in ((key.head, block.head_index), (key.tail, block.tail_index)):
                there = set(store.export_nodes(label)["index"])
                found += [f"{key}: {i}" for i in index.tolist() if i not in there]
    return found
