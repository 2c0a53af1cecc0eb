"""Events as rows of plain Python, and the views that are made of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kgrec.config import DataConfig
from kgrec.data.cleaning.report import Report
from kgrec.data.fingerprint import hash_ids
from kgrec.data.journal.events import NO_SPLIT, NO_TIME, Events
from kgrec.data.view.interactions import InteractionView, derive_interactions
from kgrec.schema import Split

Edges = dict[tuple[int, int], dict[str, float]]


@dataclass(frozen=True)
class Row:
    """One event; None is unknown."""

    user: int
    item: int
    time: float | None = None
    rating: float | None = None
    behaviour: str = "interaction"
    weight: float | None = None
    split: str | None = None
    deleted: bool = False
    load: int = 1


def events_of(rows: list[Row], behaviours: tuple[str, ...] | None = None) -> Events:
    names = behaviours or tuple(sorted({row.behaviour for row in rows})) or ("interaction",)
    splits = [split.value for split in Split]
    return Events(
        user=np.array([row.user for row in rows], dtype=np.int32),
        item=np.array([row.item for row in rows], dtype=np.int32),
        behaviour=np.array([names.index(row.behaviour) for row in rows], dtype=np.int16),
        time=np.array([NO_TIME if r.time is None else r.time for r in rows], dtype=np.float64),
        rating=np.array([np.nan if r.rating is None else r.rating for r in rows], dtype=np.float64),
        weight=np.array([np.nan if r.weight is None else r.weight for r in rows], dtype=np.float64),
        split=np.array(
            [NO_SPLIT if row.split is None else splits.index(row.split) for row in rows],
            dtype=np.int8,
        ),
        deleted=np.array([row.deleted for row in rows], dtype=np.bool_),
        load=np.array([row.load for row in rows], dtype=np.int32),
        behaviours=names,
    )


def hashes(prefix: str, size: int) -> np.ndarray:
    return hash_ids([f"{prefix}{code}" for code in range(size)])


def config_of(**settings: Any) -> DataConfig:
    return DataConfig.model_validate({"interactions": "events.csv", **settings})


def view_of(
    rows: list[Row],
    config: DataConfig | None = None,
    *,
    seed: int = 0,
    report: Report | None = None,
    num_users: int = 8,
    num_items: int = 12,
    **more: Any,
) -> InteractionView:
    with report or Report():
        return derive_interactions(
            events_of(rows),
            hashes("u", num_users),
            hashes("i", num_items),
            config or config_of(),
            seed,
            **more,
        )


def edges_of(frame: pd.DataFrame) -> Edges:
    """What edges carry; a missing value is none."""
    found: Edges = {}
    for row in frame.to_dict("records"):
        pair = int(row.pop("head")), int(row.pop("tail"))
        assert pair not in found
        found[pair] = {name: value for name, value in row.items() if not np.isnan(value)}
    return found


def all_edges(view: InteractionView) -> dict[str, Edges]:
    found = {split.value: edges_of(frame) for split, frame in view.splits.items()}
    return found | {behaviour.name: edges_of(behaviour.edges) for behaviour in view.behaviours}
