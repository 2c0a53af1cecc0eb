"""Where a store's journal is, and its table of contents: one JSON file, replaced as a whole."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from kgrec.config import Config
from kgrec.data.cache import user_data
from kgrec.errors import DataError
from kgrec.files import parsed_json, read_text, sealed, unsealed, write_text
from kgrec.schema import EdgeKey, NodeLabel, Role

LAYOUT = 1
NAME = "journal.json"

Catalogue = tuple[tuple[str, EdgeKey, Role], ...]


@dataclass(frozen=True)
class Load:
    """One delivery of one source.

    Attributes:
        number: Counts from 1; nodes and edges carry it.
        source: Name of the source.
        kind: Kind of the source.
        files: What was read, as in `Chunk.origin`.
        content: SHA-256 of what was read, 16 hex digits.
        rows: Rows that were kept.
        rejected: Rows that were refused.
        loaded_at: ISO 8601, UTC.
        undone: Whether it was taken back.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # what a load says counts, all of it

    number: int
    source: str
    kind: str
    files: tuple[str, ...]
    content: str
    rows: int
    rejected: int
    loaded_at: str
    undone: bool = False


@dataclass(frozen=True)
class FileRecord:
    """One file of a load.

    Attributes:
        origin: Its path, or the name of a table or query.
        content: SHA-256, 16 hex digits.
        stamp: Size, times and inode when it was read: as long as these stay, it need not be read
            again to know its contents.
    """

    origin: str
    content: str
    stamp: tuple[int, ...] | None = None


@dataclass(frozen=True)
class LoadRecord:
    """A load and where its rows are.

    Attributes:
        load: What is told about it.
        files: The files it read.
        rows_in: Name of the Parquet file, "" if it brought no row.
        settings: Hash of what its rows were read and cleaned with.
        replaces: Whether it replaced the earlier loads of its source.
        behaviours: Names that the behaviour codes of its events stand for.
        carries: Columns of its events that hold anything.
        new_ids: How many ids of each label it brought to the codes.
    """

    load: Load
    files: tuple[FileRecord, ...]
    rows_in: str
    settings: str
    replaces: bool = False
    behaviours: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()
    new_ids: Mapping[NodeLabel, int] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphRecord:
    """What a store was last seen to hold.

    Attributes:
        version: The graph version.
        settings: Hash of the settings it was derived with.
        loads: Numbers of the loads in it.
        catalogue: Its relations.
        nodes: How many nodes it has.
        edges: How many edges it has.
        stamp: The embedded file's size, times and inode; None for a server.
    """

    version: str
    settings: str
    loads: tuple[int, ...]
    catalogue: Catalogue
    nodes: int
    edges: int
    stamp: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything the journal knows besides the rows themselves.

    Attributes:
        loads: In order of their numbers; taken-back ones included.
        ids: Per label the Parquet files of its ids, in order of the codes.
        graphs: By the store's address.
        scales: Fitted normalisations by settings hash, as plain values.
        digests: SHA-256 by the name of a Parquet file; none of those that earlier versions wrote.
    """

    loads: tuple[LoadRecord, ...] = ()
    ids: Mapping[NodeLabel, tuple[str, ...]] = field(default_factory=dict)
    graphs: Mapping[str, GraphRecord] = field(default_factory=dict)
    scales: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> set[str]:
        """Names of the Parquet files that count."""
        names = {record.rows_in for record in self.loads if record.rows_in}
        return names | {name for names in self.ids.values() for name in names}

    def active(self, sources: frozenset[str] | None = None) -> tuple[LoadRecord, ...]:
        """The loads that count: neither taken back nor replaced by a later one that counts.

        Args:
            sources: Names of the sources that count; None is all.
        """
        replaced: dict[str, int] = {}
        for record in self.loads:
            if record.replaces and not record.load.undone:
                replaced[record.load.source] = record.load.number
        return tuple(
            record
            for record in self.loads
            if not record.load.undone
            and record.load.number >= replaced.get(record.load.source, 0)
            and (sources is None or record.load.source in sources)
        )

    def marked(self, number: int, *, undone: bool) -> "Manifest":
        """The manifest with a load taken back, or counted again."""
        return replace(
            self,
            loads=tuple(
                replace(record, load=replace(record.load, undone=undone))
                if record.load.number == number
                else record
                for record in self.loads
            ),
        )

    def with_graph(self, uri: str, record: GraphRecord) -> "Manifest":
        """The manifest with what a store now holds."""
        return replace(self, graphs={**self.graphs, uri: record})


def journal_folder(config: Config) -> Path:
    """Gives the folder of the journal that belongs to the settings' store."""
    if config.data.journal is not None:
        return config.data.journal
    scheme, _, rest = config.store.uri.partition(":")
    if scheme == "embedded":
        return Path(f"{rest}.loads")
    server = re.sub(r"[^A-Za-z0-9.]+", "-", f"{rest.rpartition('@')[2]} {config.store.database}")
    return user_data() / "loads" / server.strip("-")


def graph_address(config: Config) -> str:
    """Gives the name under which the journal notes what the settings' store holds."""
    return f"{config.store.uri} {config.store.database}"


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest; an empty one if there is none.

    Raises:
        DataError: If it is damaged or of another layout.
    """
    path = folder / NAME
    try:
        tree = parsed_json(read_text(path))
        if isinstance(tree, dict):
            tree = unsealed(tree)
    except FileNotFoundError:
        return Manifest()
    except (OSError, ValueError) as exc:
        raise DataError(f"the journal {path} cannot be read: {exc}; {_MEND}") from exc
    if not isinstance(tree, dict) or tree.get("layout") != LAYOUT:
        raise DataError(f"the journal {path} is not of layout {LAYOUT}; {_MEND}")
    try:
        return _manifest(tree)
    except (KeyError, TypeError, ValueError) as exc:
        raise DataError(f"the journal {path} is damaged: {exc!r}; {_MEND}") from exc


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces the manifest, atomically and flushed to the disk."""
    tree = {
        "layout": LAYOUT,
        "loads": [asdict(record) for record in manifest.loads],
        "ids": manifest.ids,
        "graphs": {
            uri: {
                **asdict(record),
                "catalogue": [
                    [name, key.type, key.head, key.tail, role]
                    for name, key, role in record.catalogue
                ],
            }
            for uri, record in manifest.graphs.items()
        },
        "scales": manifest.scales,
        "digests": {n: d for n, d in manifest.digests.items() if n in manifest.files},
    }
    write_text(folder / NAME, json.dumps(sealed(tree), ensure_ascii=False, indent=1))


_MEND = "move the folder away and ingest again"


def _manifest(tree: dict[str, Any]) -> Manifest:
    tree.setdefault("digests", {})  # version 0.1 had none
    # A field that is lacking is damage, whatever its default: what no load names is swept.
    records_of = {
        Manifest: [tree],
        LoadRecord: tree["loads"],
        GraphRecord: tree["graphs"].values(),
    }
    for kind, records in records_of.items():
        for record in records:
            lacking = {part.name for part in fields(kind)} - set(record)
            if lacking:
                raise KeyError(*sorted(lacking))
    for record in tree["graphs"].values():
        record["catalogue"] = [
            (name, {"type": edge_type, "head": head, "tail": tail}, role)
            for name, edge_type, head, tail, role in record["catalogue"]
        ]
    return TypeAdapter(Manifest).validate_python(tree)
