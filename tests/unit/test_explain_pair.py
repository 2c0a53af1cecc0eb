"""Explanations of pairs: every sum, paths against all walks, deletion against a rebuilt network."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from graphs import history_of, random_graph, tensors_of

from kgrec.explain.deletion import carried, renormalised_drop
from kgrec.explain.explainer import Explainer
from kgrec.explain.leaves import leaves_of
from kgrec.explain.pair import explain_pair
from kgrec.explain.paths import find_paths
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
        assert found.joined + found.apart + found.beside_layers == score


def every_path(
    scorer: PropagationScorer, user: int, item: int
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """The shares of all paths without a node twice, by walking everywhere."""
    network, layers = scorer.network, scorer.network.num_layers
    into: dict[int, list[tuple[int, int, float]]] = {}
    for source, target, kind, weight in zip(
        network.source.tolist(), network.target.tolist(), network.kind.tolist(),
        network.weight.tolist(), strict=True,
    ):  # fmt: skip
        into.setdefault(target, []).append((source, kind, weight))
    twin = {
        number: scorer.relation_names.index(
            name.removeprefix("rev_") if name.startswith("rev_") else f"rev_{name}"
        )
        for number, name in enumerate(scorer.relation_names)
    }

    def walks(root: int) -> list[tuple[tuple[int, ...], tuple[int, ...], float]]:
        levels = [[((root,), (), 1.0)]]
        for _ in range(layers):
            levels.append(
                [
                    ((*nodes, source), (*kinds, kind), weight * a)
                    for nodes, kinds, weight in levels[-1]
                    for source, kind, a in into.get(nodes[-1], [])
                ]
            )
        return [walk for level in levels for walk in level]

    total: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    node = scorer.num_users + item
    norms = float(scorer.user_norm[user] * scorer.item_norm[item])
    for (a, ka, wa), (b, kb, wb) in product(walks(user), walks(node)):
        nodes = (*a, *reversed(b[:-1]))
        if a[-1] != b[-1] or len(set(nodes)) < len(nodes):
            continue
        kinds = (*ka, *(twin[kind] for kind in reversed(kb)))
        square = float(network.x[a[-1]].square().sum())
        share = wa * wb * square / (layers + 1) ** 2 / norms
        total[nodes, kinds] = total.get((nodes, kinds), 0.0) + share
    return total


@pytest.mark.parametrize(("layers", "temperature"), [(1, 0.2), (2, 0.2), (2, None), (3, 0.2)])
def test_the_heaviest_paths_are_those_of_all_walks(layers: int, temperature: float | None) -> None:
    scorer = network(0, layers, temperature)
    explainer = Explainer(Toy(scorer))
    pairs = [(0, 3), (5, 7), (12, 0), (13, 10), (2, 10)]
    for user, item in pairs if layers < 3 else pairs[1:2]:  # walking everywhere takes its time
        wanted = every_path(scorer, user, item)
        heaviest = sorted(map(abs, wanted.values()), reverse=True)[:8]
        ends = explainer.ends(leaves_of(scorer, user, item)[0], user, item)
        found = find_paths(ends.networks, ends.factors, ends.user_reach, ends.item_reach, 8)
        assert found.complete
        assert [abs(route.share) for route in found.routes] == pytest.approx(heaviest, rel=1e-5)
        for route in found.routes:
            assert wanted[route.nodes, route.kinds] == pytest.approx(route.share, rel=1e-5)
        if layers < 3:
            count = len(wanted) + 1
            every = find_paths(ends.networks, ends.factors, ends.user_reach, ends.item_reach, count)
            assert len(every.routes) == len(wanted)
            assert every.complete


def test_shares_of_an_ensemble_add_up_over_its_members() -> None:
    scorer = fusion()
    leaves, _ = leaves_of(scorer, 3, 8)
    explainer = Explainer(Toy(scorer))
    ends = explainer.ends(leaves, 3, 8)
    wanted: dict = {}
    for leaf in leaves:
        if isinstance(leaf.scorer, PropagationScorer):
            for path, share in every_path(leaf.scorer, 3, 8).items():
                wanted[path] = wanted.get(path, 0.0) + leaf.scale * share
    heaviest = sorted(map(abs, wanted.values()), reverse=True)[:6]
    found = find_paths(ends.networks, ends.factors, ends.user_reach, ends.item_reach, 6)
    assert [abs(route.share) for route in found.routes] == pytest.approx(heaviest, rel=1e-5)


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_removing_a_path_costs_what_it_carries(layers: int, renormalise: bool) -> None:
    scorer = network(0, layers)
    explainer = Explainer(Toy(scorer))
    for user, item in [(0, 3), (5, 7), (2, 10)]:
        ends = explainer.ends(leaves_of(scorer, user, item)[0], user, item)
        found = find_paths(ends.networks, ends.factors, ends.user_reach, ends.item_reach, 6)
        for route in found.routes:
            gone = np.array(route.edges)
            gone = torch.from_numpy(np.concatenate([gone, ends.networks.twins_of(gone)]))
            less = scorer.network.without(gone, renormalise=renormalise)
            z = sum(less.layers) / (layers + 1)
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
    found = explain_pair(Toy(network(1)), "u3", "i8")
    by_relation: dict[str, float] = {}
    for each in found.attributes:
        by_relation[each.relation] = by_relation.get(each.relation, 0.0) + each.share
    assert {"GENRE", "DIRECTED_BY"} & set(by_relation)
    for relation, share in by_relation.items():
        assert share == pytest.approx(found.relations[relation], abs=1e-5)
