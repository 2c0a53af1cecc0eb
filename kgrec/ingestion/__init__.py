"""Filling stores: whole datasets, small changes, and files for Neo4j's offline importer."""

from kgrec.ingestion.filling import apply_changes, ingest
from kgrec.ingestion.offline import OfflineFiles, write_offline
from kgrec.ingestion.report import IngestReport
from kgrec.store.state import graph_version

__all__ = [
    "IngestReport",
    "OfflineFiles",
    "apply_changes",
    "graph_version",
    "ingest",
    "write_offline",
]
