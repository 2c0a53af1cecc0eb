"""A trained scorer over another version of its graph, without training.

What was learned of items, of relations and of old nodes stays; what users have is the new graph's.
New users are served by what they have. New items have nothing that was learned: item-to-item
scorers and factors know nothing of them, a network embeds them by their text and their edges.
Nothing changes where the graph did not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.closed_form import ClosedForm
from kgrec.model.cold import ColdCompletion
from kgrec.model.cold_users import ColdUsers
from kgrec.model.directed import DirectedRidge
from kgrec.model.fusion import Fusion
from kgrec.model.gram import RelationRows
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import recency_weights
from kgrec.model.linear_network import LinearNetwork
from kgrec.model.network import GraphTensors
from kgrec.model.placing import is_identity, moved_to, take_rows, take_square
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.model.user_side import UserSide
from kgrec.model.wmf import WeightedMF


@dataclass(frozen=True, eq=False)
class NewGraph:
    """The graph that a scorer is folded into, and where its nodes stood before.

    Attributes:
        users: int64 (U',), the old index of each user, -1 if new.
        items: int64 (I',), likewise.
        entities: int64 (E',), likewise.
        num_old: Numbers of users, items and entities before.
        history: The training items of each user.
        find_ranks: Gives each entry's place among its user's by time (n,); None without times.
        find_relations: Gives the graph's relations as rows over its items.
        find_tensors: Gives the graph as tensors; its text is that of new nodes, in the space of
            the training. What no part of a scorer asks for is not made.
    """

    users: Tensor
    items: Tensor
    entities: Tensor
    num_old: tuple[int, int, int]
    history: Incidence
    find_ranks: Callable[[], Tensor | None]
    find_relations: Callable[[], Sequence[RelationRows]]
    find_tensors: Callable[[], GraphTensors]

    @cached_property
    def ranks(self) -> Tensor | None:
        """What `find_ranks` gives."""
        return self.find_ranks()

    @cached_property
    def tensors(self) -> GraphTensors:
        """What `find_tensors` gives."""
        return self.find_tensors()

    @property
    def nodes(self) -> Tensor:
        """int64 (N',), the old index of each node among all nodes, -1 if new."""
        shift, parts = 0, []
        for place, size in zip((self.users, self.items, self.entities), self.num_old, strict=True):
            parts.append(torch.where(place >= 0, place + shift, -1))
            shift += size
        return torch.cat(parts)


def fold(scorer: Scorer, graph: NewGraph) -> Scorer:
    """Gives the scorer over the new graph.

    Raises:
        ShapeError: If it is of a kind that cannot be folded, or needs times that are not there.
    """
    folded = _FOLDS.get(type(scorer))
    if folded is None:
        raise ShapeError(
            f"a {type(scorer).__name__} cannot be folded into another graph; expected one of "
            f"{sorted(kind.__name__ for kind in _FOLDS)}; train again"
        )
    out: Scorer = folded(scorer, graph)
    return out


def changed_ends(old: Incidence, graph: NewGraph) -> tuple[Tensor, Tensor]:
    """Says who has other items than before, and which items have other users; new ones have.

    Returns:
        bool (U',) and bool (I',).
    """
    user, item = moved_to(graph.users, old.num_rows), moved_to(graph.items, old.num_columns)
    users, items = graph.users < 0, graph.items < 0
    row, column = user[old.rows], item[old.columns]
    users[row[(row >= 0) & (column < 0)]] = True  # whose item is gone
    items[column[(column >= 0) & (row < 0)]] = True
    there = (row >= 0) & (column >= 0)
    width = graph.history.num_columns
    before = row[there] * width + column[there]
    after = graph.history.rows * width + graph.history.columns
    keys, counts = torch.unique(torch.cat([before, after]), return_counts=True)
    once = keys[counts == 1]
    users[torch.div(once, max(width, 1), rounding_mode="floor")] = True
    items[once % max(width, 1)] = True
    return users, items


def _entry_weights(graph: NewGraph, recency: float | None) -> Tensor | None:
    if recency is None:
        return None
    if graph.ranks is None:
        raise ShapeError(
            "the scorer counts what is recent more, but the new graph has interactions without a "
            "time; give times to all of them, or train again"
        )
    return recency_weights(graph.history, graph.ranks, recency)


def _closed_form(scorer: ClosedForm, graph: NewGraph) -> ClosedForm:
    known = {relation.name: relation for relation in graph.find_relations()}
    kept = [known[relation.name] for relation in scorer.relations if relation.name in known]
    return ClosedForm(
        graph.history,
        kept,
        {relation.name: scorer.relation_weights[relation.name] for relation in kept},
        scorer.ridge,
        take_square(scorer.weights, graph.items),
        take_rows(scorer.diagonal, graph.items, 1.0 / scorer.ridge),
        _entry_weights(graph, scorer.refinements.recency),
        scorer.refinements,
    )


def _sparse(scorer: SparseClosedForm, graph: NewGraph) -> SparseClosedForm:
    influence, weights = scorer.influence, scorer.weights
    hubs, columns = scorer.hubs, scorer.hub_columns
    if not is_identity(graph.items, scorer.num_items):
        moved, width = moved_to(graph.items, scorer.num_items), len(graph.items)
        row, column = moved[influence.rows], moved[influence.columns]
        there = (row >= 0) & (column >= 0)
        order = torch.argsort(row[there] * width + column[there])
        influence = Incidence.from_pairs(row[there], column[there], width, width)
        weights = weights[there][order]
        stays = moved[hubs] >= 0
        hubs, columns = moved[hubs[stays]], take_rows(columns[:, stays], graph.items)
    return SparseClosedForm(
        graph.history,
        scorer.relation_names,
        influence,
        weights,
        hubs,
        columns,
        take_rows(scorer.diagonal, graph.items, 1.0),
    )


def _user_side(scorer: UserSide, graph: NewGraph) -> UserSide:
    """Users who are new or have other items are explained by the others anew, by the trained P.

    With g_v = Σ_j d_j x_vj x_uj over old users v but u, and P u's row and column aside,
    w = P g + W_u (P g)_u: the ridge regression of u on them.
    """
    weights = take_square(scorer.weights, graph.users)
    diagonal, counted = scorer.diagonal, scorer.item_weight
    users = torch.nonzero(changed_ends(scorer.history, graph)[0]).squeeze(1)
    if diagonal is not None and counted is not None and len(users):
        if weights is scorer.weights:
            weights = weights.clone()
        old_users = moved_to(graph.users, scorer.num_users)
        gram = _beside(scorer.history, counted, graph, users)  # (U, k)
        old = graph.users[users]  # (k,), -1 if new
        at = torch.nonzero(old >= 0).squeeze(1)
        gram[old[at], at] = 0.0
        scaled = diagonal[:, None] * gram
        solved = scaled - scorer.weights @ scaled  # P g
        mine = solved[old[at], at]  # (P g)_u
        solved[:, at] += scorer.weights[:, old[at]] * mine
        solved[old[at], at] = 0.0
        stays = torch.nonzero(old_users >= 0).squeeze(1)
        weights[:, users] = 0.0
        weights[old_users[stays][:, None], users[None, :]] = solved[stays]
    diagonal = None if diagonal is None else take_rows(diagonal, graph.users, 0.0)
    if counted is not None:
        counted = take_rows(counted, graph.items, float(counted.max()))
    return UserSide(graph.history, weights, diagonal, counted)


def _beside(old: Incidence, counted: Tensor, graph: NewGraph, users: Tensor) -> Tensor:
    """Gives Σ_j d_j x_vj x_uj of old users v and users u (k,) of the new graph, (U, k)."""
    items, lengths = graph.history.take(users)
    row = torch.repeat_interleave(torch.arange(len(users)), lengths)
    place = graph.items[items]
    there = place >= 0
    taken = torch.zeros(old.num_columns, len(users))
    taken[place[there], row[there]] = counted[place[there]]
    return torch.nn.functional.embedding_bag(old.columns, taken, old.pointer[:-1], mode="sum")


def _factors(scorer: WeightedMF, graph: NewGraph) -> WeightedMF:
    item = take_rows(scorer.item_factors, graph.items)
    return WeightedMF(graph.history, item, scorer.unobserved, scorer.ridge)


def _directed(scorer: DirectedRidge, graph: NewGraph) -> DirectedRidge:
    if scorer.recency is None:
        raise ShapeError("the directed ridge's recency was not kept; train again")
    counts = _entry_weights(graph, scorer.recency)
    assert counts is not None
    weights = take_square(scorer.weights, graph.items)
    return DirectedRidge(graph.history, weights, counts, scorer.recency)


def _popularity(scorer: Popularity, graph: NewGraph) -> Popularity:  # noqa: ARG001
    return Popularity(graph.history)


def _propagation(scorer: PropagationScorer, graph: NewGraph) -> PropagationScorer:
    """The trained network's forward pass over the new graph, with its degrees.

    Old nodes keep X. A new node has no free embedding: its X is that of its text, or zero, and its
    neighbours do the rest. Edges of relations that training did not know pass no messages.
    """
    place, new = graph.nodes, graph.tensors
    x = take_rows(scorer.network.x, place)
    if scorer.project is not None and new.text is not None:
        fresh = place < 0
        if x is scorer.network.x and bool(fresh.any()):
            x = x.clone()
        x[fresh] = new.text[fresh] @ scorer.project
    names = {name: number for number, name in enumerate(scorer.relation_names)}
    kind = torch.tensor([names.get(name, -1) for name in new.relation_names])[new.edge_type]
    known = kind >= 0
    network = LinearNetwork.of_edges(
        x,
        new.edge_index[:, known],
        kind[known],
        scorer.network.relation_weight,
        scorer.network.num_layers,
    )
    counts = torch.bincount(graph.history.columns, minlength=new.num_items).float()
    _, values = scorer.state()
    tensors = network.tensors() | {
        "item_bias": scorer.popularity * torch.log1p(counts),
        "history_pointer": graph.history.pointer,
        "history_columns": graph.history.columns,
    }
    if scorer.project is not None:
        tensors["project"] = scorer.project
    sizes = {"num_users": new.num_users, "num_items": new.num_items}
    return PropagationScorer(tensors, values | sizes)


def _embeddings(scorer: EmbeddingScorer, graph: NewGraph) -> EmbeddingScorer:
    """Old nodes keep their embeddings; new ones have none, and all their products are 0."""
    return EmbeddingScorer(
        take_rows(scorer.user_embedding, graph.users),
        take_rows(scorer.item_embedding, graph.items),
        take_rows(scorer.item_bias, graph.items),
        graph.history,
    )


def _fusion(scorer: Fusion, graph: NewGraph) -> Fusion:
    parts = {name: fold(part, graph) for name, part in scorer.parts.items()}
    return Fusion(parts, scorer.part_weights, scorer.part_scales)


def _completion(scorer: ColdCompletion, graph: NewGraph) -> ColdCompletion:
    made = scorer.completion
    moved = moved_to(graph.items, scorer.num_items)
    warm, cold = moved[made.warm], moved[made.cold]
    warm_stays, cold_stays = warm >= 0, cold >= 0
    kept = replace(
        made,
        warm=warm[warm_stays],
        cold=cold[cold_stays],
        weights=made.weights[warm_stays][:, cold_stays],
        bias=made.bias[cold_stays],
    )
    return ColdCompletion(fold(scorer.scorer, graph), kept)


def _cold_users(scorer: ColdUsers, graph: NewGraph) -> ColdUsers:
    """Those who have items by now are served like all others; the rest keep their profiles."""
    made = scorer.profiles
    cold = moved_to(graph.users, scorer.num_users)[made.cold]
    stays = cold >= 0
    stays[stays.clone()] = graph.history.lengths[cold[stays]] == 0
    kept = replace(
        made,
        cold=cold[stays],
        factors=made.factors[stays],
        directions=take_rows(made.directions.mT, graph.items).mT.contiguous(),
        base=take_rows(made.base, graph.items, float(made.base.min())),
    )
    return ColdUsers(fold(scorer.scorer, graph), kept)


_FOLDS: dict[type, Callable[[Any, NewGraph], Any]] = {
    ClosedForm: _closed_form,
    SparseClosedForm: _sparse,
    UserSide: _user_side,
    WeightedMF: _factors,
    DirectedRidge: _directed,
    Popularity: _popularity,
    PropagationScorer: _propagation,
    EmbeddingScorer: _embeddings,
    Fusion: _fusion,
    ColdCompletion: _completion,
    ColdUsers: _cold_users,
}
