"""Opening a store by its address."""

import os

from kgrec.addresses import holds_secrets, shown_address
from kgrec.config import StoreConfig
from kgrec.errors import ConfigError
from kgrec.store.base import GraphStore

NEO4J_SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")


def open_store(
    config: StoreConfig | str,
    *,
    read_only: bool = False,
    user: str | None = None,
    password: str | None = None,
) -> GraphStore:
    """Opens the store at an address; close it, or use it as a context manager.

    Args:
        config: Store settings, or only the address: `embedded:PATH`, `bolt://HOST:PORT`,
            `neo4j://…`, `neo4j+s://…`.
        read_only: Whether writes are refused. An embedded store then needs no lease.
        user: Neo4j user; by default from `KGREC_NEO4J_USER`, else `neo4j`.
        password: Neo4j password; by default from `KGREC_NEO4J_PASSWORD`.

    Raises:
        ConfigError: If the address is of no known kind, or holds credentials.
        StoreUnavailable: If nothing answers there, or it refuses the credentials.
        StoreBusy: If another process writes the embedded store.
        StoreError: If the embedded file is damaged.
    """
    if isinstance(config, str):
        config = StoreConfig(uri=config)
    scheme, _, location = config.uri.partition(":")
    if scheme == "embedded" and location:
        from kgrec.store.embedded import EmbeddedStore

        return EmbeddedStore(location, read_only=read_only)
    if scheme not in NEO4J_SCHEMES or not location.startswith("//"):
        raise ConfigError(
            f"store.uri {shown_address(config.uri)!r} is no address kgrec knows; expected "
            f"embedded:PATH, bolt://HOST:PORT, neo4j://HOST or neo4j+s://HOST"
        )
    if holds_secrets(config.uri):
        raise ConfigError(
            f"store.uri {shown_address(config.uri)!r} holds credentials; take them out and "
            f"set KGREC_NEO4J_USER and KGREC_NEO4J_PASSWORD"
        )
    from kgrec.store.neo4j import Neo4jStore

    return Neo4jStore(
        config.uri,
        database=config.database,
        user=user or os.environ.get("KGREC_NEO4J_USER") or "neo4j",
        password=password or os.environ.get("KGREC_NEO4J_PASSWORD") or "",
        read_only=read_only,
    )
