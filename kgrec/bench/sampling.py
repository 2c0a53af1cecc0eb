"""Items that users do not have, for losses that need them."""

import torch
from torch import Tensor

from kgrec.model.incidence import Incidence

#: Draws before a user who has almost everything keeps what came last.
_TRIES = 20


class Negatives:
    """Draws items uniformly among those a user does not have.

    Args:
        history: The training items of each user.
    """

    def __init__(self, history: Incidence) -> None:
        self._num_items = history.num_columns
        self._keys = history.rows * history.num_columns + history.columns  # ascending

    def draw(self, user: Tensor, generator: torch.Generator) -> Tensor:
        """Gives one item for each of users (n,) int64, (n,) int64.

        A draw that is the user's own is made again, at most 20 times.
        """
        item = torch.randint(self._num_items, user.shape, generator=generator)
        for _ in range(_TRIES):
            own = self._own(user, item).nonzero().squeeze(1)
            if not len(own):
                break
            item[own] = torch.randint(self._num_items, own.shape, generator=generator)
        return item

    def _own(self, user: Tensor, item: Tensor) -> Tensor:
        keys = user * self._num_items + item
        place = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return self._keys[place] == keys
