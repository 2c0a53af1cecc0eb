"""A whole benchmark: splits into stores, every model fitted once a seed, one report."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgrec.bench.fits import Order, Result, read_result
from kgrec.bench.launch import Launch, launch_process
from kgrec.bench.peer import Peer
from kgrec.bench.peers import PEERS, find_peer
from kgrec.bench.sets import SplitStore, fill
from kgrec.config.bench import BenchConfig
from kgrec.errors import RunError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """All that came of one model.

    Attributes:
        peer: The model.
        results: By seed; seeds that failed are not there.
        errors: By seed, why there is no result.
    """

    peer: Peer
    results: dict[int, Result] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)


def run_fits(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    *,
    data: Path | None,
    work: Path,
    only: Sequence[str] = (),
    launch: Launch = launch_process,
    tell: Callable[[str], None] = logger.info,
) -> tuple[list[Outcomes], list[SplitStore]]:
    """Fits what is not yet fitted.

    Results are kept in `work` and used again as long as graph, settings, seed and kgrec's version
    are the same. A model that fails does not stop the others.

    Args:
        bench: The section [bench].
        settings: The other sections.
        data: Folder of the set's files.
        work: Keeps stores and results.
        only: Models to fit; of the others what is kept from before is taken. Empty is all.
        launch: Carries out one fit.
        tell: Is told what is done, a line at a time.

    Returns:
        What came of each model that has any result or failed, in the order of `bench.models`, and
        the splits.

    Raises:
        KgrecError: If the data or the settings cannot be used, or a name is not a model's.
    """
    peers = [find_peer(name) for name in bench.models]
    for name in only:
        if find_peer(name) not in peers:
            peers.append(PEERS[name])
    splits = {}
    for seed in bench.seeds:
        drawn = _split_seed(bench, seed)
        if drawn not in splits:
            splits[drawn] = fill(bench, settings, data, work, drawn)
            tell(f"split {drawn}: {_counted(splits[drawn].counts)}")
    outcomes = [Outcomes(peer) for peer in peers]
    for seed in bench.seeds:
        split = splits[_split_seed(bench, seed)]
        for outcome in outcomes:
            order = _order(bench, outcome.peer, split, seed, work)
            result = read_result(order.folder, order.key)
            if result is None and (not only or outcome.peer.name in only):
                result = _carry_out(order, launch, outcome, seed, tell)
            if result is not None:
                outcome.results[seed] = result
    return [each for each in outcomes if each.results or each.errors], list(splits.values())


def _carry_out(
    order: Order, launch: Launch, outcome: Outcomes, seed: int, tell: Callable[[str], None]
) -> Result | None:
    if order.seed != seed and order.seed in outcome.errors:  # the same fit, which failed before
        outcome.errors[seed] = outcome.errors[order.seed]
        return None
    error = launch(order)
    result = read_result(order.folder, order.key)
    if error is None and result is None:
        error = f"it ended without a result in {order.folder}"
    if error is not None:
        outcome.errors[seed] = error
        tell(f"{order.model}, seed {seed}: {error}")
        return None
    if result is None:
        raise RunError(f"no result in {order.folder}; run the benchmark again")
    valid = ", ".join(f"{name} {value:.4f}" for name, value in result.rows[""].valid.items())
    judged = f"{valid} on valid; " if valid else ""  # after a refit valid judges nothing
    cost = f"{result.train_seconds:.1f} s, {result.peak_memory_mb:.0f} MB"
    tell(f"{order.model}, seed {seed}: {judged}{cost}")
    return result


def _split_seed(bench: BenchConfig, seed: int) -> int:
    return seed if bench.split_seeds else 0


def _order(bench: BenchConfig, peer: Peer, split: SplitStore, seed: int, work: Path) -> Order:
    # What draws nothing gives the same on one split whatever the seed.
    seed = seed if peer.seeded or bench.split_seeds else bench.seeds[0]
    return Order(
        model=peer.name,
        settings=peer.settings,
        seed=seed,
        config=split.config.model_dump(mode="json"),
        version=split.version,
        refit=bench.refit,
        minutes=bench.minutes,
        cold=bench.cold,
        sections=peer.sections,
        folder=(work / "fits" / f"{peer.name}-seed{seed}").resolve(),
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
