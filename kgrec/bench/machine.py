"""On what a benchmark ran."""

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from kgrec import __version__
from kgrec.evaluation.evaluate import peak_memory_mb

_PACKAGES = (
    "torch", "torch-geometric", "numpy", "scipy", "implicit", "kglite", "transformers",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Gives the processor, its cores, the memory in GB of 10⁹ bytes, system, and threads."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }


def versions() -> dict[str, str]:
    """Gives the versions of Python, kgrec and what the peers run on, as far as installed."""
    numbers = {"python": platform.python_version(), "kgrec": __version__}
    for package in _PACKAGES:
        try:
            numbers[package] = version(package)
        except PackageNotFoundError:
            continue
    return numbers


def commit() -> str | None:
    """Gives the commit of the source tree, `+` behind it if files differ; None outside of git."""
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        differing = _git(
            folder, "status", "--porcelain", "--untracked-files=no", "--", str(folder.parent)
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}{'+' if differing else ''}"


def now() -> str:
    """Gives the time, ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def origin() -> dict[str, Any]:
    """Gives `commit`, `date`, `machine` and `versions` of this process, and now."""
    return {"commit": commit(), "date": now(), "machine": machine(), "versions": versions()}


def own_peak_memory_mb() -> float:
    """Gives the most memory this process has held, in MB of 10⁶ bytes.

    Linux's `getrusage` also counts what the process that started this one held at that moment;
    `VmHWM` does not.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return peak_memory_mb()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str:
    process = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return process.stdout.strip()
