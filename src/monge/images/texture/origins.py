"""Plot the nearest-cell map of a patch-based texture: where in the exemplar its pixels come from.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
        transport between feature distributions", JMIV 2023   [houdard2023]

A place (i, j) of the exemplar's grid (H, W) is one number, i·W + j: the target that a place of the
picture is assigned to.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from monge.plots.cells import _rgb
from monge.plots.compare import _QUIET, _TEXT
from monge.plots.pictures import _INK

Grid: TypeAlias = tuple[int, int]


def origin_colors(index: Tensor, grid: Grid) -> NDArray[np.uint8]:
    """Color places of an exemplar: hue from left to right, light at the top to dark at the bottom.

    ``index`` (h, w) holds places i·W + j of an exemplar's ``grid`` (H, W), or −1 for none, which is
    gray; the result is (h, w, 3). A region copied in one piece is a smooth gradient. ValueError if
    a place lies outside the grid.

    >>> origin_colors(torch.tensor([[0, 1, -1]]), (1, 2)).shape
    (1, 3, 3)
    """
    places = _places(index, grid)
    down = np.where(places < 0, 0, places // grid[1]) / max(grid[0] - 1, 1)
    along = np.where(places < 0, 0, places % grid[1]) / max(grid[1] - 1, 1)
    angle, light = 2 * np.pi * (0.03 + 0.82 * along), 0.87 - 0.45 * down
    chroma = 0.1 * (1 - (2 * (light - 0.7)) ** 2)  # the gamut is narrower near black and white
    colors = _rgb(np.stack([light, chroma * np.cos(angle), chroma * np.sin(angle)], -1))
    colors[places < 0] = to_rgb(_INK)
    return np.rint(255 * colors).astype(np.uint8)


def origins(
    index: Tensor,
    grid: Grid,
    *,
    picture: Tensor | None = None,
    exemplar: Tensor | None = None,
    borders: bool = True,
) -> Figure:
    """Plot the nearest-cell map of a synthesized picture, colored by the places in the exemplar.

    ``index`` (h, w) and ``grid`` (H, W) are those of `origin_colors`. A verbatim copy is a smooth
    gradient; dark lines are its ``borders``. Beside the map are its key, and ``picture`` (c, h, w)
    and ``exemplar`` (c, H, W) in [0, 1] if given. The caption is the share of pairs of neighbors
    that are neighbors in the exemplar, too.

    >>> figure = origins(torch.arange(12).reshape(3, 4), (3, 4))
    >>> [axis.get_title(loc="left") for axis in figure.axes]
    ['origins', 'key']
    >>> figure.axes[0].get_xlabel()
    '100 % of neighbors continue a copy'
    """
    right, below = _continued(_places(index, grid), grid[1])
    colors = origin_colors(index, grid)
    if borders:
        colors[_ends(right, below)] //= 3
    key = origin_colors(torch.arange(grid[0] * grid[1]).reshape(grid), grid)
    panels = {
        "picture": _pixels(picture),
        "origins": colors,
        "exemplar": _pixels(exemplar),
        "key": key,
    }
    shown = {name: pixels for name, pixels in panels.items() if pixels is not None}
    tallest = max(len(pixels) / pixels.shape[1] for pixels in shown.values())
    figure = Figure(figsize=(4 * len(shown), 4 * tallest + 0.7), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False).flat
    for panel, (name, pixels) in zip(axes, shown.items(), strict=True):
        panel.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        panel.set_title(name, loc="left", fontsize=11, fontweight="bold", color=_TEXT)
        panel.set(xticks=[], yticks=[], anchor="N")
        panel.spines[:].set_visible(False)
        if name == "origins":
            share = (right.sum() + below.sum()) / max(right.size + below.size, 1)
            caption = f"{100 * share:.0f} % of neighbors continue a copy"
            panel.set_xlabel(caption, loc="left", fontsize=9, color=_QUIET)
    return figure


def _places(index: Tensor, grid: Grid) -> NDArray[np.int64]:
    if index.ndim != 2 or index.is_floating_point():
        raise ValueError(
            f"index must be an integer map (h, w), got shape {tuple(index.shape)} of {index.dtype}"
        )
    places = index.detach().cpu().long().numpy()
    if places.size and (places.min() < -1 or places.max() >= grid[0] * grid[1]):
        raise ValueError(
            f"index must lie in −1..{grid[0] * grid[1] - 1} for a grid of {grid[0]}×{grid[1]}, "
            f"got {places.min()}..{places.max()}: pass the grid that the targets were taken from"
        )
    return places


def _continued(
    places: NDArray[np.int64], width: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which neighbors continue a copy: the right (h, w − 1) and the lower (h − 1, w) ones.

    They come from the right and the lower neighbor in the exemplar.
    """
    left, next_ = places[:, :-1], places[:, 1:]
    right = (left >= 0) & (next_ == left + 1) & (next_ % width != 0)
    below = (places[:-1] >= 0) & (places[1:] == places[:-1] + width)
    return right, below


def _ends(right: NDArray[np.bool_], below: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the places (h, w) at the right or lower border of a copy.

    They continue the copies on their left and above, and are not continued on their right or below.
    """
    from_left = np.pad(right, ((0, 0), (1, 0)), constant_values=True)
    from_above = np.pad(below, ((1, 0), (0, 0)), constant_values=True)
    to_right = np.pad(right, ((0, 0), (0, 1)), constant_values=True)
    to_below = np.pad(below, ((0, 1), (0, 0)), constant_values=True)
    return from_left & from_above & ~(to_right & to_below)


def _pixels(picture: Tensor | None) -> NDArray[Any] | None:
    if picture is None:
        return None
    pixels = picture.detach().cpu().float().clamp(0, 1).permute(1, 2, 0).numpy()
    return pixels[..., 0] if pixels.shape[2] < 3 else pixels
