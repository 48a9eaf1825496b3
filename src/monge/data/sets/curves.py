r"""Two kinds of closed curves in the plane, a toy problem for maps between domains of sequences.

======  ============================================================================
symbol  meaning
======  ============================================================================
a, b    latent variables of a curve, in [0, 1] and [0, ½]; truncated exponential
        distributions with rates 4 and 8
τ       2π t / T, for the frames t = 0 … T − 1
o       offset of a target
======  ============================================================================

A source is a *flower* with five petals, a target is an ellipse that turns into an *eight*:

.. math:: y(\tau) = (1 + b)\, e^{i\tau} + a\, e^{-4i\tau}, \qquad
          x(\tau) = (1 + \sqrt2\, b) \cos\tau + i\, \bigl((1 - a) \sin\tau + a \sin 2\tau\bigr) + o

Both domains have the same distances: the mean square distance over τ between two flowers is
Δa² + Δb², and it is the same between the targets with these a and b, up to the offset o, which
translates a target and is independent of the source. Rows of the `SourceTarget` do not correspond.
The distributions of a and b are skewed and unequal, so that only one map between the domains
preserves both the distances and the distributions: `counterpart`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import exp, pi

import torch
from torch import Generator, Tensor

from monge.data.datasets import InfiniteDataset, SourceTarget
from monge.data.kinds import Kind
from monge.metrics import Evaluator

CURVES = "curves"
FRAMES = 64

_RATE, _LARGEST = 4.0, (1.0, 0.5)
_SHOWN = 10  # curves in a row
_OFFSET = 0.1  # standard deviation of o in each coordinate


@dataclass(frozen=True)
class Curves(Kind):
    """Curves (n, T, 2) in the plane; images of a map are shown below their inputs."""

    evaluators: tuple[Evaluator, ...] = ()

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        rows = [samples] if inputs is None else [inputs, samples]
        return plot_curves(torch.cat([row[:_SHOWN].cpu() for row in rows]), _SHOWN)


def curves() -> SourceTarget:
    """Return the data set with flowers (64, 2) as source and eights (64, 2) as target."""
    shape = FRAMES, 2
    source = InfiniteDataset(f"{CURVES}-flowers", shape, _draw_flowers)
    return SourceTarget(CURVES, source, InfiniteDataset(CURVES, shape, _draw_eights, Curves()))


def flowers(latent: Tensor) -> Tensor:
    """Return the sources (n, 64, 2) with latent variables (n, 2).

    >>> flowers(torch.tensor([[0.0, 0.0]])).norm(dim=-1).allclose(torch.ones(1, 64))
    True
    """
    a, b, tau = *latent.T[..., None], _tau(latent)
    real = (1 + b) * tau.cos() + a * (4 * tau).cos()
    imaginary = (1 + b) * tau.sin() - a * (4 * tau).sin()
    return torch.stack([real, imaginary], -1)


def eights(latent: Tensor) -> Tensor:
    """Return the targets (n, 64, 2) with latent variables (n, 2), without offset."""
    a, b, tau = *latent.T[..., None], _tau(latent)
    real = (1 + 2**0.5 * b) * tau.cos()
    imaginary = (1 - a) * tau.sin() + a * (2 * tau).sin()
    return torch.stack([real, imaginary], -1)


def counterpart(y: Tensor) -> Tensor:
    """Map sources (n, 64, 2) to the targets with the same latent variables, without offset.

    >>> latent = torch.tensor([[0.3, 0.1]])
    >>> counterpart(flowers(latent)).allclose(eights(latent), atol=1e-5)
    True
    """
    tau = _tau(y)
    a = (y[..., 0] * (4 * tau).cos() - y[..., 1] * (4 * tau).sin()).mean(1)
    b = (y[..., 0] * tau.cos() + y[..., 1] * tau.sin()).mean(1) - 1
    return eights(torch.stack([a, b], 1))


def plot_curves(curves: Tensor, columns: int = 10) -> bytes:
    """Return a PNG of curves (n, T, 2) in rows, all at the same scale."""
    from matplotlib.figure import Figure

    rows, reach = -(-len(curves) // columns), 1.1 * curves.abs().max().item()
    figure = Figure(figsize=(columns, rows), layout="constrained")
    for k, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axis.axis("off")
        if k < len(curves):
            axis.plot(*curves[k].detach().cpu().T, linewidth=1, color="#1f4e79")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_latent(n: int, rng: Generator) -> Tensor:
    """Draw a, b (n, 2) by the inverse of their distribution functions."""
    u = torch.rand(n, 2, generator=rng)
    return -(1 - u * (1 - exp(-_RATE))).log() / _RATE * torch.tensor(_LARGEST)


def _draw_flowers(n: int, rng: Generator) -> Tensor:
    return flowers(_draw_latent(n, rng))


def _draw_eights(n: int, rng: Generator) -> Tensor:
    return eights(_draw_latent(n, rng)) + _OFFSET * torch.randn(n, 1, 2, generator=rng)


def _tau(like: Tensor) -> Tensor:
    return torch.arange(FRAMES, dtype=like.dtype, device=like.device) * (2 * pi / FRAMES)
