"""Methods side by side: what each draws, and how fast it got there."""

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
_COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#8a6d00",
    "#56b4e9",
    "#2b2f36",
)
_STROKES = ("-", (0, (5, 1.5)), (0, (1, 1.2)))  # beyond seven methods the colors come again, dashed
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
    """A panel of data, a panel of samples for each method, and below a panel of curves for each
    metric.

    ``data`` and ``samples`` are points (n, d), of which the first two principal axes of the data
    are drawn, or one picture (h, w, 3) each, uint8. ``histories`` holds the logs of each method's
    seeds: the line is their mean, the band reaches from the least to the greatest. ``captions`` are
    written below the samples, ``titles`` name metrics.

    >>> import torch
    >>> log = [{"step": 1, "cpu_seconds": 0.5, "loss": 3.0}, {"step": 2, "cpu_seconds": 1.0, "loss": 2.0}]
    >>> figure = comparison(torch.randn(9, 2), {"a": torch.randn(9, 2)}, {"a": [log]}, metrics=["loss"])
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
        _points(axes, data, samples)
    else:
        for axis, shown in zip(axes, [data, *samples.values()], strict=False):
            axis.imshow(shown)
            axis.spines[:].set_visible(False)
    _titles(axes, list(samples))
    for axis, label in zip(axes, ["data", *samples], strict=False):
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel((captions or {}).get(label, ""), fontsize=9, color=_QUIET, loc="left")
    for axis in axes[panels:]:
        axis.remove()
    for axis, metric in zip(
        below.subplots(1, len(metrics), squeeze=False).flat, metrics, strict=True
    ):
        _curves(
            axis, histories, metric, against, (titles or {}).get(metric, metric.replace("_", " "))
        )
    return figure


def band(
    histories: Sequence[History], metric: str, against: str
) -> tuple[Array, Array, Array, Array]:
    """Mean place, mean, least and greatest value of a metric over seeds, at the steps that all of
    them logged.

    >>> logs = [[{"step": 5, "cpu_seconds": 1.0, "loss": 2.0}], [{"step": 5, "cpu_seconds": 3.0, "loss": 4.0}]]
    >>> [float(v[0]) for v in band(logs, "loss", "cpu_seconds")]
    [2.0, 3.0, 2.0, 4.0]
    """
    seeds = [
        {
            line["step"]: (line[against], line[metric])
            for line in h
            if against in line and metric in line
        }
        for h in histories
    ]
    steps = sorted(set.intersection(*(set(seed) for seed in seeds)))
    values = np.array([[seed[step] for step in steps] for seed in seeds], dtype=float).reshape(
        len(seeds), len(steps), 2
    )
    places, heights = values[..., 0], values[..., 1]
    return places.mean(0), heights.mean(0), heights.min(0), heights.max(0)


def _style(i: int) -> tuple[str, Any]:
    return _COLORS[i % len(_COLORS)], _STROKES[i // len(_COLORS) % len(_STROKES)]


def _titles(axes: NDArray[Any], labels: Sequence[str]) -> None:
    """The method in its color; what a label says after a comma, below it and lighter."""
    pad = 17 if any(", " in label for label in labels) else 6
    for i, (axis, label) in enumerate(zip(axes, ["data", *labels], strict=False)):
        name, _, settings = label.partition(", ")
        axis.set_title(
            name,
            loc="left",
            fontsize=11,
            fontweight="bold",
            color=_style(i - 1)[0] if i else _TEXT,
            pad=pad,
        )
        axis.text(0, 1.02, settings, transform=axis.transAxes, fontsize=8.5, color=_QUIET)


def _points(axes: NDArray[Any], data: Tensor, samples: Mapping[str, Tensor]) -> None:
    center, principal = plane(data)
    real, *clouds = ((flat(t) - center) @ principal for t in (data, *samples.values()))
    middle, reach = (real.max(0) + real.min(0)) / 2, 0.62 * (real.max(0) - real.min(0)).max()
    corner: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "ha": "right",
        "va": "top",
    }
    for i, (axis, cloud) in enumerate(zip(axes, [None, *clouds], strict=False)):
        axis.scatter(
            *real.T,
            s=3,
            color=_INK,
            alpha=0.75 if cloud is None else 0.45,
            linewidths=0,
            rasterized=True,
        )
        if cloud is not None:
            axis.scatter(
                *cloud.T, s=3.5, color=_style(i - 1)[0], alpha=0.7, linewidths=0, rasterized=True
            )
            outside = (np.abs(cloud - middle) > reach).any(1).mean()
            if outside > 0:
                axis.annotate(
                    f"{outside:.1%} outside",
                    (1, 0),
                    xytext=(0, -4),
                    fontsize=9,
                    color=_QUIET,
                    **corner,
                )
        axis.set(
            xlim=(middle[0] - reach, middle[0] + reach),
            ylim=(middle[1] - reach, middle[1] + reach),
            aspect="equal",
        )
        axis.spines[:].set_color(_RULE)


def _curves(
    axis: Axes, histories: Mapping[str, Sequence[History]], metric: str, against: str, title: str
) -> None:
    """Lines with bands; a line's name stands at the right margin, at the height of its end."""
    bands = {label: band(logs, metric, against) for label, logs in histories.items()}
    for i, (places, means, least, greatest) in enumerate(bands.values()):
        color, stroke = _style(i)
        axis.plot(
            places, means, color=color, linestyle=stroke, linewidth=1.8, marker="o", markersize=2.5
        )
        if len(places):
            axis.fill_between(places, least, greatest, color=color, alpha=0.16, linewidth=0)
    everything = np.concatenate([v for b in bands.values() for v in b[1:]])
    positive = everything[everything > 0]
    if len(positive) and positive.max() > 10 * positive.min():
        axis.set_yscale("log", nonpositive="clip")
        axis.set_ylim(positive.min() / 1.25, positive.max() * 1.25)
        if (
            positive.max() < 300 * positive.min()
        ):  # powers of ten alone would leave the axis with one or two numbers
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter(NullFormatter())
    elif metric == "modes":
        axis.set_ylim(0, None)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_TEXT)
    axis.set_xlabel(
        f"{_SECONDS[against]} seconds of training" if against in _SECONDS else against, color=_QUIET
    )
    axis.set_xlim(0, None)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(_INK)
    axis.grid(axis="y", color=_RULE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9, colors=_QUIET, which="both")
    _name_lines(axis, bands)


