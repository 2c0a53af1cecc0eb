"""A store that stays open between rounds: others write meanwhile, and nobody overwrites anybody."""

import subprocess
import sys
from pathlib import Path

import pytest

from kgrec.config import StoreConfig
from kgrec.errors import StoreBusy, StoreError
from kgrec.store import embedded
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.upkeep.watching import KeptStore

#: Writes a load's node, as another process; 3 says that the store was busy.
OTHER = """\
import sys
from kgrec.errors import StoreBusy
from kgrec.store.connect import open_store
try:
    with open_store(sys.argv[1]) as store:
        store.write_rows("upsert_loads", [[sys.argv[2], {"number": int(sys.argv[2])}]])
except StoreBusy as error:
    print(error)
    sys.exit(3)
"""


def other(uri: str, number: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", OTHER, uri, str(number)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def put(store: GraphStore, number: int) -> None:
    store.write_rows("upsert_loads", [[str(number), {"number": number}]])


def fail(kept: KeptStore) -> None:
    with kept as store:
        put(store, 2)
        raise ValueError("in the middle")


def numbers(store: GraphStore) -> list[int]:
    return sorted(row["number"] for row in store.read("loads"))


def on_disk(uri: str) -> list[int]:
    with open_store(uri, read_only=True) as store:
        return numbers(store)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"embedded:{tmp_path / 'graph.kgl'}"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read."""
    found: list[Path] = []
    really = embedded._open

    def counted(path: Path, read_only: bool) -> object:
        found.append(path)
        return really(path, read_only)

    monkeypatch.setattr(embedded, "_open", counted)
    return found


def test_the_file_is_read_again_only_if_others_wrote_it(uri: str, opened: list[Path]) -> None:
    kept = KeptStore(StoreConfig(uri=uri))
    for number in (1, 2, 3):
        with kept as store:
            assert not store.untouched()
            put(store, number)
            code, said = other(uri, 99)
            assert code == 3
            assert "is open for writing" in said or "is being written" in said
        assert kept.untouched()
    assert len(opened) == 1
    assert on_disk(uri) == [1, 2, 3]
    opened.clear()
    assert other(uri, 4)[0] == 0
    assert not kept.untouched()
    with kept as store:
        assert numbers(store) == [1, 2, 3, 4]
        put(store, 5)
    with kept as store:
        put(store, 6)
    assert len(opened) == 1
    kept.close()
    kept.close()
    assert on_disk(uri) == [1, 2, 3, 4, 5, 6]
    assert other(uri, 7)[0] == 0


def test_a_busy_store_waits_and_is_as_the_other_left_it(uri: str) -> None:
    kept = KeptStore(StoreConfig(uri=uri))
    with kept as store:
        put(store, 1)
    code = OTHER.replace(
        "        store.write_rows",
        "        print('there', flush=True); input()\n        store.write_rows",
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, uri, "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        with pytest.raises(StoreBusy, match="another process"), kept:
            pass
        process.communicate("\n")
        assert process.returncode == 0
    with kept as store:
        assert numbers(store) == [1, 2]
    kept.close()


def test_what_a_failed_round_wrote_is_forgotten(uri: str, opened: list[Path]) -> None:
    kept = KeptStore(StoreConfig(uri=uri))
    with kept as store:
        put(store, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="in the middle"):
            fail(kept)
        with kept as store:
            assert numbers(store) == [1]
    with pytest.raises(ValueError, match="nothing was written"), kept:
        raise ValueError("nothing was written")
    assert kept.untouched()
    assert len(opened) == 3
    kept.close()
    assert on_disk(uri) == [1]


def test_a_resting_store_is_not_written(uri: str) -> None:
    kept = KeptStore(StoreConfig(uri=uri))
    with kept as store:
        put(store, 1)
    with pytest.raises(StoreError, match="resume before writing"):
        put(store, 2)
    assert numbers(store) == [1]
    kept.close()
    assert on_disk(uri) == [1]


def test_without_locks_the_file_is_opened_anew(
    uri: str, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgrec.store.embedded.Lease.possible", False)
    kept = KeptStore(StoreConfig(uri=uri))
    for number in (1, 2):
        with kept as store:
            put(store, number)
        assert not kept.untouched()
    assert len(opened) == 2
    kept.close()
    assert on_disk(uri) == [1, 2]


def test_a_server_is_kept_as_well(engine_uri: str) -> None:
    kept = KeptStore(StoreConfig(uri=engine_uri))
    with kept as store:
        store.apply_schema()
        put(store, 1)
    with kept as store:
        put(store, 2)
        assert numbers(store) == [1, 2]
    assert kept.untouched() == engine_uri.startswith("embedded")
    kept.close()
    assert on_disk(engine_uri) == [1, 2]
