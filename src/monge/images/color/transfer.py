r"""Color transfer: give one picture the colors of others.

    Korotin et al., "Wasserstein-2 generative networks", ICLR 2021 [korotin2021]: the map; section
        5, color transfer

The colors of a picture's pixels are a distribution P in a cube. The optimal map T from P to a
palette's Q moves every color as little as it can; it is the gradient of a convex function, hence
monotone,

.. math:: \langle T(x) - T(x'),\; x - x' \rangle \ge 0,

so that a gradient of the picture never turns back, which is what banding and haloes are. With
``strength`` s and palettes Q_k of ``weights`` w_k, scaled to sum 1,

.. math:: x \mapsto (1 - s)\, x + s \sum_k w_k T_k(x), \qquad T_{k\,\#} P = Q_k,

is again the gradient of a convex function: displacement interpolation, and a barycenter of the
palettes linearized at P. T_k is a `OTMap` between sampled pixels, or another ``method``.

Where the source is flat and the palette rich, T is steep and magnifies noise, steps of 8 bits and
blocks of JPEG. It is therefore fitted to colors with noise of σ = ``smooth`` / 255,

.. math:: T_{k\,\#} (P * N(0, \sigma^2)) = Q_k,

still monotone, gentler where P is narrower than σ, held by data also beside a thin P, and a little
short of Q when applied to P.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from monge import ot
from monge.errors import MongeError, nearest
from monge.images.io import Pixels, Source, top_value
from monge.images.pixels import as_picture, by_color, by_tile, checked_weights, drawn_colors, like
from monge.maps import OTMap

from .maps import Colors, ExactMap, GaussianMap, Map, to_lab, to_rgb
from .measures import Agreement, agreement, palette_distance

Space = Literal["rgb", "lab"]
Method = Literal["w2", "gaussian", "exact"]

__all__ = ["Agreement", "ColorTransfer", "agreement", "palette_distance"]


class ColorTransfer(BaseEstimator):
    """Fit the map from a picture's colors to those of palettes, and apply it to pictures.

    Pictures are a `Picture`, a path, or an array (h, w, c) or (n, c) of uint8, uint16 or floats in
    [0, 1]; of four channels the last is alpha. Fully transparent pixels are not fitted to, and
    alpha is never changed. After `fit`, ``notes_`` says what is unusual about the pictures, one
    sentence each.

    Methods are ``"w2"``; ``"gaussian"``, the closed-form affine map; and ``"exact"``, an exact plan
    between 1,500 pixels of each side. Spaces are ``"rgb"`` and CIE ``"lab"``, where distances are
    nearer to what the eye sees. ``strength`` 0 leaves the picture, 1 maps it all the way.
    ``smooth`` is the standard deviation, in levels of 8 bits, of noise added to the colors that
    method ``"w2"`` is fitted to: the more, the less the picture's own noise and bands are
    magnified, and the less well the palette is met. With ``inverse`` the map from the palette to
    the source is fitted and its inverse applied: the same aim, through the other network.
    ``samples`` pixels are drawn from each picture to fit; ``steps`` are of training of method
    ``"w2"``; ``seed`` is of both.

    >>> day, dusk = np.random.default_rng(0).integers([[[0]], [[90]]], [[[99]], [[255]]], (2, 400, 3), dtype=np.uint8)
    >>> moved = ColorTransfer(method="gaussian").fit(day, dusk).transform(day)
    >>> moved.dtype, bool(abs(moved.mean() - dusk.mean()) < 1)
    (dtype('uint8'), True)
    """

    def __init__(
        self, *, method: Method = "w2", space: Space = "rgb", strength: float = 1.0, smooth: float = 8.0, inverse: bool = False,
        samples: int = 100_000, steps: int = 1000, seed: int = 0, progress: bool = False,
    ) -> None:  # fmt: skip
        self.method = method
        self.space = space
        self.strength = strength
        self.smooth = smooth
        self.inverse = inverse
        self.samples = samples
        self.steps = steps
        self.seed = seed
        self.progress = progress
        self._check_settings()

    def _check_settings(self) -> None:
        for name, value, allowed in (
            ("method", self.method, get_args(Method)),
            ("space", self.space, get_args(Space)),
        ):
            if value not in allowed:
                raise MongeError(f"unknown {name} '{value}'{nearest(str(value), allowed)}")
        if not 0 <= self.strength <= 1:
            raise MongeError(f"strength must be between 0 and 1, got {self.strength}")
        if not 0 <= self.smooth <= 64:
            raise MongeError(f"smooth must be between 0 and 64 levels of 8 bits, got {self.smooth}")
        if self.samples < 2:
            raise MongeError(f"samples must be at least 2, got {self.samples}")
        if self.inverse and self.method == "exact":
            raise MongeError(
                "inverse needs a map with an inverse, and method 'exact' has none: use 'w2' or "
                "'gaussian'"
            )

    def fit(
        self,
        source: Source,
        palettes: Source | Sequence[Source],
        weights: Sequence[float] | None = None,
    ) -> ColorTransfer:
        """Find the map from the source's colors to each palette's, to be averaged with ``weights``
        (equal ones by default).
        """
        self._check_settings()
        several: list[Any] = [*palettes] if isinstance(palettes, list | tuple) else [palettes]
        if not several:
            raise MongeError("palettes is empty: give at least one picture to take the colors from")
        self.weights_ = checked_weights(weights, len(several), of="palette")
        names = (
            ["palette"] if len(several) == 1 else [f"palette {k + 1}" for k in range(len(several))]
        )
        self.notes_: tuple[str, ...] = ()
        x = self._sampled(source, "source", 0)
        sampled = [
            self._sampled(p, name, k + 1)
            for k, (p, name) in enumerate(zip(several, names, strict=True))
        ]
        self.maps_ = [
            (w, self._fitted(x, y)) for w, y in zip(self.weights_, sampled, strict=True) if w
        ]
        return self

    def transform(self, picture: Any) -> Any:
        """The picture in the palette's colors, of the type that was given; a path gives a
        `Picture`.
        """
        return self._pushed(picture, self._blended)

    def inverse_transform(self, picture: Any) -> Any:
        """The inverse of `transform`, up to what rounding and clipping have lost."""
        self._check_fitted()
        if self.method == "exact":
            raise MongeError(
                "method 'exact' has no inverse beyond its samples: use method 'w2' or 'gaussian'"
            )
        alone = len(self.maps_) == 1 and self.strength == 1
        return self._pushed(picture, self._back(self.maps_[0][1]) if alone else self._conjugate)

    def _sampled(self, source: Source, name: str, number: int) -> Colors:
        """Sampled colors (samples, 3) in the space of the map."""
        drawn = drawn_colors(as_picture(source, name), self.samples, (self.seed, number))
        if drawn is None:
            raise MongeError(f"the {name} is fully transparent: it shows no colors to fit to")
        if not np.ptp(drawn, 0).any():
            self.notes_ += (f"the {name} has one color: its map is a shift or a single color",)
        elif (drawn == drawn[:, :1]).all():
            then = "so is the result" if number else "its shades become one curve of colors"
            self.notes_ += (f"the {name} is gray: {then}",)
        return self._encoded(drawn)

    def _fitted(self, x: Colors, y: Colors) -> Map:
        constant = not np.ptp(x, 0).any() or not np.ptp(y, 0).any()
        if not constant and self.method == "w2" and self.smooth:
            x = x + np.random.default_rng((self.seed, 200)).normal(
                scale=self.smooth / 255, size=x.shape
            )
        sides = (y, x) if self.inverse else (x, y)
        if constant or self.method == "gaussian":
            return GaussianMap().fit(*sides)
        if self.method == "exact":
            return ExactMap().fit(*sides)
        return OTMap(steps=self.steps, seed=self.seed, progress=self.progress).fit(*sides)

    def _there(self, map_: Map) -> Callable[[Colors], Colors]:
        return map_.inverse_transform if self.inverse else map_.transform

    def _back(self, map_: Map) -> Callable[[Colors], Colors]:
        return map_.transform if self.inverse else map_.inverse_transform

    def _blended(self, x: Colors) -> Colors:
        moved = sum(w * self._there(map_)(x) for w, map_ in self.maps_)
        return (1 - self.strength) * x + self.strength * moved

    def _conjugate(self, y: Colors) -> Colors:
        """The inverse of `_blended`, which is the gradient of a convex function but not one
        network's.
        """
        found = ot.conjugate(
            lambda t: torch.from_numpy(self._blended(t.numpy())), torch.from_numpy(y)
        )
        return found.point.numpy()

    def _pushed(self, given: Any, map_: Callable[[Colors], Colors]) -> Any:
        self._check_fitted()
        picture = as_picture(given, "picture")
        colors, top = picture.colors, top_value(picture.colors.dtype)

        def moved(x: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
            """Colors (n, 3) moved, clipped and rounded, and which of them were clipped."""
            y = map_(self._encoded(x / top))
            if self.space == "lab":
                y = to_rgb(y)
            half = 0.5 / top if top > 1 else 1e-6
            outside: NDArray[np.bool_] = np.any((y < -half) | (y > 1 + half), axis=1)
            y = y.clip(0, 1) * top
            return (np.rint(y) if top > 1 else y).astype(x.dtype), outside

        pushed, outside = (by_color if colors.dtype == np.uint8 else by_tile)(
            colors, moved, self.progress
        )
        seen = outside if picture.alpha is None else outside[picture.alpha > 0]
        return like(
            given, replace(picture, colors=pushed, clipped=float(seen.mean()) if seen.size else 0.0)
        )

    def _encoded(self, rgb: Colors) -> Colors:
        return to_lab(rgb) if self.space == "lab" else np.asarray(rgb, np.float64)

    def _check_fitted(self) -> None:
        if not hasattr(self, "maps_"):
            raise MongeError("the map is not fitted: call fit(source, palettes) first")
