"""How long an explanation takes, and how well it agrees with deletion.

    python benchmarks/explain.py --run DIR --pairs 200          # a trained run
    python benchmarks/explain.py --generated --pairs 200        # the size of amazon-book

Generated: 70,000 users, 25,000 items, 650,000 interactions, 60,000 entities and 700,000 facts, the
popular ones drawn more often; three networks of two layers and 64 dimensions with random features,
and popularity. What an explanation costs depends on the graph and the sizes, not on what was
learned. Explanations have 5 paths, each with what it carries, and 3 counterfactuals. The machine's
load is told, as are CPU times, which other processes disturb less.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgrec.explanation.explainer import Explainer
from kgrec.explanation.quality import sample_pairs
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.linear_network import LinearNetwork
from kgrec.model.popularity import Popularity
from kgrec.schema import NodeLabel
from kgrec.training.directory import load_run
from kgrec.vocabulary import Vocabulary

USERS, ITEMS, ENTITIES = 70_000, 25_000, 60_000
INTERACTIONS, FACTS, RELATIONS = 650_000, 700_000, 20


@dataclass(frozen=True)
class Generated:
    """A scorer with names, as a run is."""

    scorer: Fusion
    vocabularies: dict[NodeLabel, Vocabulary]
    names: dict[NodeLabel, list[str]]


def generate(seed: int = 0) -> Generated:
    """Makes networks and popularity over a random graph."""
    rng = np.random.default_rng(seed)
    item = _popular(rng, ITEMS, INTERACTIONS)
    user = rng.integers(0, USERS, len(item))
    history = Incidence.from_pairs(torch.from_numpy(user), torch.from_numpy(item), USERS, ITEMS)
    user, item = history.rows.numpy(), history.columns.numpy() + USERS
    head = rng.integers(0, ITEMS, FACTS) + USERS
    tail = _popular(rng, ENTITIES, FACTS) + USERS + ITEMS
    kind = rng.integers(0, RELATIONS, FACTS)
    source = np.concatenate([user, item, head, tail])
    target = np.concatenate([item, user, tail, head])
    kinds = np.concatenate(
        [np.zeros(len(user)), np.ones(len(user)), 2 + 2 * kind, 3 + 2 * kind]
    ).astype(np.int64)
    names = ("INTERACTED", "rev_INTERACTED")
    names += tuple(name for n in range(RELATIONS) for name in (f"FACT_{n}", f"rev_FACT_{n}"))
    edges = torch.from_numpy(np.stack([source, target]))
    members = {}
    for number in range(3):
        generator = torch.Generator().manual_seed(seed + number)
        x = torch.randn(USERS + ITEMS + ENTITIES, 64, generator=generator) * 0.1
        weight = torch.rand(len(names), generator=generator) + 0.5
        linear = LinearNetwork.of_edges(x, edges, torch.from_numpy(kinds), weight, 2)
        members[str(number)] = PropagationScorer(linear, torch.zeros(ITEMS), history, names, 0.1)
    parts = {
        "network": Fusion(members, dict.fromkeys(members, 1 / 3)),
        "popularity": Popularity(history),
    }
    sizes = dict(zip(NodeLabel, (USERS, ITEMS, ENTITIES), strict=True))
    return Generated(
        Fusion(parts, {"network": 1.0, "popularity": 0.2}),
        {
            label: Vocabulary((f"{label}{n}" for n in range(size)), label)
            for label, size in sizes.items()
        },
        {label: [f"{label} {n}" for n in range(size)] for label, size in sizes.items()},
    )


def _popular(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Draws from 0 … size - 1 with chances falling like 1 / (rank + 50)."""
    chance = 1.0 / (np.arange(size) + 50)
    drawn: np.ndarray = rng.choice(size, count, p=chance / chance.sum())
    return drawn


def measure(served: Any, pairs: int, seed: int = 0) -> dict[str, Any]:
    """Explains pairs one by one, the first twice, as what all share is made with the first."""
    users = served.vocabularies[NodeLabel.USER].ids
    items = served.vocabularies[NodeLabel.ITEM].ids
    chosen = sample_pairs(served.scorer, pairs, seed=seed)
    explainer = Explainer(served)
    start = time.perf_counter()
    explainer.pair(users[chosen[0][0]], items[chosen[0][1]])
    first = time.perf_counter() - start
    wall, cpu, off, complete = [], [], [], []
    for user, item in chosen:
        ticks = time.perf_counter(), time.process_time()
        found = explainer.pair(users[user], items[item])
        wall.append(time.perf_counter() - ticks[0])
        cpu.append(time.process_time() - ticks[1])
        complete.append(found.paths_complete)
        served_score = float(served.scorer.score(torch.tensor([user]))[0, item])
        sums = (
            sum(part.share for part in found.parts),
            sum(own.share for own in found.own_items) + found.rest,
            sum(found.relations.values()),
            sum(layer.share for layer in found.layers) + found.beside_layers,
        )
        off.append(max(abs(one - served_score) for one in sums) / max(1.0, abs(served_score)))
    return {
        "pairs": len(chosen),
        "first_ms": 1000 * first,
        "wall_ms": _percentiles(wall),
        "cpu_ms": _percentiles(cpu),
        "largest_error": max(off),
        "complete": float(np.mean(complete)),
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{q}": float(np.percentile(seconds, q) * 1000) for q in (50, 95, 99)}


def main() -> None:
    """Measures what the command line asks for and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--generated", action="store_true")
    parser.add_argument("--pairs", type=int, default=200)
    given = parser.parse_args()
    if given.generated == (given.run is not None):
        parser.error("give either --run DIR or --generated")
    served = generate() if given.generated else load_run(given.run)
    print(json.dumps(measure(served, given.pairs), indent=2))


if __name__ == "__main__":
    main()
