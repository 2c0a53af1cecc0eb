"""What reaches a terminal: no control character of people's data."""

import os
import re
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

#: Columns of output that goes to a file or a pipe, where nobody says how wide it may be.
_PIPE_WIDTH = 150

#: What moves the cursor, writes the clipboard, turns text round, or is no character: C0 but tab and
#: line feed, DEL and C1, marks of direction, halves of surrogate pairs.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Puts a replacement character for every character that a terminal would obey, not show."""
    return UNPRINTABLE.sub("\ufffd", text)


class PlainConsole(Console):
    """A console for people's data: it obeys neither markup nor control characters in it."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Gives the text as it is measured and shown."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Renders; what is not the console's own control is printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def console_on(stream: TextIO) -> Console:
    """Gives a console that neither wraps to 80 columns in a pipe nor colours what looks special."""
    wide = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return PlainConsole(file=stream, width=wide, highlight=False, markup=False, emoji=False)
