"""Publishing on every store: versions, what ingesting and deleting leave of them, other graphs."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from published import SETTINGS, assert_published, expected, fill, seen, small_run

from kgrec.adopt import Naming
from kgrec.cli import main
from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.data.tables import Dataset
from kgrec.errors import ConfigError, RunError, StoreError, VocabularyError
from kgrec.graph.fetch import fetch_graph, status
from kgrec.ingestion import graph_version, write_dataset
from kgrec.publication import State, current_publication, publications, publish, retire
from kgrec.publication.lists import replace_lists
from kgrec.publication.vectors import replace_vectors, run_vectors
from kgrec.schema import NodeLabel, Split
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.store.state import LOADING, read_state, write_state
from kgrec.training.directory import Run

USER, ITEM = NodeLabel.USER, NodeLabel.ITEM


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgrec.publication.GRACE_SECONDS", 0.0)


def rows(store: GraphStore, text: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = store._run(text, {}, writes=False)  # type: ignore[attr-defined]
    return found


def test_versions_follow_each_other(store: GraphStore, tmp_path: Path, run: Run) -> None:
    fill(store, tmp_path)
    version = graph_version(store)
    graph = fetch_graph(store)
    first = publish(run, store, top=5, similar=3, progress=False)
    assert (first.changed, first.resumed, first.purged, first.notes) == (True, False, 0, ())
    found = assert_published(store, run, 5, 3)
    assert (found.counts["recommended"], found.counts["similar"]) == (300, 120)
    assert (found.slot, found.dimensions, found.graph_version) == ("a", 32, version)
    weights = run.record.relation_weights
    assert found.relation_weights == pytest.approx(weights)
    stored = rows(
        store,
        "MATCH (k:KgrecRelation) RETURN k.edge_type AS type, k.weight AS weight, "
        "k.weight_reverse AS reverse",
    )
    assert {row["type"]: (row["weight"], row["reverse"]) for row in stored} == {
        kind: (weights[kind], weights[f"rev_{kind}"]) for kind in ("GENRE", "DIRECTED_BY", "SEQUEL")
    }
    again = publish(run, store, top=5, similar=3, progress=False)
    assert (again.changed, again.publication) == (False, found)
    second = publish(run, store, top=7, similar=3, progress=False)
    assert (second.changed, second.purged) == (True, 420)
    assert assert_published(store, run, 7, 3).slot == "b"
    # The graph is the same to whoever trains on it.
    assert graph_version(store) == version
    fetched = fetch_graph(store)
    for label in NodeLabel:
        assert fetched.vocabularies[label].ids == graph.vocabularies[label].ids
        assert list(fetched.properties[label]) == list(graph.properties[label])
    assert [r.key for r in fetched.relations] == [r.key for r in graph.relations]
    assert "RECOMMENDED" not in json.dumps(status(store))
    gone = retire(store, progress=False)
    assert gone.id == second.publication.id
    assert (current_publication(store), publications(store)) == (None, [])
    assert rows(store, "MATCH ()-[x:RECOMMENDED|SIMILAR]->() RETURN count(x) AS n") == [{"n": 0}]
    assert rows(
        store,
        "MATCH (k:KgrecRelation) RETURN count(k.weight) + count(k.weight_reverse) AS n",
    ) == [{"n": 0}]
    with pytest.raises(StoreError, match="no current publication"):
        retire(store, progress=False)


def test_new_data_leaves_what_is_published(store: GraphStore, tmp_path: Path, run: Run) -> None:
    fill(store, tmp_path)
    publish(run, store, top=9, similar=3, progress=False)
    before = seen(store, run)
    old = load_dataset(Config.load(tmp_path / "tiny.toml", SETTINGS).data, 0)
    items = old.nodes[ITEM].copy()
    items.loc[items["id"] == "i4", "title"] = "Another Title"
    users = old.nodes[USER].copy()
    gone = users.index[users["id"] == "u7"][0]
    taken = before["u3"][0]
    place = items.index[items["id"] == taken][0]
    u3 = users.index[users["id"] == "u3"][0]
    train = old.interactions[Split.TRAIN]
    more = train.iloc[:1].assign(head=u3, tail=place)
    parts = {**old.interactions, Split.TRAIN: pd.concat([train, more], ignore_index=True)}
    kept = {split: frame[frame["head"] != gone].copy() for split, frame in parts.items()}
    for frame in kept.values():
        frame["head"] -= (frame["head"] > gone).astype(int)
    nodes = {**old.nodes, ITEM: items, USER: users.drop(index=gone).reset_index(drop=True)}
    report = write_dataset(Dataset(nodes, kept, old.relations), store, progress=False)
    assert report.changed
    after = seen(store, run)
    assert after.pop("u7") == []
    assert after.pop("u3") == before["u3"][1:]  # u3 has it now
    assert after == {key: ids for key, ids in before.items() if key not in ("u3", "u7")}
    vectors = "MATCH (n:Item {id: 'i4'}) RETURN n.title AS title, size(n.vector_a) AS size"
    assert rows(store, vectors) == [{"title": "Another Title", "size": 32}]
    with pytest.raises(RunError, match="train again"):
        publish(run, store, top=4, progress=False)
    assert seen(store, run)["u5"] == before["u5"]


def test_one_that_is_retired_while_it_is_written_stops(
    store: GraphStore, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tmp_path)
    publish(run, store, top=5, similar=3, progress=False)
    execute, taken = store._execute, []  # type: ignore[attr-defined]

    def meddle(name: str, *args: object, **options: object) -> object:
        if name == "publish_vectors" and not taken:
            (writing,) = (x for x in publications(store) if x.state is State.WRITING)
            taken.append(writing)
            store.write("retire_publication", id=writing.id)
        return execute(name, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_execute", meddle)
        with pytest.raises(StoreError, match="was retired while it was written"):
            publish(run, store, top=6, similar=3, progress=False)
    assert seen(store, run) == expected(run, 5, 3)
    publish(run, store, top=6, similar=3, progress=False)
    assert_published(store, run, 6, 3)


def test_a_graph_with_missing_nodes_is_refused(store: GraphStore, tmp_path: Path, run: Run) -> None:
    fill(store, tmp_path)
    publish(run, store, top=5, similar=3, progress=False)
    store.write("delete_nodes", label=ITEM, ids=["i4"])
    with pytest.raises(StoreError, match="have an end that is not in the graph"):
        publish(run, store, top=39, similar=3, progress=False)
    assert "i4" not in seen(store, run)["u2"]
    state = read_state(store)
    assert state is not None
    write_state(store, replace(state, state=LOADING))  # else the graph passes for whole
    fill(store, tmp_path)
    publish(run, store, top=5, similar=4, progress=False)
    assert_published(store, run, 5, 4)


def test_a_batch_whose_answer_got_lost_is_not_written_twice(
    store: GraphStore, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tmp_path)
    execute, repeated = store._execute, []  # type: ignore[attr-defined]

    def twice(name: str, *args: object, **options: object) -> object:
        if name == "publish_edges":
            execute(name, *args, **options)
            repeated.append(name)
        return execute(name, *args, **options)

    monkeypatch.setattr("kgrec.publication.lists.EDGE_ROWS", 100)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_execute", twice)
        publish(run, store, top=5, similar=3, progress=False)
    assert len(repeated) > 3
    assert_published(store, run, 5, 3)


def test_some_users_only_and_no_similar_items(store: GraphStore, tmp_path: Path, run: Run) -> None:
    fill(store, tmp_path)
    found = publish(run, store, top=5, similar=0, users=["u9", "u10"], progress=False).publication
    assert {name: found.counts[name] for name in ("users", "items", "recommended", "similar")} == {
        "users": 2, "items": 0, "recommended": 10, "similar": 0
    }  # fmt: skip
    said = seen(store, run)
    wanted = expected(run, 5, 1)
    assert (said["u9"], said["u10"], said["u11"]) == (wanted["u9"], wanted["u10"], [])
    with pytest.raises(VocabularyError, match="nobody"):
        publish(run, store, users=["nobody"], progress=False)
    with pytest.raises(ConfigError, match="top must be positive"):
        publish(run, store, top=0, progress=False)


def test_vector_indexes_of_earlier_versions_go(tmp_path: Path, run: Run) -> None:
    """The embedded engine had an index of each label, which made opening the file slow."""

    def indexed(uri: str) -> set[str]:
        with open_store(uri, read_only=True) as store:
            found = store.read("recommend_filtered", user="u1", limit=5)
            assert [row["id"] for row in found] == nearest
            return {row["name"] for row in store.read("index_names") if "vector" in row["name"]}

    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    with open_store(uri) as store:
        fill(store, tmp_path)
        published = publish(run, store, top=5, similar=3, progress=False).publication
        nearest = [row["id"] for row in store.read("recommend_filtered", user="u1", limit=5)]
    old = {f"kgrec_{label}_vector_a" for label in ("user", "item")}

    def make_old() -> None:
        with open_store(uri) as store:
            for label in ("User", "Item"):
                text = (
                    f"CREATE VECTOR INDEX kgrec_{label.lower()}_vector_a FOR (n:{label}) "
                    f"ON (n.vector_a) OPTIONS {{indexConfig: {{`vector.dimensions`: 32, "
                    f"`vector.similarity_function`: 'cosine'}}}}"
                )
                store._run(text, {}, writes=True)  # type: ignore[attr-defined]

    make_old()
    assert indexed(uri) == old
    vectors = run_vectors(run)
    assert vectors is not None
    with open_store(uri) as store:
        matrix = vectors[USER][:1].numpy()
        replace_vectors(store, published, USER, run.vocabularies[USER].ids[:1], matrix)
    assert indexed(uri) == set()
    make_old()
    with open_store(uri) as store:
        publish(run, store, top=7, similar=3, progress=False)
        assert_published(store, run, 7, 3)
    assert indexed(uri) == set()


def test_lists_and_vectors_are_replaced_in_place(
    store: GraphStore, tmp_path: Path, run: Run
) -> None:
    fill(store, tmp_path)
    published = publish(run, store, top=5, similar=3, progress=False).publication
    before = seen(store, run)
    lists = {"u1": [("i2", 3.0, 1, False), ("i4", 2.0, 2, True)], "u2": [], "nobody": []}
    assert replace_lists(store, published, "recommended", lists) == 2
    assert replace_lists(store, published, "similar", {"i1": [("i9", 1.0, 1, False)]}) == 1
    after = seen(store, run)
    own = {row["id"] for row in store.read("user_history", user="u1", limit=1000)}
    assert after["u1"] == [item for item in ("i2", "i4") if item not in own]
    assert (after["u2"], after["i1"]) == ([], ["i9"])
    untouched = set(before) - {"u1", "u2", "i1"}
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}
    now = current_publication(store)
    assert now is not None
    assert (now.counts["recommended"], now.counts["similar"]) == (300 - 10 + 2, 120 - 3 + 1)
    vectors = run_vectors(run)
    assert vectors is not None
    place = run.vocabularies[USER].index("u1")
    users = vectors[USER][place][None].numpy()
    assert replace_vectors(store, published, ITEM, ["i2"], users) == 1
    nearest = store.read("recommend_filtered", user="u1", fetch=1)
    assert nearest in ([], [{"id": "i2", "title": "The sea 2", "cosine": pytest.approx(1.0)}])
    with pytest.raises(StoreError, match="vectors of 32 numbers, got 3"):
        replace_vectors(store, published, ITEM, ["i2"], users[:, :3])


def test_a_graph_with_names_of_its_own(store: GraphStore, tmp_path: Path, run: Run) -> None:
    """The people and films of somebody else's graph, which has no version; one film has gone."""
    naming = Naming.adopted(
        user="Film Fan", user_key="nick", item="Movie", item_key="code", item_title=None,
        interacted=["SAW"],
    )  # fmt: skip
    write = store._run  # type: ignore[attr-defined]
    for label, key, ids in (
        ("Film Fan", "nick", run.vocabularies[USER].ids),
        ("Movie", "code", run.vocabularies[ITEM].ids[1:]),
    ):
        nodes = f"UNWIND $ids AS x MERGE (n:`{label}` {{id: x}}) SET n.{key} = x"
        write(nodes, {"ids": list(ids)}, writes=True)
    for top in (5, 6):
        report = publish(run, store, top=top, similar=3, naming=naming, progress=False)
        assert report.changed
        found = rows(
            store,
            "MATCH (u:`Film Fan`)-[r:KGREC_RECOMMENDED]->(i:Movie) WITH u, r, i ORDER BY r.rank "
            "RETURN u.nick AS user, collect(i.code) AS items",
        )
        lost = run.vocabularies[ITEM].ids[0]
        wanted = expected(run, top, 3)
        said = {row["user"]: row["items"] for row in found}
        assert said == {
            user: [item for item in wanted[user] if item != lost]
            for user in run.vocabularies[USER].ids
        }
        edges = sum(len(items) for items in said.values())  # type: ignore[arg-type]
        counts = report.publication.counts
        assert (counts["recommended"], counts["users"], counts["vectors"]) == (edges, 60, 99)
        assert report.notes == ("1 nodes not found: no Movie has their code",)
    slot = report.publication.slot
    sizes = f"MATCH (n:Movie) RETURN DISTINCT size(n.kgrec_vector_{slot}) AS size"
    assert rows(store, sizes) == [{"size": 32}]
    retire(store, naming=naming, progress=False)
    left = "MATCH ()-[x]->() RETURN count(x) AS n"
    assert rows(store, left) == [{"n": 0}]


