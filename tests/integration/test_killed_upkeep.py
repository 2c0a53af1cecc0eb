"""`kgrec refresh --publish` and `kgrec forget` that are killed anywhere.

The same command again ends where an undisturbed one ends: graph, lists, vectors, journal, run.
"""

import signal
from collections.abc import Iterator

import pytest
from stages import (
    Children,
    Point,
    Stages,
    about_to_forget,
    about_to_refresh,
    about_to_retire,
    assert_completed,
    name_of,
    started_children,
    trained_run,
)

from kgrec.publication import State, publications
from kgrec.store.connect import open_store
from kgrec.upkeep.places import DERIVED_KEYS

#: Where `kgrec refresh --publish` is, with 3 lists or 8 vectors a transaction.
REFRESHING: tuple[Point, ...] = (
    ("list_sizes", 1, "before"),  # nothing is written but what is meant
    ("replace_edges", 2, "within"),  # some lists of users
    ("replace_edges", 9, "after"),  # and of items
    ("publish_vectors", 2, "after"),
    ("note_publication", 6, "after"),  # all but the run
    ("pathlib.Path.rename", 1, "after"),  # the run is away, the new one not yet there
)
#: Where `kgrec forget` writes to the store, with a node a transaction.
FORGETTING: tuple[Point, ...] = (
    ("set_graph_state", 1, "after"),
    ("delete_nodes", 1, "within"),
    ("delete_nodes", 2, "after"),
    ("set_graph_state", 2, "before"),  # the graph is whole, and does not say so
    ("replace_edges", 2, "within"),  # lists of the run
    ("publish_vectors", 1, "after"),
)
#: Where it writes to files, which are the same beside every engine.
FORGETTING_FILES: tuple[Point, ...] = (
    ("kgrec.upkeep.forget.write_intent", 1, "after"),
    ("kgrec.data.journal.journal.Journal.update", 1, "before"),
    ("kgrec.data.journal.journal.Journal.update", 1, "after"),
    ("kgrec.upkeep.forget.clean_rejects", 1, "after"),
    ("kgrec.upkeep.forget.drop_texts", 1, "after"),
    ("pathlib.Path.rename", 1, "after"),
    ("kgrec.upkeep.forget.remove_intent", 1, "before"),
)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as children:
        yield children


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, children: Children) -> Stages:
    folder = tmp_path_factory.mktemp("stages")
    return Stages(folder, trained_run(folder / "trained"), children)


@pytest.mark.first_on_servers
@pytest.mark.parametrize("point", REFRESHING, ids=name_of)
def test_a_killed_refresh(
    engine_uri: str, children: Children, stages: Stages, point: Point
) -> None:
    wanted = stages.undisturbed(about_to_refresh, engine_uri)
    scene = stages.scene(about_to_refresh, engine_uri)
    assert children.run(scene.command, point, "saved")["code"] == -signal.SIGKILL
    # Between the two renames the new run is whole, and only has to be put in its place.
    assert_completed(children, scene, wanted, begun="rename" not in point[0])


@pytest.mark.first_on_servers
@pytest.mark.parametrize("point", FORGETTING, ids=name_of)
def test_a_killed_forgetting(
    engine_uri: str, children: Children, stages: Stages, point: Point
) -> None:
    assert_forgets_although_killed(engine_uri, children, stages, point)


@pytest.mark.parametrize("point", FORGETTING_FILES, ids=name_of)
def test_a_forgetting_killed_beside_the_store(
    children: Children, stages: Stages, point: Point
) -> None:
    assert_forgets_although_killed("embedded:", children, stages, point)


@pytest.mark.prove
@pytest.mark.parametrize("point", FORGETTING_FILES, ids=name_of)
def test_a_forgetting_killed_beside_a_server(
    neo4j_uri: str, children: Children, stages: Stages, point: Point
) -> None:
    assert_forgets_although_killed(neo4j_uri, children, stages, point)


def assert_forgets_although_killed(
    uri: str, children: Children, stages: Stages, point: Point
) -> None:
    wanted = stages.undisturbed(about_to_forget, uri)
    scene = stages.scene(about_to_forget, uri)
    assert children.run(scene.command, point, "saved")["code"] == -signal.SIGKILL
    assert_completed(children, scene, wanted)


def test_a_killed_retirement(engine_uri: str, children: Children, stages: Stages) -> None:
    scene = stages.scene(about_to_retire, engine_uri)
    config, command = scene.config, scene.command
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
