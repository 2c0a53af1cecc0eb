"""`kgrec gan`: fit, sample, report, and marked edges in a store."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import build_tiny, group_of

from kgrec.cli import main

SMALL = ["--set", "augment.at_most=4", "--set", "augment.gan.pretrain_epochs=3"]


def thin(folder: Path) -> None:
    """Every third user keeps four interactions."""
    frame = pd.read_csv(folder / "interactions.tsv", sep="\t")
    rank = frame.groupby("user").cumcount()
    sparse = frame["user"].str[1:].astype(int) % 3 == 0
    frame[~sparse | (rank < 4)].to_csv(folder / "interactions.tsv", sep="\t", index=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, a filled store and a generator."""
    folder = tmp_path_factory.mktemp("gan")
    build_tiny(folder)
    thin(folder)
    given = ["--config", str(folder / "tiny.toml"), "--out", str(folder / "made"), *SMALL]
    assert main(["gan", "fit", *given]) == 0
    return folder


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    value = json.loads(out)
    assert isinstance(value, dict)
    return value


def store(site: Path) -> list[str]:
    return ["--store", f"embedded:{site / 'graph.kgl'}"]


def test_a_generator_is_fitted_without_a_recommender(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--config", str(site / "tiny.toml"), "--out", str(site / "other"), *SMALL]
    told = answer(["gan", "fit", *given, "--seed", "3"], capsys)
    assert told["seed"] == 3
    assert told["learned"]["gan"]["sources"]["teacher"]["precision"] > 0
    assert Path(told["picture"]).read_bytes()[:4] == b"\x89PNG"
    assert not (site / "runs").exists()
    found = answer(["gan", "report", "--from", str(site / "other")], capsys)
    assert found["learned"] == told["learned"]
    assert main(["gan", "report", "--from", str(site / "other")]) == 0
    assert "candidates hold" in capsys.readouterr().out


def test_sampled_edges_stay_out_of_the_store_until_told(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = ["gan", "sample", "--from", str(site / "made"), "--per-user", "3"]
    told = answer([*sample, "--seed", "1"], capsys)
    assert (told["edges"], told["seed"], len(told["pairs"])) == (
        3 * told["users"],
        1,
        told["edges"],
    )
    right = [group_of(user) == group_of(item) for user, item, _ in told["pairs"]]
    assert np.mean(right) > 0.8
    assert answer(["gan", "list", *store(site)], capsys)["runs"] == []
    version = answer(["status", *store(site)], capsys)
    for _ in range(2):
        done = answer([*sample, "--seed", "1", "--write", "--name", "try"], capsys)
        assert done["written"] == told["edges"]
    assert answer(["status", *store(site)], capsys) == version
    listed = answer(["gan", "list", *store(site), "--name", "try"], capsys)
    assert listed["pairs"] == sorted(told["pairs"])
    (run,) = listed["runs"]
    assert (run["source"], run["seed"], run["proven"]) == ("gan", 1, 0)
    answer([*sample, "--source", "knn", "--write"], capsys)  # named by its folder
    names = [each["run"] for each in answer(["gan", "list", *store(site)], capsys)["runs"]]
    assert names == ["made", "try"]
    assert main(["gan", "list", *store(site)]) == 0
    assert "try" in capsys.readouterr().out
    purged = answer(["gan", "purge", *store(site), "--name", "try"], capsys)
    assert purged["deleted"] == told["edges"]
    assert answer(["gan", "purge", *store(site), "--all"], capsys)["deleted"] == told["edges"]
    assert answer(["gan", "list", *store(site)], capsys)["runs"] == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_edges_go_to_a_file_with_their_marks(
    site: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / "edges" / f"e{suffix}"
    told = answer(["gan", "sample", "--from", str(site / "made"), "--out", str(path)], capsys)
    assert "pairs" not in told
    frame = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert list(frame.columns) == ["user_id", "item_id", "weight", "source", "seed", "synthetic"]
    assert len(frame) == told["edges"]
    assert frame["synthetic"].all()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_bad_input_is_told_in_a_line(
    site: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = ["gan", "sample", "--from", str(site / "made")]
    for arguments, code, words in (
        (["gan", "purge", *store(site)], 2, "--name RUN, or --all"),
        (["gan", "purge", *store(site), "--all", "--name", "x"], 2, "--name RUN, or --all"),
        (["gan", "purge", "--store", f"embedded:{tmp_path / 'no.kgl'}", "--all"], 1, "no graph"),
        ([*made, "--source", "taste"], 2, "no source 'taste'"),
        ([*made, "--out", "edges.txt"], 2, "neither .parquet nor .csv"),
        (["gan", "sample", "--from", str(tmp_path)], 1, "no generator in"),
        (["gan", "report", "--from", str(tmp_path)], 1, "no generator in"),
    ):
        capsys.readouterr()
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert words in " ".join(err.split())
        assert "Traceback" not in err
    assert not (tmp_path / "no.kgl").exists()
