"""Semi-discrete transport from a sampled measure to weighted points.

    Genevay, Cuturi, Peyré & Bach, "Stochastic optimization for large-scale optimal transport",
        NeurIPS 2016 [genevay2016]
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SICON 1992
        [polyak1992]

    ψ          potential, one number per target, in units of the cost; Σ b ψ = 0
    ψᶜ(x)      min_j c(x, y_j) − ψ_j, or with ε > 0: −ε log Σ_j b_j exp((ψ_j − c(x, y_j))/ε), with
               b inside the sum as in [genevay2016]
    π_j(x)     share of x that target j takes: 1 at the argmin, or ∝ b_j exp((ψ_j − c(x, y_j))/ε)
    s_j(x)     score ψ_j − c(x, y_j) + ε log b_j, up to a number that depends on x only

The gradient of the concave semi-dual E[ψᶜ(x)] + <b, ψ> is b − E[π(x)], the mass that each target
is missing.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

from . import _validate as check
from ._autograd import first_order, with_slope
from ._laguerre import Box, fit_areas
from ._matmul import pairwise
from .costs import CostLike, as_cost

_Draw: TypeAlias = "Callable[[int, torch.Generator | None], Tensor]"
Sampler: TypeAlias = "_Draw | Callable[[int], Tensor]"

_TILE = 2**23  # scores in memory at once
# scores of a tile from which only the best are needed, so that it stays in the cache
_CACHED = 2**20
_FURTHEST = 80.0  # bound on the sum of the fixed-point steps on one kernel, in ε
_STRIDE = 8.0  # longest fixed-point step, in ε: a target far from all points has p = 0
_SMALL = 2**22  # n m up to which the semi-dual of a finite source is maximized by L-BFGS
_WARM = 0.1  # part of a fit in which ε falls; averaging begins after it
_TRIES = (0.6, 0.7, 0.8, 0.9, 1.0)  # parts of a fit after which `tol` is tested
# Least ε of a fit, in gaps: where neighbors share a point, the noise falls by more than the
# potential is biased.
_BLUR = 0.4
_COOL = 8.0  # the last step is 1 + 8 × 0.9 times smaller than the first
_RANKS = 3  # number of best scores from which the gap is estimated
_COARSE_ITER = 50  # L-BFGS iterations at a larger ε
_REMEDY = "raise n_iter, batch_size, epsilon or tol"


class SemiDiscrete(nn.Module):
    r"""Optimal transport from a sampled measure to weighted points.

    .. math::

        \max_\psi\ \mathbb{E}_x[\psi^{c,\varepsilon}(x)] + \langle b, \psi \rangle, \qquad
        \psi^{c,\varepsilon}(x)
        = -\varepsilon \log \sum_j b_j\, e^{(\psi_j - c(x, y_j))/\varepsilon}

    and :math:`\psi^{c,0}(x) = \min_j c(x, y_j) - \psi_j`.

    `fit` computes the potential of a fixed source; `ascend` follows a moving source, such as a
    generator in training: call ``sd.ascend(fake)`` several times, then
    ``sd.value(fake).backward()``. The ``state_dict`` of the module contains what training needs
    (potential, iterate, count), but not y and b. The n×m scores are computed in tiles. For squared
    distances a tile is one matrix product; under ``torch.autocast`` to bfloat16 it takes a fifth of
    the time on CPUs with that instruction, and scores are rounded to 8 bits. Source: [genevay2016],
    and [kitagawa2019] for a box in the plane.

    Parameters
    ----------
    y : Tensor (m, d)
        Target points; results have their dtype and device.
    b : Tensor (m,), optional
        Weights that sum to one; uniform by default. A target of zero weight receives no mass.
    epsilon : float
        Regularization in units of the cost; with 0 every x is assigned to one target.
    cost : "sqeuclidean", "euclidean", "cosine" or callable
        Ground cost, see `monge.ot.costs.as_cost`.

    Attributes
    ----------
    potential : Tensor (m,)
        Average of the iterates, with Σ b ψ = 0.

    Examples
    --------
    >>> y = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> sd = SemiDiscrete(y, b=torch.tensor([0.25, 0.75])).fit(Box((0, 0), (1, 1)))
    >>> sd.potential
    tensor([-0.3750,  0.1250])
    >>> sd.assign(torch.tensor([[0.2, 0.5], [0.3, 0.5]]))
    tensor([0, 1])
    """

    y: Tensor
    b: Tensor
    potential: Tensor
    iterate: Tensor
    count: Tensor
    _center: Tensor
    _centered: Tensor
    _squares: Tensor

    def __init__(
        self,
        y: Tensor,
        *,
        b: Tensor | None = None,
        epsilon: float = 0.0,
        cost: CostLike = "sqeuclidean",
    ) -> None:
        super().__init__()
        y = check.points(y, "y").detach()
        if y.ndim != 2:
            raise ValueError(
                f"y must have shape (m, d), got {tuple(y.shape)}: give one point cloud"
            )
        if not 0 <= epsilon < math.inf:
            raise ValueError(f"epsilon must be >= 0 and finite, got {epsilon!r}")
        self.epsilon = float(epsilon)
        self._cost = as_cost(cost)
        self._squared = cost == "sqeuclidean"
        b, center = check.weights(b, y, len(y), "b").detach(), y.mean(0)
        # relative to the center, products are small and hence accurate
        buffers = {"y": y, "b": b, "_center": center, "_centered": y - center}
        buffers["_squares"] = buffers["_centered"].square().sum(1)
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self.register_buffer("potential", torch.zeros_like(y[:, 0]))
        self.register_buffer("iterate", torch.zeros_like(y[:, 0]))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def fit(
        self,
        source: Sampler | Tensor | Box,
        *,
        a: Tensor | None = None,
        n_iter: int = 1000,
        batch_size: int = 512,
        tol: float | None = None,
        generator: torch.Generator | None = None,
    ) -> SemiDiscrete:
        """Compute the potential of a source, without using the current one.

        Parameters
        ----------
        source : callable, Tensor (n, d) or Box
            A sampler, ``sampler(n, generator)`` or ``sampler(n)``, returns points (n, d); the fit
            is an averaged stochastic ascent. Points with weights ``a`` are fitted by L-BFGS in
            float64 if ε > 0 and n m is at most 4 million, and sampled otherwise. A `Box` in the
            plane, with ε = 0 and squared distances, is fitted by a damped Newton method on the
            exact cells.
        a : Tensor (n,), optional
            Weights of the points of a finite source; uniform by default.
        n_iter, batch_size : int
            Number of iterations, and of points drawn in each. With N points in total and ε = 0, the
            relative error of cells of mass 1/m is at least √(m/N); with ε > 0, N is divided by the
            number of targets that share a point.
        tol : float, optional
            A sampled fit stops when `chi2` on 2m or more new points is at most ``tol`` (tested from
            60 % of the iterations on). The other methods stop when the error of every mass is at
            most ``tol`` (by default 1e-6 for L-BFGS and 1e-9 for Newton). One warning is issued if
            it is not reached.
        generator : torch.Generator, optional
            Random number generator, passed to the sampler.
        """
        check.all_positive(n_iter=n_iter, batch_size=batch_size, tol=1 if tol is None else tol)
        if a is not None and not isinstance(source, Tensor):
            raise ValueError(
                "a needs a finite source: pass points (n, d), or a sampler that draws by weight"
            )
        for state in (self.potential, self.iterate, self.count):
            state.zero_()
        if isinstance(source, Tensor):
            x = self._points(source, "source")
            a = check.weights(a, x, len(x), "a").detach()
            if self.epsilon > 0 and len(x) * len(self.y) <= _SMALL:
                tol = tol or 1e-6
                psi, error = self._fit_finite(x, a, n_iter, tol)
                return self._finish(psi, error <= tol, "L-BFGS", tol)

            def sample(n: int, generator: torch.Generator | None) -> Tensor:
                return x[torch.multinomial(a.cpu(), n, True, generator=generator).to(x.device)]

            return self._fit_sampler(sample, n_iter, batch_size, tol, generator)
        if isinstance(source, Box) and self._squared and self.epsilon == 0 and self.y.shape[1] == 2:
            live, tol = self.b > 0, tol or 1e-9
            psi, error = fit_areas(self.y[live], self.b[live], source, tol, n_iter)
            return self._finish(psi, error <= max(tol, 1e-12), "Newton's method", tol)
        return self._fit_sampler(_two_arguments(source), n_iter, batch_size, tol, generator)

    @torch.no_grad()
    def ascend(self, x: Tensor, *, rate: float = 1.0, memory: float = 10.0) -> SemiDiscrete:
        """Make one step of stochastic ascent on a batch (n, d), and update the averaged potential.

        The average forgets batches older than about ``memory`` steps, so that the source may move.
        A generator oscillates if the potential lags behind it, or if there are fewer than about
        five ascents per step of the generator. ``rate`` multiplies the step; its scale is that of
        the cost: ε, or the gap between the best targets of a point.
        """
        x = self._points(x)
        unit, mass, squared = 0.0, torch.zeros_like(self.b), 0.0
        for rows in x.split(max(1, _TILE // len(self.y))):
            scores = self._scores(rows, self.iterate, self.epsilon)
            unit = unit or max(self.epsilon, _gap(scores))
            received, squares = self._received(scores, self.epsilon)
            mass, squared = mass.add_(received), squared + squares
        self._shift(len(x), mass, squared, unit, check.positive(rate, "rate"))
        self._average(1 / check.positive(memory, "memory"))
        return self

    @torch.no_grad()
    def balance(
        self,
        x: Tensor,
        *,
        n_iter: int = 1,
        epsilon: float | None = None,
        relaxation: float = 1.0,
        n_levels: int = 0,
    ) -> SemiDiscrete:
        r"""Make fixed-point steps for the points x (n, d), from the current potential.

        .. math::

            \psi_j \leftarrow \psi_j + \omega \varepsilon \log (b_j / p_j), \qquad
            p_j = \tfrac1n \sum_i \pi_j(x_i)

        With ω = 1 a step is a Sinkhorn sweep, which never lowers the semi-dual; with ``relaxation``
        ω in (1, 2) fewer steps are needed [thibault2021]. Unlike in `ascend`, the length of a step
        is not limited, so that the potential can follow points that move far. ``epsilon`` is that
        of the module by default; with ``n_levels`` > 0, ``n_iter`` steps are first made at
        ε 2^n_levels, which is then halved until ε is reached. The n×m kernel is kept in memory.
        """
        epsilon = self.epsilon if epsilon is None else epsilon
        check.all_positive(epsilon=epsilon, n_iter=n_iter)
        if not 0 < relaxation < 2:
            raise ValueError(
                f"relaxation must be in (0, 2), got {relaxation}: the steps diverge outside it"
            )
        x, live = self._points(x), self.b > 0
        for level in [*(epsilon * 2.0**k for k in range(n_levels, 0, -1)), epsilon]:
            scores = self._scores(x, self.potential, level)
            kernel = scores.sub_(scores.amax(1, keepdim=True)).div_(level).exp_()
            u = torch.ones_like(self.b)
            step = torch.zeros_like(self.b)
            for _ in range(n_iter):
                p = u * (kernel.T @ (kernel @ u).reciprocal()) / len(x)
                step = step + relaxation * (self.b / p).log().clamp(-_STRIDE, _STRIDE)
                step = torch.where(live, step, 0).clamp(-_FURTHEST, _FURTHEST)
                u = step.exp()
            self.potential += level * step
            self.potential -= (self.b * self.potential).sum()
        self.iterate.copy_(self.potential)
        return self

    @torch.no_grad()
    def assign(self, x: Tensor, potential: Tensor | None = None) -> Tensor:
        """Return the index of the target of each point of x (n, d), shape (n,).

        With ε > 0 it is the target with the largest share. ``potential`` replaces that of the
        module.
        """
        psi = self.potential if potential is None else potential
        rows = self._points(x).split(max(1, _CACHED // len(self.y)))
        return torch.cat([self._scores(r.detach(), psi, self.epsilon).max(1).indices for r in rows])

    @torch.no_grad()
    def transform(self, x: Tensor) -> Tensor:
        """Map each point of x (n, d) to its target, or with ε > 0 to the mean Σⱼ πⱼ(x) yⱼ."""
        if self.epsilon == 0:
            return self.y[self.assign(x)]
        return torch.cat([self._shares(scores) @ self.y for _, scores in self._tiles(x)])

    @torch.no_grad()
    def marginals(self, x: Tensor) -> Tensor:
        """Estimate the mass that each target receives, shape (m,), from points x (n, d)."""
        return self._moments(x)[0] / len(x)

    @torch.no_grad()
    def chi2(self, x: Tensor) -> Tensor:
        r"""Estimate the distance of the masses from b, from points x (n, d).

        .. math:: \sum_j (p_j - b_j)^2 / b_j

        The estimate is unbiased. Its square root is the root mean square relative error of a mass.
        It is negative where the error is below the sampling noise, which has a standard deviation
        of about √(2m)/n for equal weights.
        """
        n = len(x)
        if n < 2:
            raise ValueError(f"chi2 needs at least two points, got {n}")
        first, second = self._moments(x)
        # a mean over pairs of different points has no bias
        squared = (first.square() - second) / (n * (n - 1))
        live = self.b > 0
        return ((squared - 2 * self.b * first / n + self.b.square())[live] / self.b[live]).sum()

    def value(self, x: Tensor) -> Tensor:
        r"""Return the semi-dual objective at the potential, a scalar.

        .. math:: \frac1n \sum_i \psi^c(x_i) + \langle b, \psi \rangle

        Its expectation is at most the transport cost, and equal to it at the optimal potential.
        Differentiable in x (n, d) by the envelope theorem: the gradient is that of the cost to the
        target (or to all targets, weighted by their shares), divided by n. With ε > 0 a second
        derivative raises.
        """
        n = len(x)
        total = (self.b * self.potential).sum()
        for rows, scores in self._tiles(x):
            with torch.no_grad():
                best, j = scores.max(1)
                level = self._bias(self.potential, self.epsilon)[j]
            if self.epsilon == 0:
                total = total + (self._pairwise(rows, j) - level).sum() / n
                continue
            with torch.no_grad():
                surplus = (scores - best[:, None]).div_(self.epsilon).logsumexp(1)
                soft = self._pairwise(rows, j) - level - self.epsilon * surplus
                shares = self._shares(scores)
            fitted = soft.sum()
            if rows.requires_grad:
                fitted = with_slope(fitted, self._cost.inner(shares, first_order(rows), self.y))
            total = total + fitted / n
        return total

    def extra_repr(self) -> str:
        return f"{len(self.y)} targets in dimension {self.y.shape[1]}, epsilon={self.epsilon:g}"

    def _points(self, x: Tensor, name: str = "x") -> Tensor:
        x = check.points(x, name)
        if x.ndim != 2 or x.shape[1] != self.y.shape[1]:
            raise ValueError(
                f"{name} must have shape (n, {self.y.shape[1]}) like the targets, got "
                f"{tuple(x.shape)}"
            )
        return x.to(self.y)

    def _tiles(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in self._points(x).split(max(1, _TILE // len(self.y))):
            with torch.no_grad():
                scores = self._scores(rows.detach(), self.potential, self.epsilon)
            yield rows, scores

    def _scores(self, x: Tensor, psi: Tensor, epsilon: float) -> Tensor:
        bias = self._bias(psi, epsilon)
        if not self._squared:
            return bias - self._cost.matrix(x, self.y)
        if torch.is_autocast_enabled(x.device.type):
            products = (2 * (x - self._center)) @ self._centered.T
            return products.to(bias.dtype).add_(bias - self._squares)
        return pairwise((x - self._center).detach(), self._centered, bias - self._squares, 2.0)

    def _bias(self, psi: Tensor, epsilon: float) -> Tensor:
        return torch.where(self.b > 0, psi + torch.special.xlogy(epsilon, self.b), -torch.inf)

    def _shares(self, scores: Tensor) -> Tensor:
        return torch.softmax(scores / self.epsilon, 1)

    def _pairwise(self, x: Tensor, j: Tensor) -> Tensor:
        return self._cost.matrix(x[:, None], self.y[j][:, None]).flatten()

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return Σᵢ π(xᵢ) and Σᵢ π(xᵢ)², each (m,)."""
        if self.epsilon == 0:
            counts = torch.bincount(self.assign(x), minlength=len(self.y)).to(self.b.dtype)
            return counts, counts
        first, second = [], []
        for _, scores in self._tiles(x):
            shares = self._shares(scores)
            first.append(shares.sum(0))
            second.append(shares.square_().sum(0))
        return torch.stack(first).sum(0), torch.stack(second).sum(0)

    def _received(self, scores: Tensor, epsilon: float) -> tuple[Tensor, float]:
        """Return Σᵢ π(xᵢ) and Σᵢⱼ πⱼ(xᵢ)²; the scores are overwritten."""
        if epsilon == 0:
            counts = torch.bincount(scores.argmax(1), minlength=len(self.b))
            return counts.to(self.b.dtype), float(len(scores))
        shares = torch.softmax(scores.div_(epsilon), 1)
        return shares.sum(0), torch.linalg.vector_norm(shares).item() ** 2

    def _shift(self, n: int, mass: Tensor, squared: float, unit: float, rate: float) -> None:
        """Make one step along (b − p)/b.

        Its length is of the order at which assignments change, and falls with the noise in p.
        """
        m, sharing = len(self.b), n / squared
        # 2/(b + 1/m) is 1/b for uniform weights, and bounded for small b
        step = rate * min(0.5, n * sharing / m) * (self.b - mass / n) * 2 / (self.b + 1 / m)
        self.iterate += unit * step.clamp(-3, 3)
        self.iterate -= (self.b * self.iterate).sum()

    def _average(self, least: float = 0.0) -> None:
        """Average the iterates; the k-th has weight k.

        The average forgets the first iterates without a schedule that depends on their number.
        """
        self.count += 1
        self.potential.lerp_(self.iterate, min(1.0, max(2 / (self.count.item() + 1), least)))

    @torch.no_grad()
    def _fit_sampler(
        self,
        sampler: _Draw,
        n_iter: int,
        batch_size: int,
        tol: float | None,
        generator: torch.Generator | None,
    ) -> SemiDiscrete:
        """Run the averaged stochastic ascent, at an ε that falls to its final value."""
        blur = min(_BLUR, (len(self.y) / (n_iter * batch_size)) ** 0.25)
        start = 0.0
        test_size = max(2 * len(self.y), batch_size)
        tries = {math.ceil(n_iter * share) for share in _TRIES}
        for k in range(n_iter):
            done = k / n_iter
            x = self._points(sampler(batch_size, generator), "the sampler's output")
            scores = self._scores(x, self.iterate, self.epsilon)
            least = max(self.epsilon, blur * _gap(scores))
            if k == 0:
                start = max(least, scores[:, self.b > 0].std(1, correction=0).mean().item())
            level = max(least, start * 0.01 ** (done / _WARM))
            unit, rate = max(level, _gap(scores)), 1 / (1 + _COOL * max(0.0, done - _WARM))
            self._shift(len(scores), *self._received(scores, level), unit, rate)
            if done >= _WARM:
                self._average()
            if tol is None or k + 1 not in tries:
                continue
            if self.chi2(sampler(test_size, generator)) <= tol:
                break
        else:
            if tol is not None:
                check.warn_not_reached("the sampled fit", tol, _REMEDY, stacklevel=4)
        self.iterate.copy_(self.potential)
        return self

    def _fit_finite(self, x: Tensor, a: Tensor, n_iter: int, tol: float) -> tuple[Tensor, float]:
        """Maximize the semi-dual of a finite source, at an ε that falls to its final value."""
        live = self.b > 0
        with torch.no_grad():
            C = self._cost.matrix(x, self.y[live]).double()
        a, b = a.double(), self.b[live].double()
        psi = torch.zeros_like(b)
        level = max(self.epsilon, C.std().item() if C.numel() > 1 else 0.0)
        while level > self.epsilon:
            psi, _ = _maximize(C, a, b, psi, level, _COARSE_ITER, 1e-4)
            level = max(self.epsilon, level / 4)
        psi, error = _maximize(C, a, b, psi, level, n_iter, tol)
        return psi - (b * psi).sum(), error

    def _finish(self, psi: Tensor, reached: bool, solver: str, tol: float) -> SemiDiscrete:
        """Store the potential; warn if the tolerance was not reached."""
        self.potential[self.b > 0] = psi.to(self.potential)
        self.iterate.copy_(self.potential)
        if not reached:
            check.warn_not_reached(solver, tol, _REMEDY, stacklevel=4)
        return self


