"""Shops in which a command is about to be run, built once and put back before every kill."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from conftest import empty_neo4j
from forgetting import (
    ITEM,
    SECRETS,
    USER,
    add_derived,
    build_shop,
    deliver,
    found_in_files,
    found_in_store,
)
from kept import all_that_is_kept, differences, published
from neo4j_snapshot import Snapshot, restore_snapshot, take_snapshot

from kgrec.config import Config
from kgrec.graph.fetch import fetch_graph
from kgrec.graph.texts import node_texts
from kgrec.ingestion import ingest
from kgrec.ingestion.tables import INTERACTION_KEYS
from kgrec.publication import publish
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.store.state import read_relations
from kgrec.text.cache import VectorCache
from kgrec.training.directory import Run, load_run
from kgrec.training.fit import train
from kgrec.upkeep.forget import forget
from kgrec.upkeep.intent import Target
from kgrec.upkeep.places import DERIVED_KEYS

CHILDREN = Path(__file__).parent / "integration" / "upkeep_children.py"
TOP, SIMILAR = 5, 3
#: What stands for the forgotten user, and what only they said.
WORDS = (USER, "zora-old-1q", *SECRETS)

#: Name of a statement or function, its call, and when in it.
Point = tuple[str, int, str]


def name_of(point: Point) -> str:
    return f"{point[2]}-{point[0].rpartition('.')[2]}-{point[1]}"


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


@contextmanager
def started_children() -> Iterator[Children]:
    """The process, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, str(CHILDREN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Children(process)
        assert process.stdin is not None
        process.stdin.close()


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


#: Builds a scene in an empty store; what kgrec keeps is in the folder.
Stage = Callable[[Path, str, Run], Scene]


@dataclass(frozen=True)
class Undisturbed:
    """What a command comes to that nobody disturbs: what is kept, and what it answers."""

    kept: dict[str, Any]
    answer: dict[str, Any]


class Stages:
    """Builds each scene once a store, and puts it back, files and graph, whenever it is asked for.

    Args:
        folder: Where the scenes are, each always at the same path.
        run: The run that is published in them.
        children: Runs commands.
    """

    def __init__(self, folder: Path, run: Run, children: Children) -> None:
        self._folder, self._run, self._children = folder, run, children
        self._built: dict[tuple[Stage, str], tuple[Scene, Snapshot | None]] = {}
        self._undisturbed: dict[tuple[Stage, str], Undisturbed] = {}

    def scene(self, stage: Stage, uri: str) -> Scene:
        """A scene of an engine, as if nothing had ever happened in it."""
        embedded = uri.startswith("embedded")
        folder = self._folder / stage.__name__ / ("embedded" if embedded else "neo4j")
        now, copy = folder / "now", folder / "copy"
        for name in ("data", "cache"):
            os.environ[f"KGREC_{name.upper()}"] = str(now / name)
        if embedded:
            uri = f"embedded:{now / 'data' / 'graph.kgl'}"
        if (stage, uri) not in self._built:
            if not embedded:
                empty_neo4j(uri)
            scene = stage(now, uri, self._run)
            shutil.copytree(now, copy)
            self._built[stage, uri] = scene, None if embedded else take_snapshot(uri)
            return scene
        scene, snapshot = self._built[stage, uri]
        shutil.rmtree(now)
        shutil.copytree(copy, now)
        if snapshot is not None:
            restore_snapshot(uri, snapshot)
        return scene

    def undisturbed(self, stage: Stage, uri: str) -> Undisturbed:
        """What the command of a scene comes to that nobody disturbs; run once an engine."""
        key = stage, uri.partition(":")[0]
        if key not in self._undisturbed:
            scene = self.scene(stage, uri)
            answer = self._children.run([*scene.command, "--json"])
            assert answer["code"] == 0, answer["stderr"]
            self._undisturbed[key] = Undisturbed(scene.kept(), json.loads(answer["stdout"]))
        return self._undisturbed[key]


def text_cache() -> Path:
    return Path(os.environ["KGREC_CACHE"]) / "text"


def trained_run(folder: Path) -> Run:
    """A run on the shop."""
    config = build_shop(folder / "sources", f"embedded:{folder / 'kept' / 'graph.kgl'}")
    ingest(config, progress=False)
    with open_store(config.store, read_only=True) as store:
        return train(config, fetch_graph(store), folder / "runs" / "first", progress=False)


def about_to_retire(folder: Path, uri: str, run: Run) -> Scene:
    """A shop, with the run published in it, about to be taken back."""
    config = build_shop(folder / "sources", uri)
    ingest(config, progress=False)
    directory = folder / "runs" / "first"
    shutil.copytree(run.directory, directory)
    with open_store(config.store) as store:
        publish(load_run(directory), store, top=TOP, similar=SIMILAR, progress=False)
    return Scene(config, directory, ["publish", "--retire", "current", "--store", uri])


def about_to_refresh(folder: Path, uri: str, run: Run) -> Scene:
    """Users, items and interactions are new, and an item is gone."""
    shop = about_to_retire(folder, uri, run)
    config, directory = shop.config, shop.run
    forget(config, item=ITEM, progress=False)
    deliver(config, "2", *(f"u{u},i{n},buy,9000" for u in range(5) for n in range(9, 20)),
            *(f"nova,i{n},buy,9001" for n in range(12)),
            *(f"u{n},i-new,buy,9002" for n in range(12)))  # fmt: skip
    command = ["refresh", "--run", str(directory), "--store", config.store.uri, "--publish"]
    return Scene(config, directory, command)


def about_to_forget(folder: Path, uri: str, run: Run) -> Scene:
    """The user is in everything, and the cache has vectors of all texts."""
    shop = about_to_retire(folder, uri, run)
    config, directory = shop.config, shop.run
    with open_store(config.store) as store:
        add_derived(store)
        told = node_texts(fetch_graph(store), config.text)
    texts = sorted({text for of_label in told.values() for text in of_label if text})
    VectorCache(text_cache(), ["space"]).save(texts, np.ones((len(texts), 3), np.float16))
    command = ["forget", "--user", USER, "--run", str(directory),
               "--config", str(folder / "sources" / "kgrec.toml")]  # fmt: skip
    return Scene(config, directory, command, Target(NodeLabel.USER, USER), tuple(texts))


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
