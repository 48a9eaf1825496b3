"""Midpoints of the three kinds of path; writes results/interpolation-paths.json.

    python -m benchmarks interpolation-paths ae-mnist,acai-mnist,acai-wwae-mnist --seeds 0,1,2

Takes the finished runs of ``reproduce``: midpoints of 5,000 random held-out pairs, their
Fréchet-LeNet to held-out digits and the LeNet's confidence. ``map`` is transport through a map that
learns each run's codes for 500 steps.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

import torch

from benchmarks.common.command import add_seeds, make_parser, words
from benchmarks.common.paths import reproduced_run
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result
from monge import metrics
from monge.data import FiniteDataset
from monge.data.evaluators import random_pairs
from monge.interpolate import Interpolator, Mode
from monge.training import RunFolder, load_run

_PAIRS, _CODES, _STEPS = 5000, 20_000, 500
_METRICS = ("frechet_lenet", "confidence")


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("interpolation-paths", __doc__)
    parser.add_argument("recipes", type=words, help="comma-separated")
    add_seeds(parser)
    args = parser.parse_args(argv)
    paths = {}
    for recipe in args.recipes:
        runs = [measure_midpoints(recipe, seed) for seed in args.seeds]
        paths[recipe] = {
            path: {name: statistics.mean(run[path][name] for run in runs) for name in _METRICS}
            for path in runs[0]
        }
    result = {"paths": paths, "pairs": _PAIRS, "seeds": args.seeds, **provenance()}
    write_result(results_file("interpolation-paths"), result)
    print(json.dumps(paths, indent=2))


def measure_midpoints(recipe: str, seed: int) -> dict[str, dict[str, float]]:
    """Return Fréchet distance and confidence of the decoded midpoints of each path."""
    method, source = load_run(RunFolder(reproduced_run(recipe, seed)))
    autoencoder = method.autoencoder
    assert isinstance(source, FiniteDataset)
    frechet = metrics.FrechetLeNet(source)
    z = autoencoder.encode_all(source.held_out(_PAIRS))
    codes = autoencoder.encode_all(source.train(_CODES))
    plain, mapped = Interpolator(method, codes), Interpolator(method, codes, steps=_STEPS)
    a, b = random_pairs(len(z), seed)
    modes: tuple[Mode, ...] = ("linear", "slerp", "transport")
    paths: dict[str, torch.Tensor] = {mode: plain.path(z[a], z[b], 3, mode)[:, 1] for mode in modes}
    paths |= {"map": mapped.path(z[a], z[b], 3, "transport")[:, 1], "reconstructions": z}
    result = {}
    for name, middle in paths.items():
        with torch.no_grad():
            pictures = autoencoder.decode_all(middle.detach())
            confidence = frechet.lenet(pictures)[1].amax(1).mean().item()
        result[name] = {"frechet_lenet": frechet(pictures), "confidence": confidence}
    return result
