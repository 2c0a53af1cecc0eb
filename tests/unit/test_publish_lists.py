"""Lists and vectors of many at once are those that the recommender gives one by one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import build_tiny

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import NotFittedError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.model.fusion import Fusion
from kgrec.model.incidence import Incidence
from kgrec.publication.lists import TopLists, block_size, item_lists, user_lists
from kgrec.publication.lists import _top as top_of
from kgrec.publication.vectors import run_vectors, vector_rows
from kgrec.recommender import Recommendation, Recommender
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("tiny")
    config = Config.load(build_tiny(folder), ("training.ensemble=2",))
    with open_store(config.store) as store:
        write_dataset(load_dataset(config.data, seed=0), store)
        yield train(config, fetch_graph(store), folder / "run", progress=False)


def places(found: TopLists, head: int) -> list[tuple[int, float, int, bool]]:
    mine = found.head == head
    columns = (found.item, found.score, found.rank, found.cold)
    return list(zip(*(column[mine].tolist() for column in columns), strict=True))


def same(run: Run, got: list[tuple[int, float, int, bool]], wanted: list[Recommendation]) -> None:
    ids = run.vocabularies[NodeLabel.ITEM].ids
    assert [(ids[i], rank, cold) for i, _, rank, cold in got] == [
        (r.item_id, r.rank, r.cold) for r in wanted
    ]
    assert [score for _, score, _, _ in got] == pytest.approx([r.score for r in wanted], abs=1e-5)


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_recommendations_are_the_recommenders(run: Run, k: int) -> None:
    recommender = Recommender(run)
    users = torch.arange(60)
    for block in (users, users[[5, 3, 41]]):
        found = user_lists(recommender, block, k)
        assert sorted(set(found.head.tolist())) == sorted(block.tolist())
        for user in block.tolist():
            user_id = run.vocabularies[NodeLabel.USER].ids[user]
            same(run, places(found, user), recommender.recommend(user_id, k, num_reasons=0))


def test_strangers_get_what_is_popular_and_dislikes_stay_out(run: Run) -> None:
    history = run.scorer.history
    kept = [history.row(user) if user not in (3, 8) else history.row(0)[:0] for user in range(60)]
    pointer = torch.tensor([0, *map(len, kept)]).cumsum(0)
    emptied = Incidence(pointer, torch.cat(kept), 40)

    disliked = Incidence.from_pairs(
        torch.tensor([3, 3, 5]), torch.tensor([0, 7, 9]), 60, 40
    )  # of a stranger and of a user who is known
    observed = run.behaviours.observed.clone()
    observed[8] = True  # has no training item, and yet did something
    unmet = Fusion(run.scorer.parts, run.scorer.part_weights)
    unmet.history = emptied
    behaviours = replace(run.behaviours, disliked=disliked, observed=observed)
    recommender = Recommender(replace(run, scorer=unmet, behaviours=behaviours))
    found = user_lists(recommender, torch.arange(60), 1000)
    for user in (3, 5, 8, 11):
        user_id = run.vocabularies[NodeLabel.USER].ids[user]
        wanted = recommender.recommend(user_id, 1000, num_reasons=0)
        assert all(r.cold for r in wanted) == (user == 3)
        same(run, places(found, user), wanted)
    assert {0, 7}.isdisjoint({item for item, *_ in places(found, 3)})
    held_out = run.behaviours.held_out
    assert held_out is not None
    masked = {0, 7, *held_out.row(3).tolist()}
    assert {item for item, *_ in places(found, 3)} == set(range(40)) - masked


def test_similar_items_are_the_recommenders(run: Run) -> None:
    recommender = Recommender(run)
    found = item_lists(recommender, torch.arange(40), 6)
    for item in range(40):
        item_id = run.vocabularies[NodeLabel.ITEM].ids[item]
        same(run, places(found, item), recommender.similar(item_id, 6))


def test_without_network_the_closed_form_tells_what_is_similar(run: Run) -> None:
    def only(*names: str) -> Recommender:
        parts = {name: run.scorer.parts[name] for name in names}
        return Recommender(replace(run, scorer=Fusion(parts, dict.fromkeys(names, 1.0))))

    closed = only("closed_form")
    found = item_lists(closed, torch.tensor([4, 5]), 3)
    item_id = run.vocabularies[NodeLabel.ITEM].ids[5]
    same(closed.run, places(found, 5), closed.similar(item_id, 3))
    assert run_vectors(closed.run) is None
    with pytest.raises(NotFittedError):
        item_lists(only("popularity"), torch.tensor([0]), 3)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_equals_come_in_the_order_of_a_stable_sort(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 12))
    few = st.sampled_from([-torch.inf, -1.0, 0.0, 0.5, 2.0])
    cells = data.draw(st.lists(few, min_size=rows * columns, max_size=rows * columns))
    k = data.draw(st.integers(1, 15))
    scores = torch.tensor(cells).reshape(rows, columns)
    found = top_of(scores, torch.arange(rows) + 100, k, torch.zeros(rows, dtype=torch.bool))
    wanted = []
    for row in range(rows):
        ranked = sorted(range(columns), key=lambda c, row=row: (-float(scores[row, c]), c))
        ranked = [c for c in ranked if scores[row, c] > -torch.inf][:k]
        wanted += [(row + 100, c, float(scores[row, c]), n) for n, c in enumerate(ranked, start=1)]
    columns_of = (found.head, found.item, found.score, found.rank)
    assert list(zip(*(c.tolist() for c in columns_of), strict=True)) == wanted


def test_the_product_of_vectors_is_the_mean_of_the_networks_cosines(run: Run) -> None:
    vectors = run_vectors(run)
    assert vectors is not None
    network = run.scorer.parts["network"]
    assert isinstance(network, Fusion)
    assert len(network.parts) == 2
    users, items = vectors[NodeLabel.USER], vectors[NodeLabel.ITEM]
    for rows, columns, ends in (
        (users, items, ("user_embedding", "item_embedding")),
        (items, items, ("item_embedding", "item_embedding")),
    ):
        wanted = torch.zeros(len(rows), len(columns), dtype=torch.float64)
        for member in network.parts.values():
            one, other = (getattr(member, end).double() for end in ends)
            lengths = one.norm(dim=1)[:, None] * other.norm(dim=1)
            wanted += (one @ other.T) / lengths / 2
        products = rows.double() @ columns.double().T
        torch.testing.assert_close(products, wanted, atol=1e-6, rtol=0)
        for matrix in (rows, columns):  # so the product is the vectors' cosine, too
            torch.testing.assert_close(matrix.norm(dim=1), torch.ones(len(matrix)))
    alike = Recommender(run).item_scores(torch.arange(40))
    torch.testing.assert_close(items @ items.T, alike, atol=1e-6, rtol=0)


def test_a_node_without_direction_has_no_vector() -> None:
    matrix = torch.tensor([[0.5, 0.0], [0.0, 0.0], [torch.nan, 1.0], [0.0, -1.0]]).numpy()
    rows = vector_rows(["a", "b", "c", "d"], matrix, "vector_b")
    assert rows == [["a", {"vector_b": [0.5, 0.0]}], ["d", {"vector_b": [0.0, -1.0]}]]


def test_blocks_hold_a_bounded_number_of_scores() -> None:
    assert block_size(2**14) == 2**10
    assert block_size(2**30) == 1
    assert block_size(0) == 2**24
