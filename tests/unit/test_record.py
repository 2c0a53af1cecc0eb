"""The record of a run: what it notes, what it reads of other versions, what it writes again."""

import json
from pathlib import Path
from typing import Any

import pytest

from kgrec.errors import RunError
from kgrec.files import unsealed
from kgrec.training.checkpoint import write_json
from kgrec.training.directory import LAYOUT, read_record, write_record
from kgrec.training.record import (
    AugmenterRecord,
    ColdRecord,
    ColdUsersRecord,
    FitRecord,
    FusionRecord,
    NetworkRecord,
    RunRecord,
)

OF_A_RUN = {"kgrec_version": "0.2.0", "graph_version": "v1"}


def a_record(**fields: Any) -> RunRecord:
    return RunRecord(seed=3, device="cpu", **OF_A_RUN, **fields)


def written_0_1(folder: Path, **keys: Any) -> Path:
    tree = {"layout": 4, "seed": 3, "device": "cpu", "seconds": {}, **OF_A_RUN, **keys}
    write_json(folder / "record.json", tree)
    return folder


def test_what_is_noted_is_written_and_read(tmp_path: Path) -> None:
    fit = FitRecord(seed=3, device="cpu")
    fit.add_seconds("text", 1.0)
    fit.add_seconds("text", 0.5)
    fit.add_settings("closed_form", {"ridge": 2.0, "inner_ndcg": (0.1, 0.2)})
    fit.fusion = FusionRecord(weights={"closed_form": 1.0}, valid_ndcg=None)
    epoch: dict[str, int | float] = {"epoch": 1, "loss": 0.5}
    fit.network = NetworkRecord(epochs=1, history=[epoch])
    fit.network.others = [NetworkRecord(epochs=2)]
    fit.cold = ColdRecord(items=4, settings={"noise": 1.0}, is_used=False)
    fit.cold_users = ColdUsersRecord(users=2, is_used=True)
    record = RunRecord.of(fit, **OF_A_RUN)
    write_record(tmp_path, record)
    tree = unsealed(json.loads((tmp_path / "record.json").read_text()))
    assert tree == {
        "layout": LAYOUT,
        "digests": {},
        "folder": str(tmp_path.resolve().parent),
        "seed": 3,
        "device": "cpu",
        "seconds": {"text": 1.5},
        "settings": {"closed_form": {"ridge": 2.0, "inner_ndcg": [0.1, 0.2]}},
        "network": {"epochs": 1, "history": [epoch], "others": [{"epochs": 2}]},
        "fusion": {"weights": {"closed_form": 1.0}, "valid_ndcg@20": None},
        "cold": {"items": 4, "settings": {"noise": 1.0}, "kept": False},
        "cold_users": {"users": 2, "settings": {}, "used": True},
        **OF_A_RUN,
    }
    again = read_record(tmp_path)
    assert again.epochs == [epoch]
    assert again.fusion == record.fusion
    assert again.cold == record.cold
    assert again.trained_on is None  # never noted


def test_a_part_of_ones_own_needs_nothing_of_the_record(tmp_path: Path) -> None:
    record = a_record()
    record.add_settings("tides", {"moon": 0.3})
    write_record(tmp_path, record)
    assert read_record(tmp_path).settings == {"tides": {"moon": 0.3}}


def test_what_0_1_wrote_flat_stands_in_its_place(tmp_path: Path) -> None:
    written_0_1(
        tmp_path,
        closed_form={"ridge": 2.0},
        temperature={"temperature": 0.2},
        cold={"noise": 1.0, "views": ["genre"], "items": 4, "kept": False},
        cold_users={"noise": 30.0, "users": 2, "used": True, "views": ["team"]},
        augment={"picked": "knn", "words": "so", "use": "positives"},
        refreshed=[{"from": "v0", "to": "v1", "at": "2026-01-01T00:00:00+00:00",
                    "nodes": {"User": {"new": 1, "gone": 0}}, "changed_users": 1}],
        trained_on="v0",
    )  # fmt: skip
    record = read_record(tmp_path)
    assert record.settings == {"closed_form": {"ridge": 2.0}, "temperature": {"temperature": 0.2}}
    assert record.cold is not None
    assert record.cold.settings == {"noise": 1.0, "views": ["genre"]}
    assert (record.cold.items, record.cold.is_used) == (4, False)
    assert record.cold_users is not None
    assert record.cold_users.settings == {"noise": 30.0}
    assert (record.cold_users.views, record.cold_users.is_used) == (["team"], True)
    assert record.augment is not None
    assert record.augment.source == "knn"
    assert [(step.before, step.after) for step in record.refreshed] == [("v0", "v1")]
    # Written again it is of today's layout, and nothing of it is lost.
    write_record(tmp_path, record)
    assert json.loads((tmp_path / "record.json").read_text())["layout"] == LAYOUT
    again = read_record(tmp_path)
    record.folder = str(tmp_path.resolve().parent)
    assert again == record
    assert again.augment is not None
    assert again.augment.tree()["use"] == "positives"


def test_a_generator_of_0_1_is_read() -> None:
    tree = {"seed": 0, "seconds": {}, **OF_A_RUN, "factors": {"ridge": 1.0},
            "learned": {"gan": {"rounds": []}}}  # fmt: skip
    record = AugmenterRecord.model_validate(tree)
    assert record.settings == {"factors": {"ridge": 1.0}}
    assert record.learned == {"gan": {"rounds": []}}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"seed": "first"}, "seed: .*integer"),
        ({"fusion": {"weights": {"network": "heavy"}}}, r"fusion\.weights\.network"),
        ({"graph_version": None}, "graph_version"),
        ({"layout": 3}, "has layout 3, this kgrec reads 4 and 5; train again"),
        ({"layout": 6}, "has layout 6"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    written_0_1(tmp_path, **keys)
    with pytest.raises(RunError, match=rf"record\.json.*{words}"):
        read_record(tmp_path)


def test_a_wrong_value_is_refused_where_it_is_noted() -> None:
    record = a_record()
    with pytest.raises(ValueError, match="trained_on"):
        record.trained_on = 5  # type: ignore[assignment]
