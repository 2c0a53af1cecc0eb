"""A small run and what readers of a store must see of it once it is published."""

from pathlib import Path

from tiny import build_tiny

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.publication import Publication, current_publication, publications
from kgrec.recommender import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train

SETTINGS = ("training.ensemble=2", "training.epochs=2", "closed_form.enabled=false")

#: What readers see: by user the recommended items, by item the similar ones.
Seen = dict[str, list[str]]


def fill(store: GraphStore, folder: Path) -> None:
    """Ingests the small data set."""
    config = Config.load(build_tiny(folder), SETTINGS)
    write_dataset(load_dataset(config.data, seed=0), store, progress=False)


def small_run(folder: Path) -> Run:
    """Trains on it."""
    config = Config.load(build_tiny(folder), SETTINGS)
    with open_store(config.store) as store:
        fill(store, folder)
        return train(config, fetch_graph(store), folder / "run", progress=False)


def expected(run: Run, top: int, similar: int) -> Seen:
    """What the recommender says."""
    recommender = Recommender(run)
    users, items = (run.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))
    return {
        user: [r.item_id for r in recommender.recommend(user, top, num_reasons=0)] for user in users
    } | {item: [r.item_id for r in recommender.similar(item, similar)] for item in items}


def seen(store: GraphStore, run: Run) -> Seen:
    """What Cypher says, through the queries that people run."""
    users, items = (run.vocabularies[x].ids for x in (NodeLabel.USER, NodeLabel.ITEM))

    def ids(name: str, **params: str) -> list[str]:
        return [row["id"] for row in store.read(name, limit=1000, **params)]

    return {user: ids("published_recommendations", user=user) for user in users} | {
        item: ids("published_similar", item=item) for item in items
    }


def assert_published(store: GraphStore, run: Run, top: int, similar: int) -> Publication:
    """Asserts that a store holds one publication, whole, and nothing of any other."""
    found = current_publication(store)
    assert found is not None
    assert publications(store) == [found]
    assert seen(store, run) == expected(run, top, similar)
    assert (found.counts["users"], found.counts["items"], found.counts["vectors"]) == (60, 40, 100)
    for kind, count in (("RECOMMENDED", "recommended"), ("SIMILAR", "similar")):
        rows = store._run(  # type: ignore[attr-defined]
            f"MATCH ()-[x:{kind}]->() RETURN x.run AS run, count(*) AS edges", {}, writes=False
        )
        assert rows == [{"run": found.id, "edges": found.counts[count]}]
    other = "b" if found.slot == "a" else "a"
    rows = store._run(  # type: ignore[attr-defined]
        f"MATCH (n) WHERE n:User OR n:Item RETURN count(n.vector_{found.slot}) AS here, "
        f"count(n.vector_{other}) AS there",
        {}, writes=False,
    )  # fmt: skip
    assert rows == [{"here": 100, "there": 0}]
    names = {row["name"] for row in store.read("index_names")}
    assert {name for name in names if "_vector_" in name} == {
        f"kgrec_{label}_vector_{found.slot}"
        for label in ("user", "item")
        if store.capabilities.vector_index
    }
    assert store.read("recommend_filtered", user="u1")
    return found
