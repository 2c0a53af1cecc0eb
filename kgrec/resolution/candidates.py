"""The pairs of one comparison, found by keys, names, similar names and similar texts in turn.

Each way of finding looks only at nodes that no earlier one has settled, so that "Alien" is found by
its name before "Aliens" is looked at because it is similar.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from kgrec.config import ResolutionConfig, TextConfig
from kgrec.resolution.evidence import (
    ALSO_CALLED,
    EQUAL_NAME,
    Evidence,
    Method,
    name_property,
    name_similarity,
    scores,
    shared_properties,
    similar_name,
    similar_text,
)
from kgrec.resolution.exact import Matches, equal_aliases, equal_keys, equal_names, joined
from kgrec.resolution.grams import cosines, gram_matrix, similar_rows, similar_texts
from kgrec.resolution.names import Floats, Index, edit_similarity, objects
from kgrec.resolution.sides import Comparison

#: Cosine over 3-grams that a similar name must reach.
LEAST_NAME = 0.45
#: Cosine of vectors that a similar text must reach.
LEAST_TEXT = 0.5
_COLUMNS = ("left", "right", "log_odds", "score", "method", "name", "text")


@dataclass
class Candidates:
    """Pairs of one comparison, as they are found.

    Attributes:
        comparison: What is compared.
        config: How.
        refused: Pairs (left, right) that a person refused.
        decided: Nodes that a person decided on, bool (n,) on the left and (m,) on the right.
        pairs: Positions `left` and `right`, `log_odds`, `score`, `method`, and the
            similarities of `name` and `text` that were looked at, else NaN.
        notes: What was left out, in sentences.
    """

    comparison: Comparison
    config: ResolutionConfig
    refused: pd.MultiIndex
    decided: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
    pairs: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({name: [] for name in _COLUMNS})
    )
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._one_to_one = self.config.one_to_one and not self.comparison.within
        by_column = [
            equal_keys(self.comparison, column, self.config.max_shared)
            for column in self.config.keys
        ]
        self._key_matches = joined(by_column) if by_column else None
        self._name_matches = equal_names(self.comparison, "whole", self.config.max_shared)
        properties = shared_properties(self.comparison, self.config)
        weights = [part.weights(*self._certain(part.name)) for part in properties]
        names = self.comparison.left.names, self.comparison.right.names
        self.evidence = Evidence(properties, weights, names)

    def find(self, text: TextConfig, cache_dir: Path) -> None:
        """Looks in every way there is.

        Args:
            text: How texts are encoded; `enabled` says whether they are.
            cache_dir: Where vectors are kept.

        Raises:
            ConfigError: If the encoder cannot be loaded.
        """
        if self._key_matches is not None:
            self._add_keys(self._key_matches)
        self._add_matches("name", self._name_matches, EQUAL_NAME, "names")
        full = equal_names(self.comparison, "full", self.config.max_shared)
        self._add_matches("name", full, EQUAL_NAME, None)
        aliases = equal_aliases(self.comparison, self.config.max_shared)
        self._add_matches("alias", aliases, ALSO_CALLED, None)
        self._add_similar_names()
        if text.enabled and self.config.vectors:
            self._add_similar_texts(text, cache_dir)

    def words(self, rows: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Gives what speaks for and against some of the pairs found."""
        left, right = (rows[end].to_numpy(np.int64) for end in ("left", "right"))
        out = self.evidence.words(left, right)
        for column in ("text", "name"):
            values = rows[column].to_numpy(float)
            known_rows = np.flatnonzero(~np.isnan(values))
            prefixes = objects(f"{column} similarity {value:.2f}; " for value in values[known_rows])
            out[known_rows] = prefixes + out[known_rows]
        return objects(text.removesuffix("; ") for text in out)

    def _certain(self, name: str) -> tuple[Index, Index]:
        """Gives pairs that are certain without a property: by unique names, and by keys."""
        matches = [self._name_matches]
        if self._key_matches is not None and name not in self.config.keys:
            matches.append(self._key_matches)
        certain = joined([match.certain() for match in matches])
        return certain.left, certain.right

    def _add_keys(self, matches: Matches) -> None:
        self._tell_common("keys", matches)
        prior = np.full(len(matches.left), EQUAL_NAME)
        name = name_property(self.comparison)
        if name is not None:
            sure = matches.left[matches.unique], matches.right[matches.unique]
            agree, differ = name.weights(*sure)
            agreement = name.agreement(matches.left, matches.right)
            prior += np.where(agreement > 0, agree, np.where(agreement < 0, differ, 0.0))
        certain = matches.unique & ~self._torn(matches)
        self._add("key", matches.left, matches.right, prior, certain=certain)

    def _torn(self, matches: Matches) -> npt.NDArray[np.bool_]:
        """Says of which pairs (p,) another key says that it is another pair."""
        torn = np.zeros(len(matches.left), dtype=bool)
        for nodes in (matches.left, matches.right) if self._one_to_one else ():
            torn |= np.bincount(nodes, matches.unique)[nodes] > 1
        return torn

    def _add_matches(
        self, method: Method, matches: Matches, prior: float, plural: str | None
    ) -> None:
        if plural is not None:
            self._tell_common(plural, matches)
        self._add(method, matches.left, matches.right, np.full(len(matches.left), prior))

    def _add_similar_names(self) -> None:
        free = self._free()
        near = similar_rows(
            self._grams[0][free[0]],
            self._grams[1][free[1]],
            self.config.neighbours,
            LEAST_NAME,
            same=self.comparison.within,
        )
        left, right = free[0][near.left], free[1][near.right]
        similarity = self._similarity(left, right)
        self._add("similar_name", left, right, similar_name(similarity), name=similarity)

    def _add_similar_texts(self, text: TextConfig, cache_dir: Path) -> None:
        free = self._free()
        sides = self.comparison.left, self.comparison.right
        near = similar_texts(
            (sides[0], free[0]),
            (sides[1], free[1]),
            text,
            cache_dir,
            self.config.neighbours,
            LEAST_TEXT,
            same=self.comparison.within,
        )
        similarity = self._similarity(near.left, near.right)
        prior = similar_text(near.cosine, similarity)
        self._add("text", near.left, near.right, prior, name=similarity, text=near.cosine)

    @cached_property
    def _grams(self) -> list[sparse.csr_array]:
        return gram_matrix(self.comparison.left.names.bare, self.comparison.right.names.bare)

    def _similarity(self, left: Index, right: Index) -> Floats:
        """Gives the similarity of the names of pairs (p,)."""
        bare = self.comparison.left.names.bare[left], self.comparison.right.names.bare[right]
        cosine = cosines(self._grams[0], self._grams[1], left, right)
        return name_similarity(cosine, edit_similarity(*bare))

    def _free(self) -> tuple[Index, Index]:
        """Positions of the nodes that nothing has settled yet."""
        busy = [mask.copy() for mask in self.decided]
        if self._one_to_one:
            settled = self.pairs[self.pairs["score"] >= self.config.accept]
            for mask, end in zip(busy, ("left", "right"), strict=True):
                mask[settled[end].to_numpy(np.int64)] = True
        return np.flatnonzero(~busy[0]), np.flatnonzero(~busy[1])

    def _add(
        self,
        method: Method,
        left: Index,
        right: Index,
        prior: Floats,
        *,
        certain: npt.NDArray[np.bool_] | None = None,
        name: Floats | float = np.nan,
        text: Floats | float = np.nan,
    ) -> None:
        """Adds pairs of free nodes that are new, and scores all that is not settled again."""
        free = self._free()
        new = pd.DataFrame({"left": left, "right": right, "log_odds": prior, "score": 0.0})
        new = new.assign(method=method, name=name, text=text, certain=False)
        if certain is not None:
            new["certain"] = certain
        pairs = pd.MultiIndex.from_frame(new[["left", "right"]])
        earlier = pd.MultiIndex.from_frame(self.pairs[["left", "right"]])
        is_free = np.isin(left, free[0]) & np.isin(right, free[1])
        new = new[is_free & ~pairs.isin(earlier) & ~pairs.isin(self.refused)]
        if new.empty:
            return
        at, to = (new[end].to_numpy(np.int64) for end in ("left", "right"))
        new["log_odds"] += self.evidence.log_odds(at, to)
        joint = pd.concat([self.pairs, new], ignore_index=True) if len(self.pairs) else new
        self.pairs = joint.reset_index(drop=True)
        # Pairs of nodes that are settled keep their score, and still count as rivals.
        at, to = (self.pairs[end].to_numpy(np.int64) for end in ("left", "right"))
        fresh = scores(at, to, self.pairs["log_odds"].to_numpy(float), rivals=self._one_to_one)
        fresh[self.pairs["certain"].to_numpy(bool)] = 1.0
        is_free = np.isin(at, free[0]) & np.isin(to, free[1])
        self.pairs["score"] = np.where(is_free, fresh, self.pairs["score"])

    def _tell_common(self, plural: str, matches: Matches) -> None:
        if not matches.common:
            return
        value, count = matches.common[0]
        self.notes.append(
            f"{self.comparison}: {len(matches.common):,} {plural} are shared by more than "
            f"{self.config.max_shared} nodes of a side and were not compared, {value!r} by "
            f"{count:,}"
        )
