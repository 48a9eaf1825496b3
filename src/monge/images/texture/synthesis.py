"""Textures: make more of a picture, fill its holes, mix several.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
    transport between feature
    distributions", JMIV 2023    [houdard2023]

A texture is what its small patches are, at several scales: a picture whose patches have the
distribution of an exemplar's looks like it and is not it. `monge.methods.texture` moves the patches
there by optimal transport; here pictures come in as they are kept, files of 8 or 16 bits, gray or
in color, with or without transparency, and leave as the same kind.
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
    """How a run goes, after a step.

    ``step`` and ``seconds`` count earlier sittings too; ``fraction`` in [0, 1] is the share of the
    whole that is done. ``scalars`` are what the step reported, the loss and the scale it worked at
    among others. ``picture`` returns the picture so far, and ``notes`` are what there is to say
    about the run. ``part`` of ``parts`` says which picture of a strip it is.
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
    """What `synthesize`, `mix`, `strip` and `inpaint` have in common.

    Another ``seed``, another picture. ``config`` has patches, scales and steps, see
    `monge.methods.texture.Config`; with an ``extractor`` its features, maps of a picture (n, c, h,
    w), are matched in place of patches. After ``time_budget`` seconds the picture is taken as it
    is. ``on_progress`` is called with a `Progress` after each step. ``state`` is a folder that
    keeps the work: after an interruption, however hard, the same call continues to the same bits,
    unless it is to begin ``fresh``. `forget` deletes the folder.
    """

    seed: int = 0
    config: Config | None = None
    extractor: nn.Module | None = None
    time_budget: float | None = None
    on_progress: Callable[[Progress], None] | None = None
    state: str | Path | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        if self.time_budget is not None and not (
            math.isfinite(self.time_budget) and self.time_budget > 0
        ):
            raise MongeError(
                f"time_budget must be a number of seconds above 0, got {self.time_budget}"
            )


def synthesize(
    exemplar: Source, size: Size | None = None, *, tile: bool = False, **options: Any
) -> Picture:
    """Make a picture of any size that looks like the exemplar.

    The exemplar is a `Picture`, a path, or an array (h, w) or (h, w, 1 to 4), gray or RGB with or
    without alpha, of uint8, uint16 or floats in [0, 1]. ``size`` is the side of a square, or height
    and width in pixels; the exemplar's by default. With ``tile`` the picture can be laid beside
    itself without a seam. ``options`` are keyword arguments of `Options`.

    The result is of the exemplar's kind, without an alpha that would be opaque; its ``notes`` say
    what was unusual. MongeError for what cannot be read, is smaller than a patch, or does not fit
    into memory.

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

    ``weights`` are one for each exemplar and need not sum to 1 (equal ones by default); the size is
    the first exemplar's by default. Pictures in color spaces of their own are brought to sRGB, gray
    ones among colored ones to RGB. The other parameters, and errors, are those of `synthesize`.

    >>> import numpy as np
    >>> a, b = np.random.default_rng(0).integers([[[0]], [[128]]], [[[128]], [[256]]], (2, 24, 24), dtype=np.uint8)
    >>> made = mix([a, b], [3, 1], config=Config(scales=2, targets=50), time_budget=0.1)
    >>> made.colors.shape
    (24, 24, 1)
    """
    if len(exemplars) < 2:
        raise MongeError(
            f"mixing takes at least two exemplars, got {len(exemplars)}: use synth for one"
        )
    given = checked_weights(weights, len(exemplars), of="exemplar")
    return _between(_alike(exemplars), given, size, tile, Options(**options))


def strip(
    exemplars: Sequence[Source],
    steps: int = 7,
    size: Size | None = None,
    *,
    tile: bool = False,
    **options: Any,
) -> list[Picture]:
    """Pictures on the way from one texture to another, both ends included, all from the same noise.

    ``steps`` is their number, and ``time_budget`` that of all of them; the other parameters, and
    errors, are those of `mix`. `joined` lays the pictures side by side.

    >>> import numpy as np
    >>> a, b = np.random.default_rng(0).integers([[[0]], [[128]]], [[[128]], [[256]]], (2, 24, 24), dtype=np.uint8)
    >>> found = strip((a, b), 3, config=Config(scales=2, targets=50), time_budget=0.1)
    >>> joined(found).colors.shape
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
        part = replace(
            whole,
            time_budget=budget,
            state=folder,
            on_progress=_numbered(whole.on_progress, k, steps),
        )
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
    """Fill a hole of a picture with the texture around it; pixels outside are the picture's own, to
    the bit.

    ``mask`` is white (or True) where to fill, with ``invert`` where not to; without one the pixels
    that are not fully opaque are the hole, and become so. ``region`` is white where the texture may
    be learned from, by default everywhere outside the hole. Both are paths, pictures or arrays of
    the picture's size. The other parameters are those of `synthesize`; the result keeps metadata
    and color space. MongeError for a mask of another size, and one that is empty or full.

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
            "white there"
        )
    known = replace(given, alpha=None) if mask is None else given
    kind = common_kind([known])

    def finish(made: Tensor) -> Picture:
        return filled(given, to_picture(made, kind), where)

    x = to_tensor(known, kind)
    inputs = {"mask": torch.from_numpy(where), "region": torch.from_numpy(readable), "image": x}
    return _optimized([x], None, where.shape, False, Options(**options), finish, inputs)


