"""Gromov-Wasserstein transport: match two spaces by what happens inside each of them.

    Mémoli, "Gromov-Wasserstein distances and the metric approach to object matching", FoCM 2011
        [memoli2011]
    Peyré, Cuturi & Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML
        2016 [peyre2016]
    Vayer et al., "Optimal transport for structured data with application on graphs", ICML 2019
        [vayer2019]

    Cx, Cy  relations within each space (..., n, n), (..., m, m)
    F(P)    the quadratic sum Σ L(Cxᵢₖ, Cyⱼₗ) Pᵢⱼ Pₖₗ
    D, α    cost between the spaces, and the share of F beside it
    f, g    potentials of the linear problem with cost ∇F(P)

The descent is in `_quadratic`; here are the door, the plan, and the gradients by the envelope
theorem.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import asks_gradient, first_order, with_slope
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

    Source: [memoli2011], [peyre2016]. The problem is not convex: another start may end lower. A
        step costs two n×n×m products, or
    O(nm) where both matrices have rank at most 34, as squared distances in few dimensions have, and
        n, m >= 128. Use `sinkhorn`
    for points of one space, `fused_gromov_wasserstein` when a cost between the spaces is known too.

    Parameters
    ----------
    Cx, Cy : Tensor (..., n, n), (..., m, m)
        Distances, similarities or adjacencies within each space; symmetric or not.
    epsilon : float
        Regularization in units of L. The plan satisfies P = a⊗b exp((f ⊕ g − ∇F(P))/ε) with the
        full gradient, for symmetric matrices 2 (Cx² a ⊕ Cy² b) − 4 Cx P Cy. POT's ε is this one;
        OTT's is half of it.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed.
    loss : "square" or "kl"
        L(s, t) is (s − t)², or s log(s/t) − s + t, which needs Cx >= 0 and Cy > 0.
    tol : float
        L1 marginal error, and root mean square change of the linearized cost in units of ε, at
        which to stop.
    max_iter : int
        Bound on the linearizations.
    n_starts : int
        Starts, of which the best value is kept: the independent plan, a match of the profiles of
        distances (Mémoli's third lower bound), then the independent plan tilted in random
        directions. The independent plan is a saddle where both spaces have symmetries: use several
        starts there.
    init : Plan or Tensor (..., n, m), optional
        A coupling to use in place of the independent plan.
    generator : torch.Generator, optional
        Source of the random directions.

    Returns
    -------
    Plan
        ``cost`` is the quadratic sum, ``value`` the objective, differentiable in ``Cx``, ``Cy``,
        ``a``, ``b`` with P held fixed (envelope theorem): :math:`2 C^x \odot a a^\top - 2 P C^y
        P^\top` in ``Cx`` for the square loss, f in ``a``. ``f``, ``g`` belong to the cost ∇F(P);
        ``n_iter`` counts linearizations, over all starts.

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
    r"""Solve entropic transport under a cost between the spaces and one within them.

    .. math::

        \min_{P 1 = a,\ P^\top 1 = b} (1 - \alpha) \langle P, C \rangle + \alpha \sum_{ijkl}
        L(C^x_{ik}, C^y_{jl}) P_{ij} P_{kl} + \varepsilon\, \mathrm{KL}(P \mid a \otimes b)

    ``C`` is (..., n, m), for instance between features of the nodes of two graphs, and ``alpha`` in
    [0, 1]: 0 is `sinkhorn`, 1 is `gromov_wasserstein`, where the other parameters, the errors and
    the result are described. ``plan.cost`` is the sum of the first two terms; ``plan.value`` is
    differentiable in ``C`` too. Source: [vayer2019].

    >>> path = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    >>> labels = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> fused_gromov_wasserstein(labels, path, path, epsilon=0.02).matrix().argmax(1)
    tensor([2, 1, 0])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha must be in [0, 1], got {alpha!r}: it is the share of the Gromov-Wasserstein "
            "term"
        )
    return _solve(
        C, Cx, Cy, float(alpha), epsilon, a, b, loss, tol, max_iter, n_starts, init, generator
    )


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
    Cx, Cy, D = _door(Cx, Cy, D, loss)
    a, b = check.weights(a, Cx, Cx.shape[-1], "a"), check.weights(b, Cy, Cy.shape[-1], "b")
    epsilon = float(epsilon)
    with torch.no_grad():
        F = Quadratic.of(Cx.detach(), Cy.detach(), a.detach(), b.detach(), LOSSES[loss])
        first = F.flat
        if init is not None:  # its sums need not be exact
            P = (
                check.cost_matrix(init.matrix() if isinstance(init, Plan) else init)
                .detach()
                .to(F.a)
            )
            if P.shape != F.flat.shape:
                raise ValueError(
                    f"init has shape {tuple(P.shape)}, the problem needs {tuple(F.flat.shape)}"
                )
            first = F.gradient(P)
        fixed = None if D is None else (1 - alpha) * D
        found = descend(F, first, fixed, alpha, epsilon, tol, max_iter)
        for k in range(1, n_starts):
            start = profile_match(Cx, Cy, a, b) if k == 1 else F.tilted(generator)
            found = found.or_better(descend(F, start, fixed, alpha, epsilon, tol, max_iter))
    converged = bool(((found.error <= tol) & (found.change <= tol)).all())
    if not converged:
        check.warn_not_reached("gromov_wasserstein", tol, stacklevel=4)
    s, t = F.margins(found.P)
    f = found.f + alpha * s
    g = found.g + alpha * t
    energy = partial(_energy, F, Cx, Cy, D, alpha, LOSSES[loss], found.P)
    value = found.value
    if asks_gradient(Cx, Cy, D, a, b):
        value = with_slope(value, energy() + dot(first_order(a), f) + dot(first_order(b), g))
    coupling = Stored(flat(found.P, found.P.shape[:-2]))
    return Plan(
        value, f, g, F.a, F.b, epsilon, found.error, found.n_iter, converged, coupling, energy
    )


