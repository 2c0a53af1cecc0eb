"""How long a full evaluation takes: 10,000 users ranked over 25,000 items.

    python benchmarks/evaluate.py [--users 10000] [--items 25000] [--block-size 1024] [--seed 0]

A made-up graph and a scorer of 64-dimensional embeddings, whose scoring time is measured apart:
the rest is evaluation. Prints one JSON object.
"""

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgrec.evaluation.evaluate import evaluate, peak_memory_mb
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.scorer import Contributions
from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.vocabulary import Vocabulary

CHANNELS = 64
INTERACTIONS_A_USER = 20
NUM_ENTITIES = 5_000
FACTS_AN_ITEM = 6


class Embeddings:
    """Inner products of random embeddings; counts the seconds it spends."""

    def __init__(self, num_users: int, num_items: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.user = torch.randn(num_users, CHANNELS, generator=generator)
        self.item = torch.randn(num_items, CHANNELS, generator=generator)
        self.seconds = 0.0

    @property
    def num_users(self) -> int:
        return len(self.user)

    @property
    def num_items(self) -> int:
        return len(self.item)

    def score(self, user_indices: Tensor) -> Tensor:
        start = time.perf_counter()
        scores = self.user[user_indices] @ self.item.T
        self.seconds += time.perf_counter() - start
        return scores

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        raise NotImplementedError("the benchmark only ranks")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        raise NotImplementedError("the benchmark only ranks")

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> "Embeddings":
        raise NotImplementedError("the benchmark only ranks")


def make_graph(num_users: int, num_items: int, seed: int) -> GraphData:
    """Skewed interactions, 10 % valid and 10 % test, and relations to entities."""
    rng = np.random.default_rng(seed)
    number = num_users * INTERACTIONS_A_USER
    user = rng.integers(num_users, size=number)
    item = (rng.random(number) ** 3 * num_items).astype(np.int64)
    keys = np.unique(user * num_items + item)
    rng.shuffle(keys)
    parts = np.split(keys, [len(keys) // 10, len(keys) // 5])
    valid, test, train = (Interactions(part // num_items, part % num_items) for part in parts)
    relation = RelationEdges(
        "about",
        EdgeKey("ABOUT", NodeLabel.ITEM, NodeLabel.ENTITY),
        rng.integers(num_items, size=num_items * FACTS_AN_ITEM),
        rng.integers(NUM_ENTITIES, size=num_items * FACTS_AN_ITEM),
    )
    sizes = {
        NodeLabel.USER: num_users,
        NodeLabel.ITEM: num_items,
        NodeLabel.ENTITY: NUM_ENTITIES,
    }
    vocabularies = {label: Vocabulary(map(str, range(n)), label) for label, n in sizes.items()}
    held_out = {Split.VALID: valid, Split.TEST: test}
    return GraphData("benchmark", vocabularies, {}, train, held_out, (relation,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=25_000)
    parser.add_argument("--block-size", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    graph = make_graph(args.users, args.items, args.seed)
    scorer = Embeddings(args.users, args.items, args.seed)
    before = peak_memory_mb()

    task = RankingTask(graph, Split.VALID, block_size=args.block_size)
    start = time.perf_counter()
    task.run(scorer, (20,))
    epoch = time.perf_counter() - start
    epoch_scoring, scorer.seconds = scorer.seconds, 0.0

    evaluation = evaluate(
        scorer, graph, Split.TEST, k=(10, 20), block_size=args.block_size, seed=args.seed
    )
    print(
        json.dumps(
            {
                "users": args.users,
                "items": args.items,
                "block_size": args.block_size,
                "judged_users": evaluation.num_users,
                "epoch_seconds": round(epoch, 2),
                "epoch_seconds_scoring": round(epoch_scoring, 2),
                "evaluate_seconds": round(evaluation.seconds, 2),
                "evaluate_seconds_scoring": round(scorer.seconds, 2),
                "peak_memory_mb_added": round(peak_memory_mb() - before),
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
