"""Folding: what did not change stays bit by bit, what did is what the trained model says of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import history_of, random_graph, tensors_of

from kgrec.errors import ShapeError
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.cold import ColdCompletion, Completion
from kgrec.model.cold_users import ColdUsers, Profiles
from kgrec.model.directed import DirectedRidge
from kgrec.model.folding import NewGraph, changed_ends
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import ItemKNN
from kgrec.model.network import GraphNetwork, GraphTensors
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.model.user_side import UserSide
from kgrec.model.wmf import WeightedMF
from kgrec.schema import NodeLabel
from kgrec.training.relation_rows import relation_rows
from kgrec.vocabulary import Vocabulary

OLD = random_graph(4)
HISTORY = history_of(OLD)
TENSORS = tensors_of(OLD, text=3)
RELATIONS = relation_rows(OLD)
WEIGHTS = {relation.name: 0.5 for relation in RELATIONS}
KNOWN = torch.arange(OLD.num_users)


def ranks(history) -> torch.Tensor:
    """Places by the item's number, as if users took items in that order."""
    start = history.pointer[:-1][history.rows]
    return (torch.arange(len(history.columns)) - start).float()


def network(tensors: GraphTensors = TENSORS) -> GraphNetwork:
    net = GraphNetwork(
        tensors, channels=6, num_layers=2, generator=torch.Generator().manual_seed(3)
    )
    with torch.no_grad():
        net.popularity.fill_(0.3)
        net.encoder.weight.copy_(torch.linspace(-1.0, 2.0, len(tensors.relation_names)))
    return net


def parts() -> dict[str, Scorer]:
    """One of every kind that a run may hold."""
    user = torch.from_numpy(OLD.train.user_index)
    item = torch.from_numpy(OLD.train.item_index)
    recent = Refinements(dropout=0.2, user_exponent=0.3, recency=3.0)
    warm = torch.arange(OLD.num_items - 1)
    made = Completion(
        warm, torch.tensor([OLD.num_items - 1]), torch.rand(len(warm), 1), torch.zeros(1), 0.5
    )
    cold = torch.nonzero(HISTORY.lengths == 0).squeeze(1)
    profiles = Profiles(
        cold, torch.randn(len(cold), 2), torch.randn(2, OLD.num_items), torch.rand(OLD.num_items)
    )
    embedded = torch.randn(OLD.num_users, 4), torch.randn(OLD.num_items, 4)
    popularity = Popularity(Incidence.from_pairs(user, item, OLD.num_users, OLD.num_items))
    return {
        "network": PropagationScorer.from_network(network(), TENSORS, HISTORY, 0.25),
        "closed": ClosedForm.fit(HISTORY, RELATIONS, WEIGHTS, 5.0, recent, ranks(HISTORY)),
        "sparse": SparseClosedForm.fit(HISTORY, RELATIONS, WEIGHTS, 5.0, neighbours=4, hubs=3),
        "users": UserSide.fit(HISTORY, 3.0),
        "factors": WeightedMF.fit(HISTORY, factors=3, iterations=2),
        "directed": DirectedRidge.fit(HISTORY, ranks(HISTORY), 5.0),
        "popularity": popularity,
        "embeddings": EmbeddingScorer(*embedded, torch.rand(OLD.num_items), HISTORY),
        "completed": ColdCompletion(popularity, made),
        "profiles": ColdUsers(popularity, profiles),
    }


PARTS = parts()


def into(graph: GraphData, text: int = 0) -> NewGraph:
    """The new graph, its nodes placed by their ids."""

    def places(label: NodeLabel) -> torch.Tensor:
        known = {key: at for at, key in enumerate(OLD.vocabularies[label].ids)}
        return torch.tensor([known.get(key, -1) for key in graph.vocabularies[label].ids])

    history = history_of(graph)
    return NewGraph(
        *(places(label) for label in NodeLabel),
        (OLD.num_users, OLD.num_items, OLD.num_entities),
        history,
        lambda: ranks(history),
        lambda: relation_rows(graph),
        lambda: tensors_of(graph, text=text),
    )


