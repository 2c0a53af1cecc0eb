"""Users who have done nothing yet: the arithmetic, what stays, and when popularity is as good."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from graphs import ENTITY, ITEM, USER, behaviour, history_of, make_graph, relation
from torch import Tensor

from kgrec.config import Config
from kgrec.errors import ShapeError
from kgrec.evaluation.floors import train_history
from kgrec.graph.data import GraphData, Interactions, RelationEdges
from kgrec.model.cold_users import ColdUsers, Profiles
from kgrec.model.item_to_item import Ease
from kgrec.schema import Role, Split
from kgrec.training.cold import users as cold_users
from kgrec.training.cold.settings import ColdUserSettings
from kgrec.training.cold.users import expect, fit_cold_users
from kgrec.training.cold.views import user_views
from kgrec.training.record import FitRecord

USERS, ITEMS = 84, 30
COLD = (80, 81, 82, 83)  # even, odd, even, odd; of the last two nothing is known
KNOWN = range(82)


def _config(**tree: Any) -> Config:
    return Config.build({"data": {"interactions": "none.csv"}, **tree}, source="test")


def _checkerboard(relations: Sequence[RelationEdges] | None = None, seed: int = 0) -> GraphData:
    """Even users take even items, odd users odd ones; by default a user's team is their parity."""
    rng = np.random.default_rng(seed)
    user, item = np.meshgrid(np.arange(USERS), np.arange(ITEMS), indexing="ij")
    taken = (user % 2 == item % 2) & (rng.random((USERS, ITEMS)) < 0.5)
    taken[COLD, :] = False
    if relations is None:
        relations = [relation("team", [(u, u % 2) for u in KNOWN], USER, ENTITY)]
    return make_graph((USERS, ITEMS, 2), np.argwhere(taken).tolist(), relations)


def _with_users(graph: GraphData, frame: dict[str, Any]) -> GraphData:
    return replace(graph, properties={**graph.properties, USER: pd.DataFrame(frame)})


def _ease(graph: GraphData) -> Ease:
    return Ease.fit(train_history(graph), ridge=10.0)


def _fitted(graph: GraphData, seed: int = 0, record: Any = None, **tree: Any) -> ColdUsers | None:
    return fit_cold_users(_config(**tree), graph, _ease(graph), None, seed, record)


def _by_hand() -> ColdUsers:
    """Users 83 and 80 are cold; 30 items, two directions."""
    generator = torch.Generator().manual_seed(0)
    made = Profiles(
        torch.tensor([83, 80]),
        torch.tensor([[1.0, -2.0], [0.5, 0.0]]),
        torch.randn(2, ITEMS, generator=generator),
        torch.randn(ITEMS, generator=generator),
        ("team",),
    )
    return ColdUsers(_ease(_checkerboard()), made)


def test_scores_by_hand_and_all_others_stay_exactly() -> None:
    completed = _by_hand()
    made, users = completed.profiles, torch.tensor([80, 3, 83, 81, 80])
    scores = completed.score(users)
    torch.testing.assert_close(scores[0], made.base + 0.5 * made.directions[0])
    torch.testing.assert_close(scores[2], made.base + made.directions[0] - 2 * made.directions[1])
    assert torch.equal(scores[4], scores[0])
    assert torch.equal(scores[[1, 3]], completed.scorer.score(users)[[1, 3]])
    assert completed.score(users[:0]).shape == (0, ITEMS)
    assert [completed.replaces(user) for user in (80, 81, 3, 83)] == [True, False, False, True]


