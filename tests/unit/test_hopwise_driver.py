"""The driver's own logic, without hopwise: stopping, embeddings, the stand-in for torch-scatter."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from kgrec.bench.hopwise import driver
from kgrec.bench.hopwise.driver import Stop, Watch


class LightGCN(nn.Module):
    """As much of hopwise's model as the driver looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.n_items = 2
        self.restore_user_e = torch.tensor([[0.0], [1.0]])
        self.restore_item_e = torch.tensor([[2.0], [3.0]])


class KGIN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.n_items = 2
        self.restore_user_e = torch.tensor([[1.0]])
        self.restore_entity_e = torch.tensor([[2.0], [3.0], [4.0]])


class CFKG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.n_items, self.USER_ID = 2, "user"
        self.user_embedding = nn.Embedding.from_pretrained(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        self.relation_embedding = nn.Embedding.from_pretrained(
            torch.tensor([[9.0, 9.0], [0.5, 0.5]])
        )
        self.entity_embedding = nn.Embedding.from_pretrained(
            torch.tensor([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]])
        )


class RippleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))


class TestWatch:
    def watch(self, model: nn.Module, **options: object) -> Watch:
        settings = {"stopping_step": 2, "max_seconds": None, "started": 0.0} | options
        return Watch(model, **settings)  # type: ignore[arg-type]

    def test_stops_after_more_than_so_many_without_gain(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = LightGCN()
        watch = self.watch(model)
        for epoch, value in enumerate([0.1, 0.3, 0.2, 0.3, 0.2, 0.1]):
            model.restore_user_e = torch.full((2, 1), float(epoch))
            watch(epoch, value)
        with pytest.raises(Stop):
            watch(6, 0.29)
        # Equal counts as a gain, as in hopwise: best at epoch 4; 5, 6 and 7 are one too many.
        assert (watch.best_epoch, watch.best_value, watch.stopped) == (4, 0.3, "early")
        assert len(watch.history) == 7
        assert watch.best is not None
        assert watch.best["user"].tolist() == [[3.0], [3.0]]  # those of that evaluation
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 7
        assert all(line.startswith(driver.EVENT) for line in lines)

    def test_stops_when_time_is_up(self) -> None:
        watch = self.watch(LightGCN(), max_seconds=0.0)
        with pytest.raises(Stop):
            watch(0, 0.5)
        assert (watch.stopped, watch.best_epoch) == ("time", 1)

    def test_evaluations_are_no_training(self) -> None:
        watch = self.watch(LightGCN())
        watch.evaluation_seconds = 5.0
        watch(0, 0.5)
        point = watch.history[0]
        assert point["seconds"] - point["training_seconds"] == pytest.approx(5.0)

    def test_weights_are_kept_where_there_are_no_embeddings(self) -> None:
        model = RippleNet()
        watch = self.watch(model)
        watch(0, 0.5)
        with torch.no_grad():
            model.weight.fill_(7.0)
        watch(1, 0.4)
        assert watch.best is not None
        assert watch.best["weight"].tolist() == [1.0]


class TestEmbeddings:
    def test_entities_that_are_no_items_are_left_out(self) -> None:
        found = driver.embeddings(KGIN())
        assert found is not None
        assert found[1].tolist() == [[2.0], [3.0]]

    def test_cfkg_adds_the_last_relation_to_the_user(self) -> None:
        """(u + r) · i by hand: user 1 is (0, 1) + (.5, .5)."""
        model = CFKG()
        driver.score_all_items_at_once(model)
        scores = model.full_sort_predict({"user": torch.tensor([1, 0])})
        assert scores.tolist() == [0.5, 3.0, 1.5, 1.0]

    def test_rows_are_in_the_order_of_kgrec(self, tmp_path: Path) -> None:
        order = {"user": [2, 1], "item": [1, 3, 2]}  # hopwise's ids of kgrec's 0, 1, …; 0 pads
        dataset = SimpleNamespace(
            uid_field="user",
            iid_field="item",
            token2id=lambda field, tokens: np.array([order[field][int(t)] for t in tokens]),
        )
        best = {
            "user": torch.tensor([[0.0], [1.0], [2.0]]),
            "item": torch.tensor([[0.0], [10.0], [20.0], [30.0]]),
        }
        job = {"num_users": 2, "num_items": 3}
        driver.write_scores(dataset, LightGCN(), best, job, tmp_path)
        assert np.load(tmp_path / "user.npy").tolist() == [[2.0], [1.0]]
        assert np.load(tmp_path / "item.npy").tolist() == [[10.0], [30.0], [20.0]]


def test_the_stand_in_for_torch_scatter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch_scatter", raising=False)
    monkeypatch.setattr(driver.importlib.util, "find_spec", {}.get)
    driver.provide_scatter()
    module = sys.modules.pop("torch_scatter")
    src = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 8.0]], requires_grad=True)
    index = torch.tensor([2, 0, 2])
    mean = module.scatter_mean(src=src, index=index, dim_size=4, dim=0)
    assert mean.tolist() == [[3.0, 4.0], [0.0, 0.0], [3.0, 5.0], [0.0, 0.0]]
    mean[2, 0].backward()
    assert src.grad is not None
    assert src.grad.tolist() == [[0.5, 0.0], [0.0, 0.0], [0.5, 0.0]]
    share = module.scatter_softmax(src.detach(), index=index, dim=0)
    expected = torch.stack([torch.softmax(src.detach()[[0, 2], c], 0) for c in range(2)], 1)
    torch.testing.assert_close(share[[0, 2]], expected)
    torch.testing.assert_close(share[1], torch.ones(2))
