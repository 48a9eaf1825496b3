"""Co-optimal transport: match the rows and the columns of two tables jointly.

    Redko et al., "CO-Optimal transport", NeurIPS 2020    [redko2020]

    X, Y       tables (..., n, d), (..., m, k): samples × features
    P, a, b    coupling and weights of the samples
    Q, v, w    coupling and weights of the features
    Z          cost between samples under Q: Σₖₗ (Xᵢₖ − Yⱼₗ)² Qₖₗ

Algorithm 1 of the paper alternates between the transport of samples and that of features, each
under the cost that the plan of the other defines. The square is expanded, so that each cost takes
two matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import first_order, needs_gradient, with_slope
from ._matmul import dot, matvec
from ._quadratic import COARSE_TOL, FINER
from .plan import Plan
from .sinkhorn import sinkhorn


@dataclass(frozen=True)
class CoOptimalPlan:
    """Couplings of samples and of features.

    Attributes
    ----------
    samples, features : Plan
        Entropic plans P (..., n, m) and Q (..., d, k), each under the cost that the other defines;
        without gradients.
    value : Tensor (...)
        Objective, differentiable in tables and weights by the envelope theorem.
    cost : Tensor (...)
        Quadratic sum, in the squared unit of the tables, without gradient.
    n_iter : int
        Rounds; each consists of one transport of samples and one of features.
    converged : bool
        Whether every problem of the batch met the tolerance.
    """

    samples: Plan
    features: Plan
    value: Tensor
    cost: Tensor
    n_iter: int
    converged: bool


def co_optimal_transport(
    X: Tensor,
    Y: Tensor,
    *,
    epsilon: float | tuple[float, float],
    a: Tensor | None = None,
    b: Tensor | None = None,
    v: Tensor | None = None,
    w: Tensor | None = None,
    tol: float = 1e-3,
    max_iter: int = 200,
    init: Tensor | None = None,
) -> CoOptimalPlan:
    r"""Solve entropic co-optimal transport, to a local minimum.

    .. math::

        \min_{P \in U(a, b),\ Q \in U(v, w)} \sum_{ijkl} (X_{ik} - Y_{jl})^2 P_{ij} Q_{kl}
        + \varepsilon_1\, \mathrm{KL}(P \mid a \otimes b)
        + \varepsilon_2\, \mathrm{KL}(Q \mid v \otimes w)

    A round costs O(nd(m + k)) in addition to the two transports. Use `sinkhorn` where the features
    of the two tables correspond, and `gromov_wasserstein` where only relations within each table
    are known. Source: [redko2020].

    Parameters
    ----------
    X, Y : Tensor (..., n, d), (..., m, k)
        Tables with entries of one unit; neither rows nor columns need to correspond.
    epsilon : float or (float, float)
        Regularization of samples and of features, in the squared unit of the tables.
    a, b : Tensor (..., n), (..., m), optional
        Weights of the samples; uniform by default.
    v, w : Tensor (..., d), (..., k), optional
        Weights of the features; uniform by default.
    tol : float
        L1 marginal error of both plans, and root mean square change of the cost between samples in
        units of ε₁, at which to stop.
    max_iter : int
        Maximum number of rounds.
    init : Tensor (..., d, k), optional
        Initial coupling of the features; the independent coupling by default. That is a saddle if
        all rows have the same mean, as in tables with normalized rows: give another one there.

    Examples
    --------
    >>> X = torch.tensor([[1.0, 2.0, 9.0], [3.0, 5.0, 4.0]])
    >>> plan = co_optimal_transport(X, X.flip(0).roll(1, 1), epsilon=0.01)
    >>> plan.samples.matrix().argmax(1), plan.features.matrix().argmax(1)
    (tensor([1, 0]), tensor([1, 2, 0]))
    """
    check.all_positive(tol=tol, max_iter=max_iter)
    first, second = epsilon if isinstance(epsilon, tuple) else (epsilon, epsilon)
    first, second = check.positive(first, "epsilon"), check.positive(second, "epsilon")
    X, Y = check.points(X, "X"), check.points(Y, "Y")
    check.same_kind(X, Y, ("X", "Y"))
    if X.shape[:-2] != Y.shape[:-2]:
        raise ValueError(
            f"X has batch shape {tuple(X.shape[:-2])} and Y {tuple(Y.shape[:-2])}: expand one to "
            "the other"
        )
    a, b = check.weights(a, X, X.shape[-2], "a"), check.weights(b, Y, Y.shape[-2], "b")
    v, w = check.weights(v, X, X.shape[-1], "v"), check.weights(w, Y, Y.shape[-1], "w")
    with torch.no_grad():
        Q = v[..., :, None] * w[..., None, :]
        if init is not None:
            needed, Q = Q.shape, check.cost_matrix(init, "init").detach().to(v)
            if Q.shape != needed:
                raise ValueError(
                    f"init has shape {tuple(Q.shape)}, the features need {tuple(needed)}"
                )
        weights = (a, b, v, w)
        samples, features, rounds, change = _alternate(
            X, Y, weights, Q, (first, second), tol, max_iter
        )
    converged = samples.converged and features.converged and bool((change <= tol).all())
    if not converged:
        check.warn_not_reached("co_optimal_transport", tol, stacklevel=3)
    value = samples.value - samples.cost + features.value
    if needs_gradient(X, Y, *weights):
        X, Y, P, Q = first_order(X), first_order(Y), samples.matrix(), features.matrix()
        slope = dot(samples.a, matvec(X.square(), features.a))
        slope = slope + dot(samples.b, matvec(Y.square(), features.b))
        slope = slope - 2 * (X * (P @ Y @ Q.mT)).sum((-2, -1))
        potentials = (samples.f, samples.g, features.f, features.g)
        for weight, potential in zip(weights, potentials, strict=True):
            slope = slope + dot(first_order(weight), potential)
        value = with_slope(value, slope)
    return CoOptimalPlan(samples, features, value, features.cost, rounds, converged)


def _alternate(
    X: Tensor,
    Y: Tensor,
    weights: tuple[Tensor, ...],
    Q: Tensor,
    epsilon: tuple[float, float],
    tol: float,
    max_iter: int,
) -> tuple[Plan, Plan, int, Tensor]:
    a, b, v, w = weights
    Z = _cost(X, Y, v, w, Q)
    samples: Plan | None = None
    features: Plan | None = None
    inner_tol, rounds = max(tol, COARSE_TOL), 0
    while True:
        samples = sinkhorn(C=Z, epsilon=epsilon[0], a=a, b=b, tol=inner_tol, init=samples)
        D = _cost(X.mT, Y.mT, a, b, samples.matrix())
        features = sinkhorn(C=D, epsilon=epsilon[1], a=v, b=w, tol=inner_tol, init=features)
        before, Z = Z, _cost(X, Y, v, w, features.matrix())
        change = (Z - before).square().mean((-2, -1)).sqrt() / epsilon[0]
        rounds += 1
        error = torch.maximum(samples.marginal_error, features.marginal_error)
        if rounds >= max_iter or bool(((change <= tol) & (error <= tol)).all()):
            return samples, features, rounds, change
        inner_tol = max(tol / FINER, min(inner_tol, change.amax().item() / FINER))


def _cost(X: Tensor, Y: Tensor, v: Tensor, w: Tensor, Q: Tensor) -> Tensor:
    """Return Σₖₗ (Xᵢₖ − Yⱼₗ)² Qₖₗ."""
    ends = matvec(X.square(), v)[..., :, None] + matvec(Y.square(), w)[..., None, :]
    return ends - 2 * (X @ Q @ Y.mT)
