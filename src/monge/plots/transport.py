"""Figures of a transport map T: arrows x → T(x), level sets, and displacement interpolation.

Points are tensors or arrays (n, d). In more than two dimensions, all points are projected onto the
first two principal axes of the target, or of the moved points if no target is given.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from math import cos, pi
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw
from torch import Tensor

from .compare import _QUIET, _RULE, _TEXT
from .pictures import _ACCENT, _INK, Array, flat, plane

Points = Tensor | NDArray[Any]

_START = "#33658a"  # source points; _ACCENT is for their images, _INK for the target
_ARROWS: dict[str, Any] = {
    "angles": "xy",
    "scale_units": "xy",
    "scale": 1,
    "headwidth": 5,
    "headlength": 6,
    "headaxislength": 5,
}
_SUPERSAMPLING = 3  # frames are drawn larger by this factor and reduced, which smooths the dots
_COLORS = 32  # of a frame
_PAUSE = 12  # frames for which each of the two ends is shown


def arrows(x: Points, moved: Points, *, target: Points | None = None, n: int = 250) -> Figure:
    """Draw arrows from points (m, d) to their images, over the target.

    ``n`` arrows are drawn, at most, so that they remain distinguishable.

    >>> figure = arrows(torch.zeros(5, 2), torch.ones(5, 2))
    >>> figure.axes[0].get_title(loc="left")
    'transport'
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}: it is the number of arrows")
    starts, ends, goal = _project(x, moved, target)
    chosen = np.unique(np.linspace(0, len(starts) - 1, n).round().astype(int))
    starts, ends = starts[chosen], ends[chosen]
    box = _box(starts, ends, goal)
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    axis = figure.subplots()
    if goal is not None:
        cloud: dict[str, Any] = {"s": 5, "color": _INK, "alpha": 0.4, "linewidths": 0}
        axis.scatter(goal[:, 0], goal[:, 1], label="target", rasterized=True, **cloud)
    style: dict[str, Any] = {"color": _ACCENT, "alpha": 0.55, "zorder": 2} | _ARROWS
    axis.quiver(*starts.T, *(ends - starts).T, width=0.0022, minlength=0.5, **style)
    axis.scatter(starts[:, 0], starts[:, 1], s=9, color=_START, linewidths=0, label="x", zorder=3)
    axis.scatter(ends[:, 0], ends[:, 1], s=9, color=_ACCENT, linewidths=0, label="T(x)", zorder=4)
    _frame(axis, "transport", box)
    legend: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 3}
    axis.legend(markerscale=1.6, frameon=False, fontsize=9, **legend)
    return figure


def level_sets(
    potential: Callable[[Tensor], Tensor],
    where: Points | Sequence[float],
    *,
    levels: int = 18,
    resolution: int = 240,
) -> Figure:
    """Draw the level sets of a function (n, 2) → (n,) of the plane.

    ``where`` are points (n, 2), which are drawn too, or a box (left, right, bottom, top). The
    levels are such that the level sets of ½‖x‖² are equally spaced: where lines are denser, the map
    ∇ψ moves points farther out.

    >>> figure = level_sets(lambda x: x.square().sum(1) / 2, [-1, 1, -1, 1], resolution=20)
    >>> figure.axes[0].get_title(loc="left")
    'level sets of the potential'
    """
    if levels < 1 or resolution < 2:
        raise ValueError(
            f"levels must be at least 1 and resolution at least 2, got {levels} and {resolution}"
        )
    points, (left, right, bottom, top) = _region(where)
    across, up = torch.linspace(left, right, resolution), torch.linspace(bottom, top, resolution)
    with torch.no_grad():
        values = potential(torch.cartesian_prod(across, up)).detach().cpu().double()
    heights = values.reshape(resolution, resolution).T.numpy()
    if not np.isfinite(heights).all():
        box = f"{left:.3g} to {right:.3g}, {bottom:.3g} to {top:.3g}"
        raise ValueError(f"the potential is not finite everywhere in the box {box}")
    low, high = heights.min(), heights.max()
    if low == high:
        raise ValueError(
            f"the potential is {low:.3g} everywhere in the box: a constant has no level sets"
        )
    lines = low + (high - low) * np.linspace(0, 1, levels + 1) ** 2
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    axis = figure.subplots()
    axis.contourf(across, up, heights, levels=lines, cmap="Blues", alpha=0.55)
    stroke: dict[str, Any] = {"colors": _START, "linewidths": 0.7, "alpha": 0.8}
    axis.contour(across, up, heights, levels=lines[1:-1], **stroke)
    if points is not None:
        cloud: dict[str, Any] = {"s": 5, "color": _ACCENT, "alpha": 0.6, "linewidths": 0}
        axis.scatter(points[:, 0], points[:, 1], zorder=3, rasterized=True, **cloud)
    _frame(axis, "level sets of the potential", (left, right, bottom, top))
    return figure


