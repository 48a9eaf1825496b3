"""Tables of recipes: a row for each, with its metrics beside their floors."""

from __future__ import annotations

from typing import Any

import yaml

from benchmarks.common.markdown import cpu_minutes, header, row, with_deviation
from benchmarks.common.paths import DOCS, ROOT
from benchmarks.common.results import Result
from monge.metrics import Metric, transport
from monge.metrics.filters import FORWARD
from monge.metrics.filters import INVERSE as BACK
from monge.metrics.lenet import (
    CONFIDENCE,
    FRECHET,
    KID,
    LARGEST_CLASS,
    OF_FITTED,
    OF_RECONSTRUCTIONS,
    SMALLEST_CLASS,
)
from monge.metrics.samples import MODES, ON_MODES, W2
from monge.metrics.transport import CYCLE, L2_UVP
from monge.training.evaluate import CELL_MASS, PERPLEXITY

METHOD_PAGES = DOCS / "methods"
OF_PICTURES = (
    KID,
    CONFIDENCE,
    SMALLEST_CLASS,
    LARGEST_CLASS,
    OF_FITTED,
    OF_RECONSTRUCTIONS,
    CELL_MASS,
    PERPLEXITY,
)
OF_POINTS = (MODES, ON_MODES, transport.INVERSE, CYCLE, FORWARD, BACK, L2_UVP, PERPLEXITY)
REFERENCES = {
    FRECHET: (("floor", "frechet_lenet_floor"), ("pixel Gaussian", "frechet_lenet_pixel_gaussian")),
    W2: (("floor", "w2_squared_floor"),),
}


def role_of(result: Result) -> str:
    """Return ``"autoencoder"``, ``"map"`` or ``"generator"``, by what was measured."""
    metrics = result["summary"].keys()
    if "reconstruction_error" in metrics:
        return "autoencoder"
    if metrics & {"w2_inverse", "l2_uvp", "frechet_lenet_baseline"}:
        return "map"
    return "generator"


def read_recipe(name: str) -> dict[str, Any]:
    """Return a shipped recipe as it is written."""
    tree: dict[str, Any] = yaml.safe_load((ROOT / f"src/monge/recipes/{name}.yaml").read_text())
    return tree


def recipes(results: Result) -> str:
    """A row for each recipe."""
    table = header(["recipe", "metrics", "floor or reference", "seeds", "training"])
    return "\n".join([*table, *map(recipe_row, results.values())])


def recipe_row(result: Result) -> str:
    s, name = result["summary"], result["recipe"]
    leading = FRECHET if FRECHET.key in s else W2
    others = OF_PICTURES if leading is FRECHET else OF_POINTS
    metrics = [leading, *(metric for metric in others if metric.key in s)]
    values = ", ".join(f"{metric.title} {value_with_references(s, metric)}" for metric in metrics)
    floors = [f"{word} {s[key]['mean']:.3g}" for word, key in REFERENCES[leading] if key in s]
    memory = f"{s['peak_memory_mib']['mean']:.0f} MiB"
    cells = [
        f"`{name}`<br>{read_recipe(name)['about']['paper']}",
        values,
        ", ".join(floors),
        str(len(result["runs"])),
        f"{cpu_minutes(s['cpu_seconds']['mean'])}, {memory}",
    ]
    return row(cells)


def value_with_references(summary: Result, metric: Metric) -> str:
    """A value with its deviation and unit; one with a ratio as a multiple of its floor."""
    if metric.ratio:
        return f"{summary[metric.key]['mean']:.4g} = {cell(summary, metric)} × floor"
    names = [name for name in ("ratio", "total", "unmoved") if metric.suffixed(name) in summary]
    beside = [f"{name} {summary[metric.suffixed(name)]['mean']:.3g}" for name in names]
    if "unmoved" in names:
        beside.append(f"floor {summary[metric.suffixed('floor')]['mean']:.2f}")
    value = f"{cell(summary, metric)} {metric.unit}".rstrip()
    return value + (f" ({', '.join(beside)})" if beside else "")


def cell(summary: Result, metric: Metric) -> str:
    """A value with its deviation over the seeds, in the decimals of the metric."""
    digits = ".4g" if metric.decimals is None else metric.decimals
    return with_deviation(summary[metric.ratio or metric.key], digits, metric.scale)
