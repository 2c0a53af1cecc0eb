"""A scorer taken apart into the models whose scores it adds up."""

from dataclasses import dataclass

from kgrec.model.cold import ColdCompletion
from kgrec.model.cold_users import ColdUsers
from kgrec.model.fusion import Fusion
from kgrec.model.scorer import Scorer, Wrapping


@dataclass(frozen=True, eq=False)
class Leaf:
    """One model of a fusion, for one user: it brings scale · (its score - shift).

    Attributes:
        name: Its place in the fusion, such as "closed_form" or "network/0".
        scorer: The model.
        scale: What its scores are multiplied by.
        shift: What is taken off before.
    """

    name: str
    scorer: Scorer
    scale: float = 1.0
    shift: float = 0.0


def leaves_of(scorer: Scorer, user_index: int, item_index: int) -> tuple[list[Leaf], float]:
    """Gives the models whose shares add up to one score, and what is added to them.

    Standardising is affine once its means and deviations, which are the user's, are held; a fusion
    of fusions is affine again.

    Args:
        scorer: Any scorer; fusions are opened, and so is what stands around them where it leaves
            the user and the item alone.
        user_index: The user.
        item_index: The item.

    Returns:
        Leaves and a constant c: the score is Σ scale (s - shift) + c.
    """
    if isinstance(scorer, Wrapping) and not _replaces(scorer, user_index, item_index):
        return leaves_of(scorer.scorer, user_index, item_index)
    if not isinstance(scorer, Fusion):
        return [Leaf("model", scorer)], 0.0
    found, constant = [], 0.0
    for name, scale, shift in scorer.affine(user_index):
        by, off = float(scale), float(shift)
        part = scorer.parts[name]
        if not isinstance(part, Fusion):
            found.append(Leaf(name, part, by, off))
            continue
        inner, added = leaves_of(part, user_index, item_index)
        found += [
            Leaf(f"{name}/{leaf.name}", leaf.scorer, by * leaf.scale, leaf.shift) for leaf in inner
        ]
        constant += by * (added - off)
    return found, constant


def _replaces(scorer: Wrapping, user_index: int, item_index: int) -> bool:
    """Whether the wrapping gives this score itself."""
    if isinstance(scorer, ColdUsers):
        return scorer.knows(user_index)
    if isinstance(scorer, ColdCompletion):
        return item_index in scorer.completion.cold.tolist()
    return True
