"""Full ranking of all items for the users of a held-out split, block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kgrec.errors import ConfigError, DataError, ShapeError
from kgrec.evaluation.metrics import FloatArray, ranking_metrics
from kgrec.graph.data import GraphData, IndexArray, Interactions
from kgrec.model.incidence import Incidence
from kgrec.model.scorer import Scorer, check_numbers
from kgrec.progress import progress_bar
from kgrec.schema import Role, Split

#: What a model may know when a split is judged; these items are masked.
_KNOWN: dict[Split, tuple[Split, ...]] = {
    Split.VALID: (Split.TRAIN,),
    Split.TEST: (Split.TRAIN, Split.VALID),
}


@dataclass(frozen=True)
class Ranking:
    """The top lists of the judged users.

    Attributes:
        items: (n, m) int64, best first; -1 where a user has no unmasked item left.
        hits: (n, m) bool, whether the item is relevant.
    """

    items: IndexArray
    hits: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Judged users and items whose scores are read, sorted by row.

    Attributes:
        row: (m,) int64, place in `RankingTask.users`.
        item: (m,) int64.
        label: (m,) float64, 1 for a held-out pair and 0 for a sampled one.
        rating: (m,) float64, NaN where unknown.
    """

    row: IndexArray
    item: IndexArray
    label: FloatArray
    rating: FloatArray

    def take(self, mask: npt.NDArray[np.bool_]) -> "Pairs":
        """The pairs where `mask` (m,) is true."""
        return Pairs(self.row[mask], self.item[mask], self.label[mask], self.rating[mask])


