"""The edges of each source, by name; what several sources need is made once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from kgrec.augment.bank import Bank, Told
from kgrec.augment.gan import Augmenter, Classroom, fit_gan, fit_generator
from kgrec.augment.plan import Plan
from kgrec.augment.sources import DrawnSource, ScoredSource, Source
from kgrec.augment.world import masked_world
from kgrec.graph.data import GraphData
from kgrec.graph.synthetic import SyntheticEdges
from kgrec.model.incidence import Incidence
from kgrec.model.itemknn import ItemKNN
from kgrec.model.likeness import Likeness
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.wmf import WeightedMF
from kgrec.training.closed_form_part import solve_closed_form
from kgrec.training.fitting import Fitting
from kgrec.training.inner_split import history_of
from kgrec.training.relation_rows import relation_rows
from kgrec.training.side_searches import FactorsSettings

#: Those that know something of a user's taste, and two that do not; the gate tries them all.
TAUGHT = ("teacher", "generator", "gan")
SOURCES = (*TAUGHT[:1], "knn", *TAUGHT[1:], "popularity", "random")
#: So many relations, the largest, are told to a generator each by itself.
_RELATIONS = 8


class Proposals:
    """Proposes edges for the users and items of a plan.

    Attributes:
        plan: For whom, and how many.
        report: What was measured of the sources that learn.
    """

    def __init__(self, fitting: Fitting, parts: Mapping[str, Scorer]) -> None:
        """Reads the settings; `parts` has the teacher, `closed_form`."""
        self._fitting, self._parts = fitting, parts
        self.plan = Plan.for_sparse_nodes(fitting.history, fitting.config.augment)
        self.report: dict[str, Any] = {}

    def possible(self) -> tuple[str, ...]:
        """Gives the sources that this data allows."""
        apart: tuple[str, ...] = () if "closed_form" in self._parts else TAUGHT
        if not (self._fitting.history.lengths > 2 * self._fitting.config.augment.at_most).sum() > 1:
            apart = (*apart, *TAUGHT[1:])
        return tuple(name for name in SOURCES if name not in apart)

    def of(self, name: str) -> SyntheticEdges:
        """Gives the edges of one source."""
        return self._source(name).propose(self.plan, self._fitting.config.seed)

    def _source(self, name: str) -> Source:
        if name == "teacher":
            return ScoredSource(name, self._parts["closed_form"])
        if name == "knn":
            return ScoredSource(name, ItemKNN.fit(*_pairs(self._fitting.history)))
        if name in TAUGHT:
            augmenter = self._generator if name == "generator" else self._gan
            self.report[name] = augmenter.report
            return ScoredSource(name, augmenter.scorer(self._bank, self._fitting.config.seed))
        return DrawnSource(name, by_popularity=name == "popularity")

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

    @cached_property
    def _generator(self) -> Augmenter:
        config = self._fitting.config
        return fit_generator(
            self._classroom, config.augment.gan, config.augment.per_user, config.seed
        )

    @cached_property
    def _gan(self) -> Augmenter:
        config = self._fitting.config
        return fit_gan(self._classroom, self._generator, config.augment.per_user, config.seed)

    def _bank_of(self, graph: GraphData, history: Incidence) -> Bank:
        """Fits the scorers with the settings that were found, but for those of time.

        Of users who were made nobody knows when they did what.
        """
        fitting, choices = self._fitting, self._fitting.choices
        found = choices.closed_form
        assert found is not None, "the teacher is asked only where there is a closed form"
        timeless = replace(found.refinements, recency=None, bandwidth=None, kernel_share=0.0)
        factors = choices.factors or FactorsSettings()
        scorers: dict[str, Told] = {
            "teacher": solve_closed_form(
                graph,
                history,
                replace(found, refinements=timeless),
                None,
                max_items=fitting.config.closed_form.max_items,
            ),
            "knn": ItemKNN.fit(*_pairs(history)),
            "factors": WeightedMF.fit(
                history,
                factors=fitting.config.factors.dimensions,
                unobserved=factors.unobserved,
                ridge=factors.ridge,
                iterations=fitting.config.factors.iterations,
                seed=fitting.config.seed,
            ),
            "popularity": Popularity(history),
        }
        choosers = tuple(scorers)
        rows = sorted(relation_rows(graph), key=lambda each: -len(each.rows.columns))
        for each in rows[:_RELATIONS]:
            scorers[f"like by {each.name}"] = Likeness(history, each.rows)
        return Bank(scorers, history, choosers)


def _pairs(history: Incidence) -> tuple[Any, Any, int, int]:
    return history.rows, history.columns, history.num_rows, history.num_columns
