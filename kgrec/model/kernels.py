"""How alike nodes are by their content: one positive semidefinite kernel for each view of it."""

import torch
from torch import Tensor

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence


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
