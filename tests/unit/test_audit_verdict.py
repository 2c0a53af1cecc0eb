"""The words of an audit, for numbers made by hand."""

from kgrec.auditing.likeness import Likeness
from kgrec.auditing.trials import ALL_USERS
from kgrec.auditing.verdict import Findings, judge
from kgrec.evaluation.bootstrap import Interval


def sure(difference: float) -> Interval:
    return Interval(difference, difference - 0.002, difference + 0.002)


CHANCE = Interval(0.0005, -0.001, 0.002)
ALIKE = Likeness(500, 0.02, 0.001, 0.001)
NOT_ALIKE = Likeness(500, 0.0012, 0.001, 0.001)
EDGES = {"author": 900, "rating": 400, "year": 30}


def test_a_graph_that_helps_is_named_with_whom_it_helps_and_what_carries_it() -> None:
    verdict = judge(
        Findings(
            EDGES,
            {ALL_USERS: sure(0.01), "users/1-5": sure(0.02), "users/>20": CHANCE},
            {ALL_USERS: sure(0.011)},
            {"author": sure(0.0094), "rating": CHANCE},
            ("year",),
            {"author": ALIKE, "rating": ALIKE},
        )
    )
    assert not verdict.alarm
    assert verdict.sentences == (
        "The graph adds +0.0100 ± 0.0020 NDCG@20, against no graph.",
        "It is +0.0110 ± 0.0020 better than its own edges shuffled.",
        "The graph adds +0.0200 ± 0.0020 NDCG@20 to users with 1-5 interactions, against no graph.",
        "author carries +0.0094 ± 0.0020, 94 % of the gain.",
        "rating adds nothing that the others do not.",
        "year gets no weight.",
    )


def test_no_better_than_shuffled_sounds_the_alarm_and_asks_for_the_links() -> None:
    likeness = {"author": NOT_ALIKE, "rating": NOT_ALIKE, "year": ALIKE}
    verdict = judge(Findings(EDGES, {ALL_USERS: CHANCE}, {ALL_USERS: CHANCE}, {}, (), likeness))
    assert verdict.alarm
    assert verdict.sentences[0] == (
        "ALARM: the graph is no better than the same edges shuffled: +0.0005 ± 0.0015 NDCG@20. "
        "Are its links right?"
    )
    assert verdict.sentences[1].startswith(
        "2 of 3 relations bring together items that are no more alike than shuffled ones."
    )
    assert verdict.sentences[2] == (
        "The graph adds nothing that can be told from chance: +0.0005 ± 0.0015 NDCG@20."
    )
    assert "author or rating" in verdict.sentences[-1]


def test_right_links_that_add_nothing_are_told_from_wrong_ones() -> None:
    likeness = {"author": ALIKE, "rating": ALIKE}
    verdict = judge(Findings(EDGES, {ALL_USERS: CHANCE}, {ALL_USERS: CHANCE}, {}, (), likeness))
    assert verdict.alarm
    assert verdict.sentences[1].startswith("The links look right, as 2 of 2 relations")


def test_most_links_wrong_sounds_the_alarm_whatever_one_right_relation_gains() -> None:
    likeness = {"author": ALIKE, "rating": NOT_ALIKE, "year": NOT_ALIKE}
    findings = Findings(EDGES, {ALL_USERS: CHANCE}, {ALL_USERS: sure(0.005)}, {}, (), likeness)
    verdict = judge(findings)
    assert verdict.alarm
    assert verdict.sentences[0].startswith(
        "ALARM: 2 of 3 relations bring together items that are no more alike than shuffled ones. "
        "Are their links right?"
    )
    # Half of them is not most; the doubtful one is asked about without an alarm.
    half = {"author": ALIKE, "rating": NOT_ALIKE}
    quiet = judge(Findings(EDGES, {ALL_USERS: sure(0.005)}, {ALL_USERS: sure(0.005)}, {}, (), half))
    assert not quiet.alarm
    assert quiet.sentences[-1] == (
        "Items that share rating are no more alike than if the links were shuffled: no matter of "
        "taste, or wrong links?"
    )


def test_a_graph_that_hurts_and_a_relation_that_hurts() -> None:
    verdict = judge(
        Findings(
            EDGES, {ALL_USERS: sure(-0.01)}, {ALL_USERS: sure(-0.006)}, {"rating": sure(-0.004)}, ()
        )
    )
    assert verdict.alarm
    assert "worse than the same edges shuffled: -0.0060 ± 0.0020" in verdict.sentences[0]
    assert verdict.sentences[1:] == (
        "The graph hurts: -0.0100 ± 0.0020 NDCG@20, against no graph.",
        "rating hurts: -0.0040 ± 0.0020 NDCG@20; leave it out.",
    )


def test_without_edges_or_with_too_few_nothing_is_claimed() -> None:
    assert judge(Findings({}, {}, {}, {})).sentences == ("There is no knowledge graph to audit.",)
    few = judge(Findings({"author": 99}, {ALL_USERS: CHANCE}, {ALL_USERS: CHANCE}, {}))
    assert not few.alarm
    assert few.sentences == ("99 edges are too few to tell the graph from its edges shuffled.",)


def test_relations_with_few_links_are_not_judged_by_likeness() -> None:
    few = Likeness(99, 0.0, 0.001, 0.001)
    likeness = {"author": few, "rating": few, "year": ALIKE}
    verdict = judge(
        Findings(EDGES, {ALL_USERS: sure(0.01)}, {ALL_USERS: sure(0.01)}, {}, (), likeness)
    )
    assert not verdict.alarm
    assert not any("alike" in sentence for sentence in verdict.sentences)


def test_alike_asks_for_more_than_significance() -> None:
    assert Likeness(500, 0.0014, 0.001, 0.0001).alike
    assert not Likeness(500, 0.0011, 0.001, 0.00001).alike  # sure, but a tenth more
    assert not Likeness(500, 0.0020, 0.001, 0.001).alike  # twice as much, but chance
    assert Likeness(500, 0.0020, -0.001, 0.0001).z == 30
