"""How alike nodes are by their content: kernels of one view of it, and a scorer by one relation."""

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import FromHistory


def relation_kernel(rows: Incidence) -> Tensor:
    """Gives the cosine of nodes' neighbours, rare neighbours counting more.

        K_ij = Σ_e w_e A_ei A_ej / √(Σ_e w_e A_ei · Σ_e w_e A_ej),  w_e = log(n / degree of e)

    Args:
        rows: A, (number of neighbours, n): a neighbour's row has the nodes it belongs to.

    Returns:
        (n, n) float32; zero for a node without neighbours.
    """
    n = rows.num_columns
    weight = torch.log(n / rows.lengths.clamp_min(1).float()).clamp_min(0.0)  # (m,)
    return _cosine(rows.gram(weight, torch.float32))


def linear_kernel(features: Tensor) -> Tensor:
    """Gives the cosine of centred features (n, d), as (n, n) float32.

    Rows of zeros stand for nodes of which nothing is known: they take no part in the mean and stay
    zero.
    """
    _check_features(features)
    known = features.any(dim=1)
    centred = torch.zeros(features.shape, dtype=torch.float32, device=features.device)
    if known.any():
        centred[known] = (features[known] - features[known].mean(dim=0)).float()
    return _cosine(centred @ centred.mT)


def gaussian_kernel(features: Tensor, width: float) -> Tensor:
    """Gives exp(-|f_i - f_j|² / (2 width²)) of features (n, d), as (n, n) float32.

    A row with NaN stands for a node of which nothing is known: it is like no other.

    Raises:
        ShapeError: If the features are not a float matrix or the width is not positive.
    """
    _check_features(features)
    if not width > 0:
        raise ShapeError(f"a Gaussian kernel needs a positive width, got {width}; try 0.3")
    known = ~features.isnan().any(dim=1)
    values = features.nan_to_num().float()
    squares = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist").square_()
    kernel = squares.div_(-2.0 * width * width).exp_()
    kernel[~known] = 0.0
    kernel[:, ~known] = 0.0
    return kernel


def ranks(values: Tensor) -> Tensor:
    """Gives each value's share of smaller ones, (n,) float32 in [0, 1); equal values stay equal.

    NaN stays NaN. Widths of a kernel then mean the same whatever a number counts.
    """
    known = ~values.isnan()
    out = torch.full(values.shape, torch.nan, dtype=torch.float32, device=values.device)
    ordered = values[known].sort().values
    place = torch.searchsorted(ordered, values[known].contiguous())
    out[known] = place.float() / max(len(ordered), 1)
    return out


def _cosine(gram: Tensor) -> Tensor:
    length = gram.diagonal().clamp_min(0.0).sqrt()
    scale = torch.where(length > 0, 1.0 / length.clamp_min(1e-12), torch.zeros_like(length))
    return gram.mul_(scale[:, None]).mul_(scale[None, :])


def _check_features(features: Tensor) -> None:
    if features.ndim != 2 or not features.is_floating_point():
        raise ShapeError(
            f"expected features (n, d) of floats, got {tuple(features.shape)} {features.dtype}; "
            f"give one row a node"
        )


class Likeness(FromHistory):
    """Scores an item by its mean likeness to what a user has, in one relation.

    score(u, i) = 1/|own(u)| Σ_{j∈own(u)} cos(x_i, x_j), where x_i has log(num_items / d_e) for each
    entity e that item i is connected to, d_e being the items of e.

    Attributes:
        history: The training items of each user.
        by_item: The entities of each item.
        values: (n,) float32, x_i / |x_i| for each entry of `by_item`.

    Raises:
        ShapeError: If the rows are over other items than the history.
    """

    def __init__(self, history: Incidence, rows: Incidence) -> None:
        if rows.num_columns != history.num_columns:
            raise ShapeError(
                f"the relation has rows over {rows.num_columns} items, the history is over "
                f"{history.num_columns}; build both from the same graph"
            )
        self.history = history
        self.by_item = rows.transposed()
        rarity = (rows.num_columns / rows.lengths.clamp(min=1)).log()
        values = rarity[self.by_item.columns]
        item = self.by_item.rows
        norm = values.new_zeros(rows.num_columns).index_add_(0, item, values.square()).sqrt()
        self.values = values / norm[item].clamp(min=1e-9)

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the mean likeness to what the users have, (B, num_items) float32."""
        own, lengths = self.history.take(user_indices)  # (m,)
        row = torch.repeat_interleave(torch.arange(len(user_indices)), lengths)
        entries, reach = self.by_item.places(own)  # (e,)
        owner = torch.repeat_interleave(row, reach)
        cells = self.by_item.columns[entries] * len(user_indices) + owner
        profile = self.values.new_zeros(self.by_item.num_columns * len(user_indices))
        profile.index_add_(0, cells, self.values[entries] / lengths[owner])
        scores = functional.embedding_bag(
            self.by_item.columns,
            profile.view(self.by_item.num_columns, -1),
            self.by_item.pointer[:-1],
            mode="sum",
            per_sample_weights=self.values,
        )  # (num_items, B)
        return scores.mT.contiguous()
