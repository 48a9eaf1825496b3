r"""Color transfer: give one picture the colors of others.

    Korotin et al., "Wasserstein-2 generative networks", ICLR 2021; the map, and color transfer in
        its section 5   [korotin2021]

The colors of a picture's pixels are a distribution P in a cube. The optimal map T from P to the
distribution Q of a palette has the least mean squared displacement; it is the gradient of a convex
function, hence monotone,

.. math:: \langle T(x) - T(x'),\; x - x' \rangle \ge 0,

so that no gradient of the picture changes direction, as it does in banding and halos. With
``strength`` s and palettes Q_k of ``weights`` w_k, scaled to sum 1,

.. math:: x \mapsto (1 - s)\, x + s \sum_k w_k T_k(x), \qquad T_{k\,\#} P = Q_k,

is again the gradient of a convex function: displacement interpolation, and a barycenter of the
palettes linearized at P. T_k is an `OTMap` between sampled pixels, or another ``method``.

Where the source has few colors and the palette many, T is steep and magnifies noise, the steps of
8 bits and the blocks of JPEG. It is therefore fitted to colors with noise of σ = ``smooth`` / 255,

.. math:: T_{k\,\#} (P * N(0, \sigma^2)) = Q_k,

which keeps it monotone, makes it less steep where P is narrower than σ, and fits it to data around
a thin P, too; applied to P itself, it falls a little short of Q.
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

    A picture is a `Picture`, a path, or an array (h, w, c) or (n, c) of uint8, uint16 or floats in
    [0, 1]; the last of four channels is alpha. Fully transparent pixels are left out of the fit,
    and alpha is never changed. After `fit`, ``notes_`` says what is unusual about the pictures, one
    sentence each.

    Methods are ``"w2"``; ``"gaussian"``, the closed-form affine map; and ``"exact"``, an exact plan
    between 1,500 pixels of each side. Spaces are ``"rgb"`` and CIE ``"lab"``, where distances are
    nearer to perceived ones. ``strength`` 0 leaves the picture as it is, 1 applies the whole map.
    ``smooth`` is the standard deviation, in levels of 8 bits, of the noise added to the colors that
    method ``"w2"`` is fitted to: a larger value magnifies the noise and bands of the picture less,
    and matches the palette less well. With ``inverse``, the map from the palette to the source is
    fitted and its inverse is applied. The fit uses ``samples`` pixels of each picture; method
    ``"w2"`` trains for ``steps`` steps; ``seed`` is the seed of the sampling and of the training.

    >>> rng = np.random.default_rng(0)
    >>> day, dusk = rng.integers([[[0]], [[90]]], [[[99]], [[255]]], (2, 400, 3), dtype=np.uint8)
    >>> result = ColorTransfer(method="gaussian").fit(day, dusk).transform(day)
    >>> result.dtype, bool(abs(result.mean() - dusk.mean()) < 1)
    (dtype('uint8'), True)
    """

    def __init__(
        self, *, method: Method = "w2", space: Space = "rgb", strength: float = 1.0,
        smooth: float = 8.0, inverse: bool = False, samples: int = 100_000, steps: int = 1000,
        seed: int = 0, progress: bool = False,
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
        """Fit a map from the source's colors to those of each palette.

        The maps are averaged with ``weights``, by default equal ones.
        """
        self._check_settings()
        several: list[Any] = [*palettes] if isinstance(palettes, list | tuple) else [palettes]
        if not several:
            raise MongeError("palettes is empty: give at least one picture to take the colors from")
        self.weights_ = checked_weights(weights, len(several), of="palette")
        self.notes_: tuple[str, ...] = ()
        x = self._sampled(source, "source", 0)
        targets = []
        for k, palette in enumerate(several, 1):
            name = "palette" if len(several) == 1 else f"palette {k}"
            targets.append(self._sampled(palette, name, k))
        weighted = zip(self.weights_, targets, strict=True)
        self.maps_ = [(w, self._fitted(x, y)) for w, y in weighted if w]
        return self

    def transform(self, picture: Any) -> Any:
        """Return the recolored picture in the type that was given, for a path a `Picture`."""
        return self._pushed(picture, self._blended)

    def inverse_transform(self, picture: Any) -> Any:
        """Invert `transform`, up to what rounding and clipping have lost."""
        self._check_fitted()
        if self.method == "exact":
            raise MongeError(
                "method 'exact' has no inverse beyond its samples: use method 'w2' or 'gaussian'"
            )
        alone = len(self.maps_) == 1 and self.strength == 1
        return self._pushed(picture, self._back(self.maps_[0][1]) if alone else self._conjugate)

    def _sampled(self, source: Source, name: str, number: int) -> Colors:
        """Sample colors (samples, 3) of a picture, in the space of the map."""
        colors = drawn_colors(as_picture(source, name), self.samples, (self.seed, number))
        if colors is None:
            raise MongeError(f"the {name} is fully transparent: it shows no colors to fit to")
        if not np.ptp(colors, 0).any():
            self.notes_ += (f"the {name} has one color: its map is a shift or a single color",)
        elif (colors == colors[:, :1]).all():
            effect = "so is the result" if number else "its shades become one curve of colors"
            self.notes_ += (f"the {name} is gray: {effect}",)
        return self._encoded(colors)

    def _fitted(self, x: Colors, y: Colors) -> Map:
        constant = not np.ptp(x, 0).any() or not np.ptp(y, 0).any()
        if not constant and self.method == "w2" and self.smooth:
            rng = np.random.default_rng((self.seed, 200))
            x = x + rng.normal(scale=self.smooth / 255, size=x.shape)
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
        mapped = sum(w * self._there(map_)(x) for w, map_ in self.maps_)
        return (1 - self.strength) * x + self.strength * mapped

    def _conjugate(self, y: Colors) -> Colors:
        """Invert `_blended`, the gradient of a convex function without a network of its own."""

        def blended(t: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(self._blended(t.numpy()))

        return ot.conjugate(blended, torch.from_numpy(y)).point.numpy()

    def _pushed(self, given: Any, map_: Callable[[Colors], Colors]) -> Any:
        self._check_fitted()
        picture = as_picture(given, "picture")
        colors, top = picture.colors, top_value(picture.colors.dtype)

        def recolor(x: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
            """Map, clip and round colors (n, 3); return them and which of them were clipped."""
            y = map_(self._encoded(x / top))
            if self.space == "lab":
                y = to_rgb(y)
            half = 0.5 / top if top > 1 else 1e-6
            outside: NDArray[np.bool_] = np.any((y < -half) | (y > 1 + half), axis=1)
            y = y.clip(0, 1) * top
            return (np.rint(y) if top > 1 else y).astype(x.dtype), outside

        map_all = by_color if colors.dtype == np.uint8 else by_tile
        pushed, outside = map_all(colors, recolor, self.progress)
        seen = outside if picture.alpha is None else outside[picture.alpha > 0]
        clipped = float(seen.mean()) if seen.size else 0.0
        return like(given, replace(picture, colors=pushed, clipped=clipped))

    def _encoded(self, rgb: Colors) -> Colors:
        return to_lab(rgb) if self.space == "lab" else np.asarray(rgb, np.float64)

    def _check_fitted(self) -> None:
        if not hasattr(self, "maps_"):
            raise MongeError("the map is not fitted: call fit(source, palettes) first")
