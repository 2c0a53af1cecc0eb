"""The loop learns what can be seen by eye, stops, fails loudly, and resumes exactly."""

import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import behaviour, checkerboard, history_of, make_graph, tensors_of

from kgrec.config import ModelConfig, TrainingConfig
from kgrec.errors import RunError, TrainingDiverged
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import SyntheticEdges
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.network import GraphNetwork
from kgrec.model.scorer import Scorer
from kgrec.schema import Role, Split
from kgrec.training import loop
from kgrec.training.checkpoint import Trained, copy_state
from kgrec.training.loop import Progress, train_network
from kgrec.training.sampling import Positives, pair_edges

GRAPH = checkerboard()
TENSORS, HISTORY = tensors_of(GRAPH), history_of(GRAPH)
TASK = RankingTask(GRAPH, Split.VALID)
MODEL = ModelConfig(channels=8)
SETTINGS = {"epochs": 8, "batch_size": 32, "learning_rate": 0.05, "device": "cpu"}


def ndcg(scorer: Scorer) -> float:
    return float(TASK.run(scorer, k=(2,))["ndcg@2"].mean())


def train(model: ModelConfig = MODEL, *, seed: int = 0, validate=ndcg, **extra):
    names = ("checkpoint", "on_epoch", "synthetic", "start")
    more = {name: extra.pop(name) for name in names if name in extra}
    settings = TrainingConfig(**(SETTINGS | extra))
    return train_network(TENSORS, HISTORY, model, settings, seed=seed, validate=validate, **more)


def everything(scorer: Scorer) -> dict[str, torch.Tensor]:
    return scorer.state()[0]


def assert_same(one: Scorer, two: Scorer) -> None:
    mine, theirs = everything(one), everything(two)
    assert set(mine) == set(theirs)
    for name in mine:
        assert torch.equal(mine[name], theirs[name]), name


def told(progress: Progress) -> list[dict[str, float]]:
    """The history without the seconds."""
    return [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in progress.history]


@pytest.mark.parametrize("loss", ["auto", "softmax", "sampled_softmax", "bpr"])
@pytest.mark.parametrize("score", ["cosine", "inner"])
def test_two_tastes_are_learned(loss: str, score: str) -> None:
    scorer, _, progress = train(
        ModelConfig(channels=8, score=score), loss=loss, num_negatives=32, epochs=12
    )
    assert isinstance(scorer, PropagationScorer)
    assert ndcg(scorer) > 0.97
    assert progress.history[-1]["loss"] < progress.history[0]["loss"]


def test_attention_learns_too() -> None:
    scorer, _, _ = train(ModelConfig(channels=8, encoder="attention", num_layers=1), epochs=12)
    assert isinstance(scorer, EmbeddingScorer)
    assert ndcg(scorer) > 0.97


def test_untrained_it_does_not_know_the_tastes() -> None:
    scorer, _, progress = train(ModelConfig(channels=8, num_layers=0), epochs=0)
    assert ndcg(scorer) < 0.6
    assert progress == Progress()


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_the_seed_decides_everything(loss: str) -> None:
    one, _, first = train(loss=loss, seed=5)
    torch.manual_seed(99)
    two, _, second = train(loss=loss, seed=5)
    other, _, _ = train(loss=loss, seed=6)
    assert_same(one, two)
    assert told(first) == told(second)
    assert not torch.equal(one.message, other.message)


def test_relation_weights_move() -> None:
    _, network, _ = train()
    moved = (network.encoder.relation_weights() - 1).abs()
    assert (moved > 0.01).all()


def test_auto_samples_in_large_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    same = [train(loss=loss, epochs=2, num_negatives=8)[0] for loss in ("auto", "softmax")]
    assert_same(*same)
    monkeypatch.setattr(loop, "FULL_SOFTMAX_UP_TO", 15)  # there are 16 items
    same = [train(loss=loss, epochs=2, num_negatives=8)[0] for loss in ("auto", "sampled_softmax")]
    assert_same(*same)


def test_it_stops_early_and_gives_the_best_epoch() -> None:
    metrics = iter([0.2, 0.5, 0.4, 0.5, 0.9])
    seen: list[dict[str, torch.Tensor]] = []

    def judge(scorer: Scorer) -> float:
        seen.append(everything(scorer))
        return next(metrics)

    scorer, network, progress = train(validate=judge, epochs=50, evaluate_every=2, patience=2)
    # Evaluations at 2, 4, 6, 8: an equal one is no better, so epoch 8 is the second stale one.
    assert (progress.epoch, progress.best_epoch, progress.best) == (8, 4, 0.5)
    assert [epoch.get("valid") for epoch in progress.history] == [
        None, 0.2, None, 0.5, None, 0.4, None, 0.5,
    ]  # fmt: skip
    got = everything(scorer)
    assert all(torch.equal(got[name], seen[1][name]) for name in got)
    assert not torch.equal(got["x"], seen[3]["x"])
    again = loop.scorer_of(network, TENSORS, HISTORY, 0.2)
    assert torch.equal(again.message, scorer.message)


