"""The edges of each source, by name; what several sources need is made once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from kgrec.augment.bank import Bank
from kgrec.augment.gan import Augmenter, Classroom, fit_gan, fit_generator
from kgrec.augment.learned import LearnedSource, augmenter_from_state, augmenter_state
from kgrec.augment.sources import Plan, ScoredSource, Source
from kgrec.augment.world import LEAST_DENSE, dense_users, masked_world
from kgrec.errors import ConfigError
from kgrec.evaluation.floors import train_history
from kgrec.graph.data import GraphData, SyntheticEdges
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import ItemKNN
from kgrec.model.kernels import Likeness
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.training.checkpoint import load_tensors, save_tensors
from kgrec.training.closed_form_search import ClosedFormSettings, solve_closed_form
from kgrec.training.fitting import Fitting
from kgrec.training.inner_split import history_of
from kgrec.training.part import part_of
from kgrec.training.parts.closed_form import ClosedFormConfig
from kgrec.training.parts.factors import FactorsConfig, FactorsSettings, fit_factors
from kgrec.training.relation_rows import relation_rows

#: In the order in which the gate tries them.
SOURCES = ("teacher", "knn", "gan")
#: Those that learn.
LEARNED = ("generator", "gan")
#: So many relations, the largest, are told to a generator each by itself.
_RELATIONS = 8


class Proposals:
    """Proposes edges for the users and items of a plan.

    Attributes:
        report: What was measured of the sources that learn.
    """

    def __init__(
        self,
        fitting: Fitting,
        parts: Mapping[str, Scorer],
        learned: Mapping[str, Augmenter] | None = None,
    ) -> None:
        """Reads the settings.

        Args:
            fitting: What was fitted so far.
            parts: Has the teacher, `closed_form`.
            learned: `generator` and `gan`, where they have learned before.
        """
        self._fitting, self._parts = fitting, parts
        self._learned = dict(learned or {})
        self.report: dict[str, Any] = {}
        self._edges: dict[str, SyntheticEdges] = {}

    @cached_property
    def plan(self) -> Plan:
        """For whom edges are proposed, and how many."""
        return Plan.for_sparse_nodes(self._fitting.history, self._fitting.config.augment)

    def possible(self) -> tuple[str, ...]:
        """Gives the sources that this data allows."""
        at_most = self._fitting.config.augment.at_most
        taught = part_of("closed_form").is_enabled(self._fitting.config)
        learned = taught and len(dense_users(self._fitting.history, at_most)) >= LEAST_DENSE
        allowed = {"teacher": taught, "gan": learned}
        return tuple(name for name in SOURCES if allowed.get(name, True))

    def require(self, name: str) -> None:
        """Raises ConfigError if this data does not allow a source."""
        if name not in self.possible():
            at_most = self._fitting.config.augment.at_most
            raise ConfigError(
                f"augment.source {name!r} needs the closed form and {LEAST_DENSE} users with more "
                f"than {2 * at_most} items in train to learn from; this data allows "
                f"{', '.join(self.possible()) or 'none'}; take one of these, or lower "
                f"augment.at_most"
            )

    def of(self, name: str) -> SyntheticEdges:
        """Gives the edges of one source."""
        if name not in self._edges:
            self._edges[name] = self.propose(name, self.plan, self._fitting.config.seed)
        return self._edges[name]

    def propose(self, name: str, plan: Plan, seed: int) -> SyntheticEdges:
        """Gives the edges of one source for a plan of one's own."""
        return self._source(name).propose(plan, seed)

    def scorers(self) -> tuple[str, ...]:
        """Gives the names of what a generator is told of, in their order."""
        return tuple(self._bank.scorers)

    def augmenter(self, name: str) -> Augmenter:
        """Gives the `generator`, or the `gan`; it learns when it is first asked for."""
        if name not in self._learned:
            if name == "generator":
                self._learned[name] = self._remembered(name, self._taught)
            else:
                self._learned[name] = self._remembered(name, self._played)
        return self._learned[name]

    def _source(self, name: str) -> Source:
        if name == "teacher":
            return ScoredSource(name, self._parts["closed_form"])
        if name == "knn":
            return ScoredSource(name, self._knn)
        self._tell_of_learning(name)
        return LearnedSource(name, self.augmenter(name), self._bank)

    @cached_property
    def _knn(self) -> ItemKNN:
        return ItemKNN.fit(train_history(self._fitting.graph))

    @cached_property
    def _bank(self) -> Bank:
        return self._bank_of(self._fitting.graph, self._fitting.history)

    @cached_property
    def _classroom(self) -> Classroom:
        config = self._fitting.config.augment
        world = masked_world(
            self._fitting.graph,
            self._fitting.history,
            at_most=config.at_most,
            most=config.gan.most_users,
            seed=self._fitting.config.seed,
        )
        bank = self._bank_of(world.graph, history_of(world.graph))
        return Classroom.of(world, bank, config.gan.candidates)

    def _tell_of_learning(self, name: str) -> None:
        self.report["generator"] = self.augmenter("generator").report
        if name == "gan":
            self.report["gan"] = self.augmenter("gan").report

    def _taught(self) -> Augmenter:
        config = self._fitting.config
        return fit_generator(self._classroom, config.augment.gan, self._measured_at, config.seed)

    def _played(self) -> Augmenter:
        start, seed = self.augmenter("generator"), self._fitting.config.seed
        return fit_gan(self._classroom, start, self._measured_at, seed)

    def _remembered(self, name: str, fit: Callable[[], Augmenter]) -> Augmenter:
        """Fits, or reads what an attempt that was killed had fitted."""
        work = self._fitting.work
        if work is None:
            return fit()
        path = work / f"checkpoint-{name}.safetensors"
        if path.is_file():
            return augmenter_from_state(*load_tensors(path))
        augmenter = fit()
        save_tensors(path, *augmenter_state(augmenter))
        return augmenter

    @property
    def _measured_at(self) -> int:
        return max(1, self.plan.per_user or self.plan.per_item)

    @cached_property
    def _relations(self) -> tuple[str, ...]:
        """The same ones for the world, where they may be of other sizes, or gone."""
        rows = relation_rows(self._fitting.graph)
        rows = sorted(rows, key=lambda relation: (-len(relation.rows.columns), relation.name))
        return tuple(relation.name for relation in rows[:_RELATIONS])

    def _bank_of(self, graph: GraphData, history: Incidence) -> Bank:
        """Fits the scorers with the settings that were found, but for those of time.

        Of users who were made nobody knows when they did what.
        """
        real = graph is self._fitting.graph
        scorers: dict[str, Scorer] = {
            "teacher": self._teacher(graph, history, self._parts if real else {}),
            "knn": self._knn if real else ItemKNN.fit(train_history(graph)),
            "factors": self._factors(history, self._parts if real else {}),
            "popularity": Popularity(history),
        }
        choosers = tuple(scorers)
        rows = {relation.name: relation.rows for relation in relation_rows(graph)}
        none = torch.empty(0, dtype=torch.int64)
        no_rows = Incidence.from_pairs(none, none, 1, graph.num_items)
        for name in self._relations:
            scorers[f"like by {name}"] = Likeness(history, rows.get(name, no_rows))
        return Bank(scorers, history, choosers)

    def _teacher(self, graph: GraphData, history: Incidence, parts: Mapping[str, Scorer]) -> Scorer:
        settings = self._fitting.choices.get("closed_form", ClosedFormSettings)
        assert settings is not None, "the teacher is asked only where there is a closed form"
        timeless = replace(settings.refinements, recency=None, bandwidth=None, kernel_share=0.0)
        if timeless == settings.refinements and "closed_form" in parts:
            return parts["closed_form"]
        settings = replace(settings, refinements=timeless)
        most = ClosedFormConfig.of(self._fitting.config).max_items
        return solve_closed_form(graph, history, settings, None, max_items=most)

    def _factors(self, history: Incidence, parts: Mapping[str, Scorer]) -> Scorer:
        if "factors" in parts:
            return parts["factors"]
        config = self._fitting.config
        settings = self._fitting.choices.get("factors", FactorsSettings) or FactorsSettings()
        return fit_factors(history, FactorsConfig.of(config), settings, config.seed)
