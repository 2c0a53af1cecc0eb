"""The network: hand-made embeddings, shared weights, and no way in for held-out interactions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import (
    ENTITY,
    ITEM,
    USER,
    behaviour,
    columns,
    make_graph,
    propagate,
    random_graph,
    relation,
    tensors_of,
)
from torch import nn

from kgrec.config import TextConfig
from kgrec.errors import ShapeError
from kgrec.graph.data import GraphData, Interactions
from kgrec.graph.tensors import build_hetero, typed_edges
from kgrec.graph.texts import node_texts
from kgrec.model.network import GraphNetwork, GraphTensors, RelationPropagation, attend
from kgrec.schema import NodeLabel, Role, Split
from kgrec.training.closed_form_search import search_closed_form
from kgrec.training.parts.closed_form import ClosedFormConfig

HALF = 0.5**0.5
#: u0 took i0; i0 and i1 are of e0. Nodes u0, i0, i1, e0 are 0 … 3.
LITTLE = make_graph((1, 2, 1), [(0, 0)], (relation("genre", [(0, 0), (1, 0)]),))


def build(graph: GraphTensors, seed: int = 0, **settings: object) -> GraphNetwork:
    return GraphNetwork(graph, generator=torch.Generator().manual_seed(seed), **settings)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_embeddings_by_hand(layers: int) -> None:
    network = build(tensors_of(LITTLE), channels=1, num_layers=layers)
    weights = [2.0, 3.0, 5.0, 7.0]  # INTERACTED, rev_INTERACTED, GENRE, rev_GENRE
    with torch.no_grad():
        network.embedding.copy_(torch.tensor([[1.0], [10.0], [100.0], [1000.0]]))
        network.encoder.weight.copy_(torch.tensor(weights).expm1().log())  # softplus⁻¹
    # P, row by row: what u0, i0, i1, e0 receive.
    P = np.array(
        [[0, 3, 0, 0], [2, 0, 0, 7 * HALF], [0, 0, 0, 7 * HALF], [0, 5 * HALF, 5 * HALF, 0]]
    )
    x = np.array([[1.0], [10.0], [100.0], [1000.0]])
    z = sum(np.linalg.matrix_power(P, power) @ x for power in range(layers + 1)) / (layers + 1)
    user, item = network()
    np.testing.assert_allclose(user.detach(), z[:1], rtol=1e-5)
    np.testing.assert_allclose(item.detach(), z[1:3], rtol=1e-5)


def test_every_relation_starts_with_weight_one_and_dislikes_with_minus_one() -> None:
    tensors = tensors_of(random_graph(0))
    encoder = build(tensors).encoder
    assert isinstance(encoder, RelationPropagation)
    signs = torch.ones(18)
    signs[[tensors.relation_names.index(f"{way}DISMISS") for way in ("", "rev_")]] = -1
    torch.testing.assert_close(encoder.relation_weights(), signs, atol=1e-4, rtol=0)


def test_edges_stand_in_one_index_space_in_both_directions() -> None:
    tensors = tensors_of(LITTLE)
    assert tensors.relation_names == ("INTERACTED", "rev_INTERACTED", "GENRE", "rev_GENRE")
    edges = zip(*tensors.edge_index.tolist(), tensors.edge_type.tolist(), strict=True)
    assert sorted(edges, key=lambda edge: edge[2]) == [
        (0, 1, 0), (1, 0, 1), (1, 3, 2), (2, 3, 2), (3, 1, 3), (3, 2, 3),
    ]  # fmt: skip
    assert (tensors.num_users, tensors.num_items, tensors.num_nodes) == (1, 2, 4)


def test_a_dislike_pushes_the_score_down_by_hand() -> None:
    # u0 took i0 and dismissed i1; u1 did neither. All free embeddings are 1, all weights w.
    graph = make_graph((2, 2, 0), [(0, 0)], (behaviour("dismiss", [(0, 1)], Role.NEGATIVE),))
    network = build(tensors_of(graph), channels=1, num_layers=1)
    weights = torch.tensor([1.0, 1.0, 3.0, 0.5])  # INTERACTED, rev_, DISMISS, rev_DISMISS
    with torch.no_grad():
        network.embedding.fill_(1.0)
        network.encoder.weight.copy_(weights.expm1().log())
    torch.testing.assert_close(
        network.encoder.relation_weights().detach(), torch.tensor([1.0, 1.0, -3.0, -0.5])
    )
    user, item = (part.detach().squeeze(1).tolist() for part in network())
    # u0 hears 1 · i0 - 0.5 · i1, i0 hears 1 · u0, i1 hears -3 · u0; halves of x + P x.
    assert user == pytest.approx([(1 + 1 - 0.5) / 2, 1 / 2])
    assert item == pytest.approx([(1 + 1) / 2, (1 - 3) / 2])
    assert user[0] * item[1] < 0 < user[0] * item[0]
    evidence = make_graph((2, 2, 0), [(0, 0)], (behaviour("dismiss", [(0, 1)]),))
    other = build(tensors_of(evidence), channels=1, num_layers=1)
    other.load_state_dict(network.state_dict())
    assert other()[1][1].item() == pytest.approx((1 + 3) / 2)  # the role alone makes the sign


def test_attention_has_dislikes_as_relations_of_their_own() -> None:
    pairs = [(0, 0), (1, 1)]
    graphs = [
        tensors_of(make_graph((2, 2, 0), [(0, 1)], (behaviour("dismiss", pairs, role),)))
        for role in (Role.NEGATIVE, Role.EVIDENCE)
    ]
    one, two = (build(graph, encoder="attention", channels=4)() for graph in graphs)
    assert torch.equal(one[1], two[1])
    assert graphs[0].relation_names == graphs[1].relation_names
    assert graphs[0].relation_signs == (1, 1, -1, -1)


def test_one_type_in_two_roles_has_two_weights() -> None:
    graph = make_graph(
        (2, 2, 1),
        [(0, 0)],
        (
            relation("view", [(1, 0)]),
            behaviour("view", [(0, 1)]),
            behaviour("follow", [(0, 1)], Role.NEGATIVE),
            relation("follow", [(0, 1)], USER, USER),
        ),
    )
    tensors = tensors_of(graph)
    assert dict(zip(tensors.relation_names, tensors.relation_signs, strict=True)) == {
        "INTERACTED": 1, "rev_INTERACTED": 1, "VIEW": 1, "rev_VIEW": 1, "VIEW_EVIDENCE": 1,
        "rev_VIEW_EVIDENCE": 1, "FOLLOW": -1, "rev_FOLLOW": -1, "FOLLOW_RELATION": 1,
        "rev_FOLLOW_RELATION": 1,
    }  # fmt: skip
    kind = tensors.relation_names.index("VIEW_EVIDENCE")
    assert tensors.edge_index[:, tensors.edge_type == kind].tolist() == [[0], [3]]


def test_the_control_without_graph_keeps_behaviours() -> None:
    graph = random_graph(0)
    tensors = tensors_of(graph, use_graph=False)
    kept = ("INTERACTED", "VIEW", "DISMISS")
    assert tensors.relation_names == tuple(f"{way}{name}" for name in kept for way in ("", "rev_"))
    bare = tensors_of(graph.without_graph())
    assert bare.relation_names == tensors.relation_names
    assert torch.equal(bare.edge_index, tensors.edge_index)
    assert [r.name for r in graph.without_graph().relations] == ["view", "dismiss"]


def test_an_edge_store_without_a_role_is_a_relation() -> None:
    data = build_hetero(random_graph(0))
    for kind in data.edge_types:
        del data[kind].role
    bare = GraphTensors.from_hetero(data)
    assert set(bare.relation_signs) == {1}
    assert len(GraphTensors.from_hetero(data, use_graph=False).relation_names) == 2


def test_without_graph_only_interactions_remain() -> None:
    tensors = tensors_of(LITTLE, use_graph=False)
    assert tensors.relation_names == ("INTERACTED", "rev_INTERACTED")
    assert tensors.edge_index.tolist() == [[0, 1], [1, 0]]
    assert tensors.num_nodes == 4


def test_relations_of_one_name_share_one_weight() -> None:
    genres = (
        relation("genre", [(0, 0)]),
        relation("genre", [(0, 1)], ENTITY, ENTITY),
        relation("mood", [(1, 1)]),
    )
    tensors = tensors_of(make_graph((1, 2, 2), [(0, 0)], genres))
    assert tensors.relation_names == (
        "INTERACTED", "rev_INTERACTED", "GENRE", "rev_GENRE", "MOOD", "rev_MOOD",
    )  # fmt: skip
    kind = tensors.relation_names.index("GENRE")
    edges = tensors.edge_index[:, tensors.edge_type == kind]
    assert sorted(zip(*edges.tolist(), strict=True)) == [(1, 3), (3, 4)]


def test_text_joins_the_free_embeddings() -> None:
    tensors = tensors_of(LITTLE, text=3)
    assert tensors.text is not None
    assert tensors.text.shape == (4, 3)
    network = build(tensors, channels=2, num_layers=0)
    wanted = network.embedding + tensors.text @ network.project
    torch.testing.assert_close(torch.cat(network()), wanted[:3])
    torch.cat(network()).sum().backward()
    torch.testing.assert_close(network.project.grad, tensors.text[:3].sum(0)[:, None].repeat(1, 2))
    assert "text" not in network.state_dict()


@pytest.mark.parametrize("encoder", ["propagation", "attention"])
def test_the_seed_decides_the_initial_values(encoder: str) -> None:
    tensors = tensors_of(random_graph(0), text=4)
    settings = {"encoder": encoder, "channels": 8}
    torch.manual_seed(1)
    one = build(tensors, 7, **settings).state_dict()
    torch.manual_seed(2)
    again = build(tensors, 7, **settings).state_dict()
    before = torch.random.get_rng_state()
    other = build(tensors, 8, **settings).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)  # the global one is left alone
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["embedding"], other["embedding"])
    if encoder == "attention":
        assert not torch.equal(one["encoder.convs.0.att"], other["encoder.convs.0.att"])


def test_attention_is_that_of_torch_geometric() -> None:
    from torch_geometric.nn import RGATConv

    torch.manual_seed(0)
    conv = RGATConv(6, 6, num_relations=5, num_bases=3, heads=2, concat=False)
    nn.init.constant_(conv.l2, 1 / 6)
    nn.init.normal_(conv.bias)
    x = torch.randn(20, 6, requires_grad=True)
    edges = torch.randint(18, (2, 60))  # some nodes hear nobody
    edges, relation = edges[:, edges[1].argsort()], torch.randint(5, (60,))
    wanted, out = conv(x, edges, relation), attend(conv, x, *edges, relation)
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=1e-5)
    learned = (x, conv.basis, conv.att, conv.q, conv.k, conv.bias)
    direction = torch.randn_like(wanted)
    for gradient, oracle in zip(
        torch.autograd.grad(out, learned, direction),
        torch.autograd.grad(wanted, learned, direction),
        strict=True,
    ):
        torch.testing.assert_close(gradient, oracle, rtol=1e-5, atol=1e-5)


def test_hidden_edges_have_no_attention() -> None:
    tensors = tensors_of(random_graph(0))
    hidden = torch.tensor([3, 0, 11])
    rest = torch.ones(len(tensors.edge_type), dtype=torch.bool).index_fill_(0, hidden, False)
    without = replace(
        tensors, edge_index=tensors.edge_index[:, rest], edge_type=tensors.edge_type[rest]
    )
    networks = [build(each, encoder="attention", channels=4) for each in (tensors, without)]
    torch.testing.assert_close(networks[0].forward(hidden), networks[1].forward())


def test_attention_takes_a_step_and_tells_relations_apart() -> None:
    tensors = tensors_of(random_graph(0))
    network = build(tensors, encoder="attention", channels=8, num_layers=2, heads=2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        user, item = network()
        loss = nn.functional.softplus(-(user[:13] @ item.T)).mean()
        optimizer.zero_grad()
        loss.backward()
        learning = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        assert {"embedding", *(f"encoder.convs.{n}.{p}" for n in (0, 1) for p in ("att", "q"))} <= (
            set(learning)
        )
        assert all(grad.isfinite().all() and grad.any() for grad in learning.values())
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
    before = network()[1].detach()
    network.encoder.relation = (network.encoder.relation + 2) % len(tensors.relation_names)
    assert not torch.allclose(network()[1], before, atol=1e-5)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ShapeError, match="neither 'propagation' nor 'attention'"):
        build(tensors_of(LITTLE), encoder="transformer")


def planted(graph: GraphData) -> GraphData:
    """The same graph with a tell-tale interaction of the last user in test and valid."""
    tell_tale = Interactions(*columns([(graph.num_users - 1, graph.num_items - 1)]))
    return replace(graph, held_out={Split.TEST: tell_tale, Split.VALID: tell_tale})


def test_held_out_interactions_reach_no_tensor_no_text_and_no_search() -> None:
    graph = random_graph(3, (30, 25, 6))
    other = planted(graph)
    one, two = build_hetero(graph), build_hetero(other)
    assert one.edge_types == two.edge_types
    for kind in one.edge_types:
        assert torch.equal(one[kind].edge_index, two[kind].edge_index), kind
    users, items = one["User", "INTERACTED", "Item"].edge_index.tolist()
    assert graph.num_users - 1 not in users
    assert graph.num_items - 1 not in items
    assert node_texts(graph, TextConfig()) == node_texts(other, TextConfig())
    settings = ClosedFormConfig(search_items=20)
    assert search_closed_form(graph, settings, seed=0) == search_closed_form(
        other, settings, seed=0
    )


def test_hetero_data_holds_both_directions_of_every_edge_set() -> None:
    data = build_hetero(LITTLE)
    assert {label: data[str(label)].num_nodes for label in NodeLabel} == {
        USER: 1,
        ITEM: 2,
        ENTITY: 1,
    }
    assert data["Item", "GENRE", "Entity"].edge_index.tolist() == [[0, 1], [0, 0]]
    assert data["Entity", "rev_GENRE", "Item"].edge_index.tolist() == [[0, 0], [0, 1]]
    assert data["Item", "rev_INTERACTED", "User"].edge_index.tolist() == [[0], [0]]
    roles = [data[kind].role for kind in data.edge_types]
    assert roles == ["target", "target", "relation", "relation"]


@pytest.mark.parametrize("use_graph", [True, False])
@pytest.mark.parametrize("text", [0, 3])
def test_tensors_are_those_of_the_hetero_data(text: int, use_graph: bool) -> None:
    graph = random_graph(4)
    wanted = tensors_of(graph, use_graph=use_graph, text=text)
    rng = np.random.default_rng(text)
    counts = {str(label): len(graph.vocabularies[label]) for label in NodeLabel}
    features = {
        label: torch.from_numpy(rng.normal(size=(count, text)).astype(np.float32))
        for label, count in counts.items()
    }
    found = GraphTensors.from_edges(
        counts, typed_edges(graph), features if text else None, use_graph=use_graph
    )
    for name, value in vars(wanted).items():
        mine = getattr(found, name)
        assert torch.equal(mine, value) if isinstance(value, torch.Tensor) else mine == value, name


@pytest.mark.parametrize("encoder", ["propagation", "attention"])
def test_hidden_edges_pass_no_messages(encoder: str) -> None:
    # Two layers: what u0 hears of i0 stops when their edges are hidden, whatever i0 holds.
    graph = tensors_of(make_graph((2, 2, 0), [(0, 0), (0, 1), (1, 1)]))
    network = build(graph, encoder=encoder, channels=4)
    ends = graph.edge_index
    hidden = torch.nonzero(
        ((ends[0] == 0) & (ends[1] == 2)) | ((ends[0] == 2) & (ends[1] == 0))
    ).squeeze(1)
    assert len(hidden) == 2
    before, heard = network(hidden)[0], network()[0]
    with torch.no_grad():
        network.embedding[2] += 5.0
    assert torch.equal(network(hidden)[0], before)
    assert not torch.allclose(network()[0][0], heard[0])


def test_hidden_edges_keep_their_share_of_the_degrees() -> None:
    graph = tensors_of(make_graph((1, 2, 0), [(0, 0), (0, 1)]))
    encoder = build(graph).encoder
    hidden = torch.tensor([1, 3])  # the edges of i1, in both directions
    x = torch.eye(3)
    got = propagate(encoder.adjacency, x, torch.tensor([1.0, 1.0]), hidden).detach()
    expected = torch.tensor([[0.0, HALF, 0.0], [HALF, 0.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(got, expected)


def test_popularity_is_a_learned_multiple_of_its_logarithm() -> None:
    graph = tensors_of(make_graph((3, 3, 0), [(0, 0), (1, 0), (2, 0), (0, 1)]))
    network = build(graph)
    assert network.item_bias().tolist() == [0.0, 0.0, 0.0]  # until it has learned
    with torch.no_grad():
        network.popularity.fill_(2.0)
    expected = 2 * np.log1p([3, 1, 0])
    np.testing.assert_allclose(network.item_bias().detach(), expected, rtol=1e-6)
    assert not build(graph, popularity=False).popularity.requires_grad
