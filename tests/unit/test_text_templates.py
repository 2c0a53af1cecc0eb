import math

import pytest

from kgrec.text.templates import (
    Link,
    describe,
    quote,
    relation_phrase,
    render_entity,
    render_item,
    render_user,
    role_phrase,
)


@pytest.mark.parametrize(
    ("relation", "phrase", "role"),
    [
        ("directed_by", "directed by", "director of"),
        ("film.film.directed_by", "directed by", "director of"),
        ("genre", "genre", "genre of"),
        ("starring", "starring", "actor in"),
        ("http://x.org/rel#playsFor", "plays for", "“plays for” of"),
        ("7", "7", "7 of"),
        ("distributed by", "distributed by", "“distributed by” of"),
        ("…", "…", "… of"),
    ],
)
def test_phrases(relation: str, phrase: str, role: str) -> None:
    assert relation_phrase(relation) == phrase
    assert role_phrase(relation) == role


def test_an_item_is_told_by_title_year_neighbours_and_properties() -> None:
    links = [
        Link("genre", True, ("crime", "thriller"), 2),
        Link("directed_by", True, ("Michael Mann",), 1),
        Link("sequel", False, ("Manhunter",), 1),
    ]
    prose = "A thief and a detective, each the best at what he does, circle one another."
    properties = {"plot": f"{prose}\n", "year": 1995.0, "minutes": 170, "stars": 4.5, "gap": None}
    assert render_item("Heat", properties, links) == (
        "Heat (1995); genre: crime, thriller; directed by Michael Mann; sequel of Manhunter; "
        f"minutes 170; stars 4.5; {prose}"
    )
    assert render_item("Heat", {"year": math.nan}, []) == "Heat"
    assert render_item(None, {"year": 1995}, links[:1]) == "year 1995; genre: crime, thriller"
    assert render_item(None, {}, []) == ""


def test_entities_and_users() -> None:
    links = [Link("directed_by", False, ("Heat", "The Insider"), 9)]
    assert render_entity("Michael Mann", {"born": 1943}, links) == (
        "Michael Mann; director of Heat, The Insider; born 1943"
    )
    assert render_entity(None, {}, links) == "director of Heat, The Insider"
    assert render_user({"age": 24, "zip_code": "00501"}, ["Heat", "Fargo"]) == (
        "age 24, zip code 00501; lately: Heat, Fargo"
    )
    assert render_user({}, []) == ""


def test_a_text_of_its_own_is_told_right_behind_the_name() -> None:
    links = [Link("reviews", True, ("Heat",), 1)]
    assert render_entity(None, {"text": "A fine  diner\nscene", "stars": 4}, links) == (
        "A fine diner scene; reviews: Heat; stars 4"
    )
    long = "The diner scene alone is worth it"
    assert render_entity("The diner scene…", {"text": long}, []) == long
    assert render_entity("Ann", {"text": long}, []) == f"Ann; {long}"
    assert render_entity("Ann on Heat", {"text": None}, links) == "Ann on Heat; reviews: Heat"
    properties = {"year": 1995, "text": "Short.", "minutes": 170}
    told = "Heat (1995); Short.; genre: crime; minutes 170"
    assert render_item("Heat", properties, [Link("genre", True, ("crime",), 1)]) == told
    assert properties == {"year": 1995, "text": "Short.", "minutes": 170}


def test_a_user_is_told_by_attributes_before_the_history() -> None:
    links = [Link("country", True, ("France",), 1)]
    assert render_user({"age": 24, "text": "I like boats."}, ["Heat"], links) == (
        "I like boats.; age 24; country: France; lately: Heat"
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("red  shoes", "“red shoes”"),
        ("x" * 60, f"“{'x' * 60}”"),
        ("x" * 61, f"“{'x' * 59}…”"),
        (f"{'word ' * 11}last one", f"“{'word ' * 10}word…”"),
        (f"{'word ' * 10}word, and more", f"“{'word ' * 10}word…”"),
    ],
)
def test_a_long_text_is_quoted_by_its_first_words(text: str, name: str) -> None:
    assert quote(text) == name


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([], None),
        ([Link("directed_by", False, ("Heat",), 1)], "the director of Heat"),
        (
            [Link("directed_by", False, ("Heat", "The Insider"), 2)],
            "the director of Heat and The Insider",
        ),
        (
            [Link("starring", False, ("Heat", "Ronin", "Casino"), 4)],
            "the actor in Heat, Ronin and 2 others",
        ),
        ([Link("starring", False, ("Heat",), 2)], "the actor in Heat and 1 other"),
        (  # what it is to others comes before what others are to it, then the most links
            [
                Link("genre", True, ("crime",), 9),
                Link("written_by", False, ("Heat",), 1),
                Link("directed_by", False, ("Ali", "Heat"), 2),
            ],
            "the director of Ali and Heat",
        ),
        ([Link("directed_by", True, ("Mann",), 1)], "the one directed by Mann"),
        ([Link("genre", True, ("crime",), 1)], "the one with genre crime"),
    ],
)
def test_a_nameless_node_is_described(links: list[Link], expected: str | None) -> None:
    assert describe(links) == expected
