"""How real the middles of the three kinds of path are; writes
benchmarks/results/interpolation-paths.json.

    python benchmarks/paths.py ae-mnist,acai-mnist,acai-wwae-mnist --seeds 0,1,2

Takes the finished runs of benchmarks/reproduce.py: middles of 5,000 random held-out pairs, their
Fréchet-LeNet to held-out digits and the LeNet's confidence. ``map`` is transport through a map that
learns each run's codes for 500 steps.
"""

from __future__ import annotations

import argparse
import json
import statistics

import torch
from reproduce import RESULTS, ROOT, surroundings

from monge import metrics
from monge.data.evaluators import random_pairs
from monge.interpolate import Interpolator
from monge.training import RunFolder, load_run

_PAIRS, _CODES, _STEPS = 5000, 20_000, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", help="comma-separated")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    found = {}
    for recipe in args.recipes.split(","):
        runs = [middles(recipe, seed) for seed in seeds]
        found[recipe] = {
            path: {
                name: statistics.mean(run[path][name] for run in runs)
                for name in ("frechet_lenet", "confidence")
            }
            for path in runs[0]
        }
    result = {"paths": found, "pairs": _PAIRS, "seeds": seeds, **surroundings()}
    (RESULTS / "interpolation-paths.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def middles(recipe: str, seed: int) -> dict[str, dict[str, float]]:
    """Fréchet distance and confidence of what is decoded half-way, for each path."""
    method, source = load_run(RunFolder(ROOT / "runs" / "reproduce" / f"{recipe}-seed{seed}"))
    autoencoder = method.autoencoder
    frechet = metrics.FrechetLeNet(source)  # type: ignore[arg-type]
    z = autoencoder.encode_all(source.held_out(_PAIRS))
    codes = autoencoder.encode_all(source.train(_CODES))
    plain, mapped = Interpolator(method, codes), Interpolator(method, codes, steps=_STEPS)
    a, b = random_pairs(len(z), seed)
    paths = {
        mode: plain.path(z[a], z[b], 3, mode)[:, 1] for mode in ("linear", "slerp", "transport")
    }
    paths |= {"map": mapped.path(z[a], z[b], 3, "transport")[:, 1], "reconstructions": z}
    found = {}
    for name, middle in paths.items():
        with torch.no_grad():
            pictures = autoencoder.decode_all(middle.detach())
            confidence = frechet.lenet(pictures)[1].amax(1).mean().item()
        found[name] = {"frechet_lenet": frechet(pictures), "confidence": confidence}
    return found


if __name__ == "__main__":
    main()
