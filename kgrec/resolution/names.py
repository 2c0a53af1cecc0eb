"""Names in a normal form, what else a name says (a year, numbers, other names), how alike two are.

"Matrix, The (1999)"           full "the matrix", bare "matrix", year 1999
"Postino, Il (The Postman)"    full "il postino", bare "postino", in brackets "the postman"
"Rocky II"                     full "rocky 2", numbers "2"
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

#: Articles that lists move behind a name: "Matrix, The".
_ARTICLES = (
    "the|an?|le|la|les|l'|un|une|des|il|lo|gli|i|uno|una|el|los|las|der|die|das|dem|den|ein|eine|"
    "o|os|as|um|uma|het|een|de|det|en|ett|et"
)
_TRAILING = re.compile(rf"(.+), ({_ARTICLES})", re.DOTALL)
# Fewer may go from the front: "Die Hard" and "As Good as It Gets" begin with words of theirs.
_LEADING = re.compile(r"(?:the|an?|le|la|les|l|il|el|los|las|der|das) (?=.)")
_BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_YEAR = re.compile(r"(1[5-9]\d\d|20[0-4]\d)(?:[-–/]\d*)?(?!\w)(.*)")
_ROMAN = re.compile(r"x{0,3}(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"x": 10, "v": 5, "i": 1}
_NUMBER = re.compile(r"\b\d+|\d+\b")
_PLURAL = re.compile(r"(?<=\w\w)s\b")
_APART = re.compile(r"[^\w]+|_+")
# Letters that no decomposition takes apart.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
)
#: The diacritics of Latin, Greek and Cyrillic; the marks of other scripts are letters of theirs.
_DIACRITICS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = re.compile("(?<=\\w)['’`´ʼ](?=\\w)")

#: Longer texts are cut: what differs after so many characters is no typing error of a name.
MAX_LENGTH = 64
# Pairs at once; a few tens of MB.
_CHUNK = 65_536
_PADDING_LEFT, _PADDING_RIGHT = 0x110000, 0x110001  # no code points, and never equal


@dataclass(frozen=True)
class Name:
    """One name, taken apart.

    Attributes:
        full: Normal form with its article in front, without brackets.
        bare: The same without its article.
        singular: `bare` without the "s" at the end of words.
        brackets: Normal forms of what stands in brackets, without years.
        year: The year that stood in brackets, or NaN.
        numbers: The numbers in `bare`, in order, Roman ones too; not those inside words ("Se7en").
    """

    full: str
    bare: str
    singular: str
    brackets: tuple[str, ...]
    year: float
    numbers: str


def normal_form(text: str) -> str:
    """Gives a text without case, diacritics, punctuation and repeated spaces.

    A text of nothing but punctuation keeps it. Tokens that are Roman numerals become numbers,
    except for the first, and for "i" that is not the last.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    split = unicodedata.normalize("NFKD", folded.translate(_LETTERS))
    plain = unicodedata.normalize("NFC", _DIACRITICS.sub("", split))
    plain = _APOSTROPHES.sub("", plain).replace("&", " and ")
    words = _spaced(plain).split()
    if not words:
        return " ".join(folded.split())
    return " ".join([words[0], *map(_arabic, words[1:], range(2 - len(words), 1))])


def parse_name(text: str) -> Name:
    """Takes a name apart."""
    text = unicodedata.normalize("NFKC", text)
    inside = [part.strip() for part in _BRACKETS.findall(text)]
    outside = " ".join(_BRACKETS.sub(" ", text).split())
    if not outside:  # "[Rec]"
        inside, outside = [], " ".join(inside) or text
    dated = [(_YEAR.fullmatch(part), part) for part in inside]
    years = [match[1] for match, _ in dated if match]
    remarks = [match[2].strip() if match else part for match, part in dated]
    full = normal_form(_article_first(outside))
    bare = _without_article(full)
    brackets = tuple(dict.fromkeys(normal_form(_article_first(part)) for part in remarks if part))
    return Name(
        full=full,
        bare=bare,
        singular=_PLURAL.sub("", bare),
        brackets=brackets,
        year=float(years[-1]) if years else float("nan"),
        numbers=" ".join(_NUMBER.findall(bare)),
    )


