"""Files that appear whole or not at all."""

from pathlib import Path

import pytest
import torch

from kgrec.errors import RunError
from kgrec.training.checkpoint import (
    load_tensors,
    pack_optimizer,
    read_json,
    save_tensors,
    unpack_optimizer,
    write_json,
)

TENSORS = {
    "a": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "b": torch.arange(5),
    "generator": torch.Generator().manual_seed(3).get_state(),
    "empty": torch.empty(0, dtype=torch.int64),
    "bool": torch.tensor([True, False]),
}
VALUES = {"epoch": 3, "best": None, "history": [{"loss": 0.1}], "name": "Müller"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    save_tensors(path, TENSORS, VALUES)
    return path


def test_round_trip_is_bit_identical(saved: Path) -> None:
    tensors, values = load_tensors(saved)
    assert values == VALUES
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    shared = {"whole": whole, "again": whole, "part": whole[2:4], "turned": whole.view(2, 3).T}
    save_tensors(tmp_path / "x", shared, {})
    tensors, _ = load_tensors(tmp_path / "x")
    for name, tensor in shared.items():
        assert torch.equal(tensors[name], tensor), name


def test_equal_tensors_are_written_once_if_asked(tmp_path: Path) -> None:
    edges = torch.arange(100_000, dtype=torch.int32)
    tensors = {"0/source": edges, "1/source": edges.clone(), "long": edges.long(), "a": edges + 1}
    for once, copies in ((False, 3), (True, 2)):
        save_tensors(tmp_path / "x", tensors, {}, once=once)
        size = (tmp_path / "x").stat().st_size
        assert 0 < size - (4 * copies + 8) * 100_000 < 1_000
        read, _ = load_tensors(tmp_path / "x")
        assert set(read) == set(tensors)
        for name, tensor in tensors.items():
            assert read[name].dtype == tensor.dtype
            assert torch.equal(read[name], tensor), name


@pytest.mark.parametrize("length", [0, 4, 100, -8, -1])
def test_a_truncated_file_is_an_error(saved: Path, length: int) -> None:
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(RunError, match="missing or damaged"):
        load_tensors(saved)


def test_what_is_no_checkpoint_is_an_error(saved: Path, tmp_path: Path) -> None:
    damaged = bytearray(saved.read_bytes())
    damaged[8:12] = b"\xff\xff\xff\xff"
    saved.write_bytes(damaged)
    with pytest.raises(RunError, match=r"checkpoint\.safetensors is missing or damaged"):
        load_tensors(saved)
    with pytest.raises(RunError, match="missing or damaged"):
        load_tensors(tmp_path / "none")
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "foreign")  # no header of kgrec's
    with pytest.raises(RunError, match="missing or damaged"):
        load_tensors(tmp_path / "foreign")


def test_a_failed_write_leaves_the_earlier_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr("kgrec.training.checkpoint.save_file", half)
    with pytest.raises(OSError, match="disk full"):
        save_tensors(saved, {"a": torch.zeros(1)}, {})
    assert load_tensors(saved)[1] == VALUES
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_json_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, VALUES)
    assert read_json(path) == VALUES
    for text, message in (('{"a": 1', "damaged"), ("[1]", "holds list, expected a JSON object")):
        path.write_text(text)
        with pytest.raises(RunError, match=message):
            read_json(path)
    with pytest.raises(RunError, match="missing"):
        read_json(tmp_path / "none")


def test_an_optimizer_goes_on_as_if_nothing_had_happened() -> None:
    def steps(optimizer: torch.optim.Optimizer, x: torch.Tensor, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (x**4).sum().backward()
            optimizer.step()

    x = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    one = torch.optim.Adam([x], lr=0.1)
    steps(one, x, 3)
    packed = {name: t.clone() for name, t in pack_optimizer(one).items()}
    assert set(packed) == {f"optimizer.0.{n}" for n in ("step", "exp_avg", "exp_avg_sq")}
    y = torch.nn.Parameter(x.detach().clone())
    two = torch.optim.Adam([y], lr=0.1)
    unpack_optimizer(two, packed | {"network.embedding": torch.zeros(1)})
    steps(one, x, 3)
    steps(two, y, 3)
    assert torch.equal(x, y)
