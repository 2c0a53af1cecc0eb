"""What can be registered from outside, put back after a test, so that no other test sees it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kgrec import registry
from kgrec.config import Config
from kgrec.model import kinds
from kgrec.text import encoder

#: The modules of docs/extending.md.
MODULES = {"together", "autoencoder", "word_hashes"}


@dataclass(frozen=True)
class Registered:
    """All that is registered, and those of `MODULES` that are imported."""

    parts: dict[str, Any]
    kinds: dict[str, Any]
    encoders: dict[str, Any]
    sections: dict[str, Any]
    modules: dict[str, Any]

    @classmethod
    def now(cls) -> "Registered":
        return cls(
            dict(registry._PARTS),
            dict(kinds._KINDS),
            dict(encoder._ENCODERS),
            dict(Config.__pydantic_fields__),
            {name: sys.modules[name] for name in MODULES & sys.modules.keys()},
        )

    def put_back(self) -> None:
        for kind in kinds._KINDS.keys() - self.kinds.keys():
            if not kinds._KINDS[kind].__module__.startswith("kgrec."):  # those are not read again
                del kinds._KINDS[kind]
        kinds._KINDS.update(self.kinds)
        for place, before in (
            (registry._PARTS, self.parts),
            (encoder._ENCODERS, self.encoders),
            (Config.__pydantic_fields__, self.sections),
        ):
            place.clear()
            place.update(before)
        Config.model_rebuild(force=True)
        for name in MODULES & sys.modules.keys():
            del sys.modules[name]
        sys.modules.update(self.modules)


@contextmanager
def restored(state: Registered | None = None) -> Iterator[Registered]:
    """Puts everything back in the end; begins with a state where one is given."""
    before = Registered.now()
    if state is not None:
        state.put_back()
    try:
        yield before
    finally:
        before.put_back()
