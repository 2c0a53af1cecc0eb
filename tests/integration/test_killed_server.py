"""The server of `kgrec refresh --publish` and `kgrec forget` is killed anywhere, and comes back.

The same command again ends where an undisturbed one ends; see test_killed_upkeep.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import neo4j
import pytest
from conftest import MortalServer
from stages import (
    Children,
    Point,
    Stage,
    Stages,
    about_to_forget,
    about_to_refresh,
    assert_completed,
    assert_same,
    name_of,
    started_children,
    trained_run,
)

from kgrec.store.base import GraphStore
from kgrec.training.directory import load_run
from kgrec.upkeep.watching import watch

#: Where their server dies; it takes long to come back, so one of a refresh is for every day.
SERVER_REFRESHING: tuple[Point, ...] = (
    ("replace_edges", 2, "within"),
    ("relations", 1, "before"),  # it reads the graph
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


def one_every_day(points: tuple[Point, ...]) -> list[Any]:
    """The first point, and the others for `make prove`."""
    first, *others = points
    proofs = [pytest.param(point, marks=pytest.mark.prove, id=name_of(point)) for point in others]
    return [pytest.param(first, id=name_of(first)), *proofs]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as children:
        yield children


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, children: Children) -> Stages:
    folder = tmp_path_factory.mktemp("stages")
    return Stages(folder, trained_run(folder / "trained"), children)


def each_old_or_new(now: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether readers find every list as it was or as it will be."""
    return all(now[key] in (before.get(key, []), after.get(key, [])) for key in now)


@pytest.mark.parametrize("point", one_every_day(SERVER_REFRESHING))
def test_the_server_is_killed_in_a_refresh(
    mortal_server: MortalServer, children: Children, stages: Stages, point: Point
) -> None:
    wanted = stages.undisturbed(about_to_refresh, mortal_server.uri)
    scene = stages.scene(about_to_refresh, mortal_server.uri)
    before, record = scene.lists(), load_run(scene.run).record
    said = children.run(scene.command, point, "wait", meanwhile=mortal_server.die)
    assert said["code"] == 1
    assert f"no Neo4j answers at {mortal_server.uri} any more" in said["stderr"]
    assert "run kgrec refresh again, which completes" in said["stderr"]
    assert load_run(scene.run).record == record
    mortal_server.come_back()
    assert each_old_or_new(scene.lists(), before, wanted.kept["published"])
    assert_completed(children, scene, wanted)


@pytest.mark.prove
@pytest.mark.parametrize("point", SERVER_FORGETTING, ids=name_of)
def test_the_server_is_killed_in_a_forgetting(
    mortal_server: MortalServer, children: Children, stages: Stages, point: Point
) -> None:
    wanted = stages.undisturbed(about_to_forget, mortal_server.uri)
    scene = stages.scene(about_to_forget, mortal_server.uri)
    said = children.run(scene.command, point, "wait", meanwhile=mortal_server.die)
    assert said["code"] == 1
    assert f"no Neo4j answers at {mortal_server.uri} any more" in said["stderr"]
    assert "run kgrec forget again, which completes" in said["stderr"]
    mortal_server.come_back()
    assert_completed(children, scene, wanted)


@pytest.mark.prove
@pytest.mark.parametrize("stage", [about_to_refresh, about_to_forget])
def test_a_server_that_comes_back_is_waited_for(
    mortal_server: MortalServer, children: Children, stages: Stages, stage: Stage
) -> None:
    wanted = stages.undisturbed(stage, mortal_server.uri)
    scene = stages.scene(stage, mortal_server.uri)
    point = ("replace_edges", 2, "within")
    said = children.run(scene.command, point, "wait", meanwhile=mortal_server.come_back)
    assert said["code"] == 0, said["stderr"]
    assert_same(scene, wanted)


@pytest.mark.prove
def test_watching_goes_on_when_the_server_comes_back(
    mortal_server: MortalServer, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = stages.undisturbed(about_to_refresh, mortal_server.uri)
    scene = stages.scene(about_to_refresh, mortal_server.uri)
    connect, execute = neo4j.GraphDatabase.driver, GraphStore._execute
    impatient = partial(connect, max_transaction_retry_time=1.0)
    monkeypatch.setattr(neo4j.GraphDatabase, "driver", impatient)
    left = ["replace_edges", "replace_edges"]

    def dies(store: GraphStore, name: str, *args: Any, **options: Any) -> Any:
        if name in left:
            left.remove(name)
            if not left:
                mortal_server.die()
        return execute(store, name, *args, **options)

    waits = [mortal_server.come_back]

    def wait(_: float) -> bool:
        if waits:
            waits.pop()()
            return True
        return False

    monkeypatch.setattr(GraphStore, "_execute", dies)
    (report,) = watch(load_run(scene.run), scene.config, every=7.0, publish=True, wait=wait)
    assert (left, waits) == ([], [])
    assert report.run.record.graph_version == wanted.answer["graph_version"]
    assert_same(scene, wanted)
