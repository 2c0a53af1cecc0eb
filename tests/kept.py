"""All that is kept of a shop, as plain values: two that went through the same must be equal."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from kgrec.config import Config
from kgrec.data.journal.erasing import is_placeholder
from kgrec.data.journal.forgotten import read_forgotten
from kgrec.data.journal.manifest import journal_folder
from kgrec.files import unsealed
from kgrec.graph.snapshot import NAME
from kgrec.publication import current_publication
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.upkeep.intent import Target

#: What no two ways have in common: moments, the order in which nodes came, what only a lock is for.
_OTHER = {"at", "created", "loaded_at", "touched", "stamp", "index", "salt"}
#: Parts of names and ids that are drawn.
_DRAWN = re.compile(r"(?<=-)[0-9a-f]{12}(?=\.parquet)")


def all_that_is_kept(config: Config, run: Path, target: Target | None = None) -> dict[str, Any]:
    """Reads graph, publication, journal and run.

    Args:
        config: The settings of the store and its journal.
        run: The directory of a run; all that lies beside it is read as well.
        target: Who or what was forgotten, if anybody was.
    """
    folder = Path(config.data.all_sources()[0].path or "").parents[1]
    with open_store(config.store, read_only=True) as store:
        found = {"graph": _graph(store), "published": published(store)}
    found["journal"] = _journal(config, target)
    found["runs"] = {
        str(path.relative_to(run.parent)): _content(path)
        for path in sorted(run.parent.rglob("*"))
        if path.is_file()
    }
    plain: dict[str, Any] = _plain(found, str(folder))
    return plain


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Gives where two nested values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        found = [differences(one.get(k), other.get(k), f"{where}/{k}") for k in keys]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        found = [differences(a, b, f"{where}[{at}]") for at, (a, b) in pairs]
    else:
        return [] if one == other else [f"{where}: {str(one)[:200]} and {str(other)[:200]}"]
    return [line for lines in found for line in lines]


def _graph(store: GraphStore) -> dict[str, Any]:
    """Every node and every edge, whatever it is."""
    nodes = store._run(  # type: ignore[attr-defined]
        "MATCH (n) RETURN labels(n)[0] AS label, n.id AS id, properties(n) AS kept", {},
        writes=False,
    )  # fmt: skip
    edges = store._run(  # type: ignore[attr-defined]
        "MATCH (a)-[x]->(b) RETURN labels(a)[0] AS head_label, a.id AS head, type(x) AS type, "
        "labels(b)[0] AS tail_label, b.id AS tail, properties(x) AS kept",
        {}, writes=False,
    )  # fmt: skip
    for label in NodeLabel:
        places = [row["kept"]["index"] for row in nodes if row["label"] == label]
        assert len(set(places)) == len(places)
    names = ("head_label", "head", "type", "tail_label", "tail")
    listed = sorted(
        (" ".join(row[name] for name in names), json.dumps(row["kept"], sort_keys=True))
        for row in edges
    )
    publication = current_publication(store)
    own = "no publication" if publication is None else publication.id

    def same(value: Any) -> Any:  # the id of the publication is drawn
        return json.loads(json.dumps(value).replace(own, "the publication"))

    found: dict[str, Any] = {"nodes": {}, "edges": same(listed)}
    for row in nodes:
        key = f"{row['label']} {same(row['id'])}"
        assert key not in found["nodes"]
        found["nodes"][key] = same(row["kept"])
    found["indexes"] = sorted(row["name"] for row in store.read("index_names"))
    return found


def published(store: GraphStore) -> dict[str, Any]:
    """What readers are told, by the queries that they use."""
    found = {}
    for label, query, name in (
        (NodeLabel.USER, "published_recommendations", "user"),
        (NodeLabel.ITEM, "published_similar", "item"),
    ):
        for key in store.export_nodes(label)["id"]:
            found[f"{label} {key}"] = store.read(query, limit=1000, **{name: key})
    return found


def _journal(config: Config, target: Target | None) -> dict[str, Any]:
    """The files of the journal; names of files and ids that stand for nothing are drawn.

    The graph's arrays may lie there or not: they only save reading the store.
    """
    folder = journal_folder(config)
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"):
        if path.name == NAME:
            continue
        name = _DRAWN.sub("drawn", str(path.relative_to(folder)))
        found[name] = _content(path)
    tree = found["journal.json"]
    tree["graphs"] = list(tree["graphs"].values())  # by the address of the store
    forgotten = read_forgotten(folder)
    assert target is None or forgotten.holds(target.label, target.id)
    found["forgotten.json"] = len(forgotten.hashes)  # they are salted
    return found


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        tree = unsealed(json.loads(path.read_text(encoding="utf-8")))  # raises if a digest is wrong
        # Files with drawn names, times or ids in them have other digests.
        return {name: value for name, value in tree.items() if name != "digests"}
    if path.suffix == ".safetensors":
        return {
            name: f"{array.dtype} {array.shape} {array.tobytes().hex()}"
            for name, array in sorted(load_file(path).items())
        }
    if path.suffix == ".parquet":
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
        rows = json.loads(frame.to_json(orient="split", double_precision=15))
        return [
            ["gone" if isinstance(x, str) and is_placeholder(x) else x for x in row]
            for row in rows["data"]
        ]
    if path.suffix == ".csv":
        return path.read_text(encoding="utf-8")
    return path.read_bytes().hex()


def _plain(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {
            _plain(key, folder): _plain(part, folder)
            for key, part in value.items()
            if key not in _OTHER
        }
    if isinstance(value, list | tuple):
        return [_plain(part, folder) for part in value]
    if isinstance(value, str):
        return _DRAWN.sub("drawn", value.replace(folder, "."))
    return value
