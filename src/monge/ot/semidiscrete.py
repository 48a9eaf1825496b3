"""Semi-discrete transport: from a measure that can be sampled to weighted points.

    Genevay, Cuturi, Peyré & Bach, "Stochastic optimization for large-scale optimal transport",
        NeurIPS 2016 [genevay2016]
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SICON 1992
        [polyak1992]

    ψ          potential, one number a target, in units of the cost; Σ b ψ = 0
    ψᶜ(x)      min_j c(x, y_j) − ψ_j, or with ε > 0: −ε log Σ_j b_j exp((ψ_j − c(x, y_j))/ε), b
               inside as in [genevay2016]
    π_j(x)     share of x that target j takes: 1 at the argmin, or ∝ b_j exp((ψ_j − c(x, y_j))/ε)
    s_j(x)     score ψ_j − c(x, y_j) + ε log b_j, up to a number that depends on x alone

The gradient of the concave semi-dual E[ψᶜ(x)] + <b, ψ> is b − E[π(x)]: the mass that each target
lacks.
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

_TILE = 2**23  # scores held at once
# scores of a tile that only the best of are wanted: the processor's cache holds them
_CACHED = 2**20
_FURTHEST = 80.0  # that the steps go on one kernel, in ε
_STRIDE = 8.0  # longest fixed-point step, in ε: a target that nothing comes near has p = 0
_SMALL = 2**22  # n m of a finite source whose semi-dual is maximized by L-BFGS
_WARM = 0.1  # share of a fit in which ε falls; averaging begins after it
_TRIES = (0.6, 0.7, 0.8, 0.9, 1.0)  # shares of a fit after which `tol` is tried
# least ε of a fit, in gaps: neighbors that share a point lower the noise more than they bend the
# potential
_BLUR = 0.4
_COOL = 8.0  # the step ends 1 + 8 × 0.9 times smaller
_RANKS = 3  # of the best scores, of which the gap is read off
_COARSE_ITER = 50
_REMEDY = "raise n_iter, batch_size, epsilon or tol"


class SemiDiscrete(nn.Module):
    r"""Optimal transport from a sampled measure to weighted points.

    .. math::

        \max_\psi\ \mathbb{E}_x[\psi^{c,\varepsilon}(x)] + \langle b, \psi \rangle, \qquad
        \psi^{c,\varepsilon}(x) = -\varepsilon \log \sum_j b_j\, e^{(\psi_j - c(x,
        y_j))/\varepsilon}

    and :math:`\psi^{c,0}(x) = \min_j c(x, y_j) - \psi_j`.

    `fit` finds the potential of a fixed source; `ascend` follows a source that moves, as a
    generator in training does: some ``sd.ascend(fake)``, then ``sd.value(fake).backward()``. The
    state that training needs (potential, iterate, count) is the module's ``state_dict``; y and b
    are not in it. n×m scores are never held, only tiles. For squared distances a tile is one matrix
    product; under ``torch.autocast`` to bfloat16 it takes a fifth of the time on CPUs that have the
    instruction, and scores are rounded to 8 bits. Source: [genevay2016], and [kitagawa2019] for a
    box in the plane.

    Parameters
    ----------
    y : Tensor (m, d)
        Target points; results have their dtype and device.
    b : Tensor (m,), optional
        Weights that sum to one; uniform by default. A target of weight zero receives nothing.
    epsilon : float
        Regularization in units of the cost; 0 gives every x to one target.
    cost : "sqeuclidean", "euclidean", "cosine" or callable
        Ground cost, see `monge.ot.costs.as_cost`.

    Attributes
    ----------
    potential : Tensor (m,)
        The average of the iterates, with Σ b ψ = 0.

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
                f"y must have shape (m, d), got {tuple(y.shape)}: give one cloud of targets"
            )
        if not 0 <= epsilon < math.inf:
            raise ValueError(f"epsilon must be >= 0 and finite, got {epsilon!r}")
        self.epsilon = float(epsilon)
        self._cost = as_cost(cost)
        self._squared = cost == "sqeuclidean"
        center = y.mean(0)  # translation invariance keeps the products small
        given = {
            "y": y,
            "b": check.weights(b, y, len(y), "b").detach(),
            "_center": center,
            "_centered": y - center,
        }
        given["_squares"] = given["_centered"].square().sum(1)
        for name, buffer in given.items():
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
        """Find the potential of a source, from scratch.

        Parameters
        ----------
        source : callable, Tensor (n, d) or Box
            ``sampler(n, generator)`` or ``sampler(n)`` that returns points (n, d): averaged
            stochastic ascent. Points, with weights ``a``: L-BFGS in float64 if ε > 0 and n m is at
            most 4 million, else they are drawn from. A `Box` of the plane, with ε = 0 and squared
            distances: damped Newton on the exact cells.
        n_iter, batch_size : int
            Iterations, and points drawn in each. With N points in all, cells of mass 1/m cannot be
            known better than to a relative error of √(m/N) when ε = 0; ε > 0 divides N by the
            number of targets that share a point.
        tol : float, optional
            A sampled fit stops when `chi2` on 2m or more fresh points is at most this (tried from
            60 % of the iterations on); the others when every mass is within it (1e-6 for L-BFGS,
            1e-9 for Newton by default). One warning if it is not reached.
        generator : torch.Generator, optional
            Passed to the sampler.
        """
        check.all_positive(n_iter=n_iter, batch_size=batch_size, tol=1 if tol is None else tol)
        if a is not None and not isinstance(source, Tensor):
            raise ValueError(
                "a weighs the points of a finite source: pass points (n, d), or a sampler that "
                "draws by weight"
            )
        for state in (self.potential, self.iterate, self.count):
            state.zero_()
        if isinstance(source, Tensor):
            x = self._points(source, "source")
            a = check.weights(a, x, len(x), "a").detach()
            if self.epsilon > 0 and len(x) * len(self.y) <= _SMALL:
                tol = tol or 1e-6
                psi, error = self._finite(x, a, n_iter, tol)
                return self._found(psi, error <= tol, "L-BFGS", tol)

            def rows(n: int, generator: torch.Generator | None) -> Tensor:
                return x[torch.multinomial(a.cpu(), n, True, generator=generator).to(x.device)]

            return self._fit_sampler(rows, n_iter, batch_size, tol, generator)
        if isinstance(source, Box) and self._squared and self.epsilon == 0 and self.y.shape[1] == 2:
            live, tol = self.b > 0, tol or 1e-9
            psi, error = fit_areas(self.y[live], self.b[live], source, tol, n_iter)
            return self._found(psi, error <= max(tol, 1e-12), "Newton's method", tol)
        return self._fit_sampler(_two_arguments(source), n_iter, batch_size, tol, generator)

    @torch.no_grad()
    def ascend(self, x: Tensor, *, rate: float = 1.0, memory: float = 10.0) -> SemiDiscrete:
        """Make one step of stochastic ascent from a batch (n, d), and average it into the
        potential.

        The average forgets batches older than about ``memory``, so that the source may move: a
        potential that lags makes a generator oscillate, as does one that gets fewer than about five
        ascents for each of the generator's steps. ``rate`` multiplies the step, whose scale is that
        of the cost: ε, or the gap between a point's best targets.
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
        r"""Fixed-point steps for the points x (n, d), from the potential there is.

        .. math::

            \psi_j \leftarrow \psi_j + \omega \varepsilon \log (b_j / p_j), \qquad p_j = \tfrac1n
            \sum_i \pi_j(x_i)

        With ω = 1 a step is one of Sinkhorn's sweeps, which never lowers the semi-dual;
        ``relaxation`` ω in (1, 2) takes fewer of them [thibault2021]. Unlike `ascend` a step is as
        long as it has to be, so that a potential follows points that move in large strides. Each
        ``epsilon`` is the module's own by default; with ``n_levels`` > 0 the steps are first made
        at ε 2^n_levels, halved until ε is reached. The kernel of n×m numbers is held.
        """
        epsilon = self.epsilon if epsilon is None else epsilon
        check.all_positive(epsilon=epsilon, n_iter=n_iter)
        if not 0 < relaxation < 2:
            raise ValueError(
                f"relaxation must be in (0, 2), got {relaxation}: longer steps diverge"
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
        """The index of the target that takes (the most of) each point of x (n, d), shape (n,); at
        another potential if given.
        """
        psi = self.potential if potential is None else potential
        rows = self._points(x).split(max(1, _CACHED // len(self.y)))
        return torch.cat([self._scores(r.detach(), psi, self.epsilon).max(1).indices for r in rows])

    @torch.no_grad()
    def transform(self, x: Tensor) -> Tensor:
        """Where each point of x (n, d) goes: its target, or with ε > 0 the mean Σⱼ πⱼ(x) yⱼ; shape
        (n, d).
        """
        if self.epsilon == 0:
            return self.y[self.assign(x)]
        return torch.cat([self._shares(scores) @ self.y for _, scores in self._tiles(x)])

    @torch.no_grad()
    def marginals(self, x: Tensor) -> Tensor:
        """The mass that each target receives, estimated on points x (n, d); shape (m,)."""
        return self._moments(x)[0] / len(x)

    @torch.no_grad()
    def chi2(self, x: Tensor) -> Tensor:
        r"""Distance of the masses from b, :math:`\sum_j (p_j - b_j)^2 / b_j`, estimated without
        bias on points x (n, d).

        Its root is the relative error of a mass, in the mean square. Negative when the error drowns
        in the sampling noise, whose standard deviation is about √(2m)/n for equal weights.
        """
        n = len(x)
        if n < 2:
            raise ValueError(f"chi2 needs at least two points, got {n}")
        first, second = self._moments(x)
        # over pairs of different points: no noise in the mean
        squared = (first.square() - second) / (n * (n - 1))
        live = self.b > 0
        return ((squared - 2 * self.b * first / n + self.b.square())[live] / self.b[live]).sum()

    def value(self, x: Tensor) -> Tensor:
        r"""The semi-dual at the potential, :math:`\frac1n \sum_i \psi^c(x_i) + \langle b, \psi
        \rangle`, a scalar.

        At most the transport cost in the mean, and equal to it at the best potential.
        Differentiable in x (n, d) by the envelope theorem: the gradient is that of the cost to the
        target (to all of them, by their shares), divided by n. With ε > 0 a second derivative
        raises.
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
            return (
                ((2 * (x - self._center)) @ self._centered.T)
                .to(bias.dtype)
                .add_(bias - self._squares)
            )
        return pairwise((x - self._center).detach(), self._centered, bias - self._squares, 2.0)

    def _bias(self, psi: Tensor, epsilon: float) -> Tensor:
        return torch.where(self.b > 0, psi + torch.special.xlogy(epsilon, self.b), -torch.inf)

    def _shares(self, scores: Tensor) -> Tensor:
        return torch.softmax(scores / self.epsilon, 1)

    def _pairwise(self, x: Tensor, j: Tensor) -> Tensor:
        return self._cost.matrix(x[:, None], self.y[j][:, None]).flatten()

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Σᵢ π(xᵢ) and Σᵢ π(xᵢ)², each (m,)."""
        if self.epsilon == 0:
            counts = torch.bincount(self.assign(x), minlength=len(self.y)).to(self.b.dtype)
            return counts, counts
        tiles = [
            (shares.sum(0), shares.square_().sum(0))
            for shares in (self._shares(s) for _, s in self._tiles(x))
        ]
        return torch.stack([t[0] for t in tiles]).sum(0), torch.stack([t[1] for t in tiles]).sum(0)

    def _received(self, scores: Tensor, epsilon: float) -> tuple[Tensor, float]:
        """Σᵢ π(xᵢ) and Σᵢⱼ πⱼ(xᵢ)², of scores that are overwritten."""
        if epsilon == 0:
            return torch.bincount(scores.argmax(1), minlength=len(self.b)).to(self.b.dtype), float(
                len(scores)
            )
        shares = torch.softmax(scores.div_(epsilon), 1)
        return shares.sum(0), torch.linalg.vector_norm(shares).item() ** 2

    def _shift(self, n: int, mass: Tensor, squared: float, unit: float, rate: float) -> None:
        """One step along (b − p)/b.

        Its length is that which the scores respond to, and falls with the noise in p.
        """
        m, sharing = len(self.b), n / squared
        # 1/b, but bounded for small b
        step = rate * min(0.5, n * sharing / m) * (self.b - mass / n) * 2 / (self.b + 1 / m)
        self.iterate += unit * step.clamp(-3, 3)
        self.iterate -= (self.b * self.iterate).sum()

    def _average(self, least: float = 0.0) -> None:
        """The k-th iterate counts k times: the average forgets the beginning, and no schedule has
        to be known.
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
        blur = min(_BLUR, (len(self.y) / (n_iter * batch_size)) ** 0.25)
        start = 0.0
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
            if (
                tol is not None
                and k + 1 in tries
                and self.chi2(sampler(max(2 * len(self.y), batch_size), generator)) <= tol
            ):
                break
        else:
            if tol is not None:
                check.warn_not_reached("the sampled fit", tol, _REMEDY, stacklevel=4)
        self.iterate.copy_(self.potential)
        return self

    def _finite(self, x: Tensor, a: Tensor, n_iter: int, tol: float) -> tuple[Tensor, float]:
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

    def _found(self, psi: Tensor, reached: bool, solver: str, tol: float) -> SemiDiscrete:
        self.potential[self.b > 0] = psi.to(self.potential)
        self.iterate.copy_(self.potential)
        if not reached:
            check.warn_not_reached(solver, tol, _REMEDY, stacklevel=4)
        return self


