"""The networks of a recommender, one a seed, and the temperature of their cosines."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from kgrec.augment.gate import NONE
from kgrec.config import ModelConfig, TrainingConfig
from kgrec.errors import TrainingDiverged
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import SyntheticEdges
from kgrec.graph.tensors import build_hetero
from kgrec.model.fusion import Fusion
from kgrec.model.network import GraphNetwork, GraphTensors, RelationPropagation
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar
from kgrec.training.augmentation import harden
from kgrec.training.checkpoint import Progress, Trained, copy_state
from kgrec.training.climbing import Budget, climb, line
from kgrec.training.fitting import Fitting
from kgrec.training.loop import DEFAULT_TEMPERATURE, train_network
from kgrec.training.proposals import Proposals
from kgrec.training.record import NetworkRecord

#: The temperatures that are tried, about a factor √2 apart.
_LADDER = (0.05, 0.07, 0.1, 0.14, DEFAULT_TEMPERATURE, 0.28, 0.4)
#: Of a trial. After two the low ones, which learn faster, look best on every data set.
TRIAL_EPOCHS = 4


@dataclass(frozen=True)
class TemperatureSettings:
    """The network's temperature, and NDCG@20 on valid by what was tried; empty if not searched."""

    temperature: float = DEFAULT_TEMPERATURE
    tried: dict[str, float] = field(default_factory=dict)


def search_temperature(judge: Callable[[float], float], budget: Budget) -> TemperatureSettings:
    """Goes down the ladder from the default as long as that helps, or else up.

    It is not learned: the loss on train always prefers a lower one (docs/experiments.md).

    Args:
        judge: Trains a network for a few epochs with a temperature and gives its NDCG@20 on valid;
            0 if that training diverged.
        budget: A wall limit, where there is one.
    """
    if budget.is_spent():
        return TemperatureSettings()
    values: dict[str, float] = {}

    def remembered(place: int) -> float:
        value = values[str(_LADDER[place])] = judge(_LADDER[place])
        return value

    def rung(place: int, step: float) -> int | None:
        there = place + int(step)
        return there if 0 <= there < len(_LADDER) else None

    start = _LADDER.index(DEFAULT_TEMPERATURE)
    summit = climb(start, [line(rung, (-1, 1))], remembered, budget)
    return TemperatureSettings(_LADDER[summit.settings], values)


#: Users of valid that early stopping asks; more would cost large data sets more than the training.
_STOPPING_USERS = 10_000
#: For so many epochs a network goes on when valid has joined train; from initial values it was not
#: better (docs/experiments.md).
_REFIT_EPOCHS = 3


def fit_networks(fitting: Fitting) -> Scorer:
    """Trains one network a seed, hardens them if the settings ask; several are a fusion of equals.

    Args:
        fitting: What is needed; if it holds networks already, they go on. Some sources of synthetic
            edges ask the parts that were fitted before.
    """
    config = fitting.config
    proposals = Proposals(fitting, fitting.parts)
    if config.augment.source not in (NONE, "auto"):
        proposals.require(config.augment.source)
    with fitting.timed("network"):
        learner = learner_of(fitting)
        count, again = config.training.ensemble, bool(fitting.networks)
        if again:
            source = fitting.choices.augment
            edges = None if source == NONE else proposals.of(source)
            epochs = min(_REFIT_EPOCHS, config.training.epochs)
            scorers = [learner.go_on(n, edges, epochs, keep=True) for n in range(count)]
        else:
            scorers = [learner.train(number) for number in range(count)]
            if config.augment.source != NONE:
                source, hardened = harden(fitting, scorers, proposals, learner.go_on)
                fitting.choices.augment, scorers = source, list(hardened)
    if count == 1:
        return scorers[0]
    parts = {str(number): scorer for number, scorer in enumerate(scorers)}
    return Fusion(parts, dict.fromkeys(parts, 1.0 / count))


def learner_of(fitting: Fitting) -> "Learner":
    """Gives what trains the networks of a graph; their temperature is found if it is not given."""
    config = fitting.config
    hetero = build_hetero(fitting.graph, fitting.text if config.model.use_text else None)
    tensors = GraphTensors.from_hetero(hetero, use_graph=config.model.use_graph)
    tensors = tensors.to(fitting.device)
    model = config.model
    if model.temperature is None and model.score == "cosine":
        model = model.model_copy(update={"temperature": _temperature(fitting, tensors)})
    return Learner(fitting, tensors, model)


