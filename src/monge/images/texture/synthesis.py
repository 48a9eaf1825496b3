"""Textures: synthesize more of a picture, fill its holes, mix several.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
        transport between feature distributions", JMIV 2023   [houdard2023]

A texture is given by the distribution of its small patches at several scales: a picture with the
same distribution looks like the exemplar without being a copy. `monge.methods.texture` transports
the patches of a picture to this distribution; this module takes pictures of 8 or 16 bits, gray or
in color, with or without transparency, and returns pictures of the same kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monge import __version__
from monge.errors import MongeError
from monge.images.io import Picture, Source, write_picture
from monge.images.pixels import checked_weights
from monge.methods.texture import Config, Texture, memory_estimate
from monge.training import Clock, Runner, checkpoint

from .features import load_extractor
from .pictures import (
    Mask,
    Size,
    alike,
    as_texture,
    common_kind,
    filled,
    fitting_scales,
    hole,
    in_srgb,
    joined,
    read_mask,
    require_memory,
    size_of,
    to_picture,
    to_tensor,
    without_opaque_alpha,
)

# fmt: off
__all__ = [
    "Config", "Options", "Picture", "Progress", "forget", "hole", "inpaint", "joined",
    "load_extractor", "mix", "strip", "synthesize", "write_picture",
]
# fmt: on


@dataclass(frozen=True)
class Progress:
    """The state of a run after a step.

    ``step`` and ``seconds`` include earlier sessions; ``fraction`` in [0, 1] is the share of the
    work that is done. ``scalars`` are those of the step, among them the loss and the scale.
    ``picture`` returns the picture so far, and ``notes`` are the messages of the run. ``part`` is
    the index of the picture among the ``parts`` of a strip.
    """

    step: int
    fraction: float
    seconds: float
    scalars: Mapping[str, float]
    picture: Callable[[], Picture]
    notes: tuple[str, ...] = ()
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Options:
    """The common options of `synthesize`, `mix`, `strip` and `inpaint`.

    Another ``seed`` gives another picture. ``config`` has patches, scales and steps, see
    `monge.methods.texture.Config`; with an ``extractor`` its features, maps of a picture (n, c, h,
    w), are matched in place of patches. After ``time_budget`` seconds the picture is returned as it
    is. ``on_progress`` is called with a `Progress` after each step. ``state`` is a folder for
    checkpoints: after any interruption the same call continues to the same bits; with ``fresh`` it
    starts over. `forget` deletes the folder.
    """

    seed: int = 0
    config: Config | None = None
    extractor: nn.Module | None = None
    time_budget: float | None = None
    on_progress: Callable[[Progress], None] | None = None
    state: str | Path | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        budget = self.time_budget
        if budget is not None and not (math.isfinite(budget) and budget > 0):
            raise MongeError(f"time_budget must be a number of seconds above 0, got {budget}")


def synthesize(
    exemplar: Source, size: Size | None = None, *, tile: bool = False, **options: Any
) -> Picture:
    """Make a picture of any size that looks like the exemplar.

    The exemplar is a `Picture`, a path, or an array (h, w) or (h, w, 1 to 4), gray or RGB with or
    without alpha, of uint8, uint16 or floats in [0, 1]. ``size`` is the side of a square, or height
    and width in pixels; the exemplar's by default. With ``tile`` the picture can be laid beside
    itself without a seam. ``options`` are keyword arguments of `Options`.

    The result is of the exemplar's kind, without an alpha that is opaque everywhere; its ``notes``
    say what was unusual. MongeError for an exemplar that cannot be read or is smaller than a patch,
    or a size that does not fit into memory.

    >>> import numpy as np
    >>> dots = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> made = synthesize(dots, (16, 32), config=Config(scales=2, targets=50), time_budget=0.1)
    >>> made.colors.shape, made.colors.dtype
    ((16, 32, 3), dtype('uint8'))
    """
    return _between([as_texture(exemplar, "exemplar")], [1.0], size, tile, Options(**options))


def mix(
    exemplars: Sequence[Source],
    weights: Sequence[float] | None = None,
    size: Size | None = None,
    *,
    tile: bool = False,
    **options: Any,
) -> Picture:
    """Make a texture between several: its patches are a Wasserstein barycenter of theirs.

    ``weights`` has one weight for each exemplar, by default equal; their sum need not be 1. The
    default size is that of the first exemplar. Pictures with a color profile are converted to sRGB,
    and gray ones to RGB if others have colors. The other parameters, and the errors, are those of
    `synthesize`.

    >>> import numpy as np
    >>> rng, low, high = np.random.default_rng(0), [[[0]], [[128]]], [[[128]], [[256]]]
    >>> a, b = rng.integers(low, high, (2, 24, 24), dtype=np.uint8)
    >>> made = mix([a, b], [3, 1], config=Config(scales=2, targets=50), time_budget=0.1)
    >>> made.colors.shape
    (24, 24, 1)
    """
    if len(exemplars) < 2:
        raise MongeError(
            f"mixing takes at least two exemplars, got {len(exemplars)}: use synth for one"
        )
    shares = checked_weights(weights, len(exemplars), of="exemplar")
    return _between(_alike(exemplars), shares, size, tile, Options(**options))


def strip(
    exemplars: Sequence[Source],
    steps: int = 7,
    size: Size | None = None,
    *,
    tile: bool = False,
    **options: Any,
) -> list[Picture]:
    """Make pictures from one texture to another, both ends included, all from the same noise.

    ``steps`` is their number, and ``time_budget`` is for all of them; the other parameters, and the
    errors, are those of `mix`. `joined` lays the pictures side by side.

    >>> import numpy as np
    >>> rng, low, high = np.random.default_rng(0), [[[0]], [[128]]], [[[128]], [[256]]]
    >>> a, b = rng.integers(low, high, (2, 24, 24), dtype=np.uint8)
    >>> pictures = strip((a, b), 3, config=Config(scales=2, targets=50), time_budget=0.1)
    >>> joined(pictures).colors.shape
    (24, 72, 1)
    """
    if len(exemplars) != 2:
        raise MongeError(
            f"a strip leads from one texture to another, got {len(exemplars)}: give two, or "
            "weights for one picture"
        )
    if steps < 2:
        raise MongeError(f"steps must be at least 2, the two ends, got {steps}")
    pictures, whole, made = _alike(exemplars), Options(**options), []
    budget = whole.time_budget and whole.time_budget / steps
    for k in range(steps):
        folder = Path(whole.state) / f"part-{k + 1:02}" if whole.state else None
        listener = _numbered(whole.on_progress, k, steps)
        part = replace(whole, time_budget=budget, state=folder, on_progress=listener)
        t = k / (steps - 1)
        made.append(_between(pictures, [1 - t, t], size, tile, part))
    return made


def inpaint(
    picture: Source,
    mask: Source | Mask | None = None,
    *,
    region: Source | Mask | None = None,
    invert: bool = False,
    **options: Any,
) -> Picture:
    """Fill a hole of a picture with the texture around it; other pixels are kept to the bit.

    ``mask`` is white (or True) where to fill, with ``invert`` where not to fill. Without a mask the
    pixels that are not fully opaque are the hole, and become opaque. ``region`` is white where the
    texture may be learned from, by default everywhere outside the hole. Both are paths, pictures or
    arrays of the picture's size. The other parameters are those of `synthesize`; the result keeps
    metadata and color space. MongeError for a mask of another size, and one that is empty or full.

    >>> import numpy as np
    >>> plain = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> hole = np.zeros((24, 24), bool)
    >>> hole[8:14, 8:14] = True
    >>> made = inpaint(plain, hole, config=Config(scales=2, targets=50), time_budget=0.1).colors
    >>> bool((made == plain)[~hole].all()), bool((made == plain)[hole].all())
    (True, False)
    """
    given = as_texture(picture, "picture")
    where = hole(given, mask, invert=invert)
    readable = ~where if region is None else read_mask(region, "the region", given) & ~where
    if not readable.any():
        raise MongeError(
            "the region has no pixel outside the mask, and leaves nothing to learn from: make it "
            "white where the texture is"
        )
    known = replace(given, alpha=None) if mask is None else given
    kind = common_kind([known])

    def finish(made: Tensor) -> Picture:
        return filled(given, to_picture(made, kind), where)

    x = to_tensor(known, kind)
    inputs = {"mask": torch.from_numpy(where), "region": torch.from_numpy(readable), "image": x}
    return _optimized([x], None, where.shape, False, Options(**options), finish, inputs)


def forget(state: str | Path) -> None:
    """Delete the checkpoints in a folder and its numbered parts, and folders that become empty."""
    for folder in (*Path(state).glob("part-*"), Path(state)):
        for path in folder.glob("step-*.pt*"):
            path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _alike(exemplars: Sequence[Source]) -> list[Picture]:
    """Return pictures of one color space and kind; files are read as sRGB."""
    return alike([in_srgb(given, f"exemplar {k + 1}") for k, given in enumerate(exemplars)])


def _numbered(
    listener: Callable[[Progress], None] | None, part: int, parts: int
) -> Callable[[Progress], None] | None:
    """Return a listener that adds the number of the picture in a strip to the progress."""
    return listener and (lambda progress: listener(replace(progress, part=part, parts=parts)))


def _between(
    pictures: Sequence[Picture],
    weights: Sequence[float],
    size: Size | None,
    tile: bool,
    options: Options,
) -> Picture:
    """Make a picture between exemplars that are alike; those of weight 0 are left out."""
    for k, picture in enumerate(pictures):
        if not len(picture.visible):
            raise MongeError(f"exemplar {k + 1} is fully transparent and shows no texture")
    kind = common_kind(pictures)
    used = [to_tensor(picture, kind) for picture, w in zip(pictures, weights, strict=True) if w]
    several = [w for w in weights if w] if len(used) > 1 else None
    shape = size_of(size, pictures[0].colors.shape[:2])

    def finish(made: Tensor) -> Picture:
        return without_opaque_alpha(to_picture(made, kind))

    return _optimized(used, several, shape, tile, options, finish)


def _optimized(
    exemplars: list[Tensor], weights: list[float] | None, size: tuple[int, int], tile: bool,
    options: Options, finish: Callable[[Tensor], Picture], inputs: Mapping[str, Any] = {},
) -> Picture:  # fmt: skip
    """Optimize channels (c, h, w) and convert them with ``finish``.

    ``inputs`` are image, mask and region of a picture with a hole.
    """
    clock = Clock()
    clock.start()  # the time before the first step counts, too
    shapes = [tuple(x.shape) for x in exemplars]
    config, notes = _checked(options.config or Config(), shapes, size)
    require_memory(
        size,
        lambda s: memory_estimate(shapes, s, config),
        lambda room: _largest(shapes, size, config, room),
    )
    named: dict[str, Any] = {"weights": weights, "tile": tile, "seed": options.seed}
    extractor = options.extractor
    try:
        texture = Texture(exemplars, size, config=config, extractor=extractor, **named, **inputs)
    except ValueError as error:
        raise MongeError(str(error)) from error
    features = [] if extractor is None else [*extractor.state_dict().values()]
    about = named | {"size": size, "config": config.model_dump()}
    about |= {"version": __version__, "extractor": str(extractor)}
    fingerprint = checkpoint.fingerprint([*exemplars, *inputs.values(), *features], about)
    job = _Job(texture, fingerprint)
    folder = Path(options.state) if options.state else None
    budget = options.time_budget
    runner = Runner(job, folder, time_budget=budget, clock=clock, not_finite=_not_finite)
    notes += _restored(runner, fingerprint, folder, options.fresh)

    def picture() -> Picture:
        return finish(texture.image.detach())

    def report(step: int, scalars: Mapping[str, float]) -> None:
        if options.on_progress:
            progress = Progress(step, texture.progress, clock.wall, scalars, picture, notes)
            options.on_progress(progress)

    if not runner.finished and runner.run(on_step=report):
        done = f"{texture.progress:.0%} of the work"
        notes += (f"the time budget was used at {done}: more seconds make it finer",)
    return replace(picture(), notes=notes)


@dataclass(frozen=True)
class _Job:
    """A `Texture` as a job whose checkpoints carry a fingerprint of its inputs."""

    texture: Texture
    fingerprint: str

    @property
    def done(self) -> bool:
        return self.texture.done

    @property
    def progress(self) -> float:
        return self.texture.progress

    def step(self) -> dict[str, float]:
        return self.texture.step()

    def state_dict(self) -> dict[str, Any]:
        return {"fingerprint": self.fingerprint, "texture": self.texture.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.texture.load_state_dict(state["texture"])


def _restored(
    runner: Runner, fingerprint: str, folder: Path | None, fresh: bool
) -> tuple[str, ...]:
    """Load the checkpoint of an earlier session from the folder; return messages about it."""
    if folder is None:
        return ()
    if fresh:
        forget(folder)
    state, messages = checkpoint.load_latest(folder)
    if state is None:
        return tuple(messages)
    if state.get("fingerprint") != fingerprint:
        forget(folder)
        return (*messages, f"{folder} is of other pictures or settings: started over")
    return (*messages, runner.restore(state))


def _checked(
    config: Config, shapes: Sequence[tuple[int, ...]], size: tuple[int, int]
) -> tuple[Config, tuple[str, ...]]:
    """Return the configuration with the scales that leave room for a patch, and a note on them."""
    side = min(min(h, w) for _, h, w in shapes)
    for name, least, larger in (("exemplar", side, "picture"), ("size", min(size), "size")):
        if least < config.patch:
            problem = f"the {name} of {least} pixels is smaller than a patch of {config.patch}"
            raise MongeError(f"{problem}: take a larger {larger}, or smaller patches")
    scales, note = fitting_scales(config.scales, config.patch, min(side, *size))
    if not note:
        return config, ()
    verb = "is" if scales == 1 else "are"
    return config.model_copy(update={"scales": scales}), (f"{note} {scales} {verb} used",)


def _not_finite(step: int, term: str, value: float) -> str:
    return f"step {step}: {term} is {value}: lower the learning rate, or take fewer scales"


def _largest(
    shapes: Sequence[tuple[int, ...]], size: tuple[int, int], config: Config, room: float
) -> str:
    """Advise a size of the same aspect ratio that fits into ``room`` bytes, by bisection."""
    low, high = 0, max(size)
    while high - low > 1:
        middle = (low + high) // 2
        scaled = size[0] * middle // max(size), size[1] * middle // max(size)
        fits = memory_estimate(shapes, scaled, config) <= room
        low, high = (middle, high) if fits else (low, middle)
    h, w = (side * low // max(size) for side in size)
    if min(h, w) < config.patch:
        return "take a smaller exemplar, or free some memory"
    return f"`size={w}x{h}` fits"
