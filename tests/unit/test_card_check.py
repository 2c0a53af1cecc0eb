"""`kgrec check`: the card on stdout, a page if wanted, and nothing left behind."""

import json
from pathlib import Path

import pytest
from tiny import NUM_ITEMS, NUM_USERS, build_tiny

from kgrec.cli.data import check
from kgrec.errors import ConfigError, DataError

INTERACTIONS = NUM_USERS * 13


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return build_tiny(tmp_path / "data")


def test_the_card_is_told_and_nothing_is_written(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(config.parent.rglob("*"))
    check(config)
    out, err = capsys.readouterr()
    assert out.startswith("tiny\n")
    assert f"{NUM_USERS} users, {NUM_ITEMS} items" in out
    assert f"{INTERACTIONS:,} interactions" in out
    assert "directed_by" in out
    assert "Cautions" in out
    assert "read " in err
    assert sorted(config.parent.rglob("*")) == before


def test_json_is_one_object_and_nothing_else(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "card.html"
    check(config, html=page, as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    told = json.loads(out)
    assert (told["html"], told["rejects"]) == (str(page), None)
    assert told["card"]["interactions"] == INTERACTIONS
    assert set(told["seconds"]) == {"read", "card"}
    text = page.read_text(encoding="utf-8")
    assert f"<dd>{NUM_USERS}</dd>" in text
    assert "directed_by" in text


def test_bad_rows_are_tolerated_only_as_far_as_it_is_said(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (config.parent / "interactions.tsv").open("a", encoding="utf-8") as file:
        file.write("u1\t\t5\t7\n")
    with pytest.raises(DataError, match=r"interactions\.tsv"):
        check(config)
    rejects = tmp_path / "rejects"
    check(config, max_bad_rows="1", rejects=rejects, as_json=True)
    (source,) = [
        s for s in json.loads(capsys.readouterr().out)["card"]["sources"]
        if s["name"] == "interactions"
    ]  # fmt: skip
    assert (source["rows"], source["rejected"]) == (INTERACTIONS + 1, 1)
    assert any(rejects.iterdir())


def test_a_number_of_bad_rows_must_be_one(config: Path) -> None:
    for wrong in ("many", "-1", '1" '):
        with pytest.raises(ConfigError, match="max_bad_rows"):
            check(config, max_bad_rows=wrong)


def test_settings_may_be_overridden(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(config, overrides=["data.split.kind=leave_last_out"], as_json=True)
    told = json.loads(capsys.readouterr().out)["card"]
    assert told["split_kind"] == "leave_last_out"
    sizes = {split["split"]: split["interactions"] for split in told["splits"]}
    assert sizes == {"train": NUM_USERS * 11, "valid": NUM_USERS, "test": NUM_USERS}


def test_a_page_that_cannot_be_written_is_an_error(config: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write the data card"):
        check(config, html=tmp_path / "none" / "card.html")
