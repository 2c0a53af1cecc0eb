"""What every part of a recommender needs to be fitted."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.config import Config
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer
from kgrec.progress import tell_stage
from kgrec.schema import NodeLabel, Split
from kgrec.training.checkpoint import Trained
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.climbing import Budget
from kgrec.training.inner_split import history_of, time_ranks
from kgrec.training.record import FitRecord

_Settings = TypeVar("_Settings", bound="DataclassInstance")
if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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
        record: Takes what is chosen and measured.
        budget: How long all searches may take.
        choices: What searches found.
        progress: Whether bars are shown on a terminal.
        networks: Those that were trained; where valid has joined train they go on.
        parts: What was fitted so far, by the name of the part.
    """

    config: Config
    graph: GraphData
    text: TextFeatures | None
    device: torch.device
    work: Path | None
    record: FitRecord
    budget: Budget
    choices: Choices
    progress: bool
    networks: list[Trained] = field(default_factory=list)
    parts: dict[str, Scorer] = field(default_factory=dict)

    @cached_property
    def history(self) -> Incidence:
        """The training items of each user."""
        return history_of(self.graph)

    @cached_property
    def ranks(self) -> Tensor | None:
        """Each entry's place among its user's by time; None without times."""
        return time_ranks(self.graph.train, self.history)

    def search_once(
        self, name: str, kind: type[_Settings], search: Callable[[], _Settings]
    ) -> _Settings:
        """Gives what was found under a name before, else searches; it goes into the record."""
        settings = self.choices.get(name, kind)
        if settings is None:
            with self.budget.running(name):
                settings = search()
            self.choices.settings[name] = settings
            if self.work is not None:
                self.choices.save(self.work / CHOICES)
        self.record.add_settings(name, asdict(settings))
        if self.budget.cut_searches:
            self.record.cut_searches = list(self.budget.cut_searches)
        return settings

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the seconds of a step to the record, and tells them."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self.record.add_seconds(name, seconds)
        if self.progress:
            tell_stage(name.replace("_", " "), seconds)

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
