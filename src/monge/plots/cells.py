"""Who owns which place of the plane: Laguerre cells, and the shares of entropic transport.

    Kitagawa, Mérigot & Thibert, "Convergence of a Newton algorithm for semi-discrete optimal
    transport", JEMS 2019 [kitagawa2019] Houdard, Leclaire, Papadakis & Rabin, "On the gradient
    formula for learning generative models with regularized optimal
    transport costs", TMLR 2023    [houdard2023b]

    y_j, ψ_j   targets and their potentials
    cell j     where c(x, y_j) − ψ_j is the least; on the borders ψᶜ has no gradient
    π_j(x)     share of x that target j takes

Each function returns a figure of its own, or that of the ``axis`` that it is given to draw on.
Colors are mixed in Oklab, where equal steps look equal.
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

_LABELED = 12  # targets that can have a number beside them
_TIE = 1e-6  # of the largest cost: what a float32 potential knows
_FAINT = 0.01  # shares below have no arrow
_GOLDEN = 0.618034  # hues that are far apart, however many there are
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
    """Laguerre cells of targets (m, 2) with potentials (m,) in a box of the plane.

    Beside each target (of at most 12) stands its ``mass`` (m,), or else the share of the box that
    its cell has. An arrow leads from each sample of ``x`` (n, 2) to its target. Where cells meet,
    red arrows lead to all of them: there the cost has no gradient. ValueError if a shape does not
    fit.

    >>> y = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> figure = laguerre(y, torch.zeros(2), Box((-1, -1), (2, 1)), x=torch.tensor([[0.5, 0.3]]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['50 %', '50 %']
    """
    corners = [cell.detach().double().cpu().numpy() for cell in laguerre_cells(y, psi, box)]
    if mass is not None and mass.shape != (len(y),):
        raise ValueError(
            f"mass has shape {tuple(mass.shape)} for {len(y)} targets: give one number a target"
        )
    areas = np.array([_area(cell) for cell in corners]) / box.volume
    labels = areas if mass is None else mass.detach().double().cpu().numpy()
    axis = _axis(axis, title, box)
    seen = [j for j, cell in enumerate(corners) if len(cell)]
    colors = _rgb(_cell_colors(len(y)))[seen]
    axis.add_collection(
        PolyCollection(
            [corners[j] for j in seen], facecolors=colors, edgecolors="white", linewidths=1.2
        )
    )
    targets = y.detach().double().cpu()
    if x is not None:
        places = _samples(x)
        costs = (places[:, None] - targets).square().sum(-1) - psi.detach().double().cpu()
        taken = costs <= costs.amin(1, keepdim=True) + _TIE * costs.abs().max()
        shares = taken.double() / taken.sum(1, keepdim=True)
        _arrows(axis, places, targets, shares, box, torn=taken.sum(1) > 1)
    _targets(axis, targets.numpy(), labels)
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
    """Which target owns each place of a box of the plane, for any cost: with ε > 0 the colors are
    mixed by the shares π(x).

    Targets bear their weights b. From each sample of ``x`` (n, 2) arrows lead to its targets, the
    stronger the larger the share. ``resolution`` is that of the longer side, in pixels. ValueError
    if the targets are not of the plane.

    >>> sd = SemiDiscrete(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), epsilon=0.1)
    >>> figure = assignment(sd, Box((-1, -1), (2, 1)), resolution=30)
    >>> figure.axes[0].get_images()[0].get_array().shape
    (20, 30, 3)
    """
    if sd.y.shape[1] != 2 or len(box.lo) != 2:
        raise ValueError(
            f"assignment draws the plane, got targets of {sd.y.shape[1]} and a box of "
            f"{len(box.lo)} dimensions"
        )
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution}: it is in pixels")
    wide, high = np.subtract(box.hi, box.lo)
    across, up = (max(1, round(resolution * side / max(wide, high))) for side in (wide, high))
    middles = [
        (torch.arange(n) + 0.5) / n * side + low
        for n, side, low in zip((across, up), (wide, high), box.lo, strict=True)
    ]
    vertical, horizontal = torch.meshgrid(middles[1], middles[0], indexing="ij")
    places = torch.stack([horizontal, vertical], 2).reshape(-1, 2).to(sd.y)
    mixed = _shares(sd, places).numpy() @ _cell_colors(len(sd.y))
    axis = _axis(axis, f"ε = {sd.epsilon:g}" if title is None else title, box)
    extent = (box.lo[0], box.hi[0], box.lo[1], box.hi[1])
    axis.imshow(
        _rgb(mixed).reshape(up, across, 3),
        origin="lower",
        extent=extent,
        interpolation="bilinear",
        aspect="equal",
    )
    targets = sd.y.double().cpu()
    if x is not None:
        samples = _samples(x)
        _arrows(
            axis,
            samples,
            targets,
            _shares(sd, samples.to(sd.y)),
            box,
            torn=torch.zeros(len(samples), dtype=torch.bool),
        )
    _targets(axis, targets.numpy(), sd.b.double().cpu().numpy())
    return _figure(axis)


def _shares(sd: SemiDiscrete, x: Tensor) -> Tensor:
    """π(x), (n, m) in float64."""
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


def _samples(x: Tensor) -> Tensor:
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(
            f"x must have shape (n, 2), got {tuple(x.shape)}: give points of the plane"
        )
    return x.detach().double().cpu()


def _targets(axis: Axes, y: Array, shares: Array) -> None:
    sizes = 18 + 60 * (shares * len(y)).clip(0, 4) ** 0.5 if len(y) <= _LABELED else 14
    axis.scatter(
        y[:, 0], y[:, 1], s=sizes, color=_TEXT, edgecolors="white", linewidths=1.2, zorder=5
    )
    if len(y) > _LABELED:
        return
    middle = y[:, 1].mean()
    look: dict[str, Any] = {
        "ha": "center",
        "fontsize": 9,
        "color": _TEXT,
        "zorder": 6,
        "annotation_clip": True,
    }
    look["path_effects"] = [withStroke(linewidth=2.5, foreground="white", alpha=0.8)]
    for (across, up), share in zip(
        y, shares, strict=True
    ):  # on the outer side, where no arrows arrive
        place = (0, 9 if up >= middle else -18)
        axis.annotate(
            f"{100 * share:.0f} %", (across, up), xytext=place, textcoords="offset points", **look
        )


def _arrows(axis: Axes, x: Tensor, y: Tensor, shares: Tensor, box: Box, torn: Tensor) -> None:
    """From samples to the targets that take a share of them; they end short of the target's dot."""
    i, j = (shares > _FAINT).nonzero(as_tuple=True)
    way = y[j] - x[i]
    length = way.norm(dim=1, keepdim=True)
    way = way * (1 - 0.025 * max(np.subtract(box.hi, box.lo)) / length.clamp_min(1e-12)).clamp_min(
        0
    )
    few = len(x) <= _LABELED
    strength = torch.where(torn[i], 1.0, 0.25 + 0.65 * shares[i, j]) * (1 if few else 0.6)
    inks = np.array([to_rgb(_ACCENT if t else _START) for t in torn.tolist()]).reshape(-1, 3)
    look: dict[str, Any] = {
        "color": np.column_stack([inks[i], strength.numpy()]),
        "zorder": 3,
    } | _ARROWS
    axis.quiver(
        *x[i].T.numpy(), *way.T.numpy(), width=0.004 if few else 0.0018, minlength=0.1, **look
    )
    axis.scatter(
        x[:, 0],
        x[:, 1],
        s=42 if few else 10,
        c=inks,
        edgecolors="white",
        linewidths=1.0 if few else 0.3,
        zorder=4,
    )


def _area(corners: Array) -> float:
    across, up = corners.T
    return float(across @ np.roll(up, -1) - up @ np.roll(across, -1)) / 2


def _cell_colors(m: int) -> Array:
    """Quiet colors (m, 3) in Oklab."""
    j = np.arange(m)
    angle, light = 2 * np.pi * (0.65 + _GOLDEN * j), 0.905 + 0.02 * np.cos(2.4 * j)
    return np.stack([light, 0.06 * np.cos(angle), 0.06 * np.sin(angle)], 1)


def _rgb(lab: Array) -> Array:
    """Oklab (…, 3) as sRGB in [0, 1]."""
    linear = ((lab @ _TO_CONES.T) ** 3 @ _TO_RED_GREEN_BLUE.T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
