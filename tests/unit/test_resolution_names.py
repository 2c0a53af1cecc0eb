"""Names in normal forms, and pairs of similar names against brute force."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.resolution import grams
from kgrec.resolution.grams import cosines, gram_matrix, nearest_rows, similar_rows
from kgrec.resolution.names import (
    MAX_LENGTH,
    Name,
    Names,
    edit_similarity,
    key_form,
    normal_form,
    objects,
    parse_name,
)

NAN = float("nan")


def name_of(full: str, **more: object) -> Name:
    parts = {"bare": full, "brackets": (), "year": NAN, "numbers": ""} | more
    return Name(**{"full": full, "singular": parts["bare"], **parts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Matrix, The (1999)", name_of("the matrix", bare="matrix", year=1999.0)),
        ("THE MATRIX", name_of("the matrix", bare="matrix")),
        ("Postino, Il (The Postman)",
         name_of("il postino", bare="postino", brackets=("the postman",))),
        ("L'Avventura", name_of("lavventura")),
        ("Avventura, L'", name_of("lavventura")),
        ("Rocky II", name_of("rocky 2", numbers="2")),
        ("Rocky IV [1985]", name_of("rocky 4", year=1985.0, numbers="4")),
        ("Aliens", name_of("aliens", singular="alien")),
        ("Mambo Kings, The", name_of("the mambo kings", bare="mambo kings",
                                     singular="mambo king")),
        ("Amélie & Łukasz—Straße", name_of("amelie and lukasz strasse")),
        ("Heat (1995 film)", name_of("heat", brackets=("film",), year=1995.0)),
        ("[Rec]", name_of("rec")),
        ("!!!", name_of("!!!")),
        ("Die Hard", name_of("die hard")),  # not the German article
        ("Seven (Se7en)", name_of("seven", brackets=("se7en",))),
        ("The", name_of("the")),
    ],
)  # fmt: skip
def test_names_are_taken_apart(text: str, expected: Name) -> None:
    got = parse_name(text)
    assert (got.full, got.bare, got.singular, got.brackets, got.numbers) == (
        expected.full, expected.bare, expected.singular, expected.brackets, expected.numbers,
    )  # fmt: skip
    assert got.year == expected.year or (np.isnan(got.year) and np.isnan(expected.year))


def test_marks_that_are_letters_stay() -> None:
    # Without their vowel signs these two words would be one.
    assert normal_form("की") != normal_form("का")
    assert normal_form("カ") != normal_form("ガ")


@given(st.text(alphabet="aéÑ II-'(1:,.) the", max_size=30))
def test_a_normal_form_is_its_own_and_ignores_case(text: str) -> None:
    form = normal_form(text)
    assert normal_form(form) == form
    assert normal_form(text.upper()) == form


def test_keys_ignore_case_spaces_and_punctuation() -> None:
    assert key_form("978-3-16 148410.X") == key_form("978316148410x") == "978316148410x"


def test_names_of_nodes_with_their_other_names() -> None:
    shown = pd.Series(["Postino, Il (The Postman)", None, "Heat"])
    names = Names.read(shown, [pd.Series([None, "Nameless", "Fuego contra fuego"])], 3)
    assert names.display.tolist() == ["Postino, Il (The Postman)", "", "Heat"]
    assert names.whole.tolist() == ["il postino the postman", "", "heat"]
    assert sorted(names.alias_forms.itertuples(index=False, name=None)) == [
        (0, "postino", False),
        (0, "postman", True),  # a remark, which may be no name
        (1, "nameless", False),
        (2, "fuego contra fuego", False),
        (2, "heat", False),
    ]


WORDS = st.text(alphabet="abc ", max_size=9)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=12), st.lists(WORDS, min_size=1, max_size=12),
       st.integers(1, 4), st.sampled_from([0.2, 0.45, 0.8]), st.booleans())  # fmt: skip
def test_the_search_finds_what_brute_force_finds(
    left: list[str], right: list[str], k: int, least: float, same: bool
) -> None:
    right = left if same else right
    a, b = gram_matrix(objects(left), objects(right))
    found = similar_rows(a, b, k, least, same=same)
    table = (a @ b.T).toarray()
    expected = []
    for at, row in enumerate(np.round(table, 9)):
        order = [to for to in np.lexsort((np.arange(len(row)), -row)) if not same or to > at]
        expected += [(at, to) for to in order[:k] if table[at, to] >= least]
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected
    np.testing.assert_allclose(found.cosine, table[found.left, found.right], atol=1e-12)


def test_small_blocks_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    names = objects("".join(rng.choice(list("abcde "), 12)) for _ in range(300))
    a, b = gram_matrix(names[:150], names[150:])
    whole = similar_rows(a, b, 5, 0.3)
    monkeypatch.setattr(grams, "_WORK", 50)
    monkeypatch.setattr(grams, "_PAIRS", 7)
    parts = similar_rows(a, b, 5, 0.3)
    assert len(whole.left) > 50
    assert np.array_equal(whole.left, parts.left)
    assert np.array_equal(whole.right, parts.right)


def test_cosines_by_hand() -> None:
    # " ab " has the 3-grams " ab" and "ab ", " abc " has " ab", "abc" and "bc ".
    a, b = gram_matrix(objects(["ab"]), objects(["abc", ""]))
    often, once = np.log(4 / 3) + 1, np.log(4 / 2) + 1  # of 3 texts two or one have it
    expected = often**2 / np.sqrt(often**2 + once**2) / np.sqrt(often**2 + 2 * once**2)
    got = cosines(a, b, np.array([0, 0]), np.array([0, 1]))
    np.testing.assert_allclose(got, [expected, 0.0])


@cache
def edits(a: str, b: str) -> int:
    """Optimal string alignment, by its definition."""
    if not a or not b:
        return len(a) + len(b)
    best = min(edits(a[:-1], b) + 1, edits(a, b[:-1]) + 1, edits(a[:-1], b[:-1]) + (a[-1] != b[-1]))
    if len(a) > 1 and len(b) > 1 and a[-1] == b[-2] and a[-2] == b[-1]:
        best = min(best, edits(a[:-2], b[:-2]) + 1)
    return best


@given(st.lists(st.tuples(st.text("abç", max_size=7), st.text("abç", max_size=7)), max_size=20))
def test_edit_similarity_is_that_of_the_definition(pairs: list[tuple[str, str]]) -> None:
    got = edit_similarity(objects(a for a, _ in pairs), objects(b for _, b in pairs))
    expected = [1 - edits(a, b) / max(len(a), len(b), 1) for a, b in pairs]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_long_texts_are_compared_by_their_beginning() -> None:
    text = "x" * MAX_LENGTH
    assert edit_similarity(objects([text + "abc"]), objects([text + "d"])).tolist() == [1.0]


@pytest.mark.parametrize("same", [False, True])
def test_nearest_vectors_are_those_of_brute_force(
    same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.normal(size=(size, 8)).astype(np.float32) for size in (40, 30))
    b = a if same else b
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    monkeypatch.setattr("kgrec.resolution.grams._CELLS", 200)
    found = nearest_rows(a, b, 3, 0.3, same=same)
    table = a @ b.T
    for at in range(len(a)):
        order = [to for to in np.argsort(-table[at]) if not same or to > at][:3]
        expected = [to for to in order if table[at, to] >= 0.3]
        assert found.right[found.left == at].tolist() == expected
    assert len(found.left) > 20


def test_no_vectors_have_no_neighbours() -> None:
    none = np.zeros((0, 4), dtype=np.float32)
    assert len(nearest_rows(np.ones((2, 4), dtype=np.float32), none, 3, 0.1).left) == 0
