"""Measuring and picturing a run."""

from __future__ import annotations

import json
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from monge import metrics, viz
from monge.data import TOYS, FiniteSource, Mixture, Source, load
from monge.errors import MongeError

from .checkpoint import write_atomically
from .contract import Method
from .folder import RunFolder
from .recipe import EvalConfig, dump

_GRID = 80
_CLOUD = 2000


@torch.no_grad()
def evaluate(method: Method, source: Source, config: EvalConfig) -> dict[str, Any]:
    """Every figure that fits the data: exact W₂² with its floor always, mode coverage for mixtures, LeNet figures for digits."""
    figures, energies = [], []
    for seed in range(config.seed, config.seed + config.draws):
        samples, held_out = _cpu(method.sample(config.samples, seed)), source.held_out(config.samples, seed)
        energies.append(metrics.energy_distance(samples, held_out))
        figures.append(metrics.w2_squared(samples, held_out, source.train(config.samples, seed)))
    w2, floor = mean(f.value for f in figures), mean(f.floor for f in figures)
    found: dict[str, Any] = {
        "w2_squared": w2,
        "w2_squared_floor": floor,
        "w2_ratio": w2 / floor,
        "energy_distance": mean(energies),
        "draws": config.draws,
        "samples": len(samples),
        "held_out": len(held_out),
    }
    toy = TOYS.get(source.name)
    if isinstance(toy, Mixture):
        reached = metrics.coverage(samples, toy.centres, toy.sigma)
        found |= {"modes": reached.modes, "modes_total": reached.total, "share_within_3_sigma": reached.share}
    if isinstance(source, FiniteSource) and source.name in metrics.LENET_DATA:
        found |= metrics.lenet_metrics(_cpu(method.sample(config.lenet_samples, config.seed)), source)
    return found


def evaluate_run(folder: RunFolder, method: Method, source: Source) -> dict[str, Any]:
    """Write metrics.json, curves.png and report.html of a run; returns the metrics."""
    recipe, history = folder.recipe(), folder.history()
    found = evaluate(method, source, recipe.eval)
    last = history[-1] if history else {}
    found |= {k: last[k] for k in ("step", "cpu_seconds", "wall_seconds", "perplexity", "marginal_error") if k in last}
    write_atomically(folder.metrics, (json.dumps(found, indent=2) + "\n").encode())
    draw_pictures(folder, method, source)
    if history:
        write_atomically(folder.curves, viz.to_png(viz.curves(history)))
    pictures = {p.stem: p.read_bytes() for p in (folder.samples, folder.curves) if p.is_file()}
    page = viz.report_page(recipe.about.title, dump(recipe), found, pictures)
    write_atomically(folder.report, page.encode())
    return found


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
    """Write samples.png: a grid of pictures, or a cloud over the data; the noise is the same every time."""
    write_atomically(folder.samples, picture_of(_cpu(method.sample(_CLOUD if len(source.shape) == 1 else _GRID)), source))


def picture_of(samples: Tensor, source: Source) -> bytes:
    """PNG of samples: pictures in a grid, points as a cloud over the data."""
    if len(source.shape) == 3:
        return viz.grid_png(samples)
    return viz.to_png(viz.clouds(samples, source.held_out(_CLOUD)))


def _cpu(samples: Tensor) -> Tensor:
    return samples.detach().float().cpu()
