"""Pictures of one line each, on which interpolations can be measured exactly: the data set, its kind, its metrics.

Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders via an adversarial
regularizer", ICLR 2019, section 3.1    [berthelot2019]
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from monge.data.evaluators import IMAGE_EVALUATORS
from monge.data.kinds import Images
from monge.data.sources import EndlessSource
from monge.data.subject import Subject
from monge.methods.protocols import Autoencoding
from monge.metrics import Evaluator, Measures, evaluator
from monge.nets import Autoencoder

from .draw import draw_lines
from .metrics import DISTANCE, SMOOTHNESS, line_quality, nearest_lines, smoothness

__all__ = ["LINES", "Lines", "draw_lines", "line_quality", "lines", "nearest_lines", "smoothness"]

LINES = {"lines32": 32}
_PATHS, _STEPS = 256, 16  # as many as in the reference implementation


@evaluator(DISTANCE, SMOOTHNESS)
def interpolated_lines(subject: Subject) -> Measures:
    """Interpolations between held-out lines, linear in code space."""
    if not isinstance(subject.method, Autoencoding):
        return {}
    return line_quality(decoded_paths(subject.method.autoencoder, subject.data.held_out(2 * _PATHS, subject.config.seed)))


@torch.no_grad()
def decoded_paths(autoencoder: Autoencoder, ends: Tensor, steps: int = _STEPS) -> Tensor:
    """Decoded straight paths (m, steps, ...) from the codes of the first m of 2m samples to those of the others."""
    like = next(autoencoder.parameters())
    start, end = autoencoder.encode(ends.to(like)).chunk(2)
    at = torch.linspace(0, 1, steps).to(start)[:, None, None]
    return torch.stack([autoencoder.decode(torch.lerp(start, end, t)) for t in at], 1)


@dataclass(frozen=True)
class Lines:
    """Pictures (n, 1, size, size) of one line each: pictures, on which interpolations can be measured exactly."""

    evaluators: tuple[Evaluator, ...] = (*IMAGE_EVALUATORS, interpolated_lines)

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        return Images().show(samples, reference, inputs)

    def as_points(self, samples: Tensor) -> Tensor:
        return samples.flatten(1)


def lines(name: str) -> EndlessSource:
    """The stream of lines at angles uniform in [0, 2π), of the size that belongs to a name of `LINES`.

    >>> lines("lines32").train(3).shape
    torch.Size([3, 1, 32, 32])
    """
    size = LINES[name]

    def draw(n: int, generator: torch.Generator) -> Tensor:
        return draw_lines(2 * pi * torch.rand(n, generator=generator), size)

    return EndlessSource(name, (1, size, size), draw, Lines())
