"""Tables of maps: pairs with a known optimal map, domain adaptation, and color transfer."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.common.markdown import (
    NOT_MEASURED,
    header,
    machine_line,
    row,
    with_deviation,
)
from benchmarks.common.results import Result, mean_and_deviation

DIMENSIONS = (2, 4, 8, 16, 32, 64)
MEASURED = {
    "**amortized conjugates**": "l2_uvp",
    "its inverse": "l2_uvp_inverse",
    "best linear map, measured here": "l2_uvp_linear",
}
PUBLISHED = {  # L2-UVP in per cent, as the papers print it
    "best linear map, published": (14.1, 14.9, 27.3, 41.6, 55.3, 63.9),
    "W2GN, published, 250,000 steps on a GPU": (0.1, 0.7, 2.6, 3.3, 6.0, 7.2),
    "MM:R, published": (0.1, 0.3, 0.7, 1.9, 2.8, 4.5),
}
ADAPTED = ("raw", "labelled_gaussian", "labelled_w2", "unlabelled_gaussian", "unlabelled_w2")
COLOR_METHODS = {
    "w2": "W2 map",
    "w2, smooth=0": "W2 map, smooth=0",
    "gaussian": "Gaussian",
    "exact": "exact plan",
}


def w2benchmark(results: Result) -> str:
    """L2-UVP on the pairs of the benchmark, beside what was published."""
    runs = [results.get(f"amortised-w2-w2benchmark-{d}") for d in DIMENSIONS]
    table = header(["L2-UVP, %", *(f"D = {d}" for d in DIMENSIONS)])
    for title, metric in MEASURED.items():
        cells = [with_deviation(r["summary"][metric], 2) if r else "not measured" for r in runs]
        table.append(row([title, *cells]))
    table += [row([title, *(f"{v:.1f}" for v in values)]) for title, values in PUBLISHED.items()]
    costs = [
        f"{r['summary']['cpu_seconds']['mean'] / 60:.1f} min, {len(r['runs'])}" if r else "-"
        for r in runs
    ]
    return "\n".join([*table, row(["ours: CPU time, seeds", *costs])])


def adaptation(result: Result | None) -> str:
    """Accuracy in per cent, a row for each layout and direction."""
    if result is None:
        return NOT_MEASURED
    head = ["USPS at 28×28", "labels", "scored on", "raw", "labeled moved: Gaussian", "W2"]
    table = header([*head, "unlabeled moved: Gaussian", "W2", "CPU s"])
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for run in result["runs"]:
        groups.setdefault((run["layout"], run["labelled"], run["unlabelled"]), []).append(run)
    for (layout, labeled, other), runs in groups.items():
        cells = []
        for name in ADAPTED:
            accuracy = mean_and_deviation([100 * run["accuracy"][name] for run in runs])
            cells.append(f"{accuracy['mean']:.1f} ± {accuracy['sd']:.1f}")
        seconds = round(statistics.mean(run["cpu_seconds"] for run in runs))
        about = [layout, labeled.upper(), f"{other.upper()} test"]
        table.append(row([*about, *cells, f"{seconds}"]))
    return "\n".join(table)


def color(result: Result | None) -> str:
    """Color transfer, a row for each pair and method."""
    if result is None:
        return NOT_MEASURED
    head = [
        "pair",
        "method",
        "sliced W2",
        "gradients kept",
        "steepness",
        "clipped",
        "fit",
        "transform",
        "memory",
    ]
    table = header(head)
    for pair, about in result["pairs"].items():
        title = f"{pair}, {about['megapixels']:.1f} MP"
        memory = f"{about['peak_mib']:,} MiB" if about["peak_mib"] else ""
        for method, metrics in about["methods"].items():
            seconds = [
                f"{metrics[part]['cpu_seconds']:.1f} s ({metrics[part]['wall_seconds']:.1f})"
                for part in ("fit", "transform")
            ]
            cells = [
                COLOR_METHODS[method],
                f"{metrics['sliced_w2_percent_of_before']:.1f} %",
                f"{metrics['gradients_kept']:.2%}",
                f"{metrics['steepness']:.1f}",
                f"{metrics['clipped']:.2%}",
                *seconds,
            ]
            table.append(row([title, *cells, memory]))
            title = memory = ""  # the other rows are of the same pair
    about = f"{machine_line(result).removesuffix('.')}, commit {result['commit']}."
    return "\n".join([*table, "", about])
