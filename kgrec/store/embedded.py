"""The embedded store: one file, read and written in this process by kglite.

The engine holds the graph in memory. Nothing reaches the file before `checkpoint`, which writes a
sibling file and renames it over the old one, so that a killed process leaves the file as it was
and readers see either the old graph or the new one. One process may write at a time; any number
may read. About 200 bytes an edge: up to some 20 million edges on a machine with 16 GB.
"""

import importlib.metadata
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import kglite
import numpy as np
import pandas as pd

from kgrec.errors import QueryFailed, QueryTimedOut, StoreBusy, StoreError, StoreUnavailable
from kgrec.files import stamp_of
from kgrec.schema import DISPLAY_PROPERTY, EdgeKey, NodeLabel
from kgrec.store.base import TOOK_TOO_LONG, Capabilities, EdgeBlock, GraphStore, Row
from kgrec.store.blocks import EDGE_BLOCK, edge_block

try:
    import fcntl
except ImportError:  # Windows: nothing is kept, and files are opened anew
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

#: Edges that the engine is given at once; their ends are strings, some 150 bytes an edge.
CHUNK_ROWS = 1_000_000


class Lease:
    """The right to write a file, as the engine's own, without opening the file again.

    The engine gives its lease with `open` alone, which reads the whole graph. It is a lock of the
    operating system on `<file>.lock`, with a note of the holder beside it; whoever kept the graph
    in memory takes the same lock here.

    Args:
        path: The graph's file.
    """

    #: Whether leases can be taken here.
    possible = fcntl is not None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Takes it.

        Raises:
            StoreBusy: If another process writes the file.
        """
        file = self._path.with_name(f"{self._path.name}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise StoreBusy(
                f"{self._path} is being written by another process; only one may write an "
                f"embedded graph; wait for it to end, or use Neo4j for several writers"
            ) from exc
        self._file = file
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        note = self._path.with_name(f"{self._path.name}.lock-owner")
        note.write_text(f"pid={os.getpid()}\nsince={now}\n", encoding="utf-8")

    def give_back(self) -> None:
        """Gives it back; safe to call twice."""
        if self._file is not None:
            self._file.close()  # which unlocks
            self._file = None


class EmbeddedStore(GraphStore):
    """A graph file.

    Used as a context manager, it is checkpointed at the end of a block that raised nothing; what
    was written since the last checkpoint is forgotten when the block raises.

    Args:
        path: The file, by convention `*.kgl`; made if absent, unless `read_only`.
        read_only: Takes no lease and sees the last checkpoint.

    Raises:
        StoreUnavailable: If `read_only` and there is no such file, or it cannot be read.
        StoreBusy: If another process writes the file.
        StoreError: If the file is damaged.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        super().__init__("embedded", read_only=read_only)
        self.path = Path(path)
        self._dirty = False
        self._lease: Lease | None = None  # the engine's own until the first rest
        self._resting = False
        self._rest_stamp: tuple[int, ...] | None = None
        # Statements about labels that have no node yet are normal here.
        kglite.set_query_warning_policy("silent")
        self._graph: Any = _open(self.path, read_only)

    @property
    def uri(self) -> str:
        """The address, `embedded:PATH`."""
        return f"embedded:{self.path}"

    @property
    def capabilities(self) -> Capabilities:
        """What the engine offers."""
        return Capabilities(
            engine="embedded",
            version=importlib.metadata.version("kglite"),
            vector_index=False,  # the engine would build one anew whenever the file is opened
            concurrent_writers=False,
        )

    def bulk_load(
        self,
        nodes: Mapping[NodeLabel, pd.DataFrame],
        edges: Mapping[EdgeKey, pd.DataFrame],
        *,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        """Loads into an empty graph; see `GraphStore.bulk_load`."""
        graph = self._writable()
        self._dirty = True
        for label, frame in nodes.items():
            if len(frame):
                display = DISPLAY_PROPERTY[label]
                title = display if display in frame.columns else None
                with _engine_errors(f"loading {label} nodes"):
                    graph.add_nodes(_plain(frame), label.value, "id", node_title_field=title)
            if on_rows:
                on_rows(len(frame))
        ids = {label: frame["id"].to_numpy(dtype=object) for label, frame in nodes.items()}
        for key, frame in edges.items():
            for start in range(0, len(frame), CHUNK_ROWS):
                part = frame.iloc[start : start + CHUNK_ROWS].reset_index(drop=True)
                ends = {
                    # Said to be objects, or pandas would copy the strings into another form.
                    end: pd.Series(ids[label][part[end].to_numpy()], dtype=object)
                    for label, end in ((key.head, "head"), (key.tail, "tail"))
                }
                with _engine_errors(f"loading {key}"):
                    graph.add_relationships(
                        part.assign(**ends), key.type, key.head.value, "head", key.tail.value,
                        "tail",
                    )  # fmt: skip
                if on_rows:
                    on_rows(len(part))

    def export_edges(self, key: EdgeKey, properties: Sequence[str] = ()) -> Iterator[EdgeBlock]:
        """Streams all edges of a set in blocks; see `GraphStore.export_edges`."""
        bound = self.read("index_bound", label=key.tail)[0]["bound"]
        name = "export_edges_with_properties" if properties else "export_edges"
        params: dict[str, Any] = {"properties": list(properties)} if properties else {}
        low, step = 0, 256
        while low < bound:
            rows = self.read(name, key=key, low=low, high=low + step, **params)
            low += step
            block = edge_block(rows, properties)
            # The next block should hold about EDGE_BLOCK edges, whatever the degrees.
            num_edges = max(len(block.head_index), 1)
            step = int(np.clip(step * EDGE_BLOCK / num_edges, 1, 4 * step))
            if len(block.head_index):
                yield block

    def checkpoint(self) -> None:
        """Writes the graph to its file, atomically and flushed to the disk."""
        if self._graph is not None and self._dirty:
            with _engine_errors(f"writing {self.path}"), warnings.catch_warnings():
                # Some nodes have a vector and some have none: such a column is read onto the heap.
                warnings.simplefilter("ignore", kglite.MappedFallbackWarning)
                # Once it rested, the engine no longer knows where the graph belongs.
                self._graph.save(*([] if self._lease is None else [str(self.path)]))
            self._dirty = False

    def rest(self, *, failed: bool = False) -> None:
        """Gives the file back and keeps the graph in memory; see `GraphStore.rest`."""
        if self._read_only or self._graph is None:
            return
        if failed and self._dirty:
            self._dirty = False
            self._release()  # the graph in memory is not that of the file
            return
        self.checkpoint()
        if not Lease.possible:
            self._release()
            return
        if self._lease is None:
            self._give_back()
            self._lease = Lease(self.path)
        self._rest_stamp, self._resting = stamp_of(self.path), True
        self._lease.give_back()

    def untouched(self) -> bool:
        """Whether the file is the one that was left; see `GraphStore.untouched`."""
        return (
            self._resting
            and self._rest_stamp is not None
            and self._rest_stamp == stamp_of(self.path)
        )

    def resume(self) -> None:
        """Takes the file again, which is read again only if others wrote it meanwhile."""
        if self._resting and self._lease is not None:
            self._lease.take()
            if self.untouched():
                self._resting = False
                return
            self._release()
        if self._graph is None:
            self._graph = _open(self.path, self._read_only)

    def close(self) -> None:
        """Checkpoints what was written and releases the file; safe to call twice."""
        self.checkpoint()
        self._release()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._release()

    def _run(self, text: str, params: Mapping[str, Any], *, writes: bool) -> list[Row]:
        graph = self._writable() if writes else self._engine_graph()
        self._dirty |= writes
        with _engine_errors(text.splitlines()[0]):
            rows: list[Row] = graph.cypher(text, params=dict(params)).to_list()
        return rows

    def _run_guarded(
        self, text: str, params: Mapping[str, Any], timeout: float | None
    ) -> list[Row]:
        milliseconds = None if timeout is None else max(int(1000 * timeout), 1)
        with _engine_errors(text.splitlines()[0]), self._engine_graph().begin_read() as transaction:
            result = transaction.cypher(text, params=dict(params), timeout_ms=milliseconds)
            rows: list[Row] = result.to_list()
        return rows

    def _engine_graph(self) -> Any:
        if self._graph is None:
            raise StoreError(f"{self.uri} is closed; open it again")
        return self._graph

    def _writable(self) -> Any:
        self._refuse_if_read_only()
        if self._resting:
            raise StoreError(f"{self.uri} rests, and others may write it; resume before writing")
        return self._engine_graph()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.give_back()
        elif self._graph is not None:
            self._give_back()
        self._graph = self._lease = None
        self._resting = False

    def _give_back(self) -> None:
        if not self._read_only:
            # Leaving the engine's block with an error gives the lease back without a save.
            self._graph.__exit__(StoreError, StoreError("released"), None)


@contextmanager
def _engine_errors(action: str) -> Iterator[None]:
    """Turns the engine's errors into kgrec's."""
    try:
        yield
    except kglite.WriterLeaseHeldError as exc:
        raise StoreBusy(f"{action}: {_one_line(exc)}") from exc
    except kglite.CypherTimeoutError as exc:
        raise QueryTimedOut(f"{action}: {TOOK_TOO_LONG}") from exc
    except kglite.ReadOnlyError as exc:
        raise StoreError(f"the query does more than read: {action}") from exc
    except StoreError:
        raise
    except (kglite.KgError, ValueError) as exc:
        raise QueryFailed(f"the embedded store refused: {action}: {exc}") from exc


def _open(path: Path, read_only: bool) -> Any:
    if read_only and not path.exists():
        raise StoreUnavailable(
            f"there is no graph at {path}; make it with kgrec ingest, or check [store] uri"
        )
    quarantine = sorted(path.parent.glob(f"{path.name}*quarantine-*"))
    if quarantine:
        raise StoreError(
            f"{quarantine[0]} lies beside the graph: the engine put damaged data aside; move it "
            f"and {path} away and run kgrec ingest"
        )
    try:
        if read_only:
            return kglite.load(str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        return kglite.open(str(path), durable="off")
    except kglite.WriterLeaseHeldError as exc:
        holder = getattr(exc, "holder", None) or {}
        raise StoreBusy(
            f"{path} is being written by process {holder.get('pid', 'unknown')}; only one process "
            f"may write an embedded graph; wait for it to end, or use Neo4j for several writers"
        ) from exc
    except kglite.FileFormatError as exc:
        raise StoreError(
            f"{path} is not a graph file or is damaged: {_one_line(exc)}; move it away and run "
            f"kgrec ingest"
        ) from exc
    except (kglite.KgError, OSError, ValueError) as exc:
        raise StoreUnavailable(
            f"cannot open the graph {path}: {_one_line(exc)}; check the path and its permissions"
        ) from exc


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Strings as Python objects with None for what is missing; the engine reads these fastest."""
    text = {
        str(name): column.astype(object).where(column.notna(), None)
        for name, column in frame.items()
        if not pd.api.types.is_numeric_dtype(column.dtype)
    }
    return frame.assign(**text).reset_index(drop=True)