def test_the_last_epoch_is_judged_even_out_of_turn() -> None:
    _, _, progress = train(epochs=3, evaluate_every=2)
    assert ["valid" in epoch for epoch in progress.history] == [False, True, True]


def test_without_valid_all_epochs_are_trained() -> None:
    _, _, progress = train(validate=None, epochs=5, evaluate_every=1, patience=1)
    assert progress.epoch == 5
    assert progress.best_epoch == 0
    assert all("valid" not in epoch for epoch in progress.history)


def test_each_epoch_is_told(caplog: pytest.LogCaptureFixture) -> None:
    epochs: list[dict[str, float]] = []
    with caplog.at_level("INFO", logger="kgrec.training.loop"):
        _, _, progress = train(epochs=3, on_epoch=epochs.append)
    assert epochs == progress.history
    assert [record.message.split()[0] for record in caplog.records] == [
        "epoch=1", "epoch=2", "epoch=3",
    ]  # fmt: skip


def proposed(items: torch.Tensor, weight: float) -> SyntheticEdges:
    """Every user gets the items (u, k) that are given to them."""
    user = torch.arange(len(items)).repeat_interleave(items.shape[1])
    weights = np.full(len(user), weight, dtype=np.float32)
    return SyntheticEdges(user.numpy(), items.reshape(-1).numpy(), weights, "test", 0)


USERS, ITEMS = torch.arange(GRAPH.num_users), torch.arange(GRAPH.num_items)
#: Users like items of their own parity; these are the ones of the other.
OTHERS = torch.stack([ITEMS[user % 2 != ITEMS % 2] for user in USERS])


