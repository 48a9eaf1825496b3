"""Write the README's table from benchmarks/results/*.json; with --check, only say whether it is up to date."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- results: written by `make tables` -->", "<!-- end of results -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = README.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    made = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if args.check:
        if made != text:
            sys.exit("README.md does not show benchmarks/results: run 'make tables'")
        return
    README.write_text(made)


def table() -> str:
    rows = ["| recipe | figures | floor or reference | seeds | training |", "|---|---|---|---|---|"]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        result = json.loads(path.read_text())
        if "recipe" in result:
            rows.append(row(result))
    return "\n".join(rows)


def row(result: dict[str, Any]) -> str:
    s = result["summary"]
    name, seeds = result["recipe"], len(result["runs"])
    paper = yaml.safe_load((ROOT / "src/monge/recipes" / f"{name}.yaml").read_text())["about"]["paper"]
    cost = f"{s['cpu_seconds']['mean'] / 60:.1f} CPU-min, {s['peak_memory_mib']['mean']:.0f} MiB"
    if "frechet_lenet" in s:
        figures = (
            f"Fréchet-LeNet {shown(s, 'frechet_lenet', 1)}, KID-LeNet {shown(s, 'kid_lenet', 2)}, "
            f"confidence {shown(s, 'confidence', 3)}, classes {s['smallest_class']['mean']:.1%}–{s['largest_class']['mean']:.1%}"
        )
        gaussian = s["frechet_lenet_pixel_gaussian"]["mean"]
        floor = f"Fréchet {s['frechet_lenet_floor']['mean']:.1f} (train/test), {gaussian:.0f} (pixel Gaussian)"
    else:
        figures = f"W₂² {shown(s, 'w2_squared', 3)} = {shown(s, 'w2_ratio', 2)} × floor"
        if "modes" in s:
            worst = min(run["metrics"]["modes"] for run in result["runs"])
            figures += f", modes ≥ {worst}/{s['modes_total']['mean']:.0f}, within 3σ {shown(s, 'share_within_3_sigma', 3)}"
        floor = f"W₂² {s['w2_squared_floor']['mean']:.3f}"
    if "perplexity" in s:
        figures += f", plan-row perplexity {shown(s, 'perplexity', 2)}"
    return f"| `{name}`<br>{paper} | {figures} | {floor} | {seeds} | {cost} |"


def shown(summary: dict[str, Any], name: str, digits: int) -> str:
    mean, sd = summary[name]["mean"], summary[name]["sd"]
    return f"{mean:.{digits}f} ± {sd:.{digits}f}" if sd else f"{mean:.{digits}f}"


if __name__ == "__main__":
    main()
