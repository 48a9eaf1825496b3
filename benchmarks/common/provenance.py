"""Where results come from: the machine, the versions and the commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.common.paths import ROOT

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def provenance() -> dict[str, Any]:
    """Return the ``machine``, ``versions`` and ``commit`` that every file of results has.

    Call it before the measurement: the source at that time is what is measured. The commit ends
    with ``-dirty`` if ``src`` differs from it.
    """
    affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count()
    return {
        "machine": {
            "processor": processor(),
            "cores": cores,
            "threads": int(os.environ.get("OMP_NUM_THREADS", cores or 1)),
            "gpu": None,
            "python": platform.python_version(),
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": _git("rev-parse", "--short", "HEAD")
        + ("-dirty" if _git("status", "--porcelain", "src") else ""),
    }


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
