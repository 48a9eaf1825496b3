r"""Interpretable features of natural pictures, for a Fréchet distance without downloads.

    Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017   [heusel2017]
    Freeman, Adelson, "The design and use of steerable filters", IEEE PAMI 1991   [freeman1991]

The distance is that of the first paper, the filters follow the second. Values are not FID, and are
comparable only with each other. The features of a picture, in luminance and two color differences,
are the means of its upper, middle and lower third, the contrast, and the strength of edges at three
scales, for luminance in four directions. Strengths are logarithms, so that equal factors have equal
weight. There are 30 features for color and 16 for gray: a test split of tens of pictures is too
small for the 2,048 features of a trained network.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .features import frechet
from .spec import Measured, Metric

FORWARD = Metric("frechet_filters_forward", "Fréchet of filters, forward", 2, "low")
INVERSE = Metric("frechet_filters_inverse", "Fréchet of filters, inverse", 2, "low")

_SCALES = 3
_LEAST = 2 / 255  # one step of 8 bits, added to strengths before the logarithm
# luminance, red − green, blue − yellow
_OPPONENT = (
    (0.299, 0.587, 0.114),
    (0.5, -0.5, 0.0),
    (-0.25, -0.25, 0.5),
)


def filter_features(pictures: Tensor) -> Tensor:
    """Compute features (n, 30) of color pictures (n, 3, h, w).

    Gray pictures (n, 1, h, w) have 16 features. h and w must be at least 16. Values outside [−1, 1]
    are clamped, as in the display of a picture.

    >>> filter_features(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 30])
    """
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or min(pictures.shape[2:]) < 16:
        raise ValueError(
            f"expected pictures (n, 1 or 3, at least 16, at least 16), got {tuple(pictures.shape)}"
        )
    x = pictures.detach().float().clamp(-1, 1)
    if x.shape[1] == 3:
        x = torch.einsum("ij,njhw->nihw", x.new_tensor(_OPPONENT), x)
    thirds = [part.mean((2, 3)) for part in x.tensor_split(3, 2)]
    features = [*thirds, _strength(x - x.mean((2, 3), keepdim=True))]
    for scale in range(_SCALES):
        y = avg_pool2d(x, 2**scale)
        down, right = y[..., 1:, :-1] - y[..., :-1, :-1], y[..., :-1, 1:] - y[..., :-1, :-1]
        edges = down, right, (down + right) / 2**0.5, (down - right) / 2**0.5
        features += [_strength(edge[:, :1]) for edge in edges]
        if x.shape[1] == 3:
            features.append(_strength(torch.cat([down, right], 3)[:, 1:]))
    return torch.cat(features, 1)


def frechet_filters(samples: Tensor, held_out: Tensor, reference: Tensor) -> Measured:
    """Return the Fréchet distance of `filter_features` of samples to held-out pictures.

    The features are divided by their standard deviations over ``held_out``. The floor is the
    distance of the first pictures of ``reference``, as many as there are samples, because small
    samples have a large distance. ``reference`` must be disjoint from ``held_out``.

    >>> rng = torch.Generator().manual_seed(0)
    >>> x, y, z = torch.rand(3, 100, 3, 16, 16, generator=rng) - 0.5
    >>> distance = frechet_filters(x + 0.3, y, z)
    >>> distance.value > 10 * distance.floor
    True
    """
    x, y, r = (filter_features(t) for t in (samples, held_out, reference[: len(samples)]))
    scale = y.std(0).clamp_min(1e-6)
    return Measured(frechet(x / scale, y / scale), frechet(r / scale, y / scale))


def _strength(x: Tensor) -> Tensor:
    """Return the logarithm of the root mean square over the pixels, (n, channels)."""
    return (x.square().mean((2, 3)).sqrt() + _LEAST).log()
