"""How a graph calls users, items and what kgrec writes into it.

One set of statements serves kgrec's own graph and graphs that others made: they have placeholders
(`{{user}}`, `{{user_key}}` …), and a `Naming` fills them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgrec.config import Config, StoreConfig
from kgrec.config.adopt import KeyType
from kgrec.errors import ConfigError, SchemaError
from kgrec.schema import INTERACTION_TYPES, NodeLabel, Split, quoted

#: Begins every name that kgrec writes into a graph that others made.
MARK = "kgrec_"

_INTEGER_BOUND = 2**63


@dataclass(frozen=True)
class Naming:
    """Names of one graph, checked when it is made.

    Attributes:
        user: Label of the users.
        user_key: Property that tells a user from others; kgrec's external id.
        item: Label of the items.
        item_key: Property that tells an item from others.
        item_title: Property that shows an item to people; None if there is none.
        interacted: Types of the relationships between user and item, in either direction, which
            say that the user knows the item.
        user_key_type: Type of `user_key` in the graph.
        item_key_type: Type of `item_key` in the graph.
        recommended: Type of the recommendations that kgrec writes.
        similar: Type of the item-to-item edges that kgrec writes.
        vector_a: Property of vectors, in one of two places that take turns.
        vector_b: The other place.
        foreign: Whether others made the graph: then kgrec writes marked names only.

    Raises:
        SchemaError: If a name cannot be written into a statement.
        ConfigError: If two names that must differ are one, or kgrec would write a name that is not
            marked into a graph that others made.
    """

    user: str = "User"
    user_key: str = "id"
    item: str = "Item"
    item_key: str = "id"
    item_title: str | None = "title"
    interacted: tuple[str, ...] = (INTERACTION_TYPES[Split.TRAIN],)
    user_key_type: KeyType = "string"
    item_key_type: KeyType = "string"
    recommended: str = "RECOMMENDED"
    similar: str = "SIMILAR"
    vector_a: str = "vector_a"
    vector_b: str = "vector_b"
    foreign: bool = False

    def __post_init__(self) -> None:
        title_names = () if self.item_title is None else (self.item_title,)
        own_names = (self.user, self.user_key, self.item, self.item_key)
        for name in (*own_names, *title_names, *self.interacted, *self.written_names):
            quoted(name)
        if not self.interacted:
            raise ConfigError("a naming needs a type of interactions; give interacted")
        if self.user == self.item:
            raise ConfigError(
                f"users and items have one label, {self.user!r}; expected two; give the users or "
                f"the items a label of their own"
            )
        if self.vector_a == self.vector_b:
            raise ConfigError(f"vector_a and vector_b are both {self.vector_a!r}; expected two")
        unmarked = [name for name in self.written_names if not name.lower().startswith(MARK)]
        if self.foreign and unmarked:
            raise ConfigError(
                f"kgrec writes only names that begin with {MARK!r} into a graph that others made, "
                f"got {unmarked[0]!r}"
            )

    @classmethod
    def adopted(
        cls,
        *,
        user: str,
        user_key: str,
        item: str,
        item_key: str,
        item_title: str | None,
        interacted: Sequence[str],
        user_key_type: KeyType = "string",
        item_key_type: KeyType = "string",
    ) -> "Naming":
        """Gives the names of a graph that others made: theirs, and marked ones for what is written.

        Raises:
            SchemaError: If a name cannot be written into a statement.
            ConfigError: If users and items have one label, or there is no type of interactions.
        """
        return cls(
            user, user_key, item, item_key, item_title, tuple(interacted), user_key_type,
            item_key_type, recommended="KGREC_RECOMMENDED", similar="KGREC_SIMILAR",
            vector_a="kgrec_vector_a", vector_b="kgrec_vector_b", foreign=True,
        )  # fmt: skip

    @property
    def written_names(self) -> tuple[str, ...]:
        """The names of all that kgrec writes into the graph's own nodes and between them."""
        return (self.recommended, self.similar, self.vector_a, self.vector_b)

    def placeholders(self) -> Mapping[str, str]:
        """Gives the names in back-ticks by placeholder, for `Statement.fill(names=…)`.

        `interacted` is all types, joined by `|`; `item_title` is the key where there is no title.
        """
        placeholders = ("user", "user_key", "item", "item_key", "recommended", "similar",
                        "vector_a", "vector_b")  # fmt: skip
        return {
            **{placeholder: quoted(getattr(self, placeholder)) for placeholder in placeholders},
            "item_title": quoted(self.item_title or self.item_key),
            "interacted": "|".join(map(quoted, self.interacted)),
        }

    def label_and_key(self, label: NodeLabel) -> tuple[str, str]:
        """Gives what the graph calls users or items, and the property that tells them apart."""
        return (self.user, self.user_key) if label is NodeLabel.USER else (self.item, self.item_key)

    def values(self, label: NodeLabel, ids: Sequence[str]) -> list[str | int]:
        """Gives external ids of users or items as values of their key.

        Raises:
            SchemaError: If the key is an integer and an id is none.
        """
        users = label is NodeLabel.USER
        if (self.user_key_type if users else self.item_key_type) == "string":
            return list(ids)
        return [_integer(key, self.label_and_key(label)[0]) for key in ids]


#: The names of kgrec's own graph.
OWN = Naming()


def graph_of_users(config: Config) -> tuple[StoreConfig, Naming]:
    """Gives where the settings' users live, with its names: the adopted graph, or kgrec's own.

    Raises:
        ConfigError: If the settings' names make no naming.
    """
    adopt = config.adopt
    if adopt is None:
        return config.store, OWN
    naming = Naming.adopted(
        user=adopt.user.label,
        user_key=adopt.user.key,
        item=adopt.item.label,
        item_key=adopt.item.key,
        item_title=adopt.item.title,
        interacted=[interaction.type for interaction in adopt.interactions],
        user_key_type=adopt.user.key_type,
        item_key_type=adopt.item.key_type,
    )
    return StoreConfig(uri=adopt.uri, database=adopt.database), naming


def _integer(key: str, label: str) -> int:
    digits = key.removeprefix("-")
    # What the graph's integer was written as, and no other spelling of it.
    is_integer = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    if not is_integer or key == "-0" or not -_INTEGER_BOUND <= int(key[:20]) < _INTEGER_BOUND:
        raise SchemaError(
            f"{label} {key!r} is no integer, but its key is said to be one; expected the key_type "
            f'of [adopt] to be what the graph has; set it to "string"'
        )
    return int(key)
