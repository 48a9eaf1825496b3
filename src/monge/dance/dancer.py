"""A trained generator that dances to songs of any length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from monge import training
from monge.data import rng
from monge.errors import MongeError
from monge.methods import mdot

from . import motion
from .data import FRAMES, context
from .domains import DanceDomains
from .motion import MELODY, channels
from .network import PACE

if TYPE_CHECKING:
    from .performance import Performance

RECIPE = "mdot-dance-melody"
RUN = f"runs/{RECIPE}"
RATE = 25  # frames per second

_HOLD = 8.0  # seconds that a style lasts
_FADE = 4.0  # seconds in which it changes to the next one
_STAGE = 10.0  # seconds; movement of the root slower than this is removed


class Dancer:
    """The generator of an `MDOT` that was trained with `DanceDomains`.

    >>> method = mdot.build(mdot.Config(width=8), (96, 70), DanceDomains())
    >>> Dancer(method).dance(torch.randn(50, 80)).shape
    torch.Size([50, 23, 3])
    """

    def __init__(self, method: mdot.MDOT) -> None:
        self.method = method

    @classmethod
    def load(cls, run: str | Path = RUN) -> Dancer:
        """Load the dancer of a trained run; it needs the folder only, not the data.

        Raises MongeError for a folder that does not exist, a run of another method, or weights that
        do not fit the configuration.

        >>> Dancer.load("no/such/run")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        monge.errors.MongeError: no trained run at 'no/such/run': make one with 'monge...
        """
        folder = training.RunFolder(run)
        if not folder.config.is_file():
            cost = training.read(training.find(RECIPE)).about.cost
            raise MongeError(
                f"no trained run at '{run}': make one with 'monge train {RECIPE}' "
                f"({cost}), or name it with `run`"
            )
        recipe = folder.recipe()
        config = recipe.method
        if not isinstance(config, mdot.Config):
            raise MongeError(
                f"the run in '{run}' is of {config.name}, which cannot dance: make one with "
                f"'monge train {RECIPE}'"
            )
        try:
            shape = (recipe.data.size or FRAMES, channels(MELODY))
            method = mdot.build(config, shape, DanceDomains())
            method.load_state_dict(folder.load_weights())
        except (RuntimeError, SafetensorError) as error:
            raise MongeError(
                f"{folder.weights} does not fit {folder.config}: train again with `fresh=True`"
            ) from error
        return cls(method)

    def perform(self, song: str | Path, **settings: Any) -> Performance:
        """Dance to a song in a file; ``settings`` are those of `monge.dance.perform`.

        >>> Dancer.load().perform("song.mp3", seed=3).save("dance.html")  # doctest: +SKIP
        PosixPath('dance.html')
        """
        from .performance import perform

        return perform(self, song, **settings)

    @torch.no_grad()
    def dance(self, music: Tensor, *, seed: int = 0, style: int | None = None) -> Tensor:
        """Generate a dance (T, J, 3), in meters, to a song (T, 80) of any length.

        The same song, seed and style give the same dance. ``style`` is the number of one style for
        the whole dance; without it the style changes every 8 seconds. Movements of the root along
        the floor that are slower than about 10 seconds are removed, so that the dance stays in
        place.
        """
        frames = len(music)
        features = context(torch.cat([music, music[-1:].expand(-frames % PACE, -1)]))[None]
        features = features.to(next(self.method.parameters()))
        styles = self._styles(features.shape[1] // PACE, seed, style)
        encoded = self.method.transform(features, seed, style=styles)[0, :frames]
        positions = motion.decode(encoded.double().cpu(), MELODY)
        path = positions[:, [MELODY.root]] * positions.new_tensor([1.0, 0.0, 1.0])
        return (positions - motion.smooth(path, RATE, _STAGE)).float()

    def _styles(self, cells: int, seed: int, style: int | None) -> Tensor:
        """Draw styles (1, cells, style): the style of a given number, or one after the other."""
        size = self.method.config.style
        if style is not None:
            constant = torch.randn(1, 1, size, generator=rng(style, mdot.STYLE, 1))
            return constant.expand(-1, cells, -1)
        seconds = torch.arange(cells) * PACE / RATE
        styles = torch.randn(int(seconds[-1] // _HOLD) + 2, size, generator=rng(seed, mdot.STYLE))
        at = (seconds / _HOLD).long()
        angle = ((seconds - (at + 1) * _HOLD) / _FADE + 1).clamp(0, 1)[:, None] * torch.pi / 2
        # cos² + sin² = 1: the variance is constant
        return (styles[at] * angle.cos() + styles[at + 1] * angle.sin())[None]
