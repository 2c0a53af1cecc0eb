"""What the searches of one training found, so that nothing is searched twice."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from kgrec.augment.gate import NONE
from kgrec.training.checkpoint import read_json, write_json

#: In a run's folder while it is made: what the searches found.
CHOICES = "choices.json"

_Settings = TypeVar("_Settings")


@dataclass
class Choices:
    """Settings by the name of what was searched; what is there already is not searched again.

    Attributes:
        settings: By name, an instance of the search's dataclass, or its JSON values as read.
        cold_on_valid: Those of cold items at the level that valid allows, if it was asked.
        left_out: Names of the parts that an early look at the fusion left out; None before one.
        augment: Whose synthetic edges the networks learned.
        temporal: Whether valid holds what came after train.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    cold_on_valid: Any = None
    left_out: list[str] | None = None
    augment: str = NONE
    temporal: bool = False

    def get(self, name: str, kind: type[_Settings]) -> _Settings | None:
        """Gives what was found under a name as its dataclass; None if nothing was.

        Raises:
            ValidationError: If what was read is not of that kind.
        """
        settings = self.settings.get(name)
        if isinstance(settings, Mapping):
            self.settings[name] = settings = TypeAdapter(kind).validate_python(settings)
        assert settings is None or isinstance(settings, kind)
        return settings

    def save(self, path: Path) -> None:
        """Writes what the searches found; whole or not at all."""
        values = {
            name: settings if isinstance(settings, Mapping) else asdict(settings)
            for name, settings in self.settings.items()
        }
        write_json(path, values)

    @classmethod
    def load(cls, path: Path) -> "Choices":
        """Reads what an earlier attempt found; nothing if there was none."""
        if not path.is_file():
            return cls()
        tree = read_json(path)
        return cls({name: values for name, values in tree.items() if values})
