"""`kgrec refresh --publish` and `kgrec forget` that are killed anywhere, or whose server is.

The same command again ends where an undisturbed one ends: graph, lists, vectors, journal, run.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import conftest
import neo4j
import neo4j_server
import numpy as np
import pytest
from forgetting import ITEM, SECRETS, USER, add_derived, build_shop, found_in_files, found_in_store
from kept import all_that_is_kept, differences, published
from test_refresh import deliver, trained

from kgrec.config import Config
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.texts import node_texts
from kgrec.ingestion import ingest
from kgrec.ingestion.tables import INTERACTION_KEYS
from kgrec.publication import State, publications, publish
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.store.dialect import CypherStore
from kgrec.store.state import read_relations
from kgrec.text.cache import VectorCache
from kgrec.training.directory import Run, load_run
from kgrec.upkeep.forget import forget
from kgrec.upkeep.intent import Target
from kgrec.upkeep.places import DERIVED_KEYS
from kgrec.upkeep.watching import watch

pytestmark = pytest.mark.timeout(900)

CHILDREN = Path(__file__).with_name("upkeep_children.py")
TOP, SIMILAR = 5, 3
#: What stands for the forgotten user, and what only they said.
WORDS = (USER, "zora-old-1q", *SECRETS)

#: Name of a statement or function, its call, and when in it.
Point = tuple[str, int, str]

#: Where `kgrec refresh --publish` is, with 3 lists or 8 vectors a transaction.
REFRESHING: tuple[Point, ...] = (
    ("list_sizes", 1, "before"),  # nothing is written but what is meant
    ("replace_edges", 2, "within"),  # some lists of users
    ("replace_edges", 9, "after"),  # and of items
    ("publish_vectors", 2, "after"),
    ("note_publication", 6, "after"),  # all but the run
    ("pathlib.Path.rename", 1, "after"),  # the run is away, the new one not yet there
)
#: Where `kgrec forget` is, with a node a transaction.
FORGETTING: tuple[Point, ...] = (
    ("kgrec.upkeep.forget.write_intent", 1, "after"),
    ("kgrec.data.journal.journal.Journal.update", 1, "before"),
    ("kgrec.data.journal.journal.Journal.update", 1, "after"),
    ("kgrec.upkeep.forget.clean_rejects", 1, "after"),
    ("set_graph_state", 1, "after"),
    ("delete_nodes", 1, "within"),
    ("delete_nodes", 2, "after"),
    ("set_graph_state", 2, "before"),  # the graph is whole, and does not say so
    ("kgrec.upkeep.forget.drop_texts", 1, "after"),
    ("replace_edges", 2, "within"),  # lists of the run
    ("publish_vectors", 1, "after"),
    ("pathlib.Path.rename", 1, "after"),
    ("kgrec.upkeep.forget.remove_intent", 1, "before"),
)
#: Where their server dies.
SERVER_REFRESHING: tuple[Point, ...] = (
    ("relations", 1, "before"),  # it reads the graph
    ("replace_edges", 2, "within"),
    ("replace_edges", 9, "after"),
    ("publish_vectors", 2, "within"),
    ("note_publication", 6, "before"),
)
SERVER_FORGETTING: tuple[Point, ...] = (
    ("delete_nodes", 1, "within"),
    ("delete_nodes", 2, "after"),
    ("set_graph_state", 2, "before"),
    ("vectors", 1, "before"),  # it looks again
    ("replace_edges", 2, "within"),
    ("note_publication", 4, "before"),
)


class Children:
    """A process that runs command lines in forks of itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(
        self,
        arguments: list[str],
        point: Point | None = None,
        how: str = "die",
        meanwhile: Callable[[], object] = lambda: None,
    ) -> dict[str, Any]:
        """Runs a command; does something while it waits at a point."""
        environment = {k: v for k, v in os.environ.items() if k.startswith("KGREC_")}
        stop = None if point is None else [*point, how]
        self._say({"arguments": arguments, "environment": environment, "stop": stop})
        answer = self._hear()
        if "stopped" in answer:
            meanwhile()
            self._say("go on")
            answer = self._hear()
        assert "Traceback" not in answer["stderr"], answer["stderr"]
        assert "unexpected" not in answer["stderr"], answer["stderr"]
        return answer

    def _say(self, line: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@dataclass(frozen=True)
class Scene:
    """A shop with a published run, and a command that is about to be run.

    Attributes:
        config: Its settings.
        run: The directory of the run.
        command: The command.
        target: Who or what it forgets.
        texts: All texts that have a vector in the cache.
    """

    config: Config
    run: Path
    command: list[str]
    target: Target | None = None
    texts: tuple[str, ...] = ()

    def kept(self) -> dict[str, Any]:
        """All that there is."""
        cached = VectorCache(text_cache(), ["space"]).load(list(self.texts))
        return all_that_is_kept(self.config, self.run, self.target) | {"texts": sorted(cached)}

    def lists(self) -> dict[str, Any]:
        """What readers are told now."""
        with open_store(self.config.store, read_only=True) as store:
            return published(store)


class Server:
    """A Neo4j that can be killed."""

    def __init__(self) -> None:
        self._server = neo4j_server.start()

    @property
    def uri(self) -> str:
        return self._server.uri

    @property
    def environment(self) -> dict[str, str]:
        return self._server.environment()

    def die(self) -> None:
        """Ends as in a power cut."""
        os.kill(self._server.pid, signal.SIGKILL)

    def come_back(self) -> None:
        """Is there again, with what it had; dies first if it is alive."""
        self._server = neo4j_server.restart(self._server)

    def stop(self) -> None:
        neo4j_server.stop(self._server)


Stage = Callable[[Path, str, Run], Scene]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGREC_CACHE", "told by the stage")


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, value in _server.environment.items():
        monkeypatch.setenv(name, value)
    return _server


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("trained"), "embedded:")[1]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with subprocess.Popen(
        [sys.executable, str(CHILDREN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Children(process)
        assert process.stdin is not None
        process.stdin.close()


def text_cache() -> Path:
    return Path(os.environ["KGREC_CACHE"]) / "text"


def shop(folder: Path, uri: str, run: Run) -> tuple[Config, Path]:
    """A shop in an empty store, with the run published in it; what kgrec keeps is in the folder."""
    os.environ["KGREC_DATA"], os.environ["KGREC_CACHE"] = (
        str(folder / "data"),
        str(folder / "cache"),
    )
    if uri.startswith("embedded"):
        uri = f"embedded:{folder / 'data' / 'graph.kgl'}"
    else:
        conftest.empty_neo4j(uri)
    config = build_shop(folder / "sources", uri)
    ingest(config, progress=False)
    directory = folder / "runs" / "first"
    shutil.copytree(run.directory, directory)
    with open_store(config.store) as store:
        publish(load_run(directory), store, top=TOP, similar=SIMILAR, progress=False)
    return config, directory


def about_to_refresh(folder: Path, uri: str, run: Run) -> Scene:
    """Users, items and interactions are new, and an item is gone."""
    config, directory = shop(folder, uri, run)
    forget(config, Target(NodeLabel.ITEM, ITEM), progress=False)
    deliver(config, "2", *(f"u{u},i{n},buy,9000" for u in range(5) for n in range(9, 20)),
            *(f"nova,i{n},buy,9001" for n in range(12)),
            *(f"u{n},i-new,buy,9002" for n in range(12)))  # fmt: skip
    command = ["refresh", "--run", str(directory), "--store", config.store.uri, "--publish"]
    return Scene(config, directory, command)


def about_to_forget(folder: Path, uri: str, run: Run) -> Scene:
    """The user is in everything, and the cache has vectors of all texts."""
    config, directory = shop(folder, uri, run)
    with open_store(config.store) as store:
        add_derived(store)
        told = node_texts(fetch_graph(store), config.text)
    texts = sorted({text for of_label in told.values() for text in of_label if text})
    VectorCache(text_cache(), ["space"]).save(texts, np.ones((len(texts), 3), np.float16))
    command = ["forget", "--user", USER, "--run", str(directory),
               "--config", str(folder / "sources" / "kgrec.toml")]  # fmt: skip
    return Scene(config, directory, command, Target(NodeLabel.USER, USER), tuple(texts))


@dataclass(frozen=True)
class Undisturbed:
    """What a command comes to that nobody disturbs: what is kept, and what it answers."""

    kept: dict[str, Any]
    answer: dict[str, Any]
    ran: list[str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, run: Run, children: Children) -> "Wanted":
    """Runs the command of a stage undisturbed, once an engine."""
    known: dict[tuple[Stage, str], Undisturbed] = {}

    def found(stage: Stage, uri: str) -> Undisturbed:
        key = stage, uri.partition(":")[0]
        if key not in known:
            scene = stage(tmp_path_factory.mktemp("undisturbed"), uri, run)
            said = children.run([*scene.command, "--json"])
            assert said["code"] == 0, said["stderr"]
            known[key] = Undisturbed(scene.kept(), json.loads(said["stdout"]), said["ran"])
        return known[key]

    return found


Wanted = Callable[[Stage, str], Undisturbed]


def name_of(point: Point) -> str:
    return f"{point[2]}-{point[0].rpartition('.')[2]}-{point[1]}"


OURS = pytest.mark.skipif(conftest.GIVEN_URI is not None, reason="the server is not ours to kill")


def assert_same(scene: Scene, wanted: Undisturbed) -> None:
    """All is as if nobody had disturbed it."""
    assert differences(wanted.kept, scene.kept()) == []
    if scene.target is not None:
        folders = [Path(os.environ["KGREC_DATA"]), scene.run.parent]
        assert found_in_files(folders, *WORDS) == []
        with open_store(scene.config.store, read_only=True) as store:
            keys = [entry.key for entry in read_relations(store)]
            assert found_in_store(store, [*keys, *INTERACTION_KEYS, *DERIVED_KEYS], *WORDS) == []


def assert_completed(
    children: Children, scene: Scene, wanted: Undisturbed, *, begun: bool = True
) -> None:
    """The command, run again, completes what was killed and answers what there is to answer.

    Args:
        children: Runs it.
        scene: Where it was killed.
        wanted: What it comes to undisturbed.
        begun: Whether a forgetting had begun, or a refresh had not come to its end.
    """
    said = children.run([*scene.command, "--json"])
    assert said["code"] == 0, said["stderr"]
    assert_same(scene, wanted)
    answer = json.loads(said["stdout"])
    assert answer["graph_version"] == wanted.answer["graph_version"]
    if scene.target is None:
        assert answer["changed"] == begun
        for name in ("from", "nodes", "changed_users", "changed_items") if begun else ():
            assert answer[name] == wanted.answer[name]
        return
    for name in ("label", "id", "names", "verified", "found"):
        assert answer[name] == wanted.answer[name]
    assert answer["completed_an_interrupted_one"] == begun
    places, expected = ({p["name"]: p for p in x["places"]} for x in (answer, wanted.answer))
    assert list(places) == list(expected)
    for name, place in places.items():  # what was killed has removed the rest
        assert place["left"] == 0
        assert place["removed"] <= expected[name]["removed"]


@pytest.mark.parametrize("point", REFRESHING, ids=name_of)
def test_a_killed_refresh(
    tmp_path: Path, engine_uri: str, run: Run, children: Children, undisturbed: Wanted, point: Point
) -> None:
    wanted = undisturbed(about_to_refresh, engine_uri)
    scene = about_to_refresh(tmp_path, engine_uri, run)
    assert children.run(scene.command, point, "saved")["code"] == -signal.SIGKILL
    # Between the two renames the new run is whole, and only has to be put in its place.
    assert_completed(children, scene, wanted, begun="rename" not in point[0])


@pytest.mark.parametrize("point", FORGETTING, ids=name_of)
def test_a_killed_forgetting(
    tmp_path: Path, engine_uri: str, run: Run, children: Children, undisturbed: Wanted, point: Point
) -> None:
    wanted = undisturbed(about_to_forget, engine_uri)
    scene = about_to_forget(tmp_path, engine_uri, run)
    assert children.run(scene.command, point, "saved")["code"] == -signal.SIGKILL
    assert_completed(children, scene, wanted)


def test_a_killed_retirement(tmp_path: Path, engine_uri: str, run: Run, children: Children) -> None:
    config, _ = shop(tmp_path, engine_uri, run)
    command = ["publish", "--retire", "current", "--store", config.store.uri]
    killed = children.run(command, ("purge_edges", 1, "before"), "saved")
    assert killed["code"] == -signal.SIGKILL
    with open_store(config.store, read_only=True) as store:
        assert [each.state for each in publications(store)] == [State.RETIRED]
        assert store.read("published_recommendations", user="u1") == []
    assert children.run(command)["code"] == 0
    with open_store(config.store, read_only=True) as store:
        assert publications(store) == []
        assert not any(store.read("count_edges", key=key)[0]["count"] for key in DERIVED_KEYS)
        assert not any("_vector_" in row["name"] for row in store.read("index_names"))
    said = children.run(command)
    assert said["code"] == 1
    assert "there is no current publication" in said["stderr"]


def each_old_or_new(now: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether readers find every list as it was or as it will be."""
    return all(now[key] in (before.get(key, []), after.get(key, [])) for key in now)


@pytest.mark.neo4j
@OURS
@pytest.mark.parametrize("point", SERVER_REFRESHING, ids=name_of)
def test_the_server_is_killed_in_a_refresh(
    tmp_path: Path, server: Server, run: Run, children: Children, undisturbed: Wanted, point: Point
) -> None:
    wanted = undisturbed(about_to_refresh, server.uri)
    scene = about_to_refresh(tmp_path, server.uri, run)
    before, record = scene.lists(), load_run(scene.run).record
    said = children.run(scene.command, point, "wait", meanwhile=server.die)
    assert said["code"] == 1
    assert f"no Neo4j answers at {server.uri} any more" in said["stderr"]
    assert "run kgrec refresh again, which completes" in said["stderr"]
    assert load_run(scene.run).record == record
    server.come_back()
    assert each_old_or_new(scene.lists(), before, wanted.kept["published"])
    assert_completed(children, scene, wanted)


@pytest.mark.neo4j
@OURS
@pytest.mark.parametrize("point", SERVER_FORGETTING, ids=name_of)
def test_the_server_is_killed_in_a_forgetting(
    tmp_path: Path, server: Server, run: Run, children: Children, undisturbed: Wanted, point: Point
) -> None:
    wanted = undisturbed(about_to_forget, server.uri)
    scene = about_to_forget(tmp_path, server.uri, run)
    said = children.run(scene.command, point, "wait", meanwhile=server.die)
    assert said["code"] == 1
    assert f"no Neo4j answers at {server.uri} any more" in said["stderr"]
    assert "run kgrec forget again, which completes" in said["stderr"]
    server.come_back()
    assert_completed(children, scene, wanted)


@pytest.mark.neo4j
@OURS
@pytest.mark.parametrize("stage", [about_to_refresh, about_to_forget])
def test_a_server_that_comes_back_is_waited_for(
    tmp_path: Path, server: Server, run: Run, children: Children, undisturbed: Wanted, stage: Stage
) -> None:
    wanted = undisturbed(stage, server.uri)
    scene = stage(tmp_path, server.uri, run)
    point = ("replace_edges", 2, "within")
    said = children.run(scene.command, point, "wait", meanwhile=server.come_back)
    assert said["code"] == 0, said["stderr"]
    assert_same(scene, wanted)


@pytest.mark.neo4j
@OURS
def test_watching_goes_on_when_the_server_comes_back(
    tmp_path: Path, server: Server, run: Run, undisturbed: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = undisturbed(about_to_refresh, server.uri)
    scene = about_to_refresh(tmp_path, server.uri, run)
    connect, execute = neo4j.GraphDatabase.driver, CypherStore._execute
    impatient = partial(connect, max_transaction_retry_time=1.0)
    monkeypatch.setattr(neo4j.GraphDatabase, "driver", impatient)
    left = ["replace_edges", "replace_edges"]

    def dies(store: CypherStore, name: str, *args: Any, **options: Any) -> Any:
        if name in left:
            left.remove(name)
            if not left:
                server.die()
        return execute(store, name, *args, **options)

    waits = [server.come_back]

    def wait(_: float) -> bool:
        if waits:
            waits.pop()()
            return True
        return False

    monkeypatch.setattr(CypherStore, "_execute", dies)
    (report,) = watch(load_run(scene.run), scene.config, every=7.0, published=True, wait=wait)
    assert (left, waits) == ([], [])
    assert report.run.record["graph_version"] == wanted.answer["graph_version"]
    assert_same(scene, wanted)
