"""Settings and files that are made to take for ever or too much: refused at once, in one line."""

import errno
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors

from kgrec.cli import app as program
from kgrec.cli.app import main
from kgrec.config import Config, Source
from kgrec.data.reading.open import open_source
from kgrec.errors import ConfigError, DataError
from kgrec.files import os_errors_as, parsed_json, read_text

DATA = '[data]\ninteractions = "i.csv"\n'
QUOTED = '"a" . ' * 20_000
DEEP = "[" * 20_000 + "]" * 20_000


@pytest.mark.parametrize(
    "text",
    [
        f"a = {DEEP}\n{DATA}",
        f"a{'.a' * 20_000} = 1\n{DATA}",
        f"{DATA}[{'.'.join(['x'] * 20_000)}]\n",
        f"{DATA}[model]\nx = {{ seed = 1, {QUOTED}b = 1 }}\n",
        f"{DATA}[text]\nx = {'{a=' * 20_000}1{'}' * 20_000}\n",
        "\n".join(f"k{n}.a.b = 1" for n in range(5_000)) + f"\n{DATA}",
        f"# {'x' * (5 << 20)}\n{DATA}",
        f'seed = "{"x" * 100_000}"\n{DATA}',
    ],
    ids=["list", "key", "table", "inline key", "tables", "many keys", "large", "long value"],
)
def test_settings_as_bombs_are_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kgrec.toml"
    path.write_text(text)
    start = time.perf_counter()
    with pytest.raises(ConfigError) as caught:
        Config.load(path)
    assert time.perf_counter() - start < 5
    assert len(str(caught.value)) < 5_000


@pytest.mark.parametrize(
    "override", [f"seed={DEEP}", f"training{'.a' * 20_000}=1", f"training.epochs={'{a=' * 9_000}1"]
)
def test_overrides_as_bombs_are_refused_at_once(tmp_path: Path, override: str) -> None:
    path = tmp_path / "kgrec.toml"
    path.write_text(DATA)
    with pytest.raises(ConfigError) as caught:
        Config.load(path, (override,))
    assert len(str(caught.value)) < 1_000


def test_long_keys_and_numbers_that_people_write_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "kgrec.toml"
    name = ".".join(["film"] * 20)
    path.write_text(f'{DATA}[data.relations]\n"{name}" = {{ name = "x" }}\n')
    assert list(Config.load(path).data.relations) == [name]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
@pytest.mark.parametrize(
    "key",
    ["augment.gan.anchor", "augment.gan.learning_rate", "training.learning_rate",
     "training.adversarial.weight", "data.behaviours.buy.min_rating", "data.split.test"],
)  # fmt: skip
def test_no_setting_is_infinite_or_no_number(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "kgrec.toml"
    path.write_text(DATA)
    with pytest.raises(ConfigError):
        Config.load(path, (f"{key}={value}",))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_no_file(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("/dev/zero")
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    with pytest.raises(OSError, match="expected a file"):
        read_text(path)
    with pytest.raises(ConfigError, match="expected a file"):
        Config.load(path)
    with pytest.raises(DataError, match="no file at"):
        list(open_source(Source(name="x", kind="items", path=path)))
    assert main(["publish", "--run", str(tmp_path), "--users", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_json_that_is_nested_too_deep_is_damaged() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parsed_json(DEEP * 10)
    assert parsed_json('{"a": [1]}') == {"a": [1]}


def test_a_full_disk_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/first")
    with (
        pytest.raises(DataError, match="make room and run it again"),
        os_errors_as(DataError, "page", "a.html"),
    ):
        raise full
    for error in (full, safetensors.SafetensorError("I/O error: No space left on device (28)")):
        monkeypatch.setattr(program, "app", lambda error=error, **_: (_ for _ in ()).throw(error))
        assert main(["status"]) == 1
        said = capsys.readouterr().err
        assert "make room and run it again" in said
        assert "unexpected" not in said


def test_twenty_thousand_columns_are_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    columns = {f"c{number}": [number] for number in range(20_000)}
    pq.write_table(pa.table({"user": ["a"], "item": ["b"], **columns}), path)
    start = time.process_time()
    (file,) = open_source(Source(name="wide", kind="interactions", path=path))
    (chunk,) = file.chunks()
    assert chunk.table.column_names == ["user", "item"]
    (file,) = open_source(Source(name="wide", kind="items", path=path))
    with pytest.raises(ConfigError, match=r"20,002 columns.*at most 2,000"):
        list(file.chunks())
    assert time.process_time() - start < 20
