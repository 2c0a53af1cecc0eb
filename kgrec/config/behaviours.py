"""Settings of interactions: their kinds, their cleaning, their split."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from kgrec.config.base import Settings


def _seconds(value: object) -> object:
    """A TOML date or date-time as seconds since 1970 UTC; without a zone it is UTC."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return int(aware.timestamp())
    return value


Moment = Annotated[int, BeforeValidator(_seconds)]


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
    def _moments_belong_to_a_global_cut(self) -> Self:
        moments = (self.valid_from is not None, self.test_from is not None)
        if any(moments) and self.kind != "temporal_global":
            raise ValueError("valid_from and test_from go with kind = 'temporal_global'")
        if any(moments) and not all(moments):
            raise ValueError("give both valid_from and test_from, or neither")
        if all(moments) and self.valid_from > self.test_from:  # type: ignore[operator]
            raise ValueError("valid_from must not be later than test_from")
        return self

    @model_validator(mode="after")
    def _warm_belongs_to_cold_ones(self) -> Self:
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
