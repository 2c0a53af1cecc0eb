"""What all sections of the settings are."""

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from kgrec.config import Config


class Settings(BaseModel):
    """Frozen, and refusing keys it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True
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
