"""The trained network as a whole: its layers, its edges, and what is left without some of them."""

import pytest
import torch
from graphs import history_of, layers_of, linear_layers, random_graph, tensors_of

from kgrec.model.adjacency import symmetric_norm
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.linear_network import LinearNetwork, narrow
from kgrec.model.network import GraphNetwork

GRAPH = random_graph(4)
TENSORS = tensors_of(GRAPH)
WEIGHT = torch.linspace(-1.0, 2.0, len(TENSORS.relation_names))
X = torch.randn(TENSORS.num_nodes, 5, generator=torch.Generator().manual_seed(1))
NETWORK = LinearNetwork.of_edges(X, TENSORS.edge_index, TENSORS.edge_type, WEIGHT, 3)


def dense(keep: torch.Tensor | None = None, norm: torch.Tensor | None = None) -> torch.Tensor:
    """P as a matrix, from the edge list."""
    index, kind = TENSORS.edge_index, TENSORS.edge_type
    if keep is not None:
        index, kind = index[:, keep], kind[keep]
    norm = symmetric_norm(index, kind, TENSORS.num_nodes) if norm is None else norm
    matrix = torch.zeros(TENSORS.num_nodes, TENSORS.num_nodes)
    for edge, (source, target) in enumerate(index.T.tolist()):
        matrix[target, source] += WEIGHT[kind[edge]] * norm[edge]
    return matrix


def test_layers_are_powers_of_the_matrix() -> None:
    matrix = dense()
    assert len(linear_layers(NETWORK)) == 4
    for power, layer in enumerate(linear_layers(NETWORK)):
        wanted = torch.linalg.matrix_power(matrix, power) @ X
        torch.testing.assert_close(layer, wanted, atol=1e-4, rtol=1e-4)


def test_the_message_is_the_mean_of_all_layers_but_the_last() -> None:
    torch.testing.assert_close(NETWORK.message(), sum(linear_layers(NETWORK)[:-1]) / 4)
    torch.testing.assert_close(NETWORK.propagate(X, 7), linear_layers(NETWORK)[1][:7])
    still = LinearNetwork.of_edges(X, TENSORS.edge_index, TENSORS.edge_type, WEIGHT, 0)
    assert not still.message().any()


@pytest.mark.parametrize("renormalise", [False, True])
def test_without_some_edges(renormalise: bool) -> None:
    drop = torch.tensor([0, 17, len(TENSORS.edge_type) - 1])
    less = NETWORK.without(drop, renormalise=renormalise)
    # Places are those of the network, where edges stand by target, relation and source.
    gone = {
        (int(NETWORK.source[e]), int(NETWORK.target[e]), int(NETWORK.kind[e]))
        for e in drop.tolist()
    }
    listed = zip(*TENSORS.edge_index.tolist(), TENSORS.edge_type.tolist(), strict=True)
    keep = torch.tensor([edge not in gone for edge in listed])
    assert int((~keep).sum()) == 3
    held = symmetric_norm(TENSORS.edge_index, TENSORS.edge_type, TENSORS.num_nodes)[keep]
    wanted = dense(keep, None if renormalise else held) @ X
    torch.testing.assert_close(linear_layers(less)[1], wanted, atol=1e-5, rtol=1e-5)


def test_the_order_of_edges_does_not_matter() -> None:
    order = torch.randperm(len(TENSORS.edge_type), generator=torch.Generator().manual_seed(2))
    again = LinearNetwork.of_edges(
        X, TENSORS.edge_index[:, order], TENSORS.edge_type[order], WEIGHT, 3
    )
    assert torch.equal(linear_layers(again)[3], linear_layers(NETWORK)[3])


def test_the_scorer_keeps_the_network_it_was_trained_with() -> None:
    net = GraphNetwork(TENSORS, channels=6, generator=torch.Generator().manual_seed(0))
    kept = PropagationScorer.from_network(net, TENSORS, history_of(GRAPH), 0.2).network
    for layer, trained in zip(
        linear_layers(kept), layers_of(net.encoder, net.features()), strict=True
    ):
        torch.testing.assert_close(layer, trained.detach(), atol=1e-6, rtol=1e-5)
    assert (kept.source.dtype, kept.kind.dtype) == (torch.int32, torch.int16)
    torch.testing.assert_close(kept.relation_weight, net.encoder.relation_weights().detach())


def test_many_relations_get_more_bytes() -> None:
    assert narrow(torch.tensor([0, 2**15 - 1])).dtype == torch.int16
    assert narrow(torch.tensor([0, 2**15])).tolist() == [0, 2**15]
