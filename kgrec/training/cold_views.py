"""What a graph says of its items' content, as views: each a kernel over the items."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from kgrec.graph.data import GraphData, IndexArray
from kgrec.model.incidence import Incidence
from kgrec.model.kernels import gaussian_kernel, linear_kernel, ranks, relation_kernel
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, NodeLabel
from kgrec.training.relation_rows import relation_rows

#: Widths of the Gaussians over a number, in shares of the items.
_WIDTHS = (0.03, 0.1, 0.4)
#: A word that a property has on fewer items says nothing about others.
_LEAST_ITEMS = 2


@dataclass(frozen=True, eq=False)
class View:
    """One view of the content.

    Attributes:
        name: What it looks at: a relation, `text`, a property, or `edges` (how many there are).
        kernel: Gives the kernel (n, n) float32 of items (n,) int64.
    """

    name: str
    kernel: Callable[[Tensor], Tensor]


def content_views(
    graph: GraphData,
    text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None,
    *,
    edge_counts: bool = True,
) -> list[View]:
    """Gives every view of the items that is no behaviour.

    Args:
        graph: The graph; its interactions are not read.
        text: Text features, see `graph.texts.text_features`.
        edge_counts: Whether the number of an item's edges is a view. It follows an item's success
            where the graph was written after it.
    """
    relations = [r for r in relation_rows(graph) if not r.by_user]
    views = [View(r.name, _of_relation(r.rows)) for r in relations]
    if text is not None and text[NodeLabel.ITEM].any():
        features = torch.from_numpy(text[NodeLabel.ITEM])
        views.append(View("text", lambda items: linear_kernel(features[items])))
    views += _of_properties(graph)
    if edge_counts and relations:
        views.append(View("edges", _of_edge_counts([r.rows for r in relations])))
    return views


def _of_relation(rows: Incidence) -> Callable[[Tensor], Tensor]:
    return lambda items: relation_kernel(_of_items(rows, items))


def _of_items(rows: Incidence, items: Tensor) -> Incidence:
    place = torch.full((rows.num_columns,), -1)
    place[items] = torch.arange(len(items))
    column = place[rows.columns]
    there = column >= 0
    return Incidence.from_pairs(rows.rows[there], column[there], rows.num_rows, len(items))


def _of_edge_counts(rows: list[Incidence]) -> Callable[[Tensor], Tensor]:
    counts = torch.stack(
        [torch.bincount(r.columns, minlength=r.num_columns).float().log1p() for r in rows], dim=1
    )
    deviation, mean = torch.std_mean(counts, dim=0, correction=0)
    features = (counts - mean) / deviation.clamp_min(1e-6) / len(rows) ** 0.5

    def kernel(items: Tensor) -> Tensor:
        return (linear_kernel(features[items]) + gaussian_kernel(features[items], 0.7)) / 2

    return kernel


def _of_properties(graph: GraphData) -> list[View]:
    frame = graph.properties.get(NodeLabel.ITEM)
    if frame is None:
        return []
    untold = RESERVED_PROPERTIES | {DISPLAY_PROPERTY[NodeLabel.ITEM], "text"}
    views = []
    for name in (c for c in frame.columns if c not in untold):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            if name.removesuffix("_scaled") != name and name.removesuffix("_scaled") in frame:
                continue  # a number's scaled twin says nothing that the number does not
            place = ranks(torch.tensor(column.to_numpy(dtype=np.float64, na_value=np.nan)))
            if int((~place.isnan()).sum()) >= _LEAST_ITEMS:
                views += [View(name, _of_number(place, width)) for width in _WIDTHS]
        else:
            rows = _of_words(column)
            if rows is not None:
                views.append(View(name, _of_relation(rows)))
    return views


def _of_number(place: Tensor, width: float) -> Callable[[Tensor], Tensor]:
    return lambda items: gaussian_kernel(place[items][:, None], width)


def _of_words(column: pd.Series) -> Incidence | None:
    """One row for each value that several items share; None if there is none."""
    codes, values = pd.factorize(column.map(lambda v: str(v) if v == v and v is not None else None))
    known: IndexArray = np.flatnonzero(codes >= 0)
    counts = np.bincount(codes[known], minlength=len(values))
    shared = known[counts[codes[known]] >= _LEAST_ITEMS]
    if not len(shared) or (counts >= _LEAST_ITEMS).sum() < 2:
        return None
    return Incidence.from_pairs(
        torch.from_numpy(codes[shared].astype(np.int64)),
        torch.from_numpy(shared),
        len(values),
        len(column),
    )
