"""The optimizers of a network, and how their rates fall."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from kgrec.config import TrainingConfig
from kgrec.model.network import GraphNetwork


def build_optimizers(
    network: GraphNetwork, training: TrainingConfig
) -> tuple[torch.optim.Optimizer, ...]:
    """Gives Adam for all parameters; with sampled neighbours the embedding has one by rows."""
    parameters = dict(network.named_parameters())
    embedding = parameters.pop("embedding")
    # The scalars of linear propagation, and β.
    relation = [
        parameters.pop(name) for name in ("encoder.weight", "popularity") if name in parameters
    ]
    groups: list[dict[str, Any]] = [
        {"params": [embedding], "weight_decay": training.weight_decay},
        {"params": list(parameters.values())},
        {"params": relation, "lr": training.relation_learning_rate},
    ]
    sparse: list[torch.optim.Optimizer] = []
    if training.neighbours is not None:  # only the rows of a batch have a gradient
        sparse = [RowAdam([embedding], lr=training.learning_rate)]
        groups = groups[1:]
    dense = torch.optim.Adam(
        [group for group in groups if group["params"]], lr=training.learning_rate, fused=True
    )
    for optimizer in (dense, *sparse):
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return dense, *sparse


def decay_rates(optimizers: tuple[torch.optim.Optimizer, ...], factor: float) -> None:
    """Sets the rates to a share of the initial ones; of the epoch alone, as runs may be resumed."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


class RowAdam(torch.optim.Optimizer):
    """Adam on the rows that have a gradient; the others keep their values and moments.

    The same numbers as torch's SparseAdam, which goes through sparse tensors and was half of a
    step's time: here the rows and their moments are gathered, updated by torch's fused Adam and put
    back. Row indices must be distinct, as those of a sample's nodes are.

    Args:
        params: Parameters (n, d) with sparse gradients.
        lr: Learning rate.
        betas: Decay of the moments.
        eps: Added to the root of the second moment.

    References:
        Kingma and Ba, arXiv:1412.6980, algorithm 1, applied lazily.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Updates the rows of the gradients at hand."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        row = parameter.grad._indices()[0]  # (k,)
        tables = (parameter.detach(), state["exp_avg"], state["exp_avg_sq"])
        value, first, second = (table.index_select(0, row) for table in tables)  # (k, d)
        adam(
            [value],
            [parameter.grad._values()],
            [first],
            [second],
            [],
            [state["step"]],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )
        for table, rows in zip(tables, (value, first, second), strict=True):
            table.index_copy_(0, row, rows)
