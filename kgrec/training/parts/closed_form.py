"""The closed form as a part."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kgrec.config.base import PartConfig
from kgrec.progress import Advance
from kgrec.training.part import Part

if TYPE_CHECKING:
    from kgrec.model.scorer import Scorer
    from kgrec.training.closed_form_search import ClosedFormSettings
    from kgrec.training.fitting import Fitting


class ClosedFormConfig(PartConfig):
    """The closed form: EASE with the graph's relations as weighted extra rows.

    Attributes:
        enabled: Whether it is a part of the fusion.
        ridge: L2; None searches it, with dropout, exponents and kernels, on train.
        relation_weights: Weight of a relation's rows by name; None searches those of the 24 largest
            relations likewise.
        search_items: The search runs on the so many most popular items,
        search_pairs: asks for so many interactions,
        search_steps: and takes at most so many steps.
        kernels: Whether kernels over time are tried, where there are times.
        max_items: Larger catalogues get the sparse closed form: the dense inverse grows with the
            cube of the items.
    """

    section: ClassVar[str] = "closed_form"

    ridge: float | None = Field(None, gt=0)
    relation_weights: dict[str, float] | None = None
    search_items: int = Field(2500, ge=10)
    search_pairs: int = Field(4000, ge=1)
    search_steps: int = Field(30, ge=1)
    kernels: bool = True
    max_items: int = Field(40_000, ge=1)


class ClosedFormPart(Part):
    """See `kgrec.model.closed_form.ClosedForm`, and `SparseClosedForm` for large catalogues."""

    name, title = "closed_form", "closed form"
    section = ClosedFormConfig
    shared_scale = True
    reads_relations = True

    @property
    def settings_type(self) -> type:
        """Ridge, relation weights and refinements."""
        from kgrec.training.closed_form_search import ClosedFormSettings

        return ClosedFormSettings

    def search(self, fitting: "Fitting", advance: Advance) -> "ClosedFormSettings":
        """Follows the gradient of its own leave-one-out ranking."""
        from kgrec.training.closed_form_search import search_closed_form

        return search_closed_form(
            fitting.graph,
            ClosedFormConfig.of(fitting.config),
            seed=fitting.config.seed,
            temporal=fitting.choices.temporal,
            budget=fitting.budget,
            on_trial=advance,
        )

    def fit(self, fitting: "Fitting", settings: "ClosedFormSettings", advance: Advance) -> "Scorer":
        """Solves for all items."""
        from kgrec.training.closed_form_search import solve_closed_form

        advance(f"solve for {fitting.graph.num_items:,} items")
        return solve_closed_form(
            fitting.graph,
            fitting.history,
            settings,
            fitting.ranks,
            max_items=ClosedFormConfig.of(fitting.config).max_items,
        )


PART = ClosedFormPart()
