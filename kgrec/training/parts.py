"""The parts of a recommender, each fitted as the settings and what was found before say."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.config import Config
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.graph.tensors import build_hetero
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.directed import DirectedRidge
from kgrec.model.fusion import Fusion
from kgrec.model.gram import user_weights
from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphTensors, RelationPropagation
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.model.user_side import UserSide
from kgrec.progress import progress_bar
from kgrec.schema import NodeLabel, Split
from kgrec.training.budget import Budget
from kgrec.training.checkpoint import read_json, write_json
from kgrec.training.closed_form_search import ClosedFormSettings, search_closed_form
from kgrec.training.inner_split import history_of, is_temporal, time_ranks
from kgrec.training.loop import train_network
from kgrec.training.relation_rows import relation_rows
from kgrec.training.side_searches import (
    DirectedSettings,
    UserSideSettings,
    search_directed,
    search_user_side,
)

logger = logging.getLogger(__name__)

#: Users of valid that early stopping asks; more would cost large data sets more than the training.
_STOPPING_USERS = 10_000

#: In a run's folder while it is made: what the searches found.
CHOICES = "choices.json"

TextFeatures = Mapping[NodeLabel, npt.NDArray[np.float32]]


_KINDS: dict[str, type[ClosedFormSettings | UserSideSettings | DirectedSettings]] = {
    "closed_form": ClosedFormSettings,
    "user_side": UserSideSettings,
    "directed": DirectedSettings,
}


@dataclass
class Choices:
    """What was found for each part; what is there already is not searched again.

    Attributes:
        closed_form: Settings of the closed form.
        user_side: Settings of its twin.
        directed: Settings of the directed ridge.
        epochs: Of each network, the epoch that was best on valid.
        temporal: Whether valid holds what came after train.
    """

    closed_form: ClosedFormSettings | None = None
    user_side: UserSideSettings | None = None
    directed: DirectedSettings | None = None
    epochs: list[int] = field(default_factory=list)
    temporal: bool | None = None

    def save(self, path: Path) -> None:
        """Writes everything but the epochs, which checkpoints know; whole or not at all."""
        found = {name: value for name, value in asdict(self).items() if name in _KINDS}
        write_json(path, found)

    @classmethod
    def load(cls, path: Path) -> "Choices":
        """Reads what an earlier attempt found; nothing if there was none."""
        if not path.is_file():
            return cls()
        tree = read_json(path)
        found = {name: kind(**tree[name]) for name, kind in _KINDS.items() if tree.get(name)}
        closed = found.get("closed_form")
        if isinstance(closed, ClosedFormSettings):
            refinements = Refinements(**tree["closed_form"]["refinements"])
            found["closed_form"] = replace(closed, refinements=refinements)
        return cls(**found)  # type: ignore[arg-type]


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

    def __post_init__(self) -> None:
        history = history_of(self.graph)
        object.__setattr__(self, "history", history)
        object.__setattr__(self, "ranks", time_ranks(self.graph.train, history))
        if self.choices.temporal is None:
            self.choices.temporal = is_temporal(self.graph)

    history: Incidence = field(init=False)
    ranks: Tensor | None = field(init=False)

    @property
    def temporal(self) -> bool:
        """Whether valid holds what came after train."""
        return bool(self.choices.temporal)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the seconds of a step to the record."""
        started = time.perf_counter()
        yield
        seconds = self.record["seconds"]
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

    def valid_task(self, max_users: int | None) -> RankingTask | None:
        """Gives the valid split, or None if there is none."""
        valid = self.graph.held_out.get(Split.VALID)
        if valid is None or not len(valid):
            return None
        block_size = self.config.evaluation.block_size
        return RankingTask(self.graph, Split.VALID, block_size=block_size, max_users=max_users)


def fit_parts(fitting: Fitting) -> dict[str, Scorer]:
    """Fits every part that the settings ask for and the data allow.

    Returns:
        By name: `network`, `closed_form`, `user_side`, `directed`, `popularity`.
    """
    makers: dict[str, Callable[[Fitting], Scorer | None]] = {
        "closed_form": _closed_form,
        "user_side": _user_side,
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
    if not chosen:
        fitting.choices.epochs.append(state.best_epoch or state.epoch)
    found = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "valid_ndcg@20": state.best if state.best_epoch else None,
        "parameters": sum(p.numel() for p in network.parameters()),
        "text": fitting.text is not None and config.model.use_text,
        "history": state.history,
    }
    if number == 0:
        fitting.record["network"] = found
        if isinstance(network.encoder, RelationPropagation):
            weights = network.encoder.relation_weights().tolist()
            named = dict(zip(network.relation_names, weights, strict=True))
            fitting.record["relation_weights"] = named
    else:
        fitting.record["network"].setdefault("others", []).append(found)
    return scorer.to(torch.device("cpu"))


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
                temporal=fitting.temporal,
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
                graph, seed=fitting.config.seed, temporal=fitting.temporal, budget=fitting.budget
            )
            fitting.choices.user_side = found
        fitting.record["user_side"] = asdict(found)
        advance(f"solve for {graph.num_users:,} users")
        return UserSide.fit(fitting.history, found.ridge, item_exponent=found.item_exponent)


def _directed(fitting: Fitting) -> Scorer | None:
    settings, graph = fitting.config.directed, fitting.graph
    if not settings.enabled or not fitting.temporal or fitting.ranks is None:
        return None
    if _too_many("directed ridge", graph.num_items, fitting.config.closed_form.max_items):
        return None
    with (
        fitting.timed("directed"),
        progress_bar("directed ridge: search", None, shown=fitting.progress) as advance,
    ):
        exponent = 0.3
        if fitting.choices.closed_form is not None:
            exponent = fitting.choices.closed_form.refinements.user_exponent
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
