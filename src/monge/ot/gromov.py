"""Gromov-Wasserstein transport: match two spaces by the relations within each of them.

    Mémoli, "Gromov-Wasserstein distances and the metric approach to object matching", FoCM 2011
        [memoli2011]
    Peyré, Cuturi & Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML
        2016 [peyre2016]
    Vayer et al., "Optimal transport for structured data with application on graphs", ICML 2019
        [vayer2019]

    Cx, Cy    relations within each space (..., n, n), (..., m, m)
    F(P)      quadratic sum Σ L(Cxᵢₖ, Cyⱼₗ) Pᵢⱼ Pₖₗ
    D, α      cost between the spaces with weight 1 − α; F has weight α
    f, g      potentials of the linear problem with cost ∇F(P)

The solver is in `_quadratic`; this module validates the arguments and attaches the gradients, which
follow from the envelope theorem.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import first_order, needs_gradient, with_slope
from ._coupling import Stored
from ._geometry import flat
from ._matmul import dot, matvec
from ._quadratic import LOSSES, Loss, Quadratic, descend, profile_match
from .plan import Plan


def gromov_wasserstein(
    Cx: Tensor,
    Cy: Tensor,
    *,
    epsilon: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    loss: str = "square",
    tol: float = 1e-3,
    max_iter: int = 200,
    n_starts: int = 1,
    init: Plan | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Plan:
    r"""Solve entropic Gromov-Wasserstein transport, to a local minimum.

    .. math:: \min_{P 1 = a,\ P^\top 1 = b} \sum_{ijkl} L(C^x_{ik}, C^y_{jl}) P_{ij} P_{kl}
              + \varepsilon\, \mathrm{KL}(P \mid a \otimes b)

    The problem is not convex: another start may find a lower minimum. A step costs two n×n×m
    products, or O(nm) if n, m >= 128 and both matrices have rank at most 34, as squared distances
    in few dimensions have. Use `sinkhorn` for points in one space, and `fused_gromov_wasserstein`
    if a cost between the spaces is also known. Source: [memoli2011], [peyre2016].

    Parameters
    ----------
    Cx, Cy : Tensor (..., n, n), (..., m, m)
        Distances, similarities or adjacencies within each space; symmetric or not.
    epsilon : float
        Regularization in units of L. The plan satisfies P = a⊗b exp((f ⊕ g − ∇F(P))/ε) with the
        full gradient, which is 2 (Cx² a ⊕ Cy² b) − 4 Cx P Cy for symmetric matrices. POT uses the
        same ε, OTT half of it.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed.
    loss : "square" or "kl"
        L(s, t): (s − t)², or s log(s/t) − s + t, which needs Cx >= 0 and Cy > 0.
    tol : float
        L1 marginal error, and root mean square change of the linearized cost in units of ε, at
        which to stop.
    max_iter : int
        Maximum number of linearizations per start.
    n_starts : int
        Number of starts, of which the best is kept: first the independent plan, then a match of the
        profiles of distances (Mémoli's third lower bound), then the independent plan tilted in
        random directions. Use several starts if both spaces have symmetries, since the independent
        plan is then a saddle.
    init : Plan or Tensor (..., n, m), optional
        A coupling that replaces the independent plan as the first start.
    generator : torch.Generator, optional
        Random number generator for the directions.

    Returns
    -------
    Plan
        ``cost`` is the quadratic sum and ``value`` the objective, differentiable in ``Cx``, ``Cy``,
        ``a``, ``b`` with P held fixed (envelope theorem). For the square loss the gradient in
        ``Cx`` is :math:`2 C^x \odot a a^\top - 2 P C^y P^\top`; that in ``a`` is f. ``f`` and ``g``
        are the potentials for the cost ∇F(P); ``n_iter`` counts the linearizations of all starts.

    Examples
    --------
    >>> x = torch.tensor([0.0, 1.0, 3.0])
    >>> y = -x.flip(0) + 7
    >>> Cx, Cy = (x[:, None] - x).abs(), (y[:, None] - y).abs()
    >>> plan = gromov_wasserstein(Cx, Cy, epsilon=0.02)
    >>> plan.matrix().argmax(1)
    tensor([2, 1, 0])
    """
    return _solve(None, Cx, Cy, 1.0, epsilon, a, b, loss, tol, max_iter, n_starts, init, generator)


def fused_gromov_wasserstein(
    C: Tensor,
    Cx: Tensor,
    Cy: Tensor,
    *,
    epsilon: float,
    alpha: float = 0.5,
    a: Tensor | None = None,
    b: Tensor | None = None,
    loss: str = "square",
    tol: float = 1e-3,
    max_iter: int = 200,
    n_starts: int = 1,
    init: Plan | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Plan:
    r"""Solve entropic transport for a cost between two spaces and relations within them.

    .. math::

        \min_{P 1 = a,\ P^\top 1 = b} (1 - \alpha) \langle P, C \rangle
        + \alpha \sum_{ijkl} L(C^x_{ik}, C^y_{jl}) P_{ij} P_{kl}
        + \varepsilon\, \mathrm{KL}(P \mid a \otimes b)

    ``C`` is (..., n, m), for instance the distance between features of the nodes of two graphs.
    ``alpha`` is in [0, 1]: 0 is `sinkhorn`, and 1 is `gromov_wasserstein`, which describes the
    other parameters, the errors and the result. ``plan.cost`` is the sum of the first two terms;
    ``plan.value`` is also differentiable in ``C``. Source: [vayer2019].

    >>> path = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    >>> labels = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> fused_gromov_wasserstein(labels, path, path, epsilon=0.02).matrix().argmax(1)
    tensor([2, 1, 0])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha must be in [0, 1], got {alpha!r}: it weights the Gromov-Wasserstein term"
        )
    alpha = float(alpha)
    return _solve(C, Cx, Cy, alpha, epsilon, a, b, loss, tol, max_iter, n_starts, init, generator)


