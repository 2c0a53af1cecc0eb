"""Stores for the tests: the embedded engine always, a real Neo4j where there is one.

`KGREC_TEST_NEO4J_URI` names a running server, which the tests empty; without it servers from Maven
are started once a process, one for each version that an installed JDK can run.
`KGREC_REQUIRE_NEO4J=1` makes a missing server a failure instead of a skip.
"""

import os
import signal
import sys

#: For this process and all that it starts: tests run side by side, a core each, and a server lives
#: too short for code that takes long to compile; what is compiled stays, which by default is too
#: much for the cache of the first compiler. Set before torch is imported, which reads it once.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ["JDK_JAVA_OPTIONS"] = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
)

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import neo4j
import pytest

from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import neo4j_server

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

DEFAULT = neo4j_server.DEFAULT_VERSION
GIVEN_URI = os.environ.get("KGREC_TEST_NEO4J_URI")
REQUIRED = os.environ.get("KGREC_REQUIRE_NEO4J") == "1"
MISSING = f"no Neo4j here: {neo4j_server.HOW_TO}"

#: What takes longest, in the order in which it starts, so that no process ends with one of them
#: while the others are idle: groups of tests that stay in one process.
LONGEST = ("contract", "test_killed_upkeep", "test_notebooks", "test_site")

_servers: dict[str, neo4j_server.Server] = {}


@cache
def neo4j_versions() -> tuple[str, ...]:
    """The versions this session can test against; a server that was given counts as the default."""
    return (DEFAULT,) if GIVEN_URI else tuple(neo4j_server.runnable_versions())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests of `store_uri` once per engine and version, those of `engine_uri` per engine."""
    for name, versions in (
        ("store_uri", neo4j_versions() or (DEFAULT,)),
        ("engine_uri", (DEFAULT,)),  # for long tests, of what no version does in its own way
    ):
        if name in metafunc.fixturenames:
            servers = [pytest.param(f"neo4j-{x}", marks=pytest.mark.neo4j) for x in versions]
            metafunc.parametrize(name, ["embedded", *servers], indirect=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling":
    """Gives a group of tests to one process; a file's tests are always of one group."""
    from xdist.scheduler import LoadFileScheduling

    class Groups(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(Path(nodeid.split("::")[0]))

    return Groups(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the longest; marks what needs Neo4j, and skips it where there is none."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_group(item.path), len(places)))
    begun: set[str] = set()
    for item in items:
        if {"neo4j_uri", "mortal_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.neo4j)
        if _is_repetition(item, begun):
            item.add_marker(pytest.mark.prove)
        if item.get_closest_marker("neo4j") and not neo4j_versions() and not REQUIRED:
            item.add_marker(pytest.mark.skip(reason=MISSING))


def _group(path: Path) -> str:
    """A file; the contract is one, so that one process starts a server of every version for it."""
    return "contract" if path.parent.name == "contract" else path.stem


def _is_repetition(item: pytest.Item, begun: set[str]) -> bool:
    """Whether a test is one for `make prove`, as it repeats on a server what others say every day.

    Versions of Neo4j differ by the contract, which holds on each of them every day; of tests that
    are marked `first_on_servers` the first case runs on a server, all of them in the embedded
    store.

    Args:
        item: The test.
        begun: Names of marked tests of which a case on a server was seen; grows.
    """
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec else ()
    version = next((str(x) for x in parameters if str(x).startswith("neo4j-")), None)
    if version is None:
        return False
    if version != f"neo4j-{DEFAULT}" and _group(item.path) != "contract":
        return True
    if item.get_closest_marker("first_on_servers") is None:
        return False
    name = item.nodeid.split("[")[0]
    repeated = name in begun
    begun.add(name)
    return repeated


@pytest.fixture(scope="session", autouse=True)
def _stop_servers() -> Iterator[None]:
    yield
    while _servers:
        neo4j_server.stop(_servers.popitem()[1])


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Journals of servers are kept apart, test by test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGREC_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def neo4j_uri(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an emptied Neo4j; its credentials are in the environment."""
    return _emptied_neo4j(DEFAULT, monkeypatch)


class MortalServer:
    """The default Neo4j of this process, which a test may kill."""

    def __init__(self) -> None:
        self.alive = True

    @property
    def uri(self) -> str:
        return _servers[DEFAULT].uri

    def die(self) -> None:
        """Ends as in a power cut."""
        self.alive = False
        os.kill(_servers[DEFAULT].pid, signal.SIGKILL)

    def come_back(self) -> None:
        """Is there again, with what it had, at the same address; dies first if it is alive."""
        _servers[DEFAULT] = neo4j_server.restart(_servers[DEFAULT])
        self.alive = True


@pytest.fixture
def mortal_server(request: pytest.FixtureRequest) -> Iterator[MortalServer]:
    """An emptied Neo4j that may be killed; its credentials are in the environment."""
    if GIVEN_URI is not None:
        pytest.skip("the server is not ours to kill")
    request.getfixturevalue("neo4j_uri")
    server = MortalServer()
    yield server
    if not server.alive:
        server.come_back()


@pytest.fixture
def store_uri(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of an empty store, once per engine and version."""
    return _address(request.param, tmp_path, monkeypatch)


@pytest.fixture
def engine_uri(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of an empty store, once per engine."""
    return _address(request.param, tmp_path, monkeypatch)


@pytest.fixture
def store(store_uri: str) -> Iterator[GraphStore]:
    """An empty store that is open for writing, once per engine."""
    opened = open_store(store_uri)
    yield opened
    opened.close()


def _address(engine: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name, _, version = engine.partition("-")
    if name == "embedded":
        return f"embedded:{folder / 'graph.kgl'}"
    return _emptied_neo4j(version, monkeypatch)


def _emptied_neo4j(version: str, monkeypatch: pytest.MonkeyPatch) -> str:
    if not neo4j_versions():
        pytest.fail(MISSING)
    uri = GIVEN_URI
    if uri is None:
        if version not in _servers:
            _servers[version] = neo4j_server.start(version)
        uri = _servers[version].uri
        for name, value in _servers[version].environment().items():
            monkeypatch.setenv(name, value)
    empty_neo4j(uri)
    return uri


def empty_neo4j(uri: str) -> None:
    """Deletes all that is in a server whose credentials are in the environment."""
    with driver_of(uri) as driver:
        delete_all(driver)
        # Constraints may stay: every test makes the same ones. A vector index has one size.
        for record in driver.execute_query("SHOW VECTOR INDEXES YIELD name").records:
            driver.execute_query(f"DROP INDEX `{record['name']}`")


def delete_all(driver: neo4j.Driver) -> None:
    """Deletes all nodes and edges."""
    for delete in ("()-[n]->() WITH n LIMIT 50000", "(n) WITH n LIMIT 50000"):
        deleted = 1
        while deleted:
            records = driver.execute_query(f"MATCH {delete} DELETE n RETURN count(*) AS deleted")
            deleted = records.records[0]["deleted"]


def driver_of(uri: str) -> neo4j.Driver:
    """A driver for a server whose credentials are in the environment."""
    user, password = (os.environ.get(f"KGREC_NEO4J_{name}", "") for name in ("USER", "PASSWORD"))
    return neo4j.GraphDatabase.driver(
        uri, auth=(user or "neo4j", password), telemetry_disabled=True
    )
