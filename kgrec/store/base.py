"""What every graph store can do, and what both engines do alike.

The seam is narrow on purpose: named statements from `cypher/`, a bulk path, columns out, vectors.
Nothing here or below imports torch.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.errors import SchemaError, ShapeError, StoreError
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, EdgeKey, NodeLabel
from kgrec.store.cypher import Statement, get_statement, queries

logger = logging.getLogger(__name__)

Row = dict[str, Any]

#: Names that mean something else on nodes of the embedded engine; the display property aside.
SHADOWED_PROPERTIES = frozenset({"type", "title", "name", "label"})

#: Rows that `GraphStore.write_rows` writes at once.
_WRITE_ROWS = 10_000

#: What there is to say of a query that was stopped.
TOOK_TOO_LONG = "took longer than it was given; give it more time, or ask for less"


@dataclass(frozen=True)
class Capabilities:
    """What an engine offers beyond the protocol.

    Attributes:
        engine: "embedded" or "neo4j".
        version: Version of the engine.
        vector_index: Whether vectors have an index; without one a query compares them all.
        concurrent_writers: Whether several processes may write at once.
    """

    engine: str
    version: str
    vector_index: bool
    concurrent_writers: bool


@dataclass(frozen=True)
class EdgeBlock:
    """A block of exported edges.

    Attributes:
        head_index: int64 (n,), the `index` property of the heads.
        tail_index: int64 (n,), the `index` property of the tails.
        properties: Per requested property float64 (n,); NaN where an edge has none.
    """

    head_index: npt.NDArray[np.int64]
    tail_index: npt.NDArray[np.int64]
    properties: Mapping[str, npt.NDArray[np.float64]]


class GraphStore(ABC):
    """A property graph with a Cypher subset; use it as a context manager.

    Args:
        engine: Folder of the engine's own statements under `cypher/`.
        read_only: Whether writes are refused.
    """

    #: Nodes a record batch; vectors are some kilobytes each.
    node_block = 20_000
    vector_block = 2_000

    def __init__(self, engine: str, *, read_only: bool) -> None:
        self._engine = engine
        self._read_only = read_only

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the engine offers."""

    @property
    @abstractmethod
    def uri(self) -> str:
        """The address without credentials."""

    @abstractmethod
    def _run(self, text: str, params: Mapping[str, Any], *, writes: bool) -> list[Row]:
        """Runs a statement in a transaction of its own; raises QueryFailed."""

    @abstractmethod
    def _run_guarded(
        self, text: str, params: Mapping[str, Any], timeout: float | None
    ) -> list[Row]:
        """Runs a statement that the engine itself keeps from writing."""

    @abstractmethod
    def bulk_load(
        self,
        nodes: Mapping[NodeLabel, pd.DataFrame],
        edges: Mapping[EdgeKey, pd.DataFrame],
        *,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        """Loads into an empty graph, by the engine's fastest way.

        Args:
            nodes: Frames with `id`, `index` and properties.
            edges: Frames with `head`, `tail` (positions in the node frames, integers) and any of
                EDGE_PROPERTIES; no pair twice in a set.
            on_rows: Called with the number of rows that have just been loaded, for progress.
        """

    @abstractmethod
    def export_edges(self, key: EdgeKey, properties: Sequence[str] = ()) -> Iterator[EdgeBlock]:
        """Streams all edges of a set in blocks; memory stays flat in the number of edges."""

    @abstractmethod
    def close(self) -> None:
        """Releases the store; safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()

    def apply_schema(self) -> None:
        """Makes the unique constraints on `id` and the indexes; does nothing when they exist."""
        schema_names = {
            row["name"] for name in ("constraint_names", "index_names") for row in self.read(name)
        }
        for label in NodeLabel:
            if f"kgrec_{label}_id" not in schema_names:
                self._execute("constraint_node", label=label)
            if f"kgrec_{label}_index" not in schema_names:
                self._execute("index_node", label=label)
        for kind in ("graph", "relation", "load", "publication", "current"):
            if f"kgrec_{kind}_id" not in schema_names:
                self._execute(f"constraint_{kind}")
        # The embedded engine scans edges faster than it would use an index of them.
        if self._engine == "neo4j" and "kgrec_interacted_time" not in schema_names:
            self._execute("index_interacted")

    def read(
        self,
        name: str,
        /,
        *,
        key: EdgeKey | None = None,
        label: NodeLabel | None = None,
        names: Mapping[str, str] | None = None,
        **params: Any,
    ) -> list[Row]:
        """Runs the read-only statement `cypher/<name>.cypher`.

        A statement for one relationship type or label has placeholders for them, which are
        filled from `key` or `label`, or, in back-ticks, from a `kgrec.adopt.Naming`'s `names`,
        and from nowhere else.

        Raises:
            SchemaError: If there is no such statement, or a parameter is missing or unknown.
            QueryFailed: If the store refuses it.
        """
        if self._statement(name).writes:
            raise SchemaError(f"statement {name} writes; run it with write()")
        return self._execute(name, params, key=key, label=label, names=names)

    def query(
        self, name: str, params: Mapping[str, Any], *, timeout: float | None = None
    ) -> list[Row]:
        """Runs a statement that people may run, with the engine's own guard against writes.

        Args:
            name: A statement whose use is `query`.
            params: Its parameters.
            timeout: Seconds it may take; None leaves it to the engine.

        Raises:
            SchemaError: If there is no such query, or a parameter is missing or unknown.
            StoreError: If the engine says that it writes.
            QueryTimedOut: If it takes longer.
            QueryFailed: If the store refuses it.
        """
        statement = self._statement(name)
        if statement.use != "query" or statement.writes:
            query_names = ", ".join(query.name for query in queries(self._engine))
            raise SchemaError(f"statement {name} is no query; the queries are {query_names}")
        return self._run_guarded(statement.fill(), statement.bind(params), timeout)

    def write(
        self,
        name: str,
        /,
        *,
        key: EdgeKey | None = None,
        label: NodeLabel | None = None,
        names: Mapping[str, str] | None = None,
        dimensions: int | None = None,
        **params: Any,
    ) -> list[Row]:
        """Runs a writing statement in one transaction; raises as `read`."""
        return self._execute(name, params, key=key, label=label, names=names, dimensions=dimensions)

    def write_rows(
        self,
        name: str,
        rows: Sequence[Sequence[Any]],
        *,
        key: EdgeKey | None = None,
        label: NodeLabel | None = None,
        names: Mapping[str, str] | None = None,
        **params: Any,
    ) -> None:
        """Runs a writing statement once per batch, the batch as `$rows` (lists, not maps)."""
        for start in range(0, len(rows), _WRITE_ROWS):
            batch = rows[start : start + _WRITE_ROWS]
            self._execute(name, {**params, "rows": batch}, key=key, label=label, names=names)

    def export_nodes(self, label: NodeLabel, *, provenance: bool = False) -> pd.DataFrame:
        """Gives all nodes of a label, ordered by `index`, columns `id`, `index`, properties.

        Args:
            label: The label.
            provenance: Whether `load` is among the columns, where nodes have one.
        """
        names = self._property_names(label, provenance)
        ids: list[str] = []
        index: list[int] = []
        columns: list[list[Any]] = [[] for _ in names]
        for low, high in self._index_ranges(label, self.node_block):
            rows = self.read("export_nodes", label=label, low=low, high=high, properties=names)
            ids += [row["id"] for row in rows]
            index += [row["index"] for row in rows]
            for row in rows:
                for column, value in zip(columns, row["values"], strict=True):
                    column.append(value)
        frame = pd.DataFrame({"id": ids, "index": np.asarray(index, dtype=np.int64)})
        for name, column in zip(names, columns, strict=True):
            frame[name] = pd.Series(column, dtype=None if column else object)
        return frame

    def write_vectors(
        self, label: NodeLabel, ids: Sequence[str], matrix: npt.NDArray[np.float32]
    ) -> None:
        """Writes one vector a node (n, d) and their index, where the store has any.

        Raises:
            ShapeError: If the matrix is not (len(ids), d), or has a value that is not finite.
        """
        matrix = np.asarray(matrix, dtype=np.float32)
        if matrix.ndim != 2 or len(matrix) != len(ids) or not np.isfinite(matrix).all():
            raise ShapeError(
                f"vectors of {label} have the shape {matrix.shape}; expected ({len(ids)}, d), "
                f"finite; encode the texts again"
            )
        self._execute("drop_vector_index", label=label)
        self.clear_vectors(label)
        for start in range(0, len(ids), self.vector_block):
            stop = start + self.vector_block
            rows = list(zip(ids[start:stop], matrix[start:stop].tolist(), strict=True))
            self._execute("write_vectors", {"rows": [list(row) for row in rows]}, label=label)
        if len(ids) and self.capabilities.vector_index:
            self._execute("vector_index", label=label, dimensions=matrix.shape[1])

    def clear_vectors(self, label: NodeLabel) -> None:
        """Removes the vectors of a label."""
        num_cleared = self.node_block
        while num_cleared == self.node_block:
            rows = self.write("clear_vectors", label=label, limit=self.node_block)
            num_cleared = rows[0]["cleared"]

    def vectors(self, label: NodeLabel) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Gives the ids and the float32 matrix (n, d) of the nodes that have a vector."""
        ids: list[str] = []
        blocks: list[npt.NDArray[np.float32]] = []
        for low, high in self._index_ranges(label, self.vector_block):
            rows = self.read("vectors", label=label, low=low, high=high)
            ids += [row["id"] for row in rows]
            if rows:
                blocks.append(np.asarray([row["vector"] for row in rows], dtype=np.float32))
        return ids, np.concatenate(blocks) if blocks else np.empty((0, 0), dtype=np.float32)

    def checkpoint(self) -> None:
        """Makes all acknowledged writes durable and visible to new readers."""
        logger.debug("every write to %s is durable when acknowledged", self.uri)

    def rest(self, *, failed: bool = False) -> None:
        """Checkpoints and lets others write until `resume`, without closing.

        Args:
            failed: Whether what was written since the last checkpoint is to be forgotten.
        """
        logger.debug("%s rests, failed=%s", self.uri, failed)

    def untouched(self) -> bool:
        """Whether it can be told that nobody wrote since `rest`; a server does not tell."""
        return False

    def resume(self) -> None:
        """Goes on after `rest`, with what others wrote meanwhile.

        Raises:
            StoreBusy: If another process writes the embedded store.
        """
        logger.debug("%s goes on", self.uri)

    def _statement(self, name: str) -> Statement:
        return get_statement(self._engine, name)

    def _execute(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        key: EdgeKey | None = None,
        label: NodeLabel | None = None,
        dimensions: int | None = None,
        names: Mapping[str, str] | None = None,
    ) -> list[Row]:
        statement = self._statement(name)
        if statement.writes:
            self._refuse_if_read_only()
        text = statement.fill(key, label, dimensions, names)
        return self._run(text, statement.bind(params or {}), writes=statement.writes)

    def _refuse_if_read_only(self) -> None:
        if self._read_only:
            raise StoreError(f"{self.uri} is open for reading; open it for writing")

    def _property_names(self, label: NodeLabel, provenance: bool) -> list[str]:
        """The properties that came from the data, as opposed to kgrec's and the engine's own."""
        stored_names = {row["name"] for row in self.read("node_properties", label=label)}
        display = DISPLAY_PROPERTY[label]
        names = stored_names - RESERVED_PROPERTIES - SHADOWED_PROPERTIES
        names |= {display} if display else set()
        return sorted(names | (stored_names & {"load"} if provenance else set()))

    def _index_ranges(self, label: NodeLabel, step: int) -> Iterator[tuple[int, int]]:
        """Ranges [low, high) that cover the indices of a label."""
        rows = self.read("index_bound", label=label)
        for low in range(0, rows[0]["bound"] if rows else 0, step):
            yield low, low + step
