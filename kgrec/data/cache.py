"""Where kgrec keeps what it can make or fetch again, and what it cannot."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Gives the cache folder: `$KGREC_CACHE`, else `$XDG_CACHE_HOME/kgrec`, else `~/.cache/kgrec`.

    An empty variable counts as unset. The folder is not made.
    """
    return _folder("KGREC_CACHE", "XDG_CACHE_HOME", ".cache")


def user_data() -> Path:
    """Gives the data folder: `$KGREC_DATA`, `$XDG_DATA_HOME/kgrec` or `~/.local/share/kgrec`.

    An empty variable counts as unset. The folder is not made.
    """
    return _folder("KGREC_DATA", "XDG_DATA_HOME", ".local/share")


def _folder(own: str, shared: str, home: str) -> Path:
    if override := os.environ.get(own):
        return Path(override).expanduser()
    parent = os.environ.get(shared)
    return (Path(parent).expanduser() if parent else Path.home() / home) / "kgrec"
