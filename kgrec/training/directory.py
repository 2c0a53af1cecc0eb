"""A run directory: what is in it, how it comes to be whole, and how it is read."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from pydantic import ValidationError
from torch import Tensor

from kgrec.config import Config
from kgrec.config.removals import without_removed
from kgrec.errors import RunError
from kgrec.files import NOT_AS_WRITTEN, digest_of_file
from kgrec.graph.data import GraphData
from kgrec.graph.texts import TextSpace, display_names
from kgrec.model.kinds import described, from_description
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel
from kgrec.training.behaviours import Behaviours
from kgrec.training.checkpoint import load_tensors, read_json, save_tensors, write_json
from kgrec.training.part import all_parts
from kgrec.training.record import FitRecord, RunRecord
from kgrec.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_Record = TypeVar("_Record", bound=FitRecord)

#: Version of the layout of a run directory, and those that are read. 4 is that of version 0.1.
LAYOUT = 5
_READABLE_LAYOUTS = (4, LAYOUT)

#: File of a run directory: what its training chose and measured. It is written last.
RECORD = "record.json"

# Names of the tensors beside those of the scorer's parts and of the behaviours.
_SPACE = ("text.mean", "text.basis")


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run.

    Attributes:
        directory: Where it lies.
        config: The settings it was trained with.
        record: What training chose and measured.
        scorer: The recommender.
        vocabularies: External ids of users, items and entities.
        names: What to call each node, in index order.
        behaviours: What else is known of what users did.
        space: The space that texts were put into; None if no text was read.
    """

    directory: Path
    config: Config
    record: RunRecord
    scorer: Scorer
    vocabularies: dict[NodeLabel, Vocabulary]
    names: dict[NodeLabel, list[str]]
    behaviours: Behaviours
    space: TextSpace | None = None

    def known_items(self, user_index: int) -> Tensor:
        """Gives what a user has met, in whatever split, as indices (n,) int64 of items."""
        known_items = self.scorer.history.row(user_index)
        if self.behaviours.held_out is None:
            return known_items
        return torch.cat([known_items, self.behaviours.held_out.row(user_index)])

    def check_version(self, version: str) -> None:
        """Raises RunError if the run was trained on another version of the graph."""
        if version != self.record.graph_version:
            raise RunError(
                f"run {self.directory} was trained on graph version "
                f"{self.record.graph_version}, the store holds {version}; fold it in with "
                f"kgrec refresh, train again on this graph, or ingest the data the run was "
                f"trained on"
            )


def load_run(run_dir: Path | str) -> Run:
    """Reads a run directory.

    Raises:
        RunError: If there is none, or a file of it is missing or damaged.
    """
    run_dir = Path(run_dir)
    record = read_record(run_dir)
    tensors, values = load_tensors(run_dir / "model.safetensors")
    try:
        config = read_config(run_dir, record)
        nodes = pd.read_parquet(run_dir / "nodes.parquet")
        scorer = from_description(tensors, values)
        behaviours = Behaviours.from_tensors(tensors, scorer.num_items)
        space = None
        if _SPACE[0] in tensors:
            space = TextSpace(*(tensors[name].numpy() for name in _SPACE))
    except (OSError, ValueError, KeyError) as exc:
        raise RunError(f"run {run_dir} is damaged: {exc}; train again, or copy it again") from exc
    except RunError as exc:
        raise RunError(f"run {run_dir}: {exc}") from exc
    by_label = {label: nodes[nodes["label"] == str(label)] for label in NodeLabel}
    return Run(
        directory=run_dir,
        config=config,
        record=record,
        scorer=scorer,
        vocabularies={x: Vocabulary(frame["id"], x) for x, frame in by_label.items()},
        names={x: frame["name"].tolist() for x, frame in by_label.items()},
        behaviours=behaviours,
        space=space,
    )


def read_record(run_dir: Path) -> RunRecord:
    """Reads what the training of a run chose and measured.

    Raises:
        RunError: If there is no run, it is of another layout, or the file is damaged.
    """
    path = run_dir / RECORD
    if not path.is_file():
        raise RunError(
            f"no run in {run_dir}; expected a directory that `kgrec train` made; "
            f"run `kgrec train --config C.toml --run {run_dir}`"
        )
    return read_record_file(path, RunRecord, _READABLE_LAYOUTS, "train again")


def read_record_file(
    path: Path, kind: type[_Record], layouts: Sequence[int], next_step: str
) -> _Record:
    """Reads a record of some kind, written with its layout and the digests of what lies beside it.

    Raises:
        RunError: If it is of another layout, or it or what lies beside it is damaged; the message
            ends with the next step.
    """
    tree = read_json(path)
    layout = tree.pop("layout", None)
    for name, digest in tree.pop("digests", {}).items():
        beside = path.with_name(name)
        if beside.is_file() and digest_of_file(beside) != digest:
            raise RunError(f"{beside} is damaged: {NOT_AS_WRITTEN}; {next_step}, or copy it again")
    if layout not in layouts:
        raise RunError(
            f"{path} has layout {layout}, this kgrec reads {' and '.join(map(str, layouts))}; "
            f"{next_step}"
        )
    try:
        return kind.model_validate(tree)
    except ValidationError as exc:
        error = exc.errors()[0]
        raise RunError(
            f"{path} is damaged: {'.'.join(map(str, error['loc']))}: {error['msg']}; "
            f"{next_step}, or copy it again"
        ) from exc


