"""Items that came after the training, completed from content by what training found."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter
from torch import Tensor

from kgrec.errors import RunError
from kgrec.graph.data import GraphData
from kgrec.model.cold import ColdCompletion, Completion
from kgrec.model.scorer import Scorer, Wrapping
from kgrec.schema import NodeLabel
from kgrec.training.cold.item_folds import completion_weights
from kgrec.training.cold.settings import ColdSettings, summed_kernel
from kgrec.training.cold.views import item_views
from kgrec.training.record import RunRecord

logger = logging.getLogger(__name__)


def complete_new_items(
    record: RunRecord,
    graph: GraphData,
    scorer: Scorer,
    places: Tensor,
    find_text: Callable[[], Mapping[NodeLabel, npt.NDArray[np.float32]] | None],
) -> Scorer:
    """Puts new items among those that a completion reads off the items like them.

    The weights of views and the noise are those that training found; the level at which cold items
    stand is that of the items that were cold then. What was completed before stays as it was.

    Args:
        record: The run's.
        graph: The graph with the new items.
        scorer: Folded into it.
        places: int64 (num_items,), the old index of each item, -1 if new.
        find_text: Gives the text features of all nodes; asked only where there are new items.

    Returns:
        The scorer; the same if no item is new, or the run completes none.
    """
    new = torch.nonzero(places < 0).squeeze(1)
    if not isinstance(scorer, Wrapping) or not len(new):
        return scorer
    if not isinstance(scorer, ColdCompletion):
        inner = complete_new_items(record, graph, scorer.scorer, places, find_text)
        return scorer.rewrapped(inner)
    views = item_views(graph, find_text())
    if record.cold is None:
        raise RunError("the run completes cold items, but its record has no settings of these")
    settings = TypeAdapter(ColdSettings).validate_python(record.cold.settings)
    if tuple(view.name for view in views) != settings.views:
        logger.warning(
            "the graph tells other things of its items than in training (%s, then %s), so new "
            "items are not completed from content; train again",
            ", ".join(view.name for view in views), ", ".join(settings.views),
        )  # fmt: skip
        return scorer
    before = scorer.completion
    cold = torch.cat([before.cold, new])
    items = torch.cat([before.warm, cold])
    counts = np.bincount(graph.train.item_index, minlength=graph.num_items)
    takers = torch.from_numpy(counts[before.warm.numpy()]).float().clamp(min=1)
    kernel = summed_kernel((view.kernel(items) for view in views), settings)
    weights, bias = completion_weights(kernel, len(before.warm), takers, settings)
    num_before = len(before.cold)
    level = (before.bias - bias[:num_before]).median() if num_before else bias.new_zeros(())
    completion = Completion(
        before.warm,
        cold,
        torch.cat([before.weights, weights[:, num_before:]], dim=1),
        torch.cat([before.bias, bias[num_before:] + level]),
        before.own_weight,
    )
    return ColdCompletion(scorer.scorer, completion)