def key_form(text: str) -> str:
    """Gives a key without case, spaces and punctuation, in NFC: "978-3 16" becomes "978316"."""
    return "".join(_spaced(unicodedata.normalize("NFC", text).casefold()).split())


@dataclass(frozen=True)
class Names:
    """The names of n nodes; see `Name` for the parts.

    Attributes:
        display: What people read, str (n,); "" where there is none, and so on in all parts.
        whole: `full` and what stands in brackets, str (n,).
        full: str (n,).
        bare: str (n,).
        singular: str (n,).
        brackets: Parts in brackets as one text, str (n,).
        numbers: str (n,).
        year: float64 (n,).
        alias_forms: What a node is called, one row each, without articles: `node`, `form`, and
            `aside` (whether it is no more than a remark in brackets).
    """

    display: Texts
    whole: Texts
    full: Texts
    bare: Texts
    singular: Texts
    brackets: Texts
    numbers: Texts
    year: npt.NDArray[np.float64]
    alias_forms: pd.DataFrame

    @classmethod
    def read(cls, column: pd.Series | None, aliases: Sequence[pd.Series], size: int) -> "Names":
        """Takes names apart, each different one once.

        Args:
            column: Names (n,), None or NaN where there is none; None if there are none at all.
            aliases: Columns (n,) of other names.
            size: n.
        """
        codes, distinct = _distinct(column, size)
        parsed = [parse_name(name) if name else _NAMELESS for name in distinct]

        def part(values: Iterable[str]) -> Texts:
            return objects(values)[codes]

        return cls(
            display=part(distinct),
            whole=part(" ".join([name.full, *name.brackets]) for name in parsed),
            full=part(name.full for name in parsed),
            bare=part(name.bare for name in parsed),
            singular=part(name.singular for name in parsed),
            brackets=part(" ".join(name.brackets) for name in parsed),
            numbers=part(name.numbers for name in parsed),
            year=np.array([name.year for name in parsed], dtype=np.float64)[codes],
            alias_forms=_all_forms(codes, parsed, [_alias_forms(alias) for alias in aliases]),
        )


_NAMELESS = Name("", "", "", (), float("nan"), "")


def objects(values: Iterable[str]) -> Texts:
    """Gives texts as an array of objects (n,)."""
    values = list(values)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _spaced(text: str) -> str:
    """Puts spaces for all that is no letter, digit or mark of a letter."""
    if text.isascii():
        return _APART.sub(" ", text)
    # `\w` leaves out the vowel signs of Indic scripts.
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)


def _article_first(text: str) -> str:
    match = _TRAILING.fullmatch(text.casefold())
    if match is None:
        return text
    name, article = match[1], match[2]
    return f"{article}{name}" if article.endswith("'") else f"{article} {name}"


def _without_article(form: str) -> str:
    return _LEADING.sub("", form, count=1) if _LEADING.match(form) else form


def _arabic(word: str, place: int) -> str:
    """Gives a Roman numeral as a number; `place` is 0 for the last word."""
    if word[0] not in _ROMAN_VALUES or not _ROMAN.fullmatch(word):
        return word
    if word == "i" and place < 0:
        return word
    values = [_ROMAN_VALUES[letter] for letter in word]
    following = [*values[1:], 0]
    return str(sum(v if v >= after else -v for v, after in zip(values, following, strict=True)))


def _distinct(column: pd.Series | None, size: int) -> tuple[Index, list[str]]:
    """Gives codes (n,) and the different texts, the first of them empty."""
    if column is None:
        return np.zeros(size, dtype=np.int64), [""]
    texts = column.where(column.notna(), "").astype(str).str.strip()
    codes, distinct = pd.factorize(np.concatenate([[""], texts.to_numpy(dtype=object)]))
    return np.asarray(codes[1:], dtype=np.int64), [str(name) for name in distinct]


