"""What kind of thing a sample is: how samples are shown, taken as points, and measured.

A data set says of which kind its samples are. A new kind is a class with these three members in the
folder of its subject; nothing else has to know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

import torch
from torch import Tensor

from monge.metrics import Evaluator

from .evaluators import IMAGE_EVALUATORS, coverage_of

_COLUMNS, _SHEET = 16, 80  # of pictures; from so many on a sheet is wide


class Kind(Protocol):
    """The kind of a data set's samples (n, ...); one that is derived from this takes them as points
    by flattening them.
    """

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        """PNG of samples, beside held-out data as far as that helps; ``inputs`` are what a map made
        the samples of.
        """

    def as_points(self, samples: Tensor) -> Tensor:
        """Samples as points (n, d), between which distances are measured."""
        return samples.flatten(1)

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        """What is measured of this kind, beside what is measured of every method."""


@dataclass(frozen=True)
class Points(Kind):
    """Points (n, d), shown as a cloud over held-out data."""

    evaluators: tuple[Evaluator, ...] = ()

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        from monge import plots

        return plots.to_png(plots.clouds(samples, reference))


@dataclass(frozen=True, eq=False)
class Mixture(Kind):
    """Points of equal isotropic Gaussians: ``centers`` (k, d) and one standard deviation.

    Which modes are found is measured.
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
    """Pictures (n, c, h, w) in [−1, 1], shown on a sheet; those that a map made of others, below
    them.
    """

    evaluators: tuple[Evaluator, ...] = IMAGE_EVALUATORS

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        from monge import plots

        if inputs is None:
            return plots.grid_png(
                samples, _COLUMNS if len(samples) >= _SHEET else ceil(len(samples) ** 0.5)
            )
        columns = len(samples) if len(samples) <= _COLUMNS else _COLUMNS // 2
        rows = zip(inputs.split(columns), samples.split(columns), strict=True)
        return plots.grid_png(torch.cat([part for pair in rows for part in pair]), columns)


def kind_of(data: Any) -> Kind:
    """The kind that a data set names, or the one that the shape of its samples suggests.

    >>> from monge.data import load
    >>> kind_of(load("digits"))
    Images(...)
    """
    return data.kind or (Images() if len(data.shape) == 3 else Points())
