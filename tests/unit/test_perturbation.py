"""Training against perturbed embeddings: the direction, the length, and what it adds."""

import pytest
import torch
from graphs import history_of, make_graph, tensors_of

from kgrec.config import AdversarialConfig, ModelConfig, TrainingConfig
from kgrec.errors import ConfigError
from kgrec.model.network import GraphNetwork
from kgrec.training.loop import train_network
from kgrec.training.perturbation import add_adversarial, perturbation


def test_the_push_by_hand() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]])
    pushed = perturbation(gradient, 0.5)
    assert torch.allclose(pushed, torch.tensor([[0.3, 0.4], [0.0, -0.5], [0.0, 0.0]]))


def network_of() -> GraphNetwork:
    graph = make_graph((2, 2, 0), [(0, 0), (1, 1)])
    generator = torch.Generator().manual_seed(0)
    return GraphNetwork(tensors_of(graph), channels=2, num_layers=0, generator=generator)


def test_what_is_added_by_hand() -> None:
    network = network_of()
    with torch.no_grad():
        network.embedding.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0], [2.0, 0.0], [1.0, 1.0]]))

    def loss() -> torch.Tensor:
        # L = Σ |x|² / 2 of the first node, so that Γ is x itself and so is every gradient.
        return network.features()[0].square().sum() / 2

    loss().backward()
    before = network.embedding.grad
    assert before is not None
    assert before[0].tolist() == [1.0, 2.0]
    add_adversarial(network, loss, AdversarialConfig(epsilon=5**0.5, weight=0.5))
    # Δ = √5 (1, 2) / √5 = (1, 2): the gradient at x + Δ is (2, 4), half of it is added.
    assert network.embedding.grad is not None
    assert torch.allclose(network.embedding.grad[0], torch.tensor([2.0, 4.0]))
    assert network.embedding.grad[1:].abs().sum() == 0
    assert network.perturbation is None


def test_the_push_raises_the_loss_more_than_noise_does() -> None:
    rng = torch.Generator().manual_seed(0)
    pairs = torch.unique(torch.randint(12, (60, 2), generator=rng), dim=0).tolist()
    graph = make_graph((12, 12, 0), [(u, i) for u, i in pairs])
    network = GraphNetwork(tensors_of(graph), channels=8, num_layers=1, generator=rng)
    users, items = (torch.tensor(column) for column in zip(*pairs, strict=True))

    def loss() -> torch.Tensor:
        user, item = network()
        return torch.nn.functional.cross_entropy(user[users] @ item.T, items)

    first = loss()
    first.backward()
    assert network.embedding.grad is not None
    plain, epsilon = float(first.detach()), 0.05
    with torch.no_grad():
        network.perturbation = perturbation(network.embedding.grad, epsilon)
        worst = float(loss())
        noisy = []
        for seed in range(5):
            drawn = torch.Generator().manual_seed(seed)
            noise = torch.randn(network.embedding.shape, generator=drawn)
            network.perturbation = perturbation(noise, epsilon)  # as long, in any direction
            lengths = network.perturbation.norm(dim=1)
            assert torch.allclose(lengths, torch.full_like(lengths, epsilon))
            noisy.append(float(loss()))
    assert worst - plain > 3 * max(abs(value - plain) for value in noisy) > 0


def trained(adversarial: AdversarialConfig | None, **more: object) -> torch.Tensor:
    pairs = [(user, item) for user in range(20) for item in range(15) if (user + item) % 3 == 0]
    graph = make_graph((20, 15, 0), pairs)
    training = TrainingConfig(epochs=3, adversarial=adversarial, **more)  # type: ignore[arg-type]
    model = ModelConfig(channels=4, temperature=0.2)
    tensors, history = tensors_of(graph), history_of(graph)
    return train_network(tensors, history, model, training, seed=0)[1].embedding.detach()


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
def test_a_push_of_no_length_is_the_loss_once_more(loss: str) -> None:
    # With ε near 0, L + 1 · L has twice the gradient of L, which Adam does not see; negatives that
    # were drawn anew for the second loss would be seen.
    plain = trained(None, loss=loss, num_negatives=4, weight_decay=0.0)
    twice = trained(AdversarialConfig(epsilon=1e-9), loss=loss, num_negatives=4, weight_decay=0.0)
    pushed = trained(AdversarialConfig(epsilon=0.5), loss=loss, num_negatives=4, weight_decay=0.0)
    assert torch.allclose(plain, twice, atol=1e-3)
    assert not torch.allclose(plain, pushed, atol=1e-2)


def test_not_with_sampled_neighbours() -> None:
    with pytest.raises(ConfigError, match=r"training\.adversarial"):
        trained(AdversarialConfig(), neighbours=(3, 3))
