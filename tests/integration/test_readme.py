"""What the README tells people to type works."""

import re
from pathlib import Path

import pytest
from tiny import build_tiny

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_tiny(tmp_path).rename(tmp_path / "kgrec.toml")
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    users_items = {'"196"': '"u4"', '"242"': '"i6"'}
    for film, tiny in users_items.items():
        assert film in example
        example = example.replace(film, tiny)
    exec(compile(example, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert 0 < float(lines[0]) <= 1
    assert [line.split()[0] for line in lines[1:6]] == ["1", "2", "3", "4", "5"]
    score, adds_up = map(float, lines[6].split()[:2])
    assert score == pytest.approx(adds_up, abs=1e-5)


def test_every_command_and_option_is_there() -> None:
    from typer.main import get_command

    from kgrec.cli.app import app

    commands = get_command(app).commands
    told = [
        line.partition("#")[0].split()[1:]
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("kgrec ")
    ]
    assert len(told) >= 7
    for name, *words in told:
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, name


def test_links_lead_somewhere() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (root / target).exists(), target
