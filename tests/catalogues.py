"""Two made-up film catalogues that name many of the same films, with the truth."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kgrec.data.journal.manifest import Load
from kgrec.data.tables import Dataset
from kgrec.schema import NodeLabel

_WORDS = (
    """Silent Golden Broken Crimson Hidden Frozen Burning Forgotten Electric Velvet Paper Iron Glass
    Midnight Distant Savage Gentle Hollow Bitter Scarlet Wooden Restless Naked Sacred Wandering""",
    """River Mountain Harbour Kingdom Orchard Garden Mirror Station Lantern Voyage Summer Winter
    Stranger Witness Daughter Soldier Pilgrim Captain Orphan Widow Teacher Painter Hunter Sailor""",
)
_FIRST, _SECOND = (words.split() for words in _WORDS)
_LAST = ("", "", "", " of Marseille", " in Venice", " at Dawn", " from Nowhere", " of Añasco")
_DIRECTORS = (
    "Murnau",
    "Renoir",
    "Ozu",
    "Varda",
    "Kurosawa",
    "Fellini",
    "Lang",
    "Wilder",
    "Sembène",
)
#: A sequel's title, as the left and the right catalogue write it.
_SEQUELS = ((" 2", " II"), (" Returns", " Returns"), ("s", "s"))


@dataclass(frozen=True)
class Catalogues:
    """Two catalogues.

    Attributes:
        left: `id`, `title`, `year`, `director`.
        right: The same columns, as another house writes them.
        truth: `left` and `right`: the pairs that are one film.
        sequels: `left` and `right`: a film and its sequel, which must never be joined.
        typos: Ids on the right whose titles have a typing error.
    """

    left: pd.DataFrame
    right: pd.DataFrame
    truth: pd.DataFrame
    sequels: pd.DataFrame
    typos: frozenset[str]

    def dataset(self) -> Dataset:
        """Gives both as the items of two loads."""
        items = pd.concat([self.left.assign(load=1), self.right.assign(load=2)], ignore_index=True)
        return Dataset(
            {NodeLabel.ITEM: items}, {}, loads=(made_load(1, "catalogue"), made_load(2, "partner"))
        )


def made_load(number: int, source: str, kind: str = "items") -> Load:
    return Load(number, source, kind, (), f"{number:016x}", 1, 0, "2024-01-01T00:00:00Z")


def make_catalogues(seed: int = 0, films: int = 400, *, years: bool = True) -> Catalogues:
    """Makes catalogues of `films` common films and half as many that only one side has.

    A third of the common films have a sequel on both sides; a fifth of the films that only the left
    has, have one that only the right has. Of the right side's titles 30% have a typing error,
    30% are in capitals, all have their article behind, and a third of its years are missing or
    stand in the title.

    Args:
        seed: Seeds all choices.
        films: How many both sides have, sequels not counted.
        years: Whether there are years at all.
    """
    rng = np.random.default_rng(seed)
    films_of_all = _films(rng, 2 * films)
    common, apart = films_of_all[:films], films_of_all[films:]
    left, right, sequels, typos = [], [], [], set()
    for title, year, director in common:
        parts = [(title, title, year)]
        if rng.random() < 1 / 3:
            ours, theirs = _SEQUELS[rng.integers(len(_SEQUELS))]
            parts.append((title + ours, title + theirs, year + int(rng.integers(2, 9))))
        first = len(left)
        for own, other, when in parts:
            wrong = bool(rng.random() < 0.3)
            left.append((f"a{len(left)}", own, when, director))
            right.append((f"b{len(right)}", *_restyled(other, when, wrong, rng), director.upper()))
            typos |= {right[-1][0]} if wrong else set()
        if len(parts) > 1:
            sequels += [(f"a{first}", f"b{first + 1}"), (f"a{first + 1}", f"b{first}")]
    truth = [(f"a{at}", f"b{at}") for at in range(len(left))]
    half = len(apart) // 2
    left += [(f"x{at}", *film) for at, film in enumerate(apart[:half])]
    right += [(f"y{at}", *film) for at, film in enumerate(apart[half:])]
    for at, (title, year, director) in enumerate(apart[: half // 5]):
        sequel, later = title + _SEQUELS[at % len(_SEQUELS)][1], year + int(rng.integers(2, 9))
        right.append((f"z{at}", *_restyled(sequel, later, False, rng), director.upper()))
        sequels.append((f"x{at}", f"z{at}"))
    columns = ["id", "title", "year", "director"]
    frames = [pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=seed)
              for rows in (left, right)]  # fmt: skip
    if not years:
        frames = [frame.drop(columns="year") for frame in frames]
        frames[1]["title"] = frames[1]["title"].str.replace(r" \(\d{4}\)$", "", regex=True)
    ends = ["left", "right"]
    return Catalogues(
        *frames,
        pd.DataFrame(truth, columns=ends),
        pd.DataFrame(sequels, columns=ends),
        frozenset(typos),
    )


def _films(rng: np.random.Generator, count: int) -> list[tuple[str, int, str]]:
    titles: dict[str, None] = {}
    while len(titles) < count:
        first, second, last = (str(rng.choice(words)) for words in (_FIRST, _SECOND, _LAST))
        titles[f"{'The ' if rng.random() < 0.5 else ''}{first} {second}{last}"] = None
    return [(t, int(rng.integers(1925, 2015)), str(rng.choice(_DIRECTORS))) for t in titles]


def _restyled(title: str, year: int, wrong: bool, rng: np.random.Generator) -> tuple[str, float]:
    """Gives a title and a year as the partner writes them."""
    if wrong:
        at = int(rng.integers(5, len(title) - 4))
        swapped = title[:at] + title[at + 1] + title[at] + title[at + 2 :]
        title = swapped if rng.random() < 0.5 else title[:at] + title[at + 1 :]
    title = title.replace("ñ", "n")
    if title.startswith("The "):
        title = f"{title.removeprefix('The ')}, The"
    title = title.upper() if rng.random() < 0.3 else title
    said = rng.random()
    if said < 0.15:
        return f"{title} ({year})", float("nan")
    return title, float("nan") if said < 0.33 else float(year)


def precision_and_recall(
    proposals: pd.DataFrame,
    truth: pd.DataFrame,
    thresholds: tuple[float, ...] = (0.6, 0.8, 0.95),
) -> pd.DataFrame:
    """Counts right and wrong proposals by method ("all" is all of them) and threshold.

    Returns:
        Index `method`, `threshold`; columns `proposed`, `right`, `precision` and `recall`.
    """
    known = pd.MultiIndex.from_frame(truth[["left", "right"]]).unique()
    once = proposals.drop_duplicates(["left", "right"])
    correct = pd.MultiIndex.from_frame(once[["left", "right"]]).isin(known)
    rows = []
    for method in [*sorted(set(once["method"])), "all"]:
        of_method = (once["method"] == method) | (method == "all")
        for threshold in thresholds:
            counted = of_method & (once["score"] >= threshold)
            proposed, right = int(counted.sum()), int((counted & correct).sum())
            rows.append(
                {
                    "method": method,
                    "threshold": threshold,
                    "proposed": proposed,
                    "right": right,
                    "precision": right / proposed if proposed else float("nan"),
                    "recall": right / len(known),
                }
            )
    return pd.DataFrame(rows).set_index(["method", "threshold"])
