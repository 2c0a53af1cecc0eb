"""What `kgrec inspect` does: what a graph that others made holds, and what its names may mean."""

from collections.abc import Callable
from dataclasses import dataclass

from kgrec.adopt.facts import SAMPLE, GraphFacts, read_facts
from kgrec.adopt.proposal import Proposal
from kgrec.adopt.propose import propose
from kgrec.adopt.write import to_toml
from kgrec.store.base import GraphStore


@dataclass(frozen=True)
class Inspection:
    """A graph that others made, as kgrec understands it.

    Attributes:
        facts: Its labels and relationship types, with counts and properties.
        proposal: What they mean, with scores and reasons.
        config: The proposal as the text of a settings file, which loads as it stands.
    """

    facts: GraphFacts
    proposal: Proposal
    config: str


def inspect(
    store: GraphStore,
    *,
    database: str = "neo4j",
    sample: int = SAMPLE,
    on_name: Callable[[str], None] | None = None,
) -> Inspection:
    """Looks at the graph of a Neo4j store, and proposes settings; nothing is written.

    Args:
        store: The store, open for reading.
        database: The name of its database, for the settings.
        sample: Nodes or relationships looked at, a label or type.
        on_name: Is told each label and type that was looked at, for progress.

    Raises:
        StoreError: If the graph cannot be read, has no relationships, or is kgrec's own.
        ConfigError: If the names do not make settings: two things would have one label.
    """
    facts = read_facts(store, sample=sample, on_name=on_name)
    proposal = propose(facts)
    return Inspection(facts, proposal, to_toml(proposal, facts.uri, database))
