"""The environment hopwise runs in: made on first use, kept in the cache, not kgrec's own."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from kgrec.data.cache import user_cache
from kgrec.errors import ConfigError
from kgrec.progress import progress_bar

logger = logging.getLogger(__name__)

HOPWISE = "0.9.1.post1"
#: hopwise wants torch >= 2.5 and NumPy 2; these were run together. torch-geometric stands in for
#: torch-scatter, which would have to be compiled.
TORCH = "2.13.0"
REQUIREMENTS = (
    f"hopwise=={HOPWISE}",
    f"torch=={TORCH}",
    "torch-geometric==2.8.1",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "scipy==1.17.1",
)
#: Wheels of torch without CUDA, a twentieth of the size; the usual index serves where they do not.
_CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
#: hopwise declares Python >= 3.9, < 3.13.
_PYTHONS = ((3, 12), (3, 11), (3, 10))
_MARKER = "complete.json"
_TAIL_LINES = 15


def hopwise_python() -> Path:
    """Gives the Python of hopwise's environment; makes the environment if there is no whole one.

    It lies in `peers/hopwise-<version>` of the user's cache and takes minutes and up to 6 GB. A
    marker is written last, so an environment that was left half-made is made anew. Processes that
    come at the same time wait for the first.

    Raises:
        ConfigError: If no Python that hopwise runs on is found, or installing fails.
    """
    folder = user_cache() / "peers" / f"hopwise-{HOPWISE}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with FileLock(f"{folder}.lock"):
        if not _whole(folder) or not python.exists():
            if folder.exists():
                logger.info("environment=half-made folder=%s made_anew=yes", folder)
                shutil.rmtree(folder)
            _make(folder, python)
            marker = json.dumps({"requirements": REQUIREMENTS})
            (folder / _MARKER).write_text(marker, encoding="utf-8")
    return python


def _whole(folder: Path) -> bool:
    try:
        marker = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(marker == {"requirements": list(REQUIREMENTS)})


def _make(folder: Path, python: Path) -> None:
    uv = shutil.which("uv")
    if uv:
        create = [uv, "venv", "--quiet", "--seed", "--python", _version(_PYTHONS[0]), str(folder)]
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        create = [_interpreter(), "-m", "venv", str(folder)]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    logger.info("environment=making folder=%s requirements=%s", folder, ",".join(REQUIREMENTS))
    with progress_bar(f"hopwise {HOPWISE} into {folder}", 2) as advance:
        _run(create)
        advance("installing")
        if sys.platform == "linux" and not _wheels_without_cuda(install):
            logger.info("wheels=torch-with-cuda reason=%s does not serve", _CPU_WHEELS)
        _run([*install, *REQUIREMENTS])
        advance("installed")


def _wheels_without_cuda(install: list[str]) -> bool:
    impatient = [] if "uv" in Path(install[0]).stem else ["--retries", "0", "--timeout", "15"]
    try:
        _run([*install, *impatient, "--index-url", _CPU_WHEELS, f"torch=={TORCH}+cpu"])
    except ConfigError:
        return False
    return True


def _interpreter() -> str:
    """The Python to make the environment with: this one if hopwise runs on it, else one on PATH."""
    if sys.version_info[:2] in _PYTHONS:
        return sys.executable
    for version in _PYTHONS:
        if python := shutil.which(f"python{_version(version)}"):
            return python
    raise ConfigError(
        f"hopwise {HOPWISE} runs on Python 3.10 to 3.12; expected one of them, got "
        f"{_version(sys.version_info[:2])} and none on PATH; install Python 3.12 or uv"
    )


def _version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _run(command: list[str]) -> None:
    settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    process = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    if process.returncode:
        tail = "\n".join((process.stdout + process.stderr).strip().splitlines()[-_TAIL_LINES:])
        raise ConfigError(
            f"hopwise's environment could not be made: `{' '.join(command)}` ended with "
            f"{process.returncode}; check the network and the free space, then run again\n{tail}"
        )
