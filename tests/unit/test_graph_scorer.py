"""What the network's scorers say a score is made of, judged by taking edges away."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import behaviour, history_of, layers_of, make_graph, random_graph, tensors_of

from kgrec.graph.data import Interactions
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.network import GraphNetwork, GraphTensors
from kgrec.schema import Role

GRAPH = random_graph(4)
TENSORS = tensors_of(GRAPH, text=3)
HISTORY = history_of(GRAPH)
BIAS = 0.3 * torch.log1p(torch.bincount(HISTORY.columns, minlength=GRAPH.num_items).float())
EVERYONE = torch.arange(GRAPH.num_users)
EVERY_ITEM = torch.arange(GRAPH.num_items)


def network(layers: int = 2, encoder: str = "propagation") -> GraphNetwork:
    net = GraphNetwork(
        TENSORS, encoder=encoder, channels=6, num_layers=layers,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    with torch.no_grad():
        net.popularity.fill_(0.3)
        if encoder == "propagation":  # relations of different weights
            net.encoder.weight.copy_(torch.linspace(-1.0, 2.0, len(TENSORS.relation_names)))
    return net


def scorer(temperature: float | None, layers: int = 2) -> PropagationScorer:
    return PropagationScorer.from_network(network(layers), TENSORS, HISTORY, temperature)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_inner_product_of_the_network(layers: int) -> None:
    user, item = network(layers)()
    torch.testing.assert_close(
        scorer(None, layers).score(EVERYONE), (user @ item.T + BIAS).detach(), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_cosine_of_the_network_over_the_temperature(layers: int) -> None:
    user, item = network(layers)()
    cosine = torch.nn.functional.cosine_similarity(user[:, None], item[None], dim=2).detach()
    got = scorer(0.25, layers).score(torch.tensor([3, 1, 3]))
    torch.testing.assert_close(got, cosine[[3, 1, 3]] / 0.25 + BIAS, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("temperature", [None, 0.25])
@pytest.mark.parametrize("layers", [0, 2])
def test_shares_add_up_both_ways_for_everyone(layers: int, temperature: float | None) -> None:
    judged = scorer(temperature, layers)
    served = judged.score(EVERYONE)
    for user in range(GRAPH.num_users):
        made = judged.contributions(user, EVERY_ITEM)
        torch.testing.assert_close(made.score, served[user], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            made.by_item.sum(1) + made.rest, served[user], atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(made.by_relation.sum(1), served[user], atol=1e-5, rtol=1e-4)
        assert made.own_items.tolist() == HISTORY.row(user).tolist()
        assert made.exact
        assert made.relations_exact


def without_edges(graph: GraphTensors, drop: torch.Tensor) -> torch.Tensor:
    """Z of users and items if the dropped edges (E,) delivered nothing in the last step."""
    net = network()
    adjacency = net.encoder.adjacency
    values = adjacency.values(net.encoder.relation_weights()).masked_fill(drop, 0.0)
    layers = layers_of(net.encoder, net.features())
    message = sum(layers[:-1]) / len(layers)
    z = (layers[0] / len(layers)).index_add(
        0, graph.edge_index[1], values[:, None] * message[graph.edge_index[0]]
    )
    return z.detach()


@pytest.mark.parametrize("temperature", [None, 0.25])
def test_a_share_is_what_the_score_loses_with_the_items_message(temperature: float | None) -> None:
    judged, user = scorer(temperature), 3
    made = judged.contributions(user, EVERY_ITEM)
    kind = TENSORS.relation_names.index("rev_INTERACTED")
    items = torch.arange(GRAPH.num_users, GRAPH.num_users + GRAPH.num_items)
    whole = without_edges(TENSORS, torch.zeros(len(TENSORS.edge_type), dtype=torch.bool))
    for place, own in enumerate(made.own_items.tolist()):
        drop = (
            (TENSORS.edge_type == kind)
            & (TENSORS.edge_index[0] == GRAPH.num_users + own)
            & (TENSORS.edge_index[1] == user)
        )
        assert drop.sum() == 1
        less = without_edges(TENSORS, drop)
        scale = torch.ones(GRAPH.num_items)
        if temperature is not None:  # the norms of the whole score are held
            scale = 1 / (temperature * whole[user].norm() * whole[items].norm(dim=1))
        lost = (whole[items] @ (whole[user] - less[user])) * scale
        torch.testing.assert_close(made.by_item[:, place], lost, atol=1e-5, rtol=1e-4)
        assert lost.abs().max() > 1e-4


def test_a_relations_share_is_what_the_score_loses_with_its_messages() -> None:
    judged, user = scorer(0.25), 3
    made = judged.contributions(user, EVERY_ITEM)
    items = torch.arange(GRAPH.num_users, GRAPH.num_users + GRAPH.num_items)
    whole = without_edges(TENSORS, torch.zeros(len(TENSORS.edge_type), dtype=torch.bool))
    scale = 1 / (0.25 * whole[user].norm() * whole[items].norm(dim=1))
    for kind, name in enumerate(TENSORS.relation_names):
        less = without_edges(TENSORS, TENSORS.edge_type == kind)
        lost = ((whole[items] - less[items]) @ whole[user]) * scale
        column = made.relation_names.index(name)
        torch.testing.assert_close(made.by_relation[:, column], lost, atol=1e-5, rtol=1e-4)


def test_dislikes_take_away_and_are_reported_so() -> None:
    # All embeddings 1, inner product: what DISMISS brings to an item is -w norm y_u · z_u < 0.
    graph = make_graph(
        (2, 2, 0), [(0, 0), (1, 0)], (behaviour("dismiss", [(1, 1)], Role.NEGATIVE),)
    )
    tensors = tensors_of(graph)
    net = GraphNetwork(
        tensors, channels=1, num_layers=1, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        net.embedding.fill_(1.0)
    judged = PropagationScorer.from_network(net, tensors, history_of(graph), None)
    made = judged.contributions(0, torch.tensor([0, 1]))
    shares = made.by_relation[:, made.relation_names.index("DISMISS")].tolist()
    z = (1 + 1 / 2**0.5) / 2  # of user 0: itself and item 0, halved
    assert shares == [0.0, pytest.approx(-0.5 * z, abs=1e-4)]
    torch.testing.assert_close(made.by_relation.sum(1), judged.score(torch.tensor([0]))[0])


def test_a_repeated_interaction_counts_as_one_own_item() -> None:
    train = GRAPH.train
    user_index = np.append(train.user_index, train.user_index[0])
    item_index = np.append(train.item_index, train.item_index[0])
    twice = replace(GRAPH, train=Interactions(user_index, item_index))
    tensors = tensors_of(twice)
    net = GraphNetwork(tensors, channels=4, generator=torch.Generator().manual_seed(0))
    judged = PropagationScorer.from_network(net, tensors, history_of(twice), 0.2)
    user = int(train.user_index[0])
    made = judged.contributions(user, EVERY_ITEM)
    assert made.own_items.tolist() == HISTORY.row(user).tolist()
    torch.testing.assert_close(
        made.by_item.sum(1) + made.rest, judged.score(torch.tensor([user]))[0], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("temperature", [None, 0.25])
def test_embedding_scorer_serves_the_attention_network(temperature: float | None) -> None:
    net = network(encoder="attention")
    judged = EmbeddingScorer.from_network(net, HISTORY, temperature)
    user, item = (part.detach() for part in net())
    wanted = user @ item.T
    if temperature is not None:
        wanted = wanted / (temperature * user.norm(dim=1)[:, None] * item.norm(dim=1))
    wanted = wanted + BIAS
    torch.testing.assert_close(judged.score(EVERYONE), wanted, atol=1e-5, rtol=1e-4)
    made = judged.contributions(2, torch.tensor([4, 0]))
    torch.testing.assert_close(made.rest, wanted[2, [4, 0]], atol=1e-5, rtol=1e-4)
    assert not made.by_item.any()
    assert made.by_item.shape == (2, len(HISTORY.row(2)))


def test_a_scorer_is_not_changed_by_further_training() -> None:
    net = network()
    judged = PropagationScorer.from_network(net, TENSORS, HISTORY, 0.2)
    before = judged.score(EVERYONE)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    assert torch.equal(judged.score(EVERYONE), before)


def test_state_and_device_moves_are_bit_identical() -> None:
    for judged in (scorer(0.2), EmbeddingScorer.from_network(network(), HISTORY, None)):
        tensors, values = judged.state()
        again = type(judged).from_state({k: t.clone() for k, t in tensors.items()}, values)
        assert torch.equal(again.score(EVERYONE), judged.score(EVERYONE))
        moved = judged.to(torch.device("cpu"))
        assert torch.equal(moved.score(EVERYONE), judged.score(EVERYONE))
