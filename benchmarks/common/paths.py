"""Where the repository and its parts are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
RUNS = ROOT / "runs"
REPRODUCED = RUNS / "reproduce"


def reproduced_run(recipe: str, seed: int, folder: Path = REPRODUCED) -> Path:
    """Return the run folder in which ``reproduce`` trains a recipe."""
    return folder / f"{recipe}-seed{seed}"


def shown_path(path: Path) -> str:
    """Return a path as messages name it: from the root of the repository, if it is below it."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