class TestSyntheticEdges:
    def test_what_is_proposed_is_learned(self) -> None:
        plain, told = (
            train(validate=None)[0],
            train(validate=None, synthetic=proposed(OTHERS, 5.0))[0],
        )
        liked = ITEMS[None, :] % 2 == USERS[:, None] % 2
        gap = [
            float(s.score(USERS)[liked].mean() - s.score(USERS)[~liked].mean())
            for s in (plain, told)
        ]
        assert gap[0] > 1
        assert gap[1] < gap[0] / 2

    def test_what_is_proposed_does_not_compete(self) -> None:
        # Everything else that could compete is proposed, so that nothing is left to learn from.
        scorer = train(validate=None, synthetic=proposed(OTHERS, 0.0))[0]
        assert ndcg(scorer) < 0.9 < ndcg(train(validate=None)[0])

    def test_real_ones_come_first(self) -> None:
        positives = Positives.of(HISTORY, proposed(OTHERS, 0.5))
        assert positives.real == len(HISTORY.columns)
        batch = torch.tensor([0, positives.real, 3, len(positives) - 1])
        assert positives.real_among(batch).tolist() == [0, 3]
        assert positives.weights(batch).tolist() == [1.0, 0.5, 1.0, 0.5]
        assert len(positives.known.columns) == len(positives)

    @pytest.mark.parametrize("neighbours", [None, (50, 50)])
    @pytest.mark.parametrize("kind", ["softmax", "sampled_softmax", "bpr"])
    def test_of_a_batch_only_the_real_ones_are_hidden_and_weights_count(
        self,
        neighbours: tuple[int, int] | None,
        kind: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings = TrainingConfig(**(SETTINGS | {"loss": kind, "neighbours": neighbours}))
        positives = Positives.of(HISTORY, proposed(OTHERS[:, ::2], 0.25))
        network = GraphNetwork(TENSORS, channels=8, generator=torch.Generator().manual_seed(0))
        hidden = []
        network.register_forward_pre_hook(lambda _, given: hidden.append(given[0].tolist()))
        sample = loop.NeighbourSampler.sample

        def sampled(sampler: Any, seeds: Any, generator: Any, edges: torch.Tensor) -> Any:
            hidden.append(edges.tolist())
            return sample(sampler, seeds, generator, edges)

        monkeypatch.setattr(loop.NeighbourSampler, "sample", sampled)
        proposal = positives.real + OTHERS[:, ::2].shape[1]  # of the second user
        batch = torch.tensor([0, proposal])

        def loss(weight: float) -> float:
            weights = torch.tensor([1.0, weight])
            given = replace(
                positives, weight=torch.ones(len(positives)).index_put((batch,), weights)
            )
            generator = torch.Generator().manual_seed(1)
            step = loop.BatchLoss(TENSORS, HISTORY, given, settings, 0.2, generator)
            return float(step(network, batch).detach())

        none, quarter, whole = loss(0.0), loss(0.25), loss(1.0)
        assert 0 < none < whole
        assert quarter == pytest.approx(0.75 * none + 0.25 * whole, rel=1e-4)
        own = pair_edges(TENSORS, HISTORY).take(torch.tensor([0]))[0].tolist()
        assert own
        assert hidden == [own] * 3

    def test_none_is_as_without(self) -> None:
        nothing = proposed(OTHERS[:, :0], 1.0)
        assert_same(train(synthetic=nothing)[0], train()[0])


def test_a_loss_is_the_mean_over_all_positives() -> None:
    # One epoch, learning nothing: batches of unequal size must weigh by their size.
    tiny = {"learning_rate": 1e-12, "relation_learning_rate": 1e-12, "epochs": 1, "loss": "softmax"}
    tiny["hide_targets"] = False  # what a batch hides depends on its size
    losses = {
        size: train(validate=None, batch_size=size, **tiny)[2].history[0]["loss"]
        for size in (7, 1000)
    }
    assert losses[7] == pytest.approx(losses[1000], rel=1e-5)


class TestDivergence:
    def test_a_learning_rate_far_too_high(self) -> None:
        with pytest.raises(TrainingDiverged, match=r"lower training\.learning_rate"):
            train(ModelConfig(channels=8, score="inner"), learning_rate=1e25, validate=None)

    def test_a_loss_that_is_not_finite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = loop.softmax_loss
        steps = iter([*[1.0] * 8, math.inf, *[1.0] * 90])
        monkeypatch.setattr(loop, "softmax_loss", lambda *args: real(*args) * next(steps))
        with pytest.raises(TrainingDiverged, match=r"loss of epoch [23] is (inf|nan)"):
            train(validate=None)

    def test_the_last_step_may_not_leave_what_is_not_finite(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = loop.softmax_loss

        def steep(*args: torch.Tensor) -> torch.Tensor:
            loss = real(*args)
            loss.register_hook(lambda grad: grad * math.nan)  # finite loss, NaN gradient
            return loss

        monkeypatch.setattr(loop, "softmax_loss", steep)
        with pytest.raises(TrainingDiverged, match="after epoch 1 the network holds numbers"):
            train(validate=None, epochs=1, batch_size=1000)


class KilledError(Exception):
    pass


def stop_after(epoch: int):
    def on_epoch(record: dict[str, float]) -> None:
        if record["epoch"] == epoch:
            raise KilledError

    return on_epoch


class TestResume:
    @pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
    @pytest.mark.parametrize("valid", [True, False])
    @pytest.mark.parametrize("killed", [1, 3, 4])
    def test_killed_and_resumed_is_the_same_run(
        self, tmp_path: Path, loss: str, valid: bool, killed: int
    ) -> None:
        settings = {"loss": loss, "epochs": 6, "validate": ndcg if valid else None}
        whole, _, progress = train(**settings)
        path = tmp_path / "checkpoint.safetensors"
        with pytest.raises(KilledError):
            train(**settings, checkpoint=path, on_epoch=stop_after(killed))
        assert path.exists() == (killed > 2)  # saved after the epoch is told
        epochs: list[dict[str, float]] = []
        resumed, _, again = train(**settings, checkpoint=path, on_epoch=epochs.append)
        assert epochs[0]["epoch"] == (1 if killed == 1 else 3)
        assert told(again) == told(progress)
        assert (again.best_epoch, again.best, again.stale) == (
            progress.best_epoch, progress.best, progress.stale,
        )  # fmt: skip
        assert_same(whole, resumed)

    def test_a_finished_run_is_not_trained_on(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        one, _, first = train(checkpoint=path)
        epochs: list[dict[str, float]] = []
        two, _, second = train(checkpoint=path, on_epoch=epochs.append)
        assert epochs == []
        assert first.history == second.history
        assert_same(one, two)

    def test_a_damaged_checkpoint_says_what_to_do(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        path.write_bytes(b"\x00" * 40)
        with pytest.raises(RunError, match=r"cannot resume: .*damaged.*delete it to train from"):
            train(checkpoint=path)

    def test_after_a_real_kill(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        child = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}
from test_training_loop import *
def on_epoch(record):
    if record["epoch"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
train(epochs=6, checkpoint=Path({str(path)!r}), on_epoch=on_epoch)
"""
        done = subprocess.run([sys.executable, "-c", child], check=False, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        whole, _, progress = train(epochs=6)
        resumed, _, again = train(epochs=6, checkpoint=path)
        assert told(again) == told(progress)
        assert_same(whole, resumed)


def test_a_training_goes_on_where_another_ended() -> None:
    first, network, _ = train(validate=None, epochs=3)
    start = Trained(copy_state(network), 3)
    assert_same(train(validate=None, epochs=0, start=start)[0], first)
    # Learning rates go on as well: after 60 halvings nothing moves.
    late = train(validate=None, epochs=1, decay=0.5, start=Trained(start.state, 60))[0]
    torch.testing.assert_close(late.score(USERS), first.score(USERS))
    on = train(validate=None, epochs=3, start=start)[2].history
    assert on[-1]["loss"] < train(validate=None, epochs=3)[2].history[-1]["loss"]


def test_learning_rates_decay_by_the_epoch() -> None:
    rates: list[float] = []
    original = torch.optim.Adam.step

    def spy(self, *arguments, **more):
        rates.append(self.param_groups[0]["lr"])
        return original(self, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", spy)
        train(validate=None, epochs=3, batch_size=100_000, decay=0.5)
    assert rates == pytest.approx([0.05, 0.025, 0.0125])


def test_a_batch_cannot_read_its_own_answers_off_the_graph() -> None:
    # One interaction and nothing else: shown, the user hears of the item and the loss falls below
    # that of chance; hidden, the embeddings before any learning know nothing.
    lone = make_graph((1, 50, 0), [(0, 7)])
    losses = {}
    for hide in (True, False):
        settings = TrainingConfig(
            epochs=1, learning_rate=1e-12, relation_learning_rate=1e-12, hide_targets=hide
        )
        _, _, progress = train_network(
            tensors_of(lone), history_of(lone), ModelConfig(channels=256), settings, seed=0
        )
        losses[hide] = progress.history[0]["loss"]
    assert losses[False] < 1.0
    assert losses[True] == pytest.approx(math.log(50), abs=0.2)


def test_nor_off_what_was_done_before_the_interaction() -> None:
    # As above, but the user has also looked at the item: shown, the look alone gives it away.
    viewed = make_graph((1, 50, 0), [(0, 7)], (behaviour("view", [(0, 7)]),))
    bystander = make_graph((1, 50, 0), [(0, 7)], (behaviour("view", [(0, 8)]),))
    losses = {}
    for name, graph, hide in (
        ("hidden", viewed, True), ("shown", viewed, False), ("of another", bystander, True),
    ):  # fmt: skip
        settings = TrainingConfig(
            epochs=1, learning_rate=1e-12, relation_learning_rate=1e-12, hide_targets=hide
        )
        _, _, progress = train_network(
            tensors_of(graph), history_of(graph), ModelConfig(channels=256), settings, seed=0
        )
        losses[name] = progress.history[0]["loss"]
    assert losses["shown"] < 1.0
    assert losses["hidden"] == pytest.approx(math.log(50), abs=0.2)
    assert losses["of another"] > math.log(50) + 0.5  # the item looked at is taken to be the answer


@pytest.mark.parametrize(
    ("role", "low", "high"),
    [(Role.NEGATIVE, 0.97, 1.0), (None, 0.4, 0.8), (Role.EVIDENCE, 0.1, 0.6)],
)
def test_dislikes_tell_the_taste_of_users_of_whom_little_else_is_known(
    role: Role | None, low: float, high: float
) -> None:
    # Each user took two items of their own parity and dismissed three of the other. Taken for
    # evidence, the dislikes say the opposite of what they mean.
    own = checkerboard(held_out=6)
    dismissed = [
        (user, (2 * (user // 2 + step) + 1 - user % 2) % 16)
        for user in range(24)
        for step in range(3)
    ]
    edges = () if role is None else (behaviour("dismiss", dismissed, role),)
    graph = replace(own, relations=edges)
    task = RankingTask(own, Split.VALID)  # in which no dislike is masked

    def judge(scorer: Scorer) -> float:
        return float(task.run(scorer, k=(6,))["ndcg@6"].mean())

    scorer, network, _ = train_network(
        tensors_of(graph), history_of(graph), MODEL, TrainingConfig(**SETTINGS), seed=0,
        validate=judge,
    )  # fmt: skip
    assert low <= judge(scorer) <= high
    negative = {
        name
        for name, weight in zip(
            network.relation_names, network.encoder.relation_weights().tolist(), strict=True
        )
        if weight < 0
    }
    assert negative == ({"DISMISS", "rev_DISMISS"} if role is Role.NEGATIVE else set())
