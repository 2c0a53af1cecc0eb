"""A graph in a file: arrays, ids and properties, so that the next process need not read a store.

One safetensors file, replaced as a whole. Nodes are Parquet tables within it. It may be deleted at
any time; who reads it asks `graph.patch.is_current` whether it is still what the store holds.
"""

import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kgrec.files import atomic_file
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

#: Version of the form; a file of another one is not read.
LAYOUT = "1"
NAME = "graph.safetensors"

_Arrays = dict[str, npt.NDArray[Any]]


def write_graph(path: Path, graph: GraphData, note: Mapping[str, Any] | None = None) -> bool:
    """Writes a graph, whole or not at all; gives whether it could be.

    Properties that no Parquet column holds as they are (a column of numbers and words) cannot.

    Args:
        path: The file.
        graph: The graph.
        note: JSON values that `read_note` gives back.

    Raises:
        OSError: If the file cannot be written.
    """
    arrays: _Arrays = {}
    header: dict[str, Any] = {"version": graph.version, "dtypes": {}}
    for label, vocabulary in graph.vocabularies.items():
        frame = graph.properties[label]
        header["dtypes"][label] = {str(name): str(kind) for name, kind in frame.dtypes.items()}
        ids = pd.Series(vocabulary.ids, dtype=object)
        try:
            arrays[f"nodes.{label}"] = _packed(frame.assign(**{"": ids}))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            logger.debug("label=%s has a column of mixed kinds: the graph is not kept", label)
            return False
    for split, pairs in {Split.TRAIN: graph.train, **graph.held_out}.items():
        arrays[f"{split}.user"], arrays[f"{split}.item"] = pairs.user_index, pairs.item_index
        for name in ("rating", "time"):
            if getattr(pairs, name) is not None:
                arrays[f"{split}.{name}"] = getattr(pairs, name)
    header["splits"] = [str(split) for split in (Split.TRAIN, *graph.held_out)]
    header["relations"] = []
    for number, edges in enumerate((*graph.relations, *graph.identities)):
        header["relations"].append([edges.name, *_plain(edges.key), edges.role.value])
        arrays[f"{number}.head"], arrays[f"{number}.tail"] = edges.head_index, edges.tail_index
        for name in ("weight", "time"):
            if getattr(edges, name) is not None:
                arrays[f"{number}.{name}"] = getattr(edges, name)
    metadata = {
        "layout": LAYOUT,
        "graph": json.dumps(header),
        "note": json.dumps(dict(note or {})),
    }
    narrow = {name: _narrow(np.ascontiguousarray(array)) for name, array in arrays.items()}
    with atomic_file(path) as temporary:
        save_file(narrow, temporary, metadata=metadata)
    return True


def read_graph(path: Path) -> GraphData | None:
    """Reads what `write_graph` wrote; None if there is nothing, or nothing that can be read."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("layout") != LAYOUT:
                return None
            arrays: _Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _graph(json.loads(metadata["graph"]), arrays)
    except (OSError, SafetensorError, ValueError, KeyError, pa.ArrowException) as exc:
        logger.warning("%s cannot be read (%s); the graph is read from the store", path, exc)
        return None


def read_note(path: Path) -> dict[str, Any]:
    """Gives what was noted on a graph's file; nothing if there is none that can be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            note: dict[str, Any] = json.loads((file.metadata() or {}).get("note", "{}"))
    except (OSError, SafetensorError, ValueError):
        return {}
    return note


def _graph(header: dict[str, Any], arrays: _Arrays) -> GraphData:
    vocabularies, properties = {}, {}
    for label in NodeLabel:
        frame = pd.read_parquet(io.BytesIO(arrays[f"nodes.{label}"].tobytes()))
        vocabularies[label] = Vocabulary(frame.pop("").tolist(), label)
        properties[label] = frame.astype(header["dtypes"][label])
    splits = {
        Split(name): Interactions(
            arrays[f"{name}.user"].astype(np.int64),
            arrays[f"{name}.item"].astype(np.int64),
            arrays.get(f"{name}.rating"),
            arrays.get(f"{name}.time"),
        )
        for name in header["splits"]
    }
    relations = [
        RelationEdges(
            name,
            EdgeKey(kind, NodeLabel(head), NodeLabel(tail)),
            arrays[f"{number}.head"].astype(np.int64),
            arrays[f"{number}.tail"].astype(np.int64),
            Role(role),
            arrays.get(f"{number}.weight"),
            arrays.get(f"{number}.time"),
        )
        for number, (name, kind, head, tail, role) in enumerate(header["relations"])
    ]
    return GraphData(
        version=header["version"],
        vocabularies=vocabularies,
        properties=properties,
        train=splits.pop(Split.TRAIN),
        held_out=splits,
        relations=tuple(r for r in relations if r.role is not Role.IDENTITY),
        identities=tuple(r for r in relations if r.role is Role.IDENTITY),
    )


def _plain(key: EdgeKey) -> tuple[str, str, str]:
    return key.type, key.head.value, key.tail.value


def _packed(frame: pd.DataFrame) -> npt.NDArray[np.uint8]:
    """A table as the bytes of a Parquet file, uint8 (n,)."""
    target = io.BytesIO()
    frame.to_parquet(target, index=False)
    return np.frombuffer(target.getvalue(), dtype=np.uint8)


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Indices in half the space, where they fit."""
    small = array.dtype == np.int64 and (not len(array) or int(array.max()) < 2**31)
    return array.astype(np.int32) if small else array
