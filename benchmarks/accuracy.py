"""Accuracy of kgrec, its parts, its control without a graph and the floors on one data set.

    python benchmarks/accuracy.py ml-100k
    python benchmarks/accuracy.py book-crossing --data DIR   # train/valid/test/kg .tsv.gz
    python benchmarks/accuracy.py amazon-book --data DIR     # train.txt.gz, test.txt.gz

Everything is chosen on train and valid; test is ranked once per seed, over all items. Prints one
JSON object; `--work DIR` keeps stores and runs.
"""

import argparse
import gzip
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import kgrec

METRICS = ("recall@20", "ndcg@20")


def amazon_book(data: Path, work: Path) -> dict[str, str]:
    """Turns `user item item …` lines into tables; a tenth of train becomes valid."""
    frames = {}
    for name in ("train", "test"):
        with gzip.open(data / f"{name}.txt.gz", "rt") as lines:
            rows = [line.split() for line in lines]
        pairs = [(row[0], item) for row in rows for item in row[1:]]
        frames[name] = pd.DataFrame(pairs, columns=["user", "item"])
    held = np.random.default_rng(0).random(len(frames["train"])) < 0.1
    frames["valid"] = frames["train"][held]
    frames["train"] = frames["train"][~held]
    paths = {}
    for name, frame in frames.items():
        paths[name] = str(work / f"{name}.tsv")
        frame.to_csv(paths[name], sep="\t", index=False)
    return paths


def config_of(name: str, data: Path | None, work: Path, settings: list[str]) -> kgrec.Config:
    if name == "ml-100k":
        tree = kgrec.demo_config().model_dump(mode="json", exclude_none=True)
    elif data is None:
        sys.exit(f"{name} needs --data DIR")
    elif name == "book-crossing":
        parts = {part: str(data / f"{part}.tsv.gz") for part in ("train", "valid", "test")}
        parts |= {"triples": str(data / "kg.tsv.gz"), "unknown_triples": "drop"}
        tree = {"data": parts}
    else:
        tree = {"data": amazon_book(data, work)}
    tree["store"] = {"uri": f"embedded:{work / 'graph.kgl'}"}
    config = work / "config.json"
    for setting in settings:  # JSON values, then plain strings
        key, _, text = setting.partition("=")
        section, _, field = key.rpartition(".")
        node = tree
        for part in filter(None, section.split(".")):
            node = node.setdefault(part, {})
        try:
            node[field] = json.loads(text)
        except ValueError:
            node[field] = text
    config.write_text(json.dumps(tree))
    return kgrec.Config.build(tree, base=work)


def judge(scorers: dict[str, Any], graph: Any) -> dict[str, dict[str, float]]:
    out = {}
    for name, scorer in scorers.items():
        found = kgrec.evaluate(scorer, graph, kgrec.Split.TEST)
        out[name] = {metric: round(found.metrics[metric], 5) for metric in METRICS}
        print(f"{name:28} {out[name]}", file=sys.stderr, flush=True)
    return out


def one_seed(config: kgrec.Config, graph: Any, seed: int, work: Path) -> dict[str, Any]:
    config = config.model_copy(update={"seed": seed})
    run = kgrec.train(config, graph, work / f"run-{seed}")
    scorers = {"kgrec": run.scorer, **run.scorer.parts}
    record = {
        key: run.record[key] for key in ("seconds", "closed_form", "fusion") if key in run.record
    }
    record["epochs"] = run.record.get("network", {}).get("epochs")
    epochs = run.record.get("network", {}).get("history", [])
    record["seconds_per_epoch"] = (
        float(np.median([e["seconds"] for e in epochs])) if epochs else None
    )
    record["peak_memory_mb"] = run.record["peak_memory_mb"]
    control = config.model_copy(
        update={
            "model": config.model.model_copy(update={"use_graph": False}),
            "closed_form": config.closed_form.model_copy(update={"enabled": False}),
        }
    )
    bare = kgrec.train(control, graph, work / f"run-{seed}-no-graph")
    scorers["network, no graph"] = bare.scorer.parts["network"]
    return {"seed": seed, "test": judge(scorers, graph), **record}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("set", choices=("ml-100k", "book-crossing", "amazon-book"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--no-floors", action="store_true")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    config = config_of(options.set, options.data, work, options.settings)
    started = time.perf_counter()
    with kgrec.open_store(config.store) as store:
        kgrec.ingest(kgrec.load_dataset(config.data, 0), store)
        graph = kgrec.fetch_graph(store)
    seconds = time.perf_counter() - started
    runs = [one_seed(config, graph, seed, work) for seed in options.seeds]
    mean = {
        name: {
            metric: [
                round(float(f([run["test"][name][metric] for run in runs])), 5)
                for f in (np.mean, np.std)
            ]
            for metric in METRICS
        }
        for name in runs[0]["test"]
    }
    floors = {} if options.no_floors else judge(kgrec.fit_floors(graph), graph)
    result = {
        "set": options.set,
        "load_seconds": seconds,
        "mean_sd": mean,
        "floors": floors,
        "runs": runs,
    }
    print(json.dumps(result, indent=2))
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
