"""The networks of a recommender, one a seed."""

from collections.abc import Callable

import torch

from kgrec.config import ModelConfig
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.tensors import build_hetero
from kgrec.model.fusion import Fusion
from kgrec.model.network import GraphTensors, RelationPropagation
from kgrec.model.scorer import Scorer
from kgrec.progress import progress_bar
from kgrec.training.fitting import Fitting
from kgrec.training.loop import DEFAULT_TEMPERATURE, train_network
from kgrec.training.resume import Progress, Trained, copy_state
from kgrec.training.temperature_search import TRIAL_EPOCHS, search_temperature

#: Users of valid that early stopping asks; more would cost large data sets more than the training.
_STOPPING_USERS = 10_000
#: For so many epochs a network goes on when valid has joined train; from initial values it was not
#: better (docs/experiments.md).
_REFIT_EPOCHS = 3


def fit_networks(fitting: Fitting) -> Scorer | None:
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
        model = config.model
        if model.temperature is None and model.score == "cosine":
            model = model.model_copy(update={"temperature": _temperature(fitting, tensors)})
        scorers = {
            str(number): _one_network(fitting, tensors, model, number) for number in range(count)
        }
    if count == 1:
        return scorers["0"]
    return Fusion(scorers, dict.fromkeys(scorers, 1.0 / count))


def _temperature(fitting: Fitting, tensors: GraphTensors) -> float:
    """The temperature that was found, or is found now by short trainings, judged on valid."""
    config, found = fitting.config, fitting.choices.temperature
    task = None if found else fitting.valid_task(_STOPPING_USERS)
    if found is None and (task is None or config.training.epochs == 0):
        return DEFAULT_TEMPERATURE
    training = config.training.model_copy(
        update={"epochs": min(TRIAL_EPOCHS, config.training.epochs)}
    )

    def judge(temperature: float) -> float:
        return train_network(
            tensors,
            fitting.history.to(fitting.device),
            config.model.model_copy(update={"temperature": temperature}),
            training,
            seed=config.seed * 1000,
            validate=None if task is None else _validation(task),
            on_epoch=lambda _: advance(f"{temperature:g}"),
        )[2].best

    with progress_bar("network: temperature", None, shown=fitting.progress) as advance:
        found = fitting.chosen("temperature", lambda: search_temperature(judge, fitting.budget))
    return found.temperature


def _validation(task: RankingTask) -> Callable[[Scorer], float]:
    return lambda scorer: float(task.run(scorer, k=(20,))["ndcg@20"].mean())


def _one_network(
    fitting: Fitting, tensors: GraphTensors, model: ModelConfig, number: int
) -> Scorer:
    config, training = fitting.config, fitting.config.training
    start = dict(enumerate(fitting.networks)).get(number)
    task = None if number or start else fitting.valid_task(_STOPPING_USERS)
    if start:
        training = training.model_copy(update={"epochs": min(_REFIT_EPOCHS, training.epochs)})
    elif number:  # as long as was best for the first
        training = training.model_copy(update={"epochs": fitting.networks[0].epochs})
    name = f"checkpoint-{number}.safetensors"

    title = f"train network {number + 1} of {config.training.ensemble}"
    with progress_bar(title, training.epochs, shown=fitting.progress) as advance:
        scorer, network, state = train_network(
            tensors,
            fitting.history.to(fitting.device),
            model,
            training,
            seed=config.seed * 1000 + number,
            validate=None if task is None else _validation(task),
            checkpoint=None if fitting.work is None else fitting.work / name,
            on_epoch=lambda epoch: advance(" ".join(f"{k} {v:.4g}" for k, v in epoch.items())),
            start=start,
        )
    if number == 0 and isinstance(network.encoder, RelationPropagation):
        weights = network.encoder.relation_weights().tolist()
        named = dict(zip(network.relation_names, weights, strict=True))
        fitting.record["relation_weights"] = named
    if not start:  # else valid was not asked: what it said before stands
        fitting.networks.append(Trained(copy_state(network), state.best_epoch or state.epoch))
        _tell(fitting, state, sum(p.numel() for p in network.parameters()))
    return scorer.to(torch.device("cpu"))


def _tell(fitting: Fitting, state: Progress, parameters: int) -> None:
    """Puts a network's training into the record."""
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
