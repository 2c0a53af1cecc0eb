"""The closed form against a direct solution, and its shares against differences."""

import numpy as np
import pytest
import torch
from graphs import ENTITY, ITEM, USER, behaviour, history_of, make_graph, random_graph, relation

from kgrec.errors import ConfigError, RunError, ShapeError
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.incidence import Incidence, RelationRows, weighted_gram
from kgrec.model.item_to_item import Ease
from kgrec.schema import Role
from kgrec.training.relation_rows import relation_rows

GRAPH = random_graph(6, (20, 11, 6))
HISTORY = history_of(GRAPH)
ROWS = relation_rows(GRAPH)
WEIGHTS = {"genre": 0.7, "directed_by": 3.0, "features": 0.2, "sequel": 1.5, "view": 0.4}
EVERYONE = torch.arange(GRAPH.num_users)
EVERY_ITEM = torch.arange(GRAPH.num_items)


def fitted(weights: dict[str, float] | None = None, ridge: float = 2.0) -> ClosedForm:
    return ClosedForm.fit(HISTORY, ROWS, WEIGHTS if weights is None else weights, ridge)


def solved(weights: dict[str, float], ridge: float = 2.0) -> np.ndarray:
    """Scores by numpy in float64: relations as rows scaled by √w under X, each column of B on its
    own with its own item forbidden."""
    X = HISTORY.dense(torch.float64).numpy()
    stacked = np.vstack(
        [X, *(weights.get(r.name, 0) ** 0.5 * r.rows.dense(torch.float64).numpy() for r in ROWS)]
    )
    size = X.shape[1]
    B = np.zeros((size, size))
    for target in range(size):
        others = np.delete(np.arange(size), target)
        A = stacked[:, others]
        B[others, target] = np.linalg.solve(
            A.T @ A + ridge * np.eye(size - 1), A.T @ stacked[:, target]
        )
    return X @ B


def test_equals_ridge_regression_on_stacked_rows() -> None:
    np.testing.assert_allclose(fitted().score(EVERYONE), solved(WEIGHTS), atol=2e-6)
    assert np.abs(solved(WEIGHTS) - solved({})).max() > 0.01  # the relations matter here


def test_without_relations_it_is_ease() -> None:
    ease = Ease.fit(HISTORY, ridge=2.0)
    plain = fitted({})
    torch.testing.assert_close(plain.score(EVERYONE), ease.score(EVERYONE))
    made = plain.contributions(3, EVERY_ITEM)
    assert made.relation_names == ("INTERACTED",)
    assert made.relations_exact


def test_weights_of_zero_leave_a_relation_out() -> None:
    model = fitted({"genre": 0.0, "sequel": 1.0})
    assert [r.name for r in model.relations] == ["sequel"]
    assert model.relation_weights == {"sequel": 1.0}


def test_gram_adds_up_relations() -> None:
    X = HISTORY.dense(torch.float64)
    wanted = X.T @ X
    for r in ROWS:
        A = r.rows.dense(torch.float64)
        wanted += WEIGHTS[r.name] * A.T @ A
    got = weighted_gram(HISTORY, ROWS, WEIGHTS, torch.float64, torch.ones(HISTORY.num_rows))
    torch.testing.assert_close(got, wanted, rtol=1e-14, atol=1e-14)


