"""What is asked of the parts of others: that what fails names the part, and that scores are scores.

kgrec's own parts are tested for all this; of another's nobody knows, so it is asked where the part
is fitted, before its run costs more.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from kgrec import registry
from kgrec.errors import KgrecError, PartFailed
from kgrec.model.kinds import described, from_description
from kgrec.model.scorer import Scorer

if TYPE_CHECKING:
    from kgrec.training.fitting import Fitting
    from kgrec.training.part import Part

#: Users whose scores are looked at.
_MOST_USERS = 64


@contextmanager
def failures_of(part: "Part", method: str) -> Iterator[None]:
    """Says whose method fails; errors of kgrec's own parts stay as they are.

    Raises:
        PartFailed: From what the method raised, but for kgrec's own errors and interrupts.
    """
    try:
        yield
    except KgrecError:
        raise
    except (Exception, SystemExit) as exc:  # whoever exits with 0 would pass for done
        if registry.is_built_in(part.name):
            raise
        text = f": {exc}" if str(exc) else ""
        raise _failure(
            part, f"{method} raised {type(exc).__name__}{text}", "a result; --debug shows where"
        ) from exc


def check_scorer(part: "Part", scorer: object, fitting: "Fitting", *, saved: bool) -> None:
    """Looks at what somebody's part has fitted.

    Args:
        part: The part.
        scorer: What its `fit` gave.
        fitting: What it was fitted on.
        saved: Whether it goes into a run, so that it must be read as it was.

    Raises:
        PartFailed: If it is no scorer of the users and items, its scores are no finite numbers, or
            another scorer comes back from its state.
        RunError: If its class cannot be saved.
    """
    num_users = fitting.graph.num_users
    users = torch.arange(0, num_users, max(1, num_users // _MOST_USERS))[:_MOST_USERS]
    shape = (len(users), fitting.graph.num_items)
    if not isinstance(scorer, Scorer):
        raise _failure(part, f"fit gave {type(scorer).__name__}", "a kgrec.Scorer")
    with failures_of(part, f"score of {type(scorer).__name__}"), torch.no_grad():
        sizes = (scorer.num_users, scorer.num_items)
        scores = scorer.score(users)
    if sizes != (fitting.graph.num_users, fitting.graph.num_items):
        raise _failure(
            part,
            f"fit gave a scorer of {sizes[0]} users and {sizes[1]} items",
            f"the graph's {fitting.graph.num_users} and {fitting.graph.num_items}",
        )
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != shape:
        size = f" {tuple(scores.shape)}" if isinstance(scores, torch.Tensor) else ""
        raise _failure(
            part, f"score gave {type(scores).__name__}{size}", f"a float32 tensor {shape}"
        )
    num_bad = int((~scores.isfinite()).any(dim=1).sum())
    if num_bad:
        raise _failure(
            part,
            f"score gave no finite numbers for {num_bad} of {len(users)} users looked at",
            "a finite number for each item",
        )
    if saved:
        with failures_of(part, "state or from_state"), torch.no_grad():
            tensors, values = described(scorer)
            copy = from_description(tensors, json.loads(json.dumps(values)))
            is_equal = torch.allclose(copy.score(users).cpu(), scores.cpu(), rtol=1e-4, atol=1e-5)
        if not is_equal:
            raise _failure(part, "from_state gave other scores", "those of the scorer saved")


def _failure(part: "Part", problem: str, expected: str) -> PartFailed:
    kind = type(part)
    without = "do not register it" if part.section is None else f"set {part.name}.enabled=false"
    return PartFailed(
        f"part {part.name!r} ({kind.__module__}.{kind.__qualname__}): {problem}; expected "
        f"{expected}; mend the part, or {without}"
    )
