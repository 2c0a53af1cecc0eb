"""What `kgrec inspect` does: from what a graph of others looks like to what its names may mean."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kgrec.adopt import words
from kgrec.adopt.facts import SAMPLE, GraphFacts, read_facts
from kgrec.adopt.proposal import Choice, EntityChoice, InteractionChoice, Proposal, Role, to_toml
from kgrec.adopt.readings import (
    Candidate,
    item_columns,
    key_choice,
    key_type,
    numbers,
    one_per_type,
    readings,
    roles,
    time_unit,
    title_choice,
)
from kgrec.config.adopt import AdoptedInteraction
from kgrec.errors import DataError, SchemaError
from kgrec.schema import relation_type
from kgrec.store.base import GraphStore

#: Below, or so near to the next choice, a choice is unsure.
SURE = 0.5
MARGIN = 0.1


def propose(facts: GraphFacts) -> Proposal:
    """Proposes what the names of a graph mean.

    Args:
        facts: What the graph looks like.

    Raises:
        DataError: If no type connects two labels, or users or items have no property at all.
    """
    candidates = sorted(
        (candidate for kind in facts.types for candidate in readings(kind, facts)),
        key=lambda c: (-c.points, -c.kind.edges, c.kind.name, c.direction),
    )
    if not candidates:
        raise DataError(
            f"no relationship type of {facts.uri} connects nodes of two labels; expected one "
            f"between users and items, such as (:Customer)-[:BOUGHT]->(:Product); give the users "
            f"a label of their own"
        )
    best = candidates[0]
    users, items = facts.label(best.user), facts.label(best.item)
    interaction_candidates = one_per_type(
        [c for c in candidates if (c.user, c.item) == (best.user, best.item)]
    )
    interaction_types = {candidate.kind.name for candidate in interaction_candidates}
    entities, relations, left_out = _other_choices(facts, best, interaction_types)
    user_key, item_key = key_choice(users), key_choice(items)
    title = title_choice(items)
    used_names = {item_key.name, *([] if title is None else [title.name])}
    text, attributes, properties = item_columns(items, used_names)
    types = _distinct(relations)
    doubled = {name for name in attributes if _type_of(name) in map(_type_of, relations)}
    left_out += tuple(
        f"{items.name}.{name}: a relationship type of the name {_type_of(name)} is there"
        for name in sorted(doubled)
    )
    return Proposal(
        user=_label_choice(best, candidates, "user"),
        user_key=user_key,
        item=_label_choice(best, candidates, "item"),
        item_key=item_key,
        item_title=title,
        interactions=_with_names(
            [
                _interaction(candidate, candidates, candidate == best)
                for candidate in interaction_candidates
            ]
        ),
        entities=entities,
        relations=relations,
        left_out=(*left_out, *facts.notes),
        renames={name: types[name] for name in relations if types[name] != name},
        user_properties=numbers(users, {user_key.name}),
        item_properties=properties,
        item_text=text,
        item_attributes=tuple(name for name in attributes if name not in doubled),
        key_types=(key_type(users, user_key), key_type(items, item_key)),
    )


def _type_of(name: str) -> str:
    """The type that a relation of the name becomes; the name where kgrec makes none of it."""
    try:
        return relation_type(name)
    except SchemaError:
        return name


def _distinct(relations: Sequence[str]) -> dict[str, str]:
    """Gives what relations are called: those that become one type, `has_tag` and `HAS_TAG`, so."""
    counts = Counter(map(_type_of, relations))
    return {name: _type_of(name) if counts[_type_of(name)] > 1 else name for name in relations}


def _with_names(choices: Sequence[InteractionChoice]) -> tuple[InteractionChoice, ...]:
    """Names behaviours of types that differ in case or signs only, `RATED` and `rated`."""
    counts = Counter[str]()
    named_choices = []
    for choice in choices:
        behaviour = AdoptedInteraction(type=choice.type.name).behaviour()
        counts[behaviour] += 1
        name = f"{behaviour}_{counts[behaviour]}" if counts[behaviour] > 1 else None
        named_choices.append(replace(choice, name=name))
    return tuple(named_choices)


def _interaction(
    candidate: Candidate, candidates: Sequence[Candidate], target: bool
) -> InteractionChoice:
    properties = roles(candidate.kind.properties)
    role: Role = "target"
    if not target:
        negative = words.says(candidate.kind.name, words.NEGATIVE_TYPES)
        role = "negative" if negative else "evidence"
    return InteractionChoice(
        type=_type_choice(candidate, candidates) if target else Choice(
            candidate.kind.name, candidate.score, candidate.reasons
        ),
        direction=candidate.direction,
        role=role,
        time_unit=time_unit(properties.get("time")),
        **{name: prop.name for name, prop in properties.items()},
    )  # fmt: skip


def _type_choice(best: Candidate, candidates: Sequence[Candidate]) -> Choice:
    rivals = [c for c in one_per_type(candidates) if c.kind != best.kind][:3]
    unsure = ""
    elsewhere = [c for c in candidates if (c.user, c.item) != (best.user, best.item)]
    if best.score < SURE:
        unsure = f"little says that {best.pattern()} are the interactions"
    elif elsewhere and best.score - elsewhere[0].score < MARGIN:
        unsure = f"{elsewhere[0].pattern()} could as well be the interactions as {best.pattern()}"
    if unsure and rivals:
        unsure += f"; others are {', '.join(f'{c.pattern()} ({c.score})' for c in rivals)}"
    alternatives = tuple((c.pattern(), c.score) for c in rivals)
    return Choice(best.kind.name, best.score, best.reasons, alternatives, unsure)


def _label_choice(best: Candidate, candidates: Sequence[Candidate], end: str) -> Choice:
    name = getattr(best, end)
    scores: dict[str, float] = {}
    for candidate in candidates:
        scores.setdefault(getattr(candidate, end), candidate.score)
    why = "begins" if (end == "user") == (best.direction == "out") else "ends"
    alternatives = tuple((label, score) for label, score in scores.items() if label != name)[:3]
    return Choice(name, best.score, (f"{best.kind.name} {why} at it",), alternatives)


def _other_choices(
    facts: GraphFacts, best: Candidate, interaction_types: set[str]
) -> tuple[tuple[EntityChoice, ...], tuple[str, ...], tuple[str, ...]]:
    """Gives the entities, the types that are relations between them and items, and what is not."""
    entities: dict[str, EntityChoice] = {}
    relations, left_out = [], []
    for kind in facts.types:
        if kind.name in interaction_types:
            continue
        ends = [facts.main_label(counts, kind.edges) for counts in (kind.heads, kind.tails)]
        if ends == [best.user, best.user]:
            relations.append(kind.name)
            continue
        if best.user in ends:
            left_out.append(
                f"{kind.name}: of {best.user}, only interactions and what joins two are taken"
            )
            continue
        # A type may end at several labels: each of them is an entity of its own.
        labels = {*kind.heads, *kind.tails} if None in ends else {end for end in ends if end}
        labels -= {best.item, best.user}
        for name in sorted(labels - entities.keys()):
            label = facts.label(name)
            try:
                key = key_choice(label)
            except DataError as exc:
                left_out.append(f"{name}: {exc}")
                continue
            entities[name] = EntityChoice(name, key, numbers(label, {key.name}))
        relations.append(kind.name)
    unread = {label.name for label in facts.labels} - {best.user, best.item, *entities}
    left_out += [f"{name}: no relation reaches it" for name in sorted(unread)]
    narrow_first = sorted(entities.values(), key=lambda e: (facts.label(e.label).nodes, e.label))
    return tuple(narrow_first), tuple(relations), tuple(left_out)


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
