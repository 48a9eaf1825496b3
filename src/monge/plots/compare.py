"""Comparison of methods: samples, and metrics over the course of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from torch import Tensor

from .pictures import _INK, Array, flat, plane

History = Sequence[Mapping[str, Any]]

_TEXT, _QUIET, _RULE = "#2b2f36", "#6b7480", "#e4e8ec"
# after Okabe and Ito
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#2b2f36")
_STROKES = ("-", (0, (5, 1.5)), (0, (1, 1.2)))  # the next one when the colors are used up
_ACROSS = 7  # panels in a row
_SECONDS = {"cpu_seconds": "CPU", "wall_seconds": "wall-clock", "gpu_seconds": "GPU"}


def comparison(
    data: Any,
    samples: Mapping[str, Any],
    histories: Mapping[str, Sequence[History]],
    metrics: Sequence[str] = ("energy_distance",),
    against: str = "cpu_seconds",
    captions: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """Draw data, the samples of each method, and the curves of each metric in panels.

    ``data`` and ``samples`` are points (n, d), which are projected onto the first two principal
    axes of the data, or one picture (h, w, 3) each, uint8. ``histories`` holds the logs of each
    method's seeds: the line is their mean, and the band reaches from the smallest to the largest
    value. ``captions`` are written below the samples, ``titles`` are the titles of metrics.

    >>> import torch
    >>> x, y = torch.randn(2, 9, 2)
    >>> log = [{"step": k, "cpu_seconds": 0.5 * k, "loss": 3.0 - k} for k in (1, 2)]
    >>> figure = comparison(x, {"a": y}, {"a": [log]}, metrics=["loss"])
    >>> [axis.get_title(loc="left") for axis in figure.axes]
    ['data', 'a', 'loss']
    """
    panels = len(samples) + 1
    rows = ceil(panels / _ACROSS)
    columns = ceil(panels / rows)
    side = min(16 / columns, max(2.9, 8 / columns))
    figure = Figure(figsize=(columns * side, rows * (side + 0.5) + 3.4), layout="constrained")
    above, below = figure.subfigures(
        2, 1, height_ratios=[rows * (side + 0.5), 3.4], hspace=0.04, squeeze=False
    ).flat
    axes = above.subplots(rows, columns, squeeze=False).flatten()
    if data.ndim == 2:
        _draw_points(axes, data, samples)
    else:
        for axis, shown in zip(axes, [data, *samples.values()], strict=False):
            axis.imshow(shown)
            axis.spines[:].set_visible(False)
    _draw_titles(axes, list(samples))
    for axis, label in zip(axes, ["data", *samples], strict=False):
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel((captions or {}).get(label, ""), fontsize=9, color=_QUIET, loc="left")
    for axis in axes[panels:]:
        axis.remove()
    panels_below = below.subplots(1, len(metrics), squeeze=False).flat
    for axis, metric in zip(panels_below, metrics, strict=True):
        title = (titles or {}).get(metric, metric.replace("_", " "))
        _draw_curves(axis, histories, metric, against, title)
    return figure


def band(
    histories: Sequence[History], metric: str, against: str
) -> tuple[Array, Array, Array, Array]:
    """Return the mean of ``against``, and the mean, minimum and maximum of a metric over seeds.

    They are arrays over the steps that all seeds have logged.

    >>> logs = [[{"step": 5, "cpu_seconds": s, "loss": s + 1}] for s in (1.0, 3.0)]
    >>> [float(v[0]) for v in band(logs, "loss", "cpu_seconds")]
    [2.0, 3.0, 2.0, 4.0]
    """
    seeds = []
    for history in histories:
        lines = [line for line in history if against in line and metric in line]
        seeds.append({line["step"]: (line[against], line[metric]) for line in lines})
    steps = sorted(set.intersection(*(set(seed) for seed in seeds)))
    values = np.array([[seed[step] for step in steps] for seed in seeds], dtype=float)
    x, y = np.moveaxis(values.reshape(len(seeds), len(steps), 2), 2, 0)
    return x.mean(0), y.mean(0), y.min(0), y.max(0)


def _style(i: int) -> tuple[str, Any]:
    return _COLORS[i % len(_COLORS)], _STROKES[i // len(_COLORS) % len(_STROKES)]


def _draw_titles(axes: NDArray[Any], labels: Sequence[str]) -> None:
    """Write the name of each method in its color, and the settings after the comma below it."""
    pad = 17 if any(", " in label for label in labels) else 6
    style: dict[str, Any] = {"loc": "left", "fontsize": 11, "fontweight": "bold", "pad": pad}
    for i, (axis, label) in enumerate(zip(axes, ["data", *labels], strict=False)):
        name, _, settings = label.partition(", ")
        axis.set_title(name, color=_style(i - 1)[0] if i else _TEXT, **style)
        axis.text(0, 1.02, settings, transform=axis.transAxes, fontsize=8.5, color=_QUIET)


def _draw_points(axes: NDArray[Any], data: Tensor, samples: Mapping[str, Tensor]) -> None:
    """Draw the data in every panel, and the samples of a method over them in its panel."""
    center, principal = plane(data)
    real, *clouds = ((flat(t) - center) @ principal for t in (data, *samples.values()))
    middle, reach = (real.max(0) + real.min(0)) / 2, 0.62 * (real.max(0) - real.min(0)).max()
    left, bottom = middle - reach
    right, top = middle + reach
    dots: dict[str, Any] = {"linewidths": 0, "rasterized": True}
    note: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    note |= {"ha": "right", "va": "top", "fontsize": 9, "color": _QUIET}
    for i, (axis, cloud) in enumerate(zip(axes, [None, *clouds], strict=False)):
        axis.scatter(*real.T, s=3, color=_INK, alpha=0.75 if cloud is None else 0.45, **dots)
        if cloud is not None:
            axis.scatter(*cloud.T, s=3.5, color=_style(i - 1)[0], alpha=0.7, **dots)
            outside = (np.abs(cloud - middle) > reach).any(1).mean()
            if outside > 0:
                axis.annotate(f"{outside:.1%} outside", (1, 0), xytext=(0, -4), **note)
        axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axis.spines[:].set_color(_RULE)


def _draw_curves(
    axis: Axes, histories: Mapping[str, Sequence[History]], metric: str, against: str, title: str
) -> None:
    """Draw lines with bands; the name of a line is at the right, at the height of its end."""
    bands = {label: band(logs, metric, against) for label, logs in histories.items()}
    for i, (x, means, lowest, highest) in enumerate(bands.values()):
        color, stroke = _style(i)
        style: dict[str, Any] = {"linewidth": 1.8, "marker": "o", "markersize": 2.5}
        axis.plot(x, means, color=color, linestyle=stroke, **style)
        if len(x):
            axis.fill_between(x, lowest, highest, color=color, alpha=0.16, linewidth=0)
    values = np.concatenate([v for b in bands.values() for v in b[1:]])
    positive = values[values > 0]
    if len(positive) and positive.max() > 10 * positive.min():
        axis.set_yscale("log", nonpositive="clip")
        axis.set_ylim(positive.min() / 1.25, positive.max() * 1.25)
        if positive.max() < 300 * positive.min():
            # ticks at powers of ten alone would leave the axis with one or two numbers
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter(NullFormatter())
    elif metric == "modes":
        axis.set_ylim(0, None)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_TEXT)
    label = f"{_SECONDS[against]} seconds of training" if against in _SECONDS else against
    axis.set_xlabel(label, color=_QUIET)
    axis.set_xlim(0, None)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(_INK)
    axis.grid(axis="y", color=_RULE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9, colors=_QUIET, which="both")
    _label_lines(axis, bands)


def _label_lines(axis: Axes, bands: Mapping[str, tuple[Array, Array, Array, Array]]) -> None:
    axis.set_ylim(axis.get_ylim())  # fixed, because the heights below depend on it
    to_axes = axis.transScale + axis.transLimits
    lines = [(i, label, b[0], b[1]) for i, (label, b) in enumerate(bands.items()) if len(b[0])]
    ends = [(i, label, x[-1], y[-1]) for i, label, x, y in lines]
    gap = 0.14 if any(", " in label for label in bands) else 0.08
    heights = [float(np.clip(to_axes.transform((x, y))[1], 0, 1)) for _, _, x, y in ends]
    text: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "axes fraction"}
    text |= {"linespacing": 1.0, "fontsize": 8.5, "va": "center"}
    leader: dict[str, Any] = {"arrowstyle": "-", "linewidth": 0.8, "alpha": 0.8}
    leader |= {"shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)}
    dotted: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (1, 2)), "alpha": 0.8}
    positions = _spread_out(heights, gap)
    for (i, label, x, y), height, position in zip(ends, heights, positions, strict=True):
        color = _style(i)[0]
        right = axis.get_xlim()[1]
        axis.plot([x, right], [y, y], color=color, **dotted)
        text["arrowprops"] = leader | {"color": color}
        name = label.replace(", ", "\n", 1)
        axis.annotate(name, (1, height), xytext=(1.03, position), color=color, **text)


def _spread_out(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights so that they are ``gap`` apart and at most 1, and keep their order.

    >>> [round(h, 2) for h in _spread_out([0.5, 1.0, 0.5, 1.0], 0.1)]
    [0.5, 0.9, 0.6, 1.0]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    positions, lowest, highest = list(heights), -np.inf, 1.0
    for i in order:
        positions[i] = lowest = max(positions[i], lowest + gap)
    for i in reversed(order):
        positions[i] = min(positions[i], highest)
        highest = positions[i] - gap
    return positions
