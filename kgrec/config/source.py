"""Sources of data: what each is read from, and what its columns mean."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from kgrec.addresses import holds_secrets
from kgrec.config.base import Settings, TimeFormat
from kgrec.schema import Split

Kind = Literal[
    "interactions", "items", "users", "entities", "triples", "link", "social", "item_edges",
    "reviews", "queries", "same_as",
]  # fmt: skip

#: Kinds whose rows describe nodes, and so may have properties.
NODE_KINDS = frozenset({"items", "users", "entities"})


class PropertyRule(Settings):
    """What becomes of one column of a table of nodes.

    Attributes:
        kind: `property` (typed by its cells), `number`, `text`, `attribute` (its values become
            entities, joined by a relation) or `drop`; written `as`.
        name: Name of the property; None makes it from the column's.
        relation: Name of an attribute's relation; None is the column's name.
        split: Separator of lists; None is one value a cell.
        bin: Numbers into attribute values: `decade` or `century` of a year, `log2` of a size.
        normalise: A number gets a twin `<name>_scaled`, fitted on the nodes of train only.
        impute: What the twin of a missing number is made from; `none` leaves it missing.
    """

    kind: Literal["property", "number", "text", "attribute", "drop"] = Field("property", alias="as")
    name: str | None = None
    relation: str | None = None
    split: str | None = Field(None, min_length=1)
    bin: Literal["decade", "century", "log2"] | None = None
    normalise: Literal["minmax", "standard", "log"] | None = None
    impute: Literal["none", "median", "mean", "zero"] = "none"

    @model_validator(mode="after")
    def _only_what_it_can_take(self) -> Self:
        if self.kind != "attribute" and (self.relation or self.split or self.bin):
            raise ValueError('relation, split and bin go with as = "attribute"')
        if self.kind != "number" and (self.normalise or self.impute != "none"):
            raise ValueError('normalise and impute go with as = "number"')
        if self.impute != "none" and self.normalise is None:
            raise ValueError("impute goes with normalise: the number itself is never made up")
        return self


#: Which ids a prefix is put before, where it does not say so.
_PREFIXED: Mapping[str, str] = {
    **dict.fromkeys(("items", "users", "entities"), "id"),
    "triples": "tail",
    "link": "entity",
}
#: What shows a node of a kind to people.
_DISPLAY: Mapping[str | None, str] = {"items": "title", "entities": "name"}


class Source(Settings):
    """One thing that data is read from; exactly one of `path`, `table` and `cypher`.

    Attributes:
        name: Names it in reports, loads and rejects; unique.
        kind: What its rows say.
        path: A file, or a glob of several.
        table: Name under which a pandas or Arrow table is given from Python.
        cypher: A reading query on another Neo4j, whose columns are those of the rows.
        uri: Address for `cypher`; user and password come from `KGREC_SOURCE_USER` and
            `KGREC_SOURCE_PASSWORD`.
        database: Database for `cypher`.
        format: `auto` goes by the file's name and first line.
        separator: Of a delimited file; None finds it.
        columns: kgrec's name of a column = the source's name of it; in JSON `a.b` is a nested key.
            interactions: user, item, time, rating, weight, behaviour, deleted. Node kinds: id,
            time (when the row was made), deleted. triples: head, relation, tail, time, deleted.
            link: item, entity, deleted. social, item_edges: head, tail, relation, weight, time,
            deleted. reviews, queries: id, user, item, text, time, deleted. same_as: left, right,
            label, score, method, accepted. Usual names are found without being given.
        properties: What becomes of a column of a node kind; others are properties.
        behaviour: Behaviour of all rows, where no column says it.
        relation: Relation of all rows of triples, social or item_edges that name none.
        prefix: Put before ids, to keep things apart that are numbered alike, such as `tag:`: before
            `id` of node kinds, `tail` of triples and `entity` of links; or by column, as in
            `{ head = "tag:" }`.
        split: The rows are this part of a given split.
        time: How times are written.
        replace: Each load of this source is all there is: rows of its earlier loads go.
        may_be_empty: Whether a table or query without rows is no error.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    kind: Kind
    path: Path | None = None
    table: str | None = None
    cypher: str | None = None
    uri: str | None = None
    database: str = "neo4j"
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "atomic"] = "auto"
    separator: str | None = Field(None, min_length=1, max_length=1)
    columns: dict[str, str] = Field(default_factory=dict)
    properties: dict[str, PropertyRule] = Field(default_factory=dict)
    behaviour: str | None = None
    relation: str | None = None
    prefix: str | dict[str, str] = ""
    split: Split | None = None
    time: TimeFormat = TimeFormat()
    replace: bool = False
    may_be_empty: bool = False

    @model_validator(mode="before")
    @classmethod
    def _display_is_a_property(cls, tree: Any) -> Any:
        """Takes `columns.title` of items and `columns.name` of entities for what they mean."""
        display = _DISPLAY.get(tree.get("kind")) if isinstance(tree, dict) else None
        columns = tree.get("columns") if display else None
        if not isinstance(columns, dict) or display not in columns:
            return tree
        rest = {name: column for name, column in columns.items() if name != display}
        rules = {**tree.get("properties", {}), columns[display]: {"name": display}}
        return {**tree, "columns": rest, "properties": rules}

    @property
    def prefixes(self) -> dict[str, str]:
        """What stands before the ids of each column, by kgrec's name of it."""
        if isinstance(self.prefix, dict):
            return self.prefix
        return {_PREFIXED[self.kind]: self.prefix} if self.prefix else {}

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(value is not None for value in (self.path, self.table, self.cypher)) != 1:
            raise ValueError(f"source {self.name!r}: give exactly one of path, table and cypher")
        if (self.cypher is None) != (self.uri is None):
            raise ValueError(f"source {self.name!r}: cypher and uri go together")
        if self.uri is not None and holds_secrets(self.uri):
            raise ValueError(
                f"source {self.name!r}: uri holds credentials; take them out and set "
                f"KGREC_SOURCE_USER and KGREC_SOURCE_PASSWORD"
            )
        if self.properties and self.kind not in NODE_KINDS:
            raise ValueError(f"source {self.name!r}: properties go with items, users and entities")
        if self.kind != "interactions" and (self.behaviour or self.split):
            raise ValueError(f"source {self.name!r}: behaviour and split go with interactions")
        if isinstance(self.prefix, str) and self.prefix and self.kind not in _PREFIXED:
            raise ValueError(
                f"source {self.name!r}: which ids of {self.kind} begin with {self.prefix!r}? "
                f'expected a table such as prefix = {{ item = "{self.prefix}" }}'
            )
        return self