def _name_lines(axis: Axes, bands: Mapping[str, tuple[Array, Array, Array, Array]]) -> None:
    axis.set_ylim(axis.get_ylim())  # frozen: the heights below depend on it
    to_axes = axis.transScale + axis.transLimits
    ends = [
        (label, i, b[0][-1], b[1][-1]) for i, (label, b) in enumerate(bands.items()) if len(b[0])
    ]
    gap = 0.14 if any(", " in label for label in bands) else 0.08
    heights = [float(np.clip(to_axes.transform((x, y))[1], 0, 1)) for _, _, x, y in ends]
    words: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "axes fraction",
        "linespacing": 1.0,
    }
    words |= {"fontsize": 8.5, "va": "center"}
    line = {
        "arrowstyle": "-",
        "linewidth": 0.8,
        "alpha": 0.8,
        "shrinkA": 0,
        "shrinkB": 0,
        "relpos": (0, 0.5),
    }
    for (label, i, x, y), height, place in zip(ends, heights, _apart(heights, gap), strict=True):
        color = _style(i)[0]
        right = axis.get_xlim()[1]
        axis.plot([x, right], [y, y], color=color, linewidth=0.8, linestyle=(0, (1, 2)), alpha=0.8)
        name, leader = label.replace(", ", "\n", 1), line | {"color": color}
        axis.annotate(
            name, (1, height), xytext=(1.03, place), color=color, arrowprops=leader, **words
        )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights so that they are ``gap`` apart and below 1, in their order.

    >>> [round(h, 2) for h in _apart([0.5, 1.0, 0.5, 1.0], 0.1)]
    [0.5, 0.9, 0.6, 1.0]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed, least, most = list(heights), -np.inf, 1.0
    for i in order:
        placed[i] = least = max(placed[i], least + gap)
    for i in reversed(order):
        placed[i] = min(placed[i], most)
        most = placed[i] - gap
    return placed
