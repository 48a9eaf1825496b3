"""Plots of color transfers side by side: pictures and their clouds of colors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from monge.plots.compare import _QUIET, _RULE, _TEXT
from monge.plots.pictures import _INK

Pixels = NDArray[Any]

_SIDE = 900  # pixels of the longest side of a picture in the figure
_DOTS = 4000  # colors in a cloud


def color_figure(
    source: Pixels,
    palettes: Sequence[Pixels],
    results: Mapping[str, Pixels],
    captions: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a column (picture, caption, cloud of colors) for the source, each palette and result.

    Pictures are (h, w, 3) of uint8, uint16 or floats in [0, 1]. The axes of a cloud are red − green
    and yellow − blue; below the clouds of the results lie those of the palettes in gray, which a
    good transfer covers. The keys of ``captions`` are the titles of the columns: "source",
    "palette" (or "palette 1", "palette 2", …) and the names of the results.

    >>> gray = np.full((4, 6, 3), 0.5)
    >>> [axis.get_title(loc="left") for axis in color_figure(gray, [gray], {"w2": gray}).axes[:3]]
    ['source', 'palette', 'w2']
    """
    if not palettes or not results:
        raise ValueError(
            f"palettes and results must not be empty, got {len(palettes)} and {len(results)}"
        )
    count = len(palettes)
    names = ["palette"] if count == 1 else [f"palette {k + 1}" for k in range(count)]
    columns = {"source": source} | dict(zip(names, palettes, strict=True)) | dict(results)
    small = {name: _reduce(pixels, name) for name, pixels in columns.items()}
    clouds = {name: _sample(pixels) for name, pixels in small.items()}
    points = {name: _opponent(cloud) for name, cloud in clouds.items()}
    goal = np.concatenate([points[name] for name in names])
    tallest = max(len(pixels) / pixels.shape[1] for pixels in small.values())
    figure = Figure(figsize=(3.2 * len(columns), 3.2 * (tallest + 1) + 1.1), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False, height_ratios=[tallest, 1])
    middle = (goal.max(0) + goal.min(0)) / 2
    farthest = max(float(np.abs(cloud - middle).max()) for cloud in points.values())
    reach = max(0.05, 1.08 * farthest)
    (left, bottom), (right, top) = middle - reach, middle + reach
    for above, below, (name, cloud) in zip(*axes, clouds.items(), strict=True):
        caption = (captions or {}).get(name, "")
        above.imshow(small[name], interpolation="antialiased")
        above.set_title(name, loc="left", fontsize=12, fontweight="bold", color=_TEXT)
        above.set_xlabel(caption, loc="left", fontsize=9, color=_QUIET, linespacing=1.5)
        above.set(xticks=[], yticks=[], anchor="N")
        above.spines[:].set_visible(False)
        if name in results:
            below.scatter(*goal.T, s=3, color=_INK, alpha=0.35, linewidths=0, rasterized=True)
        below.scatter(*points[name].T, s=3, c=cloud, linewidths=0, rasterized=True)
        below.axhline(0, color=_RULE, linewidth=0.8, zorder=0)
        below.axvline(0, color=_RULE, linewidth=0.8, zorder=0)
        below.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", anchor="N")
        below.set(xticks=[], yticks=[])
        below.spines[:].set_color(_RULE)
    axes[1, 0].set_xlabel("green – red", fontsize=9, color=_QUIET)
    axes[1, 0].set_ylabel("blue – yellow", fontsize=9, color=_QUIET)
    return figure


def _reduce(pixels: Pixels, name: str) -> NDArray[np.uint8]:
    """Return 8-bit pixels with no side above ``_SIDE``."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"{name} must have shape (h, w, 3), got {pixels.shape}")
    if pixels.dtype == np.uint16:
        pixels = pixels >> 8
    elif np.issubdtype(pixels.dtype, np.floating):
        pixels = np.rint(pixels.clip(0, 1) * 255)
    image = Image.fromarray(np.ascontiguousarray(pixels, np.uint8))
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def _sample(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sample colors (n, 3) in [0, 1] of a picture, at the same places in pictures of equal size."""
    rows = np.random.default_rng(0).integers(0, pixels.size // 3, _DOTS)
    return pixels.reshape(-1, 3)[rows] / 255


def _opponent(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return red − green and yellow − blue of colors (n, 3)."""
    red, green, blue = colors.T
    return np.stack([red - green, (red + green) / 2 - blue], 1)