class RankingTask:
    """Ranks all items for every user with held-out items, known items masked.

    Masks and truths are prepared once, so one task serves every epoch. Ties never favour the truth:
    a relevant item's score is lowered by the smallest step a float32 can make before the list is
    cut, so among equals it comes last, and a scorer that gives one score to all finds nothing
    (unless fewer than k items compete).

    Items that the user is known to dislike are masked as well, as they are when recommendations
    are served; a held-out pair never is, whatever else is known of it.

    Args:
        graph: The graph; only its interactions and negative behaviours are read.
        split: VALID (train is masked) or TEST (train and valid are masked).
        block_size: Users scored at once; memory is about three times block_size × num_items × 4 B.
        max_users: At most so many users, drawn with the seed; None takes all.
        seed: Of that draw.

    Attributes:
        users: (n,) int64, the users with held-out items, ascending.
        truth: Their held-out items, (n, num_items).
        exclusions: Their masked items, (n, num_items).
        num_truth: (n,) int64, how many held-out items each has.
        held_out: The split's interactions.

    Raises:
        ConfigError: If the split is TRAIN.
        DataError: If the split is empty, or one of its pairs is also known.
    """

    def __init__(
        self,
        graph: GraphData,
        split: Split,
        *,
        block_size: int = 1024,
        max_users: int | None = None,
        seed: int = 0,
    ) -> None:
        if split not in _KNOWN:
            raise ConfigError(
                f"split {split!s} cannot be judged: models learn from it; expected valid or test"
            )
        if block_size < 1:
            raise ConfigError(f"block_size must be positive, got {block_size}; try 1024")
        held_out = graph.held_out.get(split)
        if held_out is None or not len(held_out):
            raise DataError(f"no held-out interactions in split {split!s}; {_advice(graph, split)}")
        self.split = split
        self.block_size = block_size
        self.num_users = graph.num_users
        self.num_items = graph.num_items
        self.users: IndexArray = np.unique(held_out.user_index)
        if max_users is not None and len(self.users) > max_users:
            draw = np.random.default_rng(seed).choice(self.users, max_users, replace=False)
            self.users = np.sort(draw)
        self.truth = self._incidence([held_out])
        self._truth_keys = self.keys(self.truth)
        parts = (graph.train if s is Split.TRAIN else graph.held_out.get(s) for s in _KNOWN[split])
        earlier = [part for part in parts if part is not None]
        self._refuse_overlap(self._incidence(earlier))
        self.exclusions = self._without_truth(
            self._incidence([*earlier, Interactions(*graph.pairs_of(Role.NEGATIVE))])
        )
        self.num_truth: IndexArray = self.truth.lengths.numpy()
        self.held_out = held_out

    def _incidence(self, parts: Sequence[Interactions]) -> Incidence:
        user = np.concatenate([part.user_index for part in parts])
        item = np.concatenate([part.item_index for part in parts])
        row = np.searchsorted(self.users, user)
        in_task = row < len(self.users)
        in_task[in_task] = self.users[row[in_task]] == user[in_task]
        return Incidence.from_pairs(
            torch.from_numpy(row[in_task]),
            torch.from_numpy(item[in_task]),
            len(self.users),
            self.num_items,
        )

    def _without_truth(self, incidence: Incidence) -> Incidence:
        keys = self.keys(incidence)
        keep = torch.from_numpy(~np.isin(keys, self._truth_keys))
        return Incidence.from_pairs(
            incidence.rows[keep], incidence.columns[keep], len(self.users), self.num_items
        )

    def _refuse_overlap(self, earlier: Incidence) -> None:
        overlap = np.intersect1d(self._truth_keys, self.keys(earlier), assume_unique=True)
        if len(overlap):
            raise DataError(
                f"{len(overlap):,} pairs of split {self.split!s} are also known from an earlier "
                f"split, first user index {self.users[overlap[0] // self.num_items]}, item index "
                f"{overlap[0] % self.num_items}; expected every pair in one split; split again"
            )

    def refuse_learned(self, scorer: Scorer) -> None:
        """Raises DataError if a scorer has learned from pairs that are held out."""
        history = scorer.history.to(torch.device("cpu"))
        if (history.num_rows, history.num_columns) != (self.num_users, self.num_items):
            return  # of another graph, which ranking refuses
        items, lengths = history.take(torch.from_numpy(self.users))
        row = np.repeat(np.arange(len(self.users)), lengths.numpy())
        learned = np.isin(row * self.num_items + items.numpy(), self._truth_keys).sum()
        if learned:
            raise DataError(
                f"the scorer has learned from {learned:,} of the {len(self._truth_keys):,} pairs "
                f"of split {self.split!s}, as a run with training.refit has from valid and one "
                f"with training.deploy from all; judge it on a split it has not seen, or look at "
                f"what it was chosen by (`chosen_by` in record.json)"
            )

    def keys(self, matrix: Incidence) -> IndexArray:
        """Gives row * num_items + item of the entries, (n,) int64, ascending."""
        keys: IndexArray = (matrix.rows * self.num_items + matrix.columns).numpy()
        return keys

    def _blocks(self, scorer: Scorer, progress: bool) -> Iterator[tuple[slice, Tensor]]:
        if (scorer.num_users, scorer.num_items) != (self.num_users, self.num_items):
            raise ShapeError(
                f"the scorer knows {scorer.num_users:,} users and {scorer.num_items:,} items, the "
                f"graph has {self.num_users:,} and {self.num_items:,}; they must be of one version"
            )
        starts = range(0, len(self.users), self.block_size)
        description = f"rank {self.split!s}"
        with progress_bar(description, len(starts), enabled=progress) as advance:
            for start in starts:
                block = slice(start, min(start + self.block_size, len(self.users)))
                scores = scorer.score(torch.from_numpy(self.users[block]))
                if scores.shape != (block.stop - block.start, self.num_items):
                    raise ShapeError(
                        f"score gave {tuple(scores.shape)}, expected "
                        f"{(block.stop - block.start, self.num_items)}: one row a user"
                    )
                yield block, scores.float()
                advance("")

    @torch.no_grad()
    def rank(
        self, scorer: Scorer, k: int, pairs: Pairs | None = None, *, progress: bool = False
    ) -> tuple[Ranking, FloatArray]:
        """Ranks all items.

        Args:
            scorer: Of the same users and items; scored on its own device.
            k: List length.
            pairs: Pairs whose raw scores to read on the way.
            progress: Whether to show a bar on a terminal.

        Returns:
            The lists, and the scores of the pairs, (m,) float64.

        Raises:
            ConfigError: If k is not positive.
            ShapeError: If the scorer is of other users or items.
            TrainingDiverged: If a score is not a number.
        """
        if k < 1:
            raise ConfigError(f"k must be positive, got {k}; give a list length such as 20")
        items, hits, read = [], [], []
        for block, scores in self._blocks(scorer, progress):
            if pairs is not None:
                read.append(_read(scores, block, pairs))
            rows = torch.arange(block.start, block.stop)
            scores[_cells(self.exclusions, rows, scores)] = -torch.inf
            relevant = _cells(self.truth, rows, scores)
            scores[relevant] = just_below(scores[relevant])
            top = scores.topk(min(k, self.num_items), dim=1)
            check_numbers(top.values, f"{self.split!s}, users {block.start} to {block.stop - 1},")
            index = top.indices.cpu().numpy()
            real = (top.values > -torch.inf).cpu().numpy()
            keys = rows[:, None].numpy() * self.num_items + index
            first, last = self.truth.pointer[[block.start, block.stop]].tolist()
            items.append(np.where(real, index, -1))
            hits.append(np.isin(keys, self._truth_keys[first:last]) & real)
        scores_read = np.concatenate(read) if read else np.empty(0)
        return Ranking(np.concatenate(items), np.concatenate(hits)), scores_read

    @torch.no_grad()
    def read(self, scorer: Scorer, pairs: Pairs, *, progress: bool = False) -> FloatArray:
        """Gives the raw scores of pairs, (m,) float64, without ranking."""
        read = [_read(scores, block, pairs) for block, scores in self._blocks(scorer, progress)]
        return np.concatenate(read)

    def run(self, scorer: Scorer, k: Sequence[int] = (20,)) -> dict[str, FloatArray]:
        """Gives `ranking_metrics` of the scorer: per name@k one number a user of `users`."""
        ranking, _ = self.rank(scorer, max(k, default=0))
        return ranking_metrics(ranking.hits, self.num_truth, k)


