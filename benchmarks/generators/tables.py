"""Tables of generators: 25 Gaussians, MNIST, and the effect of ε on semi-discrete ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.common.markdown import (
    NOT_MEASURED,
    cpu_minutes,
    header,
    machine_line,
    row,
)
from benchmarks.common.paths import DOCS
from benchmarks.common.results import Result
from benchmarks.recipes.tables import METHOD_PAGES, cell
from monge.metrics.lenet import QUALITY, SMALLEST_CLASS
from monge.metrics.memorization import NEAREST
from monge.metrics.samples import MODES, ON_MODES, W2


def mixtures(results: Result, data: str) -> str:
    """Every generator on a mixture of Gaussians."""

    def cells(result: Result) -> list[str]:
        summary, modes = result["summary"], [run["metrics"]["modes"] for run in result["runs"]]
        low, high = min(modes), max(modes)
        reached = f"{low}" if low == high else f"{low} to {high}"
        total = f"{summary['modes_total']['mean']:.0f}"
        return [f"{reached} of {total}", cell(summary, ON_MODES), cell(summary, W2)]

    return compare(results, data, [str(metric.table) for metric in (MODES, ON_MODES, W2)], cells)


def pictures(results: Result, data: str) -> str:
    """Every generator on pictures of digits."""
    quality = [metric for metric in QUALITY if metric.table and metric is not SMALLEST_CLASS]
    metrics = [*quality, NEAREST]

    def cells(result: Result) -> list[str]:
        runs = [run["metrics"] for run in result["runs"]]
        low = min(run["smallest_class"] for run in runs)
        high = max(run["largest_class"] for run in runs)
        values = [cell(result["summary"], metric) for metric in metrics]
        return [*values, f"{low:.1%} to {high:.1%}"]

    head = [*(str(metric.table) for metric in metrics), "classes, all seeds"]
    return compare(results, data, head, cells)


def compare(
    results: Result, data: str, head: list[str], cells: Callable[[Result], list[str]]
) -> str:
    """A row for each method that was measured on the data, in the order of the papers."""
    suffix = f"-{data}"
    measured = [
        (METHOD_PAGES / f"{name.removesuffix(suffix)}.md", result)
        for name, result in results.items()
        if name.endswith(suffix)
    ]
    table = header(["method", *head, "seeds", "training"])
    for page, result in sorted(measured, key=lambda pair: read_heading(pair[0])[1]):
        name = f"[{read_heading(page)[0]}]({page.relative_to(DOCS)})"
        about = [str(len(result["runs"])), cpu_minutes(result["summary"]["cpu_seconds"]["mean"])]
        table.append(row([name, *cells(result), *about]))
    return "\n".join(table)


def read_heading(page: Path) -> tuple[str, int]:
    """Return the title of a method's page, and the year of its paper."""
    title, about = page.read_text().split("\n\n")[:2]
    year = re.search(r"\d{4}", about)
    return title.removeprefix("# "), int(year[0]) if year else 0


def epsilons(result: Result | None) -> str:
    """The study of ε, a row for each setting."""
    if result is None:
        return NOT_MEASURED
    head = [
        "MNIST",
        "Fréchet-LeNet",
        "masses of cells off by",
        "smallest class",
        "confidence",
        "recall",
        "nearest train",
        "training",
    ]
    table = header(head)
    for run in result["runs"]:
        cells = [
            run["name"],
            f"{run['frechet_lenet']:.1f}",
            f"{run['cell_mass_error']:.1%}",
            f"{run['smallest_class']:.1%}",
            f"{run['confidence']:.3f}",
            f"{run['recall_lenet']:.2f}",
            f"{run['nearest_train_ratio']:.2f}",
            cpu_minutes(run["cpu_seconds"]),
        ]
        table.append(row(cells))
    about = f"Seed {result['seed']}, {result['steps']:,} steps. {machine_line(result)}"
    return "\n".join([*table, "", about])
