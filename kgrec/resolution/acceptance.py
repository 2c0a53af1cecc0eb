"""Which pairs stand: people's decisions first, then the best, no node twice."""

from collections.abc import Iterable, Mapping, Sequence

#: Label and id.
Node = tuple[str, str]


class Identities:
    """Groups of nodes that are one thing, none of them with two nodes of one source.

    Without that rule a chain of good pairs (a = b, b = c, c = a') would make one thing of two nodes
    of one source.

    Args:
        sources: Source of every node that may be joined.
        one_to_one: Whether the rule holds.
    """

    def __init__(self, sources: Mapping[Node, str], *, one_to_one: bool) -> None:
        self._sources = sources
        self._one_to_one = one_to_one
        self._group_of: dict[Node, int] = {}
        self._members: dict[int, list[Node]] = {}

    def join(self, left: Node, right: Node) -> None:
        """Makes two nodes one thing, whatever the rule says."""
        small, large = sorted(
            (self._group(left), self._group(right)), key=lambda group: len(self._members[group])
        )
        if small == large:
            return
        for node in self._members.pop(small):
            self._group_of[node] = large
            self._members[large].append(node)

    def allow(self, left: Node, right: Node) -> bool:
        """Says whether two nodes may be one thing; nodes of one source may, their others not."""
        a, b = self._group(left), self._group(right)
        if not self._one_to_one or a == b or self._sources[left] == self._sources[right]:
            return True
        return self._sources_of(a).isdisjoint(self._sources_of(b))

    def _group(self, node: Node) -> int:
        if node not in self._group_of:
            self._group_of[node] = len(self._group_of)
            self._members[self._group_of[node]] = [node]
        return self._group_of[node]

    def _sources_of(self, group: int) -> set[str]:
        return {self._sources[node] for node in self._members[group] if node in self._sources}


def choose(
    pairs: Sequence[tuple[Node, Node]], sure: Iterable[bool], identities: Identities
) -> tuple[list[bool], list[bool]]:
    """Accepts pairs one after the other, unless a node is taken by then.

    Args:
        pairs: The best first.
        sure: Per pair, whether it may be accepted without a person.
        identities: What is one thing already; accepted pairs are added.

    Returns:
        Per pair whether it is worth proposing, and whether it is accepted.
    """
    accepted = []
    for (left, right), certain in zip(pairs, sure, strict=True):
        accepted.append(certain and identities.allow(left, right))
        if accepted[-1]:
            identities.join(left, right)
    proposed = [
        is_accepted or identities.allow(left, right)
        for (left, right), is_accepted in zip(pairs, accepted, strict=True)
    ]
    return proposed, accepted
