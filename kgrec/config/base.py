"""What all sections of the settings are."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, and refusing keys it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True
    )
