"""The closed form on few items as a differentiable function of its settings."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kgrec.graph.data import GraphData
from kgrec.model.closed_form import Refinements
from kgrec.model.incidence import Incidence, RelationRows, user_weights
from kgrec.model.item_to_item import ages
from kgrec.model.leave_one_out import (
    hard_ndcg,
    held_out_scores,
    leave_one_out_scores,
    smooth_ndcg,
    spd_inverse,
)
from kgrec.schema import Split
from kgrec.training.inner_split import history_of, inner_ranks

#: Upper ends of the classes of users by activity; users of one class share a weight.
_CLASSES = (1, 2, 4, 7, 12, 20, 35, 60, 120, 250)
#: Where the exponent on users' activity starts, and what it costs, in smooth NDCG, to leave that.
_USER_EXPONENT, _PULL = 0.3, 0.003
#: What log popularity adds at the start; interactions add up to about 1.
_POPULARITY = 0.01
#: Where the search may go. Beyond, single users weigh so much against the ridge that what is left
#: of 1 - d xᵀPx, by which the leave-one-out scores divide, is rounding: the search then chose
#: (ml-100k, seed 2) what looked like an NDCG@20 of .43 and was .21 on valid.
_BOUNDS = {
    "ridge": (math.log(5.0), math.log(1e5)),
    "dropout": (math.log(0.05), math.log(9.0)),
    "user_exponent": (0.0, 1.0),
    "popularity": (math.log(1e-6), math.log(1.0)),
    "recency": (0.0, math.log(1e4)),
}
#: Whose interactions are left out one at a time has at least so many items; one is left to say
#: something.
_LEAST = 2


class ClosedFormProblem:
    """Settings in, scores of held-out interactions out, with gradients.

    What is held out is either one interaction after the other of all of train, exactly, or, where
    the latest shall be predicted, the valid split of an inner graph.

    Attributes:
        names: The relations that have two items in some row.
        has_ranks: Whether there are times, so that the input may weigh what is recent more.
    """

    def __init__(
        self,
        graph: GraphData,
        rows: Sequence[RelationRows],
        *,
        activity: Tensor,
        pairs: int,
        seed: int,
        held_out: bool,
    ) -> None:
        self._history = history_of(graph)
        self._activity = activity
        self._relations = [r for r in rows if len(r.rows.columns) and _has_pairs(r.rows)]
        self.names = tuple(r.name for r in self._relations)
        self._grams = [_sparse(r.rows.gram()) for r in self._relations]
        self._classes, self._class_activity = _gram_by_activity(self._history, activity)
        popularity = torch.bincount(self._history.columns, minlength=graph.num_items)
        self._own = popularity.float()
        generator = torch.Generator().manual_seed(seed)
        self._held_out = held_out
        if held_out:
            valid = graph.held_out[Split.VALID]
            truth = Incidence.from_pairs(
                torch.from_numpy(valid.user_index),
                torch.from_numpy(valid.item_index),
                graph.num_users,
                graph.num_items,
            )
        else:
            truth = self._history
        self._user, self._item = _draw(truth, 1 if held_out else _LEAST, pairs, generator)
        self._x = _dense_rows(self._history, self._user)
        ranks = inner_ranks(graph.train, self._history) if held_out else None
        self.has_ranks = ranks is not None
        self._age = None
        if ranks is not None:
            self._age = _dense_rows(self._history, self._user, ages(self._history, ranks))

    @property
    def num_pairs(self) -> int:
        """Number of held-out interactions that are scored."""
        return len(self._user)

    def start(self, ridge: float | None, weights: Mapping[str, float] | None) -> dict[str, Tensor]:
        """Gives settings to start from; logarithms, but for the exponent."""
        initial = torch.tensor([float((weights or {}).get(name, 1.0)) for name in self.names])
        theta = {
            "ridge": torch.tensor(math.log(100.0 if ridge is None else ridge)),
            "dropout": torch.tensor(math.log(0.15)),  # of p / (1 - p)
            "user_exponent": torch.tensor(_USER_EXPONENT),
            "popularity": torch.tensor(math.log(_POPULARITY)),
            "weights": initial.clamp(min=1e-12).log() if len(initial) else initial,
        }
        if self.has_ranks:
            theta["recency"] = torch.tensor(math.log(15.0))
        return theta

    def scores(self, theta: Mapping[str, Tensor]) -> Tensor:
        """Scores all items for each held-out interaction's user, (m, n)."""
        exponent = theta["user_exponent"]
        class_weight = user_weights(self._class_activity, exponent)
        gram = sum(d * part for d, part in zip(class_weight, self._classes, strict=True))
        assert isinstance(gram, Tensor)
        own = gram.diagonal()
        flat = gram.reshape(-1)
        for (cells, values), log_weight in zip(self._grams, theta["weights"], strict=True):
            flat = flat.index_add(0, cells, values * log_weight.exp())
        ridge = theta["ridge"].exp() + theta["dropout"].exp() * own
        inverse = spd_inverse(flat.view_as(gram) + torch.diag(ridge))
        if not self._held_out:
            weight = user_weights(self._activity[self._user], exponent)
            scores = leave_one_out_scores(inverse, self._x, weight, self._item)
        else:
            x = self._x
            if self._age is not None:
                x = x * torch.exp(-self._age / theta["recency"].exp())
            scores = held_out_scores(inverse, x, self._x > 0)
        return torch.where(scores > -1e8, self._with_popularity(theta, scores), scores)

    def _with_popularity(self, theta: Mapping[str, Tensor], scores: Tensor) -> Tensor:
        """Adds what a fusion's popularity term would, so that the settings are those of a part."""
        bonus = theta["popularity"].exp()
        adjusted = scores + bonus * self._own.log1p()
        if self._held_out:
            return adjusted
        # The interaction that was taken away does not count towards its item's popularity.
        place = self._item[:, None]
        own = (self._own[self._item] - 1).clamp(min=0)
        target = scores.gather(1, place) + bonus * own.log1p()[:, None]
        return adjusted.scatter(1, place, target)

    def loss(self, theta: Mapping[str, Tensor]) -> Tensor:
        """Minus the mean smooth NDCG, and a weak pull of the exponent to where it starts.

        The ranking is nearly flat in it, and what little a few thousand interactions say for an
        extreme value does not hold on the whole catalogue.
        """
        drift = (theta["user_exponent"] - _USER_EXPONENT).square()
        return _PULL * drift - smooth_ndcg(self.scores(theta), self._item).mean()

    @torch.no_grad()
    def ndcg(self, theta: Mapping[str, Tensor]) -> float:
        """Mean NDCG@20 of one held-out interaction each."""
        return float(hard_ndcg(self.scores(theta), self._item).mean())


