"""Packages that only peers need."""

from importlib.util import find_spec

from kgrec.errors import ConfigError


def need(module: str) -> None:
    """Raises ConfigError if a package that only peers need is not installed."""
    if find_spec(module) is None:
        raise ConfigError(
            f"{module} is not installed, and this peer runs on it; install "
            f"kgrec[bench]: pip install 'kgrec[bench]'"
        )
