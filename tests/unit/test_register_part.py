"""Parts of others: their names, their sections, and settings that were read before."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from own_parts import restored

from kgrec import registry
from kgrec.config import Config
from kgrec.config.base import PartConfig
from kgrec.errors import ConfigError
from kgrec.training.part import Part, all_parts, part_of, register_part

DATA = {"data": {"train": "a"}}


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored():
        yield


class MineConfig(PartConfig):
    section: ClassVar[str] = "mine"
    width: int = 3


class Mine(Part):
    name, title, section = "mine", "mine", MineConfig

    def fit(self, fitting: Any, settings: Any, advance: Any) -> Any:
        raise NotImplementedError


def renamed(name: str, section: type[PartConfig] | None = None) -> Part:
    """The part under another name, with a section of that name where one is not given."""
    if section is None:
        section = type("AnyConfig", (PartConfig,), {"section": name, "__module__": __name__})
    return type("Renamed", (Mine,), {"name": name, "section": section})()


def test_a_section_is_read_checked_and_saved() -> None:
    register_part(Mine())
    assert all_parts()[-1].name == "mine"
    config = Config.build({**DATA, "mine": {"width": 5}})
    assert MineConfig.of(config) == MineConfig(width=5)
    assert part_of("mine").is_enabled(config)
    assert Config.model_validate_json(config.to_json()) == config
    assert MineConfig.of(Config.build(DATA)) == MineConfig()
    off = Config.build({**DATA, "mine": {"enabled": False}})
    assert not part_of("mine").is_enabled(off)
    with pytest.raises(ConfigError, match=r"mine\.depth: unknown key"):
        Config.build({**DATA, "mine": {"depth": 5}})


def test_registered_again_it_is_replaced() -> None:
    register_part(Mine())
    before = len(all_parts())

    class WiderConfig(PartConfig):
        section: ClassVar[str] = "mine"
        depth: int = 4

    second = renamed("mine", WiderConfig)
    register_part(second)
    assert len(all_parts()) == before
    assert part_of("mine") is second
    assert WiderConfig.of(Config.build({**DATA, "mine": {"depth": 9}})).depth == 9
    with pytest.raises(ConfigError, match=r"mine\.width: unknown key"):
        Config.build({**DATA, "mine": {"width": 5}})


def test_settings_that_were_read_before_have_its_defaults() -> None:
    config = Config.build(DATA)
    register_part(Mine())
    assert MineConfig.of(config) == MineConfig()
    assert part_of("mine").is_enabled(config)
    assert MineConfig.of(Config.model_validate_json(config.to_json())) == MineConfig()
    wider = config.model_copy(update={"mine": MineConfig(width=9), "seed": 4})
    assert MineConfig.of(wider).width == 9
    assert Config.model_validate_json(wider.to_json()) == wider


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "kgrec has a part called") for name in registry._MODULES),
        ("training", "is taken"),
        ("seed", "is taken"),
        ("load", "is taken"),
        ("model_copy", "is taken"),
        ("_mine", "no plain name"),
        ("my part", "no plain name"),
        ("9", "no plain name"),
    ],
)
def test_a_name_that_is_taken_is_refused(name: str, message: str) -> None:
    fields, parts = dict(Config.model_fields), registry.parts()
    with pytest.raises(ConfigError, match=message):
        register_part(renamed(name))
    assert dict(Config.model_fields) == fields
    assert registry.parts() == parts
    assert Config.build(DATA).seed == 0


def test_the_section_of_a_part_has_its_name() -> None:
    with pytest.raises(ConfigError, match="'other' has the section 'mine'; expected the same"):
        register_part(renamed("other", MineConfig))


def test_kgrecs_own_sections_stay_theirs() -> None:
    """Those of its parts are added in the same way, and in the order of the registry."""
    register_part(Mine())
    sections = [part.section.section for part in all_parts() if part.section is not None]
    assert list(Config.model_fields)[-len(sections) :] == sections
    assert sections[-1] == "mine"
