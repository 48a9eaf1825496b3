"""Train a recipe on several seeds and write its metrics to benchmarks/results/NAME.json.

    python -m benchmarks reproduce ot-gan-25gaussians --seeds 0,1,2

An interrupted call continues where it stopped, and a finished run of the same recipe is not
repeated. The summary has means and sample standard deviations over the seeds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.command import add_seeds, make_parser
from benchmarks.common.cost import maxrss_mib
from benchmarks.common.paths import REPRODUCED, RESULTS, reproduced_run, shown_path
from benchmarks.common.provenance import provenance
from benchmarks.common.results import mean_and_deviation, write_result
from monge.training import RunFolder, find, read


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("reproduce", __doc__)
    parser.add_argument("recipe")
    add_seeds(parser)
    parser.add_argument("--runs", type=Path, default=REPRODUCED, help="folder of the run folders")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    args = parser.parse_args(argv)
    origin = provenance()
    runs = [train_seed(args.recipe, seed, args.runs.resolve()) for seed in args.seeds]
    target = args.results / f"{args.recipe}.json"
    write_result(
        target, {"recipe": args.recipe, "summary": summarize(runs), "runs": runs, **origin}
    )
    print(f"wrote {shown_path(target)}")


def train_seed(recipe: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one seed, unless its run is finished; return its metrics and peak memory."""
    out = reproduced_run(recipe, seed, folder)
    note = out / "peak_memory_mib"
    if not (note.is_file() and has_same_recipe(recipe, seed, out)):
        command = [sys.executable, "-m", "monge", "train", recipe]
        command += ["--run.seed", str(seed), "--run.out", str(out)]
        child = subprocess.Popen(command)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} failed")
        note.write_text(f"{round(maxrss_mib(usage))}\n")
    metrics = json.loads((out / "metrics.json").read_text())
    return {"seed": seed, "peak_memory_mib": int(note.read_text()), "metrics": metrics}


def has_same_recipe(name: str, seed: int, out: Path) -> bool:
    """Return whether a finished run trained what the recipe is now; ``about`` does not count."""
    wanted, stored = read(find(name)), RunFolder(out).recipe()
    run = wanted.run.model_copy(update={"seed": seed, "out": str(out)})
    return wanted.model_copy(update={"run": run, "about": stored.about, "presets": {}}) == stored


def summarize(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of every metric, and the mean peak memory."""
    summary = {
        name: mean_and_deviation([run["metrics"][name] for run in runs])
        for name, value in runs[0]["metrics"].items()
        if isinstance(value, int | float)
    }
    memory = statistics.mean(run["peak_memory_mib"] for run in runs)
    return summary | {"peak_memory_mib": {"mean": memory, "sd": 0.0}}
