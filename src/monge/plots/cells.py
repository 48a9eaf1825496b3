"""Figures of semi-discrete transport in the plane: Laguerre cells and entropic assignments.

    Kitagawa, Mérigot & Thibert, "Convergence of a Newton algorithm for semi-discrete optimal
        transport", JEMS 2019   [kitagawa2019]
    Houdard, Leclaire, Papadakis & Rabin, "On the gradient formula for learning generative models
        with regularized optimal transport costs", TMLR 2023   [houdard2023b]

========  ======================================================================
symbol    meaning
========  ======================================================================
y_j, ψ_j  targets and their potentials
cell j    points x where c(x, y_j) − ψ_j is smallest; ψᶜ has no gradient on the
          borders of cells
π_j(x)    share of x that is assigned to target j
========  ======================================================================

Each function returns a new figure, or the figure of the ``axis`` that it draws on. Colors are mixed
in Oklab, where equal distances look equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from monge.ot import Box, SemiDiscrete, laguerre_cells

from .compare import _TEXT
from .pictures import _ACCENT, Array
from .transport import _ARROWS, _START, _frame

_LABELED = 12  # largest number of targets with labels
_TIE = 1e-6  # precision of a float32 potential, relative to the largest cost
_FAINT = 0.01  # smaller shares have no arrow
_GOLDEN = 0.618034  # step of the hue, which keeps any number of hues far apart
_TO_CONES = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_RED = (4.0767416621, -3.3077115913, 0.2309699292)
_GREEN = (-1.2684380046, 2.6097574011, -0.3413193965)
_TO_RED_GREEN_BLUE = np.array([_RED, _GREEN, (-0.0041960863, -0.7034186147, 1.7076147010)])


def laguerre(
    y: Tensor,
    psi: Tensor,
    box: Box,
    *,
    mass: Tensor | None = None,
    x: Tensor | None = None,
    title: str = "Laguerre cells",
    axis: Axes | None = None,
) -> Figure:
    """Draw the Laguerre cells of targets (m, 2) with potentials (m,) in a box of the plane.

    Each of at most 12 targets is labeled with its ``mass`` (m,), or by default with the share of
    the box in its cell. An arrow leads from each sample of ``x`` (n, 2) to its target. From a
    sample where cells meet, red arrows lead to the targets of all these cells: the cost has no
    gradient there. ValueError for wrong shapes.

    >>> y = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> figure = laguerre(y, torch.zeros(2), Box((-1, -1), (2, 1)), x=torch.tensor([[0.5, 0.3]]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['50 %', '50 %']
    """
    corners = [cell.detach().double().cpu().numpy() for cell in laguerre_cells(y, psi, box)]
    if mass is not None and mass.shape != (len(y),):
        raise ValueError(
            f"mass has shape {tuple(mass.shape)} for {len(y)} targets: give one number per target"
        )
    areas = np.array([_area(cell) for cell in corners]) / box.volume
    labels = areas if mass is None else mass.detach().double().cpu().numpy()
    axis = _axis(axis, title, box)
    visible = [j for j, cell in enumerate(corners) if len(cell)]
    colors = _rgb(_cell_colors(len(y)))[visible]
    polygons = [corners[j] for j in visible]
    axis.add_collection(
        PolyCollection(polygons, facecolors=colors, edgecolors="white", linewidths=1.2)
    )
    targets = y.detach().double().cpu()
    if x is not None:
        samples = _check_samples(x)
        costs = (samples[:, None] - targets).square().sum(-1) - psi.detach().double().cpu()
        nearest = costs <= costs.amin(1, keepdim=True) + _TIE * costs.abs().max()
        shares = nearest.double() / nearest.sum(1, keepdim=True)
        _draw_arrows(axis, samples, targets, shares, box, tied=nearest.sum(1) > 1)
    _draw_targets(axis, targets.numpy(), labels)
    return _figure(axis)


def assignment(
    sd: SemiDiscrete,
    box: Box,
    *,
    resolution: int = 240,
    x: Tensor | None = None,
    title: str | None = None,
    axis: Axes | None = None,
) -> Figure:
    """Draw the assignment of each point of a box of the plane to a target, for any cost.

    With ε > 0, the colors of the targets are mixed with weights π(x). Targets are labeled with
    their weights b. From each sample of ``x`` (n, 2), arrows lead to its targets, with opacity
    according to the share. ``resolution`` is the number of pixels on the longer side. ValueError if
    the targets are not points of the plane.

    >>> sd = SemiDiscrete(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), epsilon=0.1)
    >>> figure = assignment(sd, Box((-1, -1), (2, 1)), resolution=30)
    >>> figure.axes[0].get_images()[0].get_array().shape
    (20, 30, 3)
    """
    if sd.y.shape[1] != 2 or len(box.lo) != 2:
        raise ValueError(
            f"assignment requires two dimensions, got targets of {sd.y.shape[1]} and a box of "
            f"{len(box.lo)}"
        )
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution}: it is in pixels")
    wide, high = np.subtract(box.hi, box.lo)
    across, up = (max(1, round(resolution * side / max(wide, high))) for side in (wide, high))
    centers = [
        (torch.arange(n) + 0.5) / n * side + low
        for n, side, low in zip((across, up), (wide, high), box.lo, strict=True)
    ]
    vertical, horizontal = torch.meshgrid(centers[1], centers[0], indexing="ij")
    points = torch.stack([horizontal, vertical], 2).reshape(-1, 2).to(sd.y)
    mixed = _shares(sd, points).numpy() @ _cell_colors(len(sd.y))
    pixels = _rgb(mixed).reshape(up, across, 3)
    axis = _axis(axis, f"ε = {sd.epsilon:g}" if title is None else title, box)
    extent = (box.lo[0], box.hi[0], box.lo[1], box.hi[1])
    axis.imshow(pixels, origin="lower", extent=extent, interpolation="bilinear", aspect="equal")
    targets = sd.y.double().cpu()
    if x is not None:
        samples = _check_samples(x)
        tied = torch.zeros(len(samples), dtype=torch.bool)
        _draw_arrows(axis, samples, targets, _shares(sd, samples.to(sd.y)), box, tied)
    _draw_targets(axis, targets.numpy(), sd.b.double().cpu().numpy())
    return _figure(axis)


def _shares(sd: SemiDiscrete, x: Tensor) -> Tensor:
    """Return π(x), (n, m) in float64."""
    if sd.epsilon == 0:
        return torch.nn.functional.one_hot(sd.assign(x), len(sd.y)).double().cpu()
    return torch.cat([sd._shares(scores) for _, scores in sd._tiles(x)]).double().cpu()


def _axis(axis: Axes | None, title: str, box: Box) -> Axes:
    axis = Figure(figsize=(6.4, 6.4), layout="constrained").subplots() if axis is None else axis
    _frame(axis, title, (box.lo[0], box.hi[0], box.lo[1], box.hi[1]))
    return axis


def _figure(axis: Axes) -> Figure:
    figure = axis.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def _check_samples(x: Tensor) -> Tensor:
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x must be points (n, 2) of the plane, got shape {tuple(x.shape)}")
    return x.detach().double().cpu()


def _draw_targets(axis: Axes, y: Array, shares: Array) -> None:
    sizes = 18 + 60 * (shares * len(y)).clip(0, 4) ** 0.5 if len(y) <= _LABELED else 14
    dots: dict[str, Any] = {"color": _TEXT, "edgecolors": "white", "linewidths": 1.2}
    axis.scatter(y[:, 0], y[:, 1], s=sizes, zorder=5, **dots)
    if len(y) > _LABELED:
        return
    outline = withStroke(linewidth=2.5, foreground="white", alpha=0.8)
    style: dict[str, Any] = {"ha": "center", "fontsize": 9, "color": _TEXT, "zorder": 6}
    style |= {"annotation_clip": True, "path_effects": [outline]}
    middle = y[:, 1].mean()
    for (across, up), share in zip(y, shares, strict=True):
        # on the outer side, away from the arrows
        offset = (0, 9 if up >= middle else -18)
        label = f"{100 * share:.0f} %"
        axis.annotate(label, (across, up), xytext=offset, textcoords="offset points", **style)


def _draw_arrows(axis: Axes, x: Tensor, y: Tensor, shares: Tensor, box: Box, tied: Tensor) -> None:
    """Draw arrows from samples to the targets with a share of them, which end before the dot."""
    i, j = (shares > _FAINT).nonzero(as_tuple=True)
    arrow = y[j] - x[i]
    length = arrow.norm(dim=1, keepdim=True).clamp_min(1e-12)
    margin = 0.025 * max(np.subtract(box.hi, box.lo))
    arrow = arrow * (1 - margin / length).clamp_min(0)
    few = len(x) <= _LABELED
    opacity = torch.where(tied[i], 1.0, 0.25 + 0.65 * shares[i, j]) * (1 if few else 0.6)
    inks = np.array([to_rgb(_ACCENT if t else _START) for t in tied.tolist()]).reshape(-1, 3)
    colors = np.column_stack([inks[i], opacity.numpy()])
    style: dict[str, Any] = {"color": colors, "zorder": 3} | _ARROWS
    width = 0.004 if few else 0.0018
    axis.quiver(*x[i].T.numpy(), *arrow.T.numpy(), width=width, minlength=0.1, **style)
    size, border = (42, 1.0) if few else (10, 0.3)
    dots: dict[str, Any] = {"c": inks, "edgecolors": "white", "linewidths": border}
    axis.scatter(x[:, 0], x[:, 1], s=size, zorder=4, **dots)


def _area(corners: Array) -> float:
    across, up = corners.T
    return float(across @ np.roll(up, -1) - up @ np.roll(across, -1)) / 2


def _cell_colors(m: int) -> Array:
    """Return m light colors (m, 3) in Oklab."""
    j = np.arange(m)
    angle, light = 2 * np.pi * (0.65 + _GOLDEN * j), 0.905 + 0.02 * np.cos(2.4 * j)
    return np.stack([light, 0.06 * np.cos(angle), 0.06 * np.sin(angle)], 1)


def _rgb(lab: Array) -> Array:
    """Convert Oklab (…, 3) to sRGB in [0, 1]."""
    linear = ((lab @ _TO_CONES.T) ** 3 @ _TO_RED_GREEN_BLUE.T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
