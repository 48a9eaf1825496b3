"""Evaluation of a run: metrics, pictures and report."""

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
from .diagnose import logged_warnings
from .folder import RunFolder
from .maps import inverse, optimality
from .recipe import dump

_PICTURES = 80  # samples in a picture
_POINTS = 2000  # the same for points
_PAIRS = 24  # images of a map in a picture
_NEIGHBORS = 16  # samples shown beside their nearest training data
_TRAINING = 60_000  # training samples that are searched for them
_BELOW = "neighbors: samples above, the nearest training picture below each"

SAMPLES = Metric("samples", "samples", brief=False)
HELD_OUT = Metric("held_out", "held-out samples", brief=False)
DRAWS = Metric("draws", "draws", brief=False)
CELL_MASS = Metric("cell_mass_error", "masses of cells off by", 1, "low", "%", 100)
PERPLEXITY = Metric("perplexity", "perplexity of a plan's row", 2, brief=False)
LAST = (  # from the last line of the log
    Metric("step", "steps", brief=False),
    Metric("cpu_seconds", "CPU seconds of training", 1, brief=False),
    Metric("wall_seconds", "seconds of training", 1, brief=False),
    Metric("gpu_seconds", "GPU seconds of training", 1, brief=False),
    PERPLEXITY,
    Metric("marginal_error", "marginal error of plans", brief=False),
)


@evaluator(W2, SAMPLES, HELD_OUT, DRAWS)
def distance(subject: Subject) -> Measures:
    """Measure the exact W₂² to held-out data with its floor, averaged over the draws."""
    data, n = subject.data, subject.config.samples
    points = kind_of(data).as_points
    measured = []
    for seed in subject.seeds:
        samples, held_out = subject.samples(n, seed), data.held_out(n, seed)
        reference = points(data.train(n, seed))
        measured.append(metrics.w2_squared(points(samples), points(held_out), reference))
    counts = {SAMPLES: len(samples), HELD_OUT: len(held_out), DRAWS: subject.config.draws}
    return {W2: mean(measured)} | {metric: Measured(count) for metric, count in counts.items()}


@evaluator(ENERGY, when=("end", "log"))
def energy(subject: Subject) -> Measures:
    """Measure the unbiased energy distance to held-out data, averaged over the draws."""
    n, points = subject.config.samples, kind_of(subject.data).as_points
    distances = []
    for seed in subject.seeds:
        samples, held_out = subject.samples(n, seed), subject.data.held_out(n, seed)
        distances.append(metrics.energy_distance(points(samples), points(held_out)))
    return {ENERGY: Measured(average(distances))}


@evaluator(CELL_MASS, when=("end", "log"))
def masses(subject: Subject) -> Measures:
    """Measure how unequal the masses are that a method assigns to its targets."""
    if not isinstance(subject.method, Matching):
        return {}
    return {CELL_MASS: Measured(subject.method.cell_mass_error(subject.data))}


def evaluators(data: Dataset) -> tuple[Evaluator, ...]:
    """Return the evaluators for a data set: those of every method, and those of its kind."""
    return distance, energy, *kind_of(data).evaluators, codes, inverse, optimality, masses


def known_metrics(data: Dataset) -> list[Metric]:
    """Return all metrics that can be measured on a data set, in the order of tables."""
    return list(dict.fromkeys(metric for one in evaluators(data) for metric in one.metrics))


class Evaluation(dict[str, Any]):
    """The metrics of a run: the content of ``metrics.json``, with the format of its numbers."""

    def __init__(self, measures: Measures, warnings: list[str] | None = None) -> None:
        super().__init__(flat(measures) | ({"warnings": warnings} if warnings else {}))
        self.measures = measures

    def summary(self) -> str:
        """Return one line of text for each metric and each warning."""
        lines = [sentence(metric, value) for metric, value in self.measures.items() if metric.brief]
        return "\n".join([*lines, *(f"warning: {text}" for text in self.get("warnings", ()))])


