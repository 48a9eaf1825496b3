"""Maps of colors (n, 3) besides `OTMap`: a closed-form Gaussian map and an exact plan; CIE Lab."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from monge import ot
from monge.errors import MongeError

Colors = NDArray[np.float64]

_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _XYZ.sum(1)
_KNEE = 6 / 29
_DARK = 0.0031308  # below, sRGB is linear
_LAB = 100.0


class Map(Protocol):
    """A fitted map of colors, such as `OTMap`."""

    def transform(self, x: Colors, /) -> Colors: ...
    def inverse_transform(self, y: Colors, /) -> Colors: ...


class GaussianMap:
    """The optimal map between the Gaussians that have the colors' means and covariances.

    Colors may be constant. Source: [olkin1982].
    """

    def fit(self, x: Colors, y: Colors) -> GaussianMap:
        source, target = _moments(x), _moments(y)
        self._there = ot.gaussian_map(*source, *target)
        self._back = ot.gaussian_map(*target, *source)
        return self

    def transform(self, x: Colors, /) -> Colors:
        return self._there(torch.from_numpy(x)).numpy()

    def inverse_transform(self, y: Colors, /) -> Colors:
        return self._back(torch.from_numpy(y)).numpy()


class ExactMap:
    """An exact plan between ``points`` samples of each side.

    Every color is displaced like the source sample nearest to it.
    """

    def __init__(self, points: int = 1500) -> None:
        self.points = points

    def fit(self, x: Colors, y: Colors) -> ExactMap:
        from scipy.spatial import KDTree

        x, y = x[: self.points], y[: self.points]
        cost = torch.cdist(torch.from_numpy(x), torch.from_numpy(y)).square()
        self._moves = y[ot.transport(cost).argmax(1).numpy()] - x
        self._tree = KDTree(x)
        return self

    def transform(self, x: Colors, /) -> Colors:
        return x + self._moves[self._tree.query(x)[1]]

    def inverse_transform(self, _: Colors, /) -> Colors:
        raise MongeError(
            "method 'exact' has no inverse beyond its samples: use method 'w2' or 'gaussian'"
        )


def to_lab(rgb: Colors) -> Colors:
    """Convert sRGB colors (n, 3) in [0, 1] to CIE Lab under D65, divided by 100.

    >>> to_lab(np.array([[1.0, 1.0, 1.0]])).round(4) + 0
    array([[1., 0., 0.]])
    """
    linear = np.where(
        rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    )
    t = linear @ _XYZ.T / _WHITE
    f = np.where(t > _KNEE**3, np.cbrt(t), t / (3 * _KNEE**2) + 4 / 29)
    L, a, b = 116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    return np.stack([L, a, b], 1) / _LAB


def to_rgb(lab: Colors) -> Colors:
    """Invert `to_lab`; colors outside the gamut have entries outside [0, 1]."""
    L, a, b = (lab * _LAB).T
    y = (L + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], 1)
    linear = np.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29)) * _WHITE @ np.linalg.inv(_XYZ).T
    return np.where(
        linear <= _DARK, 12.92 * linear, 1.055 * np.maximum(linear, _DARK) ** (1 / 2.4) - 0.055
    )


def _moments(x: Colors) -> tuple[torch.Tensor, torch.Tensor]:
    # a constant channel gets variance 0, whatever the rounding of its mean
    centered = np.where(np.ptp(x, 0) > 0, x - x.mean(0), 0)
    return torch.from_numpy(x.mean(0)), torch.from_numpy(centered.T @ centered / len(x))
