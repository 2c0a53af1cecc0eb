"""`kgrec resolve`, from files to a file that the loader takes."""

import json
from pathlib import Path

import pandas as pd
import pytest
from catalogues import make_catalogues

from kgrec.cli.app import main
from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.schema import SAME_AS

ENDS = ["left", "right"]


def test_the_command_writes_reads_back_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_catalogues(31, films=20)
    made.left.to_csv(tmp_path / "ours.csv", index=False)
    made.right.to_csv(tmp_path / "theirs.csv", index=False)
    (tmp_path / "events.csv").write_text("user,item\nu1,a0\nu2,b1\n")
    kinds = {"events": "interactions", "ours": "items", "theirs": "items"}
    sources = [
        f'[[data.sources]]\nname = "{name}"\nkind = "{kind}"\npath = "{name}.csv"\n'
        for name, kind in kinds.items()
    ]
    # The file is a source from the start, and yet is no part of what is compared.
    sources.append('[[data.sources]]\nname = "same"\nkind = "same_as"\npath = "same_as.csv"\n')
    config, out = tmp_path / "config.toml", tmp_path / "same_as.csv"
    config.write_text("\n".join(sources))
    arguments = ["resolve", "--config", str(config), "--out", str(out)]

    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    rows = pd.read_csv(out, dtype=str, keep_default_na=False)
    sizes = {"left": len(made.left), "right": len(made.right)}
    assert answer["compared"] == [{"what": "Item of ours and theirs", **sizes}]
    assert answer["accepted"] == (rows["accepted"] == "yes").sum() >= len(made.truth) - 5
    assert answer["waiting"] == (rows["accepted"] == "").sum()
    assert answer["proposals"][0]["score"] == float(rows.loc[0, "score"])

    rows.loc[3, "accepted"] = "no"
    rows.to_csv(out, index=False)
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "1 decided by people" in shown
    assert "next: kgrec ingest" in shown
    assert pd.read_csv(out).set_index(ENDS)["accepted"][tuple(rows.loc[3, ENDS])] == "no"
    # The loader takes the file as it is: what is accepted is joined, all else is not.
    joined = load_dataset(Config.load(config).data, 0)
    same = [table for table in joined.relations if table.key.type == SAME_AS]
    assert sum(len(table.edges) for table in same) == answer["accepted"] - 1


def test_the_command_does_not_write_over_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "config.toml", tmp_path / "items.csv"
    out.write_text("id,title\n1,Heat\n")
    config.write_text('[data]\ninteractions = "x.csv"\n')
    assert main(["resolve", "--config", str(config), "--out", str(out)]) == 1
    assert "items.csv:1: no column 'left'" in capsys.readouterr().err
    assert out.read_text() == "id,title\n1,Heat\n"
