"""What all sections of the settings are, and how times stand in them."""

import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict

if TYPE_CHECKING:
    from kgrec.config import Config


class Settings(BaseModel):
    """Frozen, and refusing keys it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a value may be a password in the wrong place
    )


class PartConfig(Settings):
    """The settings of a part of the fusion; its file has them, `kgrec.registry` its name.

    Attributes:
        section: Name of the section, which is the part's.
        enabled: Whether it is a part of the fusion.
    """

    section: ClassVar[str]
    enabled: bool = True

    @classmethod
    def of(cls, config: "Config") -> Self:
        """Gives these settings out of all; defaults if all were read before it was added."""
        settings = getattr(config, cls.section, None)
        if settings is None:
            return cls()
        assert isinstance(settings, cls)
        return settings


class TimeFormat(Settings):
    """How a column of times is written.

    Attributes:
        unit: Of a number since 1970.
        zone: Zone of times that name none, for example `Europe/Berlin`.
        format: `strptime` format; None reads numbers and ISO 8601.
    """

    unit: Literal["s", "ms", "us", "ns"] = "s"
    zone: str = "UTC"
    format: str | None = None


def _seconds(value: object) -> object:
    """A TOML date or date-time as seconds since 1970 UTC; without a zone it is UTC."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return int(aware.timestamp())
    return value


Moment = Annotated[int, BeforeValidator(_seconds)]
