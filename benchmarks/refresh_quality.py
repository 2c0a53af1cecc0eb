"""How well users are served who were folded in, beside a run that was trained with them.

    python benchmarks/refresh_quality.py --seeds 0 --users 100 --epochs 6

Of ml-100k some users leave altogether, a run is trained without them, and they are folded in. The
same settings are trained with them. Both are asked for these users' test items. Prints one JSON
object a seed: NDCG@20 of both with the paired difference's standard error, of popularity, of each
part alone, and with the popularity of the training kept instead of counted anew.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.data.movielens import demo_config
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.model.fusion import Fusion
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel, Split
from kgrec.store.connect import open_store
from kgrec.training.fit import train
from kgrec.upkeep.fold import fold_run
from kgrec.vocabulary import Vocabulary


def without_users(graph: GraphData, gone: np.ndarray) -> GraphData:
    """The graph as if some users had never come."""
    stays = np.ones(graph.num_users, dtype=bool)
    stays[gone] = False
    place = np.cumsum(stays) - 1

    def pairs(some: Interactions) -> Interactions:
        kept = some.take(stays[some.user_index])
        return replace(kept, user_index=place[kept.user_index])

    def edges(some: RelationEdges) -> RelationEdges:
        kept = np.ones(len(some), dtype=bool)
        for label, index in ((some.key.head, some.head_index), (some.key.tail, some.tail_index)):
            kept &= stays[index] if label is NodeLabel.USER else True
        some = some.take(kept)
        head = place[some.head_index] if some.key.head is NodeLabel.USER else some.head_index
        tail = place[some.tail_index] if some.key.tail is NodeLabel.USER else some.tail_index
        return replace(some, head_index=head, tail_index=tail)

    users = graph.vocabularies[NodeLabel.USER]
    kept_ids = [key for key, stay in zip(users.ids, stays, strict=True) if stay]
    frame = graph.properties[NodeLabel.USER]
    return replace(
        graph,
        version=f"{graph.version}-without",
        vocabularies={**graph.vocabularies, NodeLabel.USER: Vocabulary(kept_ids, NodeLabel.USER)},
        properties={**graph.properties, NodeLabel.USER: frame[stays].reset_index(drop=True)},
        train=pairs(graph.train),
        held_out={split: pairs(some) for split, some in graph.held_out.items()},
        relations=tuple(map(edges, graph.relations)),
    )


def settings(epochs: int, seed: int, minutes: float) -> Config:
    """The demo's, for fewer epochs, one network and short searches, without cold items."""
    tree = demo_config().model_dump()
    tree["seed"] = seed
    tree["training"] |= {"epochs": epochs, "ensemble": 1, "evaluate_every": 2}
    tree["model"]["temperature"] = 0.2
    tree["search"]["minutes"] = minutes
    tree["cold"]["enabled"] = False
    return Config.build(tree)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=2.0, help="for all searches of a training")
    given = parser.parse_args()
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), settings(given.epochs, seed, given.minutes), given.users)
            print(json.dumps(found), flush=True)


def measure(folder: Path, config: Config, count: int) -> dict[str, object]:
    """Trains both runs, folds, and judges the users who left."""
    seed = config.seed
    with open_store(f"embedded:{folder / 'graph.kgl'}") as store:
        write_dataset(load_dataset(config.data, config.seed), store, progress=False)
        graph = fetch_graph(store)
    asked = np.unique(graph.held_out[Split.TEST].user_index)
    asked = asked[np.isin(asked, graph.train.user_index)]
    gone = np.sort(np.random.default_rng(seed).choice(asked, count, replace=False))
    whole = train(config, graph, folder / "whole", progress=False)
    less = train(config, without_users(graph, gone), folder / "less", progress=False)
    folded = fold_run(less, graph).scorer
    task = RankingTask(graph, Split.TEST)
    rows = np.isin(task.users, gone)

    def judged(scorer: Scorer) -> np.ndarray:
        return task.run(scorer, k=(20,))["ndcg@20"][rows]

    mine, theirs = judged(folded), judged(whole.scorer)
    found: dict[str, object] = {
        "seed": seed,
        "users": int(rows.sum()),
        "folded": round(float(mine.mean()), 4),
        "trained": round(float(theirs.mean()), 4),
        "ratio": round(float(mine.mean() / theirs.mean()), 4),
        "error": round(float((mine - theirs).std(ddof=1) / len(mine) ** 0.5), 4),
        "popularity": round(float(judged(Popularity(whole.scorer.history)).mean()), 4),
        "weights": {"less": less.scorer.part_weights, "whole": whole.scorer.part_weights},
    }
    parts = {}
    for name in sorted(set(folded.parts) | set(whole.scorer.parts)):
        both = [s.parts[name] for s in (folded, whole.scorer) if name in s.parts]
        parts[name] = [round(float(judged(part).mean()), 4) for part in both]
    found["parts"] = parts
    found["popularity_kept"] = round(float(judged(_kept_popularity(folded, less)).mean()), 4)
    return found


def _kept_popularity(folded: Scorer, less: object) -> Scorer:
    """The folded fusion with the popularity that the training counted."""
    inner = folded
    while not isinstance(inner, Fusion):
        inner = inner.scorer  # type: ignore[attr-defined]
    if "popularity" not in inner.parts:
        return inner
    old = Popularity(inner.history)
    old.item_score = less.scorer.parts["popularity"].item_score  # type: ignore[attr-defined]
    parts = {**inner.parts, "popularity": old}
    return Fusion(parts, inner.part_weights, inner.part_scales)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