def shuffled(
    graph: GraphData, more: Sequence[tuple[str, str]] = (), gone: frozenset[str] = frozenset()
) -> GraphData:
    """The graph with new, unconnected nodes, others gone, all in another order, and more pairs."""
    rng = np.random.default_rng(8)
    ids, moved = {}, {}
    for label in NodeLabel:
        old = list(graph.vocabularies[label].ids)
        keys = [key for key in [*old, f"{label[0].lower()}new"] if key not in gone]
        ids[label] = list(rng.permutation(keys))
        place = {key: at for at, key in enumerate(ids[label])}
        moved[label] = np.array([place.get(key, -1) for key in old])

    def edges(relation: RelationEdges) -> RelationEdges:
        head = moved[relation.key.head][relation.head_index]
        tail = moved[relation.key.tail][relation.tail_index]
        kept = (head >= 0) & (tail >= 0)
        return replace(relation, head_index=head[kept], tail_index=tail[kept])

    user = moved[NodeLabel.USER][graph.train.user_index]
    item = moved[NodeLabel.ITEM][graph.train.item_index]
    kept = (user >= 0) & (item >= 0)
    fresh = np.array(
        [(ids[NodeLabel.USER].index(u), ids[NodeLabel.ITEM].index(i)) for u, i in more],
        dtype=np.int64,
    ).reshape(-1, 2)
    return replace(
        graph,
        vocabularies={label: Vocabulary(ids[label], label) for label in NodeLabel},
        train=Interactions(
            np.concatenate([user[kept], fresh[:, 0]]), np.concatenate([item[kept], fresh[:, 1]])
        ),
        relations=tuple(map(edges, graph.relations)),
    )


def by_id(scorer: Scorer, graph: GraphData) -> torch.Tensor:
    """Scores of old users and items, in the old order."""
    user, item = (
        torch.tensor([graph.vocabularies[x].index(key) for key in OLD.vocabularies[x].ids])
        for x in (NodeLabel.USER, NodeLabel.ITEM)
    )
    return scorer.score(user)[:, item]


@pytest.mark.parametrize("name", sorted(PARTS))
def test_no_change_gives_the_same_bits(name: str) -> None:
    folded = PARTS[name].folded(into(OLD))
    mine, theirs = folded.state(), PARTS[name].state()
    assert mine[1] == theirs[1]
    assert set(mine[0]) == set(theirs[0])
    for tensor in mine[0]:
        assert torch.equal(mine[0][tensor], theirs[0][tensor]), tensor


# Of the other two the order of a user's items is their time here, which the shuffle changes.
@pytest.mark.parametrize("name", sorted(set(PARTS) - {"closed", "directed"}))
def test_order_and_nodes_without_edges_change_nothing_for_others(name: str) -> None:
    graph = shuffled(OLD)
    folded = PARTS[name].folded(into(graph))
    assert (folded.num_users, folded.num_items) == (OLD.num_users + 1, OLD.num_items + 1)
    wanted = PARTS[name].score(KNOWN)
    torch.testing.assert_close(by_id(folded, graph), wanted, atol=1e-5, rtol=1e-4)
    assert folded.score(torch.arange(folded.num_users)).isfinite().all()


def test_weights_of_items_are_moved_by_their_ids() -> None:
    graph = shuffled(OLD)
    for name in ("closed", "directed"):
        old, folded = PARTS[name], PARTS[name].folded(into(graph))
        item = torch.tensor(
            [graph.vocabularies[NodeLabel.ITEM].index(key)
             for key in OLD.vocabularies[NodeLabel.ITEM].ids]
        )  # fmt: skip
        assert torch.equal(folded.weights[item][:, item], old.weights)
        fresh = graph.vocabularies[NodeLabel.ITEM].index("inew")
        assert not folded.weights[fresh].any()
        assert not folded.weights[:, fresh].any()


