"""Versions of a graph that do not depend on the order in which its rows came.

A version is the sum modulo 2⁶⁴ of one hash a node and one hash an edge, so that a change of some
rows changes it by what they add and take away. Where a row came from (its load) is no part of it.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from kgrec.schema import EdgeKey, NodeLabel

Hashes = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
#: Columns that say where a row came from.
PROVENANCE = frozenset({"load"})


def hash_ids(ids: Iterable[str] | pd.Series | pd.Index) -> Hashes:
    """Hashes external ids (n,); the same id gives the same hash everywhere and always."""
    values = np.asarray(ids if isinstance(ids, pd.Series | pd.Index) else list(ids), dtype=object)
    return np.asarray(pd.util.hash_array(values, categorize=False), dtype=np.uint64)


def mix(*parts: Hashes | np.uint64) -> Hashes:
    """Combines hashes (n,) into one (n,), in order (splitmix64's finaliser after each)."""
    with np.errstate(over="ignore"):
        out = np.zeros_like(np.asarray(parts[0], dtype=np.uint64))
        for part in parts:
            out = (out ^ part) * _GOLDEN
            out = (out ^ (out >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            out = (out ^ (out >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            out = out ^ (out >> np.uint64(31))
    return out


def pair_hashes(user_hash: Hashes, item_hash: Hashes) -> Hashes:
    """Hashes pairs (n,) of a user's and an item's hash: the order of what is of one moment.

    An item's hash alone would put the same items last for everybody.
    """
    return mix(user_hash, item_hash)


def edge_hashes(
    name: str, key: EdgeKey, edges: pd.DataFrame, ids: Mapping[NodeLabel, Hashes]
) -> Hashes:
    """Hashes edges (n,) of one set.

    Args:
        name: Names the set and its relation, as `kgrec.data.tables.named_edges` does.
        key: The set.
        edges: `head` and `tail` (positions) and numeric properties; a missing value is as good as
            no column.
        ids: Per label the hashes of the nodes' ids, uint64, by position.
    """
    heads = ids[key.head][np.asarray(edges["head"])]
    tails = ids[key.tail][np.asarray(edges["tail"])]
    ends = mix(hash_ids([name])[0] ^ heads, tails)
    return _with_properties(ends, edges.drop(columns=["head", "tail"]))


def node_hashes(label: str, ids: Hashes, properties: pd.DataFrame) -> Hashes:
    """Hashes nodes (n,) of a label with their properties; a missing value is as none."""
    return _with_properties(mix(hash_ids([label])[0] ^ ids), properties)


def total(hashes: Hashes) -> int:
    """The sum modulo 2⁶⁴."""
    with np.errstate(over="ignore"):
        return int(hashes.sum(dtype=np.uint64))


def version_of(value: int) -> str:
    """A version's 16 hex digits."""
    return f"{value % 2**64:016x}"


def _with_properties(rows: Hashes, properties: pd.DataFrame) -> Hashes:
    with np.errstate(over="ignore"):
        for name in sorted(set(properties.columns) - PROVENANCE):
            column = properties[name]
            if pd.api.types.is_numeric_dtype(column.dtype):
                values = column.to_numpy(dtype=np.float64, na_value=np.nan)
                bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
                missing = np.isnan(values)
            else:
                missing = column.isna().to_numpy(dtype=bool)
                bits = hash_ids(column.astype(object).where(~missing, ""))
            cell = mix(bits, np.broadcast_to(hash_ids([str(name)])[0], bits.shape))
            # A sum, so that a property that is missing changes nothing.
            rows = rows + np.where(missing, np.uint64(0), mix(rows, cell))
    return rows
