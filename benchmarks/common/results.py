"""Files of results, and means over runs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.paths import RESULTS

Result = dict[str, Any]


def results_file(name: str) -> Path:
    """Return the file in which the results of a benchmark or recipe are stored."""
    return RESULTS / f"{name}.json"


def load_result(name: str) -> Result | None:
    """Return the stored results of a benchmark or recipe, or None if there are none."""
    return read_result(results_file(name), None)


def read_result(path: Path, default: Any) -> Any:
    """Read a file of results, or return the default if it does not exist."""
    return json.loads(path.read_text()) if path.is_file() else default


def write_result(path: Path, result: Result, indent: int = 2) -> None:
    """Write a file of results; an interruption leaves the former file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".tmp")
    new.write_text(json.dumps(result, indent=indent, ensure_ascii=False) + "\n")
    new.replace(path)


def add_row(
    rows: Result, key: str, row: Result, result: Result, origin: Result, path: Path
) -> None:
    """Store one row with the commit of its ``origin``, see `provenance`, and write the file.

    ``rows`` is the part of ``result`` that the row belongs to; machine and versions of the latest
    row are those of the file.
    """
    rows[key] = row | {"commit": origin["commit"]}
    result |= {name: value for name, value in origin.items() if name != "commit"}
    write_result(path, result)


def mean_and_deviation(values: Sequence[float]) -> dict[str, float]:
    """Return ``mean`` and sample standard deviation ``sd``, which is 0 for one value."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "sd": deviation}
