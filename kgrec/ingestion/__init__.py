"""From sources to a store: whole datasets, changes, and files for Neo4j's offline importer."""

from kgrec.ingestion.filling import apply_changes, write_dataset
from kgrec.ingestion.offline import write_offline
from kgrec.ingestion.pipeline import IngestReport, Marks, check, foreign_query, ingest
from kgrec.store.state import graph_version

__all__ = [
    "IngestReport",
    "Marks",
    "apply_changes",
    "check",
    "foreign_query",
    "graph_version",
    "ingest",
    "write_dataset",
    "write_offline",
]
