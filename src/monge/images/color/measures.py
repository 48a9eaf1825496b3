"""Metrics of a color transfer: gradients kept, steepness, distance to the palettes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from monge import ot
from monge.errors import MongeError
from monge.images.io import Source
from monge.images.pixels import TILE, as_picture, blocks, distinct, drawn_colors

# bins of squared slopes: a percentile without sorting all of them
_SLOPES = np.linspace(0, 64, 6401, dtype=np.float32) ** 2


@dataclass(frozen=True)
class Agreement:
    """How well a recolored picture keeps the gradients of its source, see `agreement`.

    ``share`` is the share of the pairs of neighboring pixels, different in the source, with a
    difference that has not reversed its direction; 1 if no pair differs. ``steepness`` is the 99th
    percentile over the same pairs of the ratio of the lengths of the differences, result to source:
    how much noise and the steps of 8 bits are magnified, which a monotone map does not bound.
    ``colors_in`` and ``colors_out`` count distinct colors; far fewer of them in the result show
    another kind of banding, steps that have merged.
    """

    share: float
    steepness: float
    colors_in: int
    colors_out: int


def agreement(source: Source, result: Source) -> Agreement:
    r"""Measure how much of the map's monotonicity a recolored picture has after rounding.

    .. math:: \frac{\#\{(i, j) : \langle y_i - y_j,\, x_i - x_j\rangle \ge 0\}}{\#\{(i, j)\}}
              \quad \text{over horizontal and vertical neighbors with } x_i \ne x_j

    A monotone map gives exactly 1 before rounding. A map that is not monotone shows bands and
    outlines where a smooth part of the picture crosses a jump of the map.

    >>> ramp = np.repeat(np.arange(9, dtype=np.uint8)[None, :, None], 3, 2)
    >>> agreement(ramp, ramp[:, ::-1]).share, agreement(ramp, 3 * ramp).share
    (0.0, 1.0)
    """
    x, y = as_picture(source, "source").colors, as_picture(result, "result").colors
    if x.shape != y.shape:
        raise MongeError(
            f"source and result must have the same shape, got {x.shape} and {y.shape}: give one "
            "picture before and after the transfer"
        )
    agreed = pairs = 0
    slopes = np.zeros(_SLOPES.size + 1, np.int64)
    for rows in blocks(len(x), max(1, TILE // x.shape[1])):
        a, b = (t[rows.start : rows.stop + 1].astype(np.float32) for t in (x, y))
        inner = rows.stop - rows.start
        for dx, dy in (
            (np.diff(a, axis=0), np.diff(b, axis=0)),
            (np.diff(a[:inner], axis=1), np.diff(b[:inner], axis=1)),
        ):
            differ = dx.any(-1)
            dx, dy = dx[differ], dy[differ]
            pairs += len(dx)
            agreed += int(((dx * dy).sum(-1) >= 0).sum())
            squared = np.square(dy).sum(-1) / np.square(dx).sum(-1)
            slopes += np.bincount(np.searchsorted(_SLOPES, squared), minlength=len(slopes))
    if not pairs:
        return Agreement(1.0, 1.0, distinct(x), distinct(y))
    rank = int(np.searchsorted(slopes.cumsum(), 0.99 * pairs))
    steepness = float(_SLOPES[min(rank, _SLOPES.size - 1)]) ** 0.5
    return Agreement(agreed / pairs, round(steepness, 2), distinct(x), distinct(y))


def palette_distance(
    picture: Source,
    palette: Source,
    *,
    samples: int = 100_000,
    n_projections: int = 512,
    seed: int = 0,
) -> float:
    """Return the sliced W2 between sampled pixels of two pictures, in RGB scaled to [0, 1].

    Equal seeds sample the same pixels.

    >>> black, white = np.zeros((9, 3), np.uint8), np.full((9, 3), 255, np.uint8)
    >>> round(palette_distance(black, white, samples=100), 1)
    1.0
    """
    clouds = []
    for number, (name, given) in enumerate((("picture", picture), ("palette", palette))):
        colors = drawn_colors(as_picture(given, name), samples, (seed, 100 + number))
        if colors is None:
            raise MongeError(f"the {name} is fully transparent: it shows no colors to compare")
        clouds.append(torch.from_numpy(colors.astype(np.float32)))
    rng = torch.Generator().manual_seed(seed)
    return ot.sliced_wasserstein(*clouds, n_projections=n_projections, generator=rng).item()


def caption(distances: Sequence[float], kept: Agreement) -> str:
    """Return the caption of a result: its metrics, one a line.

    ``distances`` to the palettes are shares of those before the transfer.

    >>> print(caption([0.047], Agreement(1.0, 3.2, 900, 800)))
    sliced W2 4.7% of before
    gradients kept 100.00%
    steepness 3.2
    """
    shares = " / ".join(f"{share:.1%}" for share in distances)
    lines = (
        f"sliced W2 {shares} of before",
        f"gradients kept {kept.share:.2%}",
        f"steepness {kept.steepness:g}",
    )
    return "\n".join(lines)
