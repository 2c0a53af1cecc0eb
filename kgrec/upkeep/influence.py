"""What a forgotten node still does to a run that was folded, beside one trained without it."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from kgrec.config import Config
from kgrec.graph.fetch import fetch_graph
from kgrec.model.scorer import Scorer
from kgrec.store.connect import open_store
from kgrec.training.directory import load_run
from kgrec.training.fit import train
from kgrec.upkeep.places import Receipt

#: Users whose lists are compared, drawn with the run's seed.
_MOST_USERS = 1_000
_BLOCK = 256
_K = 20


def with_influence(
    receipt: Receipt, config: Config, runs: Sequence[Path], *, progress: bool = True
) -> Receipt:
    """Trains each run's settings on the graph as it is, and says how the folded run differs.

    The new runs are not kept. Training is random where its data differ, too: `again_…` says how
    two trainings without the node differ that differ in the seed alone, which is the measure of
    what a difference means.

    Args:
        receipt: Of the forgetting.
        config: The settings of the store.
        runs: Directories of the folded runs.
        progress: Whether bars are shown on a terminal.
    """
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    influence = {}
    for directory in runs:
        run = load_run(directory)
        reseeded = run.config.model_copy(update={"seed": run.config.seed + 1})
        with tempfile.TemporaryDirectory(prefix="kgrec-") as folder:
            exact, repeat = (
                train(settings, graph, Path(folder) / name, progress=progress).scorer
                for name, settings in (("exact", run.config), ("again", reseeded))
            )
            difference = compare(run.scorer, exact, run.config.seed)
            noise = compare(repeat, exact, run.config.seed)
        influence[str(directory)] = difference | {
            f"again_{name}": value for name, value in noise.items()
        }
    return replace(receipt, influence=influence)


def compare(first: Scorer, second: Scorer, seed: int) -> dict[str, float]:
    """Compares two scorers of the same users and items.

    Returns:
        Means over users: `score_difference`, the mean absolute difference of standardised scores;
        `rank_correlation`, Spearman's over all items; `top_20_overlap`, the share of the first 20
        unseen items that both have.
    """
    generator = torch.Generator().manual_seed(seed)
    users = torch.randperm(first.num_users, generator=generator)[:_MOST_USERS].sort().values
    sums = torch.zeros(3, dtype=torch.float64)
    for block in torch.split(users, _BLOCK):
        first_scores, second_scores = (_standard(scorer.score(block)) for scorer in (first, second))
        sums[0] += float((first_scores - second_scores).abs().mean(dim=1).sum())
        ranks = [
            _standard(x.argsort(dim=1).argsort(dim=1).float())
            for x in (first_scores, second_scores)
        ]
        sums[1] += float((ranks[0] * ranks[1]).mean(dim=1).sum())
        seen_items, lengths = first.history.take(block)
        row = torch.repeat_interleave(torch.arange(len(block)), lengths)
        tops = []
        for scores in (first_scores, second_scores):
            scores[row, seen_items] = -torch.inf
            k = min(_K, scores.shape[1])
            best = torch.zeros_like(scores, dtype=torch.bool)
            tops.append(best.scatter_(1, scores.topk(k, dim=1).indices, True))
        sums[2] += float((tops[0] & tops[1]).sum()) / min(_K, first.num_items)
    means = (sums / max(len(users), 1)).tolist()
    names = ("score_difference", "rank_correlation", "top_20_overlap")
    return dict(zip(names, means, strict=True))


def _standard(scores: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(scores, dim=1, correction=0, keepdim=True)
    return (scores - mean) / deviation.clamp_min(1e-9)
