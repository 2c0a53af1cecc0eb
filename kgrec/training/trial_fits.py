"""Fits of single parts with settings that were found once, for comparisons of many data sets."""

from dataclasses import dataclass, replace
from pathlib import Path

from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.graph.data import GraphData
from kgrec.model.scorer import Scorer
from kgrec.schema import Split
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.climbing import Budget
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.fit import choose_device
from kgrec.training.fitting import Fitting
from kgrec.training.inner_split import is_temporal
from kgrec.training.networks import TemperatureSettings, learner_of
from kgrec.training.part import fit_part, part_of
from kgrec.training.record import FitRecord


@dataclass(frozen=True)
class TrialSettings:
    """Settings that were found on clean data.

    Attributes:
        closed_form: Of the closed form.
        temperature: Of the network.
        epochs: For so long it is trained.
    """

    closed_form: ClosedFormSettings
    temperature: float
    epochs: int


def find_settings(config: Config, graph: GraphData, folder: Path) -> TrialSettings:
    """Searches the closed form's settings, the network's temperature, and when it stops on valid.

    Args:
        config: The settings; texts take no part.
        graph: The clean graph.
        folder: Keeps what was found, and the network's checkpoint.

    Raises:
        ConfigError: If the closed form is off.
    """
    fitting = _fitting(config, graph, Choices.load(folder / CHOICES), folder)
    fit_part(fitting, part_of("closed_form"))
    learner_of(fitting).train(0)
    closed = fitting.choices.get("closed_form", ClosedFormSettings)
    if closed is None:
        raise ConfigError("closed_form.enabled is false, but its fits are asked for; turn it on")
    settings = fitting.choices.get("temperature", TemperatureSettings)
    temperature = config.model.temperature if settings is None else settings.temperature
    assert temperature is not None, "it is given or found"
    return TrialSettings(closed, temperature, fitting.networks[0].epochs)


def fit_closed_form_alone(config: Config, graph: GraphData, settings: TrialSettings) -> Scorer:
    """Solves the closed form; without what depends on the order of interactions in time."""
    timeless = replace(
        settings.closed_form.refinements, recency=None, bandwidth=None, kernel_share=0.0
    )
    closed = replace(settings.closed_form, refinements=timeless)
    fitting = _fitting(config, graph, Choices({"closed_form": closed}), None)
    scorer = fit_part(fitting, part_of("closed_form"))
    assert scorer is not None
    return scorer


def fit_network_alone(config: Config, graph: GraphData, settings: TrialSettings) -> Scorer:
    """Trains one network from the settings' seed, for as long as was found; valid is not asked."""
    held_out = dict(graph.held_out)
    held_out.pop(Split.VALID, None)
    model = config.model.model_copy(update={"temperature": settings.temperature})
    training = config.training.model_copy(update={"epochs": settings.epochs, "ensemble": 1})
    config = config.model_copy(update={"model": model, "training": training})
    fitting = _fitting(config, replace(graph, held_out=held_out), Choices(), None)
    return learner_of(fitting).train(0)


def _fitting(config: Config, graph: GraphData, choices: Choices, folder: Path | None) -> Fitting:
    choices.temporal = is_temporal(graph)
    device = choose_device(config.training.device)
    record = FitRecord(seed=config.seed, device=str(device))
    budget = Budget.of_minutes(config.search.minutes)
    return Fitting(config, graph, None, device, folder, record, budget, choices, False)
