"""What the numbers of an audit mean, in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kgrec.auditing.likeness import Likeness
from kgrec.auditing.names import EQUALS
from kgrec.auditing.trials import ALL_USERS
from kgrec.evaluation.bootstrap import Interval

#: Edges below which nobody can tell a graph from its permutation.
_FEWEST_EDGES = 100
#: Relations below which the alarm does not go by how many of them are doubtful.
_FEWEST_RELATIONS = 2


@dataclass(frozen=True)
class Verdict:
    """What to think of a graph.

    Attributes:
        alarm: Whether the graph is no better than its own edges shuffled.
        sentences: The verdict in words, most important first.
    """

    alarm: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """The numbers that a verdict is made of.

    Attributes:
        edges: Number of edges by relation; relations with the same links are one, `a = b`.
        without_graph: By cohort of users, NDCG@20 with the graph minus that without.
        over_permuted: By cohort, NDCG@20 with the graph minus that with its edges shuffled.
        worth: By relation, NDCG@20 with the graph minus that without the relation; the relations
            that were left out in turn.
        unused: Relations that the model gives no weight.
        likeness: By relation, how alike the items are that it brings together.
    """

    edges: Mapping[str, int]
    without_graph: Mapping[str, Interval]
    over_permuted: Mapping[str, Interval]
    worth: Mapping[str, Interval]
    unused: tuple[str, ...] = ()
    likeness: Mapping[str, Likeness] | None = None


def judge(findings: Findings) -> Verdict:
    """Says what the numbers mean; `docs/audit.md` states the rules.

    The alarm sounds if the graph has enough edges to tell, and either the interval of its gain over
    the shuffled graph does not lie above 0, or most of its relations bring together items that are
    no more alike than shuffled ones.
    """
    total = sum(findings.edges.values())
    if not total:
        return Verdict(False, ("There is no knowledge graph to audit.",))
    if total < _FEWEST_EDGES:
        return Verdict(
            False, (f"{total:,} edges are too few to tell the graph from its edges shuffled.",)
        )
    shuffled = findings.over_permuted[ALL_USERS]
    sentences = [*_alarm(findings)]
    alarm = bool(sentences)
    sentences.append(_gain(findings.without_graph[ALL_USERS], "", "no graph"))
    if shuffled.low > 0:
        sentences.append(f"It is {signed(shuffled)} better than its own edges shuffled.")
    sentences += _cohorts(findings.without_graph)
    sentences += _relations(findings)
    sentences += _joined(findings)
    sentences += _links(findings, alarm)
    return Verdict(alarm, tuple(sentences))


def _alarm(findings: Findings) -> list[str]:
    """Gives what the alarm says; nothing if it does not sound."""
    gain, testable = findings.over_permuted[ALL_USERS], _testable(findings)
    doubtful = [name for name, likeness in testable.items() if not likeness.alike]
    most = len(testable) >= _FEWEST_RELATIONS and 2 * len(doubtful) > len(testable)
    if gain.low > 0 and not most:
        return []
    links = (
        f"{len(doubtful)} of {len(testable)} relations bring together items that are no more alike "
        f"than shuffled ones"
    )
    compare = "Compare some linked items with what their entities say about them."
    if gain.low > 0:
        return [f"ALARM: {links}. Are their links right? {compare}"]
    worse = "worse than" if gain.high < 0 else "no better than"
    sentences = [
        f"ALARM: the graph is {worse} the same edges shuffled: {signed(gain)} NDCG@20. Are its "
        f"links right?"
    ]
    if most:
        sentences.append(f"{links}. {compare}")
    elif testable:
        sentences.append(
            f"The links look right, as {len(testable) - len(doubtful)} of {len(testable)} "
            f"relations bring together items that are alike; the interactions may already say "
            f"what they say."
        )
    return sentences


def _gain(interval: Interval, whom: str, baseline: str) -> str:
    to = f" to {whom}" if whom else ""
    if interval.low > 0:
        return f"The graph adds {signed(interval)} NDCG@20{to}, against {baseline}."
    if interval.high < 0:
        return f"The graph hurts: {signed(interval)} NDCG@20{to}, against {baseline}."
    return f"The graph adds nothing that can be told from chance{to}: {signed(interval)} NDCG@20."


def _cohorts(without: Mapping[str, Interval]) -> list[str]:
    """Names the cohorts for whom the graph surely helps or hurts, the largest gain first."""
    sure = {
        name: interval
        for name, interval in without.items()
        if name != ALL_USERS and (interval.low > 0 or interval.high < 0)
    }
    ordered = sorted(sure.items(), key=lambda entry: -entry[1].difference)
    return [_gain(interval, _whom(name), "no graph") for name, interval in ordered]


def _whom(cohort: str) -> str:
    """`users/1-5` as people say it."""
    return f"users with {cohort.removeprefix('users/')} interactions"


def _relations(findings: Findings) -> list[str]:
    """Says which relations carry the gain, which add nothing, and which hurt."""
    gain = findings.without_graph[ALL_USERS]
    carry, nothing = [], []
    sentences = []
    for name, worth in sorted(findings.worth.items(), key=lambda entry: -entry[1].difference):
        if worth.low > 0:
            share = (
                f", {worth.difference / gain.difference:.0%} of the gain" if gain.low > 0 else ""
            )
            carry.append(f"{name} carries {signed(worth)}{share}")
        elif worth.high < 0:
            sentences.append(f"{name} hurts: {signed(worth)} NDCG@20; leave it out.")
        else:
            nothing.append(name)
    if carry:
        sentences.insert(0, _listed(carry).replace("%", " %") + ".")
    if nothing:
        verb = "adds" if len(nothing) == 1 else "add"
        sentences.append(f"{_listed(nothing)} {verb} nothing that the others do not.")
    if findings.unused:
        verb = "gets" if len(findings.unused) == 1 else "get"
        sentences.append(f"{_listed(findings.unused)} {verb} no weight.")
    return sentences


def _joined(findings: Findings) -> list[str]:
    """Says which relations were judged as one."""
    names = [name for name in findings.edges if EQUALS in name]
    if not names:
        return []
    verb = "holds" if len(names) == 1 else "hold"
    return [f"{_listed(names)} {verb} the same links under several names, judged as one."]


def _links(findings: Findings, alarm: bool) -> list[str]:
    """Asks about relations whose items are no more alike than shuffled ones."""
    doubtful = [name for name, likeness in _testable(findings).items() if not likeness.alike]
    if not doubtful:
        return []
    text = (
        f"Items that share {_listed(doubtful, 'or')} are no more alike than if the links were "
        f"shuffled"
    )
    return [f"{text}." if alarm else f"{text}: no matter of taste, or wrong links?"]


def _testable(findings: Findings) -> dict[str, Likeness]:
    likeness = findings.likeness or {}
    return {name: relation for name, relation in likeness.items() if relation.enough}


def best_first(names: Iterable[str], worth: Mapping[str, float]) -> list[str]:
    """Gives relations in the order they are told: those of most worth, then those not left out."""
    return sorted(names, key=lambda name: (name not in worth, -worth.get(name, 0.0), name))


def signed(interval: Interval) -> str:
    """Gives a difference with half the width of its interval, `+0.0120 ± 0.0031`."""
    return f"{interval.difference:+.4f} ± {(interval.high - interval.low) / 2:.4f}"


def _listed(names: list[str] | tuple[str, ...], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
