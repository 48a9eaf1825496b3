"""Wasserstein barycenters: the measure nearest to several others.

    Cuturi & Doucet, "Fast computation of Wasserstein barycenters", ICML 2014 [cuturi2014]
    Benamou, Carlier, Cuturi, Nenna & Peyré, "Iterative Bregman projections", SISC 2015
        [benamou2015]
    Janati, Cuturi & Gramfort, "Debiased Sinkhorn barycenters", ICML 2020 [janati2020]

    y_k, b_k     points and weights of measure k         λ_k       its share in the barycenter
    x, a         points and weights of the barycenter    P_k       plan between the barycenter and
                 measure k
    u_k, v_k     scalings of P_k = u_k K_k v_k           d         the scaling that takes the blur
                 away

Free support: the weights stay, and each point moves to the mean of where the plans send it. Fixed
support: the points stay, and the weights become the geometric mean of what the plans leave on them.
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
    weights : Tensor (n,)
    value : Tensor ()
        Σ λ_k <P_k, C_k>, in units of the cost; the entropy is left out.
    n_iter : int
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
    r"""Wasserstein barycenter of weighted point clouds.

    .. math:: \min_{\alpha} \sum_k \lambda_k\, W_\varepsilon(\alpha, \beta_k)

    A free support finds a local minimum, in few iterations of K plans each. Source: [cuturi2014];
    [benamou2015] for a fixed one.

    Parameters
    ----------
    measures : sequence of Tensor (m_k, d) or (points, weights)
        Clouds of any sizes, of one dtype and device; uniform weights where none are given.
    weights : Tensor (K,) or sequence, optional
        λ, non-negative and of sum one; uniform by default.
    epsilon : float
        Regularization in units of the cost. With a free support, and only there, 0 takes exact
        plans; otherwise the cloud loses about ε/2 of variance in each coordinate, so choose it well
        below the squared size of details that must stay.
    support : Tensor (n, d), optional
        Points of the barycenter: only its weights are found, for any cost. Without it, squared
        distances and points too.
    n_support : int, optional
        Number of points of a free support, which start as a draw from the measure with the largest
        share; by default all of it.
    masses : Tensor (n,), optional
        Weights of a free support; uniform by default, or the measure's own if the start is all of
        it.
    debias : bool
        Fixed support: take the blur of ε away [janati2020]; for a symmetric cost.
    tol : float
        Free support: root mean square motion in one iteration, in standard deviations of the cloud.
        Fixed: the L1 distance between the weights that the plans leave (and, if debiased, the
        change of log d).
    max_iter : int, optional
        Bound on iterations; 100 for a free support and 2000 for a fixed one.
    generator : torch.Generator, optional
        For the start.

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
    clouds = _clouds(measures)
    if weights is not None and not isinstance(weights, Tensor):
        weights = torch.tensor(weights, dtype=clouds[0][0].dtype, device=clouds[0][0].device)
    shares = check.weights(weights, clouds[0][0], len(clouds), "weights").detach()
    clouds = [cloud for cloud, share in zip(clouds, shares, strict=True) if share > 0]
    shares = shares[shares > 0]
    if support is not None:
        if n_support is not None or masses is not None:
            raise ValueError(
                "support fixes the points and asks for their weights: pass no n_support and no "
                "masses with it"
            )
        found = _fixed(
            clouds, shares, support.detach(), float(epsilon), cost, debias, tol, max_iter or 2000
        )
    elif cost != "sqeuclidean" or debias:
        raise ValueError(
            'without support the cost must be "sqeuclidean" and debias False: pass support=points '
            "for the rest"
        )
    else:
        x, a = _start(clouds, shares, n_support, masses, generator)
        found = _free(clouds, shares, x, a, float(epsilon), tol, max_iter or 100)
    if not found.converged:
        check.warn_not_reached("barycenter", tol, stacklevel=3)
    return found


