"""Measuring and picturing a run."""

from __future__ import annotations

import json
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from monge import metrics, viz
from monge.data import FiniteSource, Pair, Source, load, most_likely
from monge.errors import MongeError
from monge.methods.protocols import Decoding, InvertibleMap, Matching, Method

from .checkpoint import write_atomically
from .codes import code_figures
from .dances import dance_figures, danced, holds_dances, picture_of_dances
from .diagnose import finite, mixture_of, raised
from .folder import RunFolder
from .lines import line_figures
from .maps import drawn, map_figures, optimality, origin, translated
from .recipe import EvalConfig, dump
from .scores import holds_scores, score_figures

_GRID = 80
_CLOUD = 2000
_NEIGHBOURS = 16  # pictures shown beside their nearest training pictures
_COMPARED, _TRAINING = 1000, 60_000  # samples, and training pictures to look for copies in
_LAST = ("step", "cpu_seconds", "wall_seconds", "gpu_seconds", "perplexity", "marginal_error")
_ROLLS = 12
_TRANSLATED, _COLUMNS = 24, 8
_CAPTIONS = {"neighbours": "neighbours: samples above, the nearest training picture below each"}
_DANCES = {
    "samples": "samples: a real dance to held-out music, one made to the same music, and others; below them the beats of both"
}


@torch.no_grad()
def evaluate(method: Method, source: Source, config: EvalConfig) -> dict[str, Any]:
    """Every figure that fits the data: exact W₂² with its floor always, mode coverage for mixtures, LeNet figures for digits,
    nearest training neighbours for pictures.

    A figure that does not exist, such as the ratio to a floor of 0, is left out. Over ``config.draws`` draws, ``modes`` is the
    least and everything else the mean.
    """
    figures, energies, reached, maps = [], [], [], []
    mixture = mixture_of(source)
    for seed in range(config.seed, config.seed + config.draws):
        samples, held_out = _cpu(drawn(method, source, config.samples, seed)), source.held_out(config.samples, seed)
        energies.append(metrics.energy_distance(samples, held_out))
        figures.append(metrics.w2_squared(samples, held_out, source.train(config.samples, seed)))
        if mixture is not None:
            reached.append(metrics.coverage(samples, mixture.centres, mixture.sigma))
        maps.append(map_figures(method, source, config.samples, seed))
    w2 = metrics.WithFloor(mean(f.value for f in figures), mean(f.floor for f in figures))
    found: dict[str, Any] = {
        "w2_squared": w2.value,
        "w2_squared_floor": w2.floor,
        "w2_ratio": w2.ratio,
        "energy_distance": mean(energies),
        "draws": config.draws,
        "samples": len(samples),
        "held_out": len(held_out),
    }
    if reached:
        modes, share = min(c.modes for c in reached), mean(c.share for c in reached)
        found |= {"modes": modes, "modes_total": reached[0].total, "share_within_3_sigma": share}
    found |= {name: mean(one[name] for one in maps) for name in maps[0]}
    found |= line_figures(method, source, config) | score_figures(method, source, config) | dance_figures(method, source, config)
    found |= optimality(method, source, config.samples, config.seed) | translated(method, source)
    if isinstance(source, FiniteSource) and metrics.has_lenet(source):
        found |= metrics.lenet_metrics(_cpu(drawn(method, source, config.lenet_samples, config.seed)), source)
        if isinstance(method, Decoding):
            found |= _decoders(method, source, config)
    found |= code_figures(method, source, config)
    if isinstance(method, Matching):
        found["cell_mass_error"] = method.cell_mass_error(source)
    if _has_neighbours(source):
        samples = _cpu(drawn(method, source, min(_COMPARED, config.samples), config.seed))
        copied = metrics.memorisation(samples, source.train(_TRAINING), source.held_out(_COMPARED))
        found |= {"nearest_train_ratio": copied.ratio, "nearest_train_copies": copied.copies}
    return finite(found)


def _decoders(method: Decoding, source: FiniteSource, config: EvalConfig) -> dict[str, float]:
    frechet, like = metrics.FrechetLeNet(source), next(method.parameters())  # type: ignore[attr-defined]
    held_out = source.held_out(config.lenet_samples).to(like)
    return {
        "frechet_lenet_baseline": frechet(_cpu(method.sample_baseline(config.lenet_samples, config.seed))),
        "frechet_lenet_reconstruction": frechet(_cpu(method.reconstruct(held_out))),
    }