def test_own_items_shares_are_exact() -> None:
    model = fitted()
    for user in range(GRAPH.num_users):
        made = model.contributions(user, EVERY_ITEM)
        served = model.score(torch.tensor([user]))[0]
        torch.testing.assert_close(made.by_item.sum(1) + made.rest, served, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(made.by_relation.sum(1), served, atol=1e-5, rtol=1e-5)
        assert not made.rest.any()
    # Without an own item, the weights held, the score is less by its share.
    user = 0
    made = model.contributions(user, EVERY_ITEM)
    for place, own in enumerate(made.own_items.tolist()):
        kept = HISTORY.row(user)[HISTORY.row(user) != own]
        less = model.weights[kept].sum(0)
        torch.testing.assert_close(
            model.score(torch.tensor([user]))[0] - less,
            made.by_item[:, place],
            atol=1e-6,
            rtol=1e-5,
        )


@pytest.mark.parametrize("user", [0, 7, 19])
def test_relation_shares_are_the_weight_times_the_derivative(user: int) -> None:
    # All items, so own ones too, whose zero diagonal needs care. User 19 has no history.
    made = fitted().contributions(user, EVERY_ITEM)
    assert set(made.relation_names) == {"INTERACTED", *WEIGHTS}
    assert not made.relations_exact
    for name, weight in WEIGHTS.items():
        step = 1e-4 * weight
        up, down = solved(WEIGHTS | {name: weight + step}), solved(WEIGHTS | {name: weight - step})
        slope = (up - down)[user] / (2 * step)
        column = made.by_relation[:, made.relation_names.index(name)]
        np.testing.assert_allclose(column, weight * slope, atol=5e-6)
    if user != 19:
        assert made.by_relation[:, 1:].abs().max() > 1e-3


RANKS = torch.rand(len(HISTORY.columns), generator=torch.Generator().manual_seed(4)) * 6
REFINED = Refinements(0.25, 0.5, bandwidth=2.0, kernel_share=0.6, recency=3.0)


def solved_refined(weights: dict[str, float], ridge: float = 2.0) -> np.ndarray:
    """As `solved`, with everything that refines it written out as loops."""
    X = HISTORY.dense(torch.float64).numpy()
    size, rank = X.shape[1], np.zeros_like(X)
    rank[HISTORY.rows, HISTORY.columns] = RANKS
    activity = X.sum(1)
    gram, own, inputs = np.zeros((size, size)), np.zeros(size), np.zeros_like(X)
    for user, row in enumerate(X):
        weight = (max(activity[user], 1) / 10) ** -0.5
        items = np.flatnonzero(row)
        for i in items:
            own[i] += weight
            inputs[user, i] = np.exp((rank[user, i] - rank[user, items].max()) / 3.0)
            for j in items:
                near = np.exp(-abs(rank[user, i] - rank[user, j]) / 2.0)
                gram[i, j] += weight * (0.4 + 0.6 * near)
    for r in ROWS:
        A = r.rows.dense(torch.float64).numpy()
        gram += weights.get(r.name, 0) * A.T @ A
    P = np.linalg.inv(gram + np.diag(ridge + 0.25 / 0.75 * own))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return inputs @ B


def test_refinements_are_what_they_say() -> None:
    model = ClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0, REFINED, RANKS)
    np.testing.assert_allclose(model.score(EVERYONE), solved_refined(WEIGHTS), atol=2e-6)
    made = model.contributions(4, EVERY_ITEM)
    torch.testing.assert_close(made.by_item.sum(1), model.score(torch.tensor([4]))[0])
    torch.testing.assert_close(made.by_relation.sum(1), model.score(torch.tensor([4]))[0])
    for name in ("genre", "view"):
        step = 1e-4 * WEIGHTS[name]
        up, down = (solved_refined(WEIGHTS | {name: WEIGHTS[name] + s}) for s in (step, -step))
        slope = WEIGHTS[name] * (up - down)[4] / (2 * step)
        column = made.by_relation[:, made.relation_names.index(name)]
        np.testing.assert_allclose(column, slope, atol=5e-6)


def test_refinements_need_ranks() -> None:
    with pytest.raises(ShapeError, match="no ranks were given"):
        ClosedForm.fit(HISTORY, ROWS, {}, 2.0, Refinements(recency=3.0))
    with pytest.raises(ShapeError, match="no ranks were given"):
        ClosedForm.fit(HISTORY, ROWS, {}, 2.0, Refinements(bandwidth=3.0, kernel_share=0.5))


