"""Explanations of pairs: every sum, paths against all walks, deletion against a rebuilt network."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from graphs import history_of, linear_layers, random_graph, tensors_of

from kgrec.explanation.counterfactual import carried, renormalised_drop
from kgrec.explanation.explainer import Explainer, explain
from kgrec.explanation.paths import find_paths
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.network import GraphNetwork
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.training.relation_rows import relation_rows

GRAPH = random_graph(9)
TENSORS, HISTORY = tensors_of(GRAPH), history_of(GRAPH)
NAMES = {
    label: [f"Name {key}" for key in vocabulary.ids]
    for label, vocabulary in GRAPH.vocabularies.items()
}


@dataclass(frozen=True)
class Toy:
    scorer: Scorer
    vocabularies = GRAPH.vocabularies
    names = NAMES


def network(seed: int, layers: int = 2, temperature: float | None = 0.2) -> PropagationScorer:
    net = GraphNetwork(
        TENSORS, channels=6, num_layers=layers, generator=torch.Generator().manual_seed(seed)
    )
    with torch.no_grad():
        net.popularity.fill_(0.3)
        net.encoder.weight.copy_(torch.linspace(-1.0, 2.0 - seed, len(TENSORS.relation_names)))
    return PropagationScorer.from_network(net, TENSORS, HISTORY, temperature)


def fusion(layers: int = 2) -> Fusion:
    members = {str(seed): network(seed, layers) for seed in range(2)}
    parts = {
        "network": Fusion(members, {"0": 0.5, "1": 0.5}),
        "closed_form": ClosedForm.fit(HISTORY, relation_rows(GRAPH), {"genre": 1.0}, 2.0),
        "popularity": Popularity(HISTORY),
    }
    weights = {"network": 1.0, "closed_form": 0.5, "popularity": 0.2}
    return Fusion(parts, weights, {"closed_form": 0.3})


@pytest.mark.parametrize("scorer", [fusion(), fusion(1), network(0), network(0, 3, None)])
def test_every_way_of_adding_up_gives_every_score(scorer: Scorer) -> None:
    explainer = Explainer(Toy(scorer))
    served = scorer.score(torch.arange(GRAPH.num_users))
    for user, item in product(range(GRAPH.num_users), range(GRAPH.num_items)):
        found = explainer.pair(f"u{user}", f"i{item}", num_paths=0)
        score = pytest.approx(float(served[user, item]), abs=1e-5, rel=1e-5)
        assert found.score == score
        assert sum(part.share for part in found.parts) == score
        assert sum(own.share for own in found.own_items) + found.rest == score
        assert sum(found.relations.values()) == score
        assert sum(layer.share for layer in found.layers) + found.beside_layers == score
        assert found.linked + found.apart + found.beside_layers == score


def every_path(scorer: PropagationScorer, user: int, item: int) -> dict[tuple[int, int], float]:
    """What each pair of edges into user and item brings that the graph joins, one by one."""
    network, target = scorer.network, scorer.num_users + item
    into: dict[int, list[tuple[int, int]]] = {}
    for edge, (source, node) in enumerate(
        zip(network.source.tolist(), network.target.tolist(), strict=True)
    ):
        into.setdefault(node, []).append((edge, source))
    norms = float(scorer.user_norm[user] * scorer.item_norm[item])
    total = {}
    for (first, j), (last, e) in product(into.get(user, []), into.get(target, [])):
        joined = j == e or e in [source for _, source in into.get(j, [])]
        if joined and j not in (user, target) and e not in (user, target):
            said = float(scorer.message[j] @ scorer.message[e])
            total[first, last] = float(network.weight[first] * network.weight[last]) * said / norms
    return total


def ends_of(scorer: Scorer, user: int, item: int):
    return Explainer(Toy(scorer)).ends(scorer.leaves(user, item)[0], user, item)


@pytest.mark.parametrize(("layers", "temperature"), [(1, 0.2), (2, 0.2), (2, None), (3, 0.2)])
def test_the_heaviest_paths_are_those_of_all_pairs(layers: int, temperature: float | None) -> None:
    scorer = network(0, layers, temperature)
    for user, item in product(range(GRAPH.num_users), range(GRAPH.num_items)):
        wanted = every_path(scorer, user, item)
        heaviest = sorted(map(abs, wanted.values()), reverse=True)[:8]
        found = find_paths(ends_of(scorer, user, item), 8)
        assert found.complete
        assert [abs(route.share) for route in found.routes] == pytest.approx(heaviest, abs=1e-6)
        assert found.linked == pytest.approx(sum(wanted.values()), abs=1e-5)
        for route in found.routes:
            share = wanted[route.edges[0], route.edges[-1]]
            assert route.share == pytest.approx(share, abs=1e-6)


def test_paths_are_paths_of_the_graph() -> None:
    scorer = network(0)
    net = scorer.network
    columns = (net.source.tolist(), net.target.tolist(), net.kind.tolist())
    facts = set(zip(*columns, strict=True))
    found = find_paths(ends_of(scorer, 5, 7), 1000)
    assert {len(route.edges) for route in found.routes} == {2, 3}
    for route in found.routes:
        assert route.nodes[0] == 5
        assert route.nodes[-1] == GRAPH.num_users + 7
        assert len(set(route.nodes)) == len(route.nodes)
        for before, after, kind in zip(route.nodes, route.nodes[1:], route.kinds, strict=False):
            assert (after, before, kind) in facts


def test_a_spent_budget_is_told_and_its_bound_holds() -> None:
    scorer = network(0)
    whole = find_paths(ends_of(scorer, 5, 7), 10)
    some = find_paths(ends_of(scorer, 5, 7), 10, budget=60)
    assert whole.complete
    assert not some.complete
    kept = {route.edges for route in some.routes}
    missed = [route for route in whole.routes if route.edges not in kept]
    assert missed
    assert max(abs(route.share) for route in missed) <= some.bound


def test_a_share_is_what_the_two_messages_say_to_each_other() -> None:
    """Without the one, without the other, without both: what is left is the pair's."""
    scorer = network(0)
    user, item = 5, 7
    node, network_ = GRAPH.num_users + item, scorer.network
    z_u = scorer.user_embedding[user] * scorer.user_norm[user]
    z_i = scorer.item_embedding[item] * scorer.item_norm[item]
    norms = float(scorer.user_norm[user] * scorer.item_norm[item])
    route = find_paths(ends_of(scorer, user, item), 1).routes[0]
    first, last = route.edges[0], route.edges[-1]
    assert int(network_.target[first]) == user
    assert int(network_.target[last]) == node
    less_u = z_u - network_.weight[first] * scorer.message[network_.source[first].item()]
    less_i = z_i - network_.weight[last] * scorer.message[network_.source[last].item()]
    left = float(z_u @ z_i - less_u @ z_i - z_u @ less_i + less_u @ less_i) / norms
    assert route.share == pytest.approx(left, abs=1e-5)


