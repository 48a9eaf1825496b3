"""Time and memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_STATUS = Path("/proc/self/status")


def timed(call: Callable[..., T], *arguments: Any) -> tuple[T, dict[str, float]]:
    """Call a function; return its result, and the seconds by the clock and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call(*arguments)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return result, {"wall_seconds": wall, "cpu_seconds": cpu}


def peak_memory_mib() -> float:
    """Return the largest resident size of this process so far, in MiB.

    On Linux, ``ru_maxrss`` begins with the value of the parent, so it is used only where there is
    no /proc.
    """
    if _STATUS.is_file():
        return resident_mib("VmHWM")
    return maxrss_mib(resource.getrusage(resource.RUSAGE_SELF))


def resident_mib(which: str) -> float:
    """Return ``VmRSS`` (now) or ``VmHWM`` (peak) of this process in MiB, from /proc."""
    return int(_STATUS.read_text().split(f"{which}:")[1].split()[0]) / 2**10


def maxrss_mib(usage: resource.struct_rusage) -> float:
    """Return ``ru_maxrss`` in MiB; macOS counts it in bytes, others in KiB."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
