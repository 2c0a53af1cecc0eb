"""Where the journal of a store is, and what it calls the store."""

import re
from pathlib import Path

from kgrec.config import Config
from kgrec.data.cache import user_data


def journal_folder(config: Config) -> Path:
    """Gives the folder of the journal that belongs to the settings' store."""
    if config.data.journal is not None:
        return config.data.journal
    scheme, _, rest = config.store.uri.partition(":")
    if scheme == "embedded":
        return Path(f"{rest}.loads")
    server = re.sub(r"[^A-Za-z0-9.]+", "-", f"{rest.rpartition('@')[2]} {config.store.database}")
    return user_data() / "loads" / server.strip("-")


def graph_address(config: Config) -> str:
    """Gives the name under which the journal notes what the settings' store holds."""
    return f"{config.store.uri} {config.store.database}"
