"""Wasserstein barycenters of several measures.

    Cuturi & Doucet, "Fast computation of Wasserstein barycenters", ICML 2014 [cuturi2014]
    Benamou, Carlier, Cuturi, Nenna & Peyré, "Iterative Bregman projections", SISC 2015
        [benamou2015]
    Janati, Cuturi & Gramfort, "Debiased Sinkhorn barycenters", ICML 2020 [janati2020]

    y_k, b_k    points and weights of measure k         λ_k    its share in the barycenter
    x, a        points and weights of the barycenter    P_k    plan from it to measure k
    u_k, v_k    scalings of P_k = u_k K_k v_k           d      scaling that removes the blur

Free support: the weights are fixed, and each point moves to the mean of its images under the plans.
Fixed support: the points are fixed, and the weights become the geometric mean of the row sums of
the plans.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from . import _validate as check
from .costs import CostLike, as_cost
from .exact import transport
from .plan import Plan
from .sinkhorn import sinkhorn

Measure: TypeAlias = "Tensor | tuple[Tensor, Tensor]"
Clouds: TypeAlias = "list[tuple[Tensor, Tensor]]"  # points and weights


@dataclass(frozen=True)
class Barycenter:
    """A barycenter, without gradient.

    Attributes
    ----------
    points : Tensor (n, d)
        Support.
    weights : Tensor (n,)
        Weights of the points.
    value : Tensor ()
        Σ λ_k <P_k, C_k>, in units of the cost, without the entropy.
    n_iter : int
        Iterations.
    converged : bool
        Whether the tolerance was met.
    """

    points: Tensor
    weights: Tensor
    value: Tensor
    n_iter: int
    converged: bool


def barycenter(
    measures: Sequence[Measure],
    weights: Tensor | Sequence[float] | None = None,
    *,
    epsilon: float,
    support: Tensor | None = None,
    n_support: int | None = None,
    masses: Tensor | None = None,
    cost: CostLike = "sqeuclidean",
    debias: bool = False,
    tol: float = 1e-3,
    max_iter: int | None = None,
    generator: torch.Generator | None = None,
) -> Barycenter:
    r"""Compute a Wasserstein barycenter of weighted point clouds.

    .. math:: \min_{\alpha} \sum_k \lambda_k\, W_\varepsilon(\alpha, \beta_k)

    With a free support the result is a local minimum, found in few iterations of K plans each.
    Source: [cuturi2014] for a free support, [benamou2015] for a fixed one.

    Parameters
    ----------
    measures : sequence of Tensor (m_k, d) or (points, weights)
        Clouds of any sizes, of one dtype and device; weights are uniform where none are given.
    weights : Tensor (K,) or sequence, optional
        Shares λ, non-negative with sum one; uniform by default.
    epsilon : float
        Regularization in units of the cost. 0 uses exact plans and needs a free support. With
        ε > 0, a free support loses about ε/2 of its variance in each coordinate: choose ε well
        below the squared size of the details to keep.
    support : Tensor (n, d), optional
        Points of the barycenter. Only the weights are computed, for any cost. Without it the points
        are computed, for squared distances.
    n_support : int, optional
        Number of points of a free support. They are initialized by a sample of the measure with the
        largest share; by default by all of its points.
    masses : Tensor (n,), optional
        Weights of a free support. By default those of the measure if all of its points are used,
        uniform otherwise.
    debias : bool
        Remove the blur of ε from a fixed support [janati2020]; the cost must be symmetric.
    tol : float
        Error at which to stop. Free support: root mean square motion of the points in one
        iteration, in standard deviations of the cloud. Fixed support: L1 distance between the row
        sums of the plans and the weights (with ``debias``, plus the change of log d).
    max_iter : int, optional
        Maximum number of iterations; by default 100 for a free support and 2000 for a fixed one.
    generator : torch.Generator, optional
        Random number generator for the initial points.

    Examples
    --------
    >>> left, right = torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [5.0]])
    >>> barycenter([left, right], [0.25, 0.75], epsilon=0).points
    tensor([[3.],
            [4.]])
    """
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be >= 0, got {epsilon!r}")
    check.all_positive(
        tol=tol,
        n_support=1 if n_support is None else n_support,
        max_iter=1 if max_iter is None else max_iter,
    )
    clouds = _validate_measures(measures)
    if weights is not None and not isinstance(weights, Tensor):
        weights = torch.tensor(weights, dtype=clouds[0][0].dtype, device=clouds[0][0].device)
    shares = check.weights(weights, clouds[0][0], len(clouds), "weights").detach()
    clouds = [cloud for cloud, share in zip(clouds, shares, strict=True) if share > 0]
    shares = shares[shares > 0]
    if support is not None:
        if n_support is not None or masses is not None:
            raise ValueError(
                "support fixes the points and their number: pass no n_support and no masses with it"
            )
        points, max_iter = support.detach(), max_iter or 2000
        result = _fixed(clouds, shares, points, float(epsilon), cost, debias, tol, max_iter)
    elif cost != "sqeuclidean" or debias:
        raise ValueError(
            f'without support the cost must be "sqeuclidean" and debias False, got cost={cost!r} '
            f"and debias={debias}: pass support=points"
        )
    else:
        x, a = _initial_support(clouds, shares, n_support, masses, generator)
        result = _free(clouds, shares, x, a, float(epsilon), tol, max_iter or 100)
    if not result.converged:
        check.warn_not_reached("barycenter", tol, stacklevel=3)
    return result


def _free(
    clouds: Clouds, shares: Tensor, x: Tensor, a: Tensor, epsilon: float, tol: float, max_iter: int
) -> Barycenter:
    """Alternate between the plans and the points."""
    plans: list[Plan | None] = [None] * len(clouds)
    n_iter, motion, value = 0, torch.inf, x.new_zeros(())
    while motion > tol and n_iter < max_iter:
        new_x, value = torch.zeros_like(x), x.new_zeros(())
        for k, ((y, b), share) in enumerate(zip(clouds, shares, strict=True)):
            if epsilon > 0:
                with warnings.catch_warnings():  # ``converged`` of the result replaces the warning
                    warnings.simplefilter("ignore", RuntimeWarning)
                    plans[k] = plan = sinkhorn(x, y, a=a, b=b, epsilon=epsilon, init=plans[k])
                image, cost = plan.barycentric_map(), plan.cost
            else:
                image, cost = _exact_image(x, y, a, b)
            new_x, value = new_x + share * image, value + share * cost
        spread = (a @ (new_x - a @ new_x).square()).sum().sqrt()
        spread = spread.clamp_min(torch.finfo(x.dtype).eps * new_x.abs().max())
        motion = ((a @ (new_x - x).square()).sum().sqrt() / spread).item()
        x, n_iter = new_x, n_iter + 1
    converged = motion <= tol and all(plan is None or plan.converged for plan in plans)
    return Barycenter(x, a, value, n_iter, converged)


def _exact_image(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the barycentric map of the exact plan at x, and the cost of the plan."""
    C = as_cost("sqeuclidean").matrix(x, y)
    uniform = len(a) == len(b) and bool((a == a[0]).all()) and bool((b == b[0]).all())
    P = (transport(C) if uniform else transport(C, a, b)).to(x)
    rows = P.sum(1, keepdim=True)
    image = torch.where(rows > 0, P @ y / torch.where(rows > 0, rows, 1), x)
    return image, (P * C).sum()


