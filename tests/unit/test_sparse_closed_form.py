"""The sparse closed form against the exact one, by hand, and under other orders and blocks."""

import pytest
import torch
from graphs import history_of, random_graph

from kgrec.config import Config
from kgrec.errors import ConfigError, RunError, ShapeError
from kgrec.model.closed_form import ClosedForm, Refinements
from kgrec.model.incidence import Incidence, RelationRows, user_weights
from kgrec.model.sparse_closed_form import SparseClosedForm
from kgrec.model.sparse_inverse import sparse_gram, sparse_inverse
from kgrec.training import closed_form_search
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.fit import fit
from kgrec.training.relation_rows import relation_rows

GRAPH = random_graph(6, (20, 11, 6))
HISTORY = history_of(GRAPH)
ROWS = relation_rows(GRAPH)
WEIGHTS = {"genre": 0.7, "directed_by": 3.0, "features": 0.2, "sequel": 1.5, "view": 0.4}
EVERYONE = torch.arange(GRAPH.num_users)
EVERY_ITEM = torch.arange(GRAPH.num_items)


def drawn(num_users: int = 60, num_items: int = 30, each: int = 4, seed: int = 0) -> Incidence:
    """Random histories; popularity falls with the index, so that hubs and ties are clear."""
    generator = torch.Generator().manual_seed(seed)
    share = 1.0 / torch.arange(1, num_items + 1)
    items = torch.multinomial(share.expand(num_users, -1), each, generator=generator)
    users = torch.arange(num_users).repeat_interleave(each)
    return Incidence.from_pairs(users, items.flatten(), num_users, num_items)


def rows_of(*members: list[int], num_items: int) -> Incidence:
    owner = [row for row, items in enumerate(members) for _ in items]
    held = [item for items in members for item in items]
    return Incidence.from_pairs(torch.tensor(owner), torch.tensor(held), len(members), num_items)


def dense_weights(model: SparseClosedForm) -> torch.Tensor:
    every = torch.arange(model.num_items)
    return model.cells(every, every)


@pytest.mark.parametrize("hubs", [GRAPH.num_items, GRAPH.num_items + 5])
def test_with_every_item_a_hub_it_is_the_closed_form(hubs: int) -> None:
    exact = ClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0)
    sparse = SparseClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0, hubs=hubs)
    torch.testing.assert_close(sparse.score(EVERYONE), exact.score(EVERYONE), atol=1e-4, rtol=1e-4)
    assert sparse.relation_names == tuple(r.name for r in exact.relations)