@pytest.mark.parametrize("name", sorted(set(PARTS) - {"users", "completed", "profiles"}))
def test_what_is_gone_leaves_the_rest_as_it_was(name: str) -> None:
    graph = shuffled(OLD, gone=frozenset({"u3", "i2", "e1"}))
    folded = PARTS[name].folded(into(graph))
    assert folded.num_users == OLD.num_users
    assert folded.score(torch.arange(folded.num_users)).isfinite().all()
    for tensor in folded.state()[0].values():
        assert not tensor.is_floating_point() or tensor.isfinite().all()


def test_one_more_edge_is_the_forward_pass_of_the_trained_network() -> None:
    taken = set(zip(OLD.train.user_index.tolist(), OLD.train.item_index.tolist(), strict=True))
    pair = next((u, i) for u in range(5) for i in range(5) if (u, i) not in taken)
    train = Interactions(
        np.append(OLD.train.user_index, pair[0]), np.append(OLD.train.item_index, pair[1])
    )
    graph = replace(OLD, train=train)
    trained = network()
    whole = tensors_of(graph, text=3)
    full = network(whole)
    full.load_state_dict(trained.state_dict())
    for temperature in (None, 0.25):
        old = PropagationScorer.from_network(trained, TENSORS, HISTORY, temperature)
        wanted = PropagationScorer.from_network(full, whole, history_of(graph), temperature)
        folded = old.folded(into(graph))
        torch.testing.assert_close(folded.score(KNOWN), wanted.score(KNOWN), atol=1e-5, rtol=1e-5)
        assert (folded.score(KNOWN) - old.score(KNOWN)).abs().max() > 1e-3
        made = folded.contributions(pair[0], torch.arange(OLD.num_items))
        torch.testing.assert_close(made.by_item.sum(1) + made.rest, made.score)


def test_a_new_item_is_embedded_by_its_text_and_its_edges() -> None:
    graph = shuffled(OLD, more=[("u2", "inew"), ("u5", "inew")])
    old = PARTS["network"]
    folded = old.folded(into(graph, text=3))
    new = GraphTensors.from_hetero(tensors_hetero(graph))
    node = graph.num_users + graph.vocabularies[NodeLabel.ITEM].index("inew")
    torch.testing.assert_close(folded.network.x[node], new.text[node] @ old.project)
    assert folded.item_embedding[node - graph.num_users].norm() > 0.9
    plain = old.folded(into(graph))  # no text: neighbours alone
    assert not plain.network.x[node].any()
    assert plain.item_embedding[node - graph.num_users].norm() > 0.9


def tensors_hetero(graph: GraphData):
    from kgrec.graph.tensors import build_hetero

    rng = np.random.default_rng(3)
    features = {
        label: rng.normal(size=(len(graph.vocabularies[label]), 3)).astype(np.float32)
        for label in NodeLabel
    }
    return build_hetero(graph, features)


def test_a_relation_that_training_did_not_know_passes_no_messages() -> None:
    known = {"genre", "directed_by", "features"}
    before = replace(OLD, relations=tuple(r for r in OLD.relations if r.name in known))
    tensors = tensors_of(before)
    old = PropagationScorer.from_network(network(tensors), tensors, HISTORY, 0.5)
    folded = old.folded(into(OLD))
    assert torch.equal(folded.score(KNOWN), old.score(KNOWN))


@pytest.mark.parametrize("name", ["closed", "sparse", "factors"])
def test_a_new_user_is_served_like_an_old_one_with_the_same_items(name: str) -> None:
    twin = "u4"
    items = [OLD.vocabularies[NodeLabel.ITEM].ids[i] for i in HISTORY.row(4).tolist()]
    graph = shuffled(OLD, more=[("unew", item) for item in items])
    folded = PARTS[name].folded(into(graph))
    users = graph.vocabularies[NodeLabel.USER]
    both = folded.score(torch.tensor([users.index("unew"), users.index(twin)]))
    torch.testing.assert_close(both[0], both[1])


