"""Whether there is anything new, told by hashes of settings and by names, sizes and times of files.

It imports nothing heavy: most runs of a scheduled `kgrec ingest` find nothing new, and should not
wait for pandas to learn so.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgrec.config import Config, DataConfig, Source
from kgrec.data.journal.manifest import (
    GraphRecord,
    LoadRecord,
    graph_address,
    journal_folder,
    read_manifest,
)
from kgrec.data.reading.files import find_files
from kgrec.errors import DataError
from kgrec.files import stamp_of


def reading_settings(source: Source, config: DataConfig) -> str:
    """Hashes what the rows of a source are read and cleaned with, 16 hex digits."""
    cleaning = config.cleaning
    tree: dict[str, Any] = {
        "source": source.model_dump(
            mode="json",
            include={"kind", "columns", "behaviour", "relation", "split", "time", "cypher"},
        ),
        "case": cleaning.case,
        "range": cleaning.rating_range,
    }
    if source.prefixes:  # absent from the hashes of those without
        tree["prefixes"] = source.prefixes
    if source.kind == "interactions":
        tree["behaviours"] = {
            name: behaviour.values for name, behaviour in config.all_behaviours().items()
        }
    text = json.dumps(tree, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def view_settings(config: DataConfig, seed: int) -> str:
    """Hashes everything but the rows that a dataset depends on, 16 hex digits."""
    tree = config.model_dump(
        mode="json",
        include={"behaviours", "min_rating", "split", "cleaning", "relations", "unknown_triples"},
    )
    tree["cleaning"].pop("max_bad_rows")
    tree["properties"] = {
        source.name: {
            column: rule.model_dump(mode="json") for column, rule in source.properties.items()
        }
        for source in config.all_sources()
    }
    tree["seed"] = seed
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def nothing_new(config: Config) -> GraphRecord | None:
    """Gives what an embedded store holds if an ingest would surely change nothing.

    None says only that one must look: a server may have been written to by others, a table or a
    query has no time, and a file that was touched may still hold what it held.
    """
    scheme, _, path = config.store.uri.partition(":")
    if scheme != "embedded":
        return None
    try:
        manifest = read_manifest(journal_folder(config))
    except DataError:
        return None
    sources = config.data.all_sources()
    active = manifest.active(frozenset(source.name for source in sources))
    graph = manifest.graphs.get(graph_address(config))
    if (
        graph is None
        or graph.stamp is None
        or graph.stamp != stamp_of(Path(path))
        or graph.settings != view_settings(config.data, config.seed)
        or graph.loads != tuple(record.load.number for record in active)
        or not all(_as_read(source, active, config.data) for source in sources)
    ):
        return None
    return graph


def _as_read(source: Source, active: Sequence[LoadRecord], config: DataConfig) -> bool:
    """Whether a source has no file but those that were read, looking as they did then."""
    own = [record for record in active if record.load.source == source.name]
    settings = reading_settings(source, config)
    if source.path is None or not own or any(record.settings != settings for record in own):
        return False
    stated = [record for record in own if record.replaces] if source.replace else own
    loaded = {(file.origin, file.stamp) for record in stated for file in record.files}
    try:
        present = {(str(path), stamp_of(path)) for path in find_files(source)}
    except DataError:
        return False
    return present == loaded if source.replace else present <= loaded
