"""Files for Neo4j's offline importer, which fills an empty database far faster than a session can.

Nodes are found by their position in their table, a number, which both sides handle faster than an
id; the id is a property like any other.

The import brings the graph with its state, catalogue and loads, so that an ingest of the same
dataset finds it ready and only makes constraints and indexes.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kgrec.data.tables import Dataset
from kgrec.errors import DataError, StoreError
from kgrec.files import atomic_folder
from kgrec.ingestion import tables
from kgrec.schema import EdgeKey
from kgrec.store.state import READY, GraphState, relation_properties, state_properties

#: Rows that are turned into text at once.
CHUNK_ROWS = 500_000

#: Stands between the elements of a list.
DELIMITER = "\x1f"

_MANIFEST = "kgrec-offline.json"

_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")

_SCRIPT = """#!/bin/sh
# sh import.sh [DATABASE [OPTION ...]]
set -eu
cd "$(dirname "$0")"
database="${{1:-neo4j}}"
if [ "$#" -gt 0 ]; then shift; fi
exec neo4j-admin database import full "$database" \\
{options} "$@"
"""

_README = """Graph {version} for Neo4j 5.26 or later, written by kgrec: {nodes:,} nodes and
{relationships:,} relationships.

1. Stop the server.
2. In this folder, as the user that Neo4j runs as:

       sh import.sh

   or, for a database of another name that may be overwritten:

       sh import.sh NAME --overwrite-destination

   The command, should there be no shell:

       {command}

3. Start the server and run `kgrec ingest` once more with the same data: it finds the graph ready
   and makes the constraints and indexes.
"""


@dataclass(frozen=True)
class OfflineFiles:
    """What was written for the offline importer.

    Attributes:
        folder: The folder.
        version: The graph version.
        nodes: Number of users, items and entities.
        edges: Number of interactions and relation edges.
        command: The importer's command, to be run in the folder, for the database `neo4j`.
    """

    folder: Path
    version: str
    nodes: int
    edges: int
    command: tuple[str, ...]


def write_offline(dataset: Dataset, folder: Path | str) -> OfflineFiles:
    """Writes a dataset as files for `neo4j-admin database import full`.

    The folder appears whole or not at all.

    Args:
        dataset: The validated tables.
        folder: A folder that is not there, is empty, or was written by this function.

    Raises:
        SchemaError: If a property cannot be stored under its name.
        DataError: If a number is infinite.
        StoreError: If the folder holds something else, or cannot be written.
    """
    folder = Path(folder).absolute()
    nodes = tables.node_frames(dataset)
    _refuse_foreign(folder)
    try:
        with atomic_folder(folder) as fresh:
            importer_files = ImporterFiles(fresh)
            for label, frame in nodes.items():
                importer_files.add_nodes(label.value, frame)
            for key, frame in dataset.edges().items():
                importer_files.add_edges(key, tables.edge_frame(frame))
            for name, rows in _records(dataset).items():
                importer_files.add_nodes(name, pd.DataFrame(rows))
            offline_files = OfflineFiles(
                folder,
                dataset.fingerprint,
                sum(map(len, nodes.values())),
                sum(map(len, dataset.edges().values())),
                ("neo4j-admin", "database", "import", "full", "neo4j", *importer_files.options()),
            )
            _describe(offline_files, importer_files, fresh)
    except OSError as exc:
        raise StoreError(
            f"cannot write the importer's files to {folder}: {exc}; check its permissions and the "
            f"space on its disk"
        ) from exc
    return offline_files


class ImporterFiles:
    """The files of one import, in one folder.

    Args:
        folder: An empty folder.

    Attributes:
        rows: Rows by file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options: list[str] = []
        self._multiline: list[str] = []
        self.rows: dict[str, int] = {}

    def add_nodes(self, label: str, frame: pd.DataFrame) -> None:
        """Writes the nodes of a label: all columns are properties.

        Raises:
            DataError: If a number is infinite, or an element of a list holds the delimiter.
        """
        ends = {f":ID({label})": pd.Series(np.arange(len(frame)), index=frame.index)}
        self._write("nodes", label, f"{label}.csv", ends, frame)

    def add_edges(self, key: EdgeKey, frame: pd.DataFrame) -> None:
        """Writes edges: `head` and `tail` (positions of the nodes) and properties; as add_nodes."""
        ends = {f":START_ID({key.head})": frame["head"], f":END_ID({key.tail})": frame["tail"]}
        file = f"{key.type}.{key.head}.{key.tail}.csv"
        self._write("relationships", key.type, file, ends, frame.drop(columns=["head", "tail"]))

    def options(self) -> tuple[str, ...]:
        """Gives the importer's options, with paths relative to the folder."""
        common_options = ["--id-type=integer", f"--array-delimiter=U+{ord(DELIMITER):04X}"]
        if self._multiline:
            # Only named files are read in one piece; the edges, most by far, are read in parallel.
            common_options += [
                "--multiline-fields-format=v2",
                f"--multiline-fields={','.join(self._multiline)}",
            ]
        return (*common_options, *self._options)

    def _write(
        self, kind: str, name: str, file: str, ends: dict[str, pd.Series], frame: pd.DataFrame
    ) -> None:
        if not len(frame):
            return
        kinds = {str(column): _kind(frame[column]) for column in frame.columns}
        header = [*ends, *(f"{column}:{kind}" for column, kind in kinds.items())]
        spans_lines = False
        with pa.OSFile(str(self._folder / file), "wb") as sink:
            sink.write((",".join(header) + "\n").encode())
            for part in _parts(ends, frame, kinds, file):
                # Strings are quoted and missing values are not, which tells "" from nothing.
                pyarrow.csv.write_csv(part, sink, _CSV)
                spans_lines = spans_lines or _spans_lines(part)
        self.rows[file] = len(frame)
        self._options.append(f"--{kind}={name}=./{file}")
        if spans_lines:
            self._multiline.append(f"./{file}")


