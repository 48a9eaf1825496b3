"""Maps of colors (n, 3) to colors beside `OTMap`: the closed-form Gaussian, and an exact plan
between samples; CIE Lab.
"""

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
    """A fitted map of colors; `OTMap` is one."""

    def transform(self, x: Colors, /) -> Colors: ...
    def inverse_transform(self, y: Colors, /) -> Colors: ...


class GaussianMap:
    """The optimal map between the two Gaussians of the same means and covariances [olkin1982]; also
    of constant colors.
    """

    def fit(self, x: Colors, y: Colors) -> GaussianMap:
        first, second = _moments(x), _moments(y)
        self._there, self._back = ot.gaussian_map(*first, *second), ot.gaussian_map(*second, *first)
        return self

    def transform(self, x: Colors, /) -> Colors:
        return self._there(torch.from_numpy(x)).numpy()

    def inverse_transform(self, y: Colors, /) -> Colors:
        return self._back(torch.from_numpy(y)).numpy()


class ExactMap:
    """An exact plan between ``points`` samples of each side; other colors move as the nearest of
    the source's samples does.
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
    """CIE Lab under D65, divided by 100, of sRGB colors (n, 3) in [0, 1].

    >>> to_lab(np.array([[1.0, 1.0, 1.0]])).round(4) + 0
    array([[1., 0., 0.]])
    """
    linear = np.where(
        rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    )
    t = linear @ _XYZ.T / _WHITE
    f = np.where(t > _KNEE**3, np.cbrt(t), t / (3 * _KNEE**2) + 4 / 29)
    return (
        np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
        / _LAB
    )


def to_rgb(lab: Colors) -> Colors:
    """The inverse of `to_lab`; colors outside the gamut have entries outside [0, 1]."""
    L, a, b = (lab * _LAB).T
    y = (L + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], 1)
    linear = np.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29)) * _WHITE @ np.linalg.inv(_XYZ).T
    return np.where(
        linear <= _DARK, 12.92 * linear, 1.055 * np.maximum(linear, _DARK) ** (1 / 2.4) - 0.055
    )


def _moments(x: Colors) -> tuple[torch.Tensor, torch.Tensor]:
    centered = np.where(np.ptp(x, 0) > 0, x - x.mean(0), 0)  # rounding is no variance of a constant
    return torch.from_numpy(x.mean(0)), torch.from_numpy(centered.T @ centered / len(x))
