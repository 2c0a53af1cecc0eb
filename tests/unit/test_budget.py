"""The clock of the searches."""

import pytest

from kgrec.training import climbing as module
from kgrec.training.climbing import Budget


def test_only_searching_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    budget = Budget(10.0)
    now += 50  # something is fitted
    assert not budget.is_spent()
    with budget.running("temperature"):
        now += 6
        assert not budget.is_spent()
    now += 50
    with budget.running("temperature"):
        now += 3
        assert not budget.is_spent()
        now += 1
        assert budget.is_spent()
    assert budget.is_spent()


def test_a_search_that_fails_has_cost_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    budget = Budget(5.0)

    def fail() -> None:
        nonlocal now
        with budget.running("temperature"):
            now += 5
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert budget.is_spent()


def test_without_a_limit_it_never_ends() -> None:
    assert not Budget(None).is_spent()
    assert Budget(0.0).is_spent()
