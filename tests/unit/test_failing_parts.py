"""A part of somebody's own that fails is named, before its run costs more."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from graphs import checkerboard
from own_parts import restored
from torch import Tensor

from kgrec.config import Config
from kgrec.errors import ConfigError, KgrecError, PartFailed, RunError, TrainingDiverged
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import FromHistory, Scorer, check_numbers
from kgrec.schema import Split
from kgrec.training.choices import Choices
from kgrec.training.climbing import Budget
from kgrec.training.fit import fit
from kgrec.training.fitting import Fitting
from kgrec.training.part import Part, fit_part, register_part
from kgrec.training.record import FitRecord


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored():
        yield


class Mine(FromHistory, kind="MineThatFails"):
    """Scores every item with a number, or with whatever `scores` says."""

    scores: Callable[[Tensor, int], Any] = staticmethod(lambda users, n: torch.ones(len(users), n))

    def __init__(self, history: Incidence) -> None:
        self.history = history

    def score(self, user_indices: Tensor) -> Any:
        return type(self).scores(user_indices, self.num_items)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.history.tensors(), {"num_items": self.num_items}

    @classmethod
    def from_state(cls, tensors: Any, values: Any) -> "Mine":
        return cls(Incidence.from_tensors(tensors, values["num_items"]))


class MinePart(Part):
    name = title = "mine"

    def fit(self, fitting: Fitting, settings: Any, advance: Any) -> Scorer:
        return Mine(fitting.history)


def fitting_of(work: Path | None = None) -> Fitting:
    graph = checkerboard()
    config = Config.build({"data": {"interactions": "none.csv"}}, base=Path())
    record = FitRecord(seed=config.seed, device="cpu")
    device = torch.device("cpu")
    return Fitting(config, graph, None, device, work, record, Budget(None), Choices(), False)


def fitted(part: Part, work: Path | None = None) -> Scorer | None:
    register_part(part)
    return fit_part(fitting_of(work), part)


def raises(error: BaseException) -> Any:
    def method(self: Any, *arguments: Any) -> Any:
        raise error

    return method


WHOSE = r"^part 'mine' \([\w.<>]+\): "


def test_a_part_that_works_passes(tmp_path: Path) -> None:
    scorer = fitted(MinePart(), tmp_path)
    assert isinstance(scorer, Mine)
    assert scorer.score(torch.tensor([0])).tolist() == [[1.0] * 16]


@pytest.mark.parametrize("method", ["fit", "applies"])
@pytest.mark.parametrize(
    "error", [ValueError("boom"), MemoryError(), SystemExit(0), AttributeError("no such thing")]
)
def test_what_a_method_raises_names_the_part(method: str, error: BaseException) -> None:
    part = type("Raises", (MinePart,), {method: raises(error), "__module__": __name__})()
    with pytest.raises(PartFailed, match=f"{WHOSE}{method} raised {type(error).__name__}") as info:
        fitted(part)
    assert info.value.__cause__ is error
    assert "expected" in str(info.value)
    assert f"({__name__}.Raises)" in str(info.value)
    assert str(info.value).endswith("mend the part, or do not register it")


def test_errors_of_kgrecs_own_and_interrupts_stay() -> None:
    for error in (ConfigError("mine.width must be even"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as info:
            fitted(type("Raises", (MinePart,), {"fit": raises(error)})())
        assert info.value is error


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        (lambda users, n: torch.full((len(users), n), float("nan")), "24 of 24 users"),
        (lambda users, n: torch.where(users[:, None] == 5, torch.inf, torch.ones(n)), "1 of 24"),
        (lambda _, n: torch.ones(n), r"Tensor \(16,\); expected a float32 tensor \(24, 16\)"),
        (lambda *_: None, "score gave NoneType; expected a float32 tensor"),
        (lambda *_: 1 / 0, "score of Bad raised ZeroDivisionError: division by zero"),
    ],
)
def test_scores_that_are_none_are_refused(scores: Any, problem: str) -> None:
    kind = type("Bad", (Mine,), {"scores": staticmethod(scores)})

    class BadPart(MinePart):
        def fit(self, fitting: Fitting, settings: Any, advance: Any) -> Scorer:
            return kind(fitting.history)

    with pytest.raises(PartFailed, match=f"{WHOSE}.*{problem}"):
        fitted(BadPart())


@pytest.mark.parametrize(
    ("scorer", "problem"),
    [
        (None, "fit gave NoneType; expected a kgrec.Scorer"),
        (Mine(Incidence(torch.zeros(3).long(), torch.zeros(0).long(), 16)), "2 users and 16 items"),
    ],
)
def test_what_is_no_scorer_of_the_graph_is_refused(scorer: Any, problem: str) -> None:
    part = type("Odd", (MinePart,), {"fit": lambda *_: scorer})()
    with pytest.raises(PartFailed, match=f"{WHOSE}.*{problem}"):
        fitted(part)


@pytest.mark.parametrize(
    ("methods", "error", "problem"),
    [
        ({"from_state": FromHistory.from_state}, RunError, "cannot be read"),
        ({"state": lambda self: (self.history.tensors(), {})}, PartFailed, "KeyError: 'num_items'"),
        ({"state": lambda _: ({}, {"n": object()})}, PartFailed, "not JSON serializable"),
        (
            {"from_state": classmethod(lambda cls, tensors, values: Other(cls, tensors, values))},
            PartFailed,
            "from_state gave other scores",
        ),
    ],
)
def test_what_a_run_could_not_read_again_is_refused_before_it_is_written(
    methods: dict[str, Any], error: type[KgrecError], problem: str, tmp_path: Path
) -> None:
    kind = type("Unread", (Mine,), methods, kind="UnreadThatFails")

    class UnreadPart(MinePart):
        def fit(self, fitting: Fitting, settings: Any, advance: Any) -> Scorer:
            return kind(fitting.history)

    assert isinstance(fitted(UnreadPart()), kind)  # nothing is saved without a folder
    with pytest.raises(error, match=problem):
        fitted(UnreadPart(), tmp_path)


def Other(cls: type[Mine], tensors: Any, values: Any) -> Mine:
    scorer = cls(Incidence.from_tensors(tensors, values["num_items"]))
    scorer.score = lambda users: torch.zeros(len(users), 16)  # type: ignore[method-assign]
    return scorer


def test_numbers_that_are_none_of_users_who_were_not_looked_at_end_the_training() -> None:
    """The search for the weights scores everybody who has something held out."""

    class Late(Mine):
        def score(self, user_indices: Tensor) -> Tensor:
            scores = torch.ones(len(user_indices), self.num_items)
            return scores if len(user_indices) < 5 else scores * torch.nan

    class LatePart(MinePart):
        def fit(self, fitting: Fitting, settings: Any, advance: Any) -> Scorer:
            return Late(fitting.history)

    register_part(LatePart())
    graph = checkerboard()
    overrides = {name: {"enabled": False} for name in ("closed_form", "user_side", "factors")}
    settings = {"data": {"interactions": "x.csv"}, "fusion": {"network": False}, **overrides}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgrec.training.own_parts._MOST_USERS", 4)
        with pytest.raises(TrainingDiverged, match="scores of part mine are not numbers, in 24 of"):
            fit(Config.build(settings, base=Path()), graph, progress=False)
    assert graph.held_out[Split.VALID].user_index.max() == 23


def test_lists_with_what_is_no_number_are_refused() -> None:
    check_numbers(torch.tensor([[1.0, -torch.inf]]), "the run")
    with pytest.raises(TrainingDiverged, match="scores of the run are not numbers, in 1 of 2 list"):
        check_numbers(torch.tensor([[torch.nan, 1.0], [2.0, 1.0]]), "the run")
    with pytest.raises(TrainingDiverged, match="in 1 of 1 lists"):
        check_numbers(torch.tensor([torch.nan, 1.0]), "the run")
