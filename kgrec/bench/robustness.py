"""What made-up interactions do to models, with the defence and without, as one JSON object.

How it goes: the set into a store -> settings are searched once, on clean data -> cases: clean,
noise of each share, each attack on each of its targets -> each case is fitted as it is, and once
more with what the defence leaves of it -> NDCG@20 of real users on test, and how many real users
who have not met the target see it among their first 20. What was measured is kept in a folder, so
a killed run goes on where it was, and one of more attacks or targets measures these alone.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgrec import __version__
from kgrec.bench.attacks import Attack, attacked, with_noise
from kgrec.bench.fits import code
from kgrec.bench.machine import commit, machine, now, versions
from kgrec.bench.sets import fill
from kgrec.config import Config
from kgrec.config.bench import BenchAttacksConfig, BenchConfig
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, IndexArray
from kgrec.graph.fetch import fetch_graph
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Split
from kgrec.store.connect import open_store
from kgrec.training.checkpoint import read_json, write_json
from kgrec.training.defence import defended
from kgrec.training.trial_fits import (
    TrialSettings,
    find_settings,
    fit_closed_form_alone,
    fit_network_alone,
)

_K = 20
#: Items that are pushed have so many users: known, but seen by hardly anyone.
_PUSHED = (5, 30)
#: Items that are nuked are among so many of the most popular.
_NUKED = 100

Report = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One state of the data.

    Attributes:
        name: `clean`, `noise 5%`, `bandwagon push` …
        make: Makes its graph from the clean one.
        items: Indices of the items whose exposure is measured.
        attack: What is done to the one item asked for; None without an attack.
    """

    name: str
    make: Callable[[GraphData], GraphData]
    items: tuple[int, ...]
    attack: Attack | None = None

    @property
    def target(self) -> int | None:
        """Index of the attacked item; None without one."""
        return self.items[0] if self.attack is not None else None

    @property
    def key(self) -> str:
        """Names its file."""
        plain = self.name.replace(" ", "-").replace("%", "")
        if self.attack is None:
            items = ",".join(map(str, self.items))
            return f"{plain}-{hashlib.sha256(items.encode()).hexdigest()[:8]}"
        return f"{plain}-{self.attack.share:g}-{self.attack.profile}-{self.target}"


def run_robustness(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    *,
    data: Path | None,
    work: Path,
    command: str,
    tell: Callable[[str], None],
) -> Report:
    """Attacks the first split of a set; a killed run goes on where it was.

    Args:
        bench: The section [bench].
        settings: The other sections.
        data: Folder of the set's files.
        work: Keeps the store and what was measured.
        command: How this was called.
        tell: Is told what is done, a line at a time.

    Returns:
        `name`, `command`, `date`, `commit`, `machine`, `versions`, `split`, `attacks` (the
        settings), `users`, and `rows`: by case, model and `defence` (bool) the mean `ndcg` and
        `exposure` over its targets (`before`: the same on clean data), `fakes_found` and
        `real_set_aside` as shares.

    Raises:
        KgrecError: If data or settings cannot be used.
    """
    split = fill(bench, settings, data, work, bench.seeds[0])
    config = split.config.model_copy(update={"seed": bench.seeds[0]})
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    folder = work / "attacks" / _key(config, graph)
    folder.mkdir(parents=True, exist_ok=True)
    trial_settings = find_settings(config, graph, folder)
    epochs, temperature = trial_settings.epochs, trial_settings.temperature
    tell(f"settings found: {epochs} epochs, temperature {temperature:g}")
    cases = list(_cases(graph, bench.attacks, config.seed))
    measured = {}
    for case in cases:
        path = folder / f"{case.key}.json"
        if not path.is_file():
            write_json(path, _measure(case, graph, config, trial_settings))
        measured[case.key] = read_json(path)
        tell(_line(case, measured[case.key]))
    return {
        "name": bench.name,
        "command": command,
        "date": now(),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "split": {"seed": split.seed, "graph_version": split.version, **split.counts},
        "attacks": bench.attacks.model_dump(mode="json"),
        "rows": _rows(cases, measured),
    }


def exposure(scorer: Scorer, graph: GraphData, target: int, num_real: int) -> float:
    """Gives the share of real users who have not met an item and see it among their first 20."""
    train = graph.train
    has_met = np.zeros(num_real, dtype=bool)
    has_met[train.user_index[(train.item_index == target) & (train.user_index < num_real)]] = True
    is_real = train.user_index < num_real
    num_exposed = 0
    for users in torch.split(torch.arange(num_real), 1024):
        scores = scorer.score(users).clone()
        mine = is_real & (train.user_index >= int(users[0])) & (train.user_index <= int(users[-1]))
        rows = torch.from_numpy(train.user_index[mine]) - int(users[0])
        scores[rows, torch.from_numpy(train.item_index[mine])] = -torch.inf
        # Ties count for the attacker.
        above = (scores > scores[:, target : target + 1]).sum(dim=1)
        num_exposed += int(((above < _K) & ~torch.from_numpy(has_met[users.numpy()])).sum())
    return num_exposed / max(int((~has_met).sum()), 1)


