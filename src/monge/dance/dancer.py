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
RATE = 25  # frames a second

_HOLD = 8.0
_FADE = 4.0
_STAGE = 10.0  # seconds


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
        """Load the dancer of a trained run; needs the folder only, not the data.

        MongeError for a folder that does not exist, a run of another method, or weights that do not
        fit.

        >>> Dancer.load("no/such/run")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        monge.errors.MongeError: there is no trained run at 'no/such/run': ...
        """
        folder = training.RunFolder(run)
        if not folder.config.is_file():
            cost = training.read(training.find(RECIPE)).about.cost
            raise MongeError(
                f"there is no trained run at '{run}': make one with 'monge train {RECIPE}' "
                f"({cost}), or name it with `run`"
            )
        recipe = folder.recipe()
        config = recipe.method
        if not isinstance(config, mdot.Config):
            raise MongeError(
                f"the run in '{run}' is of {config.name}, which does not dance: make one with "
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
        """Dance to a song in a file, see `monge.dance.perform` for the settings.

        >>> Dancer.load().perform("song.mp3", seed=3).save("dance.html")  # doctest: +SKIP
        PosixPath('dance.html')
        """
        from .performance import perform

        return perform(self, song, **settings)

    @torch.no_grad()
    def dance(self, music: Tensor, *, seed: int = 0, style: int | None = None) -> Tensor:
        """Dance (T, J, 3), meters, to a song (T, 80) of any length.

        The same song, seed and style give the same dance. ``style`` names one to keep to; without
        it the dance goes to another every 8 seconds. What the path does in more than about 10
        seconds is taken away, so that the dance stays on its stage.
        """
        frames = len(music)
        heard = context(torch.cat([music, music[-1:].expand(-frames % PACE, -1)]))[None]
        heard = heard.to(next(self.method.parameters()))
        styles = self._styles(heard.shape[1] // PACE, seed, style)
        positions = motion.decode(
            self.method.transform(heard, seed, style=styles)[0, :frames].double().cpu(), MELODY
        )
        path = positions[:, [MELODY.root]] * positions.new_tensor([1.0, 0.0, 1.0])
        return (positions - motion.smooth(path, RATE, _STAGE)).float()

    def _styles(self, cells: int, seed: int, style: int | None) -> Tensor:
        """Styles (1, cells, style): the one that is named, or one after the other."""
        size = self.method.config.style
        if style is not None:
            return torch.randn(1, 1, size, generator=rng(style, mdot.STYLE, 1)).expand(
                -1, cells, -1
            )
        seconds = torch.arange(cells) * PACE / RATE
        kept = torch.randn(int(seconds[-1] // _HOLD) + 2, size, generator=rng(seed, mdot.STYLE))
        at = (seconds / _HOLD).long()
        share = ((seconds - (at + 1) * _HOLD) / _FADE + 1).clamp(0, 1)[:, None] * torch.pi / 2
        return (kept[at] * share.cos() + kept[at + 1] * share.sin())[None]  # of constant variance
