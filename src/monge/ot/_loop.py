"""The loop behind `monge.ot.sinkhorn`.

Plain Sinkhorn is the fixed-point iteration h ← T(h) of `_kernel`, a contraction whose rate tends to
1 as ε → 0. Two additions make it fast (extrapolation, ε-scaling) and two keep it safe (trial,
absorption):

extrapolation   `_anderson` combines the last images T(h) into a better h.
trial           An extrapolated h must raise the dual objective by half of what a plain step is sure
                to give; otherwise the plain step is taken after all.
ε-scaling       Where ε is below a hundredth of the mean cost, problems with larger ε are solved
                first, roughly (`_levels`).
absorption      The kernel holds the potentials of its start, so that |h| stays small and nothing
                that matters underflows; when
                |h| has grown, the kernel is made again from the present potentials [schmitzer2019].
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

# of |h| before absorption: what has underflowed in K is then still below 1e-16 of the plan
_BOUND = 25.0
_DIRECT = 0.01  # ε over mean cost above which no ε-scaling is needed
_WARMING = 4.0  # ratio of successive ε in ε-scaling
_COARSE_TOL = 0.003  # marginal error that ends a level above the last
_COARSE_ITER = 1000
_PRECISE = 1e-3  # ε over mean cost below which float32 problems are solved in float64
_PLATEAU = 16
_STALLED = 0.9
_CHECK_EVERY = 4  # plain iterations between two looks at |h|
_SAFE = (1e-15, 1e15)  # range of ε outside of which float32 would overflow


@dataclass(frozen=True)
class Solution:
    """Potentials (…, n), (…, m); L1 marginal error (…) and the worst of the batch; iterations over
    all levels; the plan.
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
    """Find the potentials; ``g`` is a start in full, not reduced, potentials."""
    dtype, mean = task.a.dtype, task.geometry.scale()
    if task.sharded:
        mean = parallel.total_number(mean * task.geometry.n) / parallel.total_number(
            task.geometry.n
        )
    if _needs_double(dtype, epsilon, mean):
        task = Task(
            task.geometry.double(), task.a.double(), task.b.double(), task.damping, task.sharded
        )
    geometry, operator = task.geometry, _operator(task, streamed)
    start = cold(task, epsilon) if g is None else reduced(g.to(task.b.dtype), geometry.beta)
    levels = _levels(epsilon, mean) if g is None else [epsilon]
    h, error, worst, used = _descend(operator, task, start, levels, tol, max_iter, mean)
    f, g = operator.potentials(h)
    if (
        task.zero_mass is not None
    ):  # a point without weight still has a potential: the price of giving it some
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
    """Find the single potential of a measure against itself by averaged updates, h ← (h + T h)/2
    [feydy2019].
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
    # 1 up to the error; the dual is largest where it is 1
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
    return dtype == torch.float32 and not (
        epsilon > _PRECISE * mean and _SAFE[0] < epsilon < _SAFE[1]
    )


def _levels(epsilon: float, mean: float) -> list[float]:
    """Geometric sequence from about a hundredth of the mean cost down to ε."""
    found = [epsilon]
    while found[0] * _WARMING**0.5 < _DIRECT * mean < math.inf:
        found.insert(0, found[0] * _WARMING)
    return found


def _descend(
    operator: Operator,
    task: Task,
    g: Tensor,
    levels: list[float],
    tol: float,
    max_iter: int,
    mean: float,
) -> tuple[Tensor, Tensor, float, int]:
    """Go through the levels of ε; from a plateau, once more with levels that begin near the mean
    cost.

    Where mass must cross between far groups, an iteration moves their potentials apart by about ε,
    and the error stays the same until they are as far apart as the groups: a larger ε takes larger
    strides.
    """
    h, error, worst, used, level = _through(operator, task, g, levels, tol, max_iter, True)
    if level == levels[-1] and (worst <= tol or used >= max_iter):
        return h, error, worst, used
    h, error, worst, spent, _ = _through(
        operator, task, g, _levels(levels[-1], mean / _DIRECT), tol, max_iter - used, False
    )
    return h, error, worst, used + spent


def _through(
    operator: Operator,
    task: Task,
    g: Tensor,
    levels: list[float],
    tol: float,
    max_iter: int,
    stop_at_plateau: bool,
) -> tuple[Tensor, Tensor, float, int, float]:
    """The last h, its errors, the sweeps of all levels, and the level that was reached."""
    used = 0
    for level in levels:
        last = level == levels[-1]
        # A level above the last is solved roughly, and leaves at least one sweep for the last: a
        # plan must be one of the asked ε.
        goal, budget = (
            (tol, max_iter - used)
            if last
            else (_COARSE_TOL, min(_COARSE_ITER, max_iter - used - 1))
        )
        h, error, worst, spent = _iterate(
            operator, task, g, level, goal, max(1, budget), stop_at_plateau
        )
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
    """Iterate from g at one ε; returns the last h, its error (…), the largest error, and the number
    of sweeps.

    The state is h and whether it is on trial: a plain h came from T and is safe, an h on trial is
    an extrapolation. ``trial`` holds what must be reached, and the plain h to go back to.
    """
    operator.start(g, epsilon)
    h, mixer, used = torch.zeros_like(g), Anderson(task.b), 0
    trial: tuple[Tensor, Tensor] | None = None  # the dual to reach, and the plain h
    look = False  # at the size of h, before the next sweep
    plateau = _PLATEAU
    before = math.inf
    while True:
        # Absorption, of a plain h that has grown: the kernel is made again from the potentials, and
        # h is 0 there. A look at |h| takes a pass over it, so that only every fourth plain h is
        # looked at, and those after a trial. Extrapolation starts anew, since the images it
        # combines belong to the old kernel.
        if trial is None and (look or used % _CHECK_EVERY == 1) and not (size := _size(h)) < _BOUND:
            f, g = operator.potentials(h)
            if not math.isfinite(size):
                # A column of the kernel has underflowed as a whole, and h with it: from a start far
                # off, scalings cannot tell where the column is. f is sound, for each row has its
                # maximum in the kernel; g is found in the log domain.
                g = _log_domain(task, f, epsilon)
            operator.start(g, epsilon)
            h = torch.zeros_like(g)
            mixer.forget()
        look = False

        # Sweep: the rows are fitted to h, and t is the h that would fit the columns. Column j has
        # e^r times the mass bⱼ, so that Σ b |e^r − 1| is the L1 error of the columns; that of the
        # rows is 0.
        t = operator.sweep(h)
        r = h - t
        error = _dot(task.b, torch.expm1(r).abs_())
        worst = (error.amax() if error.ndim else error).item()
        used += 1

        # Converged: an h on trial too, since its error is measured. Out of sweeps: only a plain h
        # is returned here, for one on trial must be judged first.
        if worst <= tol or (used >= budget and trial is None):
            return h, error, worst, used

        # Stalled: the error is compared after 16, 32, 64, … sweeps. On a plateau a larger ε is
        # faster (`_descend`).
        if used >= plateau and trial is None:
            if stop_at_plateau and worst > _STALLED * before:
                return h, error, worst, used
            plateau, before = 2 * used, worst

        # Judgment of an h on trial, by the dual objective.
        dual = None
        if trial is not None:
            dual = operator.dual(h)
            failed = ~(dual >= trial[0])  # NaN fails
            if failed.any():
                # It failed in some problem of the batch: there the plain h is taken instead. The
                # sweep is lost, and a budget that ends here has one sweep more, since the
                # potentials of this one are not to be returned.
                h, trial, look = torch.where(failed.unsqueeze(-1), trial[1], h), None, True
                mixer.forget()
                continue
            if used >= budget:
                return h, error, worst, used
            if not _size(h) < _BOUND:
                # It passed, but is too large for this kernel: from now on it counts as plain, and
                # is absorbed next.
                trial, look = None, True
                continue

        # Next h: extrapolated and on trial, or plain where the history is too short or a few plain
        # steps will do. A plain step is sure to raise the dual by the Kullback-Leibler divergence
        # of the columns from b; half of that, less rounding, is asked.
        image = t if operator.damping == 1 else h - operator.damping * r
        mixed = mixer.next(image, r, worst, tol)
        trial = None
        if mixed is not None:
            dual = operator.dual(h) if dual is None else dual
            climb = _dot(task.b, torch.expm1(r) - r)
            slack = SLACK * torch.finfo(dual.dtype).eps * (dual.abs() + 1)
            trial = dual + climb / 2 - slack, image
        h = image if mixed is None else mixed


def _size(h: Tensor) -> float:
    return torch.linalg.vector_norm(h, torch.inf).item()


def _dot(b: Tensor, x: Tensor) -> Tensor:
    return torch.dot(b, x) if b.ndim == 1 else (b * x).sum(-1)


def _log_domain(task: Task, f: Tensor, epsilon: float) -> Tensor:
    """The reduced potential that fits the columns to f, by log-sum-exps, in which nothing
    underflows.
    """
    g = task.geometry.transposed.softmin(
        f if f.isfinite().all() else torch.zeros_like(f), task.a.log(), epsilon
    )
    if task.sharded:
        g = -epsilon * torch.logsumexp(parallel.gather((-g / epsilon).unsqueeze(0)), 0)
    return damped(g, task.geometry.beta, task.damping[1])