@pytest.mark.parametrize("user", [3, 80, 81, 83])
def test_contributions_add_up(user: int) -> None:
    completed, items = _by_hand(), torch.tensor([7, 0, 29])
    parts = completed.contributions(user, items)
    score = completed.score(torch.tensor([user]))[0, items]
    torch.testing.assert_close(parts.score, score, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(parts.by_item.sum(1) + parts.rest, score, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(parts.by_relation.sum(1), score, atol=1e-5, rtol=1e-4)
    if completed.replaces(user):
        assert parts.relation_names == ("self", "profile")
        assert torch.equal(parts.by_relation[:, 0], completed.profiles.base[items])


def test_state_makes_an_equal_scorer() -> None:
    completed = _by_hand()
    again = ColdUsers.from_state(*completed.state())
    everyone = torch.arange(USERS)
    assert torch.equal(again.score(everyone), completed.score(everyone))
    assert again.profiles.views == ("team",)
    assert isinstance(again.scorer, Ease)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 users over 5 items in 3 directions"):
        Profiles(torch.arange(2), torch.ones(2, 3), torch.ones(3, 4), torch.ones(5))
    few = Profiles(torch.arange(2), torch.ones(2, 3), torch.ones(3, 4), torch.ones(4))
    with pytest.raises(ShapeError, match="over 4 items, but the scorer has 30"):
        ColdUsers(_ease(_checkerboard()), few)


def _oracle(graph: GraphData, settings: ColdUserSettings, warm: Tensor, cold: Tensor) -> Any:
    """b + γ Σ_v M_uv (x_v / √n_v - mean) in numpy, from the views' kernels."""
    users = torch.cat([warm, cold])
    kernels = [view.kernel(users).double().numpy() for view in user_views(graph)]
    kernels = [kernel / kernel.diagonal().mean() for kernel in kernels]
    total = np.average(kernels, axis=0, weights=settings.view_weights)
    total = total + settings.product * total**2
    w = len(warm)
    mix = np.linalg.solve(total[:w, :w] + settings.noise * np.eye(w), total[:w, w:])
    taken = history_of(graph).dense(torch.float64).numpy()
    tastes = taken[warm] / np.sqrt(np.maximum(taken[warm].sum(axis=1, keepdims=True), 1))
    logs = np.log1p(taken.sum(axis=0))
    return (logs - logs.mean()) / logs.std(), settings.scale * mix.T @ (tastes - tastes.mean(0))


def _described() -> GraphData:
    rng = np.random.default_rng(1)
    jobs = [str(job) for job in rng.choice(["smith", "baker", "clerk"], USERS)]
    return _with_users(_checkerboard(), {"age": rng.integers(18, 70, USERS), "job": jobs})


def test_what_is_expected_is_kernel_ridge_on_histories() -> None:
    graph, settings = _described(), ColdUserSettings((1.0, 0.5, 2.0, 3.0), 2.0, 0.7, 4.0)
    warm, cold = torch.arange(5, 80), torch.tensor([82, 80, 2])
    made = expect(graph, user_views(graph), settings, warm, cold, np.random.default_rng(0))
    base, profile = _oracle(graph, settings, warm, cold)
    np.testing.assert_allclose(made.base.numpy(), base, atol=1e-5)
    np.testing.assert_allclose((made.factors @ made.directions).numpy(), profile, atol=1e-5)
    assert made.views == ("team", "age", "job")


def test_fewer_directions_lose_no_more_than_they_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the truncated singular value decomposition, the best there is."""
    graph, settings = _described(), ColdUserSettings((1.0, 0.5, 2.0, 3.0), 2.0, 0.7, 4.0)
    warm, cold = torch.arange(40), torch.arange(40, USERS)
    monkeypatch.setattr(cold_users, "_MOST_DIRECTIONS", 4)
    made = expect(graph, user_views(graph), settings, warm, cold, np.random.default_rng(0))
    assert made.directions.shape == (4, ITEMS)
    _, profile = _oracle(graph, settings, warm, cold)
    lost = np.linalg.norm((made.factors @ made.directions).numpy() - profile)
    least = np.sqrt((np.linalg.svd(profile, compute_uv=False)[4:] ** 2).sum())
    assert lost <= 1.1 * least + 1e-5


def test_blocks_of_cold_users_are_expected_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of one number does not depend on who else is asked for."""
    graph = _with_users(_checkerboard([]), {"age": np.arange(USERS) % 11})
    settings = ColdUserSettings((1.0, 1.0), 2.0, 0.4, 4.0)
    warm, cold = torch.arange(60), torch.arange(60, USERS)
    whole = expect(graph, user_views(graph), settings, warm, cold, np.random.default_rng(0))
    monkeypatch.setattr(cold_users, "_COLD_AT_ONCE", 13)
    parts = expect(graph, user_views(graph), settings, warm, cold, np.random.default_rng(0))
    torch.testing.assert_close(
        parts.factors @ parts.directions, whole.factors @ whole.directions, atol=1e-5, rtol=1e-4
    )


def test_cold_users_get_the_items_of_their_team() -> None:
    graph, record = _checkerboard(), FitRecord(seed=0, device="cpu")
    made = _fitted(graph, record=record)
    assert made is not None
    scores = made.score(torch.arange(USERS))
    for user in (80, 81):
        own = torch.arange(ITEMS) % 2 == user % 2
        assert float(scores[user][own].min()) > float(scores[user][~own].max())
    others = torch.tensor([u for u in range(USERS) if u not in (80, 81)])
    assert torch.equal(scores[others], made.scorer.score(others))
    cold_users = record.cold_users
    assert cold_users is not None
    assert cold_users.is_used
    assert cold_users.users == 2
    assert cold_users.views == ["team"]
    inner = cold_users.settings["inner"]
    assert inner["ndcg@20"] > inner["popularity"] + 0.1


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(relation("friend", [(u, u + 2) for u in range(80)], USER, USER), id="friends"),
        pytest.param(relation("member", [(u % 2, u) for u in KNOWN], ENTITY, USER), id="members"),
        pytest.param(behaviour("view", [(u, u % 2 + 2 * n) for u in KNOWN for n in (0, 3, 7)]),
                     id="views"),
    ],
)  # fmt: skip
def test_friends_members_and_views_tell_as_well(known: RelationEdges) -> None:
    made = _fitted(_checkerboard([known]))
    assert made is not None
    scores = made.score(torch.tensor([80, 81]))
    even = torch.arange(ITEMS) % 2 == 0
    assert float(scores[0][even].mean()) > float(scores[0][~even].mean()) + 0.5
    assert float(scores[1][~even].mean()) > float(scores[1][even].mean()) + 0.5


