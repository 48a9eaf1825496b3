"""A transport problem: the user's tensors, and their flat batches without gradient for the solver.

The value is differentiated by the envelope theorem: d value = <P, dC> + <f, da> + <g, db>, with the
plan P held fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from . import _validate as check
from ._autograd import ONCE, first_order, scaled, with_rule
from ._coupling import Coupling
from ._geometry import Bilinear, Geometry, Matrix, flat, reduced, unflat
from ._implicit import differentiable_gradients
from .costs import Cost, CostLike, as_cost

_COST_ONCE = "plan.cost holds P fixed and has no second derivative: use plan.value"


@dataclass(frozen=True)
class Problem:
    """A cost matrix, or two clouds with a ground cost.

    ``inputs`` are the user's tensors in which the value has a closed-form gradient: (C,) or (x, y).
    There are none for a callable cost, where the graph of the cost is used instead.
    """

    geometry: Geometry
    inputs: tuple[Tensor, ...]
    batch: tuple[int, ...]
    like: Tensor
    ground: Cost | None = None
    points: tuple[Tensor, Tensor] | None = None

    @classmethod
    def given(cls, C: Tensor) -> Problem:
        """Return the problem of a cost matrix."""
        C = check.cost_matrix(C)
        batch = C.shape[:-2]
        return cls(Matrix(flat(C.detach(), batch)), (C,), batch, C)

    @classmethod
    def between(
        cls, x: Tensor | None, y: Tensor | None, cost: CostLike, C: Tensor | None = None
    ) -> Problem:
        """Return the problem of two clouds; ``C`` must be None."""
        if x is None or y is None or C is not None:
            raise ValueError(
                "sinkhorn needs either points x and y or a cost matrix C: give one or the other"
            )
        x, y = check.pair(x, y)
        ground, batch = as_cost(cost), x.shape[:-2]
        geometry = ground.geometry(flat(x.detach(), batch), flat(y.detach(), batch))
        if callable(cost):
            with torch.no_grad():
                check.cost_matrix(ground.matrix(x[..., :1, :], y))
        return cls(geometry, () if ground.gradients is None else (x, y), batch, x, ground, (x, y))

    def flatten(self, t: Tensor) -> Tensor:
        return flat(t, self.batch)

    def unflatten(self, t: Tensor) -> Tensor:
        return unflat(t, self.batch)

    def matrix(self, *inputs: Tensor) -> Tensor:
        """Return C as a differentiable function of the inputs."""
        return inputs[0] if self.ground is None else self.ground.matrix(*inputs)

    def inner(self, P: Coupling) -> Tensor:
        """Return <P, C>, flat and without gradient."""
        geometry = self.geometry
        if isinstance(geometry, Bilinear):
            ends = (P.rows * geometry.alpha).sum(-1) + (P.columns * geometry.beta).sum(-1)
            Pk = P.apply(geometry.k.to(P.rows.dtype))
            return ends - geometry.factor * (geometry.q * Pk).sum((-2, -1))
        zero, total = torch.zeros_like(P.columns), torch.zeros_like(P.rows[..., 0])
        for rows, tile in P.blocks():
            total = total - (tile * geometry.exponent(zero, 1.0, rows)).sum((-2, -1))
        return total

    def gradients(self, P: Coupling, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """Return the gradients of <P, C> at fixed P in the inputs, flat."""
        if not any(wanted):
            return (None,) * len(wanted)
        if self.ground is None:
            return (P.matrix(),)
        assert self.ground.gradients is not None
        geometry = self.geometry
        if geometry.like.dtype != P.rows.dtype:
            geometry = geometry.double()
        x, y = (self.flatten(t.detach()).to(P.rows.dtype) for t in self.inputs)
        return self.ground.gradients(x, y, geometry, P, (wanted[0], wanted[1]))

    def barycentric_map(
        self, P: Coupling, a: Tensor, b: Tensor, g: Tensor, epsilon: float
    ) -> Tensor:
        """Return E[y | x] under the plan P of the potential g, also for an x of zero weight."""
        assert self.points is not None
        y, geometry = self.flatten(self.points[1].detach()), self.geometry
        if (a > 0).all():
            Py = P.apply(y.to(P.rows.dtype)).to(y.dtype)
            return self.unflatten(Py / P.rows.unsqueeze(-1).to(y.dtype))
        h = reduced(self.flatten(g), geometry.beta) + epsilon * self.flatten(b).log()
        means = [geometry.exponent(h, epsilon, rows).softmax(-1) @ y for rows in geometry.blocks()]
        return self.unflatten(torch.cat(means, -2))

    def with_gradient(
        self,
        number: Tensor,
        P: Coupling,
        weights: Sequence[Tensor] = (),
        slopes: Sequence[Tensor] = (),
        potentials: Any = None,
    ) -> Tensor:
        """Attach the gradient of <P, C> at fixed P in the inputs, and the slopes in the weights.

        With ``potentials``, which are the f, g, ε and ρ of `differentiable_gradients`, the result
        also has a second derivative.
        """
        k, graph = len(self.inputs), self._graph(P)

        def first(
            grad: Tensor, wanted: tuple[bool, ...], inputs: tuple[Tensor, ...]
        ) -> list[Tensor | None]:
            of_cost = zip(self.gradients(P, wanted[:k]), inputs, strict=False)
            gradients = [
                None if t is None else scaled(grad, self.unflatten(t)).to(like.dtype)
                for t, like in of_cost
            ]
            of_weights = zip(slopes, wanted[k:], strict=False)
            gradients += [s * grad.unsqueeze(-1) if w else None for s, w in of_weights]
            return gradients + [grad] * len(graph)

        def second(
            grad: Tensor, wanted: tuple[bool, ...], inputs: tuple[Tensor, ...]
        ) -> list[Tensor | None]:
            return differentiable_gradients(self, potentials, inputs, wanted, grad)

        again = _COST_ONCE if potentials is None else second if self.inputs else ONCE
        return with_rule(number, first, again, *self.inputs, *weights, *graph)

    def _graph(self, P: Coupling) -> tuple[Tensor, ...]:
        """Return <P, C> at fixed P through the graph of a callable cost.

        The parameters of the callable may require gradients too.
        """
        if self.inputs or self.points is None or not torch.is_grad_enabled():
            return ()
        assert self.ground is not None
        inner, (x, y) = self.ground.inner, (self.flatten(first_order(t)) for t in self.points)
        pieces = [
            checkpoint(inner, tile.to(x.dtype), x[..., rows, :], y, use_reentrant=False)
            for rows, tile in P.blocks()
        ]
        return (self.unflatten(torch.stack(pieces).sum(0)),)
