r"""Two kinds of closed curves in the plane, a toy for methods that go from sequences of one domain
to sequences of another.

======  ===========================================================================================
symbol  meaning
======  ===========================================================================================
a, b    hidden numbers of a curve, in [0, 1] and [0, ½], exponential with rates 4 and 8, cut off at
        the end
τ       2π t / T, for the frames t = 0 … T − 1
======  ===========================================================================================

A source is a *flower* with five petals, a target an ellipse that turns into an *eight*:

.. math:: y(\tau) = (1 + b)\, e^{i\tau} + a\, e^{-4i\tau}, \qquad
          x(\tau) = (1 + \sqrt2\, b) \cos\tau + i\, \bigl((1 - a) \sin\tau + a \sin 2\tau\bigr) + o

Distances agree: between two flowers the mean square over τ is Δa² + Δb², and so it is between the
targets with the same a and b, up to the offset o, which moves a target as a whole and is
independent of the source. Rows of a `SourceTarget` do not correspond. As a and b have skewed and
unequal distributions, only one map between the domains keeps distances and distribution:
`counterpart`.
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
_OFFSET = 0.1  # standard deviation of o in each direction


@dataclass(frozen=True)
class Curves(Kind):
    """Curves (n, T, 2) in the plane; those that a map made of others, below them."""

    evaluators: tuple[Evaluator, ...] = ()

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        made = samples[:_SHOWN].cpu()
        return plot_curves(
            made if inputs is None else torch.cat([inputs[:_SHOWN].cpu(), made]), _SHOWN
        )


def curves() -> SourceTarget:
    """The pair of flowers (64, 2) and eights (64, 2)."""
    source = InfiniteDataset(
        f"{CURVES}-flowers", (FRAMES, 2), lambda n, rng: flowers(_hidden(n, rng))
    )
    return SourceTarget(
        CURVES, source, InfiniteDataset(CURVES, (FRAMES, 2), _moved_eights, Curves())
    )


def flowers(hidden: Tensor) -> Tensor:
    """Sources (n, 64, 2) with hidden numbers (n, 2).

    >>> flowers(torch.tensor([[0.0, 0.0]])).norm(dim=-1).allclose(torch.ones(1, 64))
    True
    """
    a, b, tau = *hidden.T[..., None], _tau(hidden)
    return torch.stack(
        [(1 + b) * tau.cos() + a * (4 * tau).cos(), (1 + b) * tau.sin() - a * (4 * tau).sin()], -1
    )


def eights(hidden: Tensor) -> Tensor:
    """Targets (n, 64, 2) with hidden numbers (n, 2), around the origin."""
    a, b, tau = *hidden.T[..., None], _tau(hidden)
    return torch.stack(
        [(1 + 2**0.5 * b) * tau.cos(), (1 - a) * tau.sin() + a * (2 * tau).sin()], -1
    )


def counterpart(y: Tensor) -> Tensor:
    """The targets (n, 64, 2), around the origin, with the hidden numbers of sources (n, 64, 2).

    >>> hidden = torch.tensor([[0.3, 0.1]])
    >>> counterpart(flowers(hidden)).allclose(eights(hidden), atol=1e-5)
    True
    """
    tau = _tau(y)
    a = (y[..., 0] * (4 * tau).cos() - y[..., 1] * (4 * tau).sin()).mean(1)
    b = (y[..., 0] * tau.cos() + y[..., 1] * tau.sin()).mean(1) - 1
    return eights(torch.stack([a, b], 1))


def plot_curves(curves: Tensor, columns: int = 10) -> bytes:
    """PNG of curves (n, T, 2), one beside the other, in one scale."""
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


def _hidden(n: int, rng: Generator) -> Tensor:
    """Numbers a, b (n, 2) by the inverse of their distribution function."""
    u = torch.rand(n, 2, generator=rng)
    return -(1 - u * (1 - exp(-_RATE))).log() / _RATE * torch.tensor(_LARGEST)


def _moved_eights(n: int, rng: Generator) -> Tensor:
    return eights(_hidden(n, rng)) + _OFFSET * torch.randn(n, 1, 2, generator=rng)


def _tau(like: Tensor) -> Tensor:
    return torch.arange(FRAMES, dtype=like.dtype, device=like.device) * (2 * pi / FRAMES)
