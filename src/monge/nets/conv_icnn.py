r"""A convolutional input-convex network for pictures, with its gradient in one forward pass.

    Amos, Xu, Kolter, "Input convex neural networks", ICML 2017 [amos2017]
    Korotin et al., "Wasserstein-2 generative networks", ICLR 2021 [korotin2021], appendix B: the
        convolutional architecture

==========  ======================================================================================
symbol      here
==========  ======================================================================================
x_i         the picture averaged under overlapping tents (hat functions) of p_i pixels, where p_i
            is the product of the strides before layer i
q_i(x)      Σ_r (A_i ∗ x_i)²_r + B_i ∗ x_i + b_i, convex in x for any A_i, B_i
z_i         W_i ∗ h_{i−1} + q_i(x), convex for W_i ≥ 0
h_0, h_i    q_0(x), celu(z_i)
k_i         side in pixels of the region that one entry of h_i covers: p_i × stride of layer i
φ           ``head``, a `DenseICNN` of the picture averaged under grid × grid tents, each of which
            covers k × k pixels
ψ(x)        Σ_i k_i² Σ_positions w_i·h_i + k² φ + ½ Σ_pixels ‖L x‖² + c·x + (s/2)‖x‖², convex for
            w_i ≥ 0
==========  ======================================================================================

The weights k_i² make every scale move pixels by amounts of the same order, so that one learning
rate serves all: the layers change colors and texture pixel by pixel, the head shifts the light of
whole regions. Averages over squares would leave their borders in the map, whereas the transpose of
tents is a bilinear enlargement. The gradient is written out layer by layer, with
δ_i = (w_i + stride² W_{i+1}ᵀ ∗ δ_{i+1}) ⊙ celu′(z_i), as in `monge.nets.icnn`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import prod, sqrt
from operator import mul

import torch
from torch import Tensor, nn
from torch.nn.functional import celu, conv2d, conv_transpose2d, interpolate

from .icnn import DenseICNN, root

_FAINT = 1e-4  # largest initial entry of w_i, and the head's share of the identity


class ConvICNN(nn.Module):
    """A convex function from pictures (n, c, s, s) to (n,), with its gradient.

    It is initialized with L = 1, c = 0 and small w_i, so that ∇ψ is close to the identity;
    `start_at` initializes it with a map of colors. Call `project` after each optimizer step: it
    sets the negative entries of W_i and w_i to 0, without which ψ need not be convex.

    A gradient of this form changes color, light, contrast and texture near each pixel. It does not
    move or add objects.

    ``channels`` and ``size`` are c and s, ``widths`` the channels of h_0 to h_L. A layer with
    stride 1 has 3×3 filters on the picture and 1×1 filters on the hidden path; an even stride has
    filters of twice its size. q_i has ``rank`` squares, φ has the widths ``head`` and takes a
    picture of side ``grid``. ``strong`` is s, the modulus of strong convexity, and ``spread`` the
    standard deviation of an initial filter's response to a white picture.

    >>> net = ConvICNN(3, 16, widths=[8, 8], strides=[1, 2])
    >>> x = torch.randn(5, 3, 16, 16)
    >>> net(x).shape, net.gradient(x).shape
    (torch.Size([5]), torch.Size([5, 3, 16, 16]))
    """

    tents: Tensor

    def __init__(
        self,
        channels: int,
        size: int,
        widths: Sequence[int] = (16, 16, 32, 32, 32),
        strides: Sequence[int] = (1, 1, 2, 2, 2),
        rank: int = 1,
        head: Sequence[int] = (64, 32),
        grid: int = 4,
        strong: float = 1e-6,
        spread: float = 0.5,
    ) -> None:
        super().__init__()
        if min(channels, size, rank, grid) < 1 or not widths or min(widths) < 1:
            received = f"{channels}, {size}, {rank}, {grid} and {list(widths)}"
            raise ValueError(
                f"channels, size, rank, grid and widths must be positive, got {received}"
            )
        if len(strides) != len(widths) or any(t < 1 or (t > 1 and t % 2) for t in strides):
            raise ValueError(
                f"each of the {len(widths)} widths needs a stride, 1 or even, got strides "
                f"{list(strides)}"
            )
        if strong < 0:
            raise ValueError(
                f"strong must be at least 0, got {strong}: with a negative modulus the function "
                "is not convex"
            )
        for name, divisor in (("the product of the strides", prod(strides)), ("grid", grid)):
            if size % divisor:
                raise ValueError(
                    f"size {size} must be a multiple of {name}, {divisor}: resize the pictures, or "
                    f"change {name}"
                )
        self.channels = channels
        self.size = size
        self.rank = rank
        self.grid = grid
        self.strong = strong
        self.widths, self.strides = tuple(widths), tuple(strides)
        self.sides, self._side = tuple(accumulate(strides, mul)), size // grid  # k_i, k
        kernels = [3 if t == 1 else 2 * t for t in strides]
        shapes = [((rank + 1) * n, channels, k, k) for n, k in zip(widths, kernels, strict=True)]
        self.AB = nn.ParameterList(
            [spread / sqrt(channels) / shape[-1] * torch.randn(shape) for shape in shapes]
        )
        self.b = nn.ParameterList([spread * torch.randn(n) for n in widths])
        hidden = [1 if t == 1 else 2 * t for t in strides]
        shapes = [(n, m, k, k) for (m, n), k in zip(pairwise(widths), hidden[1:], strict=True)]
        self.W = nn.ParameterList([torch.rand(shape) * 2 / prod(shape[1:]) for shape in shapes])
        self.w = nn.ParameterList([_FAINT * torch.rand(n) for n in widths])
        self.L, self.c = nn.Parameter(torch.eye(channels)), nn.Parameter(torch.zeros(channels))
        for i, t in enumerate(strides[:-1]):
            tents = _tents(size * t // self.sides[i], size // self.sides[i])
            self.register_buffer(f"tents_{i}", tents, persistent=False)
        self.register_buffer("tents", _tents(size, grid), persistent=False)
        self.head = DenseICNN(channels * grid**2, head, rank, strong=0.0)
        with torch.no_grad():
            self.head.L.mul_(sqrt(_FAINT))

    def forward(self, x: Tensor) -> Tensor:
        """Return ψ(x), (n,)."""
        h, value = x, self._quadratic(x)
        for i, (_, q) in enumerate(self._quadratics(x)):
            h = celu(self._hidden(i, h) + q) if i else q
            value = value + self.sides[i] ** 2 * (h.sum((2, 3)) @ self.w[i])
        return value + self._side**2 * self.head(_average(x, self.tents).flatten(1))

    def gradient(self, x: Tensor) -> Tensor:
        """Return ∇ψ(x), (n, c, s, s), differentiable in x and the parameters."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ψ(x) and ∇ψ(x), at the cost of the gradient alone."""
        h, value = x, self._quadratic(x)
        projections, slopes = [], []
        for i, (projected, q) in enumerate(self._quadratics(x)):
            z = self._hidden(i, h) + q if i else q
            h = celu(z) if i else q
            slopes.append(z.clamp_max(0).exp() if i else torch.ones_like(q))  # celu′
            projections.append(projected)
            value = value + self.sides[i] ** 2 * (h.sum((2, 3)) @ self.w[i])

        delta, gradient = torch.zeros_like(h), torch.zeros_like(h[:, : self.channels])
        for i in reversed(range(len(self.widths))):
            t = self.strides[i]
            delta = (delta + self.w[i][:, None, None]) * slopes[i]
            squares = 2 * projections[i].unflatten(1, (self.rank, -1)) * delta[:, None]
            delta_q = torch.cat([squares.flatten(1, 2), delta], 1)
            fine = t**2 * conv_transpose2d(delta_q, self.AB[i], stride=t, padding=max(1, t // 2))
            if i + 1 < len(self.widths):
                fine = fine + _enlarge(gradient, self._tents_after(i))
            gradient = fine
            if i:
                delta = t**2 * conv_transpose2d(delta, self.W[i - 1], stride=t, padding=t // 2)

        phi, regions = self.head.value_and_gradient(_average(x, self.tents).flatten(1))
        regions = _enlarge(regions.view(len(x), self.channels, self.grid, self.grid), self.tents)
        colors = torch.einsum("ij,njhw->nihw", self.L.T @ self.L, x)
        affine = colors + self.c[:, None, None] + self.strong * x
        return value + self._side**2 * phi, gradient + regions + affine

    @torch.no_grad()
    def project(self) -> None:
        """Set the negative entries of W_i, w_i and the head's to 0, so that ψ is convex."""
        torch._foreach_clamp_min_([*self.W, *self.w], 0)
        self.head.project()

    @torch.no_grad()
    def start_at(self, A: Tensor, b: Tensor) -> None:
        """Initialize ∇ψ near the map of colors v ↦ A v + b of each pixel.

        A must be symmetric and positive semi-definite, else ValueError.
        """
        self.L.copy_(root(A.to(self.L)))
        self.c.copy_(b)

    def _quadratics(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield A_i ∗ x_i, (n, rank · width, …), and q_i(x) of each layer."""
        for i, (AB, b, t) in enumerate(zip(self.AB, self.b, self.strides, strict=True)):
            x = _average(x, self._tents_after(i - 1)) if i else x
            responses = conv2d(x, AB, stride=t, padding=max(1, t // 2))
            projected, q = responses.split([self.rank * self.widths[i], self.widths[i]], 1)
            q = q + b[:, None, None]
            for square in projected.unflatten(1, (self.rank, -1)).unbind(1):
                q = torch.addcmul(q, square, square)
            yield projected, q

    def _hidden(self, i: int, h: Tensor) -> Tensor:
        """W_i ∗ h_{i−1}."""
        return conv2d(h, self.W[i - 1], stride=self.strides[i], padding=self.strides[i] // 2)

    def _tents_after(self, i: int) -> Tensor:
        return getattr(self, f"tents_{i}")

    def _quadratic(self, x: Tensor) -> Tensor:
        """½ Σ ‖L x‖² + c·x + (s/2)‖x‖² over the pixels."""
        if x.shape[1:] != (self.channels, self.size, self.size):
            raise ValueError(
                f"expected pictures (n, {self.channels}, {self.size}, {self.size}), got "
                f"{tuple(x.shape)}"
            )
        L_x, c = torch.einsum("ij,njhw->nihw", self.L, x), self.c[:, None, None]
        return (L_x.square() / 2 + c * x + self.strong / 2 * x.square()).sum((1, 2, 3))


def _tents(fine: int, coarse: int) -> Tensor:
    """Return the matrix (fine, coarse) of linear interpolation; columns sum to fine / coarse."""
    return interpolate(torch.eye(coarse)[None], size=fine, mode="linear")[0].T.contiguous()


def _average(x: Tensor, tents: Tensor) -> Tensor:
    fine, coarse = tents.shape
    return x if fine == coarse else tents.T @ x @ tents * (coarse / fine) ** 2


def _enlarge(x: Tensor, tents: Tensor) -> Tensor:
    fine, coarse = tents.shape
    return x if fine == coarse else tents @ x @ tents.T
