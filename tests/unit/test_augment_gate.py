"""The gate's decisions on cases that were made for them."""

import numpy as np
import pytest

from kgrec.augment.gate import NONE, SPARSE, UNTOUCHED, Decision, decide

TRAININGS, USERS = 5, 600
RNG = np.random.default_rng(0)
BASE = RNG.uniform(0.1, 0.3, (TRAININGS, USERS))
TAIL = RNG.uniform(0.0, 0.1, (TRAININGS, USERS))
COHORTS = {SPARSE: np.arange(USERS) < 300, "users/>20": np.arange(USERS) >= 300}


def noise() -> np.ndarray:
    return RNG.normal(0, 0.02, (TRAININGS, USERS))


def gate(tail: dict[str, np.ndarray] | None = None, **sources: np.ndarray) -> Decision:
    """Decides about gains (s, n) of sources on top of none."""
    ndcg = {NONE: BASE, **{name: BASE + gain + noise() for name, gain in sources.items()}}
    tails = dict.fromkeys(ndcg, TAIL) | {k: TAIL + v for k, v in (tail or {}).items()}
    return decide(ndcg, tails, COHORTS)


def test_a_helpful_source_is_let_in() -> None:
    found = gate(teacher=np.where(COHORTS[SPARSE], 0.02, 0.0))
    assert found.winner == "teacher"
    (verdict,) = found.verdicts
    assert verdict.sparse.difference == pytest.approx(0.02, abs=0.002)
    assert verdict.relative == pytest.approx(0.02 / BASE[:, :300].mean(), rel=0.1)
    assert "lets in teacher" in found.words()


def test_a_useless_source_is_not() -> None:
    found = gate(random=np.zeros(USERS))
    assert found.winner == NONE
    assert not found.verdicts[0].harmed
    assert "no synthetic edges" in found.words()


def test_a_harmful_one_is_named() -> None:
    found = gate(random=np.full(USERS, -0.02))
    assert found.winner == NONE
    assert set(found.verdicts[0].harmed) == {"all", SPARSE, "users/>20"}
    assert "harms all" in found.words()


def test_what_sparse_users_gain_may_not_cost_others() -> None:
    found = gate(knn=np.where(COHORTS[SPARSE], 0.03, -0.01))
    assert found.winner == NONE
    assert found.verdicts[0].harmed == ("users/>20",)


def test_what_helps_through_popularity_alone_costs_the_tail() -> None:
    found = gate({"popularity": np.full(USERS, -0.02)}, popularity=np.full(USERS, 0.02))
    assert found.winner == NONE
    assert found.verdicts[0].harmed == ("tail items",)


def test_the_best_of_those_let_in_is_picked() -> None:
    sparse = COHORTS[SPARSE]
    found = gate(
        teacher=np.where(sparse, 0.02, 0.0),
        gan=np.where(sparse, 0.03, 0.0),
        knn=np.where(sparse, 0.05, -0.02),
    )
    assert found.winner == "gan"
    assert list(found.versus) == [("teacher", "gan"), ("teacher", "knn"), ("gan", "knn")]
    assert found.versus["teacher", "gan"].high < 0


def test_one_lucky_training_is_not_enough() -> None:
    gain = np.zeros((TRAININGS, USERS))
    gain[0] = 0.05
    assert gate(gan=gain).winner == NONE


def test_what_only_spoils_less_than_learning_on_does_is_refused() -> None:
    # Learning on cost everybody .03; the source gives sparse users .02 of it back.
    sparse = COHORTS[SPARSE]
    ndcg = {
        UNTOUCHED: BASE + 0.03,
        NONE: BASE,
        "gan": BASE + np.where(sparse, 0.02, 0.0) + noise(),
        "teacher": BASE + np.where(sparse, 0.06, 0.03) + noise(),
    }
    tail = dict.fromkeys(ndcg, TAIL)
    found = decide(ndcg, tail, COHORTS)
    gan, teacher = found.verdicts
    assert gan.sparse.low > 0
    assert not gan.helps
    assert set(gan.harmed) == {"all", SPARSE, "users/>20"}
    assert teacher.may_enter
    assert found.winner == "teacher"
    assert [verdict.source for verdict in found.verdicts] == ["gan", "teacher"]


def test_one_training_is_judged_over_users() -> None:
    gain = np.where(COHORTS[SPARSE], 0.03, 0.0)
    ndcg = {NONE: BASE[:1], "gan": BASE[:1] + gain + noise()[:1]}
    assert decide(ndcg, dict.fromkeys(ndcg, TAIL[:1]), COHORTS).winner == "gan"


def test_without_any_tail_item_users_alone_decide() -> None:
    gain = np.where(COHORTS[SPARSE], 0.03, 0.0)
    ndcg = {NONE: BASE, "gan": BASE + gain + noise()}
    found = decide(ndcg, dict.fromkeys(ndcg, np.full_like(TAIL, np.nan)), COHORTS)
    assert found.winner == "gan"
    assert found.verdicts[0].tail is None


def test_users_without_tail_items_say_nothing_of_them() -> None:
    tail = {"gan": np.where(np.arange(USERS) % 2, 0.0, np.nan)}
    ndcg = {NONE: BASE, "gan": BASE + 0.02 + noise()}
    tails = {NONE: TAIL + tail["gan"], "gan": TAIL + tail["gan"] - 0.001}
    found = decide(ndcg, tails, COHORTS)
    assert found.verdicts[0].tail.difference == pytest.approx(-0.001)
