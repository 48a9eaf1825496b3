"""The effect of ε on a semi-discrete generator.

    python -m benchmarks semi-discrete-epsilon --seed 0 --steps 2000
    python -m benchmarks semi-discrete-epsilon --figure   # from the results and the finished runs

Writes results/semi-discrete-epsilon.json and docs/semi-discrete-epsilon.png. The recipe
semi-discrete-mnist is trained at ε ∈ {0, .005, .01, .05, .1}, in units of mean |y|², with the
Sinkhorn divergence at the largest, and with the cost of bare pixels, without the recipe's contrast,
at ε = 0. An interrupted call continues where it stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from benchmarks.common.command import make_parser
from benchmarks.common.paths import DOCS, RUNS, shown_path
from benchmarks.common.provenance import provenance
from benchmarks.common.results import read_result, results_file, write_result
from monge import plots
from monge.training import RunFolder, load_run

RECIPE = "semi-discrete-mnist"
SETTINGS: dict[str, dict[str, Any]] = {
    **{f"ε = {epsilon:g}": {"epsilon": epsilon} for epsilon in (0.0, 0.005, 0.01, 0.05, 0.1)},
    "ε = 0.1, debiased": {"epsilon": 0.1, "debias": True},
    "ε = 0, pixels": {"epsilon": 0.0, "contrast": 1.0},
}
METRICS = (
    "frechet_lenet",
    "cell_mass_error",
    "smallest_class",
    "confidence",
    "recall_lenet",
    "nearest_train_ratio",
    "cpu_seconds",
)
FIGURE = DOCS / "semi-discrete-epsilon.png"
_SAMPLES = 12


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("semi-discrete-epsilon", __doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, default=2000, help="of each run; the recipe has five times as many"
    )
    parser.add_argument("--figure", action="store_true", help="only draw")
    args = parser.parse_args(argv)
    path = results_file("semi-discrete-epsilon")
    if not args.figure:
        origin = provenance()
        runs = [train_setting(name, args.seed, args.steps) for name in SETTINGS]
        about = {"study_of": RECIPE, "seed": args.seed, "steps": args.steps}
        write_result(path, {**about, "runs": runs, **origin})
    result = read_result(path, None)
    FIGURE.write_bytes(plots.to_png(draw_samples(result["runs"], result["seed"], result["steps"])))
    print(f"wrote {shown_path(FIGURE)}")


def run_folder(name: str, seed: int, steps: int) -> Path:
    settings = "-".join(f"{key}-{value}" for key, value in SETTINGS[name].items())
    return RUNS / "study" / f"{RECIPE}-{settings}-seed{seed}-{steps}"


def train_setting(name: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one setting, unless its run is finished; return its metrics."""
    out = run_folder(name, seed, steps)
    if not (out / "metrics.json").is_file():
        flags = ["--run.seed", str(seed), "--run.steps", str(steps), "--run.out", str(out)]
        for key, value in SETTINGS[name].items():
            flags += [f"--method.{key}", str(value)]
        subprocess.run([sys.executable, "-m", "monge", "train", RECIPE, *flags], check=True)
    metrics = json.loads((out / "metrics.json").read_text())
    return {"name": name, **SETTINGS[name], **{key: metrics[key] for key in METRICS}}


@torch.no_grad()
def draw_samples(runs: list[dict[str, Any]], seed: int, steps: int) -> Figure:
    """Draw the first samples of each setting, which are not selected, beside its metrics."""
    figure = Figure(figsize=(9, 0.85 * len(runs)), layout="constrained")
    for axis, run in zip(figure.subplots(len(runs), 1, squeeze=False)[:, 0], runs, strict=True):
        method, _ = load_run(RunFolder(run_folder(run["name"], seed, steps)))
        axis.imshow(plots.grid(method.sample(_SAMPLES), columns=_SAMPLES))
        frechet, error = run["frechet_lenet"], run["cell_mass_error"]
        text = f"{run['name']}\nFréchet {frechet:.0f}, masses ± {error:.0%}"
        axis.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9)
        axis.set(xticks=[], yticks=[])
    return figure
