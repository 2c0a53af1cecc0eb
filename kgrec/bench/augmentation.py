"""The table of synthetic edges: every source on the first split of a set, as one JSON object.

How it goes: the set into a store (`sets.fill`) -> graph and texts -> `bench.augment_trials`,
which keeps what it makes in a folder named after what it depends on, and goes on there -> the
report.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kgrec import __version__
from kgrec.bench.augment_trials import SPLITS, Trials, try_sources
from kgrec.bench.fits import code
from kgrec.bench.machine import commit, machine, now, own_peak_memory_mb, versions
from kgrec.bench.sets import SplitStore, fill
from kgrec.config import Config
from kgrec.config.bench import BenchConfig
from kgrec.evaluation.bootstrap import Interval
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.schema import Split
from kgrec.store.connect import open_store
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.climbing import Budget
from kgrec.training.fit import choose_device, read_texts
from kgrec.training.fitting import Fitting
from kgrec.training.inner_split import is_temporal
from kgrec.training.record import FitRecord

#: What is the same for every source, in words.
PROTOCOL = (
    "Every source proposes as many edges for the same users, those with few train interactions; "
    "the same networks learn on with them, and once more without any (none), for as long.",
    "Networks are judged with a term for log popularity, at the weight that suits the first of "
    "them untouched, found on valid.",
    "The gate sees valid alone. Test is ranked once a network and source; nothing is chosen by it.",
    "Differences are to none; 95 % intervals by a paired bootstrap over users and networks.",
    "Precision is of proposals for dense users made sparse, from whom no source has learned; for "
    "random and popularity it is the chance that a draw is right.",
    "Tail recall counts only items outside the most popular 20 % of the items in train.",
)

Report = dict[str, Any]


def run_augmentation(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    *,
    data: Path | None,
    work: Path,
    command: str,
    tell: Callable[[str], None],
    progress: bool = True,
) -> Report:
    """Compares the sources of synthetic edges; a killed run goes on where it was.

    Args:
        bench: The section [bench].
        settings: The other sections.
        data: Folder of the set's files.
        work: Keeps the store and what was made.
        command: How this was called.
        tell: Is told what is done, a line at a time.
        progress: Whether bars are shown on a terminal.

    Returns:
        `name`, `command`, `date`, `commit`, `machine`, `versions`, `protocol`, `split`, `settings`,
        `networks`, `epochs` of the networks, `plan`, `rows` (see `_row`), `gate` (`picked`,
        `words`), `versus` by split, `learned`, `seconds`, `peak_memory_mb` (of the process that
        ended it).

    Raises:
        KgrecError: If data or settings cannot be used.
    """
    split = fill(bench, settings, data, work, bench.seeds[0])
    tell(f"split {split.seed}: {split.counts['train']:,} train interactions")
    config = _config(bench, split)
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    folder = work / "augment" / _key(bench, config, graph)
    folder.mkdir(parents=True, exist_ok=True)
    fitting = _fitting(config, graph, folder, progress=progress)
    trials = try_sources(fitting, bench.augment.sources, tell)
    plan = trials.plan
    return {
        "name": bench.name,
        "command": command,
        "date": now(),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "protocol": list(PROTOCOL),
        "split": {"seed": split.seed, "graph_version": split.version, **split.counts},
        "thin": None if bench.thin is None else bench.thin.model_dump(),
        "settings": config.model_dump(
            mode="json", exclude_defaults=True, exclude={"data", "store", "seed"}
        ),
        "networks": bench.augment.networks,
        "epochs": fitting.networks[0].epochs,
        "plan": {
            "users": len(plan.users),
            "at_most": config.augment.at_most,
            "per_user": plan.per_user,
            "per_item": plan.per_item,
            "weight": plan.weight,
            "epochs": config.augment.epochs,
        },
        "rows": [_row(trials, name) for name in trials.ndcg[Split.VALID]],
        "gate": {
            "picked": trials.decisions[Split.VALID].winner,
            "words": trials.decisions[Split.VALID].words(),
        },
        "versus": {
            str(s): {
                f"{first} - {second}": asdict(interval)
                for (first, second), interval in trials.decisions[s].versus.items()
            }
            for s in SPLITS
        },
        "learned": dict(trials.learned),
        "seconds": fitting.record.seconds,
        "peak_memory_mb": own_peak_memory_mb(),
    }


def _config(bench: BenchConfig, split: SplitStore) -> Config:
    config = split.config
    training = config.training.model_copy(update={"ensemble": bench.augment.networks})
    return config.model_copy(update={"seed": bench.seeds[0], "training": training})


def _key(bench: BenchConfig, config: Config, graph: GraphData) -> str:
    """A hash of all that the numbers depend on; sources may be added to what is there."""
    sections = config.model_dump(mode="json", exclude={"data", "store"})
    sections["training"].pop("ensemble")  # more networks join those that are there
    about = [sections, graph.version, code(), __version__, bench.seeds[0]]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _fitting(config: Config, graph: GraphData, folder: Path, *, progress: bool) -> Fitting:
    choices = Choices.load(folder / CHOICES)
    choices.temporal = is_temporal(graph)
    device = choose_device(config.training.device)
    record = FitRecord(seed=config.seed, device=str(device))
    budget = Budget.of_minutes(config.search.minutes)
    text, _ = read_texts(config, graph)
    return Fitting(config, graph, text, device, folder, record, budget, choices, progress)


def _row(trials: Trials, name: str) -> Report:
    """What came of one source.

    Returns:
        `source`, `edges`, `precision` (None if unknown), and by split `ndcg` by cohort, `tail`,
        `networks` (NDCG of all users, one a network), `difference` by cohort and of `tail` (absent
        for none and untouched), `relative` (of sparse users) and `harmed`.
    """
    row: Report = {
        "source": name,
        "edges": trials.edges.get(name, 0),
        "precision": trials.precision.get(name),
    }
    for split in SPLITS:
        ndcg, tail = trials.ndcg[split][name], trials.tail[split][name]
        has_tail = np.isfinite(tail).all(axis=0)
        cohorts = {"all": np.ones(ndcg.shape[1], dtype=bool), **trials.cohorts[split]}
        values: Report = {
            "ndcg": {
                cohort: float(ndcg[:, members].mean())
                for cohort, members in cohorts.items()
                if members.any()
            },
            "tail": float(tail[:, has_tail].mean()) if has_tail.any() else None,
            "networks": ndcg.mean(axis=1).tolist(),
        }
        for verdict in trials.decisions[split].verdicts:
            if verdict.source == name:
                of_tail: Interval | None = verdict.tail
                values["difference"] = {
                    c: asdict(interval) for c, interval in verdict.cohorts.items()
                }
                values["difference"]["tail"] = None if of_tail is None else asdict(of_tail)
                values["relative"] = verdict.relative
                values["harmed"] = list(verdict.harmed)
        row[str(split)] = values
    return row
