"""Where rows came from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """One delivery of one source.

    Attributes:
        number: Counts from 1; nodes and edges carry it.
        source: Name of the source.
        kind: Kind of the source.
        files: What was read, as in `Chunk.origin`.
        content: SHA-256 of what was read, 16 hex digits.
        rows: Rows that were kept.
        rejected: Rows that were refused.
        loaded_at: ISO 8601, UTC.
        undone: Whether it was taken back.
    """

    number: int
    source: str
    kind: str
    files: tuple[str, ...]
    content: str
    rows: int
    rejected: int
    loaded_at: str
    undone: bool = False
