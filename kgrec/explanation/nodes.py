"""Nodes by label, id and name, where the network numbers them all in one sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kgrec.schema import NodeLabel
from kgrec.vocabulary import Vocabulary


@dataclass(frozen=True)
class PathNode:
    """A node as people know it.

    Attributes:
        label: "User", "Item" or "Entity".
        id: Its external id.
        name: What to call it.
    """

    label: str
    id: str
    name: str

    def to_dict(self) -> dict[str, Any]:
        """The node as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class PathStep:
    """One edge of a path.

    Attributes:
        type: Relationship type.
        forward: Whether the path runs along the stated direction.
    """

    type: str
    forward: bool


class NodeSpace:
    """The numbering of a network: users, then items, then entities.

    Args:
        vocabularies: External ids.
        names: What to call each node, in index order.
    """

    def __init__(
        self,
        vocabularies: Mapping[NodeLabel, Vocabulary],
        names: Mapping[NodeLabel, Sequence[str]],
    ) -> None:
        self._vocabularies, self._names = vocabularies, names
        self._starts: list[tuple[int, NodeLabel]] = []
        start = 0
        for label in NodeLabel:
            self._starts.append((start, label))
            start += len(vocabularies[label])
        self.size = start

    def label(self, number: int) -> NodeLabel:
        """The label of the node with a number."""
        return next(label for start, label in reversed(self._starts) if number >= start)

    def node(self, number: int) -> PathNode:
        """The node with a number."""
        start, label = next(x for x in reversed(self._starts) if number >= x[0])
        index = number - start
        name = self._names[label][index]
        return PathNode(str(label), self._vocabularies[label].ids[index], name)

    def number(self, label: NodeLabel, node_id: str) -> int:
        """The number of a node; raises VocabularyError if the id is unknown."""
        return self.number_of(label, self._vocabularies[label].index(node_id))

    def number_of(self, label: NodeLabel, index: int) -> int:
        """The number of the node with an index within its label."""
        return next(start for start, node_label in self._starts if node_label is label) + index

    def ids(self, label: NodeLabel) -> tuple[str, ...]:
        """The ids of a label, in index order."""
        return self._vocabularies[label].ids

    def ranges(self) -> list[tuple[int, int]]:
        """Where the numbers of each label begin and end."""
        starts = [start for start, _ in self._starts]
        return list(zip(starts, [*starts[1:], self.size], strict=True))
