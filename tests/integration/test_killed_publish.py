"""Publishing that is killed anywhere: readers see the old version or the new one, never a mixture.

The next command of the same kind goes on where the killed one stopped; another one cleans up.
"""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MortalServer
from forks import Forks, started
from published import Seen, assert_published, expected, fill, seen, small_run

from kgrec.errors import StoreError
from kgrec.publication import lists, publications, publish
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run

CHILDREN = Path(__file__).with_name("publish_children.py")
SIMILAR = 4
OLD, NEW, OTHER = 7, 8, 6

#: Where a process dies. With 60 edges a batch, 60 users are 8 or 9 batches, 40 items 3; the purge
#: deletes 100 edges at a time.
POINTS = (
    ("begin_publication", 1, "saved"),
    ("publish_edges", 1, "before"),
    ("publish_edges", 4, "saved"),  # some users have their edges
    ("publish_edges", 10, "after"),  # some items
    ("publish_vectors", 1, "saved"),
    ("vector_slot_index", 1, "saved"),  # vectors, and one of two indexes; on a server
    ("switch_publication", 1, "before"),  # everything but the switch
    ("switch_publication", 1, "after"),
    ("purge_edges", 2, "saved"),
    ("purge_vectors", 4, "saved"),
    ("delete_publication", 1, "before"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def wanted(run: Run) -> dict[int, Seen]:
    """What readers see of each length of lists."""
    return {top: expected(run, top, SIMILAR) for top in (OLD, NEW, OTHER)}


@pytest.fixture(scope="module")
def children(run: Run) -> Iterator[Forks]:
    with started(CHILDREN, str(run.directory)) as forks:
        yield forks


def published(
    children: Forks, uri: str, top: int, kill: tuple[str, int, str] | None = None
) -> dict[str, Any]:
    """Publishes in a fork, which may be killed."""
    answer = children.ask(uri=uri, top=top, kill=kill)
    assert "error" not in answer, answer
    return answer


@pytest.mark.first_on_servers
@pytest.mark.parametrize("part", range(3))
@pytest.mark.timeout(900)
def test_killed_anywhere(
    tmp_path: Path,
    engine_uri: str,
    run: Run,
    wanted: dict[int, Seen],
    children: Forks,
    part: int,
) -> None:
    with open_store(engine_uri) as store:
        fill(store, tmp_path)
    assert published(children, engine_uri, OLD)["report"]["changed"]
    old, resumed = OLD, 0
    for number, point in enumerate(POINTS[part::3]):
        if point[0] == "vector_slot_index" and engine_uri.startswith("embedded"):
            continue
        new = NEW if old != NEW else OLD
        answer = published(children, engine_uri, new, point)
        assert answer["code"] == -signal.SIGKILL, point
        with open_store(engine_uri, read_only=True) as store:
            found = seen(store, run)
            assert found in (wanted[old], wanted[new]), point
            left = {each.fingerprint: each for each in publications(store)}
        # Once another command comes, which finds a foreign half.
        top = OTHER if number == 1 else new
        answer = published(children, engine_uri, top)
        assert answer["code"] == 0
        with open_store(engine_uri, read_only=True) as store:
            now = assert_published(store, run, top, SIMILAR)
        before = left.get(now.fingerprint)
        assert answer["report"]["id"] == now.id == (before.id if before else now.id), point
        if answer["report"]["resumed"]:
            assert before is not None
            resumed += 1
            # What was written is not written again.
            users, items = (before.properties[f"{x}_done"] for x in ("recommended", "similar"))
            batches = -(-(60 - users) // (60 // top)) + -(-(40 - items) // (60 // SIMILAR))
            assert answer["ran"].get("publish_edges", 0) == batches, point
        old = top
    assert resumed


@pytest.mark.prove
def test_a_server_that_dies_in_the_middle(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mortal_server: MortalServer
) -> None:
    monkeypatch.setattr(lists, "EDGE_ROWS", 8)  # many transactions to die between
    uri = mortal_server.uri
    with open_store(uri) as store:
        fill(store, tmp_path)
        publish(run, store, top=OLD, similar=SIMILAR, progress=False)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            with open_store(uri) as store:
                publish(run, store, top=NEW, similar=SIMILAR, progress=False)
        except StoreError as error:
            raised.append(error)

    working = threading.Thread(target=work)
    working.start()
    with open_store(uri, read_only=True) as store:
        while written(store) == 0 and working.is_alive():
            time.sleep(0.02)
    assert working.is_alive()
    mortal_server.come_back()
    working.join()  # the driver may have waited for the server, or publishing has failed
    assert all("no Neo4j answers" in str(error) for error in raised)
    with open_store(uri) as store:
        wanted = expected(run, OLD if raised else NEW, SIMILAR)
        assert seen(store, run) == wanted
        publish(run, store, top=NEW, similar=SIMILAR, progress=False)
        assert_published(store, run, NEW, SIMILAR)


def written(store: GraphStore) -> int:
    """How many users of the publication that is being written have their edges."""
    return sum(
        each.properties.get("recommended_done", 0)
        for each in publications(store)
        if each.state == "writing"
    )
