"""A run over another version of its graph: every part folded, and the directory that serves it.

Items that came after the training are completed from content by what training found of it.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter
from torch import Tensor

from kgrec.errors import RunError, ShapeError
from kgrec.files import atomic_folder
from kgrec.graph.data import GraphData
from kgrec.graph.tensors import typed_edges
from kgrec.graph.texts import display_names, text_features
from kgrec.model.cold import ColdCompletion, Completion, Wrapping
from kgrec.model.folding import NewGraph, changed_ends
from kgrec.model.network import GraphTensors
from kgrec.model.scorer import Scorer
from kgrec.schema import DISPLAY_PROPERTY, NodeLabel
from kgrec.training.behaviours import Behaviours
from kgrec.training.cold.folds import completion_weights
from kgrec.training.cold.settings import ColdSettings, summed_kernel
from kgrec.training.cold.views import item_views
from kgrec.training.directory import (
    RECORD,
    Run,
    load_run,
    refuse_foreign,
    write_record,
    write_served,
)
from kgrec.training.inner_split import history_of, time_ranks
from kgrec.training.record import RefreshStep, RunRecord
from kgrec.training.relation_rows import items_per_entity, relation_rows
from kgrec.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

Places = Mapping[NodeLabel, Tensor]
TextFeatures = Mapping[NodeLabel, npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Folded:
    """A run's scorer over another graph.

    Attributes:
        run: The run that it was.
        graph: The graph it is folded into.
        scorer: The recommender.
        places: Per label the old index of each node, int64, -1 where it is new.
        behaviours: What else is known of what users did.
        changed_users: bool (num_users,), who has other items, or other dislikes, than before.
        changed_items: bool (num_items,), which has other users than before.
    """

    run: Run
    graph: GraphData
    scorer: Scorer
    places: Places
    behaviours: Behaviours
    changed_users: Tensor
    changed_items: Tensor

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Per label how many nodes are `new` and `gone`."""
        counts = {}
        for label, place in self.places.items():
            stays = int((place >= 0).sum())
            removed = len(self.run.vocabularies[label]) - stays
            counts[str(label)] = {"new": len(place) - stays, "gone": removed}
        return counts

    @cached_property
    def record(self) -> RunRecord:
        """The run's record, and what it was folded from; `refreshed` has the latest first."""
        before = self.run.record
        step = RefreshStep(
            before=before.graph_version,
            after=self.graph.version,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            nodes=self.counts,
            changed_users=int(self.changed_users.sum()),
        )
        return before.model_copy(
            update={
                "graph_version": self.graph.version,
                "fan_out": items_per_entity(self.graph),
                "trained_on": before.trained_on or before.graph_version,
                "refreshed": [step, *before.refreshed],
            }
        )

    def as_run(self, directory: Path, names: Mapping[NodeLabel, list[str]]) -> Run:
        """The run that serves it, as loading its directory would give it."""
        return replace(
            self.run,
            directory=directory,
            record=self.record.model_copy(update={"folder": str(directory.resolve().parent)}),
            scorer=self.scorer,
            vocabularies=dict(self.graph.vocabularies),
            names=dict(names),
            behaviours=self.behaviours,
        )


def fold_run(run: Run, graph: GraphData) -> Folded:
    """Folds every part of a run into a graph.

    Args:
        run: A trained run, or one that was folded before.
        graph: Any later version of its graph, as `fetch_graph` gives it.

    Raises:
        RunError: If a part cannot be folded.
        ConfigError: If texts of new nodes are asked for and the encoder cannot be loaded.
    """
    # What it was fitted on after the search was train together with these.
    graph = replace(graph.with_splits(*run.config.training.refit_splits), version=graph.version)
    places = {
        label: _places(run.vocabularies[label], graph.vocabularies[label]) for label in NodeLabel
    }
    texts = _Texts(run, graph, places)
    history = history_of(graph)
    new = NewGraph(
        places[NodeLabel.USER],
        places[NodeLabel.ITEM],
        places[NodeLabel.ENTITY],
        (run.scorer.num_users, run.scorer.num_items, len(run.vocabularies[NodeLabel.ENTITY])),
        history,
        cache(lambda: time_ranks(graph.train, history)),
        cache(lambda: relation_rows(graph)),
        cache(lambda: _tensors(graph, texts.of_new, use_graph=run.config.model.use_graph)),
    )
    try:
        scorer = run.scorer.folded(new)
    except ShapeError as exc:
        raise RunError(f"run {run.directory} cannot be refreshed: {exc}") from exc
    new_items = torch.nonzero(places[NodeLabel.ITEM] < 0).squeeze(1)
    if len(new_items):
        scorer = _complete(run.record, graph, scorer, new_items, texts)
    behaviours = Behaviours.of(graph, history)
    changed_users, changed_items = changed_ends(run.scorer.history, history, new)
    for name, pairs in behaviours.pairs.items():
        changed_users |= changed_ends(run.behaviours.pairs[name], pairs, new)[0]
    return Folded(run, graph, scorer, places, behaviours, changed_users, changed_items)


def write_folded(run: Run, folded: Folded) -> None:
    """Writes the directory that serves a folded run, whole or not at all, over an earlier run.

    Args:
        run: What `Folded.as_run` gave; its directory must be a run, or not be there.
        folded: What it was made of.

    Raises:
        RunError: If something else is in the way.
    """
    out = run.directory
    refuse_foreign(out)
    with atomic_folder(out, "refreshing") as fresh:
        write_served(fresh, run.config, folded.graph, folded.scorer, run.names, run.space)
        for name in ("training.png", "tensorboard"):
            source = folded.run.directory / name
            if source.is_dir():
                shutil.copytree(source, fresh / name)
            elif source.exists():
                shutil.copy2(source, fresh / name)
        write_record(fresh, run.record)


