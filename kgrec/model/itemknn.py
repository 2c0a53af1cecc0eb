"""ItemKNN: the nearest items by shrunk cosine of who took them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from kgrec.errors import ConfigError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import NO_WEIGHTS, Contributions, FromHistory

#: Cells of the similarity matrix that `fit` holds at once.
_CELLS_AT_ONCE = 25_000_000
#: Up to so many items the similarities are also laid out densely (64 MB at most): summing whole
#: rows is then faster than scattering their entries.
_DENSE_UP_TO = 4_000


@dataclass(eq=False, repr=False)
class ItemKNN(FromHistory, kind="ItemKNN"):
    """Scores an item by its similarity to those of the user's items that are its neighbours.

    With c_ij users who took both and n_i who took i, sim(i, j) = c_ij / (√(n_i n_j) + shrink), and
    score(u, i) = Σ sim(i, j) over j in N_k(i) ∩ own(u), N_k(i) being the k most similar items of i.

    Attributes:
        history: The training items of each user.
        influence: Row j has the items i that j is a neighbour of.
        similarity: (n,) float32, sim(i, j) for each entry of `influence`.

    References:
        Deshpande and Karypis, Item-based top-N recommendation algorithms, ACM TOIS 2004.
    """

    relation_weights = NO_WEIGHTS
    saved_tensors = ("influence", "similarity")

    history: Incidence
    influence: Incidence
    similarity: Tensor

    def __post_init__(self) -> None:
        self._dense: Tensor | None = None
        if self.num_items <= _DENSE_UP_TO:
            self._dense = self.similarity.new_zeros(self.num_items, self.num_items)
            self._dense[self.influence.rows, self.influence.columns] = self.similarity

    @classmethod
    def fit(cls, history: Incidence, *, neighbours: int = 100, shrink: float = 10.0) -> Self:
        """Finds each item's neighbours.

        Args:
            history: The training items of each user; where it lives, the scorer lives.
            neighbours: Kept per item, k.
            shrink: Added to the denominator; damps similarities that rest on few users.

        Raises:
            ConfigError: If neighbours is not positive or shrink is negative.
        """
        if neighbours < 1 or shrink < 0:
            raise ConfigError(
                f"ItemKNN needs neighbours >= 1 and shrink >= 0, got {neighbours} and {shrink}; "
                f"try 100 and 10"
            )
        num_items = history.num_columns
        by_item = history.transposed()
        norm = by_item.lengths.float().sqrt()  # (num_items,)
        items, nearest, values = [], [], []
        step = max(1, _CELLS_AT_ONCE // max(num_items, 1))
        for start in range(0, num_items, step):
            stop = min(start + step, num_items)
            block = history.gram_rows(by_item, start, stop)  # (b, num_items)
            block /= (norm[start:stop, None] * norm[None, :] + shrink).clamp_(min=1e-12)
            block.diagonal(start).zero_()
            top, index = block.topk(min(neighbours, num_items), dim=1)  # (b, k)
            positive = top > 0
            items.append(positive.nonzero()[:, 0] + start)
            nearest.append(index[positive])
            values.append(top[positive])
        item, neighbour, value = torch.cat(items), torch.cat(nearest), torch.cat(values)
        order = torch.argsort(neighbour * num_items + item)  # the order of from_pairs
        influence = Incidence.from_pairs(neighbour, item, num_items, num_items)
        return cls(history, influence, value[order])

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the sums of similarities, (B, num_items) float32."""
        device = self.history.device
        own, lengths = self.history.take(user_indices.to(device))  # (m,)
        if self._dense is not None:
            offsets = lengths.cumsum(0) - lengths
            return functional.embedding_bag(own, self._dense, offsets, mode="sum")
        entries, reach = self.influence.places(own)  # (e,)
        row = torch.repeat_interleave(torch.arange(len(user_indices), device=device), lengths)
        cells = torch.repeat_interleave(row * self.num_items, reach)
        cells += self.influence.columns[entries]
        scores = torch.zeros(len(user_indices) * self.num_items, device=device)
        scores.index_add_(0, cells, self.similarity[entries])
        return scores.view(-1, self.num_items)

    def contributions(self, user_index: int, item_indices: Tensor) -> Contributions:
        """Decomposes into the user's own items, exactly; everything flows through interactions."""
        own = self.history.row(user_index)
        items = item_indices.to(own.device)
        rows = torch.zeros(len(own), self.num_items, device=own.device)  # (h, num_items)
        for row, item in zip(rows, own.tolist(), strict=True):
            start, stop = self.influence.pointer[item : item + 2].tolist()
            row[self.influence.columns[start:stop]] = self.similarity[start:stop]
        by_item = rows[:, items].mT  # (k, h)
        return self.by_own_items(user_index, by_item)
