"""Kinds of samples: how samples are shown, converted to points, and measured.

A data set names the kind of its samples. A new kind is a class that implements `Kind`; it needs no
registration.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

import torch
from torch import Tensor

from monge.metrics import Evaluator

from .evaluators import IMAGE_EVALUATORS, coverage_of

_COLUMNS = 16  # of pictures in a wide grid
_WIDE = 80  # number of pictures from which a grid is wide


class Kind(Protocol):
    """The kind of a data set's samples (n, ...).

    By default, samples are converted to points by flattening them.
    """

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        """Return a PNG of samples.

        ``reference`` are held-out data, which a kind may show for comparison. ``inputs`` are the
        source samples, if the samples are their images under a map.
        """

    def as_points(self, samples: Tensor) -> Tensor:
        """Return samples as points (n, d), to measure distances between them."""
        return samples.flatten(1)

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        """The evaluators of this kind, in addition to those of every method."""


@dataclass(frozen=True)
class Points(Kind):
    """Points (n, d), shown as a scatter plot over held-out data."""

    evaluators: tuple[Evaluator, ...] = ()

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        from monge import plots

        return plots.to_png(plots.clouds(samples, reference))


@dataclass(frozen=True, eq=False)
class Mixture(Kind):
    """Points of a mixture of equal isotropic Gaussians; its mode coverage is measured.

    ``centers`` (k, d) are the means and ``sigma`` is the standard deviation.
    """

    centers: Tensor
    sigma: float

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        return (coverage_of(self.centers, self.sigma),)

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        return Points().show(samples, reference, inputs)


@dataclass(frozen=True)
class Images(Kind):
    """Pictures (n, c, h, w) in [−1, 1], shown in a grid; images of a map are below their inputs."""

    evaluators: tuple[Evaluator, ...] = IMAGE_EVALUATORS

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        from monge import plots

        n = len(samples)
        if inputs is None:
            return plots.grid_png(samples, _COLUMNS if n >= _WIDE else ceil(n**0.5))
        columns = n if n <= _COLUMNS else _COLUMNS // 2
        rows = zip(inputs.split(columns), samples.split(columns), strict=True)
        return plots.grid_png(torch.cat([row for pair in rows for row in pair]), columns)


def kind_of(data: Any) -> Kind:
    """Return the kind of a data set's samples; by default it follows from their shape.

    >>> from monge.data import load
    >>> kind_of(load("digits"))
    Images(...)
    """
    return data.kind or (Images() if len(data.shape) == 3 else Points())
