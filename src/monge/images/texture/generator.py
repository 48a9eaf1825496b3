"""Train a generator of one texture from an exemplar; it makes pictures of any size in one pass.

    Houdard, Leclaire, Papadakis & Rabin, "Wasserstein generative models for patch-based texture
        synthesis", SSVM 2021   [houdard2021]

`monge.methods.texture_generator` is the training; this module reads exemplars from pictures and
keeps the results in a folder: ``generator.json``, ``model.safetensors``, ``log.jsonl``,
``preview.png`` and, for training to continue after an interruption, ``checkpoints``. Step k is a
function of (seed, k), and a continued run equals an uninterrupted one to the bit.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError

from monge import __version__
from monge.data import InfiniteDataset
from monge.errors import MongeError
from monge.images.io import Picture, Source, write_picture
from monge.methods.texture_generator import Config, build, make, sampling_memory
from monge.nets import TextureNet
from monge.training import RunFolder, Runner, Training, checkpoint
from monge.training.folder import delete

from .pictures import (
    Kind,
    Size,
    as_texture,
    common_kind,
    fitting_scales,
    require_memory,
    size_of,
    to_picture,
    to_tensor,
)

STEPS = 1500
_EVERY = 50  # steps between two lines of the log, and between two checkpoints
_SHARE = 0.8  # of the free memory that a picture may take
_MARK = "generator.json"
_PREVIEW = "preview.png"
_DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, ValidationError, SafetensorError)


@dataclass(frozen=True)
class Generator:
    """A trained generator: its network, kind and default side of its pictures, and notes."""

    net: TextureNet
    kind: Kind
    side: int
    notes: tuple[str, ...] = ()

    def sample(self, size: Size | None = None, *, seed: int = 0, tile: bool = False) -> Picture:
        """Make a picture in one pass.

        ``size`` is the side of a square, or height and width, in pixels. With ``tile`` the picture
        can be laid beside itself without a seam; its sides are then rounded to multiples of
        ``net.unit`` pixels, which a note of the picture says. MongeError for a size below 1 or one
        that does not fit into memory.
        """
        h, w = requested = size_of(size, (self.side, self.side))
        unit = self.net.unit
        notes: tuple[str, ...] = ()
        if tile:
            h, w = (max(unit, round(side / unit) * unit) for side in requested)
        if (h, w) != requested:
            sizes = f"{w}×{h} in place of {requested[1]}×{requested[0]}"
            notes = (f"sides of tiles are multiples of {unit} pixels: {sizes}",)

        def remedy(room: float) -> str:
            side = int(math.sqrt(room / sampling_memory(self.net, (h, w)) * h * w))
            return f"take fewer than {side}×{side}, or a tile to repeat"

        require_memory((h, w), partial(sampling_memory, self.net), remedy, share=_SHARE)
        return replace(to_picture(make(self.net, (h, w), seed, tile=tile), self.kind), notes=notes)


def train(
    exemplar: Source, folder: str | Path, *, steps: int = STEPS, seed: int = 0,
    config: Config | None = None, minutes: float | None = None, fresh: bool = False,
    on_step: Callable[[int, Mapping[str, float]], None] | None = None,
) -> Generator:  # fmt: skip
    """Train a generator of an exemplar's texture, or continue the training in the folder.

    The exemplar is a `Picture`, a path, or an array (h, w) or (h, w, 1 to 4), gray or RGB with or
    without alpha, of uint8, uint16 or floats in [0, 1]. The same call after an interruption
    continues to the same bits; with ``fresh`` it starts over. ``seed`` is the seed of weights,
    targets and noise; ``config`` is a `monge.methods.texture_generator.Config`. After ``minutes``
    of wall-clock time, earlier sessions included, the generator is returned as it is. ``on_step``
    is called with the number of steps made and the step's scalars.

    MongeError for an exemplar that cannot be read or is smaller than a patch, a folder with other
    files, or a loss that is not finite; Interrupted, after writing a checkpoint, on SIGINT or
    SIGTERM.

    >>> from tempfile import TemporaryDirectory
    >>> dots = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> tiny = Config(patch=4, scales=2, side=16, levels=3, width=4, targets=50)
    >>> with TemporaryDirectory() as folder:
    ...     generator = train(dots, folder, steps=1, config=tiny)
    >>> generator.sample((20, 30)).colors.shape
    (20, 30, 3)
    """
    if steps < 1:
        raise MongeError(f"steps must be at least 1, got {steps}")
    if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
        raise MongeError(f"minutes must be a number above 0, got {minutes}")
    picture = as_texture(exemplar, "exemplar")
    if not len(picture.visible):
        raise MongeError("the exemplar is fully transparent and shows no texture")
    kind = common_kind([picture])
    x = to_tensor(picture, kind)
    config, notes = _fit_scales(config or Config(), min(x.shape[1:]))
    about = {"config": config.model_dump(), "kind": _pack(kind), "seed": seed, "steps": steps}
    about |= {"exemplar": checkpoint.fingerprint([x], about), "version": __version__}
    try:
        method = build(config, x, seed)
    except ValueError as error:
        raise MongeError(str(error)) from error
    files = RunFolder(folder)
    _claim(files, about, fresh=fresh)
    data = InfiniteDataset("exemplar", tuple(x.shape), lambda n, _: x.expand(n, *x.shape))
    job = Training(method, data, seed, steps)
    runner = Runner(job, files.checkpoints, every=_EVERY, time_budget=minutes and 60 * minutes)
    state, messages = files.torch_state()
    notes += tuple(messages)
    if state:
        notes += (runner.restore(state),)
    files.rewind(runner.step)

    def log(step: int, means: Mapping[str, float]) -> Mapping[str, float]:
        files.append({"step": step, **runner.clock.read(), **means})
        return means

    def save() -> None:
        files.save_weights(method.average.net.state_dict())
        write_picture(to_picture(method.sample(1)[0], kind), files.path / _PREVIEW)

    if runner.run(on_step=on_step, log=log, saved=save):
        reached = f"{runner.step} of {steps} steps"
        notes += (f"the minutes were over after {reached}: more make it finer",)
    return replace(load(folder), notes=notes)


def load(folder: str | Path) -> Generator:
    """Load the generator of a folder; MongeError if it is missing, incomplete or damaged."""
    files = RunFolder(folder)
    about = files.path / _MARK
    if not about.is_file():
        raise MongeError(
            f"'{folder}' holds no texture generator: 'monge texture train EXEMPLAR -o {folder}' "
            "makes one"
        )
    if not files.weights.is_file():
        raise MongeError(
            f"'{folder}' has no model.safetensors yet: run 'monge texture train' again, which "
            "continues it"
        )
    try:
        stored = json.loads(about.read_text())
        config, kind = Config(**stored["config"]), _unpack(stored["kind"])
        sizes = {"levels": config.levels, "width": config.width, "noise": config.noise}
        net = TextureNet(kind.channels, **sizes)
        net.load_state_dict(files.load_weights())
    except _DAMAGE as error:
        raise MongeError(
            f"'{folder}' is damaged ({str(error).splitlines()[0]}): train it again with "
            "`fresh=True`"
        ) from error
    return Generator(net.eval(), kind, config.side)


def _claim(files: RunFolder, about: Mapping[str, Any], *, fresh: bool) -> None:
    """Make the folder, or check that it holds this training; delete another one if ``fresh``."""
    folder, mark = files.path, files.path / _MARK
    if folder.exists() and not folder.is_dir():
        raise MongeError(f"'{folder}' is a file: name a folder for the generator")
    if mark.is_file() and not fresh:
        try:
            stored = json.loads(mark.read_text())
        except ValueError:
            stored = {}
        names = {"exemplar": "exemplar", "seed": "`seed`", "steps": "`steps`", "config": "settings"}
        differing = [name for key, name in names.items() if stored.get(key) != about[key]]
        if differing:
            differing = differing[1:] or differing  # the exemplar's digest covers the settings
            raise MongeError(
                f"'{folder}' holds a generator with another {differing[0]}: name another folder, "
                "or `fresh=True`"
            )
    elif mark.is_file():
        delete(files.checkpoints, files.log, files.weights, folder / _PREVIEW, mark)
    elif folder.is_dir() and any(folder.iterdir()):
        raise MongeError(f"'{folder}' has other files in it: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write_atomically(mark, (json.dumps(about, indent=2) + "\n").encode())


def _fit_scales(config: Config, side: int) -> tuple[Config, tuple[str, ...]]:
    """Return the configuration with the scales that leave room for a patch, and a note on them."""
    room = min(side, config.side)
    if room < config.patch:
        raise MongeError(
            f"a picture of {room} pixels is smaller than a patch of {config.patch}: take a larger "
            "one, or a smaller `patch`"
        )
    scales, note = fitting_scales(config.scales, config.patch, room)
    if not note:
        return config, ()
    return config.model_copy(update={"scales": scales}), (f"{note} {scales} used",)


def _pack(kind: Kind) -> dict[str, Any]:
    dtype, profile = kind.dtype.name, base64.b64encode(kind.profile).decode()
    return {"colours": kind.colors, "alpha": kind.alpha, "dtype": dtype, "profile": profile}


def _unpack(stored: Mapping[str, Any]) -> Kind:
    dtype, profile = np.dtype(stored["dtype"]), base64.b64decode(stored["profile"])
    return Kind(stored["colours"], stored["alpha"], dtype, profile)