def _temperature(fitting: Fitting, tensors: GraphTensors) -> float:
    """The temperature of an earlier search, or one searched now by short trainings on valid."""
    config = fitting.config
    settings = fitting.choices.get("temperature", TemperatureSettings)
    task = None if settings else fitting.valid_task(_STOPPING_USERS)
    if settings is None and (task is None or config.training.epochs == 0):
        fitting.record.add_settings("temperature", asdict(TemperatureSettings()))
        return DEFAULT_TEMPERATURE
    training = config.training.model_copy(
        update={"epochs": min(TRIAL_EPOCHS, config.training.epochs)}
    )

    def judge(temperature: float) -> float:
        try:
            return train_network(
                tensors,
                fitting.history.to(fitting.device),
                config.model.model_copy(update={"temperature": temperature}),
                training,
                seed=config.seed * 1000,
                validate=None if task is None else _validation(task),
                on_epoch=lambda _: advance(f"{temperature:g}"),
            )[2].best
        except TrainingDiverged:  # too low a temperature; another one may do
            return 0.0

    with progress_bar("temperature", None, enabled=fitting.progress, stage=True) as advance:
        settings = fitting.search_once(
            "temperature", TemperatureSettings, lambda: search_temperature(judge, fitting.budget)
        )
    return settings.temperature


def _validation(task: RankingTask) -> Callable[[Scorer], float]:
    return lambda scorer: float(task.run(scorer, k=(20,))["ndcg@20"].mean())


class Learner:
    """Trains the networks of one graph."""

    def __init__(self, fitting: Fitting, tensors: GraphTensors, model: ModelConfig) -> None:
        self._fitting, self._tensors, self._model = fitting, tensors, model
        self._history = fitting.history.to(fitting.device)

    def train(self, number: int) -> Scorer:
        """Trains a network from initial values: the first until valid no longer improves."""
        fitting, training = self._fitting, self._fitting.config.training
        task = None if number else fitting.valid_task(_STOPPING_USERS)
        if number:  # as long as was best for the first
            training = training.model_copy(update={"epochs": fitting.networks[0].epochs})
        checkpoint = None
        if fitting.work is not None:
            checkpoint = fitting.work / f"checkpoint-{number}.safetensors"
        validate = None if task is None else _validation(task)
        scorer, network, state = self._run(
            number, training, "train", validate=validate, checkpoint=checkpoint
        )
        self._keep(number, network, state.best_epoch or state.epoch)
        _note(fitting, state, sum(p.numel() for p in network.parameters()))
        return scorer

    def go_on(
        self, number: int, edges: SyntheticEdges | None, epochs: int, *, keep: bool
    ) -> Scorer:
        """Trains a network on, with synthetic edges or without, for a given time."""
        start = self._fitting.networks[number]
        training = self._fitting.config.training.model_copy(update={"epochs": epochs})
        scorer, network, state = self._run(
            number, training, "go on with", start=start, synthetic=edges
        )
        if keep:
            self._keep(number, network, start.epochs + state.epoch)
        return scorer

    def _keep(self, number: int, network: GraphNetwork, epochs: int) -> None:
        """Remembers where a network stands, in its place or at the end."""
        trained = Trained(copy_state(network), epochs)
        self._fitting.networks[number : number + 1] = [trained]
        if number == 0 and isinstance(network.encoder, RelationPropagation):
            weights = network.encoder.relation_weights().tolist()
            self._fitting.record.relation_weights = dict(
                zip(network.relation_names, weights, strict=True)
            )

    def _run(
        self,
        number: int,
        training: TrainingConfig,
        verb: str,
        **options: Any,
    ) -> tuple[Scorer, GraphNetwork, Progress]:
        fitting = self._fitting
        title = f"{verb} network {number + 1} of {fitting.config.training.ensemble}"
        with progress_bar(title, training.epochs, enabled=fitting.progress, stage=True) as advance:
            scorer, network, state = train_network(
                self._tensors,
                self._history,
                self._model,
                training,
                seed=fitting.config.seed * 1000 + number,
                on_epoch=lambda epoch: advance(" ".join(f"{k} {v:.4g}" for k, v in epoch.items())),
                **options,
            )
        return scorer.to(torch.device("cpu")), network, state


def _note(fitting: Fitting, state: Progress, parameters: int) -> None:
    """Puts a network's training into the record."""
    network = NetworkRecord(
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        valid_ndcg=state.best if state.best_epoch else None,
        parameters=parameters,
        text=fitting.text is not None and fitting.config.model.use_text,
        history=state.history,
    )
    first = fitting.record.network
    if first is None:
        fitting.record.network = network
    else:
        first.others = [*first.others, network]
