"""Which users look made up: whom others do not explain, and who are too much like each other."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import DOUBLE_UP_TO
from kgrec.model.spd import invert

#: Users whose scores are held at once.
_USERS_AT_ONCE = 256
#: What one item says of a user is cut here: a single rare item is no proof of anything.
_MOST = 3.0
#: A user with fewer items, or an item with fewer users, says nothing of how they go together.
_LEAST = 2


@dataclass(frozen=True, eq=False)
class HistoryCore:
    """What can be judged of a history: nobody can say what goes with an only item, or only user.

    Attributes:
        users: (a,) int64, users with at least two of these items, ascending.
        items: (b,) int64, items that at least two users have, ascending.
        owners: (b,) int64, how many users have each, those included who are not judged.
        history: (a, b), who of them has what.
    """

    users: Tensor
    items: Tensor
    owners: Tensor
    history: Incidence

    @classmethod
    def of(cls, history: Incidence) -> "HistoryCore":
        """Takes the users and items that can be judged.

        Args:
            history: What each user has.
        """
        owners = torch.bincount(history.columns, minlength=history.num_columns)
        rows, columns = history.rows, history.columns
        in_core = owners[columns] >= _LEAST
        counts = torch.bincount(rows[in_core], minlength=history.num_rows)
        in_core &= counts[rows] >= _LEAST
        users, row = torch.unique(rows[in_core], return_inverse=True)
        items, column = torch.unique(columns[in_core], return_inverse=True)
        inner = Incidence.from_pairs(row, column, len(users), len(items))
        return cls(users, items, owners[items], inner)


@dataclass(frozen=True, eq=False)
class Typicality:
    """How well the other users explain what each judged user has.

    Attributes:
        beyond: (a,) float64, the mean over a user's items of how many deviations more this user is
            expected to have the item than users without it are; popularity says nothing.
        beyond_error: Its standard error.
        place: (a,) float64, the mean share of unseen items that are expected less than an item the
            user has; here popularity counts.
        place_error: Its standard error.
    """

    beyond: Tensor
    beyond_error: Tensor
    place: Tensor
    place_error: Tensor


def explain_users(core: HistoryCore, ridge: float = 200.0) -> Typicality:
    """Asks an item-item ridge regression (EASE) about every user, fitted without that user.

    With t = x P and h = t · x, taking the user out of the Gram matrix gives, by Sherman-Morrison,
    P' = P + t tᵀ / (1 - h), so the score of item j from the user's other items is

        s_j = x_j - t_j / (1 - h) / (P_jj + t_j² / (1 - h)).

    Scores are standardised over each user's unseen items, and for `beyond` once more over the users
    who do not have the item; there, what one item says of a user is cut at 3 deviations.

    Args:
        core: What each user has; of one user at least.
        ridge: λ, positive.

    References:
        Steck, arXiv:1905.03375, eq. 8.
    """
    history, size = core.history, core.history.num_columns
    gram = history.gram(dtype=torch.float64 if size <= DOUBLE_UP_TO else torch.float32)
    # Users of a single item count for its popularity, and for nothing else.
    gram.diagonal().copy_(core.owners + ridge)
    inverse = invert(gram)
    moments = torch.zeros(3, size, dtype=torch.float64)  # how many, their sum, sum of squares
    own, places = [], []
    for users in torch.split(torch.arange(history.num_rows), _USERS_AT_ONCE):
        items, lengths = history.take(users)
        rows = torch.repeat_interleave(torch.arange(len(users)), lengths)
        scores, unseen = _without_each(inverse, rows, items, lengths)
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
    return Typicality(*_mean_and_error(z, history), *_mean_and_error(torch.cat(places), history))


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
    inverse: Tensor, rows: Tensor, items: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Standardised scores (B, n) of users, each left out of the fit, and which are unseen."""
    starts = lengths.cumsum(0) - lengths
    t = functional.embedding_bag(items, inverse, starts, mode="sum")  # x P
    x = torch.zeros_like(t)
    x[rows, items] = 1.0
    remainder = (1 - (t * x).sum(dim=1, keepdim=True)).clamp(min=1e-9)
    scores = (x - (t / remainder) / (inverse.diagonal() + t.square() / remainder)).double()
    unseen = x == 0
    number = unseen.sum(dim=1, keepdim=True).clamp(min=1)
    mean = torch.where(unseen, scores, 0.0).sum(dim=1, keepdim=True) / number
    square = torch.where(unseen, (scores - mean).square(), 0.0).sum(dim=1, keepdim=True) / number
    return (scores - mean) / square.sqrt().clamp(min=1e-12), unseen


def _mean_and_error(values: Tensor, history: Incidence) -> tuple[Tensor, Tensor]:
    """The mean of each user's entries (a,), of which there are two at least, and its error."""
    number, rows = history.lengths.double(), history.rows
    total = torch.zeros(history.num_rows, dtype=torch.float64)
    mean = total.index_add(0, rows, values) / number
    square = total.index_add(0, rows, (values - mean[rows]).square())
    return mean, (square / (number - 1) / number).sqrt()


def alikeness(history: Incidence, neighbours: int = 10, shrink: float = 5.0) -> Tensor:
    """Gives how like each user is to the nearest other users, (num_users,) float64.

    The mean of |a ∩ b| / √((|a| + shrink) (|b| + shrink)) over the `neighbours` nearest users, 0
    for users without items. Profiles that were made from one recipe lie closer together than people
    do. A plain cosine would find two users alike for one common item if that is all they have.

    Args:
        history: What each user has.
        neighbours: How many are looked at.
        shrink: Items that everybody is taken to have beside those known, shared with nobody.

    References:
        DegSim: Chirita, Nejdl, Zamfir, "Preventing shilling attacks in online recommender systems",
        WIDM 2005.
    """
    by_item = history.transposed()
    norm = (history.lengths.double() + shrink).clamp(min=1).sqrt()
    likeness = torch.zeros(history.num_rows, dtype=torch.float64)
    most = min(neighbours, max(history.num_rows - 1, 1))
    for users in torch.split(torch.arange(history.num_rows), _USERS_AT_ONCE):
        items, lengths = history.take(users)
        rows = torch.repeat_interleave(torch.arange(len(users)), lengths)
        owners, reach = by_item.take(items)
        cells = torch.repeat_interleave(rows, reach) * history.num_rows + owners
        common = torch.bincount(cells, minlength=len(users) * history.num_rows).double()
        cosine = common.view(len(users), -1) / (norm[users][:, None] * norm)
        cosine[torch.arange(len(users)), users] = 0.0
        likeness[users] = cosine.topk(most, dim=1).values.mean(dim=1)
    return likeness
