"""What a graph says of its users beside their interactions: each view a kernel over the users."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from kgrec.graph.data import GraphData, IndexArray, RelationEdges
from kgrec.model.incidence import Incidence
from kgrec.model.kernels import gaussian_kernel, linear_kernel, ranks, relation_kernel
from kgrec.schema import RESERVED_PROPERTIES, NodeLabel, Role

#: Widths of the Gaussians over a number, in shares of the users.
_WIDTHS = (0.1, 0.4)
#: What only one user has says nothing about others.
_LEAST_USERS = 2


@dataclass(frozen=True, eq=False)
class UserView:
    """One view of the users.

    Attributes:
        name: What it looks at: a relation, a behaviour, a property, or `text`.
        kernel: Gives the kernel (n, n) float32 of users (n,) int64.
        known: (num_users,) bool, of whom it says something.
    """

    name: str
    kernel: Callable[[Tensor], Tensor]
    known: Tensor


def user_views(
    graph: GraphData, text: Mapping[NodeLabel, npt.NDArray[np.float32]] | None = None
) -> list[UserView]:
    """Gives every view of the users that is not made of their interactions.

    Relations (whom a user follows, what they like or belong to) and behaviours that speak for an
    item, without the pairs that are interactions too: of a cold user those are not known either.

    Args:
        graph: The graph; of its train interactions only those pairs are read.
        text: Text features; those of users must not tell their interactions, see `TextConfig`.
    """
    rows: dict[tuple[str, Role], list[tuple[IndexArray, IndexArray, int]]] = {}
    for edges in graph.relations:
        for part in _rows_of(edges, graph):
            rows.setdefault((edges.name, edges.role), []).append(part)
    views = [_of_parts(name, parts, graph.num_users) for (name, _), parts in sorted(rows.items())]
    if text is not None and NodeLabel.USER in text:
        features = torch.from_numpy(text[NodeLabel.USER])
        known = features.any(dim=1)
        views.append(UserView("text", lambda users: linear_kernel(features[users]), known))
    frame = graph.properties.get(NodeLabel.USER)
    if frame is not None:
        views += _of_properties(frame)
    return [view for view in views if int(view.known.sum()) >= _LEAST_USERS]


def _rows_of(
    edges: RelationEdges, graph: GraphData
) -> Iterator[tuple[IndexArray, IndexArray, int]]:
    """Gives nodes (n,), their users (n,) and the number of nodes, once for each end with users."""
    if edges.role not in (Role.RELATION, Role.EVIDENCE):
        return
    sizes = {label: len(names) for label, names in graph.vocabularies.items()}
    head, tail, ends = edges.head_index, edges.tail_index, edges.key
    if ends.head is NodeLabel.USER and ends.tail is NodeLabel.USER:
        every = np.unique(np.concatenate([head, tail]))
        both = np.concatenate([head, tail, every]), np.concatenate([tail, head, every])
        yield *both, sizes[NodeLabel.USER]
        return
    for user, user_label, node, label in (
        (head, ends.head, tail, ends.tail),
        (tail, ends.tail, head, ends.head),
    ):
        if user_label is not NodeLabel.USER:
            continue
        if label is NodeLabel.ITEM:
            taken = graph.train.user_index * graph.num_items + graph.train.item_index
            there = ~np.isin(user * graph.num_items + node, taken)
            user, node = user[there], node[there]
        yield node, user, sizes[label]


def _of_parts(
    name: str, parts: list[tuple[IndexArray, IndexArray, int]], num_users: int
) -> UserView:
    offsets = np.cumsum([0, *(size for *_, size in parts)])
    node = [part[0] + offset for part, offset in zip(parts, offsets, strict=False)]
    user = np.concatenate([part[1] for part in parts])
    return _of_rows(name, np.concatenate(node), user, num_users)


def _of_rows(name: str, node: IndexArray, user: IndexArray, num_users: int) -> UserView:
    """A view of the nodes that several users share."""
    codes, node = np.unique(node, return_inverse=True)
    rows = Incidence.from_pairs(
        torch.from_numpy(node), torch.from_numpy(user), len(codes), num_users
    )
    shared = rows.lengths >= _LEAST_USERS
    shared &= rows.lengths < num_users  # what all have tells nobody apart
    there = shared[rows.rows]
    rows = Incidence.from_pairs(rows.rows[there], rows.columns[there], len(codes), num_users)
    known = torch.zeros(num_users, dtype=torch.bool)
    known[rows.columns] = True

    def kernel(users: Tensor) -> Tensor:
        place = torch.full((num_users,), -1)
        place[users] = torch.arange(len(users))
        column = place[rows.columns]
        kept = column >= 0
        owner, count = torch.unique(rows.rows[kept], return_inverse=True)
        return relation_kernel(Incidence.from_pairs(count, column[kept], len(owner), len(users)))

    return UserView(name, kernel, known)


def _of_properties(frame: pd.DataFrame) -> list[UserView]:
    views = []
    for name in (c for c in frame.columns if c not in RESERVED_PROPERTIES):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            if name.removesuffix("_scaled") != name and name.removesuffix("_scaled") in frame:
                continue  # a number's scaled twin says nothing that the number does not
            place = ranks(torch.tensor(column.to_numpy(dtype=np.float64, na_value=np.nan)))
            views += [_of_number(name, place, width) for width in _WIDTHS]
        else:
            split = name == "text"
            pairs = [
                (word, user)
                for user, value in enumerate(column)
                if value is not None and value == value
                for word in (
                    set(re.findall(r"\w+", str(value).lower())) if split else (str(value),)
                )
            ]
            if pairs:
                words, users = zip(*pairs, strict=True)
                codes = pd.factorize(np.array(words, dtype=object))[0].astype(np.int64)
                views.append(_of_rows(name, codes, np.array(users, dtype=np.int64), len(frame)))
    return views


def _of_number(name: str, place: Tensor, width: float) -> UserView:
    return UserView(
        name, lambda users: gaussian_kernel(place[users][:, None], width), ~place.isnan()
    )
