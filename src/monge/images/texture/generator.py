"""A generator of one texture: trained once from an exemplar, it makes pictures of any size in one pass.

    Houdard, Leclaire, Papadakis & Rabin, "Wasserstein generative models for patch-based texture synthesis", SSVM 2021
                                                                                                        [houdard2021]

`monge.methods.texture_generator` trains; here exemplars come in as pictures, and a folder keeps what has been learned:
``generator.json``, ``model.safetensors``, ``log.jsonl``, ``preview.png`` and, so that training goes on after an interruption,
``checkpoints``. Step k is a function of (seed, k), and the continuation equals the uninterrupted run to the bit.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from monge import __version__
from monge.data import Draw, EndlessSource
from monge.errors import MongeError
from monge.images.io import Picture, write_picture
from monge.images.pixels import Source
from monge.methods.texture_generator import Config, TextureGenerator, build, make, sampling_memory
from monge.nets import TextureNet
from monge.train import Interrupted
from monge.train.loop import stop_signals

from .folder import Work
from .limits import Size, available_memory, size_of
from .pictures import Kind, as_texture, kind_of, to_picture, to_tensor, without_opaque_alpha
from .run import fingerprint

STEPS = 1500
_EVERY = 50  # steps between two lines of the log, and checkpoints
_SHARE = 0.8  # of the memory that is free

Say = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Generator:
    """A trained generator.

    Attributes
    ----------
    net : TextureNet
    kind : Kind
        What its pictures are made of.
    side : int
        Side in pixels of what it makes when no size is asked for.
    notes : tuple of str
        What there is to say about its training.
    """

    net: TextureNet
    kind: Kind
    side: int
    notes: tuple[str, ...] = ()

    def sample(self, size: Size | None = None, *, seed: int = 0, tile: bool = False) -> Picture:
        """Make a picture, in one pass.

        Parameters
        ----------
        size : int or (int, int), optional
            Side of a square, or height and width in pixels.
        seed : int
            Another seed, another picture.
        tile : bool
            Make a picture that can be laid beside itself without a seam. Its sides are multiples of ``net.unit`` pixels; others
            are rounded, which a note of the picture says.

        Raises
        ------
        MongeError
            A size below 1, or one that does not fit into memory.
        """
        h, w = asked = size_of(size, (self.side, self.side))
        unit, notes = self.net.unit, tuple[str, ...]()
        if tile:
            h, w = (max(unit, round(side / unit) * unit) for side in asked)
        if (h, w) != asked:
            notes = (f"sides of tiles are multiples of {unit} pixels: {w}×{h} in place of {asked[1]}×{asked[0]}",)
        _require_memory(self.net, (h, w))
        return replace(to_picture(make(self.net, (h, w), seed, tile=tile), self.kind), notes=notes)


def train(
    exemplar: Source,
    folder: str | Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    config: Config | None = None,
    minutes: float | None = None,
    fresh: bool = False,
    on_step: Say | None = None,
) -> Generator:
    """Train a generator of an exemplar's texture, or continue what the folder holds.

    Parameters
    ----------
    exemplar : Picture, path or array
        Arrays are (h, w) or (h, w, 1 to 4), grey or RGB with or without alpha: uint8, uint16 or floats in [0, 1].
    folder : path
        Where the generator is kept; the same call after an interruption continues to the same bits.
    steps : int
        Training steps.
    seed : int
        Of weights, targets and noise.
    config : Config, optional
        See `monge.methods.texture_generator.Config`.
    minutes : float, optional
        Wall-clock minutes, earlier sittings included, after which the generator is taken as it is.
    fresh : bool
        Begin anew, whatever the folder holds.
    on_step : callable, optional
        Called with the number of steps made and the step's scalars.

    Raises
    ------
    MongeError
        What cannot be read or is smaller than a patch, a folder with something else in it, a loss that is not finite.
    Interrupted
        After SIGINT or SIGTERM, with a checkpoint written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> dots = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> tiny = Config(patch=4, scales=2, side=16, levels=3, width=4, targets=50)
    >>> with TemporaryDirectory() as folder:
    ...     generator = train(dots, folder, steps=1, config=tiny)
    >>> generator.sample((20, 30)).colours.shape
    (20, 30, 3)
    """
    if steps < 1:
        raise MongeError(f"steps must be at least 1, got {steps}")
    if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
        raise MongeError(f"minutes must be a number above 0, got {minutes}")
    picture = without_opaque_alpha(as_texture(exemplar, "exemplar"))
    if not len(picture.visible):
        raise MongeError("the exemplar is fully transparent and shows no texture")
    kind = kind_of([picture])
    x = to_tensor(picture, kind)
    config, notes = _checked(config or Config(), min(x.shape[1:]))
    about = {"config": config.model_dump(), "kind": _packed(kind), "seed": seed, "steps": steps}
    work = Work(Path(folder), about | {"exemplar": fingerprint([x], about), "version": __version__})
    try:
        method = build(config, x, seed)
    except ValueError as error:
        raise MongeError(str(error)) from error
    work.claim(fresh=fresh)
    notes += _loop(work, method, x, steps, seed, minutes, on_step, kind)
    return replace(load(folder), notes=notes)


def load(folder: str | Path) -> Generator:
    """The generator that a folder holds; MongeError where there is none, or none that is whole."""
    folder = Path(folder)
    about, weights = folder / "generator.json", folder / "model.safetensors"
    if not about.is_file():
        raise MongeError(f"'{folder}' holds no texture generator: 'monge texture train EXEMPLAR -o {folder}' makes one")
    if not weights.is_file():
        raise MongeError(f"'{folder}' has no model.safetensors yet: run 'monge texture train' again, which continues it")
    try:
        found = json.loads(about.read_text())
        config, kind = Config(**found["config"]), _unpacked(found["kind"])
        net = TextureNet(kind.channels, levels=config.levels, width=config.width, noise=config.noise)
        net.load_state_dict(load_file(weights))
    except (ValueError, KeyError, TypeError, RuntimeError, ValidationError, SafetensorError) as error:
        raise MongeError(f"'{folder}' is damaged ({str(error).splitlines()[0]}): train it again with --fresh") from error
    return Generator(net.eval(), kind, config.side)


def _loop(
    work: Work,
    method: TextureGenerator,
    x: Tensor,
    steps: int,
    seed: int,
    minutes: float | None,
    on_step: Say | None,
    kind: Kind,
) -> tuple[str, ...]:
    """Train to the end or until the minutes are over; notes."""
    source = EndlessSource("exemplar", tuple(x.shape), partial(_repeated, x))
    start, earlier, notes = work.restore(method)
    begun, since = time.monotonic(), list[dict[str, float]]()
    if start:
        notes += (f"continues after {start} steps and {earlier:.0f} s",)
    with stop_signals() as caught:
        for step in range(start, steps):
            scalars = {name: float(value) for name, value in method.step(Draw(source, seed, step, steps=steps)).items()}
            bad = [name for name, value in scalars.items() if not math.isfinite(value)]
            if bad:
                raise MongeError(f"step {step + 1}: {bad[0]} is {scalars[bad[0]]}: lower the learning rate")
            since.append(scalars)
            done, seconds = step + 1, earlier + time.monotonic() - begun
            if on_step:
                on_step(done, scalars)
            over = minutes is not None and seconds >= 60 * minutes and done < steps
            if done % _EVERY == 0 or done == steps or over or caught:
                work.record(method, done, seconds, {name: fmean(s[name] for s in since) for name in scalars})
                write_picture(to_picture(method.sample(1)[0], kind), work.folder / "preview.png")
                since = []
            if over:
                return *notes, f"the minutes were over after {done} of {steps} steps: more make it finer"
            if caught:
                raise Interrupted(caught[0], done)
    return notes


def _repeated(x: Tensor, n: int, _: torch.Generator) -> Tensor:
    return x.expand(n, *x.shape)


def _checked(config: Config, side: int) -> tuple[Config, tuple[str, ...]]:
    """The configuration with as many scales as leave room for a patch, and what to say about it."""
    room = min(side, config.side)
    if room < config.patch:
        raise MongeError(f"a picture of {room} pixels is smaller than a patch of {config.patch}: take a larger one, or --patch")
    fit = max(scales for scales in range(1, room.bit_length() + 1) if room >> (scales - 1) >= config.patch)
    if config.scales <= fit:
        return config, ()
    note = f"{config.scales} scales leave less than a patch of {config.patch} pixels of {room}: {fit} used"
    return config.model_copy(update={"scales": fit}), (note,)


def _require_memory(net: TextureNet, size: tuple[int, int]) -> None:
    free, need = available_memory(), sampling_memory(net, size)
    if free is None or need <= _SHARE * free:
        return
    side = int(math.sqrt(_SHARE * free / need * size[0] * size[1]))
    have = f"{need / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free"
    raise MongeError(f"{size[1]}×{size[0]} pixels take about {have}: take fewer than {side}×{side}, or a tile to repeat")


def _packed(kind: Kind) -> dict[str, Any]:
    profile = base64.b64encode(kind.profile).decode()
    return {"colours": kind.colours, "alpha": kind.alpha, "dtype": kind.dtype.name, "profile": profile}


def _unpacked(stored: Mapping[str, Any]) -> Kind:
    return Kind(stored["colours"], stored["alpha"], np.dtype(stored["dtype"]), base64.b64decode(stored["profile"]))
