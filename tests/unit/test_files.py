"""Files and folders that appear whole or not at all."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kgrec.files import atomic_file, atomic_folder, put_in_place, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


#: Writes half of a file, says so, and waits to be killed.
WRITER = """
import sys, time
from pathlib import Path
from kgrec.files import atomic_file
with atomic_file(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("started", flush=True)
    time.sleep(60)
"""


def killed_within(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        child.kill()


class TestFile:
    @pytest.mark.parametrize("old", [None, "old"])
    def test_is_written_whole_with_nothing_beside(self, tmp_path: Path, old: str | None) -> None:
        path = tmp_path / "a.txt"
        if old is not None:
            path.write_text(old)
        with atomic_file(path) as temporary:
            temporary.write_text("new")
            assert temporary.parent == tmp_path
            assert (path.read_text() if path.exists() else None) == old
        assert (path.read_text(), names(tmp_path)) == ("new", ["a.txt"])

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
    def test_stays_where_the_block_raises(self, tmp_path: Path, error: type[BaseException]) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")

        def write() -> None:
            with atomic_file(path) as temporary:
                temporary.write_text("half")
                raise error("in the middle")

        with pytest.raises(error):
            write()
        assert (path.read_text(), names(tmp_path)) == ("old", ["a.txt"])

    @pytest.mark.parametrize("name", ["fsync", "replace"])
    def test_stays_where_the_disk_refuses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        path = tmp_path / "a.txt"
        path.write_text("old")
        monkeypatch.setattr(os if name == "fsync" else Path, name, full)
        with pytest.raises(OSError, match="No space left"):
            write_text(path, "new")
        assert (path.read_text(), names(tmp_path)) == ("old", ["a.txt"])

    def test_what_a_killed_writer_left_is_swept_by_the_next(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")
        killed_within(path)
        assert path.read_text() == "old"
        assert len(names(tmp_path)) == 2  # nobody was left to remove it
        write_text(tmp_path / "b.txt", "of another file")
        assert len(names(tmp_path)) == 3
        write_text(path, "new")
        assert (path.read_text(), names(tmp_path)) == ("new", ["a.txt", "b.txt"])

    def test_a_writer_that_lives_is_not_swept(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        with atomic_file(path) as first:
            first.write_text("first")
            write_text(path, "second")
            assert path.read_text() == "second"
        assert (path.read_text(), names(tmp_path)) == ("first", ["a.txt"])

    def test_of_many_writers_one_wins(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        texts = [str(number) * 100_000 for number in range(8)]

        def write(text: str) -> None:
            for _ in range(20):
                write_text(path, text)

        threads = [threading.Thread(target=write, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert not path.exists() or path.read_text() in texts
        assert (path.read_text() in texts, names(tmp_path)) == (True, ["a.txt"])

    @pytest.mark.parametrize("there", [True, False])
    def test_a_link_stays_and_its_target_is_replaced(self, tmp_path: Path, there: bool) -> None:
        target, link = tmp_path / "there" / "target.txt", tmp_path / "link.txt"
        target.parent.mkdir()
        if there:
            target.write_text("old")
        link.symlink_to(target)
        write_text(link, "new")
        assert link.is_symlink()
        assert (target.read_text(), names(tmp_path)) == ("new", ["link.txt", "there"])
        assert names(target.parent) == ["target.txt"]

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
    def test_permissions_stay(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")
        path.chmod(mode)
        with atomic_file(path) as temporary:
            assert temporary.stat().st_mode & 0o077 == mode & 0o077
            temporary.write_text("new")
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", mode)

    def test_a_new_file_has_the_permissions_that_open_gives(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("")
        write_text(tmp_path / "a.txt", "")
        assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_a_missing_folder_is_named_as_open_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="No such file or directory"):
            write_text(tmp_path / "missing" / "a.txt", "new")
        assert names(tmp_path) == []

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        with pytest.raises(IsADirectoryError):
            write_text(tmp_path / "a", "new")
        assert names(tmp_path) == ["a"]

    def test_a_pipe_is_written_itself(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        heard: list[str] = []
        reader = threading.Thread(target=lambda: heard.append((tmp_path / "pipe").read_text()))
        reader.start()
        write_text(tmp_path / "pipe", "new")
        reader.join()
        assert (heard, names(tmp_path)) == (["new"], ["pipe"])

    def test_lone_surrogates_are_replaced_on_demand(self, tmp_path: Path) -> None:
        with pytest.raises(UnicodeEncodeError):
            write_text(tmp_path / "a.txt", "\ud800")
        write_text(tmp_path / "a.txt", "\ud800", errors="replace")
        assert ((tmp_path / "a.txt").read_text(), names(tmp_path)) == ("?", ["a.txt"])


class TestFolder:
    def test_appears_whole_in_place_of_another(self, tmp_path: Path) -> None:
        folder = tmp_path / "above" / "run"
        for content in ("one", "two"):
            with atomic_folder(folder) as fresh:
                (fresh / content).write_text(content)
                assert not (folder / content).exists()
            assert (names(folder), names(folder.parent)) == ([content], ["run"])

    def test_stays_where_the_block_raises(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "old").touch()

        def write() -> None:
            with atomic_folder(folder) as fresh:
                (fresh / "new").touch()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write()
        assert (names(folder), names(tmp_path)) == (["old"], ["run"])

    def test_what_a_killed_writer_left_is_no_part_of_the_next(self, tmp_path: Path) -> None:
        (tmp_path / ".run.writing").mkdir()
        (tmp_path / ".run.writing" / "half").touch()
        (tmp_path / ".run.replaced").mkdir()
        with atomic_folder(tmp_path / "run") as fresh:
            (fresh / "new").touch()
        assert (names(tmp_path / "run"), names(tmp_path)) == (["new"], ["run"])

    def test_the_old_one_is_back_where_the_new_cannot_be_moved(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "old").touch()
        with pytest.raises(FileNotFoundError):
            put_in_place(tmp_path / "missing", tmp_path / "run")
        assert (names(tmp_path / "run"), names(tmp_path)) == (["old"], ["run"])

    def test_a_link_stays_and_its_target_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "target").mkdir()
        (tmp_path / "latest").symlink_to("target")
        for content in ("one", "two"):
            with atomic_folder(tmp_path / "latest") as fresh:
                (fresh / content).touch()
        assert (tmp_path / "latest").is_symlink()
        assert (names(tmp_path / "target"), names(tmp_path)) == (["two"], ["latest", "target"])
