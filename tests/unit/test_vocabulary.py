import numpy as np
import pytest

from kgrec.errors import VocabularyError
from kgrec.vocabulary import Vocabulary


def test_ids_and_indices_are_a_bijection() -> None:
    words = Vocabulary(iter(["b", "a", "007"]), "Item")
    assert len(words) == 3
    assert words.ids == ("b", "a", "007")
    assert [words.index(key) for key in words.ids] == [0, 1, 2]
    found = words.indices(["007", "b", "007"])
    assert found.tolist() == [2, 0, 2]
    assert found.dtype == np.int64
    assert words.indices([]).shape == (0,)
    assert "a" in words
    assert "7" not in words


def test_an_unknown_id_is_a_clear_key_error() -> None:
    words = Vocabulary(["a"], "User")
    for ask in (lambda: words.index("x"), lambda: words.indices(["a", "x"])):
        with pytest.raises(VocabularyError) as caught:
            ask()
        assert isinstance(caught.value, KeyError)
        assert str(caught.value).startswith("no User has the id 'x'; expected one of the 1 ids")


def test_repeats_are_refused() -> None:
    with pytest.raises(VocabularyError, match="Item ids occur more than once"):
        Vocabulary(["a", "b", "a"], "Item")


def test_equality_is_of_ids_in_order_and_label() -> None:
    assert Vocabulary(["a", "b"], "Item") == Vocabulary(["a", "b"], "Item")
    assert Vocabulary(["a", "b"], "Item") != Vocabulary(["b", "a"], "Item")
    assert Vocabulary(["a"], "Item") != Vocabulary(["a"], "User")
    with pytest.raises(TypeError):
        hash(Vocabulary(["a"], "Item"))
