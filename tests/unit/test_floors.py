"""The floors by hand and against direct solutions."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kgrec.errors import ConfigError, ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease, ItemKNN, ease_weights
from kgrec.model.popularity import Popularity

#: Users 0 … 3 over items 0 … 2: {0, 1}, {0, 1}, {1, 2}, {}.
USER = torch.tensor([0, 0, 1, 1, 2, 2])
ITEM = torch.tensor([0, 1, 0, 1, 1, 2])
SIZE = (4, 3)


def random_pairs(seed: int, num_users: int, num_items: int, number: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    user = torch.from_numpy(rng.integers(num_users, size=number))
    item = torch.from_numpy((rng.random(number) ** 2 * num_items).astype(np.int64))
    return user, item


def dense(user: Tensor, item: Tensor, num_users: int, num_items: int) -> Tensor:
    matrix = torch.zeros(num_users, num_items, dtype=torch.float64)
    matrix[user, item] = 1.0
    return matrix


class TestIncidence:
    def test_rows_are_sorted_and_repeats_count_once(self) -> None:
        matrix = Incidence.from_pairs(torch.tensor([2, 0, 2, 2]), torch.tensor([1, 3, 0, 1]), 3, 4)
        assert [matrix.row(i).tolist() for i in range(3)] == [[3], [], [0, 1]]
        assert matrix.lengths.tolist() == [1, 0, 2]
        assert matrix.rows.tolist() == [0, 2, 2]
        columns, lengths = matrix.take(torch.tensor([2, 1, 0, 2]))
        assert columns.tolist() == [0, 1, 3, 0, 1]
        assert lengths.tolist() == [2, 0, 1, 2]

    def test_transposed(self) -> None:
        matrix = Incidence.from_pairs(USER, ITEM, *SIZE).transposed()
        assert [matrix.row(i).tolist() for i in range(3)] == [[0, 1], [0, 1, 2], [2]]

    @pytest.mark.parametrize("dense_cells", [0, 10_000])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_gram_is_the_matrix_product(
        self, weighted: bool, dense_cells: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kgrec.model.incidence._DENSE_CELLS", dense_cells)
        monkeypatch.setattr("kgrec.model.incidence._PAIRS_AT_ONCE", 50)  # many parts
        user, item = random_pairs(0, 40, 25, 300)
        X = dense(user, item, 40, 25)
        weight = torch.rand(40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        weight = weight if weighted else None
        expected = X.T @ (X if weight is None else weight[:, None] * X)
        got = Incidence.from_pairs(user, item, 40, 25).gram(weight, torch.float64)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(got, got.T, rtol=1e-15, atol=0)

    def test_an_empty_matrix_has_a_gram_of_zeros(self) -> None:
        empty = torch.tensor([], dtype=torch.int64)
        assert Incidence.from_pairs(empty, empty, 3, 2).gram().tolist() == [[0, 0], [0, 0]]

    def test_an_index_out_of_range_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="column indices run from 0 to 3; expected 0 to 2"):
            Incidence.from_pairs(torch.tensor([0, 1]), torch.tensor([0, 3]), 2, 3)


class TestPopularity:
    def test_scores_are_log_counts_of_users(self) -> None:
        popularity = Popularity(
            Incidence.from_pairs(
                torch.cat([USER, torch.tensor([0])]), torch.cat([ITEM, torch.tensor([1])]), *SIZE
            )
        )  # the repeated pair counts once
        expected = torch.log1p(torch.tensor([2.0, 3.0, 1.0]))
        torch.testing.assert_close(popularity.score(torch.tensor([3, 0])), expected.repeat(2, 1))


class TestItemKNN:
    def test_similarities_by_hand(self) -> None:
        knn = ItemKNN.fit(Incidence.from_pairs(USER, ITEM, *SIZE), neighbours=2, shrink=1.0)
        s01 = 2 / (np.sqrt(2 * 3) + 1)  # both took 0 and 1: users 0, 1
        s12 = 1 / (np.sqrt(3 * 1) + 1)
        expected = torch.tensor(
            [
                [s01, s01, s12],  # {0, 1}: item 0 through 1, item 1 through 0, item 2 through 1
                [s01, s01, s12],
                [s01, s12, s12],
                [0.0, 0.0, 0.0],
            ]
        ).float()
        torch.testing.assert_close(knn.score(torch.arange(4)), expected)

    def test_only_the_nearest_neighbours_count(self) -> None:
        knn = ItemKNN.fit(Incidence.from_pairs(USER, ITEM, *SIZE), neighbours=1, shrink=0.0)
        # Item 1's one neighbour is 0 (2/√6 > 1/√3); items 0 and 2 have 1.
        scores = knn.score(torch.tensor([2]))[0]  # owns 1 and 2
        torch.testing.assert_close(scores, torch.tensor([2 / 6**0.5, 0.0, 1 / 3**0.5]))

    def test_the_scattered_way_equals_the_dense_one_and_the_oracle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user, item = random_pairs(3, 50, 30, 400)
        monkeypatch.setattr("kgrec.model.item_to_item._CELLS_AT_ONCE", 7 * 30)  # blocks of 7 items
        rows = ItemKNN.fit(Incidence.from_pairs(user, item, 50, 30), neighbours=8, shrink=2.0)
        monkeypatch.setattr("kgrec.model.item_to_item._DENSE_UP_TO", 0)
        scattered = ItemKNN.fit(Incidence.from_pairs(user, item, 50, 30), neighbours=8, shrink=2.0)
        X = dense(user, item, 50, 30)
        n = X.sum(0)
        similarity = (X.T @ X) / ((n[:, None] * n[None, :]).sqrt() + 2.0)
        similarity.fill_diagonal_(0.0)
        kept = torch.zeros_like(similarity)
        top, index = similarity.topk(8, dim=1)
        kept.scatter_(1, index, top)
        users = torch.arange(50)
        torch.testing.assert_close(rows.score(users), scattered.score(users))
        # Ties at the eighth neighbour may go either way, so totals of similarity are compared.
        torch.testing.assert_close(rows._dense.sum(0), kept.sum(1).float())  # type: ignore[union-attr]
        torch.testing.assert_close(rows.score(users), (X @ rows._dense.double()).float())  # type: ignore[union-attr]

    @pytest.mark.parametrize("setting", [{"neighbours": 0}, {"shrink": -1.0}])
    def test_settings_out_of_range(self, setting: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="neighbours >= 1 and shrink >= 0"):
            ItemKNN.fit(Incidence.from_pairs(USER, ITEM, *SIZE), **setting)  # type: ignore[arg-type]


class TestEase:
    def test_three_items_by_hand(self) -> None:
        # G + I = [[3, 2, 0], [2, 4, 1], [0, 1, 2]], determinant 13.
        adjugate = torch.tensor([[7.0, -4.0, 2.0], [-4.0, 6.0, -3.0], [2.0, -3.0, 8.0]])
        expected = -adjugate / adjugate.diagonal()[None, :]
        expected.fill_diagonal_(0.0)
        ease = Ease.fit(Incidence.from_pairs(USER, ITEM, *SIZE), ridge=1.0)
        torch.testing.assert_close(ease.weights, expected)
        # User 2 owns items 1 and 2.
        torch.testing.assert_close(ease.score(torch.tensor([2]))[0], expected[1] + expected[2])

    def test_each_column_is_the_ridge_regression_on_the_other_items(self) -> None:
        user, item = random_pairs(1, 60, 12, 250)
        X = dense(user, item, 60, 12)
        weights = ease_weights(X.T @ X, 3.0)
        for j in range(12):
            others = [i for i in range(12) if i != j]
            A = X[:, others]
            solved = torch.linalg.solve(A.T @ A + 3.0 * torch.eye(11).double(), A.T @ X[:, j])
            torch.testing.assert_close(weights[others, j], solved)
            assert weights[j, j] == 0.0

    def test_single_precision_is_close_to_double(self) -> None:
        user, item = random_pairs(2, 300, 80, 3000)
        gram = Incidence.from_pairs(user, item, 300, 80).gram(dtype=torch.float64)
        double = ease_weights(gram, 50.0)
        torch.testing.assert_close(
            ease_weights(gram.float(), 50.0).double(), double, atol=1e-6, rtol=0
        )

    def test_the_gram_matrix_is_kept_unless_it_may_be_overwritten(self) -> None:
        gram = Incidence.from_pairs(USER, ITEM, *SIZE).gram()
        before = gram.clone()
        kept = ease_weights(gram, 1.0)
        assert torch.equal(gram, before)
        overwritten = ease_weights(gram, 1.0, overwrite=True)
        assert overwritten.data_ptr() == gram.data_ptr()
        assert torch.equal(kept, overwritten)

    @pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan")])
    def test_the_ridge_must_be_positive(self, ridge: float) -> None:
        with pytest.raises(ConfigError, match="ridge must be positive"):
            ease_weights(torch.eye(2), ridge)

    def test_a_matrix_that_is_not_positive_definite_names_the_way_out(self) -> None:
        with pytest.raises(ConfigError, match=r"not positive definite.*try 10"):
            ease_weights(torch.tensor([[1.0, 9.0], [9.0, 1.0]]), 1.0)

    def test_a_matrix_that_is_no_gram_is_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"expected a Gram matrix \(n, n\)"):
            ease_weights(torch.zeros(2, 3), 1.0)

    def test_threads_are_restored(self) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            ease_weights(torch.eye(3), 1.0)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)
