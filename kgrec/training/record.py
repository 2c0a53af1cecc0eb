"""What a training chose and measured, as `record.json` holds it.

`FitRecord` is what fitting notes on its way, `RunRecord` adds what a run directory says beside, and
`AugmenterRecord` what a generator of synthetic edges does. What a part's search found stands under
`settings` by the name of the part, so a new part needs nothing here.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: What searches find, which version 0.1 wrote beside the other keys.
_SEARCHES_0_1 = ("closed_form", "user_side", "factors", "directed", "temperature")


class _Section(BaseModel):
    """A part of a record; keys of other versions stay, so that no rewrite loses them."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, validate_assignment=True)

    def tree(self) -> dict[str, Any]:
        """Gives what was noted, as JSON holds it; what never was is left out."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class FusionRecord(_Section):
    """How the parts are summed.

    Attributes:
        weights: Of each part; 0 where the fusion does without.
        scales: Of the parts whose scores all users divide by one number.
        valid_ndcg: NDCG@20 on valid; None without a valid split.
    """

    weights: dict[str, float] = {}
    scales: dict[str, float] = {}
    valid_ndcg: float | None = Field(None, alias="valid_ndcg@20")


class NetworkRecord(_Section):
    """How the first network was trained.

    Attributes:
        epochs: Epochs done.
        best_epoch: The one with the best valid metric; 0 if valid was not asked.
        valid_ndcg: That metric, NDCG@20 of the network alone; None if valid was not asked.
        parameters: How many numbers were learned.
        text: Whether it reads texts.
        history: Of each epoch `epoch`, `loss`, `seconds`, and `valid` where that was measured.
        others: The further networks of an ensemble.
    """

    epochs: int = 0
    best_epoch: int = 0
    valid_ndcg: float | None = Field(None, alias="valid_ndcg@20")
    parameters: int = 0
    text: bool = False
    history: list[dict[str, int | float]] = []
    others: list["NetworkRecord"] = []


class AugmentRecord(_Section):
    """Synthetic edges: what the gate decided and why.

    Attributes:
        source: Whose edges were learned; `none` for nobody's. Its key is `picked`.
        edges: For how many `users` and `items`, how many each, and their `weight`.
        proposals: What each source's edges are like (`kgrec.augment.measures.describe`).
        learned: What generators measured while they learned.
        sources: The gate's verdict on each source; empty if it was not asked.
        versus: Differences between sources, with their intervals.
        words: All this in a sentence or two.
        seconds: How long it took.
    """

    source: str = Field(alias="picked")
    edges: dict[str, int | float] = {}
    proposals: dict[str, Any] = {}
    learned: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    versus: dict[str, Any] = {}
    words: str = ""
    seconds: float | None = None


class DefenceRecord(_Section):
    """Users who look made up and taught nothing.

    Attributes:
        users: Their ids.
        suspicion: How much each looks made up, in their order.
        targets: Ids of the items that they share, with the excess of suspicious users of each.
        interactions: How many were set aside.
        words: All this in a sentence or two.
    """

    users: list[str] = []
    suspicion: list[float] = []
    targets: dict[str, float] = {}
    interactions: int = 0
    words: str = ""


class ColdRecord(_Section):
    """Items without interactions, completed from content.

    Attributes:
        settings: What the search found; `ColdSettings` as JSON holds it.
        items: How many are cold.
        warm_read: How many warm items they are read off; None in records of version 0.1.
        is_used: Whether the run serves them so, which it does where valid keeps its accuracy. Its
            key is `kept`.
        on_valid: The level that valid allows; None without a valid split.
    """

    settings: dict[str, Any] = {}
    items: int
    warm_read: int | None = None
    is_used: bool = Field(True, alias="kept")
    on_valid: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_0_1(cls, tree: Any) -> Any:
        return _nested(tree, ("items", "warm_read", "kept", "is_used", "on_valid"))


class ColdUsersRecord(_Section):
    """Users without interactions, served by what else is known of them.

    Attributes:
        settings: What the search found; `ColdUserSettings` as JSON holds it.
        users: How many are cold.
        views: What is known of them.
        is_used: Whether the run serves them so, which it does where that beats popularity. Its key
            is `used`.
    """

    settings: dict[str, Any] = {}
    users: int
    views: list[str] = []
    is_used: bool = Field(alias="used")

    @model_validator(mode="before")
    @classmethod
    def _read_0_1(cls, tree: Any) -> Any:
        return _nested(tree, ("users", "views", "used", "is_used"))


class RefreshStep(_Section):
    """One fold of a run into a later graph.

    Attributes:
        before: Version of the graph it served. Its key is `from`.
        after: Version of the graph it serves now. Its key is `to`.
        at: When, in UTC, ISO 8601.
        nodes: Per label how many are `new` and `gone`.
        changed_users: Users with other items than before.
    """

    before: str = Field(alias="from")
    after: str = Field(alias="to")
    at: str
    nodes: dict[str, dict[str, int]] = {}
    changed_users: int = 0


class FitRecord(_Section):
    """What fitting chose and measured; it is filled while parts are fitted.

    Attributes:
        seed: Of all that is random.
        device: Where networks were trained; generators of version 0.1 do not say.
        seconds: By step; `train` is all together.
        settings: What searches found, by part, and `temperature` of the networks: the settings
            dataclass of each as JSON holds it.
        cut_searches: Searches that `search.minutes` ended.
        left_out: Parts that an early look at the fusion left out before they were searched.
        network: Training of the networks; None without.
        relation_weights: What the first network learned, `GENRE` along an edge, `rev_GENRE`
            against it.
        augment: Synthetic edges; None if none were asked for.
        fusion: Weights of the parts.
        cold: Cold items; None if there are none.
        cold_users: Cold users; None if there are none of whom something is known.
        defence: Who was set aside; None if nobody looked.
        chosen_by: Where the run was then fitted on all interactions: by split and metric `name@k`
            the figures of the model that was fitted on train alone.
        peak_memory_mb: Most memory that the process held; None before the end.
    """

    seed: int
    device: str = "cpu"
    seconds: dict[str, float] = {}
    settings: dict[str, dict[str, Any]] = {}
    cut_searches: list[str] = []
    left_out: list[str] = []
    network: NetworkRecord | None = None
    relation_weights: dict[str, float] = {}
    augment: AugmentRecord | None = None
    fusion: FusionRecord = FusionRecord()
    cold: ColdRecord | None = None
    cold_users: ColdUsersRecord | None = None
    defence: DefenceRecord | None = None
    chosen_by: dict[str, dict[str, float]] = {}
    peak_memory_mb: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_0_1(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping):
            return tree
        settings = {name: tree[name] for name in _SEARCHES_0_1 if name in tree}
        if not settings:
            return tree
        others = {name: value for name, value in tree.items() if name not in settings}
        return others | {"settings": settings | dict(others.get("settings", {}))}

    @classmethod
    def of(cls, fit: "FitRecord", **fields: Any) -> Self:
        """Gives a directory's record from that of its fit, and the fields that it adds."""
        return cls.model_validate({**fields, **fit.tree()})

    @property
    def epochs(self) -> list[dict[str, int | float]]:
        """What the first network's epochs measured; empty without a network."""
        return [] if self.network is None else self.network.history

    def add_seconds(self, step: str, seconds: float) -> None:
        """Adds to the time of a step."""
        self.seconds = {**self.seconds, step: self.seconds.get(step, 0.0) + seconds}

    def add_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        """Notes what a search found."""
        self.settings = {**self.settings, name: dict(settings)}