def write_record(folder: Path, record: RunRecord) -> None:
    """Writes what `read_record` reads, once all else is there; whole or not at all."""
    # A directory is written beside the one that it becomes.
    record = record.model_copy(update={"folder": str(folder.resolve().parent)})
    names = ("config.json", "nodes.parquet")
    write_record_file(folder / RECORD, record.tree(), LAYOUT, names)


def write_record_file(
    path: Path, tree: Mapping[str, Any], layout: int, names: Sequence[str]
) -> None:
    """Writes a record, with the digests of files beside it that have none of their own."""
    beside = [path.with_name(name) for name in names]
    digests = {file.name: digest_of_file(file) for file in beside if file.is_file()}
    write_json(path, {"layout": layout, **tree, "digests": digests})


def read_config(directory: Path, record: FitRecord) -> Config:
    """Reads the settings that a run was trained with, but for those that kgrec no longer has.

    Args:
        directory: The run's.
        record: Its record, with the parts' weights.

    Raises:
        ConfigError: If a setting is unknown or has a wrong value.
        RunError: If the file is missing or damaged, or the run needs a part of somebody's own that
            is not registered here.
    """
    tree, removals = without_removed(read_json(directory / "config.json"))
    if removals:
        logger.warning(
            "%s was made by an earlier version of kgrec; its settings %s are gone and left out",
            directory,
            ", ".join(removals),
        )
    config = Config.build(_without_idle_parts(tree, record.fusion.weights), base=directory)
    folder = record.folder if isinstance(record, RunRecord) else None
    here = directory.resolve().parent
    return config if folder in (None, str(here)) else config.moved(Path(folder), here)


def _without_idle_parts(tree: dict[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    """Drops sections of parts that are not registered here, where the run does without the parts.

    Nothing is imported for them: a file cannot bring code.

    Args:
        tree: The run's settings, not validated yet.
        weights: Of the parts, by name.

    Raises:
        RunError: If the run needs such a part.
    """
    unknown = [
        name
        for name, section in tree.items()
        if name not in Config.model_fields and isinstance(section, dict) and "enabled" in section
    ]
    for name in unknown:
        if weights.get(name):
            raise RunError(
                f"it has a part {name!r}, which is not registered here; expected one of "
                f"{sorted(part.name for part in all_parts())}; import the module that registers "
                f"it first, as in kgrec --import MODULE"
            )
        logger.warning("part=%s is not registered, and weighs nothing in the run: left out", name)
    return {name: section for name, section in tree.items() if name not in unknown}


def write_run(
    partial: Path,
    config: Config,
    graph: GraphData,
    scorer: Scorer,
    record: RunRecord,
    space: TextSpace | None = None,
) -> None:
    """Writes settings, names, scorer, behaviours, picture, scalars and, last, the record."""
    # Matplotlib takes half a second to import, and those who read a run do without.
    from kgrec.training.picture import draw_augment, draw_training

    write_served(partial, config, graph, scorer, display_names(graph), space)
    draw_training(partial / "training.png", record)
    if record.augment is not None:
        draw_augment(partial / "augment.png", record.augment.tree())
    _write_scalars(partial / "tensorboard", record)
    write_record(partial, record)


def write_served(
    partial: Path,
    config: Config,
    graph: GraphData,
    scorer: Scorer,
    names: Mapping[NodeLabel, Sequence[str]],
    space: TextSpace | None,
) -> None:
    """Writes what serving reads beside the record: settings, nodes, scorer, behaviours."""
    (partial / "config.json").write_text(config.to_json() + "\n", encoding="utf-8")
    frames = [
        pd.DataFrame(
            {"label": str(label), "id": graph.vocabularies[label].ids, "name": names[label]}
        )
        for label in NodeLabel
    ]
    pd.concat(frames, ignore_index=True).astype(str).to_parquet(partial / "nodes.parquet")
    tensors, values = described(scorer)
    tensors |= Behaviours.of(graph, scorer.history).tensors()
    if space is not None:
        tensors |= dict(zip(_SPACE, map(torch.from_numpy, (space.mean, space.basis)), strict=True))
    save_tensors(partial / "model.safetensors", tensors, values, once=True)


def _write_scalars(folder: Path, record: RunRecord) -> None:
    from torch.utils.tensorboard import SummaryWriter  # slow to import, used once a run

    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed after writing it
    with SummaryWriter(str(folder)) as writer:
        for epoch in record.epochs:
            for name in ("loss", "valid", "seconds"):
                if name in epoch:
                    writer.add_scalar(name, epoch[name], int(epoch["epoch"]))


def refuse_foreign(run_dir: Path) -> None:
    """Raises RunError if a directory holds something that is not a run."""
    if not run_dir.exists() or (run_dir / RECORD).is_file():
        return
    if not run_dir.is_dir() or any(run_dir.iterdir()):
        raise RunError(
            f"{run_dir} exists and is not a run; expected an empty or new directory, or a run to "
            f"replace; give another --run"
        )
