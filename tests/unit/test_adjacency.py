"""Relation-weighted propagation against hand-made and dense matrices."""

import resource

import pytest
import torch
from graphs import propagate, random_graph, tensors_of
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from kgrec.errors import ShapeError
from kgrec.model import segments
from kgrec.model.adjacency import RelationAdjacency, symmetric_norm

#: Nodes 0, 1, 2. Relation 0: 0 → 1, 2 → 1. Relation 1: 1 → 0.
EDGES = torch.tensor([[0, 2, 1], [1, 1, 0]])
KINDS = torch.tensor([0, 0, 1])
HALF = 0.5**0.5


def random_edges(seed: int = 0, nodes: int = 9, count: int = 40) -> tuple[Tensor, Tensor]:
    """Edges of 3 relations, with loops and pairs that several relations connect."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randint(nodes, (2, count), generator=generator)
    kinds = torch.randint(3, (count,), generator=generator)
    both = torch.unique(torch.cat([edges, kinds[None]]), dim=1)
    return both[:2], both[2]


def dense_propagation(edges: Tensor, kinds: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Σ_r w_r D_out^-1/2 A_r D_in^-1/2 x with dense matrices, which autograd goes through."""
    out = torch.zeros_like(x)
    for number in range(len(weight)):
        chosen = edges[:, kinds == number]
        matrix = torch.zeros(len(x), len(x), dtype=x.dtype)
        matrix.index_put_((chosen[1], chosen[0]), torch.ones((), dtype=x.dtype), accumulate=True)
        into, out_of = matrix.sum(1).clamp(min=1), matrix.sum(0).clamp(min=1)
        out = out + weight[number] * (into.rsqrt()[:, None] * matrix * out_of.rsqrt()) @ x
    return out


def in_double(adjacency: RelationAdjacency) -> RelationAdjacency:
    adjacency.norm = adjacency.norm.double()
    return adjacency


def test_norm_counts_degrees_within_a_relation() -> None:
    # Node 1 receives two edges of relation 0; that node 0 also receives one of relation 1 is
    # nothing to relation 0.
    torch.testing.assert_close(symmetric_norm(EDGES, KINDS, 3), torch.tensor([HALF, HALF, 1.0]))


def test_propagation_by_hand() -> None:
    adjacency = RelationAdjacency(EDGES, KINDS, 3, 2)
    x = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    out = propagate(adjacency, x, torch.tensor([2.0, 5.0]))
    expected = torch.tensor([[10.0, 100.0], [8 * HALF, 80 * HALF], [0.0, 0.0]])
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(
        adjacency.values(torch.tensor([2.0, 5.0])), torch.tensor([2 * HALF, 2 * HALF, 5.0])
    )


