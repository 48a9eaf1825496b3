"""Plots of piano rolls: pitch against time, a color for each voice, noise on a strip below."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from .rolls import LOWEST, NOISES, RATE, VOICES, runs

_COLORS = ("#d1495b", "#2e86ab", "#3a7d44", "#6c757d")
_STRIP = 8  # semitones of height for all types of noise
_MARGIN = 2


def plot_piano_rolls(
    piano_rolls: ArrayLike, rate: float = RATE, titles: Sequence[str] = (), columns: int = 4
) -> Figure:
    """Plot piano rolls (n, 4, frames) of classes in a grid, with common scales of pitch and time.

    ``rate`` is in frames per second; ``titles`` are those of the first plots.

    >>> piano_rolls = np.full((3, 4, 24), 10)
    >>> len(plot_piano_rolls(piano_rolls, titles=["A", "half-way", "B"], columns=3).axes)
    3
    """
    classes = np.asarray(piano_rolls)
    columns = max(1, min(columns, len(classes)))
    rows = ceil(len(classes) / columns)
    figure = Figure(figsize=(max(4.0, 2.6 * columns), 2.1 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    low, high = _range(classes)
    for i, (axis, piano_roll) in enumerate(zip(axes.flat, classes, strict=False)):
        _draw_bars(axis, piano_roll, rate, low)
        if i < len(titles):
            axis.set_title(titles[i], fontsize=9, loc="left")
    for axis in axes.flat[len(classes) :]:
        figure.delaxes(axis)
    first = axes[0, 0]
    octaves = [pitch for pitch in range(12, 121, 12) if low <= pitch <= high]
    labels = ["noise", *(f"C{pitch // 12 - 1}" for pitch in octaves)]
    first.set_yticks([low - 1 - _STRIP / 2, *octaves], labels)
    first.set_ylim(low - 1 - _STRIP - _MARGIN / 2, high + _MARGIN)
    first.set_xlim(0, classes.shape[2] / rate)
    figure.supxlabel("seconds", fontsize=9)
    handles = [Patch(color=color, label=name) for color, name in zip(_COLORS, VOICES, strict=True)]
    figure.legend(handles=handles, loc="outside upper right", ncols=4, fontsize=8, frameon=False)
    return figure


def _range(classes: NDArray[np.integer]) -> tuple[int, int]:
    """Return the lowest and highest pitch of the axis, at least an octave apart."""
    pitched = classes[:, :3]
    sounding = pitched[pitched > 0].astype(int) + LOWEST - 1
    low, high = (int(sounding.min()), int(sounding.max())) if len(sounding) else (60, 60)
    return low - _MARGIN, max(high, low + 12)


def _draw_bars(axis: Axes, piano_roll: NDArray[np.integer], rate: float, low: int) -> None:
    """Draw a bar for each note of a piano roll (4, frames)."""
    style: dict[str, Any] = {"alpha": 0.85, "linewidth": 0, "snap": False}
    for voice, color in enumerate(_COLORS):
        noise = VOICES[voice] == "NO"
        for start, end, key in runs(piano_roll[voice]):
            middle = low - 1 - _STRIP + (key - 0.5) * _STRIP / NOISES if noise else key + LOWEST - 1
            span = (start / rate, (end - start) / rate)
            axis.broken_barh([span], (middle - 0.6, 1.2), color=color, **style)
    axis.axhline(low - 1, color="#ced4da", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=7)
