"""How like items' texts are to those of what a user has."""

from torch import Tensor
from torch.nn import functional

from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import FromHistory


class TextLikeness(FromHistory):
    """Scores an item by its text's mean cosine with the texts of what a user has.

    score(u, i) = 1/|own(u)| Σ_{j∈own(u)} cos(t_i, t_j); an item without text is at 0 from all.

    Args:
        history: The training items of each user.
        text: (num_items, c) float32, frozen features of the items alone.

    Raises:
        ShapeError: If there is not a row for each item.
    """

    def __init__(self, history: Incidence, text: Tensor) -> None:
        if len(text) != history.num_columns:
            raise ShapeError(
                f"there are {len(text)} texts, the history is over {history.num_columns} items; "
                f"expected one for each; build both from the same graph"
            )
        self.history = history
        self.text = functional.normalize(text.float(), dim=1, eps=1e-9)

    def score(self, user_indices: Tensor) -> Tensor:
        """Gives the mean cosines, (B, num_items) float32."""
        own, lengths = self.history.take(user_indices)
        profile = functional.embedding_bag(
            own, self.text, lengths.cumsum(0) - lengths, mode="mean"
        )  # (B, c)
        return profile @ self.text.T