def test_nodes_that_are_not_there_do_not_count(store: GraphStore, run: Run) -> None:
    """Counts come from the database; keys of another type find nobody, and that is refused."""
    naming = Naming.adopted(
        user="Fan", user_key="nick", item="Movie", item_key="code", item_title=None,
        interacted=["SAW"],
    )  # fmt: skip
    write = store._run  # type: ignore[attr-defined]
    people, films = (list(run.vocabularies[label].ids) for label in (USER, ITEM))
    film_nodes = "UNWIND $ids AS x CREATE (:Movie {id: 'm' + x, code: x})"
    write(film_nodes, {"ids": films}, writes=True)
    numbered = "UNWIND range(1, 9) AS x CREATE (:Fan {id: 'n' + toString(x), nick: x})"
    write(numbered, {}, writes=True)
    with pytest.raises(StoreError, match=r"none of the run's 60 keys .* Fan\.nick .*key_type"):
        publish(run, store, naming=naming, progress=False)
    assert publications(store) == []
    fan_nodes = "UNWIND $ids AS x CREATE (:Fan {id: x, nick: x})"
    write(fan_nodes, {"ids": people[:7]}, writes=True)
    report = publish(run, store, top=4, similar=0, naming=naming, progress=False)
    counts = report.publication.counts
    edges = rows(store, "MATCH (:Fan)-[x:KGREC_RECOMMENDED]->() RETURN count(x) AS n")
    assert edges == [{"n": counts["recommended"]}]
    assert (counts["users"], counts["items"], counts["vectors"]) == (7, 0, 7 + len(films))
    assert report.notes == ("53 nodes not found: no Fan has their nick",)


