"""Figures of samples and of training curves; functions return a figure or PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Array = NDArray[np.float64]
_INK, _ACCENT = "#9aa5b1", "#d1495b"


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return buffer.getvalue()


def grid(samples: Tensor, columns: int = 16, gap: int = 1) -> np.ndarray:
    """Arrange pictures (n, c, h, w) in [−1, 1] in a grid, a uint8 array (H, W, 3).

    >>> import torch
    >>> grid(torch.zeros(4, 1, 8, 8), columns=2).shape
    (17, 17, 3)
    """
    n, c, h, w = samples.shape
    columns = min(columns, n)
    rows = ceil(n / columns)
    values = (samples.detach().cpu().float().clamp(-1, 1) + 1) * 127.5
    pixels = values.round().byte().permute(0, 2, 3, 1).numpy()
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 48, np.uint8)
    for i, picture in enumerate(pixels):
        top, left = (i // columns) * (h + gap), (i % columns) * (w + gap)
        sheet[top : top + h, left : left + w] = picture if c == 3 else picture[..., :1]
    return sheet


def grid_png(samples: Tensor, columns: int = 16, size: int = 40) -> bytes:
    """Return a PNG of `grid`; pictures smaller than ``size`` pixels are enlarged unsmoothed."""
    sheet = grid(samples, columns)
    zoom = max(1, round(size / samples.shape[-1]))
    enlarged = sheet.shape[1] * zoom, sheet.shape[0] * zoom
    image = Image.fromarray(sheet).resize(enlarged, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def clouds(samples: Tensor, data: Tensor) -> Figure:
    """Draw generated points over data points, (n, …) each.

    Points of more than two dimensions are projected onto the first two principal axes of the data.
    """
    center, axes = plane(data)
    x, y = ((flat(t) - center) @ axes for t in (samples, data))
    figure = Figure(figsize=(6, 6))
    axis = figure.subplots()
    axis.scatter(y[:, 0], y[:, 1], s=5, color=_INK, alpha=0.5, linewidths=0, label="data")
    axis.scatter(x[:, 0], x[:, 1], s=4, color=_ACCENT, alpha=0.6, linewidths=0, label="generated")
    axis.set_aspect("equal")
    anchor = (0.5, 1.0)
    axis.legend(loc="lower center", bbox_to_anchor=anchor, ncols=2, markerscale=3, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def plane(data: Tensor) -> tuple[Array, Array]:
    """Return the center (d,) and the basis (d, 2) of the plane to draw data in.

    In at most two dimensions these are the coordinates, in more the first two principal axes.
    """
    y = flat(data)
    d = y.shape[1]
    if d <= 2:
        return np.zeros(d), np.eye(d, 2)
    axes = np.linalg.svd(y - y.mean(0), full_matrices=False)[2][:2]
    return y.mean(0), np.pad(axes, ((0, 2 - len(axes)), (0, 0))).T  # a single point has one axis


def flat(points: Tensor) -> Array:
    """Return samples (n, …) as an array (n, d)."""
    return points.detach().cpu().double().flatten(1).numpy()


def curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each number of the last log line against the step, in one panel each.

    An estimate and its exact value share a panel.
    """
    numbers = [k for k, v in history[-1].items() if isinstance(v, int | float)]
    numbers = [k for k in numbers if k != "step" and not k.endswith("_seconds")]
    estimates = [k for k in numbers if k.endswith("_estimate")]
    exact = {k: k.removesuffix("estimate") + "exact" for k in estimates}
    exact = {k: e for k, e in exact.items() if e in numbers}
    names = [k for k in numbers if k not in exact.values()]
    columns = max(1, min(3, len(names)))
    rows = max(1, ceil(len(names) / columns))
    figure = Figure(figsize=(4 * columns, 2.4 * rows), layout="constrained")
    for axis, name in zip(figure.subplots(rows, columns, squeeze=False).flat, names, strict=False):
        if name in exact:
            points = _against_step(history, exact[name])
            axis.plot(*points, color=_INK, linewidth=1.5, label="exact")
        points = _against_step(history, name)
        axis.plot(*points, color=_ACCENT, linewidth=1.5, label="estimate")
        if name in exact:
            axis.legend(fontsize=8, frameon=False)
        axis.set_title(name.replace("_", " "), fontsize=10, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    for axis in figure.axes[len(names) :]:
        axis.set_visible(False)
    return figure


def _against_step(history: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    lines = [line for line in history if isinstance(line.get(name), int | float)]
    return [line["step"] for line in lines], [line[name] for line in lines]
