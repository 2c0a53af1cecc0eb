"""Where kgrec keeps what it can make or fetch again."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Gives the cache folder: `$KGREC_CACHE`, else `$XDG_CACHE_HOME/kgrec`, else `~/.cache/kgrec`.

    An empty variable counts as unset. The folder is not made.
    """
    own = os.environ.get("KGREC_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "kgrec"
