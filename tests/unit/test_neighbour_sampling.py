"""Draws of neighbours: all of them when they fit, unbiased when they do not, nothing hidden."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from graphs import checkerboard, history_of, random_graph, tensors_of
from torch import Tensor

from kgrec.config import ModelConfig, TrainingConfig
from kgrec.errors import ConfigError
from kgrec.evaluation.ranking import RankingTask
from kgrec.model.network import GraphNetwork, GraphTensors
from kgrec.schema import Split
from kgrec.training import loop
from kgrec.training.loop import train_network
from kgrec.training.optimizers import RowAdam
from kgrec.training.sampling import NeighbourSampler, Positives

GRAPH = random_graph(1)
TENSORS, HISTORY = tensors_of(GRAPH, text=3), history_of(GRAPH)
EVERYTHING = 10_000


def network_of(graph: GraphTensors, layers: int = 2) -> GraphNetwork:
    network = GraphNetwork(
        graph, channels=5, num_layers=layers, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        network.encoder.weight += torch.linspace(-0.5, 0.5, len(graph.relation_names))
    return network


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss_and_gradients(
    batch: Tensor, graph: GraphTensors = TENSORS, **settings: object
) -> tuple[float, dict[str, Tensor]]:
    network = network_of(graph)
    training = TrainingConfig(num_negatives=8, device="cpu", **settings)
    loss = loop.BatchLoss(graph, HISTORY, Positives.of(HISTORY), training, 0.2, generator())(
        network, batch
    )
    loss.backward()
    gradients = {
        name: parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    return loss.item(), gradients


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
@pytest.mark.parametrize("hide_targets", [True, False])
def test_all_neighbours_give_the_loss_and_gradients_of_the_whole_graph(
    loss: str, hide_targets: bool
) -> None:
    batch = torch.tensor([3, 0, 17, 9, 11, 30])
    settings = {"loss": loss, "hide_targets": hide_targets}
    whole, wanted = loss_and_gradients(batch, **settings)
    drawn, got = loss_and_gradients(batch, neighbours=(EVERYTHING, EVERYTHING), **settings)
    assert drawn == pytest.approx(whole, rel=1e-6)
    assert set(got) == set(wanted) == {"embedding", "project", "popularity", "encoder.weight"}
    for name in wanted:
        torch.testing.assert_close(got[name], wanted[name], rtol=1e-5, atol=1e-6)
        assert wanted[name].any()


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_all_neighbours_give_the_embeddings_of_the_whole_graph(layers: int) -> None:
    network = network_of(TENSORS, layers)
    seeds = torch.tensor([20, 3, 0, 15])
    sample = NeighbourSampler(TENSORS, (EVERYTHING,) * layers).sample(seeds, generator())
    whole = torch.cat(network())[seeds]
    torch.testing.assert_close(network.embed_sample(sample), whole, rtol=1e-5, atol=1e-6)
    assert sample.nodes[:4].tolist() == seeds.tolist()
    assert len(set(sample.nodes.tolist())) == len(sample.nodes)


def test_a_few_neighbours_are_right_on_average() -> None:
    # The mean of 1,000 draws, against five standard errors of it: without weights that make up for
    # what was left out, the seeds of many neighbours would be far off.
    network = network_of(TENSORS)
    seeds = torch.tensor([0, 5, 16, 20])
    sampler, draws = NeighbourSampler(TENSORS, (3, 2)), generator(1)
    with torch.no_grad():
        whole = torch.cat(network())[seeds]
        found = torch.stack(
            [network.embed_sample(sampler.sample(seeds, draws)) for _ in range(1000)]
        )
    error = found.std(dim=0) / 1000**0.5
    assert ((found.mean(dim=0) - whole).abs() <= 5 * error).all()
    assert (found.std(dim=0) > 0.01).any()  # they do differ


def star(leaves: int) -> GraphTensors:
    """User 0 hears of items 1 … leaves, user to item and back."""
    ends = torch.stack([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.int64)])
    kinds = torch.zeros(leaves, dtype=torch.int64)
    return replace(
        TENSORS, num_users=1, num_items=leaves, num_nodes=leaves + 1, edge_index=ends,
        edge_type=kinds, relation_names=("rev_INTERACTED",), relation_signs=(1,), text=None,
    )  # fmt: skip


def test_each_edge_is_drawn_as_often_as_any_other() -> None:
    sampler, draws = NeighbourSampler(star(10), (4,)), generator(2)
    counts = torch.zeros(11)
    for _ in range(1000):
        sample = sampler.sample(torch.tensor([0]), draws)
        (block,) = sample.blocks
        assert block.pointer.tolist() == [0, 4]
        torch.testing.assert_close(block.factor, torch.full((4,), 10 / 4 * 10**-0.5))
        counts += torch.bincount(sample.nodes[block.index], minlength=11)
    # 4,000 draws over 10 edges; a binomial's standard deviation is below 19.
    assert counts[0] == 0
    assert (counts[1:] - 400).abs().max() < 5 * 19


def test_draws_are_spread_and_reach_both_ends() -> None:
    sampler, draws = NeighbourSampler(star(9), (3,)), generator(3)
    seen: set[int] = set()
    for _ in range(200):
        sample = sampler.sample(torch.tensor([0]), draws)
        leaves = sorted(sample.nodes[sample.blocks[0].index].tolist())
        assert [(leaf - 1) // 3 for leaf in leaves] == [0, 1, 2]  # one of each third
        seen |= set(leaves)
    assert seen == set(range(1, 10))


def test_the_seed_decides_what_is_drawn_and_samples_leave_no_trace() -> None:
    sampler, seeds = NeighbourSampler(TENSORS, (2, 2)), torch.tensor([4, 18])
    one = sampler.sample(seeds, generator(5), torch.tensor([0, 7]))
    sampler.sample(torch.tensor([1, 2, 3]), generator(6), torch.arange(40))
    two = sampler.sample(seeds, generator(5), torch.tensor([0, 7]))
    other = sampler.sample(seeds, generator(6), torch.tensor([0, 7]))
    assert torch.equal(one.nodes, two.nodes)
    assert not torch.equal(one.nodes, other.nodes)
    for mine, theirs in zip(one.blocks, two.blocks, strict=True):
        assert torch.equal(mine.index, theirs.index)
        assert torch.equal(mine.factor, theirs.factor)


def test_hidden_edges_are_drawn_as_nothing() -> None:
    network = network_of(TENSORS, 1)
    everything = torch.arange(len(TENSORS.edge_type))
    seeds = torch.tensor([0, 15])
    sample = NeighbourSampler(TENSORS, (2,)).sample(seeds, generator(), everything)
    alone = network.features()[seeds] / 2
    torch.testing.assert_close(network.embed_sample(sample), alone)


def test_weight_decay_pulls_at_the_drawn_nodes_alone() -> None:
    bare = replace(TENSORS, text=None)
    network = network_of(bare, 1)
    sample = NeighbourSampler(bare, (1,)).sample(torch.tensor([0]), generator())
    network.embed_sample(sample, weight_decay=0.5).sum().backward()
    pulled = network.embedding.grad.to_dense()
    network.zero_grad()
    network.embed_sample(sample).sum().backward()
    expected = torch.zeros_like(pulled)
    expected[sample.nodes] = 0.5 * network.embedding.detach()[sample.nodes]
    torch.testing.assert_close(pulled - network.embedding.grad.to_dense(), expected)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
def test_two_tastes_are_learned_from_a_few_neighbours(loss: str) -> None:
    graph = checkerboard()
    task = RankingTask(graph, Split.VALID)
    training = TrainingConfig(
        epochs=12, batch_size=32, learning_rate=0.05, loss=loss, num_negatives=32,
        neighbours=(3, 2), device="cpu",
    )  # fmt: skip
    runs = [
        train_network(
            tensors_of(graph), history_of(graph), ModelConfig(channels=8), training, seed=0
        )[0]
        for _ in range(2)
    ]
    assert float(task.run(runs[0], k=(2,))["ndcg@2"].mean()) > 0.97
    assert torch.equal(runs[0].message, runs[1].message)


def test_what_cannot_be_sampled_is_refused() -> None:
    for model, message in (
        (ModelConfig(encoder="attention"), "model.encoder is 'attention', expected 'propagation'"),
        (ModelConfig(num_layers=3), "has 2 numbers, expected 3"),
    ):
        with pytest.raises(ConfigError, match=message):
            train_network(TENSORS, HISTORY, model, TrainingConfig(neighbours=(5, 5)), seed=0)


def test_rows_are_updated_as_by_sparse_adam() -> None:
    start = torch.randn(6, 3, generator=generator(4))
    tables = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    mine, theirs = RowAdam([tables[0]], lr=0.1), torch.optim.SparseAdam([tables[1]], lr=0.1)
    for rows in ([4, 1], [1], [5, 0, 4], [1, 4]):
        target = torch.randn(len(rows), 3, generator=generator(sum(rows)))
        for table, optimizer in zip(tables, (mine, theirs), strict=True):
            optimizer.zero_grad()
            seen = torch.nn.functional.embedding(torch.tensor(rows), table, sparse=True)
            (seen - target).square().sum().backward()
            optimizer.step()
        torch.testing.assert_close(tables[0], tables[1])
    assert torch.equal(tables[0][[2, 3]], start[[2, 3]])  # never touched


def test_a_killed_run_resumes_with_what_it_knew_of_each_row(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill(record: dict[str, float]) -> None:
        if record["epoch"] == 3:
            raise KilledError

    def train(**more: object) -> Tensor:
        training = TrainingConfig(epochs=4, batch_size=16, neighbours=(3, 2), loss="bpr")
        return train_network(TENSORS, HISTORY, ModelConfig(channels=4), training, seed=0, **more)[
            1
        ].embedding.detach()

    whole, path = train(), tmp_path / "checkpoint.safetensors"
    with pytest.raises(KilledError):
        train(checkpoint=path, on_epoch=kill)
    assert torch.equal(train(checkpoint=path), whole)
