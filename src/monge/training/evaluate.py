"""Measuring and picturing a run: what every method is measured by, and what the kind of the data
adds.
"""

from __future__ import annotations

import json
from statistics import mean as average
from typing import Any

import torch

from monge import metrics, plots
from monge.data import Dataset, SourceTarget, Subject, apply_map, kind_of, sample_source
from monge.data.subject import on_cpu
from monge.methods.protocols import Map, Matching
from monge.metrics import EvalConfig, Evaluator, Measured, Measures, Metric, evaluator
from monge.metrics.memorization import NEAREST
from monge.metrics.samples import ENERGY, W2
from monge.metrics.spec import flat, mean, references, sentence

from .checkpoint import write_atomically
from .codes import codes
from .diagnose import raised
from .folder import RunFolder
from .maps import inverse, optimality
from .recipe import dump

_GRID = 80
_CLOUD = 2000
_PAIRS = 24
_NEIGHBORS = 16  # samples shown beside their nearest training data
_TRAINING = 60_000  # data among which those are looked for
_BELOW = "neighbors: samples above, the nearest training picture below each"

SAMPLES = Metric("samples", "samples", brief=False)
HELD_OUT = Metric("held_out", "held-out samples", brief=False)
DRAWS = Metric("draws", "draws", brief=False)
CELL_MASS = Metric("cell_mass_error", "masses of cells off by", 1, "low", "%", 100)
PERPLEXITY = Metric("perplexity", "perplexity of a plan's row", 2, brief=False)
LAST = (  # what the last line of the log says
    Metric("step", "steps", brief=False),
    Metric("cpu_seconds", "CPU seconds of training", 1, brief=False),
    Metric("wall_seconds", "seconds of training", 1, brief=False),
    Metric("gpu_seconds", "GPU seconds of training", 1, brief=False),
    PERPLEXITY,
    Metric("marginal_error", "marginal error of plans", brief=False),
)


@evaluator(W2, SAMPLES, HELD_OUT, DRAWS)
def distance(subject: Subject) -> Measures:
    """Exact W₂² to held-out data with its floor, in the mean over the draws."""
    data, n = subject.data, subject.config.samples
    points = kind_of(data).as_points
    measured = []
    for seed in subject.seeds:
        made, held_out = subject.samples(n, seed), data.held_out(n, seed)
        measured.append(
            metrics.w2_squared(points(made), points(held_out), points(data.train(n, seed)))
        )
    counts = {SAMPLES: len(made), HELD_OUT: len(held_out), DRAWS: subject.config.draws}
    return {W2: mean(measured)} | {metric: Measured(count) for metric, count in counts.items()}


@evaluator(ENERGY, when=("end", "log"))
def energy(subject: Subject) -> Measures:
    """Unbiased energy distance to held-out data, in the mean over the draws."""
    n, points = subject.config.samples, kind_of(subject.data).as_points
    draws = ((subject.samples(n, seed), subject.data.held_out(n, seed)) for seed in subject.seeds)
    return {
        ENERGY: Measured(
            average(metrics.energy_distance(points(made), points(real)) for made, real in draws)
        )
    }


@evaluator(CELL_MASS, when=("end", "log"))
def masses(subject: Subject) -> Measures:
    """How unequal the masses are that a method gives to its targets."""
    if not isinstance(subject.method, Matching):
        return {}
    return {CELL_MASS: Measured(subject.method.cell_mass_error(subject.data))}


def evaluators(data: Dataset) -> tuple[Evaluator, ...]:
    """What is measured on a data set: of every method, and of this kind of data."""
    return distance, energy, *kind_of(data).evaluators, codes, inverse, optimality, masses


def known(data: Dataset) -> list[Metric]:
    """Every metric that may be measured on a data set, once, in the order of tables."""
    return list(dict.fromkeys(metric for one in evaluators(data) for metric in one.metrics))


