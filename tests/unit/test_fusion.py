"""The fusion: standardised, weighted, and still the sum of its parts."""

import pytest
import torch
from graphs import history_of, random_graph, tensors_of

from kgrec.errors import RunError, ShapeError
from kgrec.model.closed_form import ClosedForm
from kgrec.model.fusion import Fusion, standardise
from kgrec.model.graph_scorer import EmbeddingScorer, PropagationScorer
from kgrec.model.incidence import Incidence
from kgrec.model.kinds import scorer_kind
from kgrec.model.network import GraphNetwork
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.training.relation_rows import relation_rows

GRAPH = random_graph(8)
HISTORY = history_of(GRAPH)
EVERYONE = torch.arange(GRAPH.num_users)
EVERY_ITEM = torch.arange(GRAPH.num_items)


def make(**weights: float) -> Fusion:
    tensors = tensors_of(GRAPH)
    net = GraphNetwork(tensors, channels=6, generator=torch.Generator().manual_seed(0))
    parts = {
        "network": PropagationScorer.from_network(net, tensors, HISTORY, 0.2),
        "closed_form": ClosedForm.fit(HISTORY, relation_rows(GRAPH), {"genre": 1.0}, 2.0),
        "popularity": Popularity(HISTORY),
    }
    chosen = {"network": 1.0, "closed_form": 0.5, "popularity": 0.2} | weights
    return Fusion(parts, chosen)


def test_standardise_by_hand() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    root = 1.5**0.5
    torch.testing.assert_close(
        standardise(scores), torch.tensor([[-root, 0.0, root], [0.0, 0.0, 0.0]])
    )


def test_rounding_of_equal_scores_is_not_blown_up() -> None:
    value = torch.full((1, 1013), 0.1) * 23.7
    value[0, ::2] = torch.nextafter(value[0, ::2], torch.tensor(9.0))
    assert not standardise(value).any()


def test_score_is_the_weighted_sum_of_standardised_parts() -> None:
    fusion = make()
    wanted = sum(
        weight * standardise(fusion.parts[name].score(EVERYONE))
        for name, weight in fusion.part_weights.items()
    )
    torch.testing.assert_close(fusion.score(EVERYONE), wanted)


def test_one_deviation_for_all_users_by_hand() -> None:
    history = Incidence.from_pairs(torch.tensor([0, 1]), torch.tensor([0, 1]), 2, 3)
    one = EmbeddingScorer(torch.tensor([[1.0], [10.0]]), torch.tensor([[1.0], [2.0], [3.0]]),
                          torch.zeros(3), history)  # fmt: skip
    fusion = Fusion({"closed_form": one}, {"closed_form": 0.5}, {"closed_form": 4.0})
    # (s - mean) · 0.5 / 4: the second user's scores stay ten times the first one's.
    wanted = torch.tensor([[-0.125, 0.0, 0.125], [-1.25, 0.0, 1.25]])
    torch.testing.assert_close(fusion.score(torch.tensor([0, 1])), wanted)
    found = fusion.contributions(1, torch.tensor([2, 0]))
    torch.testing.assert_close(found.score, torch.tensor([1.25, -1.25]))
    torch.testing.assert_close(found.by_item.sum(dim=1) + found.rest, found.score)
    torch.testing.assert_close(found.by_relation.sum(dim=1), found.score)
    again = Fusion.from_state(*fusion.state())
    assert again.part_scales == {"closed_form": 4.0}
    assert fusion.without_idle_parts().part_scales == {"closed_form": 4.0}


def test_affine_changes_of_a_part_change_nothing() -> None:
    fusion = make()
    network = fusion.parts["network"]

    class Stretched(Scorer):
        history = network.history

        def score(self, users: torch.Tensor) -> torch.Tensor:
            return 7.0 * network.score(users) - 3.0

    other = Fusion(fusion.parts | {"network": Stretched()}, fusion.part_weights)
    torch.testing.assert_close(other.score(EVERYONE), fusion.score(EVERYONE), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("weights", [{}, {"network": 0.0}, {"popularity": -0.3}])
def test_shares_add_up_both_ways(weights: dict[str, float]) -> None:
    fusion = make(**weights)
    served = fusion.score(EVERYONE)
    for user in range(GRAPH.num_users):
        made = fusion.contributions(user, EVERY_ITEM)
        for total in (made.score, made.by_item.sum(1) + made.rest, made.by_relation.sum(1)):
            torch.testing.assert_close(total, served[user], atol=1e-5, rtol=1e-4)
        assert made.exact
        assert not made.relations_exact  # the closed form's are estimates
        assert len(set(made.relation_names)) == len(made.relation_names)


def test_shares_of_a_fusion_are_the_scaled_shares_of_its_parts() -> None:
    fusion = make()
    user = 2
    wanted = 0.0
    for name, weight in fusion.part_weights.items():
        part = fusion.parts[name]
        deviation = part.score(torch.tensor([user])).std(correction=0)
        wanted = wanted + part.contributions(user, EVERY_ITEM).by_item * weight / deviation
    torch.testing.assert_close(
        fusion.contributions(user, EVERY_ITEM).by_item, wanted, atol=1e-5, rtol=1e-4
    )


def test_parts_of_weight_zero_are_not_asked() -> None:
    class Broken(Scorer):
        history = HISTORY

        def score(self, users: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    parts = {"popularity": Popularity(HISTORY), "network": Broken()}
    fusion = Fusion(parts, {"popularity": 1.0, "network": 0.0})
    assert fusion.score(EVERYONE).isfinite().all()
    assert fusion.contributions(0, EVERY_ITEM).score.isfinite().all()


def test_state_is_bit_identical() -> None:
    fusion = make(popularity=0.0)
    tensors, values = fusion.state()
    again = Fusion.from_state({name: t.clone() for name, t in tensors.items()}, values)
    assert again.part_weights == fusion.part_weights
    assert {n: type(p) for n, p in again.parts.items()} == {
        n: type(p) for n, p in fusion.parts.items()
    }
    assert torch.equal(again.score(EVERYONE), fusion.score(EVERYONE))
    assert torch.equal(
        again.contributions(1, EVERY_ITEM).by_relation,
        fusion.contributions(1, EVERY_ITEM).by_relation,
    )


def test_history_is_that_of_the_parts() -> None:
    assert make().history.columns.tolist() == HISTORY.columns.tolist()


def test_what_does_not_fit_together_is_refused() -> None:
    fusion = make()
    with pytest.raises(ShapeError, match="each with a weight"):
        Fusion(fusion.parts, {"network": 1.0})
    with pytest.raises(ShapeError, match="a fusion needs parts"):
        Fusion({}, {})
    smaller = Popularity(Incidence.from_pairs(EVERYONE[:0], EVERYONE[:0], 3, 4))
    with pytest.raises(ShapeError, match="over the same users and items"):
        Fusion({"one": smaller, "two": fusion}, {"one": 1.0, "two": 1.0})


def test_scorer_kinds_by_name() -> None:
    assert scorer_kind("EmbeddingScorer") is EmbeddingScorer
    with pytest.raises(RunError, match="kind 'Oracle', expected one of"):
        scorer_kind("Oracle")
