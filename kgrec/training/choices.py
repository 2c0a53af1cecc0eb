"""What the searches of one training found, so that nothing is searched twice."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kgrec.augment.gate import NONE
from kgrec.model.closed_form import Refinements
from kgrec.training.checkpoint import read_json, write_json
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.cold_folds import ColdSettings
from kgrec.training.side_searches import DirectedSettings, FactorsSettings, UserSideSettings
from kgrec.training.temperature_search import TemperatureSettings

#: In a run's folder while it is made: what the searches found.
CHOICES = "choices.json"

_Found = (
    ClosedFormSettings
    | UserSideSettings
    | FactorsSettings
    | DirectedSettings
    | TemperatureSettings
    | ColdSettings
)
_KINDS: dict[str, type[_Found]] = {
    "closed_form": ClosedFormSettings,
    "user_side": UserSideSettings,
    "factors": FactorsSettings,
    "directed": DirectedSettings,
    "temperature": TemperatureSettings,
    "cold": ColdSettings,
}


@dataclass
class Choices:
    """What was found for each part; what is there already is not searched again.

    Attributes:
        closed_form: Settings of the closed form.
        user_side: Settings of its twin.
        directed: Settings of the directed ridge.
        factors: Settings of the matrix factorisation.
        temperature: That of the networks.
        cold: Settings of the completion of cold items.
        cold_on_valid: The same at the level that valid allows.
        augment: Whose synthetic edges the networks learned.
        temporal: Whether valid holds what came after train.
    """

    closed_form: ClosedFormSettings | None = None
    user_side: UserSideSettings | None = None
    directed: DirectedSettings | None = None
    factors: FactorsSettings | None = None
    temperature: TemperatureSettings | None = None
    cold: ColdSettings | None = None
    cold_on_valid: ColdSettings | None = None
    augment: str = NONE
    temporal: bool = False

    def save(self, path: Path) -> None:
        """Writes what the searches found; whole or not at all."""
        found = {name: value for name, value in asdict(self).items() if name in _KINDS}
        write_json(path, found)

    @classmethod
    def load(cls, path: Path) -> "Choices":
        """Reads what an earlier attempt found; nothing if there was none."""
        if not path.is_file():
            return cls()
        tree = read_json(path)
        found = {name: kind(**tree[name]) for name, kind in _KINDS.items() if tree.get(name)}
        closed = found.get("closed_form")
        if isinstance(closed, ClosedFormSettings):
            refinements = Refinements.from_saved(tree["closed_form"]["refinements"])
            reached = closed.inner_ndcg and (closed.inner_ndcg[0], closed.inner_ndcg[1])
            found["closed_form"] = replace(closed, refinements=refinements, inner_ndcg=reached)
        cold = found.get("cold")
        if isinstance(cold, ColdSettings):
            weights, views = tuple(cold.view_weights), tuple(cold.views)
            found["cold"] = replace(cold, view_weights=weights, views=views)
        return cls(**found)  # type: ignore[arg-type]