def recovered_run(directory: Path) -> Run:
    """Loads a run; one that was being replaced when a refresh was killed is put in its place.

    Raises:
        RunError: As `load_run`.
    """
    for hidden in hidden_folders(directory):
        # The record is written last, so what has one is whole.
        if not directory.exists() and (hidden / RECORD).is_file():
            hidden.rename(Path(os.path.realpath(directory)))
    run = load_run(directory)
    shutil.rmtree(hidden_folders(directory)[1], ignore_errors=True)  # the new run is in its place
    return run


def is_there(directory: Path) -> bool:
    """Whether `recovered_run` finds a run."""
    return any((path / RECORD).is_file() for path in (directory, *hidden_folders(directory)))


def hidden_folders(directory: Path) -> tuple[Path, Path]:
    """Where a run may be while it is being replaced: the new one, the old one."""
    directory = Path(os.path.realpath(directory))
    names = (f".{directory.name}.refreshing", f".{directory.name}.replaced")
    return directory.with_name(names[0]), directory.with_name(names[1])


@dataclass(frozen=True, eq=False)
class _Texts:
    """Text features in the space that the run was trained in; made when first asked for."""

    run: Run
    graph: GraphData
    places: Places

    @cached_property
    def of_all(self) -> TextFeatures | None:
        """Of every node, (n, c) a label; None if the run read no texts."""
        space = self.run.space
        if space is None:
            return None
        return text_features(self.graph, self.run.config.text, space=space)[0]

    @property
    def of_new(self) -> TextFeatures | None:
        """Of new nodes alone, zero rows for all others; None if there is none."""
        news = {label: (place < 0).numpy() for label, place in self.places.items()}
        use_text = self.run.config.model.use_text and any(map(np.any, news.values()))
        if not use_text or self.of_all is None:
            return None
        return {
            label: matrix * news[label][:, None].astype(np.float32)
            for label, matrix in self.of_all.items()
        }


def _complete(
    record: RunRecord, graph: GraphData, scorer: Scorer, new: Tensor, texts: _Texts
) -> Scorer:
    """Puts new items among those that a completion reads off the items like them.

    The weights of views and the noise are those that training found; the level at which cold items
    stand is that of the items that were cold then. What was completed before stays as it was. Texts
    are encoded only where a completion is. `new` is int64 (n,), the indices of the new items.
    """
    if not isinstance(scorer, Wrapping):
        return scorer
    if not isinstance(scorer, ColdCompletion):
        return scorer.rewrapped(_complete(record, graph, scorer.scorer, new, texts))
    views = item_views(graph, texts.of_all)
    if record.cold is None:
        raise RunError("the run completes cold items, but its record has no settings of these")
    settings = TypeAdapter(ColdSettings).validate_python(record.cold.settings)
    if tuple(view.name for view in views) != settings.views:
        logger.warning(
            "the graph tells other things of its items than in training (%s, then %s), so new "
            "items are not completed from content; train again",
            ", ".join(view.name for view in views), ", ".join(settings.views),
        )  # fmt: skip
        return scorer
    before = scorer.completion
    cold = torch.cat([before.cold, new])
    items = torch.cat([before.warm, cold])
    counts = np.bincount(graph.train.item_index, minlength=graph.num_items)
    takers = torch.from_numpy(counts[before.warm.numpy()]).float().clamp(min=1)
    kernel = summed_kernel((view.kernel(items) for view in views), settings)
    weights, bias = completion_weights(kernel, len(before.warm), takers, settings)
    num_before = len(before.cold)
    level = (before.bias - bias[:num_before]).median() if num_before else bias.new_zeros(())
    completion = Completion(
        before.warm,
        cold,
        torch.cat([before.weights, weights[:, num_before:]], dim=1),
        torch.cat([before.bias, bias[num_before:] + level]),
        before.own_weight,
    )
    return ColdCompletion(scorer.scorer, completion)


def _tensors(graph: GraphData, texts: TextFeatures | None, *, use_graph: bool) -> GraphTensors:
    counts = {str(label): len(graph.vocabularies[label]) for label in NodeLabel}
    text = None
    if texts is not None:
        text = {str(label): torch.from_numpy(matrix) for label, matrix in texts.items()}
    return GraphTensors.from_edges(counts, typed_edges(graph), text, use_graph=use_graph)


def _places(old: Vocabulary, new: Vocabulary) -> Tensor:
    known = {key: place for place, key in enumerate(old.ids)}
    return torch.tensor([known.get(key, -1) for key in new.ids], dtype=torch.int64)


def folded_names(folded: Folded) -> dict[NodeLabel, list[str]]:
    """Gives what to call each node: as before, but for new ones and those with another title."""
    graph, run = folded.graph, folded.run
    out: dict[NodeLabel, list[str]] = {}
    fresh: dict[NodeLabel, list[str]] | None = None
    for label, place in folded.places.items():
        ids = graph.vocabularies[label].ids
        if label is NodeLabel.USER:
            out[label] = list(ids)
            continue
        names: list[str | None] = [
            run.names[label][at] if at >= 0 else None for at in place.tolist()
        ]
        frame, title_column = graph.properties.get(label), DISPLAY_PROPERTY[label]
        if frame is not None and title_column in frame:
            titles = frame[title_column].tolist()
            names = [
                title.strip() if isinstance(title, str) and title.strip() else name
                for title, name in zip(titles, names, strict=True)
            ]
        if None in names and fresh is None:
            fresh = display_names(graph)
        fallback = names if fresh is None else fresh[label]
        out[label] = [name or fallback[at] or ids[at] for at, name in enumerate(names)]
    return out
