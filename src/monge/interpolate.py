r"""Paths between two samples through the codes of an autoencoder: straight, on a sphere, or inside
the codes' distribution.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985 [shoemake1985]  slerp
    Agustsson, Sage, Timofte, Van Gool, "Optimal transport maps for distribution preserving
        operations on latent spaces of
    generative models", ICLR 2019 [agustsson2019]

==========  ============================================================
symbol      here
==========  ============================================================
μ           distribution of the codes
S           ``map``, the optimal map from μ to N(0, I)
t           position on a path, from 0 to 1
==========  ============================================================

For independent codes Z and Z′ the law of (1 − t)Z + tZ′ is not μ: its covariance is smaller by (1 −
t)² + t², one half in the middle. A straight path leaves the data toward their mean, and the decoder
answers with averages. ``transport`` keeps the law. Where μ is Gaussian with mean m, the optimal map
from the law of the mixture onto μ multiplies by 1/√((1 − t)² + t²) about m, so that

.. math:: z_t = m + \frac{(1 - t)(z_a - m) + t (z_b - m)}{\sqrt{(1 - t)^2 + t^2}}.

Any other μ is first moved to where this is exact, z_t = S⁻¹(u_t), with u_t the path from S(z_a) to
S(z_b) for m = 0: the mixture of two codes drawn as N(0, I) is rescaled to N(0, I), and S⁻¹ pushes
that to μ. The ends are kept, and over random pairs z_t has the law μ at every t. It is made for
such pairs: between two codes that are alike it takes a way round, outwards, which ``slerp`` does
not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.errors import MongeError, nearest
from monge.maps import OTMap
from monge.methods.protocols import Autoencoding
from monge.rng import rng

Mode: TypeAlias = Literal["linear", "slerp", "transport"]
MODES: tuple[Mode, ...] = get_args(Mode)
_BATCH, _LR, _WIDTHS = 512, 3e-3, (128, 128, 64)  # of S


class Interpolator:
    """Decode the paths between the codes of two samples, by the autoencoder of a trained
    ``method``.

    ``codes`` (n, d) of training data are what ``transport`` learns from where codes are, in
    ``steps`` of training of S, from ``seed``. By default it takes the moments that the autoencoder
    has seen in training. 0 steps take codes to be Gaussian, which is the closed form above; 500
    take a quarter of a minute of one processor for codes of 32 numbers.

    >>> from monge.data import load
    >>> from monge.methods import acai
    >>> digits = load("digits")
    >>> between = Interpolator(acai.build(acai.TINY, digits.shape))
    >>> a, b = digits.held_out(2)
    >>> between.interpolate(a, b, n=5, mode="transport").shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self, method: Autoencoding, codes: Tensor | None = None, *, steps: int = 0, seed: int = 0
    ) -> None:
        self.autoencoder = method.autoencoder
        self._mean = (self.autoencoder.mean if codes is None else codes.mean(0)).cpu()
        self._map: OTMap | None = None
        if steps:
            if codes is None:
                raise MongeError(
                    f"steps={steps} learn a map of codes: give the codes of training data, or "
                    "steps=0"
                )
            noise = torch.randn(codes.shape, generator=rng(seed)).to(codes)
            found = OTMap(steps=steps, seed=seed, batch=_BATCH, lr=_LR, widths=_WIDTHS)
            # S⁻¹, which is evaluated more often, and S as its inverse
            self._map = found.fit(noise, codes)

    def interpolate(self, a: Tensor, b: Tensor, n: int = 9, mode: Mode = "linear") -> Tensor:
        """n samples (n, ...) from ``a`` to ``b``, single samples of the method's data, both
        reconstructed at the ends.

        MongeError for fewer than two, an unknown mode, samples of different shapes.
        """
        if a.shape != b.shape:
            raise MongeError(
                f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}: give samples of one kind"
            )
        with torch.no_grad():
            ends = self.autoencoder.encode_all(torch.stack([a, b]))
            return self.autoencoder.decode_all(self.path(ends[0], ends[1], n, mode))

    def path(self, a: Tensor, b: Tensor, n: int = 9, mode: Mode = "linear") -> Tensor:
        """n codes (..., n, d) from ``a`` to ``b`` (..., d), these ends included."""
        if n < 2:
            raise MongeError(f"n must be at least 2, the two ends, got {n}")
        if mode not in MODES:
            raise MongeError(f"unknown mode '{mode}'{nearest(mode, MODES)}")
        t = torch.linspace(0, 1, n)[1:-1, None].to(a)
        between: dict[Mode, Callable[..., Tensor]] = {
            "linear": torch.lerp,
            "slerp": slerp,
            "transport": self._transport,
        }
        first, last = a[..., None, :], b[..., None, :]
        return torch.cat([first, between[mode](first, last, t), last], -2)

    def _transport(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        if self._map is None:
            return preserving(a, b, t, self._mean.to(a))
        u, v = (
            self._map.inverse_transform(end.flatten(0, -2)).reshape(end.shape) for end in (a, b)
        )
        moved = preserving(u, v, t, torch.zeros_like(self._mean).to(a))
        return self._map.transform(moved.flatten(0, -2)).reshape(moved.shape)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Directions along a great circle about the origin at constant speed, norms linearly; codes
    (..., d), positions (..., 1).

    Opposite directions have many great circles, of which one is taken; toward or from 0 the path is
    straight.

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), torch.tensor([0.5]))
    tensor([1.4142, 1.4142])
    """
    size_a, size_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    u = normalize(torch.where(size_a > 0, a, b), dim=-1)
    v = normalize(torch.where(size_b > 0, b, a), dim=-1)
    cosine = (u * v).sum(-1, keepdim=True)
    across = v - cosine * u
    sine = across.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, cosine)
    axis = torch.zeros_like(u).scatter(-1, u.abs().argmin(-1, keepdim=True), 1.0)
    any_other = axis - (u * axis).sum(-1, keepdim=True) * u
    across = normalize(torch.where(sine > 1e-6, across, any_other), dim=-1)
    return torch.lerp(size_a, size_b, t) * ((t * angle).cos() * u + (t * angle).sin() * across)


def preserving(a: Tensor, b: Tensor, t: Tensor, mean: Tensor) -> Tensor:
    """The straight path with its distance from ``mean`` (d,) over √((1 − t)² + t²): it keeps the
    law of Gaussian codes.

    >>> preserving(torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([0.5]), torch.zeros(1))
    tensor([1.4142])
    """
    return mean + (torch.lerp(a, b, t) - mean) / ((1 - t).square() + t.square()).sqrt()
