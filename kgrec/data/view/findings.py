"""What deriving a graph leaves out, mends or notes, in words: all of it goes to the report."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from kgrec.data.cleaning.cells import Effect
from kgrec.data.cleaning.report import current_report

#: Source of what is found about events.
SOURCE = "interactions"

#: By effect and rule, what is said after the count; words in braces are those of `note`.
RULES: Mapping[Effect, Mapping[str, str]] = {
    "dropped": {
        "unknown behaviour": "events are of behaviours that the settings do not name",
        "held out by its source":
            "rows that are no targets are in a source of valid or test and were left out",
        "dropped relation": "rows are of relations that data.relations drops",
        "unknown end": "edges name an unknown {label} and were left out",
        "repeated event": "events came more than once, equal in everything; one of each counts",
        "deleted": "events were taken back by deletions",
        "bot":
            "users had more than {most:,} events on one day, were taken for bots and left out",
        "events of bots": "events were of users left out so",
        "events beyond the latest": "events were older than their user's latest {most:,}",
        "disliked later": "targets were disliked later by another behaviour and are no targets",
        "liked after all":
            "dislikes were of pairs that are a target by another behaviour, not disliked later",
        "unknown id": "ids that no node has were said to be the same as others and were left out",
        "k-core": "targets were outside {cores}",
        "{end}s outside the k-core": "{end}s were outside {cores}",
        "{name} outside the k-core":
            "edges {name!r} were of users or items outside the k-core",
        "{name} leaks":
            "edges {name!r} were left out: they would tell the held-out interactions",
        "unknown item": "links of unknown items were left out",
        "unused entity": "of {number:,} entities occur in no fact and were left out",
        "older row": "rows {how} and were left out",
        "empty column": "columns are empty and were left out",
        "fan-out":
            "edges are of {hubs:,} entities with more than {most:,} of one relation and were left "
            "out",
        "repeated":
            "of {number:,} {noun} repeat another one (after relations were merged) and were left "
            "out",
        "self loop": "{noun} join a node to itself and were left out",
        "about nothing known":
            "of {number:,} triples are connected to no item and were left out",
        "taken back": "rows were taken back by later ones",
        "after the cut":
            "rows are of the moment at which valid begins, or later, and were left out",
        "{twin} not fitted":
            "property, {twin}, was left out: none of the {whom} has a {name}",
        "held out": "texts speak of held-out interactions and left",
        "unknown {end}": "texts name an unknown {end}, which was left out",
        "no end": "texts have no known user or item and left",
    },
    "mended": {
        "spelling":
            "attribute values are spelt unlike most of their kind and were joined with them",
        "{name} again":
            "events {name!r} were folded into others of their user and item ({policy})",
        "{column} lists": "cells of {column!r} are lists and were taken apart",
        "renamed column": "columns are kept under another name",
    },
    "noted": {
        "no interactions":
            "{noun} have no interactions: 0 of {number:,} {noun} have interactions, as the ids of "
            "the two do not meet; compare them, or say columns.id",
        "also items":
            "ids of entities are also ids of items, and facts about them are about these items; "
            "prefix keeps them apart",
        "unlinked items":
            "ends of triples are in no link, but are ids of items, and are taken for these items; "
            "prefix keeps them apart",
        "{relation} of two kinds":
            "of {number:,} tails of {relation!r} are ids of items, the others of entities; prefix "
            "keeps apart what is numbered alike",
        "{name} disliked": "pairs {name!r} are rated below {least:g}, and so known dislikes",
        "{name} unrated":
            "pairs {name!r} have no rating to hold against {least:g}, and count as liked",
        "deletion of nothing": "pairs were to be taken back, but had no event up to then",
        "not accepted": "pairs are not accepted and change nothing",
        "{name} not taken over":
            "{label} nodes lack {name!r} and did not take it from the node that is the same, where "
            "it is of another type",
        "{split}": "targets are in {split}",
        "conflicting {name}":
            "values of {name!r} differ from those of an earlier source, which count",
        "{column} as text":
            "cells of {column!r} look like lists and are kept as one text; to make entities of "
            "their values give the column as = \"attribute\" and its split, or item_lists",
        "not in a table": "of {number:,} items with interactions are in no table of items",
        "merged": "nodes gave their edges to the one they are",
        "{twin}": "{whom} {verb} {twin}: {scale}",
        "no session": "events have no time and belong to no session",
        "session":
            "sessions were found, with more than {gap:g} minutes of silence between two of a user",
    },
}  # fmt: skip

_EFFECTS = {rule: effect for effect, texts in RULES.items() for rule in texts}


def note(
    source: str,
    rule: str,
    count: int | npt.ArrayLike,
    examples: Iterable[str] = (),
    **words: object,
) -> None:
    """Counts what a rule did in the report that is being made.

    Args:
        source: The source's name.
        rule: One of RULES.
        count: How many rows, edges or nodes; or a mask of them.
        examples: Places or values; only the first few are looked at.
        words: What the rule and its text have in braces.
    """
    effect = _EFFECTS[rule]
    text = RULES[effect][rule].format(**words)
    current_report().add(source, rule.format(**words), effect, int(np.sum(count)), text, examples)
