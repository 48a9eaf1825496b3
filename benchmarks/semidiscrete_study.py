"""What ε does to a semi-discrete generator; writes results/semi-discrete-epsilon.json and
docs/semi-discrete-epsilon.png.

    python benchmarks/semidiscrete_study.py --seed 0 --steps 2000
    python benchmarks/semidiscrete_study.py --figure        # from the results and the finished runs

The recipe semi-discrete-mnist at ε ∈ {0, .005, .01, .05, .1}, in units of mean |y|², the Sinkhorn
divergence at the largest, and the cost of bare pixels, without the recipe's contrast, at ε = 0. An
interrupted call continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from reproduce import RESULTS, ROOT, surroundings

from monge import plots
from monge.training import RunFolder, load_run

RECIPE = "semi-discrete-mnist"
SETTINGS: dict[str, dict[str, Any]] = {
    **{f"ε = {epsilon:g}": {"epsilon": epsilon} for epsilon in (0.0, 0.005, 0.01, 0.05, 0.1)},
    "ε = 0.1, debiased": {"epsilon": 0.1, "debias": True},
    "ε = 0, pixels": {"epsilon": 0.0, "contrast": 1.0},
}
FIGURES = (
    "frechet_lenet",
    "cell_mass_error",
    "smallest_class",
    "confidence",
    "recall_lenet",
    "nearest_train_ratio",
)
RESULT = RESULTS / "semi-discrete-epsilon.json"
PICTURE = ROOT / "docs" / "semi-discrete-epsilon.png"
_SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, default=2000, help="of each run; the recipe has five times as many"
    )
    parser.add_argument("--figure", action="store_true", help="only draw")
    args = parser.parse_args()
    if not args.figure:
        around = surroundings()
        runs = [one_run(name, args.seed, args.steps) for name in SETTINGS]
        RESULT.write_text(
            json.dumps(
                {
                    "study_of": RECIPE,
                    "seed": args.seed,
                    "steps": args.steps,
                    "runs": runs,
                    **around,
                },
                indent=2,
            )
            + "\n"
        )
    result = json.loads(RESULT.read_text())
    PICTURE.write_bytes(plots.to_png(drawn(result["runs"], result["seed"], result["steps"])))
    print(f"wrote {PICTURE.relative_to(ROOT)}")


def place(name: str, seed: int, steps: int) -> Path:
    settings = "-".join(f"{key}-{value}" for key, value in SETTINGS[name].items())
    return ROOT / "runs" / "study" / f"{RECIPE}-{settings}-seed{seed}-{steps}"


def one_run(name: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one setting, unless its folder is finished; its figures."""
    out = place(name, seed, steps)
    if not (out / "metrics.json").is_file():
        flags = ["--run.seed", str(seed), "--run.steps", str(steps), "--run.out", str(out)]
        for key, value in SETTINGS[name].items():
            flags += [f"--method.{key}", str(value)]
        subprocess.run([sys.executable, "-m", "monge", "train", RECIPE, *flags], check=True)
    metrics = json.loads((out / "metrics.json").read_text())
    return {
        "name": name,
        **SETTINGS[name],
        **{figure: metrics[figure] for figure in (*FIGURES, "cpu_seconds")},
    }


@torch.no_grad()
def drawn(runs: list[dict[str, Any]], seed: int, steps: int) -> Figure:
    """The first samples of each setting, not a choice, with its figures beside them."""
    figure = Figure(figsize=(9, 0.85 * len(runs)), layout="constrained")
    for axis, run in zip(figure.subplots(len(runs), 1, squeeze=False)[:, 0], runs, strict=True):
        method, _ = load_run(RunFolder(place(run["name"], seed, steps)))
        axis.imshow(plots.grid(method.sample(_SHOWN), columns=_SHOWN))
        said = (
            f"{run['name']}\nFréchet {run['frechet_lenet']:.0f}, masses ± "
            f"{run['cell_mass_error']:.0%}"
        )
        axis.set_ylabel(said, rotation=0, ha="right", va="center", fontsize=9)
        axis.set(xticks=[], yticks=[])
    return figure


if __name__ == "__main__":
    main()
