"""Learned relation weights, from a run to a query."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgrec.errors import RunError
from kgrec.files import parsed_json, read_text
from kgrec.training.record import RunRecord


def relation_weights(run: RunRecord | Mapping[str, Any] | Path | str) -> dict[str, float]:
    """Gives the weights that a run's networks learned, as queries take them.

    Args:
        run: The run's directory, its record, or what `record.json` holds.

    Returns:
        A weight by directed relation: `GENRE` along an edge, `rev_GENRE` against it. Behaviours
        are among them, negative ones with a minus.

    Raises:
        RunError: If there is no such run, or it trained no network.
    """
    if isinstance(run, RunRecord):
        weights: Any = run.relation_weights
    else:
        record = run if isinstance(run, Mapping) else _record(Path(run))
        weights = record.get("relation_weights")
    if not isinstance(weights, Mapping) or not weights:
        raise RunError(
            "the run has no learned relation weights; expected a run with a network of propagation "
            "layers; train one, or give weights yourself"
        )
    return {str(name): float(weight) for name, weight in weights.items()}


def _record(directory: Path) -> Mapping[str, Any]:
    path = directory / "record.json"
    try:
        record = parsed_json(read_text(path))
    except (OSError, ValueError) as exc:
        raise RunError(
            f"no run in {directory} ({exc}); expected a directory that `kgrec train` made"
        ) from exc
    if not isinstance(record, dict):
        raise RunError(f"{path} is damaged: no JSON object; copy the run again, or train again")
    return record