def _alias_forms(column: pd.Series) -> Texts:
    codes, distinct = _distinct(column, len(column))
    return objects(parse_name(name).bare if name else "" for name in distinct)[codes]


def _all_forms(codes: Index, parsed: Sequence[Name], aliases: Sequence[Texts]) -> pd.DataFrame:
    nodes = np.arange(len(codes))
    remarks = pd.DataFrame(
        [
            (code, _without_article(form))
            for code, name in enumerate(parsed)
            for form in name.brackets
        ],
        columns=["code", "form"],
    )
    bare = pd.DataFrame({"node": nodes, "form": objects(n.bare for n in parsed)[codes]})
    alias_frames = [pd.DataFrame({"node": nodes, "form": forms}) for forms in aliases]
    asides = pd.DataFrame({"node": nodes, "code": codes}).merge(remarks, on="code")
    joined = pd.concat(
        [frame.assign(aside=False) for frame in (bare, *alias_frames)]
        + [asides[["node", "form"]].assign(aside=True)],
        ignore_index=True,
    )
    return joined[joined["form"] != ""].drop_duplicates(["node", "form"], ignore_index=True)


def edit_similarity(left: Texts, right: Texts) -> Floats:
    """Gives 1 - d / max(length) for pairs of texts.

    d is the optimal string alignment distance: insertions, deletions, substitutions and swaps of
    neighbours, each at a cost of 1.

    Args:
        left: str (p,).
        right: str (p,).

    Returns:
        float64 (p,) within [0, 1]; 1 where both are empty.
    """
    out = np.ones(len(left), dtype=np.float64)
    for start in range(0, len(left), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        out[chunk] = _similarity(left[chunk], right[chunk])
    return out


def _similarity(left: Texts, right: Texts) -> Floats:
    a, sizes_a = _points(left, _PADDING_LEFT)
    b, sizes_b = _points(right, _PADDING_RIGHT)
    width = b.shape[1]
    ramp = np.arange(width + 1, dtype=np.int16)
    before = np.zeros((len(a), width + 1), dtype=np.int16)
    row = np.broadcast_to(ramp, (len(a), width + 1)).copy()
    distance = sizes_b.copy()  # to an empty text
    for i in range(a.shape[1]):
        letter = a[:, i : i + 1]
        differs = letter != b
        new = np.empty_like(row)
        new[:, 0] = i + 1
        new[:, 1:] = np.minimum(row[:, 1:] + 1, row[:, :-1] + differs)
        if i and width > 1:
            swapped = (letter == b[:, :-1]) & (a[:, i - 1 : i] == b[:, 1:])
            new[:, 2:] = np.where(swapped, np.minimum(new[:, 2:], before[:, :-2] + 1), new[:, 2:])
        # Insertions run along the row: the least of new[k] + (j - k) over k <= j.
        new = np.minimum.accumulate(new - ramp, axis=1) + ramp
        before, row = row, new
        ends_here = sizes_a == i + 1
        distance[ends_here] = new[ends_here, sizes_b[ends_here]]
    longest = np.maximum(np.maximum(sizes_a, sizes_b), 1)
    return np.asarray(1.0 - distance / longest, dtype=np.float64)


def _points(texts: Texts, padding: int) -> tuple[npt.NDArray[np.uint32], Index]:
    """Gives code points (p, longest) and lengths (p,)."""
    cut = [text[:MAX_LENGTH] for text in texts]
    sizes = np.array([len(text) for text in cut], dtype=np.int64)
    points = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    out = np.full((len(cut), int(sizes.max(initial=0))), padding, dtype=np.uint32)
    out[np.arange(out.shape[1]) < sizes[:, None]] = points
    return out, sizes
