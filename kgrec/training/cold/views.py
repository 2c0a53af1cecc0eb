"""What a graph says of items and of users beside their interactions: kernels, one a view."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from kgrec.graph.data import GraphData, IndexArray, RelationEdges
from kgrec.model.incidence import Incidence
from kgrec.model.kernels import gaussian_kernel, linear_kernel, ranks, relation_kernel
from kgrec.schema import DISPLAY_PROPERTY, RESERVED_PROPERTIES, NodeLabel, Role
from kgrec.training.relation_rows import relation_rows

#: Widths of the Gaussians over a number, in shares of the nodes.
_ITEM_WIDTHS, _USER_WIDTHS = (0.03, 0.1, 0.4), (0.1, 0.4)
#: What fewer nodes have says nothing about others.
_LEAST_NODES = 2

Kernel = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class View:
    """One view of the items, or of the users.

    Attributes:
        name: What it looks at: a relation, a behaviour, a property, `text`, or `edges` (how many
            there are).
        kernel: Gives the kernel (n, n) float32 of nodes (n,) int64.
        known: (num_nodes,) bool, of whom it says something.
    """

    name: str
    kernel: Kernel
    known: Tensor


def item_views(
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
    views = [_of_rows(r.name, r.rows) for r in relations]
    if text is not None and text[NodeLabel.ITEM].any():
        views.append(_of_text(text[NodeLabel.ITEM]))
    frame = graph.properties.get(NodeLabel.ITEM)
    if frame is not None:
        untold = RESERVED_PROPERTIES | {DISPLAY_PROPERTY[NodeLabel.ITEM], "text"}
        views += _of_properties(frame.drop(columns=untold, errors="ignore"), _ITEM_WIDTHS)
    if edge_counts and relations:
        views.append(_of_edge_counts([r.rows for r in relations]))
    return views


def user_views(
    graph: GraphData, text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None = None
) -> list[View]:
    """Gives every view of the users that is not made of their interactions.

    Relations (whom a user follows, what they like or belong to) and behaviours that speak for an
    item, without the pairs that are interactions too: of a cold user those are not known either.

    Args:
        graph: The graph; of its train interactions only those pairs are read.
        text: Text features; those of users must not tell their interactions, see `TextConfig`.
    """
    rows: dict[tuple[str, Role], list[tuple[IndexArray, IndexArray, int]]] = {}
    for edges in graph.relations:
        for part in _user_rows(edges, graph):
            rows.setdefault((edges.name, edges.role), []).append(part)
    views = [_of_parts(name, parts, graph.num_users) for (name, _), parts in sorted(rows.items())]
    if text is not None and NodeLabel.USER in text:
        views.append(_of_text(text[NodeLabel.USER]))
    frame = graph.properties.get(NodeLabel.USER)
    if frame is not None:
        frame = frame.drop(columns=RESERVED_PROPERTIES, errors="ignore")
        views += _of_properties(frame, _USER_WIDTHS)
    return [view for view in views if int(view.known.sum()) >= _LEAST_NODES]


def _of_text(features: npt.NDArray[np.float32]) -> View:
    vectors = torch.from_numpy(features)
    return View("text", lambda nodes: linear_kernel(vectors[nodes]), vectors.any(dim=1))


def _of_rows(name: str, rows: Incidence) -> View:
    """A view of nodes that are columns of rows they share."""
    known = torch.zeros(rows.num_columns, dtype=torch.bool)
    known[rows.columns] = True

    def kernel(nodes: Tensor) -> Tensor:
        place = torch.full((rows.num_columns,), -1)
        place[nodes] = torch.arange(len(nodes))
        column = place[rows.columns]
        there = column >= 0
        owner, row = torch.unique(rows.rows[there], return_inverse=True)
        return relation_kernel(Incidence.from_pairs(row, column[there], len(owner), len(nodes)))

    return View(name, kernel, known)


def _of_edge_counts(rows: list[Incidence]) -> View:
    counts = torch.stack(
        [torch.bincount(r.columns, minlength=r.num_columns).float().log1p() for r in rows], dim=1
    )
    deviation, mean = torch.std_mean(counts, dim=0, correction=0)
    features = (counts - mean) / deviation.clamp_min(1e-6) / len(rows) ** 0.5

    def kernel(nodes: Tensor) -> Tensor:
        return (linear_kernel(features[nodes]) + gaussian_kernel(features[nodes], 0.7)) / 2

    return View("edges", kernel, torch.ones(len(features), dtype=torch.bool))


def _of_properties(frame: pd.DataFrame, widths: Iterable[float]) -> list[View]:
    """Gaussians of several widths over each number, and shared values, or words of a `text`."""
    views = []
    for name in map(str, frame.columns):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            if name.removesuffix("_scaled") != name and name.removesuffix("_scaled") in frame:
                continue  # a number's scaled twin says nothing that the number does not
            place = ranks(torch.tensor(column.to_numpy(dtype=np.float64, na_value=np.nan)))
            if int((~place.isnan()).sum()) >= _LEAST_NODES:
                views += [_of_number(name, place, width) for width in widths]
            continue
        words = [
            (word, node)
            for node, value in enumerate(column)
            if value is not None and value == value
            for word in (
                set(re.findall(r"\w+", str(value).lower())) if name == "text" else (str(value),)
            )
        ]
        if words:
            values, nodes = zip(*words, strict=True)
            codes = pd.factorize(np.array(values, dtype=object))[0].astype(np.int64)
            view = _of_shared(name, codes, np.array(nodes, dtype=np.int64), len(frame))
            if bool(view.known.any()):
                views.append(view)
    return views


def _of_number(name: str, place: Tensor, width: float) -> View:
    return View(name, lambda nodes: gaussian_kernel(place[nodes][:, None], width), ~place.isnan())


def _of_shared(name: str, value: IndexArray, node: IndexArray, num_nodes: int) -> View:
    """A view of the values that several nodes share, but for those that all have."""
    codes, value = np.unique(value, return_inverse=True)
    rows = Incidence.from_pairs(
        torch.from_numpy(value), torch.from_numpy(node), len(codes), num_nodes
    )
    is_shared = (rows.lengths >= _LEAST_NODES) & (rows.lengths < num_nodes)
    there = is_shared[rows.rows]
    shared = Incidence.from_pairs(rows.rows[there], rows.columns[there], len(codes), num_nodes)
    return _of_rows(name, shared)


def _user_rows(
    edges: RelationEdges, graph: GraphData
) -> Iterator[tuple[IndexArray, IndexArray, int]]:
    """Gives nodes (n,), their users (n,) and the number of nodes, once for each end with users."""
    if edges.role not in (Role.RELATION, Role.EVIDENCE):
        return
    sizes = {label: len(names) for label, names in graph.vocabularies.items()}
    head, tail, ends = edges.head_index, edges.tail_index, edges.key
    if ends.head is NodeLabel.USER and ends.tail is NodeLabel.USER:
        everyone = np.unique(np.concatenate([head, tail]))
        node = np.concatenate([head, tail, everyone])
        yield node, np.concatenate([tail, head, everyone]), sizes[NodeLabel.USER]
        return
    for user, user_label, node, label in (
        (head, ends.head, tail, ends.tail),
        (tail, ends.tail, head, ends.head),
    ):
        if user_label is not NodeLabel.USER:
            continue
        if label is NodeLabel.ITEM:
            interactions = graph.train.user_index * graph.num_items + graph.train.item_index
            there = ~np.isin(user * graph.num_items + node, interactions)
            user, node = user[there], node[there]
        yield node, user, sizes[label]


def _of_parts(name: str, parts: list[tuple[IndexArray, IndexArray, int]], num_users: int) -> View:
    offsets = np.cumsum([0, *(size for *_, size in parts)])
    node = [part[0] + offset for part, offset in zip(parts, offsets, strict=False)]
    user = np.concatenate([part[1] for part in parts])
    return _of_shared(name, np.concatenate(node), user, num_users)
