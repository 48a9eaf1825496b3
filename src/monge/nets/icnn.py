r"""Input-convex networks, with their gradients in one forward pass.

    Amos, Xu, Kolter, "Input convex neural networks", ICML 2017 [amos2017]
    Korotin et al., "Wasserstein-2 generative networks", ICLR 2021 [korotin2021], appendix B: the
        dense architecture

==========  ============================================================
symbol      here
==========  ============================================================
q_i(x)      Σ_r (A_i x)²_r + B_i x + b_i, convex in x for any A_i, B_i
z_i         W_i h_{i−1} + q_i(x), convex for W_i ≥ 0
h_0, h_i    q_0(x), celu(z_i)
ψ(x)        w·h_L + ½‖Lx‖² + c·x + (s/2)‖x‖², convex for w ≥ 0
==========  ============================================================

The gradient is written out layer by layer, as backpropagation computes it,

.. math::

    \nabla\psi(x) = L^\top L x + c + s x + \sum_i \nabla q_i(x)^\top \delta_i, \quad \delta_L = w
    \odot \mathrm{celu}'(z_L), \quad \delta_{i-1} = (W_i^\top \delta_i) \odot
    \mathrm{celu}'(z_{i-1})

so that a method differentiates an ordinary forward pass, without double backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import celu

_FAINT = 1e-3  # largest initial weight of h_L
_FEW = 4  # dimensions up to which d² products are cheaper than ``rank`` squares for each unit


class DenseICNN(nn.Module):
    """A convex function from points (n, d) to (n,), with its gradient.

    It is initialized with L = 1, c = 0 and small w, so that ∇ψ is close to the identity; `start_at`
    initializes it with another affine map. Call `project` after each optimizer step: it sets the
    negative entries of W_i and w to 0, without which ψ need not be convex.

    ``dim`` is d, ``widths`` are those of h_0 to h_L, each entry of q_i has ``rank`` squares, and
    ``strong`` is s, the modulus of strong convexity. ``spread`` is the standard deviation, at the
    start, of b and of the projections A x and B x of points with variance 1 in each coordinate.

    >>> net = DenseICNN(2, [8, 8, 4])
    >>> x = torch.randn(5, 2)
    >>> net(x).shape, net.gradient(x).shape
    (torch.Size([5]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        dim: int,
        widths: Sequence[int] = (128, 128, 64),
        rank: int = 3,
        strong: float = 1e-6,
        spread: float = 0.7,
    ) -> None:
        super().__init__()
        if dim < 1 or rank < 1 or not widths or min(widths) < 1:
            raise ValueError(
                f"dim, rank and widths must be positive, got {dim}, {rank} and {list(widths)}"
            )
        if strong < 0:
            raise ValueError(
                f"strong must be at least 0, got {strong}: with a negative modulus the function "
                "is not convex"
            )
        self.dim, self.widths, self.rank, self.strong = dim, tuple(widths), rank, strong
        total = sum(widths)
        self.A = nn.Parameter(spread * dim**-0.5 * torch.randn(dim, rank * total))
        self.B = nn.Parameter(spread * dim**-0.5 * torch.randn(dim, total))
        self.b = nn.Parameter(spread * torch.randn(total))
        self.W = nn.ParameterList([torch.rand(k, n) * 2 / n for n, k in pairwise(widths)])
        self.w = nn.Parameter(_FAINT * torch.rand(widths[-1]))
        self.L, self.c = nn.Parameter(torch.eye(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return ψ(x), (n,)."""
        q, _ = self._quadratics(x)
        h = q[0]
        for W, q_i in zip(self.W, q[1:], strict=True):
            h = celu(torch.addmm(q_i, h, W.T))
        return h @ self.w + self._quadratic(x)

    def gradient(self, x: Tensor) -> Tensor:
        """Return ∇ψ(x), (n, d), differentiable in x and the parameters."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ψ(x) and ∇ψ(x), at the cost of the gradient alone."""
        q, pulled_back = self._quadratics(x)
        h, slopes = q[0], [torch.ones_like(q[0])]
        for W, q_i in zip(self.W, q[1:], strict=True):
            z = torch.addmm(q_i, h, W.T)
            h = celu(z)
            slopes.append(z.clamp_max(0).exp())  # celu′
        delta = [self.w * slopes[-1]]
        for W, slope in zip(reversed(self.W), reversed(slopes[:-1]), strict=True):
            delta.append((delta[-1] @ W) * slope)
        deltas = torch.cat(delta[::-1], 1)
        gradient = pulled_back(deltas) + x @ self.L.T @ self.L + self.c + self.strong * x
        return h @ self.w + self._quadratic(x), gradient

    @torch.no_grad()
    def project(self) -> None:
        """Set the negative entries of W_i and w to 0, so that ψ is convex."""
        torch._foreach_clamp_min_([*self.W, self.w], 0)

    @torch.no_grad()
    def start_at(self, A: Tensor, b: Tensor) -> None:
        """Initialize ∇ψ near x ↦ A x + b, such as an optimal map between Gaussians.

        A must be symmetric and positive semi-definite, else ValueError.
        """
        self.L.copy_(root(A.to(self.L)))
        self.c.copy_(b)

    def _quadratic(self, x: Tensor) -> Tensor:
        return (x @ self.L.T).square().sum(1) / 2 + x @ self.c + self.strong / 2 * x.square().sum(1)

    def _quadratics(self, x: Tensor) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
        """Return q_i(x) of each layer, and the map of δ (n, Σ widths) to Σ_i ∇q_i(x)ᵀ δ_i."""
        q, pull_back = (self._by_products if self.dim <= _FEW else self._by_projections)(x)
        return list(q.split(self.widths, 1)), pull_back

    def _by_products(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Compute q from the d² products of coordinates, for a small d.

        No tensor has n · rank · Σ widths entries.
        """
        d, A = self.dim, self.A.view(self.dim, self.rank, -1)
        # (d + d², Σ widths)
        M = torch.cat([self.B, torch.einsum("irk,jrk->ijk", A, A).flatten(0, 1)])
        products = (x.unsqueeze(2) * x.unsqueeze(1)).flatten(1)

        def pull_back(delta: Tensor) -> Tensor:
            linear, square = (delta @ M.T).split([d, d * d], 1)
            return linear + 2 * (square.view(-1, d, d) * x.unsqueeze(1)).sum(2)

        return torch.addmm(self.b, torch.cat([x, products], 1), M), pull_back

    def _by_projections(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Compute q from the projections A x, for a large d."""
        projected = (x @ self.A).view(len(x), self.rank, -1)
        q = torch.addmm(self.b, x, self.B)
        for one in projected.unbind(1):  # rank by rank: sums over a short last axis are slow
            q = torch.addcmul(q, one, one)

        def pull_back(delta: Tensor) -> Tensor:
            delta_A = (projected * (2 * delta).unsqueeze(1)).view(len(x), -1)
            return delta_A @ self.A.T + delta @ self.B.T

        return q, pull_back


def root(A: Tensor) -> Tensor:
    """Return the square root of a symmetric positive semi-definite matrix, else ValueError."""
    values, vectors = torch.linalg.eigh(A)
    if values.min() < -1e-6 * values.abs().max():
        raise ValueError(
            f"A must be positive semi-definite, its smallest eigenvalue is {values.min():.3g}"
        )
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T
