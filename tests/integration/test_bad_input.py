"""Every bad input of a user: one clear line, exit code 1 or 2, and nothing changed."""

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from resealed import reseal
from tiny import build_tiny

from kgrec.cli import main

_HOLDER = """
import sys
from kgrec.store.connect import open_store
with open_store(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Site:
    """A user's folder: settings, files, a filled store and a trained run."""

    folder: Path

    @property
    def config(self) -> str:
        return str(self.folder / "tiny.toml")

    @property
    def graph(self) -> Path:
        return self.folder / "graph.kgl"

    @property
    def store(self) -> str:
        return f"embedded:{self.graph}"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def rewrite(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def truncate(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def contents(self) -> dict[str, str]:
        """Every file below the folder with its checksum, folders with ''.

        Left out is the embedded engine's note of who asked for the lease last.
        """
        return {
            str(path.relative_to(self.folder)): (
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            )
            for path in self.folder.rglob("*")
            if not path.name.startswith("graph.kgl.lock")
        }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that tests must not touch."""
    site = Site(tmp_path_factory.mktemp("trained"))
    build_tiny(site.folder)
    assert main(["train", "--config", site.config, "--run", str(site.run), "--json"]) == 0
    return site


@pytest.fixture
def site(trained: Site, tmp_path: Path) -> Site:
    """A copy that a test may damage."""
    copied = Site(tmp_path / "site")
    for path in [trained.folder, *trained.folder.rglob("*")]:
        target = copied.folder / path.relative_to(trained.folder)
        if path.is_dir():
            target.mkdir()
        else:
            target.write_bytes(path.read_bytes())
    settings = copied.run / "config.json"
    settings.write_text(settings.read_text().replace(str(trained.folder), str(copied.folder)))
    reseal(copied.run)
    return copied


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def held_elsewhere(uri: str) -> Iterator[None]:
    """Another process writes the store meanwhile."""
    command = [sys.executable, "-c", _HOLDER, uri]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.close()
        assert holder.wait(30) == 0


def assert_refused(
    site: Site,
    arguments: list[str],
    code: int,
    told: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = site.contents()
    capsys.readouterr()
    got = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert got == code, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    for part in told:
        assert part in line
    assert site.contents() == before


def _nothing(_: Site) -> None:
    return None


def _file(name: str, text: str) -> Callable[[Site], None]:
    def write(site: Site) -> None:
        (site.folder / name).write_text(text, encoding="utf-8")

    return write


def _rewritten(name: str, old: str, new: str) -> Callable[[Site], None]:
    return lambda site: site.rewrite(name, old, new)


def _truncated(name: str) -> Callable[[Site], None]:
    return lambda site: site.truncate(site.folder / name)


def _other_version(site: Site) -> None:
    assert main(["ingest", "--config", site.config, "--set", "seed=1", "--json"]) == 0


def _foreign_run(site: Site) -> None:
    (site.folder / "letters").mkdir()
    (site.folder / "letters" / "dear.txt").write_text("Dear …")


@dataclass(frozen=True)
class Case:
    """One bad input: what is broken, what is run, what is said."""

    name: str
    arguments: str
    code: int
    told: tuple[str, ...]
    broken: Callable[[Site], None] = field(default=_nothing)


INGEST = "ingest --config {config}"
TRAIN = "train --config {config} --run {folder}/run"
EVALUATE = "evaluate --run {folder}/run"
RECOMMEND = "recommend --run {folder}/run --user u0"
SIMILAR = "similar --run {folder}/run --item i0"

CASES = [
    # settings
    Case("no config", "ingest --config {folder}/none.toml", 2, ("none.toml", "expected a TOML")),
    Case("not TOML", INGEST, 2, ("tiny.toml is not TOML",), _file("tiny.toml", "seed = = 1")),
    Case(
        "typo in the file",
        TRAIN,
        2,
        ("training.epoch: unknown key", "spelling"),
        _rewritten("tiny.toml", "epochs", "epoch"),
    ),
    Case("typo in --set", TRAIN + " --set trainng.epochs=2", 2, ("trainng", "unknown key")),
    Case("--set without =", TRAIN + " --set epochs", 2, ("section.key=value",)),
    Case("out of range", TRAIN + " --set training.epochs=-1", 2, ("training.epochs", "got -1")),
    Case("seed below 0", TRAIN + " --seed -1", 2, ("seed", "got -1")),
    Case("no such device", TRAIN + " --set training.device=abacus", 2, ("training.device",)),
    Case("no such source of edges", TRAIN + " --augment magic", 2, ("augment.source", "teacher")),
    # data
    Case(
        "missing file",
        INGEST + " --set data.interactions=none.tsv",
        1,
        ("none.tsv", "check the path"),
    ),
    Case("missing triples", TRAIN + " --set data.triples=none.tsv", 1, ("none.tsv",)),
    Case(
        "missing column",
        INGEST,
        1,
        ("interactions.tsv has no column 'user'", "'person'"),
        _rewritten("interactions.tsv", "user", "person"),
    ),
    Case("empty file", TRAIN, 1, ("interactions.tsv is empty",), _file("interactions.tsv", "")),
    Case(
        "header alone",
        INGEST,
        1,
        ("has a header and no rows",),
        _file("interactions.tsv", "user\titem\n"),
    ),
    Case(
        "NaN rating",
        INGEST,
        1,
        ("interactions.tsv:2:rating", "NaN"),
        _rewritten("interactions.tsv", "\t5\t", "\tNaN\t"),
    ),
    Case(
        "a word for a rating",
        TRAIN,
        1,
        ("interactions.tsv:2:rating", "good"),
        _rewritten("interactions.tsv", "\t5\t", "\tgood\t"),
    ),
    Case(
        "a triple about nothing known",
        INGEST,
        1,
        ("triples.tsv:2", "nobody"),
        _rewritten("triples.tsv", "i0\tgenre\tgenre_sea", "nobody\tknows\tnothing"),
    ),
    # store
    Case("store down", INGEST + " --store bolt://127.0.0.1:{port}", 1, ("no Neo4j answers at",)),
    Case("store down: query", "query popular --store bolt://127.0.0.1:{port}", 1, ("no Neo4j",)),
    Case("store down: status", "status --store neo4j://127.0.0.1:{port}", 1, ("no Neo4j",)),
    Case("store down: evaluate", EVALUATE + " --store bolt://127.0.0.1:{port}", 1, ("no Neo4j",)),
    Case("no store", "status --store embedded:{folder}/none.kgl", 1, ("there is no graph at",)),
    Case("no such scheme", "status --store mysql://127.0.0.1", 2, ("no address kgrec knows",)),
    Case("credentials", "status --store bolt://me:secret@127.0.0.1", 2, ("holds credentials",)),
    Case("truncated store: ingest", INGEST, 1, ("graph.kgl", "damaged"), _truncated("graph.kgl")),
    Case("truncated store: evaluate", EVALUATE, 1, ("graph.kgl",), _truncated("graph.kgl")),
    Case("text for a store", "status --store {store}", 1, ("graph.kgl",), _file("graph.kgl", "hm")),
    # runs
    Case("no run", "evaluate --run {folder}/none", 1, ("no run in", "kgrec train")),
    Case("no run: similar", "similar --run {folder}/none --item i0", 1, ("no run in",)),
    Case("truncated model", EVALUATE, 1, ("damaged",), _truncated("run/model.safetensors")),
    Case("truncated model: recommend", RECOMMEND, 1, ("dam",), _truncated("run/model.safetensors")),
    Case("truncated record", RECOMMEND, 1, ("record.json", "dam"), _truncated("run/record.json")),
    Case("truncated settings", SIMILAR, 1, ("config.json", "dam"), _truncated("run/config.json")),
    Case("truncated names", SIMILAR, 1, ("damaged",), _truncated("run/nodes.parquet")),
    Case("another version", EVALUATE, 1, ("graph version", "the store holds"), _other_version),
    Case(
        "a foreign directory",
        "train --config {config} --run {folder}/letters",
        1,
        ("letters exists and is not a run",),
        _foreign_run,
    ),
    # questions
    Case(
        "unknown item", "similar --run {folder}/run --item nope", 1, ("no Item has the id 'nope'",)
    ),
    Case("k of zero", RECOMMEND + " -k 0", 2, ("k must be positive, got 0",)),
    Case("negative k", SIMILAR + " -k -3", 2, ("k must be positive, got -3",)),
    Case("k of zero: evaluate", EVALUATE + " --k 10,0", 2, ("k must be positive",)),
    Case("a word for k", EVALUATE + " --k ten", 2, ("'ten'", "--k 10,20")),
    Case("train is not judged", EVALUATE + " --split train", 2, ("expected valid or test",)),
    Case("no such split", EVALUATE + " --split tset", 2, ("tset", "kgrec evaluate --help")),
    Case("unknown query", "query nope --store {store}", 2, ("'nope'", "paths, popular")),
    Case("a writing statement", "query upsert_nodes --store {store}", 2, ("the queries are",)),
    Case("no parameter", "query user_history --store {store}", 2, ("needs user", "user=USER")),
    Case("limit of zero", "query popular -p limit=0 --store {store}", 2, ("limit=0", "positive")),
    Case("unknown parameter", "query popular -p top=3 --store {store}", 2, ("limit=20",)),
    Case("unknown command", "recomend", 2, ("recomend", "kgrec --help")),
    Case("no user", "recommend --run {folder}/run", 2, ("--user",)),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_refused(case: Case, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    case.broken(site)
    fill = {"folder": site.folder, "config": site.config, "store": site.store, "port": free_port()}
    arguments = [part.format(**fill) for part in case.arguments.split(" ")]
    assert_refused(site, arguments, case.code, case.told, capsys)


@pytest.mark.parametrize("command", ["ingest", "train"])
def test_store_held_by_another_process(
    command: str, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with held_elsewhere(site.store):
        told = ("is being written by process", "only one process may write")
        assert_refused(site, [command, "--config", site.config], 1, told, capsys)


def test_held_store_is_read(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with held_elsewhere(site.store):
        assert main(["query", "popular", "--store", site.store, "-p", "limit=1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1


def test_wrong_password(
    neo4j_uri: str,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KGREC_NEO4J_PASSWORD", "not the password")
    arguments = ["ingest", "--config", site.config, "--store", neo4j_uri]
    told = ("refuses the credentials", "KGREC_NEO4J_PASSWORD")
    assert_refused(site, arguments, 1, told, capsys)


def test_truncated_checkpoint(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--config", site.config, "--run", str(site.run)]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kgrec.training.fit.search_fusion", killed)
        assert main([*arguments, "--json"]) == 130
    site.truncate(site.folder / "run.partial" / "checkpoint-0.safetensors")
    assert_refused(site, arguments, 1, ("checkpoint-0.safetensors", "damaged"), capsys)


def test_unknown_user_gets_popular_items_and_is_told(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.contents()
    assert main(["recommend", "--run", str(site.run), "--user", "nobody", "-k", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["cold"] is True
    assert len(answer["recommendations"]) == 3
    (line,) = err.splitlines()
    assert line.startswith("warning: ")
    assert "'nobody'" in line
    assert site.contents() == before


def test_debug_shows_the_traceback(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--run", str(site.folder / "none"), "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "error: no run in" in err