def _maximize(
    C: Tensor, a: Tensor, b: Tensor, psi: Tensor, epsilon: float, n_iter: int, tol: float
) -> tuple[Tensor, float]:
    """Maximize the semi-dual by L-BFGS in units of ε; also return the largest error of a mass."""
    theta = (psi / epsilon).requires_grad_()
    reference = b.log() - C / epsilon
    search = torch.optim.LBFGS(
        [theta],
        max_iter=n_iter,
        tolerance_grad=tol,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        search.zero_grad()
        with torch.enable_grad():
            loss = (a * torch.logsumexp(theta + reference, 1)).sum() - (b * theta).sum()
        loss.backward()
        return loss

    search.step(closure)
    closure()
    assert theta.grad is not None
    return theta.detach() * epsilon, theta.grad.abs().max().item()


def _gap(scores: Tensor) -> float:
    """Return the typical distance between neighbors among the best scores of a point.

    A change of the potential by this amount changes assignments.
    """
    k = min(_RANKS, scores.shape[1])
    while True:
        best = scores[:64].topk(k, 1).values
        best = torch.where(best.isfinite(), best, best[:, :1])
        gap = (best[:, 0] - best[:, -1]).median().item() / sum(1 / i for i in range(1, max(k, 2)))
        if gap > 0 or k == scores.shape[1]:
            return gap
        k = min(4 * k, scores.shape[1])  # repeated targets have equal scores


def _two_arguments(sampler: Sampler) -> _Draw:
    """Return the sampler as a function of n and a generator."""
    if not callable(sampler):
        raise TypeError(
            f"source must be a sampler, points (n, d) or a Box, got {type(sampler).__name__}: pass "
            "one of these"
        )
    parameters = inspect.signature(sampler).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) >= 2:
        return sampler  # type: ignore[return-value]
    return lambda n, _: sampler(n)  # type: ignore[call-arg]
