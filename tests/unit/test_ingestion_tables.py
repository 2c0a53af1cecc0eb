"""Tables on their way into a store: whole numbers, edge properties, batches of a first load."""

import numpy as np
import pandas as pd
import pytest

from kgrec.data.tables import Dataset, RelationTable
from kgrec.errors import SchemaError
from kgrec.ingestion.tables import (
    catalogue_of,
    check_properties,
    edge_frame,
    edge_properties,
    node_frames,
)
from kgrec.schema import EdgeKey, NodeLabel, Role, Split
from kgrec.store.blocks import edge_batches, edge_block, plain_values
from kgrec.store.state import CatalogueEntry

VIEW = EdgeKey("VIEW", NodeLabel.USER, NodeLabel.ITEM)


def test_what_is_counted_becomes_whole_and_what_is_measured_stays() -> None:
    frame = pd.DataFrame(
        {
            "head": [0, 1, 2],
            "tail": [2, 1, 0],
            "rating": [4.0, np.nan, 5.0],
            "time": [1.5e9, np.nan, -3.0],
            "count": [1.0, 2.0, 3.0],
            "session": [0.5, 1.0, np.nan],  # no number of anything; kept as it is
            "score": [np.nan] * 3,
        },
        index=[7, 8, 9],
    )
    got = edge_frame(frame)
    assert list(got.columns) == ["head", "tail", "rating", "time", "count", "session"]
    assert got.index.tolist() == [0, 1, 2]
    assert plain_values(got["time"]) == [1_500_000_000, None, -3]
    assert all(isinstance(x, int) for x in plain_values(got["count"]))
    assert plain_values(got["rating"]) == [4.0, None, 5.0]
    assert plain_values(got["session"]) == [0.5, 1.0, None]
    assert edge_properties(frame) == ("rating", "time", "count", "session")


@pytest.mark.parametrize("value", [2.0**60, np.inf, -np.inf])
def test_numbers_that_a_float_cannot_hold_whole_stay_floats(value: float) -> None:
    got = edge_frame(pd.DataFrame({"head": [0], "tail": [0], "time": [value]}))
    assert got["time"].tolist() == [value]
    assert got["time"].dtype == np.float64


def test_catalogue_and_properties_of_a_dataset() -> None:
    nodes = {label: pd.DataFrame({"id": ["a", "b"]}) for label in NodeLabel}
    edges = pd.DataFrame({"head": [0], "tail": [1], "weight": [2.0], "count": [np.nan]})
    empty = edges.iloc[:0]
    splits = {Split.TRAIN: edges.assign(load=1), Split.VALID: empty.assign(rating=1.0)}
    dataset = Dataset(nodes, splits, (RelationTable("view", VIEW, edges, Role.EVIDENCE),))
    assert edge_properties(*dataset.interactions.values()) == ("weight", "load")
    assert catalogue_of(dataset) == (CatalogueEntry("view", VIEW, Role.EVIDENCE, ("weight",)),)
    frames = node_frames(dataset)
    assert frames[NodeLabel.ITEM]["title"].isna().all()
    assert frames[NodeLabel.ENTITY]["index"].tolist() == [0, 1]
    assert "title" not in frames[NodeLabel.USER]


@pytest.mark.parametrize(
    ("label", "name"),
    [(NodeLabel.ITEM, "name"), (NodeLabel.USER, "title"), (NodeLabel.ENTITY, "index")],
)
def test_properties_that_a_store_cannot_keep(label: NodeLabel, name: str) -> None:
    check_properties(label, ["id", "load", "year"])
    with pytest.raises(SchemaError, match=f"{label.lower()}_{name}"):
        check_properties(label, [name])
    with pytest.raises(SchemaError, match="rename the column"):
        check_properties(label, ["A`b"])


def test_batches_group_by_head_and_send_shared_values_once() -> None:
    frame = pd.DataFrame(
        {
            "head": [1, 0, 1, 0, 1],
            "tail": [0, 1, 2, 0, 1],
            "time": [5, 6, 7, 8, 9],
            "weight": 1.0,
            "score": [np.nan] * 5,
            "load": [3, 3, 3, 3, 4],
        }
    )
    heads, tails = np.array([100, 101]), np.array([200, 201, 202])
    one, two = edge_batches(frame, heads, tails, 3)
    # The batch is cut at three edges: 0-1, 0-0, 1-0; all are of load 3.
    assert one.rows == [[100, [[201, None, 6], [200, None, 8]]], [101, [[200, None, 5]]]]
    assert (one.shared_values, one.has_values, one.edges) == ({"weight": 1.0, "load": 3}, True, 3)
    assert two.rows == [
        [101, [[202, None, 7, None, None, None, None, 3], [201, None, 9, *[None] * 4, 4]]]
    ]
    assert two.shared_values == {"weight": 1.0}
    (bare,) = edge_batches(frame[["head", "tail"]], heads, tails, 10)
    assert bare.rows == [[100, [201, 200]], [101, [200, 202, 201]]]
    assert (bare.shared_values, bare.has_values) == ({}, False)


def test_what_is_no_number_is_found_to_differ() -> None:
    rows = [
        {"tail": 4, "heads": [1, 2], "values": [[0.5, None], ["of old", 7]]},
        {"tail": 5, "heads": [3], "values": [[True], [None]]},
    ]
    block = edge_block(rows, ("rating", "load"))
    assert block.head_index.tolist() == [1, 2, 3]
    assert block.tail_index.tolist() == [4, 4, 5]
    np.testing.assert_array_equal(block.properties["rating"], [0.5, np.nan, 1.0])
    np.testing.assert_array_equal(block.properties["load"], [np.inf, 7.0, np.nan])
