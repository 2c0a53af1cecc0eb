"""A generator of synthetic edges by itself: fitted on a graph, asked for edges, saved and read."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch

from kgrec import __version__
from kgrec.augment.gan import Augmenter
from kgrec.augment.learned import augmenter_from_state, augmenter_state
from kgrec.config import Config
from kgrec.errors import ConfigError, RunError
from kgrec.files import atomic_folder
from kgrec.graph.data import GraphData, SyntheticEdges
from kgrec.model.scorer import Scorer
from kgrec.training.augmentation import describe_proposals
from kgrec.training.checkpoint import load_tensors, save_tensors
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.climbing import Budget
from kgrec.training.directory import read_config, read_record_file, write_record_file
from kgrec.training.fitting import Fitting
from kgrec.training.inner_split import is_temporal
from kgrec.training.part import fit_part, part_of
from kgrec.training.partial import open_partial, put_partial
from kgrec.training.picture import draw_augment
from kgrec.training.proposals import LEARNED, SOURCES, Proposals
from kgrec.training.record import AugmenterRecord, FitRecord

logger = logging.getLogger(__name__)

#: Version of the layout of an augmenter's directory, and those that are read.
AUGMENTER_LAYOUT = 2
_READABLE_LAYOUTS = (1, AUGMENTER_LAYOUT)
_RECORD = "augmenter.json"


@dataclass(frozen=True, eq=False)
class GanAugmenter:
    """Trained generators over a graph.

    Attributes:
        graph: Edges are proposed for its users and items.
        config: The settings they were fitted with.
        record: What was chosen and measured.
    """

    graph: GraphData
    config: Config
    record: AugmenterRecord
    _fitting: Fitting
    _proposals: Proposals

    @classmethod
    def fit(
        cls,
        graph: GraphData,
        config: Config,
        directory: Path | str | None = None,
        *,
        progress: bool = False,
    ) -> Self:
        """Fits the scorers that a generator is told of, the generator, and the GAN.

        No network is trained and nothing is asked of valid or test.

        Args:
            graph: The graph; train and relations are read.
            config: Its `augment`, `closed_form`, `factors`, `search` and `seed` count.
            directory: Where it goes when it is whole. What an interrupted fit of the same settings
                and graph had searched and taught is taken up from `<directory>.partial`.
            progress: Whether bars are shown on a terminal.

        Raises:
            ConfigError: If the settings have no closed form, or too few users are dense.
            RunError: If the directory holds something else, or another process fits into it.
        """
        if not part_of("closed_form").is_enabled(config):
            raise ConfigError(
                "a generator starts from the closed form, but closed_form.enabled is false; "
                "enable it"
            )
        if directory is None:
            return cls._fit(graph, config, None, progress=progress)
        directory = Path(directory)
        _refuse_foreign(directory)
        with open_partial(config, graph, directory) as partial:
            augmenter = cls._fit(graph, config, partial, progress=progress)
            augmenter._write(partial)
        put_partial(partial, directory)
        return augmenter

    @classmethod
    def _fit(
        cls, graph: GraphData, config: Config, partial: Path | None, *, progress: bool
    ) -> Self:
        choices = Choices() if partial is None else Choices.load(partial / CHOICES)
        fitting = _fitting(graph, config, choices, partial, progress=progress)
        proposals = Proposals(fitting, _teachers(fitting))
        proposals.require("gan")
        learned = {name: proposals.augmenter(name).report for name in LEARNED}
        record = AugmenterRecord.of(
            fitting.record,
            kgrec_version=__version__,
            graph_version=graph.version,
            learned=learned,
        )
        return cls(graph, config, record, fitting, proposals)

    def sample(
        self,
        source: str = "gan",
        *,
        per_user: int | None = None,
        per_item: int | None = None,
        seed: int | None = None,
    ) -> SyntheticEdges:
        """Proposes edges for users, and items, with few interactions.

        Args:
            source: `gan`, `teacher` or `knn`.
            per_user: Edges for each sparse user; None is `augment.per_user`.
            per_item: Edges for each sparse item; None is `augment.per_item`.
            seed: Of the noise and of draws; None is the settings'.

        Raises:
            ConfigError: If there is no such source.
        """
        plan = self._proposals.plan
        per_user = plan.per_user if per_user is None else per_user
        per_item = plan.per_item if per_item is None else per_item
        if min(per_user, per_item) < 0:
            raise ConfigError(
                f"edges for each node must be 0 or more, got {per_user} a user and {per_item} an "
                f"item"
            )
        seed = self.config.seed if seed is None else seed
        if source not in SOURCES:
            raise ConfigError(
                f"there is no source {source!r} of synthetic edges; take one of "
                f"{', '.join(SOURCES)}"
            )
        self._proposals.require(source)
        plan = replace(plan, per_user=per_user, per_item=per_item)
        return self._proposals.propose(source, plan, seed)

    def describe(self, edges: SyntheticEdges) -> dict[str, Any]:
        """Tells what proposals are like, and how many are in valid; nothing is chosen by it."""
        return describe_proposals(self.graph, edges)

    def save(self, directory: Path | str) -> None:
        """Writes it to a directory, in place of an earlier one; raises RunError as `fit`."""
        directory = Path(directory)
        _refuse_foreign(directory)
        with atomic_folder(directory) as fresh:
            self._write(fresh)

    @classmethod
    def load(cls, directory: Path | str, graph: GraphData, *, progress: bool = False) -> Self:
        """Reads one and sets it on a graph.

        The scorers are fitted again with the settings that were found, so that the graph may be a
        later one: a generator asks what they say of a user, not who the user is.

        Raises:
            RunError: If there is none, a file is damaged, or it learned from other relations than
                the graph has.
        """
        directory = Path(directory)
        record = read_augmenter_record(directory)
        config = read_config(directory, record)
        # Version 0.1 also had generators that served items.
        record.learned = {name: record.learned[name] for name in LEARNED}
        learned = {name: _read(directory / f"{name}.safetensors") for name in LEARNED}
        choices = Choices.load(directory / CHOICES)
        fitting = _fitting(graph, config, choices, None, progress=progress)
        proposals = Proposals(fitting, _teachers(fitting), learned)
        names = proposals.scorers()
        if names != learned["gan"].names:
            raise RunError(
                f"the generator in {directory} was told of {', '.join(learned['gan'].names)}; "
                f"this graph has {', '.join(names)}; fit it again on this graph"
            )
        return cls(graph, config, record, fitting, proposals)

    def _write(self, directory: Path) -> None:
        """Writes settings, choices, generators, picture and, last, the record."""
        (directory / "config.json").write_text(self.config.to_json() + "\n", encoding="utf-8")
        self._fitting.choices.save(directory / CHOICES)
        for name in self.record.learned:
            state = augmenter_state(self._proposals.augmenter(name))
            save_tensors(directory / f"{name}.safetensors", *state)
        draw_augment(directory / "augment.png", {"learned": self.record.learned})
        record = directory / _RECORD
        write_record_file(record, self.record.tree(), AUGMENTER_LAYOUT, ("config.json",))


def read_augmenter_record(directory: Path | str) -> AugmenterRecord:
    """Reads what was chosen and measured.

    Raises:
        RunError: If there is no generator, it is of another layout, or the file is damaged.
    """
    path = Path(directory) / _RECORD
    if not path.is_file():
        raise RunError(
            f"no generator in {directory}; expected a directory that `kgrec gan fit` made; "
            f"run `kgrec gan fit --config C.toml --out {directory}`"
        )
    return read_record_file(path, AugmenterRecord, _READABLE_LAYOUTS, "fit it again")


def _fitting(
    graph: GraphData, config: Config, choices: Choices, work: Path | None, *, progress: bool
) -> Fitting:
    choices.temporal = is_temporal(graph)
    device = torch.device("cpu")
    record = FitRecord(seed=config.seed, device=str(device))
    budget = Budget.of_minutes(config.search.minutes)
    return Fitting(config, graph, None, device, work, record, budget, choices, progress)


def _teachers(fitting: Fitting) -> dict[str, Scorer]:
    """Fits what sources of synthetic edges ask, and nothing else: `closed_form` and `factors`."""
    fits = {name: fit_part(fitting, part_of(name)) for name in ("closed_form", "factors")}
    return {name: scorer for name, scorer in fits.items() if scorer is not None}


def _read(path: Path) -> Augmenter:
    tensors, values = load_tensors(path)
    try:
        return augmenter_from_state(tensors, values)
    except (KeyError, TypeError, ValueError, RuntimeError) as exc:
        raise RunError(f"{path} is damaged: {exc}; fit it again, or copy it again") from exc


def _refuse_foreign(directory: Path) -> None:
    if not directory.exists() or (directory / _RECORD).is_file():
        return
    if not directory.is_dir() or any(directory.iterdir()):
        raise RunError(
            f"{directory} exists and holds no generator; expected an empty or new directory, or a "
            f"generator to replace; give another --out"
        )
