"""Paths and counterfactuals in plain words, from a table a language.

A relation is told in one of three ways: by itself ("Heat is directed by Michael Mann"), with a tail
that two share ("Heat and Ali are both directed by Michael Mann") and with a head that two share
("user u7 took both Heat and Ali"). A language says it for phrases that read on into a name
(`leading`), for nouns (`noun`) and for what users do (`deed`); `words` has a phrase in other words
than its own, and says which of the three it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgrec.errors import ConfigError
from kgrec.explanation.pair import PathNode, PathStep
from kgrec.schema import NodeLabel
from kgrec.text.templates import leads_on, relation_phrase


@dataclass(frozen=True)
class Templates:
    """Three templates of `head`, `tail`, `a`, `b` and `word`.

    Attributes:
        single: The fact by itself.
        shared_tail: Two facts that meet in their tail.
        shared_head: Two facts that meet in their head.
    """

    single: str
    shared_tail: str
    shared_head: str


@dataclass(frozen=True)
class Language:
    """What a language needs to tell explanations.

    Attributes:
        kinds: "leading", "noun" and "deed".
        words: By a relation's phrase: how it is told and in which word.
        you: The user who is told.
        user: Another user, by `name`.
        item: An item, by `name`.
        entity: Anything else, by `name`.
        join: Between two sentences.
        end: After the last one.
        without: A counterfactual of `what` and `rank`.
        several: Own items by `count` and what they share, `node`.
        single: One own item, `name`.
    """

    kinds: Mapping[str, Templates]
    words: Mapping[str, tuple[str, str]]
    you: str
    user: str
    item: str
    entity: str
    join: str
    end: str
    without: str
    several: str
    single: str


_ENGLISH = Language(
    kinds={
        "leading": Templates(
            "{head} is {word} {tail}", "{a} and {b} are both {word} {tail}",
            "{head} is {word} both {a} and {b}",
        ),
        "noun": Templates(
            "the {word} of {head} is {tail}", "{a} and {b} share the {word} {tail}",
            "{a} and {b} are both a {word} of {head}",
        ),
        "deed": Templates(
            "{head} {word} {tail}", "{a} and {b} both {word} {tail}",
            "{head} {word} both {a} and {b}",
        ),
    },
    words={
        "interacted": ("deed", "took"),
        "view": ("deed", "viewed"),
        "cart": ("deed", "put into the cart"),
        "like": ("deed", "liked"),
        "likes": ("deed", "liked"),
        "dismiss": ("deed", "dismissed"),
        "disliked": ("deed", "disliked"),
        "follows": ("deed", "followed"),
        "friend": ("deed", "befriended"),
        "starring": ("deed", "starred"),
    },
    you="you",
    user="user {name}",
    item="{name}",
    entity="{name}",
    join="; ",
    end="",
    without="without {what} this would rank {rank}",
    several="your {count} items of {node}",
    single="{name}",
)  # fmt: skip

_CHINESE = Language(
    kinds={
        "leading": Templates(
            "{head}的{word}是{tail}", "{a}和{b}的{word}都是{tail}", "{head}的{word}是{a}和{b}"
        ),
        "noun": Templates(
            "{head}的{word}是{tail}", "{a}和{b}的{word}都是{tail}", "{head}的{word}是{a}和{b}"
        ),
        "deed": Templates(
            "{head}{word}{tail}", "{a}和{b}都{word}{tail}", "{head}{word}{a}和{b}"
        ),
    },
    words={
        "interacted": ("deed", "选择过"),
        "view": ("deed", "浏览过"),
        "cart": ("deed", "加购过"),
        "like": ("deed", "喜欢"),
        "likes": ("deed", "喜欢"),
        "dismiss": ("deed", "忽略过"),
        "disliked": ("deed", "不喜欢"),
        "follows": ("deed", "关注"),
        "directed by": ("noun", "导演"),
        "written by": ("noun", "编剧"),
        "produced by": ("noun", "制片人"),
        "starring": ("noun", "主演"),
        "cinematography": ("noun", "摄影师"),
        "genre": ("noun", "类型"),
        "subject": ("noun", "题材"),
        "language": ("noun", "语言"),
        "country": ("noun", "国家"),
        "sequel": ("noun", "续集"),
        "content rating": ("noun", "分级"),
        "production company": ("noun", "出品公司"),
        "award nomination": ("noun", "获提名奖项"),
        "award won": ("noun", "所获奖项"),
        "authored by": ("noun", "作者"),
        "published by": ("noun", "出版社"),
        "brand": ("noun", "品牌"),
        "category": ("noun", "类别"),
    },
    you="你",
    user="用户{name}",
    item="《{name}》",
    entity="{name}",
    join="；",
    end="。",
    without="如果没有{what}，它将排在第{rank}位",
    several="你选择过的{count}个与{node}有关的项目",
    single="《{name}》",
)  # fmt: skip

#: By the code that `--language` takes.
LANGUAGES: Mapping[str, Language] = {"en": _ENGLISH, "zh": _CHINESE}


def language_of(code: str) -> Language:
    """Gives a language's words.

    Raises:
        ConfigError: If there are none.
    """
    if code not in LANGUAGES:
        raise ConfigError(
            f"explanations are not told in {code!r}; expected one of {', '.join(LANGUAGES)}"
        )
    return LANGUAGES[code]


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