@torch.no_grad()
def keep_in_bounds(theta: Mapping[str, Tensor]) -> None:
    """Puts settings that left the bounds of the search back onto them."""
    for name, (low, high) in _BOUNDS.items():
        if name in theta:
            theta[name].clamp_(low, high)


def read_settings(
    theta: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[float, dict[str, float], Refinements]:
    """Gives ridge, relation weights and refinements of a point of the search."""
    odds = float(theta["dropout"].exp())
    refinements = Refinements(
        dropout=round(odds / (1 + odds), 4),
        user_exponent=round(float(theta["user_exponent"]), 4),
        recency=round(float(theta["recency"].exp()), 3) if "recency" in theta else None,
    )
    weights = {
        name: round(float(log_weight.exp()), 5)
        for name, log_weight in zip(names, theta["weights"], strict=True)
        if log_weight > -20
    }
    return round(float(theta["ridge"].exp()), 4), weights, refinements


def _has_pairs(rows: Incidence) -> bool:
    return bool((rows.lengths > 1).any())


def _sparse(gram: Tensor) -> tuple[Tensor, Tensor]:
    cells = gram.reshape(-1).nonzero().squeeze(1)
    return cells, gram.reshape(-1)[cells]


def _gram_by_activity(history: Incidence, activity: Tensor) -> tuple[list[Tensor], Tensor]:
    """One Gram matrix for each class of users, and the activity that stands for each class."""
    member = torch.bucketize(activity, torch.tensor(_CLASSES))
    count = history.lengths.float()
    grams, middle = [], []
    for number in torch.unique(member[count > 0]).tolist():
        inside = member == number
        grams.append(history.gram(inside.float()))
        # Weighted by interactions, since that is what the Gram matrix is made of.
        middle.append(((activity * count)[inside].sum() / count[inside].sum()).item())
    return grams, torch.tensor(middle)


def _draw(
    truth: Incidence, least: int, pairs: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws users alike, then one of each one's items; everyone once before anyone twice."""
    eligible = (truth.lengths >= least).nonzero().squeeze(1)
    if not len(eligible):
        return eligible, eligible
    rounds = -(-pairs // len(eligible))
    order = [torch.randperm(len(eligible), generator=generator) for _ in range(rounds)]
    user = eligible[torch.cat(order)[:pairs]]
    pick = torch.rand(len(user), generator=generator)
    item = truth.columns[truth.pointer[user] + (pick * truth.lengths[user]).long()]
    keys = torch.unique(user * truth.num_columns + item)
    return keys // truth.num_columns, keys % truth.num_columns


def _dense_rows(history: Incidence, user: Tensor, values: Tensor | None = None) -> Tensor:
    places, lengths = history.places(user)
    dense = torch.zeros(len(user), history.num_columns)
    row = torch.repeat_interleave(torch.arange(len(user)), lengths)
    dense[row, history.columns[places]] = 1.0 if values is None else values[places]
    return dense
