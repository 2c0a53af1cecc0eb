"""What a forgetting did, place by place, and whether looking again found anything left."""

from dataclasses import asdict, dataclass
from typing import Any

from kgrec.schema import NodeLabel
from kgrec.upkeep.intent import Target

#: What no forgetting can reach, said in every receipt.
NOT_COVERED = (
    "your own files and graphs, which the rows were read from: they are yours; what they bring "
    "again of a forgotten id is dropped at intake",
    "runs that were not named, and what of them is published in a graph that was adopted; copies "
    "and backups of journal, store and runs, and what a Neo4j server keeps in its transaction logs "
    "until it prunes them",
    "vectors in the text cache of texts that earlier versions of the graph told: they are kept "
    "under hashes and hold no id; remove the cache folder if they must go as well",
    "what training learned from the rows: item weights, factors and other nodes' features stay; "
    "kgrec forget --retrain-exact measures it, kgrec train removes it",
)


@dataclass(frozen=True)
class Place:
    """One place that was looked at.

    Attributes:
        name: What it is.
        where: Path or address.
        removed: How many rows, edges, vectors … this call removed.
        left: How many were found when the place was read again; 0 is what is meant.
        detail: By kind what was removed, where there are several.
    """

    name: str
    where: str
    removed: int
    left: int
    detail: dict[str, int] | None = None


@dataclass(frozen=True)
class Receipt:
    """What was forgotten, where, and whether it is gone.

    Attributes:
        target: Who or what.
        ids: By label all ids that named it.
        places: Every place that was looked at.
        was_present: Whether anything of it was there when the call began.
        was_forgotten: Whether it was forgotten before.
        completed: Whether an earlier, interrupted forgetting was completed.
        version: The graph version afterwards; None if the store was not written.
        influence: What `--retrain-exact` measured, by run.
    """

    target: Target
    ids: dict[NodeLabel, frozenset[str]]
    places: tuple[Place, ...]
    was_present: bool
    was_forgotten: bool
    completed: bool
    version: str | None
    influence: dict[str, dict[str, float]] | None = None

    @property
    def verified(self) -> bool:
        """Whether nothing was left anywhere."""
        return not any(place.left for place in self.places)

    def to_json(self) -> dict[str, Any]:
        """The receipt as JSON values; it names who was forgotten, and is yours to keep or not."""
        return {
            "label": str(self.target.label),
            "id": self.target.id,
            "names": {str(label): sorted(ids) for label, ids in self.ids.items() if ids},
            "found": self.was_present,
            "forgotten_before": self.was_forgotten,
            "completed_an_interrupted_one": self.completed,
            "graph_version": self.version,
            "places": [asdict(place) for place in self.places],
            "verified": self.verified,
            "not_covered": list(NOT_COVERED),
            "influence": self.influence,
        }
