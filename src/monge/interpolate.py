r"""Interpolation between samples through the codes of an autoencoder.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985   [shoemake1985], slerp
    Agustsson, Sage, Timofte, Van Gool, "Optimal transport maps for distribution preserving
        operations on latent spaces of generative models", ICLR 2019   [agustsson2019]

==========  ============================================================
symbol      here
==========  ============================================================
μ           distribution of the codes
S           ``map``, the optimal map from μ to N(0, I)
t           position on a path, from 0 to 1
==========  ============================================================

For independent codes Z and Z′, (1 − t)Z + tZ′ is not distributed as μ: its covariance is smaller by
(1 − t)² + t², one half in the middle. A straight path approaches the mean of the codes, where the
decoder returns averages. The mode ``transport`` preserves the distribution. If μ is Gaussian with
mean m, the optimal map from the distribution of the mixture to μ scales by 1/√((1 − t)² + t²)
about m, so that

.. math:: z_t = m + \frac{(1 - t)(z_a - m) + t (z_b - m)}{\sqrt{(1 - t)^2 + t^2}}.

Any other μ is first mapped to a Gaussian: z_t = S⁻¹(u_t), where u_t is the path from S(z_a) to
S(z_b) with m = 0. The ends are unchanged, and over random pairs z_t is distributed as μ at every t.
Between two similar codes this path makes a detour outward, which ``slerp`` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.data import Dataset, FiniteDataset
from monge.errors import MongeError, nearest
from monge.maps import OTMap
from monge.methods.protocols import Autoencoding
from monge.rng import rng
from monge.training import RunFolder, load_run
from monge.training.codes import encode_indices

Mode: TypeAlias = Literal["linear", "slerp", "transport"]
MODES: tuple[Mode, ...] = get_args(Mode)
_BATCH, _LR, _WIDTHS = 512, 3e-3, (128, 128, 64)  # of S
_CODES = 20_000  # training samples, at most, to whose codes S is fitted


class Interpolator:
    """Interpolate between samples through the codes of a trained autoencoder.

    ``method`` is a trained autoencoder of `monge.methods`, see also `Interpolator.load`. The mode
    ``transport`` fits S in ``steps`` training steps to ``codes`` (n, d) of training data. With 0
    steps it takes codes to be Gaussian, the closed form above, with the mean of ``codes`` or the
    one that the autoencoder has recorded in training. 500 steps take a quarter of a minute on one
    core for codes of 32 numbers.

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
                    f"codes is missing: steps={steps} fit a map to the codes of training data; "
                    "pass codes (see training_codes), use Interpolator.load, or steps=0"
                )
            noise = torch.randn(codes.shape, generator=rng(seed)).to(codes)
            # S⁻¹, which is evaluated more often, and S as its inverse
            inverse = OTMap(steps=steps, seed=seed, batch=_BATCH, lr=_LR, widths=_WIDTHS)
            self._map = inverse.fit(noise, codes)

    @classmethod
    def load(cls, run: Any, *, steps: int = 0, seed: int = 0) -> Interpolator:
        """Load the autoencoder of a run folder, with the codes of its training data if ``steps``.

        ``run`` may also be a `monge.Run`. MongeError for a folder that is not a run, or a run
        without an autoencoder.
        """
        method, data = load_run(RunFolder(getattr(run, "folder", run)))
        if not isinstance(method, Autoencoding):
            raise MongeError(
                f"the run in '{run}' is of {method.config.name}: it has no autoencoder"
            )
        codes = training_codes(method, data) if steps else None
        return cls(method, codes, steps=steps, seed=seed)

    def interpolate(self, a: Tensor, b: Tensor, n: int = 9, mode: Mode = "linear") -> Tensor:
        """Decode n samples (n, ...) on the path from sample ``a`` to sample ``b``.

        The first and the last are the reconstructions of ``a`` and ``b``. MongeError for n < 2, an
        unknown mode, or samples of different shapes.
        """
        if a.shape != b.shape:
            raise MongeError(
                f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}: give samples of one kind"
            )
        with torch.no_grad():
            ends = self.autoencoder.encode_all(torch.stack([a, b]))
            return self.autoencoder.decode_all(self.path(ends[0], ends[1], n, mode))

    def path(self, a: Tensor, b: Tensor, n: int = 9, mode: Mode = "linear") -> Tensor:
        """Return n codes (..., n, d) on the path from ``a`` to ``b`` (..., d), ends included."""
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


def training_codes(method: Autoencoding, dataset: Dataset) -> Tensor:
    """Encode at most 20,000 training samples, spread evenly over the data set; returns (n, d)."""
    if not isinstance(dataset, FiniteDataset):
        return method.autoencoder.encode_all(dataset.train(_CODES))
    every = -(-len(dataset.train_indices) // _CODES)
    return encode_indices(method.autoencoder, dataset, dataset.train_indices[::every])


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Interpolate directions along a great circle and norms linearly.

    Codes are (..., d), positions (..., 1). Between opposite directions one of the many great
    circles is taken; to or from 0 the path is straight.

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
    """Interpolate linearly and divide the distance from ``mean`` (d,) by √((1 − t)² + t²).

    This preserves the distribution of Gaussian codes.

    >>> preserving(torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([0.5]), torch.zeros(1))
    tensor([1.4142])
    """
    return mean + (torch.lerp(a, b, t) - mean) / ((1 - t).square() + t.square()).sqrt()
