"""Exact optimal transport, as an assignment problem or a linear program.

Uniform clouds of one size are an assignment problem. Large linear programs are solved by column
generation: solve on the arcs that entropic potentials make likely, compute the reduced cost of
every arc from the dual, add arcs of negative reduced cost, and repeat. At the end no reduced cost
is negative, which certifies that the plan is optimal.

scipy is imported where it is called, since it would add half a second to `from monge import ot`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import _validate as check
from ._autograd import first_order, root
from ._loop import solve
from .costs import as_cost

_ALL_ARCS = 20_000  # up to this many arcs the whole program is solved at once
_ARCS = 8  # initial arcs per point


def wasserstein(
    x: Tensor, y: Tensor, *, p: float = 2, a: Tensor | None = None, b: Tensor | None = None
) -> Tensor:
    r"""Compute the exact Wasserstein distance, including the p-th root.

    .. math:: W_p = \Bigl(\min_{P 1 = a,\ P^\top 1 = b} \sum_{ij} P_{ij}\,|x_i - y_j|^p\Bigr)^{1/p}

    The problem is solved in float64 on the CPU. Its cost grows as n³ and is about one second for
    n = 2,000; use `sinkhorn` for more than 10,000 points.

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points.
    p : float
        Exponent, at least 1.
    a, b : Tensor (..., n), (..., m), optional
        Weights; uniform by default. They have no gradient; use `sinkhorn` if you need one.

    Returns
    -------
    Tensor (...)
        Distance in the unit of the points, differentiable in them by the envelope theorem (with
        gradient 0 where the distance is 0).

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> wasserstein(x, x + torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if not p >= 1:
        raise ValueError(f"p must be >= 1, got {p!r}")
    x, y = check.pair(x, y)
    if (a is not None and a.requires_grad) or (b is not None and b.requires_grad):
        raise ValueError(
            "wasserstein has no gradient in the weights: pass a.detach(), or use sinkhorn"
        )
    uniform = a is None and b is None and x.shape[-2] == y.shape[-2]
    batch, n, m = x.shape[:-2], x.shape[-2], y.shape[-2]
    aw, bw = check.weights(a, x, n, "a"), check.weights(b, y, m, "b")
    inputs = (t.detach().double().cpu() for t in (x, y, aw, bw))
    problems = zip(*(t.reshape(-1, *t.shape[len(batch) :]) for t in inputs), strict=True)
    plans = [
        _plan(_power_cost(xi, yi, p), None if uniform else ai, bi) for xi, yi, ai, bi in problems
    ]
    P = torch.stack(plans).reshape(*batch, n, m).to(x)
    if p == 2:
        total = as_cost("sqeuclidean").inner(P, first_order(x), first_order(y)).clamp_min(0)
    else:
        total = (P * _power_cost(first_order(x), first_order(y), p)).sum((-2, -1))
    return root(total, p)


def transport(C: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Return the optimal plan (n, m) for a cost matrix, in float64 and without gradient.

    Weights are uniform by default; without weights and with n = m this is the assignment problem.

    >>> transport(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]], dtype=torch.float64)
    """
    C = check.cost_matrix(C).detach().double().cpu()
    if a is None and b is None and C.shape[0] == C.shape[1]:
        return _plan(C, None, None)
    aw, bw = check.weights(a, C, C.shape[0], "a"), check.weights(b, C, C.shape[1], "b")
    return _plan(C, aw.detach(), bw.detach())


def _power_cost(x: Tensor, y: Tensor, p: float) -> Tensor:
    if p == 2:
        return as_cost("sqeuclidean").matrix(x, y)
    return as_cost("euclidean").matrix(x, y) ** p


def _plan(C: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
    if a is None or b is None:
        from scipy.optimize import linear_sum_assignment

        rows, cols = linear_sum_assignment(C.numpy())
        P = torch.zeros_like(C)
        P[rows, cols] = 1 / C.shape[0]
        return P
    return torch.from_numpy(_program(C.numpy(), (a / a.sum()).numpy(), (b / b.sum()).numpy()))


def _program(C: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    n, m = C.shape
    scale = max(float(np.abs(C).max()), np.finfo(float).tiny)
    active = np.ones((n, m), bool) if n * m <= _ALL_ARCS else _likely_arcs(C, a, b)
    while True:
        i, j = np.nonzero(active)
        arcs = np.arange(len(i))
        ones = np.ones(2 * len(i))
        constraints = coo_array(
            (ones, (np.concatenate([i, n + j]), np.concatenate([arcs, arcs]))),
            shape=(n + m, len(i)),
        )
        result = linprog(
            C[i, j] / scale, A_eq=constraints.tocsr(), b_eq=np.concatenate([a, b]), method="highs"
        )
        if result.status != 0:
            raise RuntimeError(f"the linear program of exact transport failed: {result.message}")
        dual = result.eqlin.marginals
        reduced = C / scale - dual[:n, None] - dual[None, n:]
        violated = (reduced < -1e-9) & ~active
        if not violated.any():
            P = np.zeros_like(C)
            P[i, j] = result.x
            return P
        count = min(int(violated.sum()), _ARCS * (n + m))
        worst = np.argpartition(np.where(violated, reduced, 0).ravel(), count - 1)[:count]
        active.ravel()[worst] = True


def _likely_arcs(C: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return arcs of small reduced cost under entropic potentials, including a feasible plan."""
    matrix, aw, bw = (torch.from_numpy(t) for t in (C, a, b))
    solution = solve(matrix, aw, bw, 0.02 * max(matrix.mean().item(), 1e-300), 1e-2, 500)
    reduced = C - solution.f.numpy()[:, None] - solution.g.numpy()[None, :]
    active = np.zeros(C.shape, bool)
    per_row, per_column = min(_ARCS, C.shape[1]), min(_ARCS, C.shape[0])
    columns = np.argpartition(reduced, per_row - 1, axis=1)[:, :per_row]
    np.put_along_axis(active, columns, True, axis=1)
    rows = np.argpartition(reduced, per_column - 1, axis=0)[:per_column]
    np.put_along_axis(active, rows, True, axis=0)
    i = j = 0
    left, right = a.cumsum(), b.cumsum()
    while i < len(a) and j < len(b):  # a feasible plan by the north-west corner rule
        active[i, j] = True
        if i + 1 < len(a) and (left[i] <= right[j] or j + 1 == len(b)):
            i += 1
        else:
            j += 1
    return active
