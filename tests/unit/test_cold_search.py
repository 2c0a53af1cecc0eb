"""The completion found by itself: on a checkerboard the right users are seen by eye."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from kgrec.config import Config
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.ease import Ease
from kgrec.schema import EdgeKey, NodeLabel, Split
from kgrec.training.cold_search import fit_cold
from kgrec.training.cold_views import content_views
from kgrec.vocabulary import Vocabulary

USERS, ITEMS = 60, 62
_CONFIG = Config.build({"data": {"interactions": "none.csv"}}, source="test")
COLD = (60, 61)  # even and odd, as all others


def _checkerboard(seed: int = 0, genres: bool = True, cold: bool = True) -> GraphData:
    """Even users take even items, odd users odd ones; an item's genre is its parity."""
    rng = np.random.default_rng(seed)
    user, item = np.meshgrid(np.arange(USERS), np.arange(ITEMS), indexing="ij")
    taken = (user % 2 == item % 2) & (rng.random((USERS, ITEMS)) < 0.4)
    if cold:
        taken[:, COLD] = False
    user, item = np.nonzero(taken)
    vocabularies = {
        NodeLabel.USER: Vocabulary([f"u{i:02}" for i in range(USERS)], "User"),
        NodeLabel.ITEM: Vocabulary([f"i{i:02}" for i in range(ITEMS)], "Item"),
        NodeLabel.ENTITY: Vocabulary(["even", "odd"], "Entity"),
    }
    every = np.arange(ITEMS)
    key = EdgeKey("GENRE", NodeLabel.ITEM, NodeLabel.ENTITY)
    relations = (RelationEdges("genre", key, every, every % 2),) if genres else ()
    frames = {label: pd.DataFrame(index=range(len(v))) for label, v in vocabularies.items()}
    return GraphData("1", vocabularies, frames, Interactions(user, item), {}, relations)


def _ease(graph: GraphData) -> Ease:
    train = graph.train
    user, item = torch.from_numpy(train.user_index), torch.from_numpy(train.item_index)
    return Ease.fit(user, item, graph.num_users, graph.num_items, ridge=10.0)


def test_cold_items_find_the_users_of_their_colour() -> None:
    graph = _checkerboard()
    scorer = _ease(graph)
    record: dict[str, object] = {}
    made = fit_cold(_CONFIG, graph, scorer, None, seed=0, record=record)
    assert made is not None
    scores = made.score(torch.arange(USERS))
    even = torch.arange(USERS) % 2 == 0
    assert float(scores[even, 60].min()) > float(scores[~even, 60].max())
    assert float(scores[~even, 61].min()) > float(scores[even, 61].max())
    warm = torch.arange(60)
    assert torch.equal(scores[:, warm], scorer.score(torch.arange(USERS))[:, warm])
    assert record["cold"]["items"] == 2  # type: ignore[index]
    assert record["cold"]["inner"]["warm_kept"] >= 0.85  # type: ignore[index]


def test_the_same_seed_gives_the_same_scores() -> None:
    graph = _checkerboard()
    first, second = (fit_cold(_CONFIG, graph, _ease(graph), None, seed=3) for _ in range(2))
    assert first is not None
    assert second is not None
    users = torch.arange(USERS)
    assert torch.equal(first.score(users), second.score(users))


def test_held_out_pairs_are_not_looked_at() -> None:
    graph = _checkerboard()
    held = {Split.VALID: Interactions(np.array([0, 2]), np.array([60, 60]))}
    users = torch.arange(USERS)
    with_valid = fit_cold(_CONFIG, replace(graph, held_out=held), _ease(graph), None, seed=0)
    without = fit_cold(_CONFIG, graph, _ease(graph), None, seed=0)
    assert with_valid is not None
    assert without is not None
    assert torch.equal(with_valid.score(users), without.score(users))


def test_nothing_cold_or_nothing_known_is_left_alone() -> None:
    warm = _checkerboard(cold=False)
    assert fit_cold(_CONFIG, warm, _ease(warm), None, seed=0) is None
    unknown = _checkerboard(genres=False)
    assert fit_cold(_CONFIG, unknown, _ease(unknown), None, seed=0) is None


def test_views_are_relations_numbers_words_and_text() -> None:
    graph = _checkerboard()
    frame = pd.DataFrame(
        {
            "title": [f"Film {i}" for i in range(ITEMS)],
            "year": np.linspace(1950, 2000, ITEMS),
            "year_scaled": np.linspace(-1, 1, ITEMS),
            "colour": ["red", "blue"] * (ITEMS // 2),
            "unique": [f"only {i}" for i in range(ITEMS)],
        }
    )
    described = replace(graph, properties={**graph.properties, NodeLabel.ITEM: frame})
    text = {NodeLabel.ITEM: np.random.default_rng(0).random((ITEMS, 4)).astype(np.float32)}
    names = [view.name for view in content_views(described, text)]
    assert names == ["genre", "text", "year", "year", "year", "colour", "edges"]
    items = torch.tensor([3, 0, 5])
    for view in content_views(described, text):
        kernel = view.kernel(items)
        assert kernel.shape == (3, 3)
        torch.testing.assert_close(kernel, kernel.mT)
    colour = {v.name: v for v in content_views(described, text)}["colour"].kernel(items)
    assert colour[0, 2] > 0.5
    assert abs(float(colour[0, 1])) < 0.5