def _solve(
    D: Tensor | None,
    Cx: Tensor,
    Cy: Tensor,
    alpha: float,
    epsilon: float,
    a: Tensor | None,
    b: Tensor | None,
    loss: str,
    tol: float,
    max_iter: int,
    n_starts: int,
    init: Plan | Tensor | None,
    generator: torch.Generator | None,
) -> Plan:
    check.all_positive(epsilon=epsilon, tol=tol, max_iter=max_iter, n_starts=n_starts)
    Cx, Cy, D = _validate(Cx, Cy, D, loss)
    a, b = check.weights(a, Cx, Cx.shape[-1], "a"), check.weights(b, Cy, Cy.shape[-1], "b")
    epsilon = float(epsilon)
    with torch.no_grad():
        F = Quadratic.of(Cx.detach(), Cy.detach(), a.detach(), b.detach(), LOSSES[loss])
        first = F.flat
        if init is not None:  # its marginals need not be exact
            init = init.matrix() if isinstance(init, Plan) else init
            P = check.cost_matrix(init, "init").detach().to(F.a)
            if P.shape != F.flat.shape:
                raise ValueError(
                    f"init has shape {tuple(P.shape)}, the problem needs {tuple(F.flat.shape)}"
                )
            first = F.gradient(P)
        fixed = None if D is None else (1 - alpha) * D
        best = descend(F, first, fixed, alpha, epsilon, tol, max_iter)
        for k in range(1, n_starts):
            start = profile_match(Cx, Cy, a, b) if k == 1 else F.tilted(generator)
            best = best.or_better(descend(F, start, fixed, alpha, epsilon, tol, max_iter))
    P, error = best.P, best.error
    converged = bool(((error <= tol) & (best.change <= tol)).all())
    if not converged:
        check.warn_not_reached("gromov_wasserstein", tol, stacklevel=4)
    s, t = F.margins(P)
    f = best.f + alpha * s
    g = best.g + alpha * t
    energy = partial(_energy, F, Cx, Cy, D, alpha, LOSSES[loss], P)
    value = best.value
    if needs_gradient(Cx, Cy, D, a, b):
        value = with_slope(value, energy() + dot(first_order(a), f) + dot(first_order(b), g))
    coupling = Stored(flat(P, P.shape[:-2]))
    return Plan(value, f, g, F.a, F.b, epsilon, error, best.n_iter, converged, coupling, energy)


def _energy(
    F: Quadratic, Cx: Tensor, Cy: Tensor, D: Tensor | None, alpha: float, loss: Loss, P: Tensor
) -> Tensor:
    """Return (1 − α) <P, D> + α F(P), with the gradient in Cx, Cy and D at fixed P."""
    with torch.no_grad():
        total = F.value(P)
    slopes = []
    x_side, y_side = (Cx, loss.f1, loss.h1, F.a, P, F.y), (Cy, loss.f2, loss.h2, F.b, P.mT, F.x)
    for C, f, h, weights, plan, other_parts in (x_side, y_side):
        if needs_gradient(C):
            C = first_order(C)
            with torch.no_grad():
                images = (part.congruence(plan, weights) for part in other_parts)
                image = sum(images, torch.zeros_like(C))
            slopes.append(dot(weights, matvec(f(C), weights)) - (h(C) * image).sum((-2, -1)))
    total = alpha * with_slope(total, *slopes)
    return total if D is None else total + (1 - alpha) * (P * first_order(D)).sum((-2, -1))


def _validate(
    Cx: Tensor, Cy: Tensor, D: Tensor | None, loss: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return finite matrices of one dtype, device and batch shape."""
    check.choice(loss, tuple(LOSSES), "loss")
    given = {"Cx": check.points(Cx, "Cx"), "Cy": check.points(Cy, "Cy")}
    for name, C in given.items():
        if C.shape[-1] != C.shape[-2]:
            raise ValueError(
                f"{name} must have shape (..., n, n), got {tuple(C.shape)}: give the relations "
                "within one space"
            )
    if D is not None:
        given["C"] = check.cost_matrix(D)
        if D.shape[-2:] != (Cx.shape[-1], Cy.shape[-1]):
            needed = f"(..., {Cx.shape[-1]}, {Cy.shape[-1]})"
            raise ValueError(f"C has shape {tuple(D.shape)}, Cx and Cy need {needed}")
    for name, C in given.items():
        check.same_kind(given["Cx"], C, ("Cx", name))
    if loss == "kl" and (bool((given["Cx"] < 0).any()) or bool((given["Cy"] <= 0).any())):
        raise ValueError(
            'loss="kl" needs Cx >= 0 and Cy > 0: add a small constant, or use loss="square"'
        )
    batch = torch.broadcast_shapes(*(C.shape[:-2] for C in given.values()))
    wide = {name: C.expand(*batch, *C.shape[-2:]) for name, C in given.items()}
    return wide["Cx"], wide["Cy"], wide.get("C")