def _maximize(
    C: Tensor, a: Tensor, b: Tensor, psi: Tensor, epsilon: float, n_iter: int, tol: float
) -> tuple[Tensor, float]:
    """L-BFGS in units of ε, and the largest error of a mass."""
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
            found = (a * torch.logsumexp(theta + reference, 1)).sum() - (b * theta).sum()
        found.backward()
        return found

    search.step(closure)
    closure()
    assert theta.grad is not None
    return theta.detach() * epsilon, theta.grad.abs().max().item()


def _gap(scores: Tensor) -> float:
    """The usual distance between neighbors among the best scores of a point: what a potential must
    move to change owners.
    """
    k = min(_RANKS, scores.shape[1])
    while True:
        best = scores[:64].topk(k, 1).values
        best = torch.where(best.isfinite(), best, best[:, :1])
        gap = (best[:, 0] - best[:, -1]).median().item() / sum(1 / i for i in range(1, max(k, 2)))
        if gap > 0 or k == scores.shape[1]:
            return gap
        k = min(4 * k, scores.shape[1])  # targets given many times are at no distance


def _two_arguments(sampler: Sampler) -> _Draw:
    if not callable(sampler):
        raise TypeError(
            f"source must be a sampler, points (n, d) or a Box, got {type(sampler).__name__}"
        )
    parameters = inspect.signature(sampler).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) >= 2:
        return sampler  # type: ignore[return-value]
    return lambda n, _: sampler(n)  # type: ignore[call-arg]