def evaluate_run(folder: RunFolder, method: Method, source: Source) -> dict[str, Any]:
    """Write metrics.json, report.html and the pictures of a run; returns the metrics."""
    recipe, history = folder.recipe(), folder.history()
    found = evaluate(method, source, recipe.eval)
    last = history[-1] if history else {}
    found |= {k: last[k] for k in _LAST if k in last}
    if alarms := raised(history):
        found["warnings"] = [f"{_when(steps, len(history))}: {warning}" for warning, steps in alarms.items()]
    write_atomically(folder.metrics, (json.dumps(found, indent=2) + "\n").encode())
    draw_pictures(folder, method, source)
    if _has_neighbours(source):
        write_atomically(folder.neighbours, _neighbours(method, source))
    if history:
        write_atomically(folder.curves, viz.to_png(viz.curves(history)))
    files = [file for file in (folder.samples, folder.neighbours, folder.curves) if file.is_file()]
    captions = _CAPTIONS | (_DANCES if holds_dances(source) else {})
    pictures = {captions.get(file.stem, file.stem): file.read_bytes() for file in files}
    page = viz.report_page(recipe.about.title, dump(recipe), found, pictures)
    write_atomically(folder.report, page.encode())
    return found


def _when(steps: list[int], lines: int) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"from step {steps[0]}, in {len(steps)} of {lines} log lines"


def load_run(folder: RunFolder) -> tuple[Method, Source]:
    """Build the method of a run with its trained weights, and its data."""
    from .loop import build

    recipe = folder.recipe()
    source = load(recipe.data.name, recipe.data.root, recipe.data.size)
    method = build(recipe, source)
    try:
        method.load_state_dict(folder.load_weights())
    except RuntimeError as error:
        raise MongeError(f"{folder.weights} does not fit the networks of {folder.config}: train again with --fresh") from error
    return method, source


@torch.no_grad()
def draw_pictures(folder: RunFolder, method: Method, source: Source) -> None:
    """Write samples.png: a grid of pictures, a cloud over the data, or poses; the noise is the same every time."""
    if holds_dances(source):
        write_atomically(folder.samples, danced(method, source))
        return
    if isinstance(source, Pair) and len(source.shape) == 3 and isinstance(method, InvertibleMap):
        write_atomically(folder.samples, _translations(method, source))
        return
    n = _CLOUD if len(source.shape) == 1 else _GRID
    write_atomically(folder.samples, picture_of(_cpu(drawn(method, source, n)), source))


def _translations(method: Method, source: Source) -> bytes:
    """PNG of held-out pictures of the origin with what became of each below it."""
    x, moved = origin(source, _TRANSLATED, 0), _cpu(drawn(method, source, _TRANSLATED))
    rows = [part for pair in zip(x.split(_COLUMNS), moved.split(_COLUMNS), strict=True) for part in pair]
    return viz.grid_png(torch.cat(rows), columns=_COLUMNS)


def _has_neighbours(source: Source) -> bool:
    return isinstance(source, FiniteSource) and len(source.shape) == 3 and not holds_scores(source)


@torch.no_grad()
def _neighbours(method: Method, source: Source) -> bytes:
    """PNG of the first row of samples.png, not a choice, with the nearest training picture below each."""
    samples, train = _cpu(drawn(method, source, _GRID))[:_NEIGHBOURS], source.train(_TRAINING)
    _, index = metrics.nearest(samples, train)
    return viz.grid_png(torch.cat([samples, train[index]]), columns=_NEIGHBOURS)


def picture_of(samples: Tensor, source: Source) -> bytes:
    """PNG of samples: pictures in a grid, scores as piano rolls, dances as rows of poses, points as a cloud over the data."""
    if holds_dances(source):
        return picture_of_dances(samples, source)
    if holds_scores(source):
        return viz.to_png(viz.piano_rolls(most_likely(samples[:_ROLLS]), source.rate or 1))
    if len(source.shape) == 3:
        return viz.grid_png(samples)
    return viz.to_png(viz.clouds(samples, source.held_out(_CLOUD)))


def _cpu(samples: Tensor) -> Tensor:
    return samples.detach().float().cpu()
