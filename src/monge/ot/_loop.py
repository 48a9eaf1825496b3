"""The iteration of `monge.ot.sinkhorn`.

Plain Sinkhorn is the fixed-point iteration h ← T(h) of `_kernel`, a contraction with a rate that
tends to 1 as ε → 0. Two additions make it fast (extrapolation and ε-scaling), and two keep it safe
(trial and absorption):

extrapolation   `_anderson` combines the last images T(h) into a better h.
trial           An extrapolated h must raise the dual objective by half of the guaranteed gain of a
                plain step; otherwise it is rejected, and the plain step is taken instead.
ε-scaling       Where ε is below a hundredth of the mean cost, problems with larger ε are solved
                first, with a coarse tolerance (`_levels`).
absorption      The kernel contains the potentials of its start, so that |h| stays small and no
                relevant entry underflows. When |h| has grown, the kernel is recomputed from the
                current potentials [schmitzer2019].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import parallel
from ._anderson import SLACK, Anderson
from ._coupling import Coupling
from ._fused import Fused
from ._geometry import Bilinear, Geometry, Matrix, full, reduced
from ._kernel import Dense, Operator, Streamed, Symmetric, Task, damped
from ._start import cold

# bound on |h| before absorption: entries of K that have underflowed are below 1e-16 of the plan
_BOUND = 25.0
_DIRECT = 0.01  # ε relative to the mean cost above which no ε-scaling is needed
_WARMING = 4.0  # ratio of successive ε in ε-scaling
_COARSE_TOL = 0.003  # marginal error that ends a level above the last
_COARSE_ITER = 1000  # most sweeps on a level above the last
_PRECISE = 1e-3  # ε relative to the mean cost below which float32 is computed in float64
_PLATEAU = 16  # sweeps before the error is first compared with an earlier one
_STALLED = 0.9  # ratio of these errors above which the iteration has stalled
_CHECK_EVERY = 4  # plain iterations between two checks of |h|
_SAFE = (1e-15, 1e15)  # range of ε in which float32 does not overflow


@dataclass(frozen=True)
class Solution:
    """Solution of a batch of problems.

    f, g        potentials (…, n), (…, m)
    error       L1 marginal error (…), of which ``worst`` is the largest
    n_iter      iterations over all levels of ε
    coupling    the plan
    """

    f: Tensor
    g: Tensor
    error: Tensor
    worst: float
    n_iter: int
    coupling: Coupling


def solve(
    C: Tensor,
    a: Tensor,
    b: Tensor,
    epsilon: float,
    tol: float,
    max_iter: int,
    init: tuple[Tensor, Tensor] | None = None,
) -> Solution:
    """Find the potentials of entropic transport between a and b for a cost matrix."""
    return fit(Task(Matrix(C), a, b), epsilon, tol, max_iter, None if init is None else init[1])


def fit(
    task: Task,
    epsilon: float,
    tol: float,
    max_iter: int,
    g: Tensor | None = None,
    *,
    streamed: bool = False,
) -> Solution:
    """Find the potentials; ``g`` is an initial potential (full, not reduced)."""
    dtype, mean = task.a.dtype, task.geometry.scale()
    if task.sharded:
        n = task.geometry.n
        mean = parallel.total_number(mean * n) / parallel.total_number(n)
    if _needs_double(dtype, epsilon, mean):
        geometry, a, b = task.geometry.double(), task.a.double(), task.b.double()
        task = Task(geometry, a, b, task.damping, task.sharded)
    geometry, operator = task.geometry, _operator(task, streamed)
    start = cold(task, epsilon) if g is None else reduced(g.to(task.b.dtype), geometry.beta)
    levels = _levels(epsilon, mean) if g is None else [epsilon]
    h, error, worst, used = _descend(operator, task, start, levels, tol, max_iter, mean)
    f, g = operator.potentials(h)
    if task.zero_mass is not None:
        # a point of zero weight also has a potential: the marginal cost of giving it weight
        g = torch.where(task.zero_mass, _log_domain(task, f, epsilon), g)
    f, g = full(f, geometry.alpha), full(g, geometry.beta)
    return Solution(f.to(dtype), g.to(dtype), error.to(dtype), worst, used, operator.coupling())


def fit_symmetric(
    geometry: Geometry,
    a: Tensor,
    epsilon: float,
    tol: float,
    max_iter: int,
    g: Tensor | None = None,
) -> Solution:
    """Find the potential of a measure and itself by the averaged updates h ← (h + T(h))/2.

    Source: [feydy2019].
    """
    dtype, mean = a.dtype, geometry.scale()
    if _needs_double(dtype, epsilon, mean):
        geometry, a = geometry.double(), a.double()
    operator = Symmetric(geometry, a)
    start = reduced(torch.zeros_like(a) if g is None else g.to(a.dtype), geometry.beta)
    levels = _levels(epsilon, mean) if g is None else [epsilon]
    h, error, worst, used = _descend(
        operator, Task(geometry, a, a), start, levels, tol, max_iter, mean
    )
    # the mass is 1 up to the error, and exactly 1 where the dual is largest
    mass = operator.coupling().rows.sum(-1, keepdim=True)
    f = (full(operator.potentials(h)[0], geometry.beta) - epsilon / 2 * mass.log()).to(dtype)
    return Solution(f, f, error.to(dtype), worst, used, operator.coupling())


def _operator(task: Task, streamed: bool) -> Operator:
    if not streamed:
        return Dense(task)
    geometry = task.geometry
    if geometry.like.is_cuda and isinstance(geometry, Bilinear) and not geometry.batch:
        from . import _triton

        if _triton.available(geometry.like):
            return Fused(_triton, task)
    return Streamed(task)


def _needs_double(dtype: torch.dtype, epsilon: float, mean: float) -> bool:
    safe = epsilon > _PRECISE * mean and _SAFE[0] < epsilon < _SAFE[1]
    return dtype == torch.float32 and not safe


def _levels(epsilon: float, mean: float) -> list[float]:
    """Return a geometric sequence from about a hundredth of the mean cost down to ε."""
    levels = [epsilon]
    while levels[0] * _WARMING**0.5 < _DIRECT * mean < math.inf:
        levels.insert(0, levels[0] * _WARMING)
    return levels


def _descend(
    operator: Operator,
    task: Task,
    g: Tensor,
    levels: list[float],
    tol: float,
    max_iter: int,
    mean: float,
) -> tuple[Tensor, Tensor, float, int]:
    """Solve the levels of ε; on a plateau, restart with levels that begin near the mean cost.

    Where mass must cross between distant groups of points, one iteration changes the difference of
    their potentials by about ε, and the error stays constant until that difference matches the
    distance of the groups: a larger ε needs fewer iterations.
    """
    h, error, worst, used, level = _solve_levels(operator, task, g, levels, tol, max_iter, True)
    if level == levels[-1] and (worst <= tol or used >= max_iter):
        return h, error, worst, used
    levels, left = _levels(levels[-1], mean / _DIRECT), max_iter - used
    h, error, worst, spent, _ = _solve_levels(operator, task, g, levels, tol, left, False)
    return h, error, worst, used + spent


def _solve_levels(
    operator: Operator,
    task: Task,
    g: Tensor,
    levels: list[float],
    tol: float,
    max_iter: int,
    stop_at_plateau: bool,
) -> tuple[Tensor, Tensor, float, int, float]:
    """Return the last h, its errors, the sweeps of all levels, and the level that was reached."""
    used = 0
    for level in levels:
        last = level == levels[-1]
        goal, budget = tol, max_iter - used
        if not last:
            # A level above the last has a coarse tolerance and leaves at least one sweep for the
            # last level, so that the plan belongs to the requested ε.
            goal, budget = _COARSE_TOL, min(_COARSE_ITER, max_iter - used - 1)
        budget = max(1, budget)
        h, error, worst, spent = _iterate(operator, task, g, level, goal, budget, stop_at_plateau)
        used += spent
        if last or (stop_at_plateau and worst > goal):
            break
        g = operator.potentials(h)[1]
    return h, error, worst, used, level


def _iterate(
    operator: Operator,
    task: Task,
    g: Tensor,
    epsilon: float,
    tol: float,
    budget: int,
    stop_at_plateau: bool,
) -> tuple[Tensor, Tensor, float, int]:
    """Iterate from g at one ε; return the last h, its error (…), the largest error, and the sweeps.

    The state is h together with its kind: a plain h was computed by T and is safe, an h on trial is
    an extrapolation. ``trial`` is None for a plain h; otherwise it holds the dual objective that h
    must reach, and the plain h that replaces it if it does not.
    """
    operator.start(g, epsilon)
    h, mixer, used = torch.zeros_like(g), Anderson(task.b), 0
    trial: tuple[Tensor, Tensor] | None = None  # the dual to reach, and the plain h
    check_size = False  # whether to check |h| before the next sweep
    plateau = _PLATEAU
    before = math.inf
    while True:
        # Absorption: a plain h that has grown is moved into the kernel, which is recomputed from
        # the current potentials; h becomes 0. A check of |h| costs a pass over h, so only every
        # fourth plain h is checked, and each one that follows a trial. Extrapolation starts again,
        # since the images it combines belong to the old kernel.
        check_size = trial is None and (check_size or used % _CHECK_EVERY == 1)
        if check_size and not (size := _max_norm(h)) < _BOUND:
            f, g = operator.potentials(h)
            if not math.isfinite(size):
                # A whole column of the kernel has underflowed, and h with it: from a distant start
                # the scalings cannot recover it. f is valid, since each row of the kernel contains
                # its maximum; g is computed from it in the log domain.
                g = _log_domain(task, f, epsilon)
            operator.start(g, epsilon)
            h = torch.zeros_like(g)
            mixer.forget()
        check_size = False

        # Sweep: fit the rows to h; t is the h that would fit the columns. The mass of column j is
        # e^r bⱼ, so that Σ b |e^r − 1| is the L1 error of the columns; the error of the rows is 0.
        t = operator.sweep(h)
        r = h - t
        error = _dot(task.b, torch.expm1(r).abs_())
        worst = (error.amax() if error.ndim else error).item()
        used += 1

        # Converged: return any h, even one on trial, since its error has been measured. Budget
        # exhausted: return a plain h only; an h on trial is tested first.
        if worst <= tol or (used >= budget and trial is None):
            return h, error, worst, used

        # Stalled: errors are compared after 16, 32, 64, … sweeps. On a plateau a larger ε is faster
        # (`_descend`).
        if used >= plateau and trial is None:
            if stop_at_plateau and worst > _STALLED * before:
                return h, error, worst, used
            plateau, before = 2 * used, worst

        # Test of an h on trial, by the dual objective.
        dual = None
        if trial is not None:
            dual = operator.dual(h)
            failed = ~(dual >= trial[0])  # NaN fails
            if failed.any():
                # Rejected in some problems of the batch: replace h by the plain h there. The sweep
                # is lost; if the budget ends here, one more sweep is made, since the potentials of
                # this one must not be returned.
                h, trial, check_size = torch.where(failed.unsqueeze(-1), trial[1], h), None, True
                mixer.forget()
                continue
            if used >= budget:
                return h, error, worst, used
            if not _max_norm(h) < _BOUND:
                # Accepted, but too large for this kernel: treat h as plain, and absorb it next.
                trial, check_size = None, True
                continue

        # Next h: an extrapolation on trial, or the plain step where the history is too short or a
        # few plain steps are enough. A plain step raises the dual at least by the Kullback-Leibler
        # divergence of the columns from b; an extrapolation must reach half of that gain, up to
        # rounding.
        image = t if operator.relaxation == 1 else h - operator.relaxation * r
        mixed = mixer.next(image, r, worst, tol)
        trial = None
        if mixed is not None:
            dual = operator.dual(h) if dual is None else dual
            gain = _dot(task.b, torch.expm1(r) - r)
            slack = SLACK * torch.finfo(dual.dtype).eps * (dual.abs() + 1)
            trial = dual + gain / 2 - slack, image
        h = image if mixed is None else mixed


def _max_norm(h: Tensor) -> float:
    return torch.linalg.vector_norm(h, torch.inf).item()


def _dot(b: Tensor, x: Tensor) -> Tensor:
    return torch.dot(b, x) if b.ndim == 1 else (b * x).sum(-1)


def _log_domain(task: Task, f: Tensor, epsilon: float) -> Tensor:
    """Return the reduced potential that fits the columns to f, by log-sum-exps.

    Unlike in the scalings, nothing underflows.
    """
    f = f if f.isfinite().all() else torch.zeros_like(f)
    g = task.geometry.transposed.softmin(f, task.a.log(), epsilon)
    if task.sharded:
        g = -epsilon * torch.logsumexp(parallel.gather((-g / epsilon).unsqueeze(0)), 0)
    return damped(g, task.geometry.beta, task.damping[1])
