"""Paths and counterfactuals in plain words."""

from collections.abc import Sequence

from kgrec.explanation.languages import Language, Templates, language_of
from kgrec.explanation.nodes import PathNode, PathStep
from kgrec.schema import NodeLabel
from kgrec.text.templates import leads_on, relation_phrase


def path_text(nodes: Sequence[PathNode], steps: Sequence[PathStep], language: str) -> str:
    """Tells a path: "you took Heat; Heat and Ali are both directed by Michael Mann".

    Two steps of one relation that meet head to head or tail to tail are told together.

    Args:
        nodes: From the user to the item.
        steps: One fewer.
        language: "en" or "zh".

    Raises:
        ConfigError: If the language is unknown.
    """
    words = language_of(language)
    names = [called(node, words, is_user=not place) for place, node in enumerate(nodes)]
    clauses, place = [], 0
    while place < len(steps):
        step = steps[place]
        templates, word = _templates(step.type, words)
        following = steps[place + 1] if place + 1 < len(steps) else None
        a, middle = names[place], names[place + 1]
        meets = following is not None and following.type == step.type and place > 0
        if meets and following is not None and following.forward != step.forward:
            b = names[place + 2]
            template = templates.shared_tail if step.forward else templates.shared_head
            clauses.append(template.format(a=a, b=b, head=middle, tail=middle, word=word))
            place += 2
            continue
        head, tail = (a, middle) if step.forward else (middle, a)
        clauses.append(templates.single.format(head=head, tail=tail, word=word))
        place += 1
    return words.join.join(clauses) + words.end


def called(node: PathNode, words: Language, *, is_user: bool = False) -> str:
    """What a node is called in a sentence."""
    if is_user and node.label == NodeLabel.USER:
        return words.you
    template = {str(NodeLabel.USER): words.user, str(NodeLabel.ITEM): words.item}
    return template.get(node.label, words.entity).format(name=node.name)


def without_text(
    items: Sequence[PathNode], shared: PathNode | None, rank: int, language: str
) -> str:
    """Tells a counterfactual: "without your 3 items of Joel Coen this would rank 41".

    Args:
        items: Own items that are thought away, at least one.
        shared: What they have in common; None for a single item.
        rank: The new rank.
        language: "en" or "zh".
    """
    words = language_of(language)
    if shared is None:
        phrase = words.single.format(name=items[0].name)
    else:
        phrase = words.several.format(count=len(items), node=called(shared, words))
    return words.without.format(what=phrase, rank=_place(rank, language)) + words.end


def _templates(kind: str, words: Language) -> tuple[Templates, str]:
    phrase = relation_phrase(kind)
    if phrase in words.words:
        way, word = words.words[phrase]
        return words.kinds[way], word
    # What has no words of its own is told in those of the data.
    return words.kinds["leading" if leads_on(phrase) else "noun"], phrase


def _place(rank: int, language: str) -> str:
    if language != "en":
        return str(rank)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10 if rank % 100 not in (11, 12, 13) else 0)
    return f"{rank}{ending or 'th'}"
