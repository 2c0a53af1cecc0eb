import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from deliveries import World, delivered, derived
from numpy.testing import assert_allclose

from kgrec.config import PropertyRule
from kgrec.data.view.scaling import Scale
from kgrec.errors import ConfigError, DataError
from kgrec.schema import NodeLabel

ITEM = NodeLabel.ITEM


def scaled(
    text: str, rule: dict[str, str], *, train: str | None = None, **more: object
) -> tuple[World, list[float]]:
    items = delivered("items", text, properties={"price": {"as": "number", **rule}})
    world = derived(items, items="1 2 3 4", train=train, **more)  # type: ignore[arg-type]
    return world, world.view.nodes[ITEM]["price_scaled"].tolist()


PRICES = "id,price\n1,10\n2,20\n3,40\n4,100\n"


def test_minmax_is_fitted_on_train_and_clipped() -> None:
    world, twins = scaled(PRICES, {"normalise": "minmax"}, train="1 2 3")
    assert_allclose(twins, [0, 1 / 3, 1, 1])
    assert world.view.nodes[ITEM]["price"].tolist() == [10, 20, 40, 100]
    assert world.view.scales == {"Item.price": Scale("minmax", "none", 10, 30, None, 3, 0)}
    assert world.notes == ["items: 3 train items fitted price_scaled: scaled to [0, 1]"]


def test_standard_has_mean_0_and_deviation_1_on_train() -> None:
    _, twins = scaled(PRICES, {"normalise": "standard"}, train="2 3")
    # Mean 30, standard deviation 10.
    assert_allclose(twins, [-2, -1, 1, 7])


def test_log_standardises_logarithms() -> None:
    world, twins = scaled("id,price\n1,0\n2,9\n3,99\n", {"normalise": "log"})
    logs = np.array([0, np.log(10), np.log(100)])  # mean log 10, deviation log 10 · √(2/3)
    assert_allclose(twins[:3], (logs - np.log(10)) / (np.log(10) * np.sqrt(2 / 3)))
    assert np.isnan(twins[3])
    assert world.notes == [
        "interactions: 1 of 4 items with interactions are in no table of items ('4')",
        "items: 3 train items fitted price_scaled: log1p, then standardised",
    ]


@pytest.mark.parametrize(
    ("impute", "filler", "words"),
    [("median", 20, "the median 20"), ("mean", 30, "the mean 30"), ("zero", 0, "0")],
)
def test_a_missing_number_counts_as_one_of_train(impute: str, filler: float, words: str) -> None:
    text = "id,price\n1,10\n2,20\n3,60\n4,\n5,1000\n"
    world, twins = scaled(text, {"normalise": "minmax", "impute": impute}, train="1 2 3 9")
    least = min(filler, 10)
    assert_allclose(twins[3], (filler - least) / (60 - least))
    # The number itself is never made up.
    assert np.isnan(world.view.nodes[ITEM]["price"][3])
    assert world.view.scales["Item.price"].filler == filler
    assert world.notes == [
        f"items: 3 train items fitted price_scaled: scaled to [0, 1]; 1 missing imputed by {words}"
    ]


def test_what_is_imputed_takes_part_in_the_fit() -> None:
    text = "id,price\n1,1\n2,\n3,5\n4,\n"
    _, twins = scaled(text, {"normalise": "standard", "impute": "zero"})
    values = np.array([1, 0, 5, 0])
    assert_allclose(twins, (values - 1.5) / values.std())
    assert_allclose(np.mean(twins), 0, atol=1e-12)


def test_equal_numbers_become_0() -> None:
    for normalise in ("minmax", "standard", "log"):
        _, twins = scaled(
            "id,price\n1,.1\n2,.1\n3,.1\n4,7\n", {"normalise": normalise}, train="1 2 3"
        )
        assert twins == [0, 0, 0, 0]