@pytest.mark.parametrize("hubs", [0, 1, 4])
def test_with_every_item_a_neighbour_it_is_the_closed_form(hubs: int) -> None:
    # One relation row over all items makes every pair a cell of G.
    history = drawn(num_items=12)
    link = [RelationRows("link", rows_of(list(range(12)), num_items=12))]
    exact = ClosedForm.fit(history, link, {"link": 0.5}, 3.0)
    sparse = SparseClosedForm.fit(history, link, {"link": 0.5}, 3.0, neighbours=12, hubs=hubs)
    torch.testing.assert_close(dense_weights(sparse), exact.weights, atol=1e-4, rtol=1e-4)
    users = torch.arange(history.num_rows)
    torch.testing.assert_close(sparse.score(users), exact.score(users), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("hubs", [0, 1])
def test_three_items_by_hand(hubs: int) -> None:
    # Users {0, 1}, {0, 1}, {1, 2}, ridge 1: G = [[3, 2, 0], [2, 4, 1], [0, 1, 2]]. Item 1 is the
    # most popular; 0 and 2 never meet.
    history = rows_of([0, 1], [0, 1], [1, 2], num_items=3)
    model = SparseClosedForm.fit(history, [], {}, 1.0, neighbours=1, hubs=hubs)
    if hubs:  # S = {0, 1} for 0, {1} for 1, {1, 2} for 2
        # P_00 = 4/8, P_01 = -2/8; P_22 = 4/7, P_12 = -1/7; P_11 with 0 its neighbour: 3/8.
        wanted = torch.tensor([[0, 2 / 3, 0], [1 / 2, 0, 1 / 4], [0, (1 / 7) / (3 / 8), 0]])
        assert model.hubs.tolist() == [1]
    else:
        # Neighbours: 1 of 0, 0 of 1, 1 of 2: the cells 01 (twice the same) and 12 (once).
        wanted = torch.tensor(
            [[0, (2 / 8) / (3 / 8), 0], [(2 / 8) / (4 / 8), 0, 1 / 4], [0, (1 / 7) / (3 / 8), 0]]
        )
    torch.testing.assert_close(dense_weights(model), wanted, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        model.score(torch.tensor([2]))[0], wanted[1] + wanted[2], atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("hubs", [2, 9])
def test_user_weights_and_dropout_as_in_the_closed_form(hubs: int) -> None:
    history = drawn(num_items=9, each=6)  # every two items meet
    refined = Refinements(dropout=0.25, user_exponent=0.5)
    exact = ClosedForm.fit(history, [], {}, 2.0, refined)
    model = SparseClosedForm.fit(
        history,
        [],
        {},
        2.0,
        user_weight=user_weights(history.lengths, 0.5),
        dropout=0.25,
        hubs=hubs,
    )
    torch.testing.assert_close(dense_weights(model), exact.weights, atol=1e-5, rtol=1e-4)
    users = torch.arange(60)
    torch.testing.assert_close(model.score(users), exact.score(users), atol=1e-5, rtol=1e-4)


def test_training_takes_it_beyond_max_items_with_all_that_was_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refined = Refinements(dropout=0.25, user_exponent=0.5)
    found = ClosedFormSettings(2.0, WEIGHTS, None, refined)
    monkeypatch.setattr(closed_form_search, "search_closed_form", lambda *_, **__: found)

    def fitted(max_items: int) -> ClosedForm | SparseClosedForm:
        config = Config.build(
            {
                "data": {"interactions": "none.csv"},
                "closed_form": {"max_items": max_items},
                "fusion": {"network": False},
                "user_side": {"enabled": False},
                "factors": {"enabled": False},
                "cold": {"enabled": False},
            }
        )
        part = fit(config, GRAPH, progress=False).parts["closed_form"]
        assert isinstance(part, ClosedForm | SparseClosedForm)
        return part

    exact, sparse = fitted(GRAPH.num_items), fitted(GRAPH.num_items - 1)
    assert (type(exact), type(sparse)) == (ClosedForm, SparseClosedForm)
    # So few items are all hubs of the sparse one.
    torch.testing.assert_close(sparse.score(EVERYONE), exact.score(EVERYONE), atol=1e-4, rtol=1e-4)
    wanted = ClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0, refined)
    torch.testing.assert_close(exact.score(EVERYONE), wanted.score(EVERYONE))


def test_each_users_weight_enters_the_gram() -> None:
    history = drawn(num_items=9)
    d = torch.linspace(0.2, 2.0, history.num_rows)
    model = SparseClosedForm.fit(history, [], {}, 2.0, user_weight=d, dropout=0.25, hubs=9)
    X = history.dense(torch.float64)
    G = X.T @ (d.double()[:, None] * X)
    G += torch.diag(2.0 + G.diagonal() / 3)
    P = torch.linalg.inv(G)
    B = -P / P.diagonal()
    B.fill_diagonal_(0.0)
    torch.testing.assert_close(dense_weights(model), B.float(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("hubs", [0, 3])
def test_score_is_the_sum_of_rows_and_the_diagonal_is_zero(hubs: int) -> None:
    history = drawn()
    model = SparseClosedForm.fit(history, [], {}, 2.0, neighbours=5, hubs=hubs)
    B = dense_weights(model)
    assert not B.diagonal().any()
    users = torch.tensor([5, 0, 59, 5])
    torch.testing.assert_close(model.score(users), history.dense()[users] @ B)


def test_blocks_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    history = drawn()
    n = history.num_columns

    def made(pairs: int, cells: int) -> torch.Tensor:
        monkeypatch.setattr("kgrec.model.sparse_inverse._PAIRS_AT_ONCE", pairs)
        monkeypatch.setattr("kgrec.model.sparse_inverse._CELLS_AT_ONCE", cells)
        gram = sparse_gram(
            history, torch.ones(60), torch.full((n,), 2.0),
            hubs=torch.tensor([0, 2]), neighbours=6, fan_out=100,
        )  # fmt: skip
        inverse = sparse_inverse(gram)
        P = torch.zeros(n, n)
        P[inverse.pattern.rows, inverse.pattern.columns] = inverse.values
        P[:, inverse.hubs] = inverse.hub_columns
        return P + torch.diag(inverse.diagonal)

    torch.testing.assert_close(made(1, 1), made(10**6, 10**6), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(made(50, 300), made(10**6, 10**6), atol=1e-6, rtol=1e-5)


def test_the_order_of_items_and_users_changes_nothing() -> None:
    # User weights without repeats, so that no two cells of G tie.
    history = drawn()
    generator = torch.Generator().manual_seed(3)
    d = torch.rand(history.num_rows, generator=generator) + 0.5
    items = torch.randperm(history.num_columns, generator=generator)
    users = torch.randperm(history.num_rows, generator=generator)
    moved = Incidence.from_pairs(users[history.rows], items[history.columns], 60, 30)
    weight = torch.empty_like(d)
    weight[users] = d
    settings = {"neighbours": 6, "hubs": 1}  # item 0 is the most popular, alone
    one = dense_weights(SparseClosedForm.fit(history, [], {}, 2.0, user_weight=d, **settings))
    two = dense_weights(SparseClosedForm.fit(moved, [], {}, 2.0, user_weight=weight, **settings))
    torch.testing.assert_close(two[items][:, items], one, atol=1e-6, rtol=1e-5)


def test_contributions_add_up_exactly() -> None:
    model = SparseClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0, neighbours=3, hubs=2)
    for user in range(GRAPH.num_users):
        made = model.contributions(user, EVERY_ITEM)
        served = model.score(torch.tensor([user]))[0]
        torch.testing.assert_close(made.by_item.sum(1) + made.rest, served, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(made.by_relation.sum(1), served, atol=1e-6, rtol=1e-5)
        assert made.own_items.tolist() == HISTORY.row(user).tolist()
    assert not made.relations_exact


def test_state_is_bit_identical() -> None:
    model = SparseClosedForm.fit(HISTORY, ROWS, WEIGHTS, 2.0, neighbours=3, hubs=2)
    tensors, values = model.state()
    again = SparseClosedForm.from_state({k: t.clone() for k, t in tensors.items()}, values)
    assert torch.equal(again.score(EVERYONE), model.score(EVERYONE))
    assert again.relation_names == model.relation_names
    assert (again.num_users, again.num_items) == (GRAPH.num_users, GRAPH.num_items)


def test_a_row_beyond_the_fan_out_counts_as_single_rows() -> None:
    history = drawn(num_items=20)
    everything = RelationRows("shop", rows_of(list(range(20)), num_items=20))
    singles = RelationRows("shop", rows_of(*([i] for i in range(20)), num_items=20))

    def made(relation: RelationRows, fan_out: int) -> torch.Tensor:
        return dense_weights(
            SparseClosedForm.fit(
                history, [relation], {"shop": 5.0}, 2.0, neighbours=8, hubs=2, fan_out=fan_out
            )
        )

    torch.testing.assert_close(made(everything, 19), made(singles, 19))
    assert (made(everything, 20) - made(singles, 20)).abs().max() > 0.01


def test_progress_ends_with_all_items_of_each_step() -> None:
    told: list[tuple[str, int, int]] = []
    SparseClosedForm.fit(drawn(), [], {}, 2.0, progress=lambda *step: told.append(step))
    assert [step for step in told if step[1] == step[2]] == [("count", 30, 30), ("solve", 30, 30)]


def test_wrong_settings_are_refused() -> None:
    history = drawn()
    with pytest.raises(ConfigError, match="ridge"):
        SparseClosedForm.fit(history, [], {}, 0.0)
    with pytest.raises(ConfigError, match="dropout"):
        SparseClosedForm.fit(history, [], {}, 1.0, dropout=1.0)
    with pytest.raises(ConfigError, match="fan_out"):
        SparseClosedForm.fit(history, [], {}, 1.0, fan_out=0)
    with pytest.raises(ShapeError, match="user_weight"):
        SparseClosedForm.fit(history, [], {}, 1.0, user_weight=torch.ones(3))
    with pytest.raises(ShapeError, match="relation genre"):
        SparseClosedForm.fit(
            history, [RelationRows("genre", rows_of([0, 1], num_items=2))], {"genre": 1.0}, 1.0
        )


def test_a_state_of_0_1_is_read_if_its_scores_are_not_scaled_by_popularity() -> None:
    history = drawn(num_items=9, each=6)
    model = SparseClosedForm.fit(history, [], {}, 2.0)
    tensors, values = model.state()
    tensors["item_scale"] = torch.ones(9)
    again = SparseClosedForm.from_state(tensors, values)
    assert torch.equal(again.score(torch.arange(60)), model.score(torch.arange(60)))
    tensors["item_scale"] = torch.full((9,), 0.5)
    with pytest.raises(RunError, match="item_scale that is not 1"):
        SparseClosedForm.from_state(tensors, values)