def _cases(graph: GraphData, attacks: BenchAttacksConfig, seed: int) -> Iterator[Case]:
    popularity = np.bincount(graph.train.item_index, minlength=graph.num_items)
    rng = np.random.default_rng(seed)
    low, high = _PUSHED
    pushed = np.flatnonzero((popularity >= low) & (popularity <= high))
    nuked = np.argsort(-popularity, kind="stable")[:_NUKED]
    # Orders, not draws: the first targets are the same ones, however many are asked for.
    order = {True: rng.permutation(pushed), False: rng.permutation(nuked)}
    targets = {push: items[: attacks.targets].tolist() for push, items in order.items()}
    all_attacks = [Attack(kind, attacks.share, attacks.profile) for kind in attacks.kinds]
    all_targets = tuple(sorted({item for attack in all_attacks for item in targets[attack.pushes]}))
    yield Case("clean", lambda clean: clean, all_targets)
    for share in attacks.noise:
        make = partial(with_noise, share=share, seed=seed)
        yield Case(f"noise {share:.0%}", make, all_targets)
    for attack in all_attacks:
        name = f"{attack.kind} {'push' if attack.pushes else 'nuke'}"
        for number, target in enumerate(targets[attack.pushes]):
            make = partial(attacked, attack=attack, target=target, seed=seed * 1000 + number)
            yield Case(name, make, (target,), attack)


def _measure(case: Case, clean: GraphData, config: Config, trial_settings: TrialSettings) -> Report:
    """Fits and judges one case, without the defence and with it."""
    graph, num_real = case.make(clean), clean.num_users
    guard = config.model_copy(
        update={"defence": config.defence.model_copy(update={"filter": True})}
    )
    defended_graph, record = defended(guard, graph)
    assert record is not None
    aside = _indices(graph, record.users)
    fakes = graph.num_users - num_real
    out: Report = {
        "fakes": fakes,
        "fakes_found": float((aside >= num_real).sum() / fakes) if fakes else None,
        "real_set_aside": float((aside < num_real).sum() / num_real),
        "targets": record.targets,
    }
    for model, fit in (("closed form", fit_closed_form_alone), ("network", fit_network_alone)):
        for name, learned in (("undefended", graph), ("defended", defended_graph)):
            if name == "defended" and learned is graph:  # nobody was set aside: the same fit
                out[f"{model}|{name}"] = out[f"{model}|undefended"]
                continue
            scorer = fit(config, learned, trial_settings)
            # Whoever was set aside is judged as well: that is what the defence costs.
            task = RankingTask(graph, Split.TEST, block_size=config.evaluation.block_size)
            out[f"{model}|{name}"] = {
                "ndcg": float(task.run(scorer, (_K,))[f"ndcg@{_K}"].mean()),
                "exposure": {str(t): exposure(scorer, graph, t, num_real) for t in case.items},
            }
    return out


def _indices(graph: GraphData, ids: Sequence[str]) -> IndexArray:
    vocabulary = graph.vocabularies[NodeLabel.USER]
    return np.asarray([vocabulary.index(name) for name in ids], dtype=np.int64)


def _rows(cases: Sequence[Case], measured: Mapping[str, Report]) -> list[Report]:
    """The mean over the targets of each attack, by model, undefended and defended."""
    rows = []
    for name in dict.fromkeys(case.name for case in cases):
        mine = [case for case in cases if case.name == name]
        files = [measured[case.key] for case in mine]
        for model in ("closed form", "network"):
            for guard in ("undefended", "defended"):
                results = [file[f"{model}|{guard}"] for file in files]
                clean = measured[cases[0].key][f"{model}|undefended"]["exposure"]
                row: Report = {
                    "case": name,
                    "model": model,
                    "defence": guard == "defended",
                    "ndcg": float(np.mean([result["ndcg"] for result in results])),
                    "fakes_found": _mean([file["fakes_found"] for file in files]),
                    "real_set_aside": _mean([file["real_set_aside"] for file in files]),
                }
                if mine[0].target is not None:
                    pairs = [
                        (str(case.target), result["exposure"])
                        for case, result in zip(mine, results, strict=True)
                    ]
                    row["before"] = float(np.mean([clean[target] for target, _ in pairs]))
                    row["exposures"] = [exposures[target] for target, exposures in pairs]
                    row["exposure"] = float(np.mean(row["exposures"]))
                rows.append(row)
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def _line(case: Case, results: Report) -> str:
    parts = []
    for model in ("closed form", "network"):
        for guard in ("undefended", "defended"):
            result = results[f"{model}|{guard}"]
            parts.append(f"{model} {guard} {result['ndcg']:.4f}")
            if case.target is not None:
                parts[-1] += f" seen {result['exposure'][str(case.target)]:.4f}"
    return f"{case.key}: " + ", ".join(parts)


def _key(config: Config, graph: GraphData) -> str:
    sections = config.model_dump(mode="json", exclude={"data", "store"})
    about = [sections, graph.version, code(), __version__]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
