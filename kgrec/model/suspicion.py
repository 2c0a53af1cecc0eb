"""Which users look made up: whom others do not explain, and who are too much like each other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kgrec.model.ease import DOUBLE_UP_TO
from kgrec.model.incidence import Incidence
from kgrec.model.spd import invert

#: Users whose scores are held at once.
_USERS_AT_ONCE = 256
#: What one item says of a user is cut here: a single rare item is no proof of anything.
_MOST = 3.0


@dataclass(frozen=True, eq=False)
class Explained:
    """How well the other users explain what each user has; NaN below two items.

    Attributes:
        beyond: (num_users,) float64, the mean over a user's items of how many deviations more this
            user is expected to have the item than users without it are; popularity says nothing.
        beyond_error: Its standard error.
        place: (num_users,) float64, the mean share of unseen items that are expected less than an
            item the user has; here popularity counts.
        place_error: Its standard error.
    """

    beyond: Tensor
    beyond_error: Tensor
    place: Tensor
    place_error: Tensor


def explain_users(history: Incidence, ridge: float = 200.0) -> Explained:
    """Asks an item-item ridge regression (EASE) about every user, fitted without that user.

    With t = x P and h = t · x, taking the user out of the Gram matrix gives, by Sherman-Morrison,
    P' = P + t tᵀ / (1 - h), so the score of item j from the user's other items is

        s_j = x_j - t_j / (1 - h) / (P_jj + t_j² / (1 - h)).

    Scores are standardised over each user's unseen items, and for `beyond` once more over the users
    who do not have the item; there, what one item says of a user is cut at 3 deviations.

    Args:
        history: What each user has.
        ridge: λ, positive.

    References:
        Steck, arXiv:1905.03375, eq. 8.
    """
    dtype = torch.float64 if history.num_columns <= DOUBLE_UP_TO else torch.float32
    gram = history.gram(dtype=dtype)
    gram.diagonal().add_(ridge)
    inverse = invert(gram)
    size = history.num_columns
    moments = torch.zeros(3, size, dtype=torch.float64)  # how many, their sum, sum of squares
    own, places = [], []
    for users in torch.split(torch.arange(history.num_rows), _USERS_AT_ONCE):
        items, lengths = history.take(users)
        rows = torch.repeat_interleave(torch.arange(len(users)), lengths)
        scores, unseen = _without_each(inverse, rows, items, len(users))
        moments[0] += unseen.sum(dim=0)
        for power in (1, 2):
            moments[power] += torch.where(unseen, scores.pow(power), 0.0).sum(dim=0)
        own.append(scores[rows, items])
        places.append(_places(scores, unseen, rows, items))
    count = moments[0].clamp(min=1)
    mean = moments[1] / count
    spread = (moments[2] / count - mean.square()).clamp(min=1e-12).sqrt()
    item = history.columns
    z = ((torch.cat(own) - mean[item]) / spread[item]).clamp(-_MOST, _MOST)
    return Explained(*_mean_and_error(z, history), *_mean_and_error(torch.cat(places), history))


def _places(scores: Tensor, unseen: Tensor, rows: Tensor, items: Tensor) -> Tensor:
    """The share of a user's unseen items that score below each item of the user's own, (n,)."""
    number = unseen.sum(dim=1).clamp(min=1)
    ranked = scores.masked_fill(~unseen, torch.inf).sort(dim=1).values
    below = [
        torch.searchsorted(ranked[row], scores[row, items[rows == row]])
        for row in range(len(scores))
    ]
    return torch.cat(below).double() / number[rows]


def _without_each(
    inverse: Tensor, rows: Tensor, items: Tensor, num_users: int
) -> tuple[Tensor, Tensor]:
    """Standardised scores (B, n) of users, each left out of the fit, and which are unseen."""
    x = inverse.new_zeros(num_users, len(inverse))
    x[rows, items] = 1.0
    t = x @ inverse
    left = (1 - (t * x).sum(dim=1, keepdim=True)).clamp(min=1e-9)
    scores = (x - (t / left) / (inverse.diagonal() + t.square() / left)).double()
    unseen = x == 0
    number = unseen.sum(dim=1, keepdim=True).clamp(min=1)
    mean = torch.where(unseen, scores, 0.0).sum(dim=1, keepdim=True) / number
    square = torch.where(unseen, (scores - mean).square(), 0.0).sum(dim=1, keepdim=True) / number
    return (scores - mean) / square.sqrt().clamp(min=1e-12), unseen


def _mean_and_error(values: Tensor, history: Incidence) -> tuple[Tensor, Tensor]:
    """The mean of each user's entries (n,), and its standard error; NaN below two."""
    number, rows = history.lengths.double(), history.rows
    total = torch.zeros(history.num_rows, dtype=torch.float64)
    mean = total.index_add(0, rows, values) / number
    square = total.index_add(0, rows, (values - mean[rows]).square())
    error = (square / (number - 1) / number).sqrt()
    few = number < 2
    return mean.masked_fill(few, torch.nan), error.masked_fill(few, torch.nan)


def alikeness(history: Incidence, neighbours: int = 10) -> Tensor:
    """Gives how like each user is to the nearest other users, (num_users,) float64.

    The mean cosine of the users' items with those of the `neighbours` nearest; 0 for users without
    items. Profiles that were made from one recipe lie closer together than people do.

    Args:
        history: What each user has.
        neighbours: How many are looked at.

    References:
        DegSim: Chirita, Nejdl, Zamfir, "Preventing shilling attacks in online recommender systems",
        WIDM 2005.
    """
    by_item = history.transposed()
    norm = history.lengths.double().clamp(min=1).sqrt()
    found = torch.zeros(history.num_rows, dtype=torch.float64)
    most = min(neighbours, max(history.num_rows - 1, 1))
    for users in torch.split(torch.arange(history.num_rows), _USERS_AT_ONCE):
        items, lengths = history.take(users)
        rows = torch.repeat_interleave(torch.arange(len(users)), lengths)
        others, reach = by_item.take(items)
        cells = torch.repeat_interleave(rows, reach) * history.num_rows + others
        common = torch.bincount(cells, minlength=len(users) * history.num_rows).double()
        cosine = common.view(len(users), -1) / (norm[users][:, None] * norm)
        cosine[torch.arange(len(users)), users] = 0.0
        found[users] = cosine.topk(most, dim=1).values.mean(dim=1)
    return found
