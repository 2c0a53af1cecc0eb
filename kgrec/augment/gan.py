"""A generator that has learned from dense users what sparse ones do next, and what it is worth."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from kgrec.augment.adversary import Discriminator, Generator, Lessons, draw_logits, play, pretrain
from kgrec.augment.bank import Bank
from kgrec.augment.measures import COLLAPSED, best, compare, effective_number, precision
from kgrec.augment.world import World
from kgrec.config import GanConfig
from kgrec.errors import ShapeError
from kgrec.evaluation.prediction import roc_auc
from kgrec.model.incidence import Incidence
from kgrec.model.popularity import Popularity

#: Of so many users that copies were made of one says when to stop, and one is kept for measuring.
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Augmenter:
    """A trained generator.

    Attributes:
        generator: Prefers some candidates of a user.
        names: Of the scorers that it was told of, in their order.
        config: How it was trained.
        report: How it learned (`looks`, the precision after each epoch of those who say when to
            stop), and what was measured on others, whom nothing was chosen on: `candidate_recall`,
            `precision` of each scorer and of it …
        discriminator: What it played against, if it did.
    """

    generator: Generator
    names: tuple[str, ...]
    config: GanConfig
    report: dict[str, Any] = field(default_factory=dict)
    discriminator: Discriminator | None = None

    def scorer(self, bank: Bank, seed: int) -> "Preferred":
        """Gives what it prefers for the users of a bank; ShapeError if the bank is another one."""
        if tuple(bank.scorers) != self.names:
            raise ShapeError(
                f"a generator that learned from {list(self.names)} was told of "
                f"{list(bank.scorers)}; expected the same scorers in the same order"
            )
        return Preferred(self.generator, bank, self.config.candidates, seed)


@dataclass(frozen=True, eq=False)
class Preferred:
    """Scores a user's candidates by a generator; nothing else is proposed.

    Attributes:
        generator: Prefers some candidates.
        bank: What is told of users and items.
        count: Candidates of each user.
        seed: Of each user's noise.
    """

    generator: Generator
    bank: Bank
    count: int
    seed: int

    @cached_property
    def noise(self) -> Tensor:
        """What each user of the bank is given, (num_users, z)."""
        draws = torch.Generator().manual_seed(self.seed)
        size = self.bank.history.num_rows, self.generator.num_noise
        return torch.randn(*size, generator=draws)

    @torch.no_grad()
    def score(self, user_indices: Tensor) -> Tensor:
        """Gives (B, num_items) float32 for users (B,) int64; -inf where there is no candidate."""
        history = self.bank.history
        items, features = self.bank.candidates(user_indices, self.count)  # (B, k), (B, k, f)
        logits: Tensor = self.generator(features, self.noise[user_indices])
        scores = logits.new_full((len(items), history.num_columns + 1), -torch.inf)
        # Where there is no candidate, -1 is the column that is cut off.
        scores.scatter_(1, items.remainder(history.num_columns + 1), logits)
        return scores[:, :-1]


@dataclass(frozen=True, eq=False)
class Classroom:
    """A world with what is told of its users, made once for all generators.

    Attributes:
        train: Three fifths of the owners' copies.
        valid: A fifth, on which it is seen when a generator is at its best.
        test: The last fifth, for measuring.
        candidate_recall: Share of a test user's hidden items that are candidates, the mean.
        names: Of the scorers.
        apart: Whether there were enough users to keep some apart; else all three are the same.
    """

    train: Lessons
    valid: Lessons
    test: Lessons
    candidate_recall: float
    names: tuple[str, ...]
    apart: bool = True

    @classmethod
    def of(cls, world: World, bank: Bank, count: int) -> Self:
        """Asks a bank, fitted on the world's graph, about the world's users."""
        popularity = Popularity(bank.history).item_score
        bank = bank.over(world.history)
        users = torch.arange(len(world.owner))
        items, features = bank.candidates(users, count)
        real = _among(items, world.hidden)
        lessons = Lessons(features, real, items, popularity[items.clamp(min=0)])
        owners, place = torch.unique(world.owner, return_inverse=True)
        apart = len(owners) >= _FOLDS
        in_train = in_valid = in_test = torch.ones_like(place, dtype=torch.bool)
        if apart:
            fold = place % _FOLDS
            in_valid, in_test = fold == _FOLDS - 2, fold == _FOLDS - 1
            in_train = ~(in_valid | in_test)
        recall = real.sum(dim=1) / world.hidden.lengths.clamp(min=1)
        return cls(
            lessons.take(in_train),
            lessons.take(in_valid),
            lessons.take(in_test),
            float(recall[in_test].mean()),
            tuple(bank.scorers),
            apart,
        )


class _Best:
    """Keeps a generator as it was when its proposals were best; that may be before it began."""

    def __init__(self, generator: Generator, lessons: Lessons, k: int) -> None:
        self._generator, self._lessons, self._k = generator, lessons, k
        self._noise = torch.zeros(len(lessons.features), generator.num_noise)
        self.precisions: list[float] = []
        self()

    @torch.no_grad()
    def __call__(self) -> None:
        """Looks at the generator as it is now."""
        scores = self._generator(self._lessons.features, self._noise)
        value = precision(scores, self._lessons, self._k)
        if not self.precisions or value > max(self.precisions):
            self._state = deepcopy(self._generator.state_dict())
        self.precisions.append(value)

    def restore(self) -> None:
        """Makes the generator what it was at its best."""
        self._generator.load_state_dict(self._state)


def fit_generator(classroom: Classroom, config: GanConfig, per_user: int, seed: int) -> Augmenter:
    """Trains a generator by cross-entropy; it stays as it was when its proposals were best.

    Args:
        classroom: What it learns from.
        config: How.
        per_user: Proposals a user that its precision is measured on.
        seed: Of initial values and draws.
    """
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = Generator(len(classroom.names) + 1, config.noise, config.hidden)
    best_state = _Best(generator, classroom.valid, per_user)
    losses = pretrain(generator, classroom.train, config, draws, best_state)
    best_state.restore()
    report = {"cross_entropy": losses, "looks": best_state.precisions}
    report |= _measured(classroom, generator, per_user, draws)
    return Augmenter(generator, classroom.names, config, report)


def fit_gan(classroom: Classroom, start: Augmenter, per_user: int, seed: int) -> Augmenter:
    """Trains a copy of a generator against a discriminator; arguments as `fit_generator`."""
    config = start.config
    draws = torch.Generator().manual_seed(seed + 1)
    generator = deepcopy(start.generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        discriminator = Discriminator(len(classroom.names) + 1)
    best_state = _Best(generator, classroom.valid, per_user)
    rounds = play(generator, discriminator, classroom.train, config, draws, best_state)
    apart = _told_apart(classroom, generator, discriminator, config, draws)
    best_state.restore()
    report = {"rounds": rounds, "looks": best_state.precisions, "auc": apart}
    report |= _measured(classroom, generator, per_user, draws)
    discriminator.eval()  # its spectral norms are no longer estimated on
    return Augmenter(generator, classroom.names, config, report, discriminator)


@torch.no_grad()
def _measured(
    classroom: Classroom, generator: Generator, k: int, draws: torch.Generator
) -> dict[str, Any]:
    """Precision, popularity and variety of proposals for users that nobody has learned from."""
    test = classroom.test
    noise = torch.randn(len(test.features), generator.num_noise, generator=draws)
    logits = generator(test.features, noise).masked_fill(~test.present, -torch.inf)
    precisions = {
        name: precision(test.features[:, :, number], test, k)
        for number, name in enumerate(classroom.names)
    }
    top = best(logits, test, k)
    proposed, hidden = test.items.gather(1, top), test.items[test.real]
    variety, hidden_variety = (
        effective_number(items) for items in (proposed[proposed >= 0], hidden)
    )
    return {
        "apart": classroom.apart,
        "candidate_recall": classroom.candidate_recall,
        "precision": {**precisions, "generator": precision(logits, test, k)},
        "popularity": {
            "proposed": _mean(test.popularity.gather(1, top)),
            "hidden": _mean(test.popularity[test.real]),
        },
        "variety": {"proposed": variety, "hidden": hidden_variety},
        "collapsed": variety < COLLAPSED * hidden_variety,
        "sources": _compared(classroom, generator, k),
    }


def _compared(classroom: Classroom, generator: Generator, k: int) -> dict[str, Any]:
    """Proposals of each scorer, of the generator, and of candidates drawn at random."""

    def random(lessons: Lessons) -> Tensor:
        return torch.rand(lessons.real.shape, generator=torch.Generator().manual_seed(0))

    def learned(lessons: Lessons) -> Tensor:
        noise = torch.zeros(len(lessons.features), generator.num_noise)
        return generator(lessons.features, noise)  # type: ignore[no-any-return]

    scores: dict[str, Callable[[Lessons], Tensor]] = {
        name: partial(_column, number=number) for number, name in enumerate(classroom.names)
    }
    scores |= {"generator": learned, "random": random}
    return {
        name: compare(score, classroom.valid, classroom.test, k) for name, score in scores.items()
    }


def _column(lessons: Lessons, number: int) -> Tensor:
    return lessons.features[:, :, number]


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if values.numel() else None


@torch.no_grad()
def _told_apart(
    classroom: Classroom,
    generator: Generator,
    discriminator: Discriminator,
    config: GanConfig,
    draws: torch.Generator,
) -> float | None:
    """How well it tells real candidates of judged users from drawn ones when the play ends; AUC."""
    test = classroom.test
    logits = draw_logits(generator, test, config, draws)
    proposals = torch.multinomial(logits.softmax(dim=1), config.drawn, True, generator=draws)
    scores = discriminator(test.features)
    samples = scores[test.real], scores.gather(1, proposals).flatten()
    label = np.repeat([1, 0], [len(sample) for sample in samples])
    areas = roc_auc(torch.cat(samples).double().numpy(), label, np.zeros_like(label))
    return float(areas[0]) if len(areas) else None


def _among(items: Tensor, hidden: Incidence) -> Tensor:
    """Which of users' items (m, k) are in their rows of a matrix."""
    size = hidden.num_columns
    keys = hidden.rows * size + hidden.columns
    candidate_keys = torch.arange(len(items))[:, None] * size + items
    return torch.isin(candidate_keys, keys) & (items >= 0)
