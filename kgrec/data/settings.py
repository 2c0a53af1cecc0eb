"""Hashes of settings: what rows were read with, and what a graph was derived with."""

import hashlib
import json
from typing import Any

from kgrec.config import DataConfig, Source


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
