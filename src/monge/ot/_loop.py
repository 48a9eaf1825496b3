"""The loop behind `monge.ot.sinkhorn`: fixed-point iterations with Anderson acceleration, and ε-scaling where ε is small.

    Walker & Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 2011    [walker2011]

Plain Sinkhorn is the fixed-point map h ↦ T(h) of `_kernel`, a contraction whose rate tends to 1 as ε → 0. The next h is taken
from the affine span of the last few images so that the residual h − T(h), as far as it is linear, is least in L²(b).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import parallel
from ._fused import Fused
from ._geometry import Bilinear, Geometry, Matrix
from ._kernel import Coupling, Dense, Operator, Powers, Streamed, Symmetric
from ._start import affordable, gaussian

_MEMORY = 5  # differences that Anderson's method combines
_SLACK = 16  # rounding errors that are let pass
_PATIENCE = (2, 8)  # plain iterations that are dearer than one extrapolation, for large and for small problems
_SMALL = 200  # columns
_RIDGE = 1e-8  # of the Gram matrix's trace
_BOUND = 25.0  # start anew when |h| passes it: what has underflowed in K is then still below 1e-16 of the plan
_DIRECT = 0.01  # ε over mean cost above which no ε-scaling is needed
_WARMING = 4.0  # ratio of successive ε in ε-scaling
_COARSE_TOL = 0.003  # marginal error that ends a level above the last
_COARSE_ITER = 1000
_PRECISE = 1e-3  # ε over mean cost below which float32 problems are solved in float64
_LEAP = 300.0  # longest extrapolation: where the dual is flat, as between far groups of points, it would go anywhere
_PLATEAU, _STALLED = 16, 0.9  # the error after so many sweeps, and after twice as many, must fall to this part
_CHECK_EVERY = 4  # plain iterations between two looks at |h|
_SAFE = (1e-15, 1e15)  # range of ε outside of which float32 would overflow


@dataclass(frozen=True)
class Solution:
    """Potentials (…, n), (…, m); L1 marginal error (…) and the worst of the batch; iterations over all levels; the plan."""

    f: Tensor
    g: Tensor
    error: Tensor
    worst: float
    n_iter: int
    coupling: Coupling


def solve(
    C: Tensor, a: Tensor, b: Tensor, epsilon: float, tol: float, max_iter: int, init: tuple[Tensor, Tensor] | None = None
) -> Solution:
    """Find the potentials of entropic transport between a and b for a cost matrix."""
    return fit(Matrix(C), a, b, epsilon, tol, max_iter, None if init is None else init[1])


def fit(
    geometry: Geometry,
    a: Tensor,
    b: Tensor,
    epsilon: float,
    tol: float,
    max_iter: int,
    g: Tensor | None = None,
    *,
    powers: Powers = (1.0, 1.0),
    streamed: bool = False,
    sharded: bool = False,
) -> Solution:
    """Find the potentials for any geometry; ``g`` is a start in full, not reduced, potentials."""
    dtype, mean = a.dtype, geometry.scale()
    if sharded:
        mean = parallel.total_number(mean * geometry.n) / parallel.total_number(geometry.n)
    if _needs_double(dtype, epsilon, mean):
        geometry, a, b = geometry.double(), a.double(), b.double()
    operator = _operator(geometry, a, b, powers, streamed, sharded)
    start = _cold(geometry, a, b, epsilon, sharded) if g is None else _reduced(g, geometry.beta, b)
    levels = _levels(epsilon, mean) if g is None else [epsilon]
    task = _Task(operator, geometry, a, b, powers, sharded=sharded)
    h, error, worst, used = _descend(task, start, levels, tol, max_iter, mean)
    f, g = operator.potentials(h)
    if operator.dead is not None:  # a point without weight still has a potential: the price of giving it some
        g = torch.where(operator.dead, _transformed(f, geometry, a, epsilon, powers[1], sharded), g)
    f, g = _full(f, geometry.alpha), _full(g, geometry.beta)
    return Solution(f.to(dtype), g.to(dtype), error.to(dtype), worst, used, operator.coupling())


def fit_symmetric(geometry: Geometry, a: Tensor, epsilon: float, tol: float, max_iter: int, g: Tensor | None = None) -> Solution:
    """Find the single potential of a measure against itself by averaged updates, h ← (h + T h)/2 [feydy2019]."""
    dtype, mean = a.dtype, geometry.scale()
    if _needs_double(dtype, epsilon, mean):
        geometry, a = geometry.double(), a.double()
    operator = Symmetric(geometry, a)
    start = _reduced(torch.zeros_like(a) if g is None else g, geometry.beta, a)
    levels = _levels(epsilon, mean) if g is None else [epsilon]
    task = _Task(operator, geometry, a, a, damping=0.5)
    h, error, worst, used = _descend(task, start, levels, tol, max_iter, mean)
    mass = operator.coupling().rows.sum(-1, keepdim=True)  # 1 up to the error; the dual is largest where it is 1
    f = (_full(operator.potentials(h)[0], geometry.beta) - epsilon / 2 * mass.log()).to(dtype)
    return Solution(f, f, error.to(dtype), worst, used, operator.coupling())


def _operator(geometry: Geometry, a: Tensor, b: Tensor, powers: Powers, streamed: bool, sharded: bool) -> Operator:
    if not streamed:
        return Dense(geometry, a, b, powers, sharded)
    if geometry.like.is_cuda and isinstance(geometry, Bilinear) and not geometry.batch:
        from . import _triton

        if _triton.available(geometry.like):
            return Fused(_triton, geometry, a, b, powers, sharded)
    return Streamed(geometry, a, b, powers, sharded)


def _needs_double(dtype: torch.dtype, epsilon: float, mean: float) -> bool:
    return dtype == torch.float32 and not (epsilon > _PRECISE * mean and _SAFE[0] < epsilon < _SAFE[1])


def _levels(epsilon: float, mean: float) -> list[float]:
    """Geometric sequence from about a hundredth of the mean cost down to ε."""
    found = [epsilon]
    while found[0] * _WARMING**0.5 < _DIRECT * mean < math.inf:
        found.insert(0, found[0] * _WARMING)
    return found


@dataclass(frozen=True)
class _Task:
    """What stays the same over the levels of ε; ``damping`` is ½ for the symmetric iteration."""

    operator: Operator
    geometry: Geometry
    a: Tensor
    b: Tensor
    powers: Powers = (1.0, 1.0)
    damping: float = 1.0
    sharded: bool = False


def _descend(
    task: _Task, g: Tensor, levels: list[float], tol: float, max_iter: int, mean: float
) -> tuple[Tensor, Tensor, float, int]:
    """Go through the levels of ε; from a plateau at the last one, again from ε near the mean cost.

    Where mass must cross between far groups, an iteration moves their potentials apart by about ε, and the error stays the same
    until they are as far apart as the groups: a larger ε takes larger strides.
    """
    h, error, worst, used, level = _through(task, g, levels, tol, max_iter, stop_at_plateau=True)
    if level == levels[-1] and (worst <= tol or used >= max_iter):
        return h, error, worst, used
    h, error, worst, spent, _ = _through(task, g, _levels(levels[-1], mean / _DIRECT), tol, max_iter - used)
    return h, error, worst, used + spent


def _through(
    task: _Task, g: Tensor, levels: list[float], tol: float, max_iter: int, *, stop_at_plateau: bool = False
) -> tuple[Tensor, Tensor, float, int, float]:
    """The last h, its errors, the sweeps of all levels, and the level that was reached."""
    used = 0
    for level in levels:
        last = level == levels[-1]
        goal, budget = (tol, max_iter - used) if last else (_COARSE_TOL, min(_COARSE_ITER, max_iter - used - 1))
        h, error, worst, spent = _iterate(task, g, level, goal, max(1, budget), stop_at_plateau=stop_at_plateau)
        used += spent
        if last or (stop_at_plateau and worst > goal):
            break
        g = task.operator.potentials(h)[1]
    return h, error, worst, used, level


def _iterate(
    task: _Task, g: Tensor, epsilon: float, tol: float, budget: int, *, stop_at_plateau: bool = False
) -> tuple[Tensor, Tensor, float, int]:
    """Iterate from g at one ε; returns the last h, its error (…), the largest error, and the number of sweeps.

    An extrapolated h is on trial: where the dual objective does not climb by half of what fitting the columns alone is sure to
    give, the plain step is taken after all.
    """
    operator = task.operator
    operator.start(g, epsilon)
    h, mixer, used = torch.zeros_like(g), Anderson(task.b), 0
    trial: tuple[Tensor, Tensor] | None = None  # the dual to reach, and the h of plain iteration
    look = False  # at the size of h, before the next sweep
    plateau, before = _PLATEAU, math.inf  # the sweep at which the error is compared with the one before
    while True:
        if trial is None and (look or used % _CHECK_EVERY == 1) and not (size := _size(h)) < _BOUND:
            f, g = operator.potentials(h)
            if not math.isfinite(size):  # a column of the kernel has underflowed
                g = _transformed(f, task.geometry, task.a, epsilon, task.powers[1], task.sharded)
            operator.start(g, epsilon)
            h = torch.zeros_like(g)
            mixer.forget()
        look = False
        t = operator.sweep(h)
        r = h - t
        error = _dot(task.b, torch.expm1(r).abs_())
        worst = (error.amax() if error.ndim else error).item()
        used += 1
        if worst <= tol or (used >= budget and trial is None):
            return h, error, worst, used
        if used >= plateau and trial is None:
            if stop_at_plateau and worst > _STALLED * before:
                return h, error, worst, used
            plateau, before = 2 * used, worst
        dual = None
        if trial is not None:
            dual = operator.dual(h)
            fell = ~(dual >= trial[0])
            if fell.any():
                h, trial, look = torch.where(fell.unsqueeze(-1), trial[1], h), None, True
                mixer.forget()
                continue
            if used >= budget:
                return h, error, worst, used
            if not _size(h) < _BOUND:
                trial, look = None, True
                continue
        image = t if task.damping == 1 else h - task.damping * r
        mixed = mixer.next(image, r, worst, tol)
        trial = None
        if mixed is not None:
            dual = operator.dual(h) if dual is None else dual
            climb = _dot(task.b, torch.expm1(r) - r)  # KL of the columns
            slack = _SLACK * torch.finfo(dual.dtype).eps * (dual.abs() + 1)
            trial = dual + climb / 2 - slack, image
        h = image if mixed is None else mixed


def _size(h: Tensor) -> float:
    return torch.linalg.vector_norm(h, torch.inf).item()


def _dot(b: Tensor, x: Tensor) -> Tensor:
    return torch.dot(b, x) if b.ndim == 1 else (b * x).sum(-1)


def _transformed(f: Tensor, geometry: Geometry, a: Tensor, epsilon: float, power: float, sharded: bool) -> Tensor:
    """The potential that fits the columns to f, in the log domain, where nothing underflows."""
    g = geometry.transposed.softmin(f if f.isfinite().all() else torch.zeros_like(f), a.log(), epsilon)
    if sharded:
        g = -epsilon * torch.logsumexp(parallel.gather((-g / epsilon).unsqueeze(0)), 0)
    return g if power == 1 else _reduced(power * _full(g, geometry.beta), geometry.beta, g)


class Anderson:
    """Anderson acceleration in L²(b), for a batch of fixed-point problems at once [walker2011]."""

    def __init__(self, b: Tensor) -> None:
        self._b, self._previous = b, math.inf
        self._patience = _PATIENCE[b.numel() < _SMALL]
        self.forget()

    def forget(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._count = 0

    def next(self, image: Tensor, r: Tensor, worst: float, goal: float) -> Tensor | None:
        """The next h from the image T(h) and the residual of the last one; None where a few plain steps will do."""
        shrink, self._previous = min(worst / self._previous, 1.0), worst
        last, self._last = self._last, (image, r)
        if last is None:
            return None
        if self._count == 0:
            shape = (*image.shape[:-1], _MEMORY, image.shape[-1])
            self._steps, self._differences = image.new_empty(shape), image.new_empty(shape)
        slot, self._count = self._count % _MEMORY, self._count + 1
        torch.sub(image, last[0], out=self._steps[..., slot, :])
        torch.sub(r, last[1], out=self._differences[..., slot, :])
        if worst * shrink**self._patience < goal:
            return None
        used = min(self._count, _MEMORY)
        D = self._differences[..., :used, :].double()
        weighted = D * self._b.unsqueeze(-2)
        A, y = weighted @ D.mT, weighted @ r.double().unsqueeze(-1)
        diagonal = A.diagonal(dim1=-2, dim2=-1)
        noise = (_SLACK * torch.finfo(image.dtype).eps) ** 2  # of residuals that are all rounding, as in a solved problem
        diagonal += _RIDGE * diagonal.sum(-1, keepdim=True) + noise
        theta = torch.linalg.solve_ex(A, y)[0].to(image.dtype)
        step = (self._steps[..., :used, :].mT @ theta).squeeze(-1)
        size = torch.linalg.vector_norm(step, torch.inf, -1, keepdim=True)
        return image - step * (_LEAP / size).clamp_max_(1)


def _cold(geometry: Geometry, a: Tensor, b: Tensor, epsilon: float, sharded: bool) -> Tensor:
    if isinstance(geometry, Bilinear) and geometry.squared and affordable(geometry):
        g = gaussian(geometry, a, b, epsilon, sharded)
        if g.isfinite().all():
            return g
    return torch.zeros_like(b) if geometry.beta is None else -geometry.beta


def _reduced(g: Tensor, shift: Tensor | None, like: Tensor) -> Tensor:
    return g.to(like.dtype) if shift is None else g.to(like.dtype) - shift


def _full(g: Tensor, shift: Tensor | None) -> Tensor:
    return g if shift is None else g + shift