def test_the_command(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"embedded:{tmp_path / 'graph.kgl'}"
    with open_store(uri) as store:
        fill(store, tmp_path)

    def say(*arguments: str) -> dict[str, object]:
        assert main(["publish", *arguments, "--store", uri, "--json"]) == 0
        answer: dict[str, object] = json.loads(capsys.readouterr().out)
        return answer

    given = ("--run", str(run.directory), "--top", "5", "--similar", "3")
    first = say(*given)
    assert (first["changed"], first["resumed"], first["notes"]) == (True, False, [])
    assert say(*given)["changed"] is False
    (listed,) = say("--list")["publications"]  # type: ignore[misc]
    assert listed == first["publication"]
    assert (listed["recommended"], listed["current"]) == (300, True)
    assert main(["query", "recommend_filtered", "-p", "user=u3", "-p", "limit=2", "--store", uri,
                 "-p", 'attributes=[["GENRE", ["genre_sea"]]]', "--json"]) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)["rows"]
    assert len(found) == 2
    assert all(int(row["id"][1:]) % 2 == 0 for row in found)
    (tmp_path / "users.txt").write_text("u1\n\nu2\n")
    some = say(*given, "--users", str(tmp_path / "users.txt"))
    assert some["publication"]["users"] == 2  # type: ignore[index]
    assert say("--retire", "current")["publications"] == []
    for wrong, message in (
        ((), "needs one of --run"),
        (("--run", "x", "--list"), "needs one of --run"),
        (("--retire", "x"), "no publication 'x'"),
        ((*given, "--users", str(tmp_path / "nothing")), "cannot be read"),
        (("--run", str(tmp_path)), "no run in"),
    ):
        assert main(["publish", *wrong, "--store", uri]) in (1, 2)
        assert message in " ".join(capsys.readouterr().err.split())