class RunRecord(FitRecord):
    """What a run directory says of its training.

    Attributes:
        kgrec_version: Version of kgrec that trained it.
        graph_version: Version of the graph that it serves.
        fan_out: By relationship type, how many items an entity has on average.
        trained_on: Version of the graph that it was trained on; None if that is `graph_version`.
        refreshed: The folds since, the latest first.
        folder: Where its directory was written; paths lead from there, also when it is copied.
    """

    kgrec_version: str
    graph_version: str
    fan_out: dict[str, float] = {}
    trained_on: str | None = None
    refreshed: list[RefreshStep] = []
    folder: str | None = None


class AugmenterRecord(FitRecord):
    """What a directory with generators of synthetic edges says of them.

    Attributes:
        kgrec_version: Version of kgrec that fitted them.
        graph_version: Version of the graph that they learned from.
        learned: Of each generator what `kgrec.augment` measured.
    """

    kgrec_version: str
    graph_version: str
    learned: dict[str, dict[str, Any]] = {}


def _nested(tree: Any, names: tuple[str, ...]) -> Any:
    """Puts what version 0.1 wrote flat, all but `names`, under `settings`."""
    if not isinstance(tree, Mapping) or "settings" in tree:
        return tree
    own = {name: value for name, value in tree.items() if name in names}
    return own | {"settings": {name: value for name, value in tree.items() if name not in names}}