def _records(dataset: Dataset) -> dict[str, list[dict[str, object]]]:
    """Gives by label the nodes that tell what the graph is."""
    interaction_properties = tables.edge_properties(*dataset.interactions.values())
    state = GraphState(dataset.fingerprint, READY, interaction_properties)
    return {
        "KgrecGraph": [{"id": "graph", **state_properties(state)}],
        "KgrecRelation": [
            {"id": str(entry.key), **relation_properties(entry)}
            for entry in tables.catalogue_of(dataset)
        ],
        "KgrecLoad": [
            {"id": str(load.number), **tables.load_properties(load)} for load in dataset.loads
        ],
    }


def _describe(offline_files: OfflineFiles, importer_files: ImporterFiles, folder: Path) -> None:
    options = " \\\n".join(f"    {shlex.quote(option)}" for option in importer_files.options())
    (folder / "import.sh").write_text(_SCRIPT.format(options=options), encoding="utf-8")
    readme = _README.format(
        version=offline_files.version,
        nodes=offline_files.nodes,
        relationships=offline_files.edges,
        command=shlex.join(offline_files.command),
    )
    (folder / "README.txt").write_text(readme, encoding="utf-8")
    manifest = {"version": offline_files.version, "rows": importer_files.rows}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _refuse_foreign(folder: Path) -> None:
    """Raises StoreError if a folder is anything but absent, empty, or written by kgrec."""
    if not folder.exists() or (folder / _MANIFEST).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise StoreError(
            f"{folder} is there and holds something that kgrec did not write; expected a new or "
            f"empty folder; name another one"
        )


def _parts(
    ends: dict[str, pd.Series], frame: pd.DataFrame, kinds: dict[str, str], file: str
) -> Iterator[pa.Table]:
    for start in range(0, len(frame), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        columns = {
            name: pa.array(positions.iloc[rows].to_numpy()) for name, positions in ends.items()
        }
        for name, kind in kinds.items():
            columns[name] = _cells(frame[name].iloc[rows], kind, f"{file}: {name}")
        yield pa.table(columns)


def _kind(column: pd.Series) -> str:
    """Gives the importer's type of a column."""
    text = "string[]" if isinstance(column.iloc[0], list) else "string"
    return {"b": "boolean", "i": "long", "u": "long", "f": "double"}.get(column.dtype.kind, text)


def _cells(column: pd.Series, kind: str, where: str) -> pa.Array:
    if kind == "string[]":
        lists: list[list[str]] = column.tolist()
        if any(DELIMITER in element for elements in lists for element in elements):
            raise DataError(f"{where} holds U+001F, a control character; rename what it names")
        # No element is no property.
        return pa.array([DELIMITER.join(x) if x else None for x in lists], type=pa.string())
    if kind == "string":
        return pa.array(column, type=pa.string(), from_pandas=True)
    cells = pa.array(column, from_pandas=True)
    if kind == "double" and pc.any(pc.is_inf(cells)).as_py():
        raise DataError(f"{where} holds an infinite number; expected finite ones; correct the data")
    return cells


def _spans_lines(table: pa.Table) -> bool:
    return any(
        pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py()
        for column in table.columns
        if pa.types.is_string(column.type)
    )
