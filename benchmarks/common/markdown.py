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


def with_provenance(table: str, *results: Mapping[str, Any] | None) -> str:
    """Add a sentence to a table if some of its results come from an uncommitted tree."""
    commits = [commit for result in results for commit in _commits(result)]
    stale = sum(commit.endswith("-dirty") for commit in commits)
    if not stale:
        return table
    share = "" if stale == len(commits) else f" ({stale} of {len(commits)} results)"
    return f"{table}\n\nMeasured with uncommitted changes{share}; to be measured again."


def _commits(tree: Any) -> list[str]:
    """Return the commits at all levels of a result."""
    if isinstance(tree, Mapping):
        own = [str(tree["commit"])] if "commit" in tree else []
        return own + [commit for value in tree.values() for commit in _commits(value)]
    if isinstance(tree, list):
        return [commit for value in tree for commit in _commits(value)]
    return []


def machine_line(result: Mapping[str, Any]) -> str:
    """Return the processor and the number of threads of a result, as a sentence."""
    machine = result["machine"]
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
    return f"{machine['processor']}, {threads}."