class Evaluation(dict[str, Any]):
    """What was measured of a run: the content of ``metrics.json``, which also knows how its numbers
    are written.
    """

    def __init__(self, measures: Measures, warnings: list[str] | None = None) -> None:
        super().__init__(flat(measures) | ({"warnings": warnings} if warnings else {}))
        self.measures = measures

    def summary(self) -> str:
        """One line for each metric, then the warnings."""
        lines = [
            sentence(metric, measured) for metric, measured in self.measures.items() if metric.brief
        ]
        return "\n".join([*lines, *(f"warning: {text}" for text in self.get("warnings", ()))])


@torch.no_grad()
def evaluate(method: Any, data: Dataset, config: EvalConfig) -> Evaluation:
    """Everything that fits the method and the data."""
    return Evaluation(_measured(Subject(method, data, config)))


def _measured(subject: Subject) -> Measures:
    found: Measures = {}
    for one in evaluators(subject.data):
        if "end" in one.when:
            found |= one(subject)
    return found


@torch.no_grad()
def evaluate_run(folder: RunFolder, method: Any, data: Dataset) -> Evaluation:
    """Write metrics.json, report.html and the pictures of a run; returns the metrics."""
    recipe, history = folder.recipe(), folder.history()
    last = history[-1] if history else {}
    measures = _measured(Subject(method, data, recipe.eval))
    measures |= {metric: Measured(last[metric.key]) for metric in LAST if metric.key in last}
    found = Evaluation(
        measures,
        [f"{_when(steps, len(history))}: {warning}" for warning, steps in raised(history).items()],
    )
    write_atomically(folder.metrics, (json.dumps(found, indent=2) + "\n").encode())
    draw_pictures(folder, method, data)
    if NEAREST in measures:
        write_atomically(folder.neighbors, _neighbors(method, data))
    if history:
        write_atomically(folder.curves, plots.to_png(plots.curves(history)))
    captions = {"samples": folder.samples, _BELOW: folder.neighbors, "curves": folder.curves}
    pictures = {caption: file.read_bytes() for caption, file in captions.items() if file.is_file()}
    rows = [(metric.title, *_cells(metric, measured)) for metric, measured in measures.items()]
    page = plots.report_page(
        recipe.about.title, dump(recipe), rows, pictures, found.get("warnings", ())
    )
    write_atomically(folder.report, page.encode())
    return found


def _cells(metric: Metric, measured: Measured) -> tuple[str, str]:
    """Number, and what stands beside it."""
    around = [f"floor {metric.text(measured.floor)}"] if measured.floor is not None else []
    if metric.ratio and measured.floor:
        around.append(f"{metric.number(measured.ratio)} × floor")
    return metric.text(measured.value), ", ".join([*around, *references(metric, measured)])


def _when(steps: list[int], lines: int) -> str:
    return (
        f"step {steps[0]}"
        if len(steps) == 1
        else f"from step {steps[0]}, in {len(steps)} of {lines} log lines"
    )


@torch.no_grad()
def draw_pictures(folder: RunFolder, method: Any, data: Dataset) -> None:
    """Write samples.png; the noise is the same every time."""
    if isinstance(data, SourceTarget) and isinstance(method, Map) and len(data.shape) > 1:
        inputs, reference = (
            data.examples(_PAIRS, 0)
            if data.examples
            else (sample_source(data, _PAIRS, 0), data.held_out(_PAIRS))
        )
        picture = kind_of(data).show(on_cpu(apply_map(method, inputs)), reference, inputs)
    else:
        picture = picture_of(Subject(method, data, EvalConfig()).samples(shown(data)), data)
    write_atomically(folder.samples, picture)


def shown(data: Dataset) -> int:
    """How many samples fit well into one picture."""
    return _CLOUD if len(data.shape) == 1 else _GRID


def picture_of(samples: torch.Tensor, data: Dataset) -> bytes:
    """PNG of samples, as their kind is shown."""
    return kind_of(data).show(samples, data.held_out(shown(data)))


def _neighbors(method: Any, data: Dataset) -> bytes:
    """PNG of the first row of samples.png, not a choice, with the nearest training picture below
    each.
    """
    samples = Subject(method, data, EvalConfig()).samples(_GRID)[:_NEIGHBORS]
    train = data.train(_TRAINING)
    _, index = metrics.nearest(samples, train)
    return kind_of(data).show(train[index], train[:1], samples)
