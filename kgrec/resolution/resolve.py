"""From a data set to proposals of what is one thing, and which of them stand.

People's decisions come first, then the best pairs, no node twice.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from kgrec.config import Config, DataConfig, ResolutionConfig
from kgrec.data.cache import user_cache
from kgrec.data.tables import Dataset
from kgrec.errors import ConfigError
from kgrec.progress import progress_bar
from kgrec.resolution.candidates import Candidates
from kgrec.resolution.review import COLUMNS, THRESHOLD, no_decisions
from kgrec.resolution.sides import Comparison, Side, comparisons

logger = logging.getLogger(__name__)


#: Label and id.
Node = tuple[str, str]


class Identities:
    """Groups of nodes that are one thing, none of them with two nodes of one source.

    Without that rule a chain of good pairs (a = b, b = c, c = a') would make one thing of two nodes
    of one source.

    Args:
        sources: Source of every node that may be joined.
        one_to_one: Whether the rule holds.
    """

    def __init__(self, sources: Mapping[Node, str], *, one_to_one: bool) -> None:
        self._sources = sources
        self._one_to_one = one_to_one
        self._things = DisjointSet()

    def join(self, left: Node, right: Node) -> None:
        """Makes two nodes one thing, whatever the rule says."""
        for node in (left, right):
            self._things.add(node)
        self._things.merge(left, right)

    def allow(self, left: Node, right: Node) -> bool:
        """Says whether two nodes may be one thing; nodes of one source may, their others not."""
        if not self._one_to_one or self._sources[left] == self._sources[right]:
            return True
        a, b = self._same(left), self._same(right)
        sources = [{self._sources.get(node) for node in nodes} - {None} for nodes in (a, b)]
        return right in a or sources[0].isdisjoint(sources[1])

    def _same(self, node: Node) -> set[Node]:
        """The nodes that are one thing with this one, and itself."""
        return self._things.subset(node) if node in self._things else {node}


def choose(
    pairs: Sequence[tuple[Node, Node]], sure: Iterable[bool], identities: Identities
) -> tuple[list[bool], list[bool]]:
    """Accepts pairs one after the other, unless a node is taken by then.

    Args:
        pairs: The best first.
        sure: Per pair, whether it may be accepted without a person.
        identities: What is one thing already; accepted pairs are added.

    Returns:
        Per pair whether it is worth proposing, and whether it is accepted.
    """
    accepted = []
    for (left, right), certain in zip(pairs, sure, strict=True):
        accepted.append(certain and identities.allow(left, right))
        if accepted[-1]:
            identities.join(left, right)
    proposed = [
        is_accepted or identities.allow(left, right)
        for (left, right), is_accepted in zip(pairs, accepted, strict=True)
    ]
    return proposed, accepted


#: Of equally good pairs those of items come first: an entity that a film could be is that film
#: before it is the catalogue's genre of the same name.
_FIRST = ("Item", "Item/Entity", "Entity", "User")
#: Ways of finding whose pairs wait for a person, whatever they score.
ONLY_PROPOSED = frozenset({"text"})


@dataclass(frozen=True)
class Resolution:
    """What was found.

    Attributes:
        proposals: A frame with the columns of `kgrec.resolution.review`, the best first: what
            people decided, what the threshold accepted, and what waits.
        compared: What was compared, in words, with the number of nodes of either side.
        notes: What was left out, in sentences.
    """

    proposals: pd.DataFrame
    compared: tuple[tuple[str, int, int], ...]
    notes: tuple[str, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Gives per method how many were `accepted`, `waiting`, and by a person `yes` or `no`."""
        rows = self.proposals
        person = ~rows["decided_by"].isin(["", THRESHOLD])
        state = rows["accepted"].where(person, "waiting")
        state = state.mask(rows["decided_by"] == THRESHOLD, "accepted")
        counts: dict[str, dict[str, int]] = {}
        for (method, name), part in rows.groupby([rows["method"], state], sort=True):
            empty = dict.fromkeys(("accepted", "waiting", "yes", "no"), 0)
            counts.setdefault(str(method), empty)[str(name)] = len(part)
        return counts


def unresolved(config: DataConfig) -> DataConfig:
    """Gives the settings without sources of kind same_as, so that all nodes are apart again."""
    sources = tuple(source for source in config.sources if source.kind != "same_as")
    return config.model_copy(update={"sources": sources})


def resolve(
    dataset: Dataset,
    config: Config,
    decisions: pd.DataFrame | None = None,
    cache_dir: Path | None = None,
    *,
    progress: bool = False,
) -> Resolution:
    """Proposes which nodes are one thing.

    Args:
        dataset: The nodes, with what they were loaded from; see `unresolved`.
        config: `resolution` and `text` are used.
        decisions: What people decided, as `read_decisions` gives it. Accepted pairs are kept and
            their nodes looked at no more; refused ones are never proposed again.
        cache_dir: Where text vectors are kept; None is `text` in the user's cache.
        progress: Whether to show a bar on a terminal.

    Raises:
        ConfigError: If the settings name a source or column that is not there, there is nothing to
            compare, or the text encoder cannot be loaded.
    """
    decided = no_decisions() if decisions is None else decisions
    compared = comparisons(dataset, config.resolution)
    _refuse_unknown_columns(compared, config.resolution)
    cache_dir = user_cache() / "text" if cache_dir is None else cache_dir
    parts, notes = [], []
    with progress_bar("comparing", len(compared), enabled=progress) as advance:
        for comparison in compared:
            rows, sentences = _candidates(comparison, config, decided, cache_dir)
            parts.append(rows)
            notes += sentences
            advance(str(comparison))
    proposals = _accepted(pd.concat(parts, ignore_index=True), decided, compared, config.resolution)
    notes += _strangers(decided, dataset)
    for note in notes:
        logger.info("note=%s", note)
    sizes = (
        (str(comparison), len(comparison.left.frame), len(comparison.right.frame))
        for comparison in compared
    )
    return Resolution(proposals, tuple(sizes), tuple(notes))


def _refuse_unknown_columns(compared: list[Comparison], config: ResolutionConfig) -> None:
    sides = [side for comparison in compared for side in (comparison.left, comparison.right)]
    available = dict.fromkeys(str(name) for side in sides for name in side.frame.columns)
    by_setting = {"keys": config.keys, "aliases": config.aliases, "compare": config.compare or ()}
    for setting, columns in by_setting.items():
        for name in columns:
            # Years in brackets of names are a column too.
            if name not in available and not (setting == "compare" and name == "year"):
                raise ConfigError(
                    f"resolution.{setting} names {name!r}, which no node that is compared has; "
                    f"expected some of {', '.join(available)}; correct the name"
                )


def _candidates(
    comparison: Comparison, config: Config, decided: pd.DataFrame, cache_dir: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Gives the pairs of a comparison that are worth proposing, with ids and names."""
    refused, nodes = _places(comparison, decided, config.resolution)
    candidates = Candidates(comparison, config.resolution, refused, nodes)
    candidates.find(config.text, cache_dir)
    rows = candidates.pairs[candidates.pairs["score"] >= config.resolution.propose]
    left, right = (rows[end].to_numpy(np.int64) for end in ("left", "right"))
    return pd.DataFrame(
        {
            "left": comparison.left.frame["id"].to_numpy(dtype=object)[left],
            "right": comparison.right.frame["id"].to_numpy(dtype=object)[right],
            "label": comparison.label,
            # Rounded as it is written, so that a file read again is in the same order.
            "score": rows["score"].to_numpy(float).round(4),
            "method": rows["method"].to_numpy(dtype=object),
            "left_name": comparison.left.names.display[left],
            "right_name": comparison.right.names.display[right],
            "evidence": candidates.words(rows),
            "left_source": comparison.left.source,
            "right_source": comparison.right.source,
        }
    ), candidates.notes


def _places(
    comparison: Comparison, decided: pd.DataFrame, config: ResolutionConfig
) -> tuple[pd.MultiIndex, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Gives the positions of decided pairs, and which nodes are taken by accepted ones."""
    sides = comparison.left, comparison.right
    ids = [pd.Index(side.frame["id"]) for side in sides]
    rows = decided[decided["label"] == comparison.label]
    orders = [("left", "right")]
    if sides[0].label == sides[1].label:
        orders.append(("right", "left"))
    at, to, yes = [], [], []
    for first, second in orders:
        ends = ids[0].get_indexer(pd.Index(rows[first])), ids[1].get_indexer(pd.Index(rows[second]))
        is_here = (ends[0] >= 0) & (ends[1] >= 0)
        at.append(ends[0][is_here])
        to.append(ends[1][is_here])
        yes.append((rows["accepted"] == "yes").to_numpy(dtype=bool)[is_here])
    left, right = np.concatenate(at), np.concatenate(to)
    nodes = np.zeros(len(ids[0]), dtype=bool), np.zeros(len(ids[1]), dtype=bool)
    if config.one_to_one and not comparison.within:
        nodes[0][left[np.concatenate(yes)]] = True
        nodes[1][right[np.concatenate(yes)]] = True
    return pd.MultiIndex.from_arrays([left, right], names=["left", "right"]), nodes


def _accepted(
    rows: pd.DataFrame,
    decided: pd.DataFrame,
    compared: list[Comparison],
    config: ResolutionConfig,
) -> pd.DataFrame:
    """Decides what the threshold decides; gives all rows in the order of the file."""
    rows = _ordered(rows)
    pairs = list(zip(_nodes(rows, "left", 0), _nodes(rows, "right", -1), strict=True))
    sources: dict[Node, str] = {}
    for position, end in enumerate(("left", "right")):
        sources |= dict(zip((p[position] for p in pairs), rows[f"{end}_source"], strict=True))
    yes = decided[decided["accepted"] == "yes"]
    people = list(zip(_nodes(yes, "left", 0), _nodes(yes, "right", -1), strict=True))
    nodes = {node for pair in people for node in pair}
    sources |= _sources(compared, nodes)
    identities = Identities(sources, one_to_one=config.one_to_one)
    for left, right in people:
        identities.join(left, right)
    sure = (rows["score"] >= config.accept) & ~rows["method"].isin(ONLY_PROPOSED)
    proposed, accepted = choose(pairs, sure.tolist(), identities)
    rows["accepted"] = np.where(accepted, "yes", "")
    rows["decided_by"] = np.where(accepted, THRESHOLD, "")
    proposals = rows.loc[np.array(proposed, dtype=bool), list(COLUMNS)]
    frames = [frame for frame in (proposals, decided[list(COLUMNS)]) if len(frame)]
    return _ordered(pd.concat(frames or [proposals], ignore_index=True))


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Puts the best first, those without a score last."""
    ranked = rows.assign(rank=rows["label"].map(_FIRST.index))
    ranked = ranked.sort_values(
        ["score", "rank", "left", "right"], ascending=[False, True, True, True], ignore_index=True
    )
    return ranked.drop(columns="rank")


def _nodes(rows: pd.DataFrame, end: str, part: int) -> list[Node]:
    """Gives label and id of one end; of the label "Item/Entity" the first or last part."""
    labels = [str(label).split("/")[part] for label in rows["label"]]
    return list(zip(labels, rows[end].astype(str), strict=True))


def _sources(compared: list[Comparison], nodes: set[Node]) -> dict[Node, str]:
    sides: dict[int, Side] = {
        id(side): side for comparison in compared for side in (comparison.left, comparison.right)
    }
    sources: dict[Node, str] = {}
    for side in sides.values():
        here = pd.Index([key for label, key in sorted(nodes) if label == side.label], dtype=object)
        keys = here[here.isin(side.frame["id"])]
        sources |= {(str(side.label), str(key)): side.source for key in keys}
    return sources


def _strangers(decided: pd.DataFrame, dataset: Dataset) -> list[str]:
    """Says which decisions name nodes that the data does not have."""
    missing = np.zeros(len(decided), dtype=bool)
    for label, frame in dataset.nodes.items():
        for end, part in (("left", 0), ("right", -1)):
            here = decided["label"].str.split("/").str[part] == label if len(decided) else missing
            missing |= np.asarray(here & ~decided[end].isin(frame["id"]), dtype=bool)
    if not missing.any():
        return []
    first = decided[missing].iloc[0]
    return [
        f"{int(missing.sum()):,} decisions name a node that the data does not have, for example "
        f"{first['left']!r} and {first['right']!r}; they are kept"
    ]
