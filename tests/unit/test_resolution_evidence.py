"""What properties weigh, what scores are, and who may be joined: by hand."""

import numpy as np
import pandas as pd
import pytest
from catalogues import precision_and_recall

from kgrec.config import ResolutionConfig
from kgrec.errors import ConfigError
from kgrec.resolution.evidence import (
    EQUAL_NAME,
    MOST,
    NUMBERS_DIFFER,
    PLURAL_DIFFERS,
    REMARK_ALONE,
    REMARKS_DIFFER,
    Evidence,
    Property,
    scores,
    shared_properties,
)
from kgrec.resolution.exact import equal_aliases, equal_keys, equal_names
from kgrec.resolution.resolve import Identities, choose
from kgrec.resolution.sides import Comparison, Side
from kgrec.schema import NodeLabel

PROSE = "A film of some length about what people do when they think that nobody looks at them."


def side(source: str = "a", aliases: tuple[str, ...] = (), **columns: list[object]) -> Side:
    size = len(next(iter(columns.values())))
    frame = pd.DataFrame({"id": [f"{source}{at}" for at in range(size)], **columns})
    return Side(NodeLabel.ITEM, source, frame, aliases)


def properties(left: Side, right: Side, **config: object) -> dict[str, Property]:
    comparison = Comparison(left, right)
    found = shared_properties(comparison, ResolutionConfig(**config))  # type: ignore[arg-type]
    return {each.name: each for each in found}


def at(*positions: int) -> np.ndarray:
    return np.array(positions, dtype=np.int64)


def test_chance_and_weights_by_hand() -> None:
    left = side(brand=["Acme", "ACME ", "Bolt", None], title=list("wxyz"))
    right = side("b", brand=["acme", "Bolt", "Bolt", "Cord"], title=list("wxyz"))
    brand = properties(left, right)["brand"]
    # Of 3 × 4 pairs with a brand, 2 × 1 (Acme) and 1 × 2 (Bolt) agree.
    assert brand.chance == pytest.approx(4 / 12)
    assert brand.agreement(at(0, 1, 2, 3, 0), at(0, 0, 2, 1, 3)).tolist() == [1, 1, 1, 0, -1]
    # 3 certain pairs, 2 agree; with 20 imagined ones, 18 of them agreeing, m = 20 / 23.
    agree, differ = brand.weights(at(0, 2, 1), at(0, 1, 3))
    assert agree == pytest.approx(np.log((20 / 23) / (1 / 3)))
    assert differ == pytest.approx(np.log((3 / 23) / (2 / 3)))


def test_a_property_that_certain_pairs_do_not_share_weighs_nothing_against() -> None:
    prices = [float(value) for value in range(1000)]
    left = side(price=prices, title=["x"] * 1000)
    right = side("b", price=[1.0, *(value + 0.5 for value in prices[1:])], title=["x"] * 1000)
    price = properties(left, right)["price"]
    agree, differ = price.weights(np.arange(1000), np.arange(1000))
    assert price.chance == pytest.approx(1e-6)
    assert differ == pytest.approx(np.log(1 - 18 / 1020), abs=1e-3)  # -0.02
    assert agree == 4.0  # the most that a property may say


def test_years_a_year_apart_neither_agree_nor_differ() -> None:
    left = side(title=["Heat (1995)", "Alien"], year=[np.nan, 1979.0])
    right = side("b", title=["Heat", "Alien"], year=[1995.0, 1979.0])
    year = properties(left, right)["year"]
    assert year.agreement(at(0, 0, 1), at(0, 1, 1)).tolist() == [1, -1, 1]
    near = properties(left, side("b", title=["Heat", "Alien"], year=[1996.0, 1979.0]))["year"]
    assert near.agreement(at(0, 0), at(0, 1)).tolist() == [0, -1]


def test_only_telling_columns_are_compared() -> None:
    left = side(title=["x", "y"], plot=[PROSE, PROSE], sku=["l1", "l2"], hue=["red", "blue"],
                own=["a", "b"])  # fmt: skip
    right = side("b", title=["x", "y"], plot=[PROSE, PROSE], sku=["r1", "r2"], hue=["Red", "red"])
    assert set(properties(left, right)) == {"hue"}
    assert properties(left, right, compare=()) == {}


def test_evidence_adds_up() -> None:
    left = side(title=["Heat", "Heat 2", "Heat (Live)", "Alien"], hue=["red", None, None, None])
    right = side("b", title=["Heat", "Heat (Remix)", "Aliens"], hue=["red", "blue", None])
    comparison = Comparison(left, right)
    hue = shared_properties(comparison, ResolutionConfig())
    evidence = Evidence(hue, [hue[0].weights(at(), at())], (left.names, right.names))
    agree, differ = np.log(0.9 / 0.5), np.log(0.1 / 0.5)  # u = 1/2, m as imagined
    np.testing.assert_allclose(
        evidence.log_odds(at(0, 0, 1, 2, 3), at(0, 1, 0, 1, 2)),
        [agree, differ + REMARK_ALONE, NUMBERS_DIFFER, REMARKS_DIFFER, PLURAL_DIFFERS],
    )
    assert evidence.words(at(0, 0, 1, 3), at(0, 1, 0, 2)).tolist() == [
        "hue red", "hue red ≠ blue", "numbers differ", "singular and plural",
    ]  # fmt: skip


