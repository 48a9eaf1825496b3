"""Textures: make more of a picture, fill its holes, mix several.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal transport between feature
    distributions", JMIV 2023    [houdard2023]

A texture is what its small patches are, at several scales: a picture whose patches have the distribution of an exemplar's looks
like it and is not it. `monge.methods.texture` moves the patches there by optimal transport; here pictures come in as they are
kept, files of 8 or 16 bits, grey or in colour, with or without transparency, and leave as the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from monge.errors import MongeError
from monge.images.io import Picture, write_picture
from monge.images.pixels import Source, top_value
from monge.methods.texture import Config

from .features import load_extractor
from .limits import Size, checked_weights
from .optimize import Choices, barycentre, optimised
from .pictures import (
    Mask,
    alike,
    as_texture,
    check_mask,
    filled,
    hole_of,
    in_srgb,
    kind_of,
    read_mask,
    to_picture,
    to_tensor,
    without_opaque_alpha,
)
from .run import Progress, Settings, forget

__all__ = [
    "Config",
    "Picture",
    "Progress",
    "forget",
    "hole",
    "inpaint",
    "joined",
    "load_extractor",
    "mix",
    "strip",
    "synthesize",
    "write_picture",
]

OnProgress = Callable[[Progress], None]


def synthesize(
    exemplar: Source,
    size: Size | None = None,
    *,
    tile: bool = False,
    seed: int = 0,
    config: Config | None = None,
    extractor: nn.Module | None = None,
    time_budget: float | None = None,
    on_progress: OnProgress | None = None,
    state: str | Path | None = None,
    fresh: bool = False,
) -> Picture:
    """Make a picture of any size that looks like the exemplar.

    Parameters
    ----------
    exemplar : Picture, path or array
        Arrays are (h, w) or (h, w, 1 to 4), grey or RGB with or without alpha: uint8, uint16 or floats in [0, 1].
    size : int or (int, int), optional
        Side of a square, or height and width in pixels; the exemplar's by default.
    tile : bool
        Make a picture that can be laid beside itself without a seam.
    seed : int
        Another seed, another picture.
    config : Config, optional
        Patches, scales, steps: see `monge.methods.texture.Config`.
    extractor : Module, optional
        Match features, maps of a picture (n, c, h, w), in place of patches.
    time_budget : float, optional
        Seconds after which the picture is taken as it is.
    on_progress : callable, optional
        Called with a `Progress` after each step.
    state : path, optional
        Folder that keeps the work: after an interruption, however hard, the same call continues to the same bits. `forget`
        deletes it.
    fresh : bool
        Begin anew, whatever the state.

    Returns
    -------
    Picture
        Of the exemplar's kind, without an alpha that would be opaque; `Picture.notes` says what was unusual.

    Raises
    ------
    MongeError
        What cannot be read, is smaller than a patch, or does not fit into memory.

    Examples
    --------
    >>> dots = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> made = synthesize(dots, (16, 32), config=Config(scales=2, targets=50), time_budget=0.1)
    >>> made.colours.shape, made.colours.dtype
    ((16, 32, 3), dtype('uint8'))
    """
    settings = _settings(time_budget, on_progress, state, fresh)
    picture = as_texture(exemplar, "exemplar")
    return barycentre([picture], None, size, Choices(tile, seed, config, extractor), settings)


def mix(
    exemplars: Sequence[Source],
    weights: Sequence[float] | None = None,
    size: Size | None = None,
    *,
    tile: bool = False,
    seed: int = 0,
    config: Config | None = None,
    extractor: nn.Module | None = None,
    time_budget: float | None = None,
    on_progress: OnProgress | None = None,
    state: str | Path | None = None,
    fresh: bool = False,
) -> Picture:
    """Make a texture between several: its patches are a Wasserstein barycentre of theirs.

    ``weights`` are one for each exemplar and need not sum to 1 (equal ones by default); the size is the first exemplar's by
    default. Pictures in colour spaces of their own are brought to sRGB, grey ones among coloured ones to RGB. The other
    parameters, and errors, are those of `synthesize`.

    >>> a, b = np.random.default_rng(0).integers([[[0]], [[128]]], [[[128]], [[256]]], (2, 24, 24), dtype=np.uint8)
    >>> made = mix([a, b], [3, 1], config=Config(scales=2, targets=50), time_budget=0.1)
    >>> made.colours.shape
    (24, 24, 1)
    """
    settings = _settings(time_budget, on_progress, state, fresh)
    given = checked_weights(weights, len(exemplars))
    return barycentre(_alike(exemplars), given, size, Choices(tile, seed, config, extractor), settings)


def strip(
    exemplars: Sequence[Source],
    steps: int = 7,
    size: Size | None = None,
    *,
    tile: bool = False,
    seed: int = 0,
    config: Config | None = None,
    extractor: nn.Module | None = None,
    time_budget: float | None = None,
    on_progress: OnProgress | None = None,
    state: str | Path | None = None,
    fresh: bool = False,
) -> list[Picture]:
    """Pictures on the way from one texture to another, both ends included, all from the same noise.

    ``steps`` is their number, and ``time_budget`` that of all of them; the other parameters, and errors, are those of `mix`.
    `joined` lays the pictures side by side.

    >>> a, b = np.random.default_rng(0).integers([[[0]], [[128]]], [[[128]], [[256]]], (2, 24, 24), dtype=np.uint8)
    >>> found = strip((a, b), 3, config=Config(scales=2, targets=50), time_budget=0.1)
    >>> joined(found).colours.shape
    (24, 72, 1)
    """
    if len(exemplars) != 2:
        raise MongeError(f"a strip leads from one texture to another, got {len(exemplars)}: give two, or weights for one picture")
    if steps < 2:
        raise MongeError(f"steps must be at least 2, the two ends, got {steps}")
    pictures, choices, made = _alike(exemplars), Choices(tile, seed, config, extractor), []
    for k in range(steps):
        folder = Path(state) / f"part-{k + 1:02}" if state else None
        settings = _settings(time_budget and time_budget / steps, on_progress, folder, fresh)
        t = k / (steps - 1)
        made.append(barycentre(pictures, [1 - t, t], size, choices, replace(settings, part=k, parts=steps)))
    return made


def inpaint(
    picture: Source,
    mask: Source | Mask | None = None,
    *,
    region: Source | Mask | None = None,
    invert: bool = False,
    seed: int = 0,
    config: Config | None = None,
    extractor: nn.Module | None = None,
    time_budget: float | None = None,
    on_progress: OnProgress | None = None,
    state: str | Path | None = None,
    fresh: bool = False,
) -> Picture:
    """Fill a hole of a picture with the texture around it; pixels outside are the picture's own, to the bit.

    ``mask`` is white (or True) where to fill, with ``invert`` where not to; without one the pixels that are not fully opaque are
    the hole, and become so. ``region`` is white where the texture may be learned from, by default everywhere outside the hole.
    Both are paths, pictures or arrays of the picture's size. The other parameters are those of `synthesize`; the result keeps
    metadata and colour space. MongeError for a mask of another size, and one that is empty or full.

    >>> plain = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    >>> hole = np.zeros((24, 24), bool)
    >>> hole[8:14, 8:14] = True
    >>> made = inpaint(plain, hole, config=Config(scales=2, targets=50), time_budget=0.1).colours
    >>> bool((made == plain)[~hole].all()), bool((made == plain)[hole].all())
    (True, False)
    """
    settings = _settings(time_budget, on_progress, state, fresh)
    given = as_texture(picture, "picture")
    where = hole(given, mask, invert=invert)
    readable = ~where if region is None else read_mask(region, "the region", given) & ~where
    if not readable.any():
        raise MongeError("the region has no pixel outside the mask, and leaves nothing to learn from: make it white there")
    known = replace(given, alpha=None) if mask is None else without_opaque_alpha(given)
    kind, choices = kind_of([known]), Choices(False, seed, config, extractor)

    def finish(made: Tensor) -> Picture:
        return filled(given, to_picture(made, kind), where, opaque=mask is None)

    masks = {"mask": torch.from_numpy(where), "region": torch.from_numpy(readable)}
    return optimised([to_tensor(known, kind)], None, where.shape, choices, settings, finish, masks)


def joined(pictures: Sequence[Picture]) -> Picture:
    """Pictures of one height and kind side by side."""
    alphas = [p.alpha for p in pictures if p.alpha is not None]
    if alphas:
        opaque = [np.full(p.colours.shape[:2], top_value(p.colours), p.colours.dtype) for p in pictures]
        alphas = [o if p.alpha is None else p.alpha for p, o in zip(pictures, opaque, strict=True)]
    notes = tuple(dict.fromkeys(note for picture in pictures for note in picture.notes))
    colours = np.concatenate([picture.colours for picture in pictures], 1)
    return replace(pictures[0], colours=colours, alpha=np.concatenate(alphas, 1) if alphas else None, notes=notes)


def _alike(exemplars: Sequence[Source]) -> list[Picture]:
    """Pictures in one colour space: files are read as sRGB, which needs no profile."""
    return alike([in_srgb(given, f"exemplar {k + 1}") for k, given in enumerate(exemplars)])


def _settings(budget: float | None, on_progress: OnProgress | None, state: str | Path | None, fresh: bool) -> Settings:
    return Settings(budget, on_progress, Path(state) if state else None, fresh)


def hole(picture: Picture, mask: Source | Mask | None, *, invert: bool = False) -> Mask:
    """Where `inpaint` fills a picture, a bool array (h, w), from the same arguments."""
    if mask is None and invert:
        raise MongeError("invert turns a mask round, and none was given: the transparent hole is what is filled")
    found = hole_of(picture) if mask is None else read_mask(mask, "the mask", picture)
    check_mask(found := ~found if invert else found)
    return found
