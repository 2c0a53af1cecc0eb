"""What cleaning did, counted by source and rule, with examples: never silent."""

import logging
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Self

logger = logging.getLogger(__name__)

Effect = Literal["mended", "dropped", "rejected", "noted"]

#: Examples kept of each finding.
EXAMPLES = 3


@dataclass
class Finding:
    """One rule that applied to one source.

    Attributes:
        source: The source's name, or "graph" for rules over everything.
        rule: Short name, e.g. `duplicate`, `missing id`, `k-core`.
        effect: `mended` (the row stays, changed), `dropped` (left out by a rule), `rejected` (a
            bad row), `noted` (nothing changed).
        count: How many rows, edges or nodes.
        text: One sentence for people, without the count.
        examples: Places or values, the first few.
    """

    source: str
    rule: str
    effect: Effect
    count: int
    text: str
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        examples = f" ({', '.join(self.examples)})" if self.examples else ""
        return f"{self.source}: {self.count:,} {self.text}{examples}"


class Report:
    """Collects findings; the same source and rule add up.

    As a context manager it is what `current_report` gives within the block, so that whatever is
    called there tells it what it finds.

    Attributes:
        rows: Rows read, by source.
    """

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str, str], Finding] = {}
        self.rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._outer = _collecting.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _collecting.reset(self._outer)

    def add(
        self,
        source: str,
        rule: str,
        effect: Effect,
        count: int,
        text: str,
        examples: Iterable[str] = (),
    ) -> None:
        """Counts a finding; a count of 0 is nothing. `text` follows the count in a sentence."""
        if count <= 0:
            return
        key = (source, rule, effect)
        finding = self._findings.setdefault(key, Finding(source, rule, effect, 0, text))
        finding.count += int(count)
        finding.examples += islice(examples, EXAMPLES - len(finding.examples))

    def read(self, source: str, rows: int) -> None:
        """Counts rows read of a source."""
        self.rows[source] = self.rows.get(source, 0) + int(rows)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by source in the order they were first met."""
        return tuple(self._findings.values())

    def rejected(self, source: str) -> int:
        """How many rows of a source were refused."""
        return sum(f.count for f in self.findings if f.source == source and f.effect == "rejected")

    def notes(self) -> tuple[str, ...]:
        """The findings as sentences."""
        return tuple(str(finding) for finding in self.findings)

    def to_json(self) -> Mapping[str, Any]:
        """`rows` by source and `findings` as plain values."""
        return {"rows": self.rows, "findings": [vars(finding) for finding in self.findings]}


class _Unread(Report):
    """What findings go to that nobody collects: they are logged, so that none is silent."""

    def add(
        self,
        source: str,
        rule: str,
        effect: Effect,
        count: int,
        text: str,
        examples: Iterable[str] = (),
    ) -> None:
        """Logs a finding."""
        super().add(source, rule, effect, count, text, examples)
        for finding in self.findings:
            logger.warning("%s", finding)


_collecting: ContextVar[Report | None] = ContextVar("report", default=None)


def current_report() -> Report:
    """Gives the report of the innermost `with Report()`; outside of any, one that logs."""
    return _collecting.get() or _Unread()