def test_state_is_bit_identical() -> None:
    model = fitted()
    tensors, values = model.state()
    again = ClosedForm.from_state({name: t.clone() for name, t in tensors.items()}, values)
    assert torch.equal(again.score(EVERYONE), model.score(EVERYONE))
    one, two = model.contributions(4, EVERY_ITEM), again.contributions(4, EVERY_ITEM)
    assert torch.equal(one.by_relation, two.by_relation)
    assert one.relation_names == two.relation_names


def test_rows_over_another_catalogue_are_refused() -> None:
    wrong = RelationRows("genre", Incidence.from_pairs(torch.tensor([0]), torch.tensor([0]), 1, 3))
    with pytest.raises(ShapeError, match="relation genre has rows over 3 items, expected 11"):
        ClosedForm.fit(HISTORY, [wrong], {"genre": 1.0}, 2.0)
    with pytest.raises(ConfigError, match="ridge must be positive"):
        fitted(ridge=0.0)


def test_rows_of_relations_by_hand() -> None:
    graph = make_graph(
        (1, 4, 3),
        [(0, 0)],
        (
            relation("genre", [(0, 2), (1, 2), (1, 0)]),
            relation("genre", [(1, 3)], ENTITY, ITEM),  # one name, other direction
            relation("sequel", [(0, 1)], ITEM, ITEM),
            relation("part_of", [(0, 1)], ENTITY, ENTITY),
            relation("likes", [(0, 1)], USER, ENTITY),
            relation("empty", []),
        ),
    )
    rows = {r.name: sorted(map(tuple, r.rows.dense().int().tolist())) for r in relation_rows(graph)}
    assert rows == {
        "genre": [(0, 0, 0, 1), (0, 1, 0, 0), (1, 1, 0, 0)],
        "sequel": [(1, 1, 0, 0), (1, 1, 0, 0)],
    }


def test_rows_of_behaviours_by_hand() -> None:
    graph = make_graph(
        (3, 3, 4),
        [(0, 0)],
        (
            behaviour("view", [(2, 0), (2, 2), (0, 1)]),
            behaviour("dismiss", [(0, 1), (0, 2)], Role.NEGATIVE),
            behaviour("genre", [(1, 0), (1, 1)]),  # named like a relation
            relation("genre", [(0, 3), (2, 3)]),
            relation("follows", [(0, 1), (1, 2)], USER, USER),
            relation("country", [(0, 2), (1, 2)], USER, ENTITY),
            relation("wrote", [(0, 0), (1, 1)], USER, ENTITY),
            relation("reviews", [(0, 0), (1, 0)], ENTITY, ITEM),  # no review is of two items
        ),
    )
    found = relation_rows(graph)
    rows = {r.name: r.rows.dense().int().tolist() for r in found}
    assert rows == {
        "genre": [[1, 0, 1]],
        "genre_evidence": [[0, 0, 0], [1, 1, 0], [0, 0, 0]],
        "view": [[0, 1, 0], [0, 0, 0], [1, 0, 1]],
    }
    assert [r.name for r in found if r.by_user] == ["genre_evidence", "view"]


def test_a_state_of_0_1_is_read_if_its_scores_are_not_scaled_by_popularity() -> None:
    model = ClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0, REFINED, RANKS)
    tensors, values = model.state()
    tensors["item_scale"] = torch.ones(len(tensors["diagonal"]))
    values["refinements"]["popularity_exponent"] = 0.0
    again = ClosedForm.from_state(tensors, values)
    assert torch.equal(again.score(EVERYONE), model.score(EVERYONE))
    assert again.refinements == REFINED
    tensors["item_scale"] = tensors["item_scale"] * 0.5
    with pytest.raises(RunError, match=r"item_scale that is not 1.*since 0\.2; train again"):
        ClosedForm.from_state(tensors, values)
    with pytest.raises(RunError, match=r"popularity_exponent 0\.3, expected 0"):
        Refinements.from_saved({"dropout": 0.1, "popularity_exponent": 0.3})
