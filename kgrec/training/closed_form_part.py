"""Solves the closed form of a graph with settings that were found."""

from torch import Tensor

from kgrec.graph.data import GraphData
from kgrec.model.closed_form import ClosedForm
from kgrec.model.gram import user_weights
from kgrec.model.incidence import Incidence
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.relation_rows import relation_rows


def solve_closed_form(
    graph: GraphData,
    history: Incidence,
    found: ClosedFormSettings,
    ranks: Tensor | None,
    *,
    max_items: int,
) -> ClosedForm | SparseClosedForm:
    """Solves it with a dense inverse, or sparsely for catalogues beyond `max_items`.

    Args:
        graph: Its relations are read.
        history: The training items of each user.
        found: The settings.
        ranks: (n,) places by time, where the settings weigh by them.
        max_items: Beyond, there are no kernel over time and no recency.
    """
    refinements = found.refinements
    relations = relation_rows(graph)
    if graph.num_items <= max_items:
        return ClosedForm.fit(
            history,
            relations,
            found.relation_weights,
            found.ridge,
            refinements,
            ranks,
        )
    return SparseClosedForm.fit(
        history,
        relations,
        found.relation_weights,
        found.ridge,
        user_weight=user_weights(history.lengths, refinements.user_exponent),
        dropout=refinements.dropout,
    )