@pytest.mark.parametrize("seed", range(10))
def test_where_profiles_say_nothing_popularity_stays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    team = relation("team", [(u, int(rng.integers(2))) for u in KNOWN], USER, ENTITY)
    graph = _with_users(_checkerboard([team], seed), {"age": rng.integers(18, 70, USERS)})
    record = FitRecord(seed=seed, device="cpu")
    assert _fitted(graph, seed, record) is None
    assert record.cold_users is not None
    assert record.cold_users.is_used is False


def test_nothing_cold_nothing_known_and_too_few_are_left_alone() -> None:
    graph = _checkerboard()
    assert _fitted(_checkerboard([])) is None
    warm_only = relation("team", [(u, u % 2) for u in range(80)], USER, ENTITY)
    assert _fitted(_checkerboard([warm_only])) is None
    few = graph.train.user_index < 25
    train = Interactions(graph.train.user_index[few], graph.train.item_index[few])
    assert _fitted(replace(graph, train=train)) is None
    turned_down = behaviour("dismiss", [(u, u % 2) for u in KNOWN], Role.NEGATIVE)
    assert _fitted(_checkerboard([turned_down])) is None


def test_held_out_pairs_are_not_looked_at_and_a_seed_repeats() -> None:
    graph = _checkerboard()
    held = {Split.VALID: Interactions(np.array([80, 81]), np.array([1, 2]))}
    first, second = _fitted(graph), _fitted(replace(graph, held_out=held))
    assert first is not None
    assert second is not None
    users = torch.arange(USERS)
    assert torch.equal(first.score(users), second.score(users))


def test_whom_the_network_serves_it_serves_still() -> None:
    """User 80 has views, so the network knows them; user 81 has none."""
    team = relation("team", [(u, u % 2) for u in KNOWN], USER, ENTITY)
    graph = _checkerboard([team, behaviour("view", [(80, 0), (80, 2), (4, 2)])])
    scorer: Any = _ease(graph)
    for weight, served in ((0.5, False), (0.0, True)):
        scorer.part_weights = {"network": weight}
        made = fit_cold_users(_config(), graph, scorer, None, 0)
        assert made is not None
        assert [made.replaces(user) for user in (80, 81)] == [served, True]


def test_views_are_relations_behaviours_numbers_words_and_text() -> None:
    text = ["loves the sea", "the sea and boats", None, "space travel"] * 21
    frame = {
        "age": np.linspace(18, 70, USERS),
        "age_scaled": np.linspace(-1, 1, USERS),
        "job": ["smith", "baker"] * 42,
        "alone": [f"only {u}" for u in range(USERS)],
        "same": ["all"] * USERS,
        "text": text,
    }
    view = behaviour("view", [(u, u % 3) for u in range(USERS)])
    team = relation("team", [(u, u % 2) for u in KNOWN], USER, ENTITY)
    views = user_views(_with_users(_checkerboard([view, team]), frame))
    assert [v.name for v in views] == ["team", "view", "age", "age", "job", "text"]
    users = torch.tensor([0, 81, 2, 1, 83, 40])
    for each in views:
        kernel = each.kernel(users)
        torch.testing.assert_close(kernel, kernel.mT)
        assert torch.linalg.eigvalsh(kernel.double()).min() > -1e-5
        assert kernel[~each.known[users]].eq(0).all()
    words = views[-1].kernel(users)
    assert float(words[0, 1]) > 0.1  # both tell of the sea
    assert float(words[0, 4]) == 0.0
    assert not bool(views[-1].known[2])
    assert views[0].known.tolist() == [u in KNOWN for u in range(USERS)]


def test_views_of_what_was_taken_are_no_views() -> None:
    """Nothing is known of the interactions of a cold user, hence nothing may be of a warm one's."""
    graph = _checkerboard()
    pairs = list(zip(graph.train.user_index.tolist(), graph.train.item_index.tolist(), strict=True))
    more = [(80, 0), (82, 0)]
    alone, beside = (
        user_views(_checkerboard([behaviour("view", shown)]))[0] for shown in (more, pairs + more)
    )
    assert torch.equal(alone.known, beside.known)
    users = torch.tensor([80, 82, 3])
    assert torch.equal(alone.kernel(users), beside.kernel(users))


def test_text_that_tells_histories_is_not_read() -> None:
    graph = _checkerboard([])
    features = np.zeros((USERS, 2), dtype=np.float32)
    features[list(KNOWN), [u % 2 for u in KNOWN]] = 1.0
    text = {USER: features, ITEM: np.zeros((ITEMS, 2), dtype=np.float32)}
    assert fit_cold_users(_config(), graph, _ease(graph), text, 0) is None
    told = _config(text={"history": 0})
    made = fit_cold_users(told, graph, _ease(graph), text, 0)
    assert made is not None
    scores, even = made.score(torch.tensor([80]))[0], torch.arange(ITEMS) % 2 == 0
    assert float(scores[even].min()) > float(scores[~even].max())
