"""A whole benchmark: splits into stores, every model fitted once a seed, each fit into its file."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgrec.bench.child import Launch, launch_process
from kgrec.bench.fits import Fit, Order, PerUser, read_result, read_users
from kgrec.bench.machine import origin
from kgrec.bench.peer import Peer
from kgrec.bench.peers import PEERS, find_peer
from kgrec.bench.results import (
    Difference,
    add_fit,
    compare,
    counted,
    keep_only,
    read_results,
    write_differences,
)
from kgrec.bench.sets import SplitStore, fill
from kgrec.config.bench import BenchConfig

logger = logging.getLogger(__name__)


def run_fits(
    bench: BenchConfig,
    settings: Mapping[str, Any],
    *,
    data: Path | None,
    work: Path,
    out: Path,
    only: Sequence[str] = (),
    fresh: bool = False,
    command: str = "",
    launch: Launch = launch_process,
    tell: Callable[[str], None] = logger.info,
) -> list[SplitStore]:
    """Fits what is not yet fitted, and writes it into the folder of results.

    Fits are kept in `work` and used again as long as graph, settings, seed and kgrec's version are
    the same. A model that fails does not stop the others.

    Args:
        bench: The section [bench].
        settings: The other sections.
        data: Folder of the set's files.
        work: Keeps stores and fits.
        out: The folder of results.
        only: Models to fit; of the others what is kept from before is taken. Empty is all.
        fresh: Whether everything else that is in the folder of results goes.
        command: What asked for it.
        launch: Carries out one fit.
        tell: Is told what is done, a line at a time.

    Returns:
        The splits.

    Raises:
        KgrecError: If the data or the settings cannot be used, a name is not a model's, or `out`
            holds something else.
    """
    earlier = read_results(out)  # before hours of fits
    peers = [find_peer(name) for name in bench.models]
    for name in only:
        if find_peer(name) not in peers:
            peers.append(PEERS[name])
    splits: dict[int, SplitStore] = {}
    for seed in bench.seeds:
        split_seed = _split_seed(bench, seed)
        if split_seed not in splits:
            splits[split_seed] = fill(bench, settings, data, work, split_seed)
            tell(f"split {split_seed}: {_in_words(splits[split_seed].counts)}")
    orders: dict[tuple[str, int], Order] = {}
    failures: dict[str, Fit] = {}
    for seed in bench.seeds:
        for peer in peers:
            order = _order(bench, peer, splits[_split_seed(bench, seed)], seed, work, command)
            fit = read_result(order.folder, order.key) or failures.get(order.key)
            if fit is None and (not only or peer.name in only):
                fit = _carry_out(order, launch, tell)
                if fit.error is not None:
                    failures[order.key] = fit
            if fit is not None:
                orders[peer.name, seed] = order
                add_fit(out, fit.model_copy(update={"seed": seed}))
    if fresh:
        keep_only(out, orders)
    _compare(out, orders, {} if fresh else earlier.differences)
    return list(splits.values())


def _carry_out(order: Order, launch: Launch, tell: Callable[[str], None]) -> Fit:
    error = launch(order)
    fit = read_result(order.folder, order.key)
    if error is None and fit is None:
        error = f"it ended without a result in {order.folder}"
    if error is not None or fit is None:
        tell(f"{order.model}, seed {order.seed}: {error}")
        return Fit.of(order, origin(), error=error)
    valid = ", ".join(f"{name} {value:.4f}" for name, value in fit.rows[""].valid.items())
    accuracy = f"{valid} on valid; " if valid else ""  # after a refit valid judges nothing
    cost = f"{fit.train_seconds:.1f} s, {fit.peak_memory_mb:.0f} MB"
    tell(f"{order.model}, seed {order.seed}: {accuracy}{cost}")
    return fit


def _compare(
    out: Path, orders: Mapping[tuple[str, int], Order], earlier: Mapping[str, Difference]
) -> None:
    """Compares the models with kgrec, as far as this run has the numbers of the users."""

    def users_of(fit: Fit) -> Mapping[str, PerUser] | None:
        order = orders.get((fit.model, fit.seed))
        result = None if order is None else read_result(order.folder, order.key)
        if order is None or result is None or result.date != fit.date:  # another machine's
            return None
        return read_users(order.folder, order.key)

    fits, _ = counted(read_results(out).fits)
    write_differences(out, compare(fits, earlier, users_of))


def _split_seed(bench: BenchConfig, seed: int) -> int:
    return seed if bench.split_seeds else 0


def _order(
    bench: BenchConfig, peer: Peer, split: SplitStore, seed: int, work: Path, command: str
) -> Order:
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
        split={"seed": split.seed, "graph_version": split.version, **split.counts},
        changes=split.config.model_dump(
            mode="json", exclude_defaults=True, exclude={"data", "store", "seed"}
        ),
        command=command,
    )


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
