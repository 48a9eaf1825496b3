"""Train a recipe on several seeds and write its figures to benchmarks/results/NAME.json.

    python benchmarks/reproduce.py ot-gan-25gaussians --seeds 0,1,2

An interrupted call continues where it stopped, and a finished run of the same recipe is not
repeated. Figures are means and sample standard deviations over the seeds.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from monge.training import RunFolder, find, read

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    args = parser.parse_args()
    around = surroundings()  # before the runs: what is in src then is what they train
    runs = [one_run(args.recipe, int(seed)) for seed in args.seeds.split(",")]
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"recipe": args.recipe, "summary": summary(runs), "runs": runs, **around}
    target = RESULTS / f"{args.recipe}.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {target.relative_to(ROOT)}")


def one_run(recipe: str, seed: int) -> dict[str, Any]:
    out = ROOT / "runs" / "reproduce" / f"{recipe}-seed{seed}"
    command = [
        sys.executable,
        "-m",
        "monge",
        "train",
        recipe,
        "--run.seed",
        str(seed),
        "--run.out",
        str(out),
    ]
    note = out / "peak_memory_mib"
    if not (note.is_file() and same_recipe(recipe, seed, out)):
        child = subprocess.Popen(command)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} failed")
        # ru_maxrss is in bytes there, in KiB elsewhere
        scale = 1 if sys.platform == "darwin" else 1024
        note.write_text(f"{round(usage.ru_maxrss * scale / 2**20)}\n")
    metrics = json.loads((out / "metrics.json").read_text())
    return {"seed": seed, "peak_memory_mib": int(note.read_text()), "metrics": metrics}


def same_recipe(name: str, seed: int, out: Path) -> bool:
    """Whether a finished run trained what the recipe now says; words about it do not count."""
    wanted, stored = read(find(name)), RunFolder(out).recipe()
    run = wanted.run.model_copy(update={"seed": seed, "out": str(out)})
    return wanted.model_copy(update={"run": run, "about": stored.about, "presets": {}}) == stored


def summary(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    found = {}
    for name, value in runs[0]["metrics"].items():
        if isinstance(value, int | float):
            values = [run["metrics"][name] for run in runs]
            found[name] = {
                "mean": statistics.mean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
            }
    found["peak_memory_mib"] = {
        "mean": statistics.mean(run["peak_memory_mib"] for run in runs),
        "sd": 0.0,
    }
    return found


def surroundings() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "src"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": {
            "processor": processor(),
            "cores": cores,
            "threads": int(os.environ.get("OMP_NUM_THREADS", cores or 1)),
            "gpu": None,
            "python": platform.python_version(),
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": commit + ("-dirty" if dirty else ""),
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
