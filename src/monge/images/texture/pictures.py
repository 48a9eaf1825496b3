"""Pictures as the tensors that textures are made of, masks, sizes, and the way back.

A picture with transparency is matched premultiplied, (α·color, α), so that colors which nobody sees
do not count. Pictures are read natively: what is not to be made anew is written as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.errors import MongeError
from monge.images.io import Picture, Pixels, Source, from_channels, read_picture, top_value

Mask = NDArray[np.bool_]
Size: TypeAlias = int | tuple[int, int]


@dataclass(frozen=True)
class Kind:
    """What a picture is made of: 1 or 3 channels of color, alpha or none, the type of its numbers,
    its color profile.
    """

    colors: int
    alpha: bool
    dtype: np.dtype[Any]
    profile: bytes = b""

    @property
    def channels(self) -> int:
        return self.colors + self.alpha

    @property
    def top(self) -> float:
        """The value of white."""
        return top_value(self.dtype)


def as_texture(given: Source, name: str) -> Picture:
    """A picture from a file's path, or an array (h, w) or (h, w, 1 to 4) of gray or RGB with or
    without alpha.
    """
    if isinstance(given, Picture):
        return given
    if not isinstance(given, np.ndarray):
        return read_picture(given, native=True)
    pixels = given[..., None] if given.ndim == 2 else given
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise MongeError(f"{name} must have shape (h, w) or (h, w, 1 to 4), got {given.shape}")
    return from_channels(pixels, name)


def in_srgb(given: Source, name: str) -> Picture:
    """A picture of which colors with a profile are sRGB; gray stays gray."""
    picture = as_texture(given, name)
    return (
        read_picture(given)
        if isinstance(given, str | Path) and picture.profile and picture.colors.shape[2] == 3
        else picture
    )


def alpha_of(picture: Picture) -> Pixels:
    """Alpha (h, w), opaque where a picture has none."""
    if picture.alpha is not None:
        return picture.alpha
    return np.full(picture.colors.shape[:2], top_value(picture.colors.dtype), picture.colors.dtype)


def without_opaque_alpha(picture: Picture) -> Picture:
    """The picture without an alpha that is opaque everywhere, which says nothing."""
    opaque = picture.alpha is not None and bool(
        (picture.alpha == top_value(picture.alpha.dtype)).all()
    )
    return replace(picture, alpha=None) if opaque else picture


def alike(pictures: Sequence[Picture]) -> list[Picture]:
    """Pictures that can be mixed: all gray or all in color, sRGB, of the deepest type among them."""
    deepest = np.result_type(*(picture.colors.dtype for picture in pictures))
    gray = all(picture.colors.shape[2] == 1 for picture in pictures)
    return [_deep(picture if gray else picture.rgb, deepest) for picture in pictures]


def _deep(picture: Picture, dtype: np.dtype[Any]) -> Picture:
    if picture.colors.dtype == dtype:
        return picture
    factor = top_value(dtype) / top_value(picture.colors.dtype)
    alpha = None if picture.alpha is None else (picture.alpha * factor).astype(dtype)
    return replace(picture, colors=(picture.colors * factor).astype(dtype), alpha=alpha)


def common_kind(pictures: Sequence[Picture]) -> Kind:
    """The kind of a picture made from these once they are `alike`.

    An alpha that is opaque everywhere does not count; a profile is kept where all have the same.
    """
    seen = [without_opaque_alpha(picture) for picture in alike(pictures)]
    first, profiles = seen[0], {picture.profile for picture in seen}
    alpha = any(picture.alpha is not None for picture in seen)
    return Kind(
        first.colors.shape[2],
        alpha,
        first.colors.dtype,
        first.profile if len(profiles) == 1 else b"",
    )


def to_tensor(picture: Picture, kind: Kind) -> Tensor:
    """Channels (c, h, w) in [0, 1], premultiplied by alpha, which is the last of them."""
    colors = torch.from_numpy((picture.colors / kind.top).astype(np.float32)).permute(2, 0, 1)
    if not kind.alpha:
        return colors.contiguous()
    alpha = torch.from_numpy((alpha_of(picture) / kind.top).astype(np.float32))[None]
    return torch.cat([colors * alpha, alpha])


def to_picture(channels: Tensor, kind: Kind) -> Picture:
    """A picture of this kind from channels (c, h, w), clamped; colors where alpha rounds to 0 are
    black.
    """
    x = channels.detach().cpu().double().clamp(0, 1).permute(1, 2, 0).numpy()
    if not kind.alpha:
        return Picture(_rounded(x, kind), None, profile=kind.profile)
    alpha = _rounded(x[..., -1], kind)
    seen = alpha[..., None] > 0
    straight = np.divide(x[..., :-1], x[..., -1:], out=np.zeros_like(x[..., :-1]), where=seen).clip(
        0, 1
    )
    return Picture(_rounded(straight, kind), alpha, profile=kind.profile)


def _rounded(x: NDArray[np.float64], kind: Kind) -> Pixels:
    return (np.rint(x * kind.top) if kind.top > 1 else x).astype(kind.dtype)


def read_mask(given: Source | Mask, name: str, like: Picture) -> Mask:
    """True where a mask is white, of the size of a picture.

    A mask is thresholded at a half. Of one with transparency what shows over black counts; where
    all that shows is black, or all of it white, it was drawn on an empty layer, and its shape is
    what has been drawn.
    """
    if isinstance(given, np.ndarray) and given.dtype == bool:
        mask: Mask = given
    else:
        picture = as_texture(given, name)
        top = top_value(picture.colors.dtype)
        light = picture.colors.mean(2) / top
        alpha = alpha_of(picture) / top
        shown, white = alpha >= 0.5, light >= 0.5
        drawn = bool((alpha < 0.5).any()) and not white[shown].any()
        mask = shown if drawn else light * alpha >= 0.5
    h, w = like.colors.shape[:2]
    if mask.shape != (h, w):
        found = "×".join(str(side) for side in reversed(mask.shape))
        raise MongeError(
            f"{name} has {found} pixels and the picture {w}×{h}: give a mask of the picture's size"
        )
    return mask


def hole(picture: Picture, mask: Source | Mask | None, *, invert: bool = False) -> Mask:
    """Where `inpaint` fills a picture, a bool array (h, w), from the same arguments."""
    if mask is None and invert:
        raise MongeError(
            "invert turns a mask round, and none was given: the transparent hole is what is filled"
        )
    if mask is not None:
        found = read_mask(mask, "the mask", picture) ^ invert
    elif not (found := alpha_of(picture) < top_value(picture.colors.dtype)).any():
        raise MongeError(
            "the picture has no transparent hole to fill: give --mask, a picture that is white "
            "where to fill"
        )
    if not found.any():
        raise MongeError(
            "the mask is empty, nothing is to be made: white is filled, with --invert black is"
        )
    if found.all():
        raise MongeError(
            "the mask covers the whole picture and leaves nothing to learn from: "
            "give one that is white where to fill and black elsewhere, or --invert"
        )
    return found


def filled(picture: Picture, made: Picture, mask: Mask) -> Picture:
    """The picture with the masked pixels from another; they are opaque where that has no alpha."""
    colors = np.where(mask[..., None], made.colors, picture.colors)
    alpha = None if picture.alpha is None else np.where(mask, alpha_of(made), picture.alpha)
    return replace(picture, colors=colors, alpha=alpha, notes=())


def marked(picture: Picture, hole: Mask) -> Picture:
    """The picture with its hole transparent."""
    return replace(picture, alpha=np.where(hole, 0, alpha_of(picture)).astype(picture.colors.dtype))


def joined(pictures: Sequence[Picture]) -> Picture:
    """Pictures of one height and kind side by side."""
    opaque = all(picture.alpha is None for picture in pictures)
    alpha = None if opaque else np.concatenate([alpha_of(picture) for picture in pictures], 1)
    colors = np.concatenate([picture.colors for picture in pictures], 1)
    notes = tuple(dict.fromkeys(note for picture in pictures for note in picture.notes))
    return replace(pictures[0], colors=colors, alpha=alpha, notes=notes)


def size_of(size: Size | None, default: tuple[int, ...]) -> tuple[int, int]:
    """Height and width."""
    h, w = default if size is None else (size, size) if isinstance(size, int) else size
    if min(h, w) < 1:
        raise MongeError(f"size must be at least 1 pixel high and wide, got {h} and {w}")
    return h, w


def fitting_scales(scales: int | None, patch: int, room: int) -> tuple[int | None, str]:
    """As many of the scales as leave a patch of ``room`` pixels at the coarsest, and what to say
    about those left out.

    >>> fitting_scales(4, patch=8, room=20)
    (2, '4 scales leave less than a patch of 8 pixels of 20:')
    """
    fit = max(k for k in range(1, room.bit_length() + 1) if room >> (k - 1) >= patch)
    if scales is None or scales <= fit:
        return scales, ""
    return fit, f"{scales} scales leave less than a patch of {patch} pixels of {room}:"


def require_memory(
    size: tuple[int, int],
    need: Callable[[tuple[int, int]], int],
    remedy: Callable[[float], str],
    *,
    share: float = 0.9,
) -> None:
    """MongeError when a picture needs more than a share of the free memory; ``remedy`` says what to
    do from what may be had.
    """
    free = available_memory()
    if free is None or need(size) <= share * free:
        return
    have = f"{_shown(need(size))} of memory and {_shown(free)} are free"
    raise MongeError(f"{size[1]}×{size[0]} pixels take about {have}: {remedy(share * free)}")


def available_memory() -> int | None:
    """Bytes that programs may still take, or None where the system does not say."""
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(
            int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")
        )
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _shown(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
