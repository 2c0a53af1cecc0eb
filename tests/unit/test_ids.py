"""One rule for ids at every entry: text as it is, whole numbers as digits, all else refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import build_tiny

import kgrec
from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import ConfigError, VocabularyError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.queries import candidates, user_history
from kgrec.recommender import Recommender
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train
from kgrec.upkeep.intent import target_of
from kgrec.vocabulary import Vocabulary, id_text, id_texts

#: What callers have at hand for the id "7".
SEVENS = ["7", 7, 7.0, np.int64(7), np.uint8(7), np.float32(7), np.str_("7"), pd.Series([7])[0]]
NO_IDS = [
    None,
    True,
    np.True_,
    1.5,
    float("nan"),
    float("inf"),
    ["7"],
    ("7",),
    {"id": 7},
    b"7",
]


@pytest.mark.parametrize("value", SEVENS, ids=lambda value: type(value).__name__)
def test_whole_numbers_are_their_digits(value: Any) -> None:
    assert id_text(value) == "7"
    assert type(id_text(value)) is str
    vocabulary = Vocabulary(["3", "7"], "User")
    assert vocabulary.index(value) == 1
    assert value in vocabulary
    assert target_of(value, None).id == "7"  # type: ignore[union-attr]


def test_large_numbers_keep_every_digit_and_text_is_left_alone() -> None:
    assert id_text(2**80 + 1) == str(2**80 + 1)
    assert id_text(-3) == "-3"
    assert id_text(" 07.0 ") == " 07.0 "


@pytest.mark.parametrize("value", NO_IDS, ids=repr)
def test_all_else_is_refused_in_words(value: Any) -> None:
    with pytest.raises(VocabularyError, match="is no id; expected text or a whole number"):
        id_text(value)
    assert value not in Vocabulary(["3", "7"], "User")


def test_several_ids_may_be_one() -> None:
    assert id_texts("u1") == ["u1"]
    assert id_texts(7) == ["7"]
    assert id_texts(np.array([1, 2])) == ["1", "2"]
    with pytest.raises(VocabularyError):
        id_texts(None)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run]:
    """A run whose ids are the digits of the tiny data set's."""
    folder = tmp_path_factory.mktemp("numbered")
    settings = build_tiny(folder)
    for name, columns in (("interactions", ("user", "item")), ("items", ("id",))):
        path = folder / f"{name}.tsv"
        frame = pd.read_csv(path, sep="\t", dtype=str)
        for column in frame.columns.intersection(columns):
            frame[column] = frame[column].str[1:]
        frame.to_csv(path, sep="\t", index=False)
    path = folder / "triples.tsv"
    frame = pd.read_csv(path, sep="\t", dtype=str)
    for end in ("head", "tail"):
        frame[end] = frame[end].str.replace(r"^i(\d+)$", r"\1", regex=True)
    frame.to_csv(path, sep="\t", index=False)
    config = Config.load(settings, ["training.epochs=1"])
    with open_store(config.store) as store:
        write_dataset(load_dataset(config.data, seed=0), store)
        run = train(config, fetch_graph(store), folder / "run", progress=False)
        kgrec.publish(run, store, top=3, users=[4, np.int64(5)], progress=False)
    return config.store.uri, run


def test_every_entry_takes_numbers(numbered: tuple[str, Run]) -> None:
    uri, run = numbered
    with open_store(uri, read_only=True) as store:
        recommender = Recommender(run, store)
        places = recommender.recommend("4", k=3)
        assert not places[0].cold
        item = places[0].item_id
        for user in (4, 4.0, np.int64(4)):
            assert recommender.recommend(user, k=3) == places
            assert recommender.score(user, [int(item)]) == recommender.score("4", [item])
            assert recommender.contributions(user, [int(item)])[0].item_id == item
            assert kgrec.explain(run, user, int(item)) == kgrec.explain(run, "4", item)
            assert user_history(store, user) == user_history(store, "4")
            assert candidates(store, user=user) == candidates(store, user="4")
            subgraph = kgrec.explore(run, store, user=user, items=[int(item)])
            assert subgraph.title == kgrec.explore(run, store, user="4", items=[item]).title
        assert recommender.similar(int(item)) == recommender.similar(item)
        assert kgrec.explore(run, store, items=int(item)).title.startswith("Around")
        assert len(store.read("published_recommendations", user="5")) == 3
        assert not store.read("published_recommendations", user="6")


@pytest.mark.parametrize("value", [None, True, 1.5, ["4"]], ids=repr)
def test_every_entry_refuses_what_is_no_id(numbered: tuple[str, Run], value: Any) -> None:
    uri, run = numbered
    with open_store(uri, read_only=True) as store:
        recommender = Recommender(run, store)
        entries: list[Callable[[], Any]] = [
            lambda: recommender.recommend(value),
            lambda: recommender.score(value, ["4"]),
            lambda: recommender.score("4", [value]),
            lambda: recommender.contributions(value, ["4"]),
            lambda: recommender.similar(value),
            lambda: kgrec.explain(run, value, "4"),
            lambda: kgrec.explain(run, "4", value),
            lambda: kgrec.explore(run, store, items=[value]),
            lambda: kgrec.publish(run, store, users=[value]),
            lambda: kgrec.report(run, store, users=[value], progress=False),
        ]
        for entry in entries:
            with pytest.raises(VocabularyError, match="is no id"):
                entry()
        with pytest.raises(ConfigError, match="expected text or a whole number"):
            user_history(store, value)


def test_a_stranger_s_number_is_a_stranger(numbered: tuple[str, Run]) -> None:
    _, run = numbered
    assert all(place.cold for place in Recommender(run).recommend(987_654))
    with pytest.raises(VocabularyError, match="no Item has the id '987654'"):
        Recommender(run).similar(987_654)
