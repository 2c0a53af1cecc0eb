"""Files and folders that appear whole or not at all.

A reader, and whoever comes after a killed process, finds the old content or the new, never a part.
What is written goes under a hidden name in the same folder, to the disk, and then by one rename to
its place. A file's hidden name is locked as long as its writer lives: what a killed one left is
known by that, and the next writer of the same file removes it.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from kgrec.errors import KgrecError

try:
    import fcntl
except ImportError:  # no locks: what a killed process left stays
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".tmp"
_DIGEST = "digest"
#: Errors of a disk that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Why a file with a digest is refused.
NOT_AS_WRITTEN = "its contents are not those that were written, as their digest says"
#: Matches whatever killed writers left in a folder, to be used where nobody writes any more.
LEFTOVERS = f".*{_SUFFIX}"


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Gives a path to write to; when the block ends, what is there replaces the file.

    If the block raises, the file stays as it was. The target of a symbolic link is replaced, and
    the link stays. A file that is replaced keeps its permissions. A device or a pipe, which nothing
    can replace, is written itself.

    Args:
        path: The file, in a folder that exists.

    Raises:
        OSError: If the folder is missing or takes no file, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        yield target
        return
    _sweep(target)
    temporary, lock = _open_temporary(target)
    with lock:
        try:
            mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
            if mode is not None:  # before there is anything to read
                temporary.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
            yield temporary
            sync(temporary)
            if mode is not None:
                temporary.chmod(mode)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    with suppress(OSError):  # some file systems do not sync folders
        sync(target.parent)


def write_text(path: Path | str, text: str, *, errors: str = "strict") -> None:
    """Writes a text file as UTF-8, whole or not at all.

    Args:
        path: The file, in a folder that exists.
        text: Its content.
        errors: What becomes of lone surrogates, as for `open`.

    Raises:
        OSError: As `atomic_file`.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=errors)


def read_text(path: Path, most: int = 256 << 20) -> str:
    """Reads a text file of a size that can be; a device or a pipe might never end.

    Raises:
        OSError: If it is no file, too large, or cannot be read.
        UnicodeDecodeError: If it is not UTF-8.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is a device or a pipe, expected a file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content.decode("utf-8")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe waits for its writer


def parsed_json(text: str) -> Any:
    """Parses JSON; raises ValueError, also where it is nested too deep to be anybody's."""
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc


def sealed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a JSON object with the digest of what it holds, which `unsealed` compares."""
    return {**tree, _DIGEST: _digest_of(tree)}


def unsealed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what `sealed` was given; raises ValueError if that has changed since.

    What was never sealed, as by earlier versions, is given as it is.
    """
    rest = {name: value for name, value in tree.items() if name != _DIGEST}
    if _DIGEST in tree and tree[_DIGEST] != _digest_of(rest):
        raise ValueError(NOT_AS_WRITTEN)
    return rest


def _digest_of(tree: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(tree))  # keys and numbers as they will be read
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """Gives the SHA-256 of a file's contents in hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def os_errors_as(error: type[KgrecError], name: str, path: Path | str) -> Iterator[None]:
    """Raises an error that tells what cannot be written, where, and what to give instead."""
    try:
        yield
    except OSError as exc:
        step = "give it a file in a folder that exists and takes files"
        if exc.errno in FULL:
            step = "make room and run it again"
        raise error(f"cannot write the {name} to {path}: {exc.strerror or exc}; {step}") from exc


def is_temporary(path: Path, of: str) -> bool:
    """Whether a path is what a writer of the file of a name left beside it, or is writing there."""
    return path.name.startswith(f".{of}.") and path.name.endswith(_SUFFIX)


@contextmanager
def atomic_folder(folder: Path | str, hidden: str = "writing") -> Iterator[Path]:
    """Gives an empty folder; when the block ends, it replaces the folder with all that it holds.

    If the block raises, the folder stays as it was. One process writes a folder at a time.

    Args:
        folder: The folder. Those above it are made.
        hidden: What is written lies in `.<name>.<hidden>` meanwhile.

    Raises:
        OSError: If it cannot be written.
    """
    target = Path(os.path.realpath(folder))
    fresh = target.with_name(f".{target.name}.{hidden}")
    shutil.rmtree(fresh, ignore_errors=True)  # of a process that was killed
    fresh.mkdir(parents=True)
    try:
        yield fresh
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    put_in_place(fresh, target)


def put_in_place(fresh: Path, folder: Path) -> None:
    """Puts a whole folder in the place of another, which is `.<name>.replaced` meanwhile.

    Only between the two renames is there none: killed there, one finds both under their hidden
    names. The target of a symbolic link is replaced.

    Raises:
        OSError: If it cannot be moved; the old folder is back in its place then.
    """
    folder = Path(os.path.realpath(folder))
    old = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    there = folder.exists()
    if there:
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if there:
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def stamp_of(path: Path) -> tuple[int, ...] | None:
    """Gives a file's size, times and inode; None if there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def sync(path: Path) -> None:
    """Waits until what was written to a file, or renamed in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_temporary(target: Path) -> tuple[Path, BinaryIO]:
    while True:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_SUFFIX}")
        file = temporary.open("xb")
        if fcntl is None:
            file.close()  # where there are no locks, no open file can be renamed
            return temporary, file
        with suppress(OSError):  # some file systems know no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if temporary.exists():
            return temporary, file
        file.close()  # another writer swept it before it was locked


def _sweep(target: Path) -> None:
    """Removes what killed writers of a file left beside it."""
    if fcntl is None or not target.parent.is_dir():
        return
    for path in target.parent.iterdir():
        if is_temporary(path, target.name):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
