"""How like items are in one relation: what they are connected to, rare things counting more."""

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import FromHistory


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
