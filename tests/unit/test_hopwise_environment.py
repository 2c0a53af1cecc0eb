"""hopwise's environment is made once, whole or anew; nothing is installed here."""

import sys
from pathlib import Path

import pytest

from kgrec.bench.hopwise import environment as room
from kgrec.bench.hopwise.environment import REQUIREMENTS, hopwise_python
from kgrec.errors import ConfigError


class Runs:
    """Records commands; `venv` makes an empty Python, commands that contain `fails` fail."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.fails: str | None = None

    def __call__(self, command: list[str]) -> None:
        self.commands.append(command)
        if self.fails is not None and self.fails in command:
            raise ConfigError("no network")
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    found = Runs()
    monkeypatch.setattr(room, "_run", found)
    monkeypatch.setattr(room.shutil, "which", {}.get)
    monkeypatch.setattr(room.sys, "platform", "linux")
    monkeypatch.setattr(room, "_PYTHONS", (sys.version_info[:2],))
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path))
    return found


def test_is_made_once(runs: Runs, tmp_path: Path) -> None:
    python = hopwise_python()
    assert python == tmp_path / "peers" / f"hopwise-{room.HOPWISE}" / "bin" / "python"
    create, cpu, install = runs.commands
    assert create == [sys.executable, "-m", "venv", str(python.parents[1])]
    assert cpu[-1] == f"torch=={room.TORCH}+cpu"
    assert install[:4] == [str(python), "-m", "pip", "install"]
    assert install[-len(REQUIREMENTS) :] == list(REQUIREMENTS)
    assert hopwise_python() == python
    assert len(runs.commands) == 3


def test_a_half_made_one_is_made_anew(runs: Runs) -> None:
    runs.fails = REQUIREMENTS[0]
    with pytest.raises(ConfigError, match="no network"):
        hopwise_python()
    left = Path(runs.commands[0][-1]) / "left.txt"
    left.write_text("of the first try")
    runs.fails = None
    assert hopwise_python().exists()
    assert not left.exists()


def test_one_of_other_requirements_is_made_anew(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    hopwise_python()
    monkeypatch.setattr(room, "REQUIREMENTS", (*REQUIREMENTS, "scipy==9"))
    hopwise_python()
    assert runs.commands[-1][-1] == "scipy==9"
    assert len(runs.commands) == 6


def test_one_whose_python_is_gone_is_made_anew(runs: Runs) -> None:
    hopwise_python().unlink()
    hopwise_python()
    assert len(runs.commands) == 6


def test_the_usual_index_serves_without_the_small_wheels(runs: Runs) -> None:
    runs.fails = room._CPU_WHEELS
    assert hopwise_python().exists()
    assert runs.commands[-1][-len(REQUIREMENTS) :] == list(REQUIREMENTS)


def test_uv_is_used_where_it_is(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.shutil, "which", lambda name: f"/bin/{name}")
    python = hopwise_python()
    assert runs.commands[0][:2] == ["/bin/uv", "venv"]
    assert runs.commands[-1][:6] == [
        "/bin/uv", "pip", "install", "--quiet", "--python", str(python),
    ]  # fmt: skip


def test_a_python_hopwise_knows_is_found_or_asked_for(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_PYTHONS", ((3, 8),))
    with pytest.raises(ConfigError, match="none on PATH"):
        hopwise_python()
    found = {"python3.8": "/opt/python3.8"}
    monkeypatch.setattr(room.shutil, "which", found.get)
    hopwise_python()
    assert runs.commands[0][0] == "/opt/python3.8"


def test_a_failing_command_gives_its_last_lines() -> None:
    code = "import sys\nfor n in range(30): print('line', n)\nsys.exit('no space left')"
    with pytest.raises(ConfigError, match="ended with 1") as caught:
        room._run([sys.executable, "-c", code])
    said = str(caught.value).splitlines()
    assert said[-1] == "no space left"
    assert "line 29" in said
    assert "line 3" not in said


def test_versions_are_pinned() -> None:
    assert REQUIREMENTS[0] == f"hopwise=={room.HOPWISE}"
    assert all("==" in requirement for requirement in REQUIREMENTS)
