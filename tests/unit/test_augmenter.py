"""A generator by itself: fitted, sampled, saved, taken up again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import make_graph, relation

from kgrec.augment import gan
from kgrec.config import Config
from kgrec.errors import ConfigError, RunError
from kgrec.graph.data import GraphData, SyntheticEdges
from kgrec.training import augmenter, proposals
from kgrec.training.augmenter import GanAugmenter, read_augmenter_record

DENSE, SPARSE, ITEMS = 40, 16, 40


def settings(**changes: Any) -> Config:
    given: dict[str, Any] = {
        "data": {"train": "t.tsv"},
        "store": {"uri": "embedded:g.kgl"},
        "text": {"enabled": False},
        "closed_form": {"search_items": 40, "search_steps": 4},
        "factors": {"enabled": False},
        "augment": {"at_most": 4, "per_user": 3, "gan": {"pretrain_epochs": 4, "rounds": 2}},
    }
    return Config.build({**given, **changes}, base=Path(), source="a test")


def two_tastes(seed: int = 0) -> GraphData:
    """Users like items of their own parity: 40 with twelve of them, 16 with three."""
    rng = np.random.default_rng(seed)
    train = []
    for user in range(DENSE + SPARSE):
        own = np.arange(user % 2, ITEMS, 2)
        few = 12 if user < DENSE else 3
        train += [(user, int(item)) for item in np.sort(rng.choice(own, few, replace=False))]
    genres = relation("genre", [(item, item % 2) for item in range(ITEMS)])
    return make_graph((DENSE + SPARSE, ITEMS, 2), train, (genres,), valid=[(50, 0), (51, 1)])


@pytest.fixture(scope="module")
def graph() -> GraphData:
    return two_tastes()


@pytest.fixture(scope="module")
def fitted(graph: GraphData) -> GanAugmenter:
    return GanAugmenter.fit(graph, settings())


def columns(edges: SyntheticEdges) -> tuple[list[int], list[int], list[float]]:
    return edges.user_index.tolist(), edges.item_index.tolist(), edges.weight.tolist()


@pytest.mark.parametrize("source", ["gan", "teacher", "knn"])
def test_sparse_users_get_what_their_like_have(
    graph: GraphData, fitted: GanAugmenter, source: str
) -> None:
    edges = fitted.sample(source, per_user=5, seed=1)
    assert (edges.source, edges.seed) == (source, 1)
    assert np.array_equal(np.unique(edges.user_index), np.arange(DENSE, DENSE + SPARSE))
    assert len(edges) == 5 * SPARSE
    assert (edges.user_index % 2 == edges.item_index % 2).mean() == 1.0
    known = set(zip(graph.train.user_index, graph.train.item_index, strict=True))
    assert not known & set(zip(edges.user_index, edges.item_index, strict=True))


def test_one_seed_gives_the_same_edges(fitted: GanAugmenter) -> None:
    assert columns(fitted.sample(seed=3)) == columns(fitted.sample(seed=3))


def test_a_saved_one_proposes_the_same_also_on_a_later_graph(
    graph: GraphData, fitted: GanAugmenter, tmp_path: Path
) -> None:
    for _ in range(2):  # also in place of an earlier one
        fitted.save(tmp_path / "gan")
    assert sorted(path.name for path in (tmp_path / "gan").iterdir()) == [
        "augment.png", "augmenter.json", "choices.json", "config.json", "gan.safetensors",
        "generator.safetensors",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["gan"]
    again = GanAugmenter.load(tmp_path / "gan", graph)
    assert columns(again.sample(seed=5)) == columns(fitted.sample(seed=5))
    assert again.record == read_augmenter_record(tmp_path / "gan")
    later = GanAugmenter.load(tmp_path / "gan", two_tastes(seed=1)).sample()
    assert (later.user_index % 2 == later.item_index % 2).mean() == 1.0
    other = replace(graph, relations=())
    with pytest.raises(RunError, match=r"was told of teacher, .* like by genre; this graph has"):
        GanAugmenter.load(tmp_path / "gan", other)


def test_an_interrupted_fit_goes_on(
    graph: GraphData, fitted: GanAugmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[str] = []

    def fit_generator(*given: Any) -> Any:
        taught.append("generator")
        return gan.fit_generator(*given)

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(proposals, "fit_generator", fit_generator)
    with monkeypatch.context() as patch:
        patch.setattr(proposals, "fit_gan", killed)
        with pytest.raises(KeyboardInterrupt):
            GanAugmenter.fit(graph, settings(), tmp_path / "gan")
    assert not (tmp_path / "gan").exists()
    with monkeypatch.context() as patch:  # what was searched is not searched again
        patch.setattr("kgrec.training.closed_form_search.search_closed_form", killed)
        found = GanAugmenter.fit(graph, settings(), tmp_path / "gan")
    assert taught == ["generator"]
    assert columns(found.sample(seed=2)) == columns(fitted.sample(seed=2))
    assert found.record.learned == fitted.record.learned
    assert [path.name for path in tmp_path.iterdir()] == ["gan"]
    # Of other settings nothing is taken up.
    with monkeypatch.context() as patch:
        patch.setattr(proposals, "fit_gan", killed)
        with pytest.raises(KeyboardInterrupt):
            GanAugmenter.fit(graph, settings(seed=1), tmp_path / "gan")
    GanAugmenter.fit(graph, settings(seed=2), tmp_path / "gan")
    assert taught == ["generator"] * 3


def test_what_is_told_of_proposals(fitted: GanAugmenter) -> None:
    pairs = np.array([50, 51, 52]), np.array([0, 3, 4])
    told = fitted.describe(SyntheticEdges(*pairs, np.ones(3, dtype=np.float32), "gan", 0))
    assert (told["proven"], told["foreseen"]) == (pytest.approx(1 / 3), 0.5)
    learned = fitted.record.learned
    # Of a made user's 17 unseen items of the taste 9 are hidden, of all 37 as many.
    assert learned["gan"]["sources"]["generator"]["precision"] == pytest.approx(9 / 17, abs=0.06)
    assert learned["gan"]["sources"]["random"]["precision"] == pytest.approx(9 / 37, abs=0.08)


def test_what_is_no_use_is_refused(graph: GraphData, fitted: GanAugmenter, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"closed_form\.enabled is false"):
        GanAugmenter.fit(graph, settings(closed_form={"enabled": False}))
    with pytest.raises(ConfigError, match="more than 40 items"):
        GanAugmenter.fit(graph, settings(augment={"at_most": 20}))
    with pytest.raises(ConfigError, match="no source 'taste'"):
        fitted.sample("taste")
    with pytest.raises(ConfigError, match="0 or more"):
        fitted.sample(per_user=-1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(RunError, match="holds no generator"):
        fitted.save(tmp_path / "mine")
    with pytest.raises(RunError, match="no generator in"):
        GanAugmenter.load(tmp_path / "mine", graph)
    fitted.save(tmp_path / "gan")
    (tmp_path / "gan" / "gan.safetensors").write_bytes(b"xx")
    with pytest.raises(RunError, match="damaged"):
        GanAugmenter.load(tmp_path / "gan", graph)
    assert augmenter.AUGMENTER_LAYOUT == 2


def sparse_items(seed: int = 0) -> GraphData:
    """Twelve of forty items have three users each, of their own parity; all others have many."""
    rng = np.random.default_rng(seed)
    users = 60
    train = []
    for item in range(ITEMS):
        own = np.arange(item % 2, users, 2)
        few = 16 if item < ITEMS - 12 else 3
        train += [(int(user), item) for user in np.sort(rng.choice(own, few, replace=False))]
    return make_graph((users, ITEMS, 2), sorted(train))


def test_sparse_items_get_users_by_what_was_learned_of_users(tmp_path: Path) -> None:
    graph = sparse_items()
    config = settings(augment={"at_most": 4, "per_user": 0, "per_item": 5})
    found = GanAugmenter.fit(graph, config, tmp_path / "gan")
    assert list(found.record.learned) == ["generator", "gan"]
    edges = found.sample(seed=1)
    assert np.array_equal(np.unique(edges.item_index), np.arange(ITEMS - 12, ITEMS))
    assert (np.bincount(edges.item_index)[ITEMS - 12 :] == 5).all()
    assert (edges.user_index % 2 == edges.item_index % 2).mean() == 1.0
    known = set(zip(graph.train.user_index, graph.train.item_index, strict=True))
    assert not known & set(zip(edges.user_index, edges.item_index, strict=True))
    again = GanAugmenter.load(tmp_path / "gan", graph).sample(seed=1)
    assert columns(again) == columns(edges)
