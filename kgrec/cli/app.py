"""The commands together, and what becomes of errors.

Exit codes: 0 done, 1 failed, 2 bad usage or settings, 130 interrupted.
"""

import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, cast

import typer

from kgrec import __version__
from kgrec.addresses import without_secrets
from kgrec.cli.bench import bench
from kgrec.cli.data import check, ingest, resolve
from kgrec.cli.demo import demo
from kgrec.cli.explore import explore, report
from kgrec.cli.gan import gan
from kgrec.cli.inspect import inspect
from kgrec.cli.output import print_line
from kgrec.cli.publish import publish
from kgrec.cli.query import query, status
from kgrec.cli.recommend import explain, recommend, similar
from kgrec.cli.train import evaluate, train
from kgrec.cli.upkeep import forget, refresh
from kgrec.errors import ConfigError, KgrecError
from kgrec.files import FULL
from kgrec.terminal import printable

FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130

#: Flags of the whole program, which may stand anywhere on the command line.
_ANYWHERE = ("--debug", "--verbose")

app = typer.Typer(
    name="kgrec",
    help="Recommendations from a knowledge graph, with reasons that add up to the score.",
    epilog="Start with: kgrec demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
#: The commands as the help shows them.
_PANELS = {
    "Data": (inspect, check, ingest, resolve, status),
    "Models": (demo, train, evaluate, bench),
    "Answers": (recommend, similar, explain, explore, report, query),
    "In the graph, and fresh": (publish, refresh, forget),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(gan, rich_help_panel="Models")

# Older releases of typer use click's classes, newer ones their own; the names are the same.
_UsageProblem = next(x for x in typer.BadParameter.__mro__ if x.__name__ == "ClickException")


def _show_version(version: bool) -> None:
    if version:
        typer.echo(f"kgrec {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and debug messages.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show what is being done, on stderr.")
    ] = False,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            help="Import a module of your own first, such as one with a part; before the command, "
            "and as often as need be.",
        ),
    ] = None,
) -> None:
    del version, debug, verbose  # the first ends the program, `main` has read the others
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(BAD_USAGE)
    for module in modules or ():
        _import_own(module)


def _import_own(module: str) -> None:
    """Imports what the caller named; this is the only way in for code that is not kgrec's."""
    try:
        import_module(module)
    except (Exception, SystemExit) as exc:  # a module that exits with 0 would pass for done
        is_dotted = all(word.isidentifier() for word in module.split("."))
        is_missing = not is_dotted or (
            isinstance(exc, ModuleNotFoundError) and f"{module}.".startswith(f"{exc.name}.")
        )
        hint = (
            "expected the dotted name of a module that Python finds, such as my_package.my_part; "
            "install it, or put its folder into PYTHONPATH"
            if is_missing
            else "mend the module; --debug shows where it fails"
        )
        raise ConfigError(f"--import {module}: {type(exc).__name__}: {exc}; {hint}") from exc


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Without the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    command_line = list(sys.argv[1:] if arguments is None else arguments)
    flags = [flag for flag in _ANYWHERE if flag in command_line]
    command_arguments = [argument for argument in command_line if argument not in _ANYWHERE]
    debug = "--debug" in flags
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors="replace")  # what a terminal cannot show is no error
    with _quiet(debug=debug, verbose="--verbose" in flags):
        try:
            code = app(args=[*flags, *command_arguments], prog_name="kgrec", standalone_mode=False)
        except BrokenPipeError:
            # The reader of a pipe has gone, as in `kgrec query … | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Exception as error:
            if debug:
                sys.stderr.write(printable(without_secrets(traceback.format_exc())))
            return _tell(error)
    if code == INTERRUPTED:
        print_line(sys.stderr, "error", "interrupted; run it again to go on", "bold red")
    return int(code or 0)


def _tell(error: Exception) -> int:
    """Says what went wrong in one line and gives the exit code."""
    code = FAILED
    if isinstance(error, _UsageProblem):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "kgrec"
        problem = str(cast("Any", error).format_message()).rstrip(".")
        message = f"{problem}{' ' if problem.endswith('?') else '; '}see {command} --help"
        code = BAD_USAGE
    elif isinstance(error, KgrecError):
        message = str(error)
        code = BAD_USAGE if isinstance(error, ConfigError) else FAILED
    elif isinstance(error, RecursionError):
        message = "what was read is nested too deep; expected plain values; mend the file"
    elif _is_full(error):
        message = f"cannot write: {error}"
    else:
        message = f"unexpected {type(error).__name__}: {error}; run again with --debug"
    if _is_full(error) and "make room" not in message:
        message += "; make room and run it again"
    print_line(sys.stderr, "error", " ".join(message.split()), "bold red")
    return code


def _is_full(error: Exception) -> bool:
    """Whether a disk takes no more; not all libraries keep the number of the system's error."""
    texts = (os.strerror(number) for number in FULL)
    return getattr(error, "errno", None) in FULL or any(text in str(error) for text in texts)


class _Lines(logging.Handler):
    """Writes log records as lines like those of errors."""

    _STYLES = {logging.WARNING: "bold yellow", logging.ERROR: "bold red"}  # noqa: RUF012

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.levelname.lower()
        style = self._STYLES.get(record.levelno, "dim")
        print_line(sys.stderr, kind, self.format(record), style)


@contextmanager
def _quiet(*, debug: bool, verbose: bool) -> Iterator[None]:
    """Shows kgrec's own messages and keeps those of libraries away."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    kgrec_logger, root_logger = logging.getLogger("kgrec"), logging.getLogger()
    level = kgrec_logger.level
    line_handler, null_handler = _Lines(), logging.NullHandler()
    kgrec_logger.addHandler(line_handler)
    root_logger.addHandler(null_handler)  # else Python writes the warnings of libraries to stderr
    kgrec_logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
            yield
    finally:
        kgrec_logger.removeHandler(line_handler)
        root_logger.removeHandler(null_handler)
        kgrec_logger.setLevel(level)
