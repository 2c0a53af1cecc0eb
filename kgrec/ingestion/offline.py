"""Files for Neo4j's offline importer, which fills an empty database far faster than a session can.

The import brings the graph with its state, catalogue and loads, so that an ingest of the same
dataset finds it ready and only makes constraints and indexes.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kgrec.data.tables import Dataset
from kgrec.errors import StoreError
from kgrec.files import atomic_folder
from kgrec.ingestion.csv_files import ImporterFiles
from kgrec.ingestion.loads import load_properties
from kgrec.ingestion.tables import (
    catalogue_of,
    edge_frame,
    interaction_properties,
    node_frames,
)
from kgrec.store.state import READY, relation_properties

_MANIFEST = "kgrec-offline.json"

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
    nodes = node_frames(dataset)
    _refuse_foreign(folder)
    try:
        with atomic_folder(folder) as fresh:
            importer_files = ImporterFiles(fresh)
            for label, frame in nodes.items():
                importer_files.add_nodes(label.value, frame)
            for key, frame in dataset.edges().items():
                importer_files.add_edges(key, edge_frame(frame))
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


def _records(dataset: Dataset) -> dict[str, list[dict[str, object]]]:
    """Gives by label the nodes that tell what the graph is."""
    state: dict[str, object] = {
        "id": "graph",
        "version": dataset.fingerprint,
        "state": READY,
        "interaction_properties": list(interaction_properties(dataset)),
    }
    return {
        "KgrecGraph": [state],
        "KgrecRelation": [
            {"id": str(entry.key), **relation_properties(entry)} for entry in catalogue_of(dataset)
        ],
        "KgrecLoad": [{"id": str(load.number), **load_properties(load)} for load in dataset.loads],
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
