"""The parts of a recommender, each fitted as the settings and what was found before say."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.config import Config
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.graph.tensors import build_hetero
from kgrec.model.closed_form import ClosedForm
from kgrec.model.directed import DirectedRidge
from kgrec.model.fusion import Fusion
from kgrec.model.gram import user_weights
from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphTensors, RelationPropagation
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.model.user_side import UserSide
from kgrec.model.wmf import WeightedMF
from kgrec.progress import progress_bar
from kgrec.schema import NodeLabel, Split
from kgrec.training.budget import Budget
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.closed_form_search import ClosedFormSettings, search_closed_form
from kgrec.training.inner_split import history_of, time_ranks
from kgrec.training.loop import train_network
from kgrec.training.relation_rows import relation_rows
from kgrec.training.resume import Progress
from kgrec.training.side_searches import search_directed, search_factors, search_user_side

logger = logging.getLogger(__name__)

#: Users of valid that early stopping asks; more would cost large data sets more than the training.
_STOPPING_USERS = 10_000

TextFeatures = Mapping[NodeLabel, npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Fitting:
    """What every part needs to be fitted.

    Attributes:
        config: The settings.
        graph: Its train interactions are learned from.
        text: Text features, or None.
        device: Where the network is trained.
        work: Folder for checkpoints; None keeps none.
        record: Is told what was chosen and measured.
        budget: How long all searches may take.
        choices: What was found.
        progress: Whether bars are shown on a terminal.
    """

    config: Config
    graph: GraphData
    text: TextFeatures | None
    device: torch.device
    work: Path | None
    record: dict[str, Any]
    budget: Budget
    choices: Choices
    progress: bool

    @cached_property
    def history(self) -> Incidence:
        """The training items of each user."""
        return history_of(self.graph)

    @cached_property
    def ranks(self) -> Tensor | None:
        """Each entry's place among its user's by time; None without times."""
        return time_ranks(self.graph.train, self.history)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the seconds of a step to the record."""
        started = time.perf_counter()
        yield
        seconds = self.record["seconds"]
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

    def valid_task(self, max_users: int | None, *, warm: bool = False) -> RankingTask | None:
        """Gives the valid split, or of it the items that train knows; None if there is nothing."""
        graph = self.graph
        valid = graph.held_out.get(Split.VALID)
        if valid is not None and warm:
            known = np.isin(valid.item_index, graph.train.item_index)
            valid = Interactions(valid.user_index[known], valid.item_index[known])
            graph = replace(graph, held_out={**graph.held_out, Split.VALID: valid})
        if valid is None or not len(valid):
            return None
        block_size = self.config.evaluation.block_size
        return RankingTask(graph, Split.VALID, block_size=block_size, max_users=max_users)


def fit_parts(fitting: Fitting) -> dict[str, Scorer]:
    """Fits every part that the settings ask for and the data allow.

    Returns:
        By name: `network`, `closed_form`, `user_side`, `factors`, `directed`, `popularity`.
    """
    makers: dict[str, Callable[[Fitting], Scorer | None]] = {
        "closed_form": _closed_form,
        "user_side": _user_side,
        "factors": _factors,
        "directed": _directed,
        "network": _network,
    }
    parts = {}
    for name, make in makers.items():
        part = make(fitting)
        if part is not None:
            parts[name] = part
        if fitting.work is not None:
            fitting.choices.save(fitting.work / CHOICES)
    if fitting.config.fusion.popularity or not parts:
        parts["popularity"] = Popularity(fitting.history)
    return parts


def _network(fitting: Fitting) -> Scorer | None:
    """Trains one network a seed; several are a fusion of equals."""
    config = fitting.config
    if not config.fusion.network:
        return None
    with fitting.timed("network"):
        text = fitting.text if config.model.use_text else None
        hetero = build_hetero(fitting.graph, text)
        tensors = GraphTensors.from_hetero(hetero, use_graph=config.model.use_graph)
        tensors = tensors.to(fitting.device)
        count = config.training.ensemble
        scorers = {str(number): _one_network(fitting, tensors, number) for number in range(count)}
    if count == 1:
        return scorers["0"]
    return Fusion(scorers, dict.fromkeys(scorers, 1.0 / count))


def _one_network(fitting: Fitting, tensors: GraphTensors, number: int) -> Scorer:
    config, training = fitting.config, fitting.config.training
    chosen = fitting.choices.epochs[number:]
    task = None if chosen else fitting.valid_task(_STOPPING_USERS)
    if chosen:
        training = training.model_copy(update={"epochs": chosen[0]})
    name = f"checkpoint-{number}.safetensors"

    def validate(scorer: Scorer) -> float:
        assert task is not None
        return float(task.run(scorer, k=(20,))["ndcg@20"].mean())

    title = f"train network {number + 1} of {config.training.ensemble}"
    with progress_bar(title, training.epochs, shown=fitting.progress) as advance:
        scorer, network, state = train_network(
            tensors,
            fitting.history.to(fitting.device),
            config.model,
            training,
            seed=config.seed * 1000 + number,
            validate=None if task is None else validate,
            checkpoint=None if fitting.work is None else fitting.work / name,
            on_epoch=lambda epoch: advance(" ".join(f"{k} {v:.4g}" for k, v in epoch.items())),
        )
    if number == 0 and isinstance(network.encoder, RelationPropagation):
        weights = network.encoder.relation_weights().tolist()
        named = dict(zip(network.relation_names, weights, strict=True))
        fitting.record["relation_weights"] = named
    if not chosen:  # else valid was not asked: what it said before stands
        _tell(fitting, state, sum(p.numel() for p in network.parameters()))
    return scorer.to(torch.device("cpu"))


