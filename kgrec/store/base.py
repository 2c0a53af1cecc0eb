"""What every graph store can do.

The seam is narrow on purpose: named statements from `cypher/`, a bulk path, columns out, vectors.
Nothing here or below imports torch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.schema import EdgeKey, NodeLabel

Row = dict[str, Any]

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


class GraphStore(Protocol):
    """A property graph with a Cypher subset; use it as a context manager."""

    @property
    def capabilities(self) -> Capabilities:
        """What the engine offers."""

    @property
    def uri(self) -> str:
        """The address without credentials."""

    def apply_schema(self) -> None:
        """Makes the unique constraints on `id` and the indexes; does nothing when they exist."""

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

    def write_rows(
        self,
        name: str,
        rows: Sequence[Sequence[Any]],
        *,
        key: EdgeKey | None = None,
        label: NodeLabel | None = None,
        names: Mapping[str, str] | None = None,
        batch_size: int = 10_000,
        **params: Any,
    ) -> None:
        """Runs a writing statement once per batch, the batch as `$rows` (lists, not maps)."""

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

    def export_nodes(self, label: NodeLabel, *, provenance: bool = False) -> pd.DataFrame:
        """Gives all nodes of a label, ordered by `index`, columns `id`, `index`, properties.

        Args:
            label: The label.
            provenance: Whether `load` is among the columns, where nodes have one.
        """

    def export_edges(self, key: EdgeKey, properties: Sequence[str] = ()) -> Iterator[EdgeBlock]:
        """Streams all edges of a set in blocks; memory stays flat in the number of edges."""

    def write_vectors(
        self, label: NodeLabel, ids: Sequence[str], matrix: npt.NDArray[np.float32]
    ) -> None:
        """Writes one vector a node (n, d) and their index, where the store has any."""

    def clear_vectors(self, label: NodeLabel) -> None:
        """Removes the vectors of a label."""

    def vectors(self, label: NodeLabel) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Gives the ids and the float32 matrix (n, d) of the nodes that have a vector."""

    def checkpoint(self) -> None:
        """Makes all acknowledged writes durable and visible to new readers."""

    def rest(self, *, failed: bool = False) -> None:
        """Checkpoints and lets others write until `resume`, without closing.

        Args:
            failed: Whether what was written since the last checkpoint is to be forgotten.
        """

    def untouched(self) -> bool:
        """Whether it can be told that nobody wrote since `rest`."""

    def resume(self) -> None:
        """Goes on after `rest`, with what others wrote meanwhile.

        Raises:
            StoreBusy: If another process writes the embedded store.
        """

    def close(self) -> None:
        """Releases the store; safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