def _energy(
    F: Quadratic, Cx: Tensor, Cy: Tensor, D: Tensor | None, alpha: float, loss: Loss, P: Tensor
) -> Tensor:
    """(1 − α) <P, D> + α F(P), with the gradient in Cx, Cy and D while P stays fixed."""
    with torch.no_grad():
        total = F.value(P)
    slopes = []
    for C, f, h, weights, plan, across in (
        (Cx, loss.f1, loss.h1, F.a, P, F.y),
        (Cy, loss.f2, loss.h2, F.b, P.mT, F.x),
    ):
        if asks_gradient(C):
            C = first_order(C)
            with torch.no_grad():
                carried = sum(
                    (part.congruence(plan, weights) for part in across), torch.zeros_like(C)
                )
            slopes.append(dot(weights, matvec(f(C), weights)) - (h(C) * carried).sum((-2, -1)))
    total = with_slope(total, *slopes)
    return (
        alpha * total
        if D is None
        else alpha * total + (1 - alpha) * (P * first_order(D)).sum((-2, -1))
    )


def _door(
    Cx: Tensor, Cy: Tensor, D: Tensor | None, loss: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return finite matrices of one dtype, device and batch shape."""
    check.choice(loss, tuple(LOSSES), "loss")
    given = {"Cx": check.points(Cx, "Cx"), "Cy": check.points(Cy, "Cy")}
    for name, C in given.items():
        if C.shape[-1] != C.shape[-2]:
            raise ValueError(
                f"{name} must have shape (..., n, n), got {tuple(C.shape)}: it relates the points "
                "of one space"
            )
    if D is not None:
        given["C"] = check.cost_matrix(D)
        if D.shape[-2:] != (Cx.shape[-1], Cy.shape[-1]):
            raise ValueError(
                f"C has shape {tuple(D.shape)}, Cx and Cy need (..., {Cx.shape[-1]}, "
                f"{Cy.shape[-1]})"
            )
    for name, C in given.items():
        check.same_kind(given["Cx"], C, ("Cx", name))
    if loss == "kl" and (bool((given["Cx"] < 0).any()) or bool((given["Cy"] <= 0).any())):
        raise ValueError(
            'loss="kl" needs Cx >= 0 and Cy > 0: add a small constant, or use "square"'
        )
    batch = torch.broadcast_shapes(*(C.shape[:-2] for C in given.values()))
    wide = {name: C.expand(*batch, *C.shape[-2:]) for name, C in given.items()}
    return wide["Cx"], wide["Cy"], wide.get("C")
