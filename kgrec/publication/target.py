"""Where a publication is written."""

from dataclasses import dataclass

from kgrec.adopt import Naming
from kgrec.progress import Advance
from kgrec.publication.publication import Publication
from kgrec.store.base import GraphStore


@dataclass(frozen=True)
class Target:
    """Where a publication is written.

    Attributes:
        store: A store that is open for writing.
        naming: How its graph calls users, items and what is written.
        publication: The publication.
        advance: Tells a progress bar of a batch.
    """

    store: GraphStore
    naming: Naming
    publication: Publication
    advance: Advance