def test_users_are_explained_by_the_others_as_ridge_regression_does() -> None:
    """Of a new user, and of an old one with another item; in numpy, by the trained histories."""
    old = PARTS["users"]
    graph = shuffled(OLD, more=[("unew", "i1"), ("unew", "i4"), ("u2", "i10")])
    folded = old.folded(into(graph))
    users, items = graph.vocabularies[NodeLabel.USER], graph.vocabularies[NodeLabel.ITEM]
    trained = HISTORY.dense(torch.float64).numpy()
    weight = old.item_weight.double().numpy()
    gram = trained @ np.diag(weight) @ trained.T
    gram += np.diag(np.diag(gram)) * 0.25 / 0.75 + 3.0 * np.eye(len(gram))
    order = [users.index(key) for key in OLD.vocabularies[NodeLabel.USER].ids]
    place = [items.index(key) for key in OLD.vocabularies[NodeLabel.ITEM].ids]
    now = history_of(graph).dense(torch.float64).numpy()[:, place]
    for key, others in (("unew", list(range(14))), ("u2", [n for n in range(14) if n != 2])):
        own = now[users.index(key)]
        target = trained[others] @ np.diag(weight) @ own
        wanted = np.linalg.solve(gram[np.ix_(others, others)], target)
        got = folded.weights[:, users.index(key)].numpy()[order][others]
        np.testing.assert_allclose(got, wanted, atol=2e-4)
    assert folded.weights[users.index("u2"), users.index("u2")] == 0
    untouched = folded.weights[:, users.index("u7")].numpy()[order]
    np.testing.assert_array_equal(untouched, old.weights[:, 7].numpy())


def test_who_changed() -> None:
    graph = shuffled(OLD, more=[("u2", "i10"), ("unew", "i1")], gone=frozenset({"i3", "u6"}))
    new = into(graph)
    found = changed_ends(HISTORY, new.history, new)
    users, items = (
        {graph.vocabularies[label].ids[at] for at in torch.nonzero(mask).squeeze(1).tolist()}
        for label, mask in zip((NodeLabel.USER, NodeLabel.ITEM), found, strict=True)
    )
    had = {f"u{u}" for u in range(14) if 3 in HISTORY.row(u).tolist()}
    assert users == (had | {"u2", "unew"}) - {"u6"}
    assert items == {f"i{i}" for i in HISTORY.row(6).tolist()} - {"i3"} | {"i10", "i1", "inew"}
    same = into(OLD)
    assert not any(mask.any() for mask in changed_ends(HISTORY, same.history, same))


def test_cold_users_with_items_are_cold_no_more() -> None:
    assert (HISTORY.lengths == 0).nonzero().flatten().tolist() == [13]
    graph = shuffled(OLD, more=[("u13", "i1")])
    folded = PARTS["profiles"].folded(into(graph))
    assert not folded.replaces(graph.vocabularies[NodeLabel.USER].index("u13"))


def test_recency_follows_the_new_history_and_needs_times() -> None:
    graph = replace(
        OLD,
        train=Interactions(np.append(OLD.train.user_index, 13), np.append(OLD.train.item_index, 2)),
    )
    folded = PARTS["closed"].folded(into(graph))
    assert folded.own(13)[1].tolist() == [1.0]
    untimed = replace(into(graph), find_ranks=lambda: None)
    for name in ("closed", "directed"):
        with pytest.raises(ShapeError, match="without a time"):
            PARTS[name].folded(untimed)


def test_a_fusion_folds_its_parts_and_keeps_weights_and_scales() -> None:
    some = {name: PARTS[name] for name in ("closed", "popularity")}
    old = Fusion(some, {"closed": 2.0, "popularity": 0.5}, {"closed": 0.1})
    graph = shuffled(OLD, more=[("u2", "i10")])
    folded = old.folded(into(graph))
    assert folded.part_weights == old.part_weights
    assert folded.part_scales == old.part_scales
    assert torch.equal(
        folded.parts["popularity"].score(KNOWN),
        PARTS["popularity"].folded(into(graph)).score(KNOWN),
    )


def test_what_cannot_be_folded_says_so() -> None:
    user, item = map(torch.from_numpy, (OLD.train.user_index, OLD.train.item_index))
    floor = ItemKNN.fit(Incidence.from_pairs(user, item, OLD.num_users, OLD.num_items))
    with pytest.raises(ShapeError, match="ItemKNN cannot be folded"):
        floor.folded(into(OLD))
