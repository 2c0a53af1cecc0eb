"""Where output goes: the answer to stdout, everything else to stderr."""

import json
import math
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from numbers import Integral
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from kgrec.addresses import without_secrets
from kgrec.files import write_text
from kgrec.terminal import UNPRINTABLE, console_on, printable


def print_line(stream: TextIO, kind: str, text: str, style: str) -> None:
    """Writes one line `kind: text` without secrets, the kind styled on a terminal."""
    line = Text.assemble((f"{kind}:", style), " ", without_secrets(text))
    console_on(stream).print(line, soft_wrap=True)


def plain_table(
    *columns: str | Column,
    rows: Iterable[Iterable[Any]] = (),
    right: Collection[str] = (),
    title: str | None = None,
    title_style: str | None = "bold",
) -> Table:
    """Gives a table without rules; the columns named in `right` hold numbers.

    Text in a cell stands for itself, without markup; whole numbers are told in groups of three.
    """
    table = Table(
        *(
            Column(name, justify="right") if isinstance(name, str) and name in right else name
            for name in columns
        ),
        title=title, title_justify="left", title_style=title_style, box=None, pad_edge=False,
    )  # fmt: skip
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, Integral) else cell for cell in row)
        table.add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in cells))
    return table


class Reporter(ExitStack):
    """What a command says; as a context manager it keeps stdout for the answer alone.

    Args:
        as_json: Whether the answer is JSON, and the steps are not told.

    Attributes:
        seconds: How long each step took, by name.
    """

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self.seconds: dict[str, float] = {}
        self._stdout = sys.stdout

    def __enter__(self) -> Self:
        self.enter_context(redirect_stdout(sys.stderr))
        return self

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Times a step and tells it when it is done; the block adds what there is to say."""
        notes: list[str] = []
        start = time.perf_counter()
        yield notes
        self.seconds[name] = time.perf_counter() - start
        if not self.as_json:
            line = Text.assemble(
                (f"{name:<10}", "bold"), (f"{self.seconds[name]:7.1f} s  ", "dim"), "; ".join(notes)
            )
            console_on(sys.stderr).print(line, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Says what is missing although the command goes on."""
        print_line(sys.stderr, "warning", text, "bold yellow")

    def answer(self, value: Mapping[str, Any], *blocks: RenderableType) -> None:
        """Writes the answer: the JSON object, or what a person reads."""
        if self.as_json:
            text = to_json(value)
            encoding = self._stdout.encoding or "utf-8"
            if text != text.encode(encoding, "replace").decode(encoding):
                text = json.dumps(json.loads(text), indent=2)  # in ASCII
            self._stdout.write(text + "\n")
        else:
            console = console_on(self._stdout)
            for block in blocks:
                # Rich joins texts before it prints them, and forgets how each is to be wrapped.
                if isinstance(block, Text) and block.no_wrap:
                    console.print(block, no_wrap=True, overflow="ellipsis")
                else:
                    console.print(block)
        self._stdout.flush()


def write_whole(path: Path, text: str) -> None:
    """Writes a file whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def to_json(value: Mapping[str, Any]) -> str:
    """Gives strict JSON, in which a terminal obeys nothing: what a store returns, no NaN."""
    text = json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False)
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy's, which `kgrec --help` need not import
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(part) for part in value]
    return str(value)