def before_after(x: Points, moved: Points, y: Points) -> Figure:
    """Draw source (n, d), moved source (n, d) and target (m, d) side by side.

    The panels have the same axes, and the target is also drawn faintly below the moved points.

    >>> figure = before_after(torch.zeros(3, 2), torch.ones(3, 2), torch.eye(2))
    >>> [axis.get_title(loc="left") for axis in figure.axes]
    ['source', 'moved', 'target']
    """
    starts, ends, goal = _project(x, moved, y)
    assert goal is not None
    box = _box(starts, ends, goal)
    clouds = (("source", _START, starts), ("moved", _ACCENT, ends), ("target", _QUIET, goal))
    dots: dict[str, Any] = {"s": 4, "linewidths": 0, "rasterized": True}
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axis, (name, color, cloud) in zip(panels, clouds, strict=True):
        if name == "moved":
            axis.scatter(goal[:, 0], goal[:, 1], color=_INK, alpha=0.4, **dots)
        axis.scatter(cloud[:, 0], cloud[:, 1], color=color, alpha=0.6, **dots)
        _frame(axis, name, box)
    return figure


def displacement_gif(
    x: Points,
    moved: Points,
    *,
    target: Points | None = None,
    frames: int = 30,
    size: int = 360,
    milliseconds: int = 50,
) -> bytes:
    """Return a GIF of the displacement interpolation (1 − t) x + t T(x), forward and backward.

    Frame 0 shows x, and frame ``frames // 2`` shows T(x); these two are shown longer. t starts and
    stops smoothly. ``size`` is in pixels.

    >>> gif = displacement_gif(torch.zeros(4, 2), torch.ones(4, 2), frames=4, size=40)
    >>> Image.open(io.BytesIO(gif)).size
    (40, 40)
    """
    if frames < 2 or size < 16 or milliseconds < 20:
        raise ValueError(
            f"frames must be at least 2, got {frames}, size at least 16, got {size}, and "
            f"milliseconds at least 20, got {milliseconds}: viewers slow shorter frames down"
        )
    starts, ends, goal = _project(x, moved, target)
    left, right, bottom, top = _box(starts, ends, goal)
    edge = size * _SUPERSAMPLING

    def to_pixels(points: Array) -> Array:
        scale = edge / np.array([right - left, top - bottom])
        return np.stack([points[:, 0] - left, top - points[:, 1]], 1) * scale

    paper = Image.new("RGB", (edge, edge), "white")
    if goal is not None:
        _draw_dots(paper, to_pixels(goal), _mix("#ffffff", _INK, 0.55))
    half = frames // 2
    images = []
    for k in range(frames):
        t = k / half if k <= half else (frames - k) / (frames - half)
        t = (1 - cos(pi * t)) / 2
        image = paper.copy()
        _draw_dots(image, to_pixels((1 - t) * starts + t * ends), _mix(_START, _ACCENT, t))
        small = image.resize((size, size), Image.Resampling.BOX)
        images.append(small.quantize(_COLORS, dither=Image.Dither.NONE))
    durations = [milliseconds * (_PAUSE if k in (0, half) else 1) for k in range(frames)]
    options: dict[str, Any] = {"duration": durations, "loop": 0, "optimize": False}
    buffer = io.BytesIO()
    images[0].save(buffer, "gif", save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


def _project(x: Points, moved: Points, target: Points | None) -> tuple[Array, Array, Array | None]:
    """Return x, its images and the target in the plane of the figure, (n, 2) each."""
    given = {"x": x, "moved": moved} | ({} if target is None else {"target": target})
    clouds = {name: _check_points(points, name) for name, points in given.items()}
    if clouds["x"].shape != clouds["moved"].shape:
        raise ValueError(
            f"x and moved must have the same shape, got {clouds['x'].shape} and "
            f"{clouds['moved'].shape}: moved is T(x)"
        )
    reference = clouds.get("target", clouds["moved"])
    d = clouds["x"].shape[1]
    if reference.shape[1] != d:
        raise ValueError(f"target must have the {d} coordinates of x, got {reference.shape[1]}")
    center, axes = plane(torch.from_numpy(reference))
    projected = {name: (points - center) @ axes for name, points in clouds.items()}
    return projected["x"], projected["moved"], projected.get("target")


def _check_points(points: Points, name: str) -> Array:
    tensor = torch.as_tensor(points)
    if tensor.ndim != 2 or len(tensor) < 2:
        raise ValueError(
            f"{name} must be at least two points (n, d), got shape {tuple(tensor.shape)}"
        )
    array = flat(tensor)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or Inf: remove those points before drawing")
    return array


def _region(
    where: Points | Sequence[float],
) -> tuple[Array | None, tuple[float, float, float, float]]:
    """Return the points, if ``where`` are points, and the box to draw."""
    if not isinstance(where, Tensor | np.ndarray) or where.ndim == 1:
        left, right, bottom, top = (float(v) for v in where)
        if not (left < right and bottom < top):
            box = f"{left:g}, {right:g}, {bottom:g}, {top:g}"
            raise ValueError(f"where must be (left, right, bottom, top), got {box}")
        return None, (left, right, bottom, top)
    points = _check_points(where, "where")
    if points.shape[1] != 2:
        raise ValueError(
            f"where must be points (n, 2), got points with {points.shape[1]} coordinates"
        )
    return points, _box(points)


def _box(*clouds: Array | None) -> tuple[float, float, float, float]:
    """Return the square (left, right, bottom, top) around all points, with a margin."""
    points = np.concatenate([cloud for cloud in clouds if cloud is not None])
    middle = (points.max(0) + points.min(0)) / 2
    reach = 0.54 * float((points.max(0) - points.min(0)).max()) or 1.0
    return middle[0] - reach, middle[0] + reach, middle[1] - reach, middle[1] + reach


def _frame(axis: Axes, title: str, box: tuple[float, float, float, float]) -> None:
    axis.set(xlim=box[:2], ylim=box[2:], aspect="equal")
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_TEXT)
    axis.spines[:].set_color(_RULE)
    axis.tick_params(labelsize=8, colors=_QUIET, color=_RULE)


def _draw_dots(image: Image.Image, points: Array, color: tuple[int, int, int]) -> None:
    draw = ImageDraw.Draw(image)
    radius = max(2, image.width / 240)
    for a, b in points.tolist():
        draw.ellipse((a - radius, b - radius, a + radius, b + radius), fill=color)


def _mix(a: str, b: str, t: float) -> tuple[int, int, int]:
    first, second = np.array(ImageColor.getrgb(a)), np.array(ImageColor.getrgb(b))
    red, green, blue = ((1 - t) * first + t * second).round().astype(int).tolist()
    return red, green, blue
