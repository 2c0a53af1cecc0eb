"""The folder that a fit works in until what it makes is whole: `<directory>.partial`."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from kgrec import __version__
from kgrec.config import Config
from kgrec.errors import RunError
from kgrec.files import LEFTOVERS, is_temporary, put_in_place
from kgrec.graph.data import GraphData
from kgrec.training.checkpoint import read_json, write_json

_IDENTITY, _LOCK = "identity.json", "fit.lock"


@contextmanager
def open_partial(config: Config, graph: GraphData, directory: Path) -> Iterator[Path]:
    """Gives the folder to work in; what lies there stays only if it is of the same fit.

    It is locked until the block ends.

    Args:
        config: The settings.
        graph: What is learned from.
        directory: Where the fit goes when it is whole.

    Raises:
        RunError: If something lies there that no fit left, another one works there, or no folder
            can be made.
    """
    partial = partial_of(directory)
    identity = {
        "kgrec_version": __version__,
        "config": json.loads(config.to_json()),
        "graph_version": graph.version,
    }
    with _locked(partial):
        mark = partial / _IDENTITY
        try:
            same = read_json(mark) == identity
        except RunError:
            same = False
        if not same:
            for path in partial.iterdir():
                if path.name != _LOCK:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_json(mark, identity)
        yield partial


def refuse_busy(directory: Path) -> None:
    """Raises RunError if another fit works beside a directory, or what lies there is in the way."""
    partial = partial_of(directory)
    if partial.exists():
        with _locked(partial):
            pass


def put_partial(partial: Path, directory: Path, *, resumed: tuple[str, ...] = ()) -> None:
    """Puts a finished fit in place of an earlier one, without what only a resume needs.

    Only between the two renames is there none; killed there, the next fit finds all its epochs in
    the checkpoint and ends at once.

    Args:
        partial: What `open_partial` gave, after its block.
        directory: What it was opened for.
        resumed: Further patterns of what only a resume needs.
    """
    directory = Path(os.path.realpath(directory))
    put_in_place(partial, directory)
    for pattern in ("checkpoint-*.safetensors", _IDENTITY, _LOCK, LEFTOVERS, *resumed):
        for leftover in directory.glob(pattern):
            leftover.unlink()


def partial_of(directory: Path) -> Path:
    """Where a fit works: beside what a link leads to, as one rename must put it in place."""
    target = Path(os.path.realpath(directory))
    return target.with_name(f"{target.name}.partial")


@contextmanager
def _locked(partial: Path) -> Iterator[None]:
    if partial.exists() and not (partial.is_dir() and _is_left_by_fit(partial)):
        raise RunError(
            f"{partial} is in the way and no training run left it; expected nothing or a run "
            f"that was interrupted; move it or give another --run"
        )
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(partial / _LOCK, timeout=0):
            yield
    except filelock.Timeout as exc:
        raise RunError(
            f"another process trains into {partial}; wait for it to end, or give another --run"
        ) from exc


def _is_left_by_fit(partial: Path) -> bool:
    """Whether a fit works here, or was killed here, be it before its mark was written."""
    names = (_LOCK, _IDENTITY)
    return any((partial / name).is_file() for name in names) or all(
        is_temporary(path, _IDENTITY) for path in partial.iterdir()
    )
