"""Texture synthesis with scikit-learn's verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from typing import Any

from sklearn.base import BaseEstimator

from monge.errors import MongeError
from monge.images.io import Picture, Source
from monge.images.pixels import checked_weights
from monge.methods.texture import Config
from monge.training import Bar

from . import synthesis
from .pictures import Mask, Size, as_texture


class TextureSynthesizer(BaseEstimator):
    """Make pictures of any size with the texture of an exemplar, or of a mixture of several.

    Parameters
    ----------
    tile : bool
        Make pictures that repeat without a seam.
    seed : int
        Another seed gives another picture.
    config : monge.methods.texture.Config, optional
        Patch size, scales and steps.
    time_budget : float, optional
        Seconds after which a picture is returned as it is.
    progress : bool
        Show a progress bar.

    Examples
    --------
    >>> import numpy as np
    >>> dots = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> synthesizer = TextureSynthesizer(tile=True, config=Config(scales=2, targets=50))
    >>> synthesizer.fit(dots).make((16, 32)).colors.shape
    (16, 32, 3)
    """

    def __init__(
        self,
        *,
        tile: bool = False,
        seed: int = 0,
        config: Config | None = None,
        time_budget: float | None = None,
        progress: bool = False,
    ) -> None:
        self.tile = tile
        self.seed = seed
        self.config = config
        self.time_budget = time_budget
        self.progress = progress

    def fit(
        self, exemplar: Source | Sequence[Source], weights: Sequence[float] | None = None
    ) -> TextureSynthesizer:
        """Read the exemplar, or several to mix with ``weights`` (equal by default).

        An exemplar is a path, a `Picture`, or an array (h, w) or (h, w, 1 to 4) of uint8, uint16 or
        floats in [0, 1]. MongeError for one that cannot be read.
        """
        several: list[Any] = [*exemplar] if isinstance(exemplar, list | tuple) else [exemplar]
        if not several:
            raise MongeError("exemplar is empty: give at least one picture")
        self.weights_ = checked_weights(weights, len(several), of="exemplar")
        self.exemplars_ = [as_texture(given, "exemplar") for given in several]
        return self

    def make(self, size: Size | None = None) -> Picture:
        """Synthesize a picture; ``size`` is a side or (height, width), the exemplar's by default.

        Save it with ``make(…).save("wall.png")``.
        """
        if not hasattr(self, "exemplars_"):
            raise MongeError("the synthesizer is not fitted: call fit(exemplar) first")
        if len(self.exemplars_) == 1:
            return self._shown(synthesis.synthesize, self.exemplars_[0], size, tile=self.tile)
        mixed = self.exemplars_, self.weights_, size
        return self._shown(synthesis.mix, *mixed, tile=self.tile)

    def inpaint(
        self,
        picture: Source,
        mask: Source | Mask | None = None,
        *,
        region: Source | Mask | None = None,
    ) -> Picture:
        """Fill a hole with the texture around it, without `fit`; see `synthesis.inpaint`."""
        return self._shown(synthesis.inpaint, picture, mask, region=region)

    def _shown(self, function: Callable[..., Picture], *args: Any, **settings: Any) -> Picture:
        """Call a function of `synthesis` with the settings and the progress bar."""
        bar = Bar("texture", leave=False)
        settings |= {"seed": self.seed, "config": self.config, "time_budget": self.time_budget}
        if self.progress:
            settings["on_progress"] = lambda p: bar.show(p.fraction, p.step, p.scalars)
        with closing(bar) if self.progress else nullcontext():
            return function(*args, **settings)
