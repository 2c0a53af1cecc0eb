"""The graph networks as a part."""

from typing import TYPE_CHECKING, Any

from kgrec.progress import Advance
from kgrec.training.part import Part

if TYPE_CHECKING:
    from kgrec.config import Config
    from kgrec.model.scorer import Scorer
    from kgrec.training.fitting import Fitting


class NetworkPart(Part):
    """See `kgrec.model.network.GraphNetwork`; `fusion.network` turns it on.

    Its settings are the sections `model` and `training`; what it searches is its temperature.
    """

    name, title = "network", "network"
    reads_relations = True

    def is_enabled(self, config: "Config") -> bool:
        """Whether the network takes part."""
        return config.fusion.network

    def fit(self, fitting: "Fitting", settings: Any, advance: Advance) -> "Scorer":  # noqa: ARG002
        """Trains one network a seed; they have bars and seconds of their own."""
        return self.run(fitting)

    def run(self, fitting: "Fitting") -> "Scorer":
        """Trains one network a seed, hardened if the settings ask."""
        from kgrec.training.networks import fit_networks

        return fit_networks(fitting)


PART = NetworkPart()