def test_a_logarithm_of_a_number_below_0_is_refused() -> None:
    with pytest.raises(DataError, match=r"items: price of '2' is -3; normalise = \"log\" expects"):
        scaled("id,price\n1,5\n2,-3\n", {"normalise": "log"})


def test_no_twin_without_a_number_in_train() -> None:
    items = delivered(
        "items", PRICES, properties={"price": {"as": "number", "normalise": "minmax"}}
    )
    world = derived(items, train="9")
    assert "price_scaled" not in world.view.nodes[ITEM]
    assert world.view.scales == {}
    assert world.notes == [
        "items: 1 property, price_scaled, was left out: none of the train items has a price"
    ]


def test_a_twin_does_not_overwrite_a_column() -> None:
    with pytest.raises(DataError, match="would be 'price_scaled', which is a column already"):
        scaled("id,price,price_scaled\n1,5,6\n", {"normalise": "minmax"})


def test_scales_that_are_given_are_used() -> None:
    rule = {"normalise": "standard", "impute": "median"}
    first, _ = scaled(PRICES, rule, train="2 3")
    plain = {name: asdict(scale) for name, scale in first.view.scales.items()}
    kept = {name: Scale(**values) for name, values in json.loads(json.dumps(plain)).items()}
    world, twins = scaled("id,price\n1,50\n2,70\n3,\n", rule, scales=kept)
    assert_allclose(twins, [2, 4, 0, 0])
    assert world.view.scales == first.view.scales
    assert world.notes == [
        "interactions: 1 of 4 items with interactions are in no table of items ('4')",
        "items: 2 train items fitted earlier price_scaled: standardised",
    ]
    # Another rule needs another fit.
    other, _ = scaled("id,price\n1,50\n2,70\n3,\n", {"normalise": "minmax"}, scales=kept)
    assert other.view.scales["Item.price"] == Scale("minmax", "none", 50, 20, None, 2, 0)


def test_users_and_entities_are_fitted_on_all_of_them() -> None:
    rule = {"age": {"as": "number", "normalise": "standard"}}
    world = derived(
        delivered("users", "id,age\nu1,20\nu2,40\n", properties=rule),
        delivered("entities", "id,age\nx,10\ny,30\nunused,1000\n", properties=rule),
        delivered("triples", "head,relation,tail\n1,by,x\n1,by,y\n"),
        train="",
    )
    assert world.view.scales["User.age"] == Scale("standard", "none", 30, 10, None, 2, 0)
    assert world.view.scales["Entity.age"] == Scale("standard", "none", 20, 10, None, 2, 0)


def test_a_user_who_is_another_one_is_no_part_of_the_fit() -> None:
    world = derived(
        delivered(
            "users",
            "id,age\nu1,20\nu2,40\nu3,90\n",
            properties={"age": {"as": "number", "normalise": "standard"}},
        ),
        delivered("same_as", "left,right,label\nu2,u3,User\n"),
    )
    assert world.view.scales["User.age"] == Scale("standard", "none", 30, 10, None, 2, 0)
    assert world.view.nodes[NodeLabel.USER]["age_scaled"].tolist() == [-1, 1, 6]


def test_sources_that_normalise_differently_are_refused() -> None:
    tables = [
        delivered(
            "items",
            "id,price\n1,5\n",
            name=name,
            properties={"price": {"as": "number", "normalise": name}},
        )
        for name in ("minmax", "log")
    ]
    with pytest.raises(ConfigError, match="minmax and log normalise 'price' differently"):
        derived(*tables)


def test_a_scale_applies_to_other_numbers_than_it_was_fitted_on() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    rule = PropertyRule(kind="number", normalise="log", impute="mean")
    scale = Scale.fit(values, np.ones(4, dtype=bool), rule)
    assert scale.filler == 2
    assert_allclose(scale.apply(np.array([np.nan, 2.0])), scale.apply(np.array([2.0, 2.0])))
    assert pd.isna(Scale("minmax", "none", 0, 1, None, 1, 0).apply(np.array([np.nan]))).all()