def _free(
    clouds: Clouds, shares: Tensor, x: Tensor, a: Tensor, epsilon: float, tol: float, max_iter: int
) -> Barycenter:
    plans: list[Plan | None] = [None] * len(clouds)
    done, motion, value = 0, torch.inf, x.new_zeros(())
    while motion > tol and done < max_iter:
        moved, value = torch.zeros_like(x), x.new_zeros(())
        for k, ((y, b), share) in enumerate(zip(clouds, shares, strict=True)):
            if epsilon > 0:
                with (
                    warnings.catch_warnings()
                ):  # the result's ``converged`` tells what a warning would
                    warnings.simplefilter("ignore", RuntimeWarning)
                    plans[k] = plan = sinkhorn(x, y, a=a, b=b, epsilon=epsilon, init=plans[k])
                image, paid = plan.barycentric_map(), plan.cost
            else:
                image, paid = _exact(x, y, a, b)
            moved, value = moved + share * image, value + share * paid
        spread = (a @ (moved - a @ moved).square()).sum().sqrt()
        motion = (
            (a @ (moved - x).square()).sum().sqrt()
            / spread.clamp_min(torch.finfo(x.dtype).eps * moved.abs().max())
        ).item()
        x, done = moved, done + 1
    converged = motion <= tol and all(plan is None or plan.converged for plan in plans)
    return Barycenter(x, a, value, done, converged)


def _exact(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    C = as_cost("sqeuclidean").matrix(x, y)
    uniform = len(a) == len(b) and bool((a == a[0]).all()) and bool((b == b[0]).all())
    P = transport(C) if uniform else transport(C, a, b)
    P = P.to(x)
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
    """Iterative Bregman projections on log u, log v."""
    if epsilon == 0:
        raise ValueError(
            "epsilon must be > 0 with a fixed support, got 0: take about 1e-3 of the mean cost"
        )
    x, _ = check.pair(x, clouds[0][0], ("support", "measures[0]"))
    ground = as_cost(cost)
    log_kernels = [-ground.matrix(x, y) / epsilon for y, _ in clouds]
    within = -ground.matrix(x, x) / epsilon if debias else x.new_zeros(0)
    log_u = [torch.zeros_like(x[:, 0]) for _ in clouds]
    log_d = torch.zeros_like(x[:, 0])
    error, done, log_a = torch.inf, 0, log_d
    while error > tol and done < max_iter:
        log_v = [
            b.log() - torch.logsumexp(K + u[:, None], 0)
            for (_, b), K, u in zip(clouds, log_kernels, log_u, strict=True)
        ]
        left = torch.stack(
            [torch.logsumexp(K + v, 1) for K, v in zip(log_kernels, log_v, strict=True)]
        )
        log_a = log_d + shares @ left
        rows = (torch.stack(log_u) + left).exp()
        error = (shares @ (rows - log_a.exp()).abs().sum(1)).item()
        if debias:
            step = (log_a - torch.logsumexp(within + log_d, 1) - log_d) / 2
            log_d, error = log_d + step, error + (log_a.exp() @ step.abs()).item()
        log_u, done = list(log_a - left), done + 1
    value = x.new_zeros(())
    for share, K, u, v in zip(shares, log_kernels, log_u, log_v, strict=True):
        value = value - share * epsilon * ((K + u[:, None] + v).exp() * K).sum()
    return Barycenter(x, torch.softmax(log_a, 0), value, done, error <= tol)


def _start(
    clouds: Clouds,
    shares: Tensor,
    n_support: int | None,
    masses: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    y, b = clouds[int(shares.argmax())]
    n = len(masses) if n_support is None and masses is not None else (n_support or len(y))
    if n == len(y):
        return y, (b if masses is None else check.weights(masses, y, n, "masses").detach())
    rows = torch.multinomial(
        b.cpu(), n, replacement=n > int((b > 0).sum()), generator=generator
    ).to(y.device)
    a = check.weights(masses, y, n, "masses").detach()
    return y[rows], a


def _clouds(measures: Sequence[Measure]) -> Clouds:
    if len(measures) == 0:
        raise ValueError("measures is empty: give at least one cloud of points")
    clouds: Clouds = []
    for k, measure in enumerate(measures):
        y, b = measure if isinstance(measure, tuple) else (measure, None)
        y = check.points(y, f"measures[{k}]").detach()
        if y.ndim != 2:
            raise ValueError(f"measures[{k}] must have shape (m, d), got {tuple(y.shape)}")
        check.pair(y, clouds[0][0] if clouds else y, (f"measures[{k}]", "measures[0]"))
        clouds.append((y, check.weights(b, y, len(y), f"the weights of measures[{k}]").detach()))
    return clouds