def forget(state: str | Path) -> None:
    """Delete the checkpoints in a folder and in its numbered parts, and the folders if nothing else
    is in them.
    """
    for folder in (*Path(state).glob("part-*"), Path(state)):
        for path in folder.glob("step-*.pt*"):
            path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _alike(exemplars: Sequence[Source]) -> list[Picture]:
    """Pictures in one color space: files are read as sRGB, which needs no profile."""
    return alike([in_srgb(given, f"exemplar {k + 1}") for k, given in enumerate(exemplars)])


def _numbered(
    listener: Callable[[Progress], None] | None, part: int, parts: int
) -> Callable[[Progress], None] | None:
    """A listener that is told which picture of a strip it hears of."""
    return listener and (lambda progress: listener(replace(progress, part=part, parts=parts)))


def _between(
    pictures: Sequence[Picture],
    weights: Sequence[float],
    size: Size | None,
    tile: bool,
    options: Options,
) -> Picture:
    """A picture between exemplars that are alike; those of weight 0 are left out."""
    for k, picture in enumerate(pictures):
        if not len(picture.visible):
            raise MongeError(f"exemplar {k + 1} is fully transparent and shows no texture")
    kind = common_kind(pictures)
    used = [to_tensor(picture, kind) for picture, w in zip(pictures, weights, strict=True) if w]
    several = [w for w in weights if w] if len(used) > 1 else None
    shape = size_of(size, pictures[0].colors.shape[:2])

    return _optimized(
        used,
        several,
        shape,
        tile,
        options,
        lambda made: without_opaque_alpha(to_picture(made, kind)),
    )


def _optimized(
    exemplars: list[Tensor], weights: list[float] | None, size: tuple[int, int], tile: bool, options: Options,
    finish: Callable[[Tensor], Picture], inputs: Mapping[str, Any] = {},
) -> Picture:  # fmt: skip
    """The picture that ``finish`` makes of channels (c, h, w); ``inputs`` are image, mask and
    region of one with a hole.
    """
    clock = Clock()
    clock.start()  # what goes before the first step counts
    shapes = [tuple(x.shape) for x in exemplars]
    config, notes = _checked(options.config or Config(), shapes, size)
    require_memory(
        size,
        lambda s: memory_estimate(shapes, s, config),
        lambda room: _largest(shapes, size, config, room),
    )
    named: dict[str, Any] = {"weights": weights, "tile": tile, "seed": options.seed}
    try:
        texture = Texture(
            exemplars, size, config=config, extractor=options.extractor, **named, **inputs
        )
    except ValueError as error:
        raise MongeError(str(error)) from error
    features = [] if options.extractor is None else [*options.extractor.state_dict().values()]
    words = named | {
        "size": size,
        "config": config.model_dump(),
        "version": __version__,
        "extractor": str(options.extractor),
    }
    job = _Painting(
        texture, checkpoint.fingerprint([*exemplars, *inputs.values(), *features], words)
    )
    folder = Path(options.state) if options.state else None
    runner = Runner(
        job, folder, time_budget=options.time_budget, clock=clock, not_finite=_not_finite
    )
    notes += _restored(runner, job.fingerprint, folder, options.fresh)

    def picture() -> Picture:
        return finish(texture.image.detach())

    def tell(step: int, scalars: Mapping[str, float]) -> None:
        if options.on_progress:
            options.on_progress(
                Progress(step, texture.progress, clock.wall, scalars, picture, notes)
            )

    if not runner.finished and runner.run(on_step=tell):
        notes += (
            f"the time budget was used at {texture.progress:.0%} of the work: more seconds make "
            "it finer",
        )
    return replace(picture(), notes=notes)


@dataclass(frozen=True)
class _Painting:
    """A `Texture` as a job that knows what its checkpoints are of."""

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
    """Load what an earlier sitting left in the folder; returns what there is to say about it."""
    if folder is None:
        return ()
    if fresh:
        forget(folder)
    state, remarks = checkpoint.load_latest(folder)
    if state is None:
        return tuple(remarks)
    if state.get("fingerprint") != fingerprint:
        forget(folder)
        return (*remarks, f"{folder} is of other pictures or settings: started over")
    return (*remarks, runner.restore(state))


def _checked(
    config: Config, shapes: Sequence[tuple[int, ...]], size: tuple[int, int]
) -> tuple[Config, tuple[str, ...]]:
    """The configuration with as many scales as leave room for a patch at the coarsest, and what to
    say about it.
    """
    side = min(min(h, w) for _, h, w in shapes)
    for name, least, larger in (("exemplar", side, "picture"), ("size", min(size), "size")):
        if least < config.patch:
            found = f"the {name} of {least} pixels is smaller than a patch of {config.patch}"
            raise MongeError(f"{found}: take a larger {larger}, or smaller patches")
    scales, note = fitting_scales(config.scales, config.patch, min(side, *size))
    if not note:
        return config, ()
    return config.model_copy(update={"scales": scales}), (
        f"{note} {scales} {'is' if scales == 1 else 'are'} used",
    )


def _not_finite(step: int, term: str, value: float) -> str:
    return f"step {step}: {term} is {value}: lower the learning rate, or take fewer scales"


def _largest(
    shapes: Sequence[tuple[int, ...]], size: tuple[int, int], config: Config, room: float
) -> str:
    """A size of the same shape that fits, found by bisection."""
    low, high = 0, max(size)
    while high - low > 1:
        middle = (low + high) // 2
        scaled = size[0] * middle // max(size), size[1] * middle // max(size)
        low, high = (
            (middle, high) if memory_estimate(shapes, scaled, config) <= room else (low, middle)
        )
    h, w = (side * low // max(size) for side in size)
    return (
        f"--size {w}x{h} fits"
        if min(h, w) >= config.patch
        else "take a smaller exemplar, or free some memory"
    )
