"""Cleaned rows by hand, as the journal gives them, and the knowledge derived from them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.config import Config, Kind, Source
from kgrec.data.cleaning.report import Report
from kgrec.data.cleaning.rows import SCHEMAS
from kgrec.data.view.identities import read_identities
from kgrec.data.view.knowledge import KnowledgeView, derive_knowledge
from kgrec.data.view.nodes import table_ids
from kgrec.data.view.rows import SourceRows
from kgrec.data.view.scaling import Scale
from kgrec.schema import NodeLabel, Role

_NUMERIC = {"time", "weight", "score"}
_FLAGS = {"deleted", "accepted"}


def delivered(
    kind: Kind, *loads: str, name: str | None = None, numbers: Sequence[int] = (), **settings: Any
) -> SourceRows:
    """Gives the rows of a source.

    Args:
        kind: Kind of the source.
        loads: Per load a CSV text; empty cells are missing, flags are "yes" or empty. Its file is
            called `<name>-<load>.csv`.
        name: The source's name; None is its kind.
        numbers: Numbers of the loads; from 1 on without any.
        settings: More of the source's settings.
    """
    name = name or kind
    numbers = numbers or range(1, len(loads) + 1)
    frames = [_frame(kind, text).assign(load=n) for n, text in zip(numbers, loads, strict=True)]
    source = Source.model_validate({"name": name, "kind": kind, "table": name, **settings})
    frame = pd.concat(frames, ignore_index=True)
    return SourceRows(source, frame, {number: (f"{name}-{number}.csv",) for number in numbers})


def _frame(kind: Kind, text: str) -> pd.DataFrame:
    header, *rows = csv.reader(io.StringIO(text))
    columns: dict[str, Any] = {
        column: [row[place] or None for row in rows] for place, column in enumerate(header)
    }
    for column in SCHEMAS[kind].names:
        cells = columns.get(column, [None] * len(rows))
        if column in _NUMERIC:
            columns[column] = [np.nan if cell is None else float(cell) for cell in cells]
        elif column in _FLAGS:
            default = column == "accepted" and column not in columns
            columns[column] = [default or cell == "yes" for cell in cells]
        elif column == "label":
            columns[column] = [cell or "Item" for cell in cells]
        else:
            columns[column] = cells
    # The first row below the header is row 2.
    columns |= {"file": 0, "row": range(2, 2 + len(rows))}
    frame = pd.DataFrame(columns, index=range(len(rows)))
    texts = [column for column in frame if frame[column].dtype == object]
    return frame.astype(dict.fromkeys(texts, "str"))


@dataclass(frozen=True)
class Held:
    """Pairs of ids that are held out, and the moment of a global cut."""

    pairs: frozenset[tuple[str, str]] = frozenset()
    moment: int | None = None

    def leaves(self, user: pd.Series, item: pd.Series, time: pd.Series) -> npt.NDArray[np.bool_]:
        return np.array([pair in self.pairs for pair in zip(user, item, strict=True)], dtype=bool)


@dataclass
class World:
    """What the tests derive: users u1 to u3 and items 1 to 3, unless they say otherwise."""

    view: KnowledgeView
    report: Report
    notes: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.notes = list(self.report.notes())

    def edges(self, role: Role = Role.RELATION) -> dict[str, set[tuple[str, str]]]:
        """Edges of a role by `relation Head->Tail`."""
        return {
            f"{t.name} {t.key.head}->{t.key.tail}": set(
                zip(t.edges["head"], t.edges["tail"], strict=True)
            )
            for t in self.view.relations
            if t.role == role
        }

    def ids(self, label: NodeLabel) -> list[str]:
        """All ids of a label."""
        return list(self.view.nodes[label]["id"])

    def column(self, label: NodeLabel, name: str) -> dict[str, Any]:
        """A property by id, where there is one."""
        nodes = self.view.nodes[label].set_index("id")
        return nodes[name].dropna().to_dict()


def derived(
    *rows: SourceRows,
    users: str = "u1 u2 u3",
    items: str = "1 2 3",
    held: Held | None = None,
    train: str | None = None,
    scales: Mapping[str, Scale] | None = None,
    **data: Any,
) -> World:
    """Derives knowledge from rows by hand; `data` are settings of that section."""
    by_kind: dict[Kind, list[SourceRows]] = {}
    for table in rows:
        by_kind.setdefault(table.source.kind, []).append(table)
    config = Config.build({"data": {"interactions": "x.csv", **data}}).data
    known = {NodeLabel.USER: pd.Index(users.split()), NodeLabel.ITEM: pd.Index(items.split())}
    named = {
        NodeLabel.USER: known[NodeLabel.USER].union(table_ids(by_kind.get("users", ()))),
        NodeLabel.ITEM: known[NodeLabel.ITEM].union(table_ids(by_kind.get("items", ()))),
    }
    with Report() as report:
        identities = read_identities(by_kind.get("same_as", ()), named)
        view = derive_knowledge(
            by_kind,
            pd.Series(1, index=known[NodeLabel.USER]),
            pd.Series(1, index=known[NodeLabel.ITEM]),
            held or Held(),
            pd.Index((items if train is None else train).split()),
            identities,
            config,
            scales,
        )
    return World(view, report)