@pytest.mark.parametrize("seed", range(3))
def test_output_and_gradients_equal_dense_matrices(seed: int) -> None:
    edges, kinds = random_edges(seed)
    adjacency = RelationAdjacency(edges, kinds, 9, 4)  # relation 3 has no edge
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(9, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(4, generator=generator, dtype=torch.float64, requires_grad=True)
    outer = torch.randn(9, 5, generator=generator, dtype=torch.float64)
    got = propagate(in_double(adjacency), x, weight)
    wanted = dense_propagation(edges, kinds, x, weight)
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)
    for mine, theirs in zip(
        torch.autograd.grad((got * outer).sum(), (x, weight)),
        torch.autograd.grad((wanted * outer).sum(), (x, weight)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def test_gradcheck_through_two_layers() -> None:
    edges, kinds = random_edges(5, nodes=5, count=12)
    adjacency = in_double(RelationAdjacency(edges, kinds, 5, 3))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(3, generator=generator, dtype=torch.float64, requires_grad=True)

    def twice(x: Tensor, weight: Tensor) -> Tensor:
        return propagate(adjacency, propagate(adjacency, x, weight), weight)

    assert torch.autograd.gradcheck(twice, (x, weight))


def test_only_asked_gradients_are_made() -> None:
    adjacency = RelationAdjacency(EDGES, KINDS, 3, 2)
    x, weight = torch.ones(3, 2), torch.ones(2, requires_grad=True)
    propagate(adjacency, x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, torch.tensor([4 * HALF, 2.0]))
    assert x.grad is None


def sum_of_layers(
    edges: Tensor, kinds: Tensor, x: Tensor, weight: Tensor, num_layers: int
) -> Tensor:
    """Σ_{l=0..L} P^l x with dense matrices, which autograd goes through."""
    total = layer = x
    for _ in range(num_layers):
        layer = dense_propagation(edges, kinds, layer, weight)
        total = total + layer
    return total


@pytest.mark.parametrize("num_layers", [0, 1, 2, 3])
@pytest.mark.parametrize("num_rows", [None, 9, 4, 1])
@pytest.mark.parametrize("groups_at_once", [1, 3, 4096])
def test_accumulated_layers_and_their_gradients_equal_dense_matrices(
    num_layers: int, num_rows: int | None, groups_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_GROUPS_AT_ONCE", groups_at_once)
    edges, kinds = random_edges(num_layers)
    adjacency = in_double(RelationAdjacency(edges, kinds, 9, 4))  # relation 3 has no edge
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(9, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    got = adjacency.accumulate(x, weight, num_layers, num_rows=num_rows)
    wanted = sum_of_layers(edges, kinds, x, weight, num_layers)[:num_rows]
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)
    outer = torch.randn(*wanted.shape, generator=generator, dtype=torch.float64)
    mine, theirs = (
        torch.autograd.grad((out * outer).sum(), (x, weight), materialize_grads=True)
        for out in (got + 0 * weight.sum(), wanted + 0 * weight.sum())
    )
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_accumulation_is_the_sum_of_single_products_without_the_hidden_edges() -> None:
    # In float32, against the plain product and torch's own gradients of it.
    edges, kinds = random_edges(8)
    adjacency = RelationAdjacency(edges, kinds, 9, 3)
    hidden = torch.tensor([0, 5, 11, 2])
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    once = propagate(adjacency, x, weight, hidden)
    slow = x + once + propagate(adjacency, once, weight, hidden)
    fast = adjacency.accumulate(x, weight, 2, hidden)
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-6)
    for mine, theirs in zip(
        torch.autograd.grad(fast.square().sum(), (x, weight)),
        torch.autograd.grad(slow.square().sum(), (x, weight)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    fewer = torch.ones(len(kinds), dtype=torch.bool).index_fill_(0, hidden, False)
    values = adjacency.values(weight, hidden)
    assert not values[hidden].any()
    torch.testing.assert_close(values[fewer], adjacency.values(weight)[fewer])


def test_gradcheck_of_accumulated_layers() -> None:
    edges, kinds = random_edges(5, nodes=5, count=12)
    adjacency = in_double(RelationAdjacency(edges, kinds, 5, 3))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, weight: adjacency.accumulate(x, weight, 2, torch.tensor([1]), 3), (x, weight)
    )


@pytest.mark.parametrize("num_layers", [1, 2])
def test_accumulation_makes_only_the_asked_gradients(num_layers: int) -> None:
    adjacency = RelationAdjacency(EDGES, KINDS, 3, 2)
    x, weight = torch.ones(3, 2, requires_grad=True), torch.ones(2, requires_grad=True)
    adjacency.accumulate(x, weight, num_layers).sum().backward()
    alone, fixed = torch.ones(2, requires_grad=True), torch.ones(3, 2)
    adjacency.accumulate(fixed, alone, num_layers).sum().backward()
    torch.testing.assert_close(alone.grad, weight.grad)
    free = torch.ones(3, 2, requires_grad=True)
    adjacency.accumulate(free, torch.ones(2), num_layers).sum().backward()
    torch.testing.assert_close(free.grad, x.grad)


def test_the_order_of_the_edges_does_not_matter() -> None:
    edges, kinds = random_edges(2)
    order = torch.randperm(len(kinds), generator=torch.Generator().manual_seed(3))
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(4))
    weight = torch.tensor([0.5, 1.0, 2.0])
    one = propagate(RelationAdjacency(edges, kinds, 9, 3), x, weight)
    other = propagate(RelationAdjacency(edges[:, order], kinds[order], 9, 3), x, weight)
    torch.testing.assert_close(one, other)


class SlowPropagation(MessagePassing):
    """The same sum, edge by edge, by torch-geometric."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, x: Tensor, edge_index: Tensor, value: Tensor) -> Tensor:
        return self.propagate(edge_index, x=x, value=value)

    def message(self, x_j: Tensor, value: Tensor) -> Tensor:
        return x_j * value[:, None]


def test_equals_message_passing_of_torch_geometric() -> None:
    graph = tensors_of(random_graph(1))
    relations = len(graph.relation_names)
    adjacency = RelationAdjacency(graph.edge_index, graph.edge_type, graph.num_nodes, relations)
    weight = nn.Parameter(torch.linspace(0.2, 2.0, relations))
    x = nn.Parameter(torch.randn(graph.num_nodes, 6, generator=torch.Generator().manual_seed(0)))
    value = weight[graph.edge_type] * symmetric_norm(
        graph.edge_index, graph.edge_type, graph.num_nodes
    )
    slow, fast = SlowPropagation()(x, graph.edge_index, value), propagate(adjacency, x, weight)
    torch.testing.assert_close(fast, slow)
    for mine, theirs in zip(
        torch.autograd.grad(fast.square().sum(), (x, weight)),
        torch.autograd.grad(slow.square().sum(), (x, weight)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_memory_grows_with_edges_and_not_with_nodes_squared() -> None:
    # A dense 200,000 × 200,000 float32 matrix would be 160 GB; 500 MB leaves room for nothing
    # like it, nor for its rows in blocks.
    nodes = 200_000
    edges = torch.randint(nodes, (2, 1000), generator=torch.Generator().manual_seed(0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    adjacency = RelationAdjacency(edges, torch.zeros(1000, dtype=torch.int64), nodes, 1)
    x, weight = torch.ones(nodes, 8, requires_grad=True), torch.ones(1, requires_grad=True)
    (adjacency.accumulate(x, weight, 1) - x).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (nodes, 8)
    torch.testing.assert_close(weight.grad, 8 * adjacency.norm.sum()[None])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 500_000


def test_a_graph_without_edges_gives_zeros() -> None:
    empty = torch.empty(2, 0, dtype=torch.int64)
    adjacency = RelationAdjacency(empty, empty[0], 3, 1)
    x, weight = torch.ones(3, 2, requires_grad=True), torch.ones(1, requires_grad=True)
    assert not propagate(adjacency, x, weight).any()
    out = adjacency.accumulate(x, weight, 2)
    out.sum().backward()
    assert weight.grad is not None
    assert x.grad is not None
    assert torch.equal(out, x)
    assert not weight.grad.any()
    assert torch.equal(x.grad, torch.ones(3, 2))


def test_edges_and_kinds_must_belong_together() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2, 3\), expected \(2, 2\)"):
        RelationAdjacency(EDGES, KINDS[:2], 3, 2)
