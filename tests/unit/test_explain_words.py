"""Sentences in two languages, counterfactuals by scoring again, and metrics by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_explain_pair import GRAPH, HISTORY, Toy, fusion, network

from kgrec.errors import ConfigError
from kgrec.explanation.counterfactual import rank_of
from kgrec.explanation.explainer import Explainer
from kgrec.explanation.pair import PathNode, PathShare, PathStep
from kgrec.explanation.quality import (
    decayed,
    judge_explanations,
    path_metrics,
    rank_correlation,
    sample_pairs,
)
from kgrec.explanation.sentences import path_text, without_text
from kgrec.model.closed_form import ClosedForm
from kgrec.model.incidence import Incidence
from kgrec.training.relation_rows import relation_rows

YOU = PathNode("User", "u1", "u1")
OTHER = PathNode("User", "u7", "u7")
HEAT, ALI = PathNode("Item", "heat", "Heat"), PathNode("Item", "ali", "Ali")
MANN = PathNode("Entity", "mann", "Michael Mann")
TOOK = PathStep("INTERACTED", forward=True)


def step(kind: str, forward: bool = True) -> PathStep:
    return PathStep(kind, forward)


@pytest.mark.parametrize(
    ("nodes", "steps", "english", "chinese"),
    [
        (
            [YOU, HEAT, MANN, ALI],
            [TOOK, step("DIRECTED_BY"), step("DIRECTED_BY", False)],
            "you took Heat; Heat and Ali are both directed by Michael Mann",
            "你选择过《Heat》；《Heat》和《Ali》的导演都是Michael Mann。",
        ),
        (
            [YOU, HEAT, OTHER, ALI],
            [TOOK, step("INTERACTED", False), step("INTERACTED")],
            "you took Heat; user u7 took both Heat and Ali",
            "你选择过《Heat》；用户u7选择过《Heat》和《Ali》。",
        ),
        (
            [YOU, HEAT, ALI],
            [TOOK, step("SEQUEL", False)],
            "you took Heat; the sequel of Ali is Heat",
            "你选择过《Heat》；《Ali》的续集是《Heat》。",
        ),
        (
            [YOU, HEAT, MANN, ALI],
            [TOOK, step("DIRECTED_BY"), step("WRITTEN_BY", False)],
            "you took Heat; Heat is directed by Michael Mann; Ali is written by Michael Mann",
            "你选择过《Heat》；《Heat》的导演是Michael Mann；《Ali》的编剧是Michael Mann。",
        ),
        (
            [YOU, MANN, ALI],
            [step("LIKES"), step("SOME_NEW_KIND", False)],
            "you liked Michael Mann; the some new kind of Ali is Michael Mann",
            "你喜欢Michael Mann；《Ali》的some new kind是Michael Mann。",
        ),
    ],
)
def test_paths_are_told(nodes, steps, english: str, chinese: str) -> None:
    assert path_text(nodes, steps, "en") == english
    assert path_text(nodes, steps, "zh") == chinese


def test_counterfactuals_are_told() -> None:
    assert without_text([HEAT, ALI], MANN, 41, "en") == (
        "without your 2 items of Michael Mann this would rank 41st"
    )
    assert without_text([HEAT], None, 12, "en") == "without Heat this would rank 12th"
    assert without_text([HEAT], None, 3, "zh") == "如果没有《Heat》，它将排在第3位。"
    with pytest.raises(ConfigError, match="not told in 'xx'; expected one of en, zh"):
        without_text([HEAT], None, 3, "xx")


def test_a_closed_form_without_an_item_is_the_closed_form_of_the_shorter_history() -> None:
    closed = ClosedForm.fit(HISTORY, relation_rows(GRAPH), {"genre": 1.0}, 2.0)
    own = HISTORY.row(3)
    left = own[2:]
    shorter = closed.over(Incidence(torch.tensor([0, len(left)]), left, GRAPH.num_items))
    torch.testing.assert_close(closed.without(3, own[:2]), shorter.score(torch.tensor([0]))[0])


def test_a_network_without_an_item_loses_its_share_of_every_score() -> None:
    scorer = network(0)
    made = scorer.contributions(3, torch.arange(GRAPH.num_items))
    got = scorer.without(3, made.own_items[:2])
    wanted = made.score - made.by_item[:, :2].sum(dim=1)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_a_fusion_is_standardised_anew() -> None:
    scorer = fusion()
    nothing = torch.empty(0, dtype=torch.int64)
    torch.testing.assert_close(scorer.without(4, nothing), scorer.score(torch.tensor([4]))[0])
    gone = HISTORY.row(4)[:1]
    parts = {name: part.without(4, gone) for name, part in scorer.parts.items()}
    total = torch.zeros(GRAPH.num_items)
    for name, weight in scorer.part_weights.items():
        scores = parts[name]
        scale = scorer.part_scales.get(name, float(scores.std(correction=0)))
        total += weight * (scores - scores.mean()) / scale
    torch.testing.assert_close(scorer.without(4, gone), total, atol=1e-5, rtol=1e-4)


def test_ranks_are_among_what_the_user_has_not_met() -> None:
    scores = torch.tensor([5.0, 4.0, 3.0, 3.0, 1.0])
    assert rank_of(scores, 2, torch.tensor([0])) == 3  # behind 1 and its equal
    assert rank_of(scores, 1, torch.tensor([0])) == 1


def test_counterfactuals_take_away_groups_of_own_items() -> None:
    scorer = fusion()
    user, item = 6, int(scorer.score(torch.tensor([6]))[0].argmax())
    found = Explainer(Toy(scorer)).pair(f"u{user}", f"i{item}", 0, num_counterfactuals=6)
    assert found.counterfactuals
    for each in found.counterfactuals:
        gone = torch.tensor([int(node.id[1:]) for node in each.items])
        assert set(gone.tolist()) <= set(HISTORY.row(user).tolist())
        after = scorer.without(user, gone)
        assert each.score == pytest.approx(float(after[item]))
        assert each.rank == rank_of(after, item, HISTORY.row(user))
        if each.shared is not None:
            assert len(each.items) > 1


def path(first: PathNode, shared: PathNode, *kinds: str) -> PathShare:
    nodes = (YOU, first, shared, ALI)
    return PathShare(nodes, tuple(step(kind) for kind in kinds), 0.1, 0.1, "")


def test_path_metrics_by_hand() -> None:
    a = path(HEAT, MANN, "INTERACTED", "DIRECTED_BY", "DIRECTED_BY")
    b = path(HEAT, OTHER, "INTERACTED", "INTERACTED", "INTERACTED")
    c = replace(a, share=0.05)
    found = path_metrics(
        [[a, b, c]],
        lambda path: 0.25 if path.nodes[-2] == MANN else None,
        lambda path: 0.5 if path.nodes[-2] == OTHER else None,
    )
    assert found["linked_interaction_recency"] == 0.5
    assert found["shared_entity_popularity"] == 0.25
    assert found["linked_interaction_diversity"] == pytest.approx(1 / 3)
    assert found["shared_entity_diversity"] == pytest.approx(2 / 3)
    assert found["path_type_diversity"] == 1.0  # two types, and there are no more
    assert found["path_type_concentration"] == pytest.approx(1 - 2 / 6)
    assert found["path_pattern_diversity"] == 1.0


def test_averages_are_as_hopwise_has_them() -> None:
    # Span 3, so α = 1/2: 1; (1 + 1/2) / 1.5 = (2 + .5) / 1.5; (4 + 1 + .25) / 1.75.
    e = np.array([1.0, (2 + 0.5) / 1.5, (4 + 1 + 0.25) / 1.75])
    np.testing.assert_allclose(decayed(np.array([1.0, 2.0, 4.0])), (e - e[0]) / (e[2] - e[0]))
    assert decayed(np.array([7.0, 7.0])).tolist() == [0.0, 1.0]
    assert decayed(np.array([7.0])).tolist() == [0.0]


def test_rank_correlation_shares_the_ranks_of_equals() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 1, 2], [5, 6, 7]) == pytest.approx(0.8660254)
    assert np.isnan(rank_correlation([1, 2], [1, 2]))


def test_explanations_are_judged_by_the_model() -> None:
    scorer = fusion()
    explainer = Explainer(Toy(scorer))
    pairs = sample_pairs(scorer, 8, seed=0)
    assert len(pairs) == 8
    for user, item in pairs:
        assert item not in HISTORY.row(user).tolist()
    times = {
        (user, item): float(place)
        for user in range(GRAPH.num_users)
        for place, item in enumerate(HISTORY.row(user).tolist())
    }
    every = judge_explanations(explainer, pairs, num_own=100, times=times).values
    assert every["fidelity_deletion"] == pytest.approx(1.0, abs=1e-5)
    assert every["fidelity_insertion"] == pytest.approx(1.0, abs=1e-5)
    none = judge_explanations(explainer, pairs, num_own=0).values
    assert none["fidelity_deletion"] == pytest.approx(0.0, abs=1e-5)
    assert none["fidelity_insertion"] == pytest.approx(0.0, abs=1e-5)
    assert "linked_interaction_recency" not in none
    assert 0 <= every["linked_interaction_recency"] <= 1
    assert every["paths_complete"] == 1.0