def test_shares_of_an_ensemble_add_up_over_its_members() -> None:
    scorer = fusion()
    leaves, _ = scorer.leaves(3, 8)
    wanted: dict = {}
    for leaf in leaves:
        if isinstance(leaf.scorer, PropagationScorer):
            for path, share in every_path(leaf.scorer, 3, 8).items():
                wanted[path] = wanted.get(path, 0.0) + leaf.scale * share
    heaviest = sorted(map(abs, wanted.values()), reverse=True)[:6]
    found = find_paths(ends_of(scorer, 3, 8), 6)
    assert [abs(route.share) for route in found.routes] == pytest.approx(heaviest, abs=1e-6)


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_removing_a_path_costs_what_it_carries(layers: int, renormalise: bool) -> None:
    scorer = network(0, layers)
    for user, item in [(0, 3), (5, 7), (2, 10)]:
        ends = ends_of(scorer, user, item)
        found = find_paths(ends, 6)
        for route in found.routes:
            gone = np.array(route.edges)
            gone = torch.from_numpy(np.concatenate([gone, ends.networks.twins_of(gone)]))
            less = scorer.network.without(gone, renormalise=renormalise)
            z = sum(linear_layers(less)) / (layers + 1)
            rest = float(z[user] @ z[GRAPH.num_users + item])
            if renormalise:
                norms = float(z[user].norm() * z[GRAPH.num_users + item].norm()) * 0.2
                drop = renormalised_drop(ends, route.edges)
            else:
                norms = float(scorer.user_norm[user] * scorer.item_norm[item])
                drop = carried(ends, route.edges)
            before = float(scorer.score(torch.tensor([user]))[0, item] - scorer.item_bias[item])
            assert drop == pytest.approx(before - rest / norms, abs=1e-5)


def test_attributes_add_up_to_their_relation() -> None:
    told = set()
    for item in range(GRAPH.num_items):
        found = explain(Toy(network(1)), "u3", f"i{item}", 0, num_counterfactuals=0)
        by_relation: dict[str, float] = {}
        for each in found.attributes:
            by_relation[each.relation] = by_relation.get(each.relation, 0.0) + each.share
        for relation, share in by_relation.items():
            assert share == pytest.approx(found.relations[relation], abs=1e-5, rel=1e-5)
        told |= set(by_relation)
    assert {"GENRE", "DIRECTED_BY", "FEATURES", "SEQUEL"} <= told
