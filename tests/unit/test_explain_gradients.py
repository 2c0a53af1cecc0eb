"""Integrated gradients: exact for a quadratic score, approximate and told so for attention."""

import pytest
import torch
from graphs import history_of, random_graph, tensors_of

from kgrec.errors import ConfigError
from kgrec.explanation.gradients import integrated_gradients
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.model.network import GraphNetwork

GRAPH = random_graph(3)
TENSORS = tensors_of(GRAPH)


def network(encoder: str) -> GraphNetwork:
    return GraphNetwork(
        TENSORS, encoder=encoder, channels=8, generator=torch.Generator().manual_seed(1)
    )


def test_a_quadratic_score_is_told_exactly_and_by_walks() -> None:
    # f(t X) = t² f(X), so IG_v = ⟨x_v, ∂f/∂x_v⟩ / 2: half a side.
    net = network("propagation")
    found = integrated_gradients(net, 2, 5, None, steps=1)
    user, item = (part.detach() for part in net())
    assert found.score == pytest.approx(float(user[2] @ item[5]), abs=1e-6)
    assert (found.base, found.gap) == (0.0, pytest.approx(0.0, abs=1e-6))
    x = net.features().detach()
    eye = torch.eye(TENSORS.num_nodes)
    reach = net.encoder(eye).detach()  # (U + I, N): how much of each node is in each embedding
    node = GRAPH.num_users + 5
    wanted = (reach[2] * (x @ item[5]) + reach[node] * (x @ user[2])) / 2
    torch.testing.assert_close(found.share, wanted.detach(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("temperature", [None, 0.2])
def test_attention_is_approximate_and_more_steps_are_better(temperature: float | None) -> None:
    net = network("attention")
    served = EmbeddingScorer.from_network(net, history_of(GRAPH), temperature)
    few, many = (integrated_gradients(net, 2, 5, temperature, steps=n) for n in (2, 64))
    assert many.score == pytest.approx(float(served.score(torch.tensor([2]))[0, 5]), abs=1e-5)
    assert abs(many.gap) < 1e-3 * abs(many.score)
    assert abs(many.gap) < abs(few.gap)
    assert float(many.share.sum()) + many.gap + many.base == pytest.approx(many.score, abs=1e-5)
    assert not many.exact


def test_no_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one step"):
        integrated_gradients(network("attention"), 0, 0, None, steps=0)
