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
from kgrec.training.trial_fits import Found, find_settings, fit_closed_form_alone, fit_network_alone

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
        asked: Indices of the items whose exposure is measured.
        attack: What is done to the one item asked for; None without an attack.
    """

    name: str
    make: Callable[[GraphData], GraphData]
    asked: tuple[int, ...]
    attack: Attack | None = None

    @property
    def target(self) -> int | None:
        """Index of the attacked item; None without one."""
        return self.asked[0] if self.attack is not None else None

    @property
    def key(self) -> str:
        """Names its file."""
        plain = self.name.replace(" ", "-").replace("%", "")
        if self.attack is None:
            items = ",".join(map(str, self.asked))
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
    found = find_settings(config, graph, folder)
    tell(f"settings found: {found.epochs} epochs, temperature {found.temperature:g}")
    cases = list(_cases(graph, bench.attacks, config.seed))
    measured = {}
    for case in cases:
        path = folder / f"{case.key}.json"
        if not path.is_file():
            write_json(path, _measure(case, graph, config, found))
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
    met = np.zeros(num_real, dtype=bool)
    met[train.user_index[(train.item_index == target) & (train.user_index < num_real)]] = True
    known = train.user_index < num_real
    seen = 0
    for users in torch.split(torch.arange(num_real), 1024):
        scores = scorer.score(users).clone()
        mine = known & (train.user_index >= int(users[0])) & (train.user_index <= int(users[-1]))
        rows = torch.from_numpy(train.user_index[mine]) - int(users[0])
        scores[rows, torch.from_numpy(train.item_index[mine])] = -torch.inf
        # Ties count for the attacker.
        above = (scores > scores[:, target : target + 1]).sum(dim=1)
        seen += int(((above < _K) & ~torch.from_numpy(met[users.numpy()])).sum())
    return seen / max(int((~met).sum()), 1)


def _cases(graph: GraphData, attacks: BenchAttacksConfig, seed: int) -> Iterator[Case]:
    popularity = np.bincount(graph.train.item_index, minlength=graph.num_items)
    rng = np.random.default_rng(seed)
    low, high = _PUSHED
    pushed = np.flatnonzero((popularity >= low) & (popularity <= high))
    nuked = np.argsort(-popularity, kind="stable")[:_NUKED]
    # Orders, not draws: the first targets are the same ones, however many are asked for.
    order = {True: rng.permutation(pushed), False: rng.permutation(nuked)}
    chosen = {push: items[: attacks.targets].tolist() for push, items in order.items()}
    done = [Attack(kind, attacks.share, attacks.profile) for kind in attacks.kinds]
    asked = tuple(sorted({item for attack in done for item in chosen[attack.pushes]}))
    yield Case("clean", lambda clean: clean, asked)
    for share in attacks.noise:
        make = partial(with_noise, share=share, seed=seed)
        yield Case(f"noise {share:.0%}", make, asked)
    for attack in done:
        name = f"{attack.kind} {'push' if attack.pushes else 'nuke'}"
        for number, target in enumerate(chosen[attack.pushes]):
            make = partial(attacked, attack=attack, target=target, seed=seed * 1000 + number)
            yield Case(name, make, (target,), attack)


def _measure(case: Case, clean: GraphData, config: Config, found: Found) -> Report:
    """Fits and judges one case, without the defence and with it."""
    graph, num_real = case.make(clean), clean.num_users
    guard = config.model_copy(
        update={"defence": config.defence.model_copy(update={"filter": True})}
    )
    left, told = defended(guard, graph)
    assert told is not None
    aside = _indices(graph, told["users"])
    fakes = graph.num_users - num_real
    out: Report = {
        "fakes": fakes,
        "fakes_found": float((aside >= num_real).sum() / fakes) if fakes else None,
        "real_set_aside": float((aside < num_real).sum() / num_real),
        "targets": told["targets"],
    }
    for model, fit in (("closed form", fit_closed_form_alone), ("network", fit_network_alone)):
        for name, learned in (("undefended", graph), ("defended", left)):
            if name == "defended" and learned is graph:  # nobody was set aside: the same fit
                out[f"{model}|{name}"] = out[f"{model}|undefended"]
                continue
            scorer = fit(config, learned, found)
            # Whoever was set aside is judged as well: that is what the defence costs.
            task = RankingTask(graph, Split.TEST, block_size=config.evaluation.block_size)
            out[f"{model}|{name}"] = {
                "ndcg": float(task.run(scorer, (_K,))[f"ndcg@{_K}"].mean()),
                "exposure": {str(t): exposure(scorer, graph, t, num_real) for t in case.asked},
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
                found = [each[f"{model}|{guard}"] for each in files]
                clean = measured[cases[0].key][f"{model}|undefended"]["exposure"]
                row: Report = {
                    "case": name,
                    "model": model,
                    "defence": guard == "defended",
                    "ndcg": float(np.mean([each["ndcg"] for each in found])),
                    "fakes_found": _mean([each["fakes_found"] for each in files]),
                    "real_set_aside": _mean([each["real_set_aside"] for each in files]),
                }
                if mine[0].target is not None:
                    pairs = [
                        (str(case.target), each["exposure"])
                        for case, each in zip(mine, found, strict=True)
                    ]
                    row["before"] = float(np.mean([clean[target] for target, _ in pairs]))
                    row["exposures"] = [seen[target] for target, seen in pairs]
                    row["exposure"] = float(np.mean(row["exposures"]))
                rows.append(row)
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _line(case: Case, found: Report) -> str:
    parts = []
    for model in ("closed form", "network"):
        for guard in ("undefended", "defended"):
            each = found[f"{model}|{guard}"]
            seen = "" if case.target is None else f" seen {each['exposure'][str(case.target)]:.4f}"
            parts.append(f"{model} {guard} {each['ndcg']:.4f}{seen}")
    return f"{case.key}: " + ", ".join(parts)


def _key(config: Config, graph: GraphData) -> str:
    sections = config.model_dump(mode="json", exclude={"data", "store"})
    about = [sections, graph.version, code(), __version__]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
