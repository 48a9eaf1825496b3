"""A transport problem as the solver sees it: flat batches and no gradients inside, the user's tensors outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from . import _validate as check
from ._geometry import Bilinear, Geometry, Matrix
from ._kernel import Coupling
from .costs import Cost, CostLike, as_cost


@dataclass(frozen=True)
class Problem:
    """Either a cost matrix or two clouds with a ground cost.

    ``inputs`` are the user's tensors in which the value has a gradient in closed form: (C,) or (x, y); none for a callable cost,
    whose parameters may want gradients too, so that its graph is kept (`linked`).
    """

    geometry: Geometry
    inputs: tuple[Tensor, ...]
    batch: tuple[int, ...]
    like: Tensor
    ground: Cost | None = None
    points: tuple[Tensor, Tensor] | None = None

    @classmethod
    def given(cls, C: Tensor) -> Problem:
        C = check.cost_matrix(C)
        batch = C.shape[:-2]
        return cls(Matrix(_flat(C.detach(), batch)), (C,), batch, C)

    @classmethod
    def between(cls, x: Tensor | None, y: Tensor | None, cost: CostLike, C: Tensor | None = None) -> Problem:
        if x is None or y is None or C is not None:
            raise ValueError("sinkhorn takes points x and y, or else a cost matrix C=...: give one or the other")
        x, y = check.pair(x, y)
        ground, batch = as_cost(cost), x.shape[:-2]
        geometry = ground.geometry(_flat(x.detach(), batch), _flat(y.detach(), batch))
        if callable(cost):
            with torch.no_grad():
                check.cost_matrix(ground.matrix(x[..., :1, :], y))
        return cls(geometry, () if ground.gradients is None else (x, y), batch, x, ground, (x, y))

    def flatten(self, t: Tensor) -> Tensor:
        return _flat(t, self.batch)

    def unflatten(self, t: Tensor) -> Tensor:
        return t if len(self.batch) <= 1 else t.reshape(*self.batch, *t.shape[1:])

    def matrix(self, *inputs: Tensor) -> Tensor:
        """C as a differentiable function of the inputs."""
        return inputs[0] if self.ground is None else self.ground.matrix(*inputs)

    def inner(self, P: Coupling) -> Tensor:
        """<P, C>, flat and without gradient."""
        geometry = self.geometry
        if isinstance(geometry, Bilinear):
            dtype = P.rows.dtype
            ends = (P.rows * geometry.alpha).sum(-1) + (P.columns * geometry.beta).sum(-1)
            return ends - geometry.factor * (geometry.q * P.apply(geometry.k.to(dtype))).sum((-2, -1))
        zero = torch.zeros_like(P.columns)
        return -sum((tile * geometry.exponent(zero, 1.0, rows)).sum((-2, -1)) for rows, tile in P.blocks())  # type: ignore[return-value]

    def gradients(self, P: Coupling, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """Gradients of <P, C> at fixed P in the inputs, flat."""
        if not any(wanted):
            return (None,) * len(wanted)
        if self.ground is None:
            return (P.matrix(),)
        assert self.ground.gradients is not None
        geometry = self.geometry if self.geometry.like.dtype == P.rows.dtype else self.geometry.double()
        x, y = (self.flatten(t.detach()).to(P.rows.dtype) for t in self.inputs)
        return self.ground.gradients(x, y, geometry, P, (wanted[0], wanted[1]))

    def conditional_mean(self, g: Tensor, b: Tensor, y: Tensor, epsilon: float) -> Tensor:
        """E[y | x] under the plan whose rows fit g, also for an x without weight."""
        beta = self.geometry.beta
        g, b, y = self.flatten(g), self.flatten(b), self.flatten(y)
        h = (g if beta is None else g - beta) + epsilon * b.log()
        means = [self.geometry.exponent(h, epsilon, rows).softmax(-1) @ y for rows in self.geometry.blocks()]
        return self.unflatten(torch.cat(means, -2))

    def linked(self, number: Tensor, P: Coupling) -> Tensor:
        """The number with the gradient of <P, C> at fixed P through the graph of a callable cost, a block of rows at a time."""
        if self.inputs or self.points is None or not torch.is_grad_enabled():
            return number
        assert self.ground is not None
        x, y = (self.flatten(first_order(t)) for t in self.points)
        inner: Callable[..., Tensor] = self.ground.inner
        pieces = [checkpoint(inner, tile.to(x.dtype), x[..., rows, :], y, use_reentrant=False) for rows, tile in P.blocks()]
        slope = self.unflatten(torch.stack(pieces).sum(0))
        return number + (slope - slope.detach())


def _flat(t: Tensor, batch: tuple[int, ...]) -> Tensor:
    return t if len(batch) <= 1 else t.reshape(-1, *t.shape[len(batch) :])


class _FirstOrder(torch.autograd.Function):
    """The identity, differentiable once: a second derivative would silently miss dP/dx, so it raises."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(_: Any, grad: Tensor) -> Tensor:
        return grad


def first_order(x: Tensor) -> Tensor:
    return _FirstOrder.apply(x) if x.requires_grad else x