def _tell(fitting: Fitting, state: Progress, parameters: int) -> None:
    """Puts a network's training into the record."""
    fitting.choices.epochs.append(state.best_epoch or state.epoch)
    found = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "valid_ndcg@20": state.best if state.best_epoch else None,
        "parameters": parameters,
        "text": fitting.text is not None and fitting.config.model.use_text,
        "history": state.history,
    }
    if "network" in fitting.record:
        fitting.record["network"].setdefault("others", []).append(found)
    else:
        fitting.record["network"] = found


def _closed_form(fitting: Fitting) -> Scorer | None:
    settings, graph = fitting.config.closed_form, fitting.graph
    if not settings.enabled:
        fitting.record["closed_form"] = None
        return None
    with (
        fitting.timed("closed_form"),
        progress_bar("closed form: search", None, shown=fitting.progress) as advance,
    ):
        found = fitting.choices.closed_form
        if found is None:
            found = search_closed_form(
                graph,
                settings,
                seed=fitting.config.seed,
                temporal=fitting.choices.temporal,
                budget=fitting.budget,
                on_trial=advance,
            )
            fitting.choices.closed_form = found
        fitting.record["closed_form"] = asdict(found)
        advance(f"solve for {graph.num_items:,} items")
        if graph.num_items > settings.max_items:
            return _sparse_closed_form(fitting, found)
        return ClosedForm.fit(
            fitting.history,
            relation_rows(graph),
            found.relation_weights,
            found.ridge,
            found.refinements,
            fitting.ranks,
        )


def _sparse_closed_form(fitting: Fitting, found: ClosedFormSettings) -> Scorer:
    """The closed form where the dense inverse stops; without kernel and recency."""
    refinements = found.refinements
    return SparseClosedForm.fit(
        fitting.history,
        relation_rows(fitting.graph),
        found.relation_weights,
        found.ridge,
        user_weight=user_weights(fitting.history.lengths, refinements.user_exponent),
        dropout=refinements.dropout,
        popularity_exponent=refinements.popularity_exponent,
    )


def _user_side(fitting: Fitting) -> Scorer | None:
    settings, graph = fitting.config.user_side, fitting.graph
    if not settings.enabled or _too_many("user side", graph.num_users, settings.max_users):
        return None
    with (
        fitting.timed("user_side"),
        progress_bar("user side: search", None, shown=fitting.progress) as advance,
    ):
        found = fitting.choices.user_side
        if found is None:
            found = search_user_side(
                graph,
                seed=fitting.config.seed,
                temporal=fitting.choices.temporal,
                budget=fitting.budget,
            )
            fitting.choices.user_side = found
        fitting.record["user_side"] = asdict(found)
        advance(f"solve for {graph.num_users:,} users")
        return UserSide.fit(fitting.history, found.ridge, item_exponent=found.item_exponent)


def _factors(fitting: Fitting) -> Scorer | None:
    settings, seed = fitting.config.factors, fitting.config.seed
    if not settings.enabled:
        return None
    with (
        fitting.timed("factors"),
        progress_bar("factors: search", None, shown=fitting.progress) as advance,
    ):
        found = fitting.choices.factors
        if found is None:
            found = search_factors(
                fitting.graph,
                settings,
                seed=seed,
                temporal=fitting.choices.temporal,
                budget=fitting.budget,
                on_trial=advance,
            )
            fitting.choices.factors = found
        fitting.record["factors"] = asdict(found)
        return WeightedMF.fit(
            fitting.history,
            factors=settings.dimensions,
            unobserved=found.unobserved,
            ridge=found.ridge,
            iterations=settings.iterations,
            seed=seed,
            on_iteration=advance,
        )


def _directed(fitting: Fitting) -> Scorer | None:
    settings, graph = fitting.config.directed, fitting.graph
    if not settings.enabled or not fitting.choices.temporal or fitting.ranks is None:
        return None
    if _too_many("directed ridge", graph.num_items, fitting.config.closed_form.max_items):
        return None
    with (
        fitting.timed("directed"),
        progress_bar("directed ridge: search", None, shown=fitting.progress) as advance,
    ):
        closed = fitting.choices.closed_form
        exponent = 0.0 if closed is None else closed.refinements.user_exponent
        found = fitting.choices.directed
        if found is None:
            found = search_directed(
                graph, exponent, seed=fitting.config.seed, budget=fitting.budget, on_trial=advance
            )
            fitting.choices.directed = found
        fitting.record["directed"] = asdict(found)
        advance(f"solve for {graph.num_items:,} items")
        return DirectedRidge.fit(
            fitting.history,
            fitting.ranks,
            found.ridge,
            bandwidth=found.bandwidth,
            recency=found.recency,
            user_weight=user_weights(fitting.history.lengths, exponent),
        )


def _too_many(part: str, count: int, most: int) -> bool:
    if count > most:
        logger.info("no %s: %d of them, at most %d", part, count, most)
    return count > most