@torch.no_grad()
def evaluate(method: Any, data: Dataset, config: EvalConfig) -> Evaluation:
    """Measure all metrics that apply to the method and the data."""
    return Evaluation(_measure(Subject(method, data, config)))


def _measure(subject: Subject) -> Measures:
    measures: Measures = {}
    for one in evaluators(subject.data):
        if "end" in one.when:
            measures |= one(subject)
    return measures


@torch.no_grad()
def evaluate_run(folder: RunFolder, method: Any, data: Dataset) -> Evaluation:
    """Write metrics.json, report.html and the pictures of a run; returns the metrics."""
    recipe, history = folder.recipe(), folder.history()
    last = history[-1] if history else {}
    measures = _measure(Subject(method, data, recipe.eval))
    measures |= {metric: Measured(last[metric.key]) for metric in LAST if metric.key in last}
    warnings = [
        f"{_describe_steps(steps, len(history))}: {warning}"
        for warning, steps in logged_warnings(history).items()
    ]
    evaluation = Evaluation(measures, warnings)
    write_atomically(folder.metrics, (json.dumps(evaluation, indent=2) + "\n").encode())
    draw_pictures(folder, method, data)
    if NEAREST in measures:
        write_atomically(folder.neighbors, _neighbors(method, data))
    if history:
        write_atomically(folder.curves, plots.to_png(plots.curves(history)))
    captions = {"samples": folder.samples, _BELOW: folder.neighbors, "curves": folder.curves}
    pictures = {caption: file.read_bytes() for caption, file in captions.items() if file.is_file()}
    rows = [(metric.title, *_cells(metric, measured)) for metric, measured in measures.items()]
    page = plots.report_page(recipe.about.title, dump(recipe), rows, pictures, warnings)
    write_atomically(folder.report, page.encode())
    return evaluation


def _cells(metric: Metric, measured: Measured) -> tuple[str, str]:
    """Return the number, and its floor and references."""
    parts = [f"floor {metric.text(measured.floor)}"] if measured.floor is not None else []
    if metric.ratio and measured.floor:
        parts.append(f"{metric.number(measured.ratio)} × floor")
    return metric.text(measured.value), ", ".join([*parts, *references(metric, measured)])


def _describe_steps(steps: list[int], lines: int) -> str:
    if len(steps) == 1:
        return f"step {steps[0]}"
    return f"from step {steps[0]}, in {len(steps)} of {lines} log lines"


@torch.no_grad()
def draw_pictures(folder: RunFolder, method: Any, data: Dataset) -> None:
    """Write samples.png, with the same noise every time."""
    if isinstance(data, SourceTarget) and isinstance(method, Map) and len(data.shape) > 1:
        if data.examples:
            inputs, reference = data.examples(_PAIRS, 0)
        else:
            inputs, reference = sample_source(data, _PAIRS, 0), data.held_out(_PAIRS)
        picture = kind_of(data).show(on_cpu(apply_map(method, inputs)), reference, inputs)
    else:
        samples = Subject(method, data, EvalConfig()).samples(_samples_in_picture(data))
        picture = picture_of(samples, data)
    write_atomically(folder.samples, picture)


def _samples_in_picture(data: Dataset) -> int:
    return _POINTS if len(data.shape) == 1 else _PICTURES


def picture_of(samples: torch.Tensor, data: Dataset) -> bytes:
    """Return a PNG of samples of a data set."""
    return kind_of(data).show(samples, data.held_out(_samples_in_picture(data)))


def _neighbors(method: Any, data: Dataset) -> bytes:
    """Return a PNG of the first row of samples.png, with the nearest training pictures below it."""
    samples = Subject(method, data, EvalConfig()).samples(_PICTURES)[:_NEIGHBORS]
    train = data.train(_TRAINING)
    _, index = metrics.nearest(samples, train)
    return kind_of(data).show(train[index], train[:1], samples)
