"""Markdown tables and what stands in their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOT_MEASURED = "Not measured yet."


def row(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(cells) + " |"


def header(cells: Sequence[str]) -> list[str]:
    """Return the first two lines of a table."""
    return [row(cells), "|---" * len(cells) + "|"]


def with_deviation(summary: Mapping[str, float], digits: int | str, scale: float = 1.0) -> str:
    """Return ``mean ± sd``, or the mean alone where the deviation is 0.

    ``digits`` are decimals or a format, such as ``".4g"``; both numbers are multiplied by
    ``scale``.
    """
    style = f".{digits}f" if isinstance(digits, int) else digits
    mean, deviation = scale * summary["mean"], scale * summary["sd"]
    return f"{mean:{style}} ± {deviation:{style}}" if deviation else f"{mean:{style}}"


def cpu_minutes(seconds: float) -> str:
    """Return CPU time as tables show it, e.g. ``2.6 CPU-min``."""
    return f"{seconds / 60:.1f} CPU-min"


def machine_line(result: Mapping[str, Any]) -> str:
    """Return the processor and the number of threads of a result, as a sentence."""
    machine = result["machine"]
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
    return f"{machine['processor']}, {threads}."
