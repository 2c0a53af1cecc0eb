"""People's data reach a terminal as text: nothing in them is obeyed, and nothing is an error."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.panel import Panel
from rich.table import Table
from tiny import build_tiny

from kgrec.cli import main
from kgrec.cli.output import plain_table, to_json
from kgrec.progress import progress_bar
from kgrec.terminal import console_on, printable

#: Writes the clipboard, clears the screen, sets the title, turns text round, half a character.
OBEYED = ["\x1b]52;c;AAAA\x07", "\x1b[2J", "\x9b2J", "\x1b]0;t\x1b\\", "\u202egnp.exe", "\ud83d"]
MARKUP = ["[/]", "[bold]b[/bold]", "[link=x]", "[red", "a[/b]c", ":smile:", "[]"]
CONTROLS = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0), 0x202E]} - {"\n", "\t"}


def test_controls_are_shown_as_replacements() -> None:
    for text in OBEYED:
        assert not CONTROLS & set(printable(text)), text
    assert printable("Amélie\t“Ω” 日本 🎬\n[/]") == "Amélie\t“Ω” 日本 🎬\n[/]"


@pytest.mark.parametrize("text", [*OBEYED[:5], *MARKUP])
def test_nothing_that_is_printed_obeys_data(text: str) -> None:
    stream = io.StringIO()
    console = console_on(stream)
    table = Table(text, title=text)
    table.add_row(text)
    for block in (text, table, plain_table(text, rows=[[text]], title=text), Panel(text)):
        console.print(block)
    out = stream.getvalue()
    assert not CONTROLS & set(out)
    assert out.count(printable(text)) >= 6


@pytest.mark.parametrize("text", OBEYED)
def test_json_keeps_the_value_and_holds_no_control(text: str) -> None:
    out = to_json({text: [text]})
    assert not CONTROLS & set(out)
    assert json.loads(out) == {text: [text]}


def test_progress_takes_any_note(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("[/] read", 2) as advance:
        for text in [*OBEYED[:5], *MARKUP]:
            advance(text)
    assert "\x1b]52" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on items with such titles, in a folder with such a name."""
    folder = tmp_path_factory.mktemp("hostile") / "a[/]b [red]"
    settings = build_tiny(folder)
    path = folder / "items.tsv"
    items = pd.read_csv(path, sep="\t", dtype=str)
    texts = [*OBEYED[:5], *MARKUP]
    title = next(name for name in items.columns if name in ("title", "name"))
    items[title] = [f"{texts[n % len(texts)]} {n}" for n in range(len(items))]
    items.to_csv(path, sep="\t", index=False)
    arguments = ["--config", str(settings), "--run", str(folder / "run"), "--json"]
    assert main(["train", *arguments, "--set", "training.epochs=1"]) == 0
    return folder


COMMANDS = [
    ["recommend", "--run", "{run}", "--user", "u1"],
    ["recommend", "--run", "{run}", "--user", "[/]\x1b[2J"],
    ["similar", "--run", "{run}", "--item", "i1"],
    ["similar", "--run", "{run}", "--item", "[/]\x1b[2J"],
    ["explain", "--run", "{run}", "--user", "u1", "--item", "i2"],
    ["evaluate", "--run", "{run}", "--no-floors"],
    ["query", "popular", "--store", "{store}"],
    ["query", "user_history", "--store", "{store}", "-p", "user=[/]"],
    ["status", "--store", "{store}"],
    ["check", "--config", "{settings}"],
    ["recommend", "--run", "[/]\x1b[2J", "--user", "u1"],
    ["train", "--config", "[/].toml"],
    ["query", "[/]\x1b[2J", "--store", "{store}"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_prints_them(
    hostile: Path, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    places = {
        "run": hostile / "run",
        "store": f"embedded:{hostile / 'graph.kgl'}",
        "settings": hostile / "tiny.toml",
    }
    main([part.format(**places) if "{" in part else part for part in command])
    out, err = capfd.readouterr()
    assert not CONTROLS & set(out)
    assert not CONTROLS & set(err)
    assert "unexpected" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("encoding", ["ascii"])
def test_a_terminal_of_another_encoding_gets_replacements(hostile: Path, encoding: str) -> None:
    run, store = hostile / "run", f"embedded:{hostile / 'graph.kgl'}"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}

    def answer(*command: str) -> bytes:
        child = subprocess.run(
            [sys.executable, "-m", "kgrec.cli", *command],
            capture_output=True, check=False, env=environment,
        )  # fmt: skip
        assert child.returncode == 0, child.stderr
        return child.stdout

    assert b"?" in answer("recommend", "--run", str(run), "--user", "u1")
    plain = json.loads(answer("query", "popular", "--store", store, "--json").decode(encoding))
    assert len(plain["rows"]) == 20
    assert any("\u202e" in row["title"] for row in plain["rows"])
