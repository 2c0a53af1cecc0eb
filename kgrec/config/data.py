"""Where data comes from, and what becomes of its columns, relations and interactions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from kgrec.config.base import Moment, Settings
from kgrec.config.source import Kind, PropertyRule, Source
from kgrec.schema import Split

#: Short names of the usual files, by the kind of source that each is.
_SHORT_NAMES: Mapping[str, Kind] = {
    "interactions": "interactions", "train": "interactions", "valid": "interactions",
    "test": "interactions", "items": "items", "users": "users", "entities": "entities",
    "triples": "triples", "link": "link",
}  # fmt: skip


class RelationRule(Settings):
    """What one relation name of the triples becomes.

    Attributes:
        name: The name to use; several relations with one name are merged.
        inverse: Whether head and tail change places (`film.director.film` is `directed_by` read
            backwards).
        drop: Whether the relation is left out.
    """

    name: str | None = None
    inverse: bool = False
    drop: bool = False


class SplitConfig(Settings):
    """How one set of interactions becomes train, valid and test.

    Every choice depends on the seed and the ids of the row alone (or on the user's own rows), so
    that new rows of some users leave the split of all others as it was.

    Attributes:
        kind: `random` draws per user; `temporal_user` takes each user's latest; `temporal_global`
            cuts at one moment; `leave_last_out` takes the last and the one before; `cold_item`
            and `cold_user` hold out all interactions of drawn items or users.
        valid: Share of the interactions (of the items, of the users) for validation.
        test: Share of the interactions (of the items, of the users) for test.
        warm: `cold_item` and `cold_user` only: share of the other interactions that goes to valid,
            and as much again to test. Without them nothing held out tells how well what is not cold
            is served, and the weights of a fusion, found on valid, are found on cold ones alone.
        valid_from: `temporal_global` only: the moment from which on interactions are valid's, a
            date-time or seconds since 1970 UTC; None finds it from the shares.
        test_from: The same for test's.
        min_interactions: Users with fewer keep everything in train (except for `temporal_global`,
            where that would put the future into train, and the cold ones).
    """

    kind: Literal[
        "random", "temporal_user", "temporal_global", "leave_last_out", "cold_item", "cold_user"
    ] = "random"
    valid: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    warm: float = Field(0.0, ge=0, lt=0.5)
    valid_from: Moment | None = None
    test_from: Moment | None = None
    min_interactions: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _only_what_the_kind_can_take(self) -> Self:
        moments = [at for at in (self.valid_from, self.test_from) if at is not None]
        if moments and self.kind != "temporal_global":
            raise ValueError("valid_from and test_from go with kind = 'temporal_global'")
        if len(moments) == 1:
            raise ValueError("give both valid_from and test_from, or neither")
        if moments != sorted(moments):
            raise ValueError("valid_from must not be later than test_from")
        if self.warm and self.kind not in ("cold_item", "cold_user"):
            raise ValueError("warm goes with kind = 'cold_item' or 'cold_user'")
        return self


class Behaviour(Settings):
    """One kind of interaction.

    Attributes:
        role: `target` is what is recommended for, `evidence` speaks for an item, `negative`
            against it.
        values: What the data calls it; None is its own name.
        weight: Of a row that brings no weight of its own.
        min_rating: A target rated lower is a known dislike.
        duplicates: What becomes of several events of one user and item; None is the cleaning's.
    """

    role: Literal["target", "evidence", "negative"] = "target"
    values: tuple[str, ...] | None = None
    weight: float = Field(1.0, gt=0)
    min_rating: float | None = None
    duplicates: Literal["first", "last", "sum", "max"] | None = None


class CleaningConfig(Settings):
    """What is mended, left out or refused; all of it is reported.

    Attributes:
        max_bad_rows: How many rows of a source may be unusable: a number, or a share like "0.5%".
        case: Whether ids keep their case.
        rating_range: Ratings outside are bad rows.
        duplicates: Several events of one user and item: the first or last by time, the sum of
            their weights, or the greatest.
        user_core: Users with fewer target items are left out, and so on with `item_core` until
            nobody is (k-core).
        item_core: Items with fewer users likewise.
        max_per_day: Users with more events on one day (UTC) are taken for bots and left out.
        max_per_user: A user's earlier events beyond so many are left out.
        max_fan_out: Entities with more edges of one relation say little and lose these edges.
        session_gap: Minutes of silence after which a user's next event opens a session; None makes
            no sessions.
    """

    max_bad_rows: str = Field("0", pattern=r"^\d+(\.\d+)?%?$")
    case: Literal["keep", "lower"] = "keep"
    rating_range: tuple[float, float] | None = None
    duplicates: Literal["first", "last", "sum", "max"] = "last"
    user_core: int = Field(1, ge=1)
    item_core: int = Field(1, ge=1)
    max_per_day: int | None = Field(None, ge=1)
    max_per_user: int | None = Field(None, ge=1)
    max_fan_out: int | None = Field(None, ge=1)
    session_gap: float | None = Field(None, gt=0)

    def bad_rows_allowed(self, rows: int) -> int:
        """Gives how many of so many rows may be bad."""
        if self.max_bad_rows.endswith("%"):
            return int(rows * float(self.max_bad_rows[:-1]) / 100)
        return int(float(self.max_bad_rows))


class DataConfig(Settings):
    """The data: short names for the usual files, `sources` for any number of anything.

    Attributes:
        interactions: One file of all interactions, split by `split`; or
        train: … split files, which are taken as they are.
        valid: See train.
        test: See train.
        items: Table of items; `id`, `item_id` … or the first column is the id, `title` is shown,
            the rest are properties.
        users: Table of users; likewise.
        triples: Columns head, relation, tail. An id that names an item is that item.
        link: Columns item, entity: the entity is that item.
        entities: Table of entities; `name` is shown.
        item_lists: Columns of `items` that hold lists (separated by spaces, or `|` or `,` where the
            column has them); each becomes a relation to entities.
        sources: Any number of sources, beside the short names above.
        behaviours: Kinds of interaction by name; without any, all rows are `interaction`, the
            target.
        min_rating: Of the behaviour `interaction`: rows rated lower are known dislikes.
        split: How the targets are split, unless the files say it.
        cleaning: What is mended, left out or refused.
        relations: Renames, merges, turns round or drops relations by their name in the triples.
        unknown_triples: What to do with triples that no chain of triples connects to an item.
        journal: Folder that keeps what was loaded; None is `<graph file>.loads` for an embedded
            store, and for Neo4j a folder under `$KGREC_DATA` (by default ~/.local/share/kgrec).
    """

    interactions: Path | None = None
    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    items: Path | None = None
    users: Path | None = None
    triples: Path | None = None
    link: Path | None = None
    entities: Path | None = None
    item_lists: dict[str, str] = Field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    behaviours: dict[str, Behaviour] = Field(default_factory=dict)
    min_rating: float | None = None
    split: SplitConfig | None = None
    cleaning: CleaningConfig = CleaningConfig()
    relations: dict[str, RelationRule] = Field(default_factory=dict)
    unknown_triples: Literal["error", "drop"] = "error"
    journal: Path | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.interactions is not None and self.train is not None:
            raise ValueError(
                "give either interactions (one file, with split) or train (with valid and test)"
            )
        if self.train is None and (self.valid is not None or self.test is not None):
            raise ValueError("valid and test go with train, not with interactions")
        targets = [source for source in self.all_sources() if source.kind == "interactions"]
        if not targets:
            raise ValueError(
                "no interactions: give either interactions (one file, with split) or train (with "
                "valid and test), or a source of that kind"
            )
        if self.split is not None and any(source.split for source in targets):
            raise ValueError("split applies to interactions; split files are taken as they are")
        if len({source.split is None for source in targets}) > 1:
            raise ValueError("either all sources of interactions name their split, or none does")
        names = [source.name for source in self.all_sources()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two sources are called {twice[0]!r}; give each its own name")
        if self.behaviours and self.min_rating is not None:
            raise ValueError("with behaviours, min_rating is said in [data.behaviours.<name>]")
        if self.behaviours and all(b.role != "target" for b in self.behaviours.values()):
            raise ValueError("no behaviour has the role target: nothing to recommend for")
        if self.item_lists and self.items is None:
            raise ValueError(
                f"item_lists names the column {next(iter(self.item_lists))!r}, but there is no "
                f"items; give the table that has it, or remove item_lists"
            )
        return self

    def all_sources(self) -> tuple[Source, ...]:
        """Gives every source, the short names spelt out first; such a file is all there is."""
        lists = {
            column: PropertyRule(kind="attribute", relation=relation, split="auto")
            for column, relation in self.item_lists.items()
        }
        settings: dict[str, dict[str, Any]] = {split: {"split": split} for split in Split}
        settings["items"] = {"properties": lists}
        short = [
            Source(name=name, kind=kind, path=path, replace=True, **settings.get(name, {}))
            for name, kind in _SHORT_NAMES.items()
            if (path := getattr(self, name)) is not None
        ]
        return (*short, *self.sources)

    def all_behaviours(self) -> dict[str, Behaviour]:
        """Gives every behaviour; without any in the settings, the one target `interaction`."""
        return self.behaviours or {"interaction": Behaviour(min_rating=self.min_rating)}
