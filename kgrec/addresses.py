"""Addresses of servers, and what of them nobody may read."""

import re

#: Where an address begins; taken for a path it has one slash.
_BEGIN = r"((?:bolt|neo4j)[+a-z]*:/{1,2}|://)"
#: Users and passwords: to the last @ of the line, as a password may hold anything.
_CREDENTIALS = re.compile(_BEGIN + r".*(?:@|%40)", re.IGNORECASE)
_QUERY_VALUE = re.compile(_BEGIN + r"([^\s\"']*?[?&;][^=\s&;\"']*=)(?!…)[^\s&;\"']+")
_SECRET_NAME = re.compile(r"[?&;](user|pass|pw|auth|token|secret|key|cred)[^=]*=", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Masks the users, passwords and query values of the addresses in a text."""
    text, num_masked = _CREDENTIALS.sub(r"\1…@", text), 1
    while num_masked:  # one value of each address a pass
        text, num_masked = _QUERY_VALUE.subn(r"\1\2…", text)
    return text


def shown_address(text: str) -> str:
    """Gives what was said to be an address, without secrets even where it is none."""
    is_path = text.startswith("embedded:")
    return text if is_path else without_secrets(text if "://" in text else _bare(text))


def _bare(text: str) -> str:
    return f"…@{text.rpartition('@')[2]}" if "@" in text else text


def holds_secrets(uri: str) -> bool:
    """Whether an address names a user or a password, which a run or a journal would keep."""
    _, separator, location = uri.partition("://")
    return bool(separator) and bool(_CREDENTIALS.search(uri) or _SECRET_NAME.search(location))