def _fixed(
    clouds: Clouds,
    shares: Tensor,
    x: Tensor,
    epsilon: float,
    cost: CostLike,
    debias: bool,
    tol: float,
    max_iter: int,
) -> Barycenter:
    """Run iterative Bregman projections on log u and log v."""
    if epsilon == 0:
        raise ValueError(
            "epsilon must be > 0 with a fixed support, got 0: start with 1e-3 of the mean cost"
        )
    x, _ = check.pair(x, clouds[0][0], ("support", "measures[0]"))
    ground = as_cost(cost)
    log_kernels = [-ground.matrix(x, y) / epsilon for y, _ in clouds]
    within = -ground.matrix(x, x) / epsilon if debias else x.new_zeros(0)
    log_u = [torch.zeros_like(x[:, 0]) for _ in clouds]
    log_d = torch.zeros_like(x[:, 0])
    error, n_iter, log_a = torch.inf, 0, log_d
    while error > tol and n_iter < max_iter:
        log_v = [
            b.log() - torch.logsumexp(K + u[:, None], 0)
            for (_, b), K, u in zip(clouds, log_kernels, log_u, strict=True)
        ]
        pairs = zip(log_kernels, log_v, strict=True)
        left = torch.stack([torch.logsumexp(K + v, 1) for K, v in pairs])
        log_a = log_d + shares @ left
        rows = (torch.stack(log_u) + left).exp()
        error = (shares @ (rows - log_a.exp()).abs().sum(1)).item()
        if debias:
            step = (log_a - torch.logsumexp(within + log_d, 1) - log_d) / 2
            log_d, error = log_d + step, error + (log_a.exp() @ step.abs()).item()
        log_u, n_iter = list(log_a - left), n_iter + 1
    value = x.new_zeros(())
    for share, K, u, v in zip(shares, log_kernels, log_u, log_v, strict=True):
        value = value - share * epsilon * ((K + u[:, None] + v).exp() * K).sum()
    return Barycenter(x, torch.softmax(log_a, 0), value, n_iter, error <= tol)


def _initial_support(
    clouds: Clouds,
    shares: Tensor,
    n_support: int | None,
    masses: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Return points and weights to start from, sampled from the measure with the largest share."""
    y, b = clouds[int(shares.argmax())]
    n = len(masses) if n_support is None and masses is not None else (n_support or len(y))
    if n == len(y):
        return y, (b if masses is None else check.weights(masses, y, n, "masses").detach())
    replacement = n > int((b > 0).sum())
    rows = torch.multinomial(b.cpu(), n, replacement, generator=generator).to(y.device)
    return y[rows], check.weights(masses, y, n, "masses").detach()


def _validate_measures(measures: Sequence[Measure]) -> Clouds:
    """Return the points and weights of each measure, without gradient."""
    if len(measures) == 0:
        raise ValueError("measures is empty: give at least one point cloud")
    clouds: Clouds = []
    for k, measure in enumerate(measures):
        y, b = measure if isinstance(measure, tuple) else (measure, None)
        y = check.points(y, f"measures[{k}]").detach()
        if y.ndim != 2:
            raise ValueError(f"measures[{k}] must have shape (m, d), got {tuple(y.shape)}")
        check.pair(y, clouds[0][0] if clouds else y, (f"measures[{k}]", "measures[0]"))
        clouds.append((y, check.weights(b, y, len(y), f"the weights of measures[{k}]").detach()))
    return clouds