def _read(scores: Tensor, block: slice, pairs: Pairs) -> FloatArray:
    first, last = np.searchsorted(pairs.row, [block.start, block.stop])
    row = torch.from_numpy(pairs.row[first:last] - block.start).to(scores.device)
    item = torch.from_numpy(pairs.item[first:last]).to(scores.device)
    values: FloatArray = scores[row, item].double().cpu().numpy()
    return values


def _cells(matrix: Incidence, rows: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    columns, lengths = matrix.take(rows)
    local = torch.repeat_interleave(torch.arange(len(rows)), lengths)
    return local.to(scores.device), columns.to(scores.device)


def just_below(scores: Tensor) -> Tensor:
    """Gives the next smaller numbers."""
    # Around zero the smallest step is a denormal, which some processors are set to take for zero.
    step = torch.finfo(scores.dtype).tiny
    down = torch.nextafter(scores, scores.new_tensor(-torch.inf))
    return torch.minimum(down, scores - step)


def _advice(graph: GraphData, split: Split) -> str:
    """Says how interactions come to be held out: shares do not help where users have too few."""
    most = int(np.bincount(graph.train.user_index, minlength=1).max())
    few = (
        f"users with fewer interactions than data.split.min_interactions keep all in train, and "
        f"here nobody has more than {most:,}"
    )
    if most <= len(_KNOWN):
        return (
            f"{few}; train, valid and test need one each, so bring more interactions a user, or "
            f'hold out whole users or what is new (kind = "cold_user", "temporal_global")'
        )
    return (
        f"give [data] {split!s} = … or a split with a {split!s} share above 0; or lower "
        f"data.split.min_interactions: {few}"
    )
