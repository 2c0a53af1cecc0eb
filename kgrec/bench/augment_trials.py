"""What each source of synthetic edges is worth to the networks, on valid and on test.

How it goes: edges of each source, as many for the same users (`Proposals`) -> networks from
initial values, one a seed -> each network learns on with each source's edges, and once more with
nobody's, for as long -> NDCG@20 and recall@20 of tail items of every user of valid and of test ->
the gate, which sees valid alone. All of it goes through files, each whole or absent: edges a
source, a checkpoint a network, measurements a network and source. What is there is not made again,
so a killed run goes on where it was. The closed form is there only while edges are made, so the
rest needs little memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kgrec.augment.gate import NONE, SPARSE, UNTOUCHED, Decision, decide
from kgrec.augment.sources import Plan
from kgrec.augment.world import masked_world
from kgrec.bench.controls import DrawnSource, drawn_precision
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.cohorts import tail_items, user_cohorts
from kgrec.evaluation.metrics import FloatArray
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import SyntheticEdges
from kgrec.model.fusion import Fusion
from kgrec.model.scorer import Scorer
from kgrec.schema import Split
from kgrec.training.augmentation import measured, popularity_term
from kgrec.training.checkpoint import load_tensors, read_json, save_tensors, write_json
from kgrec.training.fitting import Fitting
from kgrec.training.inner_split import history_of
from kgrec.training.networks import learner_of
from kgrec.training.part import fit_part, part_of
from kgrec.training.proposals import Proposals

SPLITS = (Split.VALID, Split.TEST)
#: Those that users may set, and controls: the generator as it was before it met its adversary, and
#: draws that know nothing of taste.
SOURCES = ("teacher", "knn", "generator", "gan", "popularity", "random")
_CONTROLS = {"popularity", "random"}
_TAUGHT, _LEARNED = {"teacher", "generator", "gan"}, {"generator", "gan"}

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Trials:
    """What came of every source.

    Attributes:
        edges: Edges by source, `none` and `untouched` have none.
        plan: For whom they were.
        ndcg: By split and source NDCG@20 (s, n) of s networks and n users.
        tail: Likewise recall@20 of tail items; NaN for users without any.
        cohorts: By split the users (n,) of each cohort, `sparse` among them.
        decisions: By split. That of valid is the gate's; that of test only holds the differences,
            nothing is picked by it.
        precision: By source the share of right ones among its proposals for users made sparse.
        learned: What was measured of the sources that learn.
    """

    edges: Mapping[str, int]
    plan: Plan
    ndcg: Mapping[Split, Mapping[str, FloatArray]]
    tail: Mapping[Split, Mapping[str, FloatArray]]
    cohorts: Mapping[Split, Mapping[str, npt.NDArray[np.bool_]]]
    decisions: Mapping[Split, Decision]
    precision: Mapping[str, float]
    learned: Mapping[str, Any]


def try_sources(fitting: Fitting, sources: Sequence[str], tell: Tell) -> Trials:
    """Lets all networks learn on with the edges of all sources, and measures them.

    Args:
        fitting: What is needed; `work` keeps what is made, `training.ensemble` networks.
        sources: By name; empty are all that the data allows.
        tell: Is told what was done, a line at a time.

    Raises:
        ConfigError: If there is no such source, or the data does not allow it.
        DataError: If valid or test is empty, or valid has no user with few interactions.
    """
    assert fitting.work is not None, "trials keep what they make"
    graph, block_size = fitting.graph, fitting.config.evaluation.block_size
    tasks = {split: RankingTask(graph, split, block_size=block_size) for split in SPLITS}
    plan = Plan.for_sparse_nodes(fitting.history, fitting.config.augment)
    cohorts = {
        split: {
            **user_cohorts(graph.train, task.users),
            SPARSE: np.isin(task.users, plan.users),
        }
        for split, task in tasks.items()
    }
    if not cohorts[Split.VALID][SPARSE].any():
        raise DataError(
            f"no user of valid has 1 to {fitting.config.augment.at_most} interactions in train, so "
            f"there is nobody whom edges could help; raise augment.at_most, or thin the set"
        )
    proposed, learned = _edges(fitting, sources, fitting.work, tell)
    values = _measurements(fitting, proposed, tasks, fitting.work, tell)
    ndcg, tail = ({split: values[split, metric] for split in SPLITS} for metric in ("ndcg", "tail"))
    seed = fitting.config.seed
    return Trials(
        edges={name: len(edges) for name, edges in proposed.items()},
        plan=plan,
        ndcg=ndcg,
        tail=tail,
        cohorts=cohorts,
        decisions={s: decide(ndcg[s], tail[s], cohorts[s], seed=seed) for s in SPLITS},
        precision=_precision(fitting, learned),
        learned=learned,
    )


def _edges(
    fitting: Fitting, sources: Sequence[str], folder: Path, tell: Tell
) -> tuple[dict[str, SyntheticEdges], dict[str, Any]]:
    """The edges of each source, and what was measured of those that learn."""
    names = tuple(sources) or _possible(fitting)
    paths = {name: folder / f"edges-{name}.safetensors" for name in names}
    report = folder / "learned.json"
    missing = {name for name in names if not paths[name].is_file()}
    parts: dict[str, Scorer] = {}
    for name, askers in (("closed_form", _TAUGHT), ("factors", _LEARNED)):
        scorer = fit_part(fitting, part_of(name)) if missing & askers else None
        if scorer is not None:
            parts[name] = scorer
    proposals = Proposals(fitting, parts)
    for name in names:
        _require(proposals, name)
        if name in missing:
            if name in _CONTROLS:
                source = DrawnSource(name, by_popularity=name == "popularity")
                edges = source.propose(proposals.plan, fitting.config.seed)
            else:
                edges = proposals.of(name)
            measured_before = read_json(report) if report.is_file() else {}
            write_json(report, {**measured_before, **proposals.report})
            columns = (edges.user_index, edges.item_index, edges.weight)
            keys = ("user", "item", "weight")
            tensors = {k: torch.from_numpy(c) for k, c in zip(keys, columns, strict=True)}
            save_tensors(paths[name], tensors, {"source": name, "seed": edges.seed})
            tell(f"{name} proposes {len(edges):,} edges")
    read = {name: _read_edges(path) for name, path in paths.items()}
    return read, read_json(report) if report.is_file() else {}


def _possible(fitting: Fitting) -> tuple[str, ...]:
    """The sources, controls among them, that this data allows."""
    allowed = {*Proposals(fitting, {}).possible(), *_CONTROLS}
    if "gan" in allowed:
        allowed.add("generator")
    return tuple(name for name in SOURCES if name in allowed)


def _require(proposals: Proposals, name: str) -> None:
    if name not in SOURCES:
        raise ConfigError(
            f"bench.augment.sources names {name!r}, expected some of {', '.join(SOURCES)}; check "
            f"its spelling"
        )
    if name not in _CONTROLS:
        proposals.require("gan" if name == "generator" else name)


def _read_edges(path: Path) -> SyntheticEdges:
    tensors, header = load_tensors(path)
    user, item, weight = (tensors[name].numpy() for name in ("user", "item", "weight"))
    return SyntheticEdges(user, item, weight, header["source"], header["seed"])


def _measurements(
    fitting: Fitting,
    proposed: Mapping[str, SyntheticEdges],
    tasks: Mapping[Split, RankingTask],
    folder: Path,
    tell: Tell,
) -> dict[tuple[Split, str], dict[str, FloatArray]]:
    """NDCG@20 and tail recall@20 (s, n) by split and metric, then by source."""
    learner = learner_of(fitting)
    count, epochs = fitting.config.training.ensemble, fitting.config.augment.epochs
    untouched = [learner.train(number) for number in range(count)]
    tell(f"{count} networks, {fitting.networks[0].epochs} epochs each")
    with_term = popularity_term(fitting, untouched[0])
    tail = tail_items(fitting.graph.train, fitting.graph.num_items)
    edges_of: dict[str, SyntheticEdges | None] = {UNTOUCHED: None, NONE: None, **proposed}
    values_of: dict[str, list[dict[str, FloatArray]]] = {name: [] for name in edges_of}
    for number in range(count):  # network by network: what is killed early is still paired
        for name, edges in edges_of.items():
            path = folder / f"measured-{name}-{number}.safetensors"
            if not path.is_file():
                scorer = untouched[number]
                if name != UNTOUCHED:
                    scorer = learner.go_on(number, edges, epochs, keep=False)
                _measure(with_term(scorer), tasks, tail, path)
            tensors, _ = load_tensors(path)
            values_of[name].append({key: value.numpy() for key, value in tensors.items()})
        tell(f"network {number + 1} of {count}: " + _means(values_of, tasks))
    return {
        (split, metric): {
            name: np.stack([values[f"{split}_{metric}"] for values in measurements])
            for name, measurements in values_of.items()
        }
        for split in SPLITS
        for metric in ("ndcg", "tail")
    }


def _measure(
    scorer: Fusion, tasks: Mapping[Split, RankingTask], tail: npt.NDArray[np.bool_], path: Path
) -> None:
    tensors = {}
    for split, task in tasks.items():
        for metric, values in zip(("ndcg", "tail"), measured(scorer, task, tail), strict=True):
            tensors[f"{split}_{metric}"] = torch.from_numpy(values)
    save_tensors(path, tensors, {})


def _means(
    values_of: Mapping[str, list[dict[str, FloatArray]]], tasks: Mapping[Split, RankingTask]
) -> str:
    """NDCG@20 on valid alone: nobody who watches a run should see test before it ends."""
    assert Split.VALID in tasks
    return ", ".join(
        f"{name} {values[-1][f'{Split.VALID}_ndcg'].mean():.4f}"
        for name, values in values_of.items()
    )


def _precision(fitting: Fitting, learned: Mapping[str, Any]) -> dict[str, float]:
    """How often each source's proposals for users made sparse are right, as far as it is known."""
    config = fitting.config
    of_generator = learned.get("generator", {}).get("precision", {})
    precision = {
        name: of_generator[name] for name in ("teacher", "knn", "generator") if name in of_generator
    }
    if "gan" in learned:
        precision["gan"] = learned["gan"]["precision"]["generator"]
    try:
        world = masked_world(
            fitting.graph,
            fitting.history,
            at_most=config.augment.at_most,
            most=config.augment.gan.most_users,
            seed=config.seed,
        )
    except DataError:  # nobody is dense
        return precision
    history = history_of(world.graph)
    popularity = torch.bincount(history.columns, minlength=history.num_columns)
    precision["popularity"] = drawn_precision(world, popularity)
    precision["random"] = drawn_precision(world, torch.ones(history.num_columns))
    return precision
