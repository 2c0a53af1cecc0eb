"""A dataset's tables and loads as a store keeps them: names checked, whole numbers as integers."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from kgrec.data.journal.manifest import Load
from kgrec.data.tables import Dataset
from kgrec.errors import SchemaError
from kgrec.schema import (
    DISPLAY_PROPERTY,
    EDGE_PROPERTIES,
    RESERVED_PROPERTIES,
    NodeLabel,
    Role,
    Split,
    interaction_key,
    property_name,
)
from kgrec.store.base import SHADOWED_PROPERTIES, GraphStore
from kgrec.store.state import CatalogueEntry

INTERACTION_KEYS = tuple(interaction_key(split) for split in Split)


def check_properties(label: NodeLabel, columns: Iterable[str]) -> None:
    """Checks that a store can keep properties under their names.

    Args:
        label: The label of the nodes.
        columns: The columns of their frame.

    Raises:
        SchemaError: If it cannot.
    """
    display = DISPLAY_PROPERTY[label]
    reserved_names = (RESERVED_PROPERTIES - {"id", "load"}) | (SHADOWED_PROPERTIES - {display})
    for name in columns:
        if name in reserved_names:
            raise SchemaError(
                f"{label} property {name!r} has a meaning of its own in a store; rename the "
                f"column, for example to {label.lower()}_{name}"
            )
        property_name(name)


def node_frames(dataset: Dataset) -> dict[NodeLabel, pd.DataFrame]:
    """Gives per label `id`, `index` and properties, the one that shows it always among them.

    Raises:
        SchemaError: As `check_properties`.
    """
    frames = {}
    for label in NodeLabel:
        frame = dataset.nodes.get(label, pd.DataFrame({"id": pd.Series(dtype=object)}))
        check_properties(label, frame.columns)
        frame = frame.reset_index(drop=True)
        display = DISPLAY_PROPERTY[label]
        if display and display not in frame.columns:
            frame = frame.assign(**{display: pd.Series([None] * len(frame), dtype=object)})
        frames[label] = frame.assign(index=np.arange(len(frame), dtype=np.int64))
    return frames


def edge_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives `head`, `tail` and those of EDGE_PROPERTIES that any edge has.

    A column of numbers that are all whole is made integers, which Int64 keeps where some are
    missing; ratings, weights and scores stay floats.
    """
    columns = {"head": frame["head"], "tail": frame["tail"]}
    for name in edge_properties(frame):
        columns[name] = _as_integers(frame[name]) if name in _COUNTED else frame[name]
    return pd.DataFrame(columns, copy=False).reset_index(drop=True)


def edge_properties(*frames: pd.DataFrame) -> tuple[str, ...]:
    """Gives which of EDGE_PROPERTIES any edge of the frames has."""
    return tuple(
        name
        for name in EDGE_PROPERTIES
        if any(name in frame and frame[name].notna().any() for frame in frames)
    )


def catalogue_of(dataset: Dataset) -> tuple[CatalogueEntry, ...]:
    """Gives the catalogue of a dataset."""
    return tuple(
        CatalogueEntry(table.name, table.key, Role(table.role), edge_properties(table.edges))
        for table in dataset.relations
    )


def read_loads(store: GraphStore) -> tuple[Load, ...]:
    """Gives the loads whose rows are, or were, in the graph, by number."""
    return tuple(Load(**{**row, "files": tuple(row["files"] or ())}) for row in store.read("loads"))


def write_loads(store: GraphStore, loads: Sequence[Load]) -> None:
    """Makes the list of loads the given one."""
    store.write_rows("upsert_loads", [[str(load.number), load_properties(load)] for load in loads])
    store.write("delete_loads", kept=[str(load.number) for load in loads])


def load_properties(load: Load) -> dict[str, object]:
    """Gives what a load's node holds beside its id."""
    return {**asdict(load), "files": list(load.files)}


#: What is counted or numbered, as opposed to measured.
_COUNTED = frozenset({"time", "count", "session", "load"})


def _as_integers(column: pd.Series) -> pd.Series:
    if not pd.api.types.is_float_dtype(column.dtype):
        return column
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing_mask = np.isnan(values)
    # Whole, and small enough to be exact as a float.
    if not ((np.floor(values) == values) & (np.abs(values) < 2**53) | missing_mask).all():
        return column
    integers = np.where(missing_mask, 0, values).astype(np.int64)
    if not missing_mask.any():
        return pd.Series(integers, index=column.index)
    return pd.Series(pd.arrays.IntegerArray(integers, missing_mask), index=column.index)