def test_scores_by_hand() -> None:
    odds = 0.97 / 0.03
    alone = scores(at(0), at(0), np.array([EQUAL_NAME]), rivals=True)
    assert alone.tolist() == pytest.approx([0.97])
    # One left node with two equal names on the right: they share the probability.
    two = scores(at(0, 0), at(0, 1), np.array([EQUAL_NAME] * 2), rivals=True)
    assert two.tolist() == pytest.approx([odds / (1 + 2 * odds)] * 2)
    # The side with more rivals counts.
    three = scores(at(0, 1, 1), at(0, 0, 1), np.array([0.0, 0.0, np.log(3)]), rivals=True)
    assert three.tolist() == pytest.approx([1 / 3, 1 / 5, 3 / 5])
    several = scores(at(0, 0), at(0, 1), np.array([EQUAL_NAME, 50.0]), rivals=False)
    assert several.tolist() == pytest.approx([0.97, MOST])
    assert scores(at(), at(), np.zeros(0), rivals=True).tolist() == []


def test_keys_are_joined_as_numbers_and_as_text() -> None:
    left = side(ean=[4006381333931.0, np.nan, 5.0], isbn=["3-16 148410-x", None, "7"])
    right = side("b", ean=[np.nan, 4006381333931.0], isbn=["316148410X", " "])
    for column in ("ean", "isbn"):
        found = equal_keys(Comparison(left, right), column, 5)
        expected = [(0, 1)] if column == "ean" else [(0, 0)]
        assert list(zip(found.left, found.right, strict=True)) == expected
        assert found.unique.tolist() == [True]
    assert len(equal_keys(Comparison(left, right), "upc", 5).left) == 0


def test_a_key_that_many_share_is_left_out_and_told() -> None:
    left = side(ean=["1", "1", "1", "2", "2"])
    right = side("b", ean=["1", "2"])
    found = equal_keys(Comparison(left, right), "ean", 2)
    assert list(zip(found.left, found.right, strict=True)) == [(3, 1), (4, 1)]
    assert found.unique.tolist() == [False, False]
    assert found.common == (("1", 3),)


def test_names_within_a_source_are_compared_once() -> None:
    films = side(title=["Heat", "HEAT", "Alien", "", None])
    found = equal_names(Comparison(films, films), "whole", 5)
    assert list(zip(found.left, found.right, strict=True)) == [(0, 1)]
    assert found.unique.tolist() == [True]


def test_a_remark_is_an_alias_of_a_name_but_not_of_a_remark() -> None:
    left = side(title=["Postino, Il (The Postman)", "The Office (TV)"])
    right = side("b", title=["The Postman", "Panorama (TV)"])
    found = equal_aliases(Comparison(left, right), 5)
    assert list(zip(found.left, found.right, strict=True)) == [(0, 0)]


def test_a_chain_never_joins_two_nodes_of_one_source() -> None:
    a, other, b, c = ("Item", "a"), ("Item", "a'"), ("Item", "b"), ("Item", "c")
    sources = {a: "A", other: "A", b: "B", c: "C"}
    pairs = [(a, b), (b, c), (c, other), (a, c), (a, other)]
    proposed, accepted = choose(pairs, [True] * 5, Identities(sources, one_to_one=True))
    # The last pair is within a source: who compares one with itself means it.
    assert accepted == [True, True, False, True, True]
    assert proposed[:2] == [True, True]
    free = Identities(sources, one_to_one=False)
    assert choose(pairs, [True] * 5, free)[1] == [True] * 5


def test_a_pair_that_waits_is_not_proposed_where_a_node_is_taken() -> None:
    a, b, other = ("Item", "a"), ("Item", "b"), ("Item", "b'")
    identities = Identities({a: "A", b: "B", other: "B"}, one_to_one=True)
    proposed, accepted = choose([(a, other), (a, b)], [False, True], identities)
    assert (proposed, accepted) == ([False, True], [False, True])


def test_precision_and_recall_by_hand() -> None:
    proposals = pd.DataFrame(
        {
            "left": list("abcd"),
            "right": list("ABXD"),
            "score": [0.99, 0.7, 0.96, 0.5],
            "method": ["name", "text", "name", "name"],
        }
    )
    truth = pd.DataFrame({"left": list("abcd"), "right": list("ABCD")})
    got = precision_and_recall(proposals, truth, (0.6, 0.95))
    assert got.loc[("all", 0.6)].tolist() == [3, 2, 2 / 3, 2 / 4]
    assert got.loc[("all", 0.95)].tolist() == [2, 1, 1 / 2, 1 / 4]
    assert got.loc[("name", 0.6)].tolist() == [2, 1, 1 / 2, 1 / 4]
    assert got.loc[("text", 0.6)].tolist() == [1, 1, 1.0, 1 / 4]
    assert np.isnan(got.loc[("text", 0.95), "precision"])


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    from kgrec.config import Config

    with pytest.raises(ConfigError, match=r"propose must not exceed accept, got 0.9 > 0.8"):
        Config.build({"data": {"interactions": "x"}, "resolution": {"accept": 0.8, "propose": 0.9}})
