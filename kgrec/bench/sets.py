"""Data sets into stores, one a split; every fit of that split reads the same store."""

import gzip
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kgrec.bench.thinning import thinned
from kgrec.config import Config
from kgrec.config.bench import BenchConfig, ThinConfig
from kgrec.data.load import load_dataset
from kgrec.data.movielens import demo_config
from kgrec.errors import ConfigError, DataError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.schema import Split
from kgrec.store.connect import open_store
from kgrec.training.checkpoint import read_json, write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitStore:
    """One split of a set, in an embedded store.

    Attributes:
        seed: The split was drawn with it.
        config: kgrec's settings, with that store.
        version: The graph's version.
        counts: Users, items, entities, relation edges and the interactions of each split.
    """

    seed: int
    config: Config
    version: str
    counts: Mapping[str, int]


def fill(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    data: Path | None,
    work: Path,
    seed: int,
) -> SplitStore:
    """Gives the store of one split; fills it unless it is there from these very files.

    Args:
        bench: The section [bench].
        settings: The other sections.
        data: Folder of the set's files; None is the current one.
        work: Where stores are kept, a folder a split.
        seed: Of the split.

    Raises:
        KgrecError: If the data or the settings cannot be used.
    """
    folder = work / f"split-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(bench, settings, data, folder)
    key = _key(config, bench.thin, seed)
    ready = folder / "ready.json"
    if ready.is_file() and (record := read_json(ready)).get("key") == key:
        return SplitStore(seed, config, record["version"], record["counts"])
    ready.unlink(missing_ok=True)
    with open_store(config.store) as store:
        dataset = load_dataset(config.data, seed)
        if bench.thin is not None:
            dataset = thinned(dataset, bench.thin, seed)
        write_dataset(dataset, store, progress=False)
        graph = fetch_graph(store)
    counts = {
        "users": graph.num_users,
        "items": graph.num_items,
        "entities": graph.num_entities,
        "relation_edges": sum(map(len, graph.relations)),
        "train": len(graph.train),
        **{str(split): len(part) for split, part in graph.held_out.items()},
    }
    if not counts.get(str(Split.TEST)):
        raise DataError(
            f"benchmark {bench.name} has no test interactions in split seed {seed}; give "
            f"[data] test = … or a split with a test share above 0"
        )
    write_json(ready, {"key": key, "version": graph.version, "counts": counts})
    logger.info("split=%d version=%s %s", seed, graph.version, counts)
    return SplitStore(seed, config, graph.version, counts)


def _config(
    bench: BenchConfig, settings: Mapping[str, Any], data: Path | None, folder: Path
) -> Config:
    tree: dict[str, Any] = {key: value for key, value in settings.items() if key != "store"}
    data_section = dict(tree.get("data", {}))
    if bench.source == "ml-100k":
        demo = demo_config().data.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        tree["data"] = {**demo, **data_section}
    elif bench.source == "amazon-book":
        files = amazon_book(data or Path(), folder, bench.valid_share)
        tree["data"] = {**data_section, **files}
    tree["store"] = {"uri": f"embedded:{(folder / 'graph.kgl').resolve()}"}
    config = Config.build(tree, base=(data or Path()).resolve(), source=f"benchmark {bench.name}")
    has_splits = any(source.split is not None for source in config.data.all_sources())
    if bench.split_seeds and has_splits:
        raise ConfigError(
            f"benchmark {bench.name}: split_seeds draws splits, but the files are split already; "
            f"set split_seeds = false"
        )
    return config


def amazon_book(data: Path, folder: Path, valid_share: float) -> dict[str, str]:
    """Writes tables from `train.txt.gz` and `test.txt.gz`, lines `user item item …`.

    A line is in the order of time, and test came after it (docs/benchmarks.md says how that is
    seen), so an item's place in its line is its time, and of each user's n >= 2 train items the
    last max(1, round(valid_share · n)), but never all, become valid.

    Args:
        data: Where the two files are.
        folder: Where the tables go.
        valid_share: Share of valid.

    Returns:
        Paths of the tables `train`, `valid` and `test`.

    Raises:
        DataError: If a file is missing.
    """
    pairs = {name: _lines(data / f"{name}.txt.gz") for name in ("train", "test")}
    train = pairs["train"]
    lines = train.groupby("user", sort=False)["item"]
    train["time"] = lines.cumcount()
    total = lines.transform("size")
    count = np.minimum(np.maximum(1, np.round(valid_share * total)), total - 1)
    is_valid = train["time"] >= total - count
    tables = {"train": train[~is_valid], "valid": train[is_valid], "test": pairs["test"]}
    paths = {}
    for name, table in tables.items():
        path = folder / f"{name}.tsv"
        table.to_csv(path, sep="\t", index=False)
        paths[name] = str(path.resolve())
    return paths


def _lines(path: Path) -> pd.DataFrame:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = [line.split() for line in file]
    except OSError as exc:
        raise DataError(
            f"cannot read {path}: {exc.strerror or exc}; expected train.txt.gz and test.txt.gz "
            f"with lines `user item item …`; name their folder with --data"
        ) from exc
    pairs = [(row[0], item) for row in rows for item in row[1:]]
    return pd.DataFrame(pairs, columns=["user", "item"])


def _key(config: Config, thin: ThinConfig | None, seed: int) -> str:
    """A hash of what the store is made from; files count by their contents."""
    settings = config.data.model_dump_json() + json.dumps(seed)
    if thin is not None:
        settings += thin.model_dump_json()
    total = hashlib.sha256(settings.encode())
    for source in config.data.all_sources():
        if source.path is not None and source.path.is_file():
            total.update(hashlib.sha256(source.path.read_bytes()).digest())
    return total.hexdigest()[:16]
