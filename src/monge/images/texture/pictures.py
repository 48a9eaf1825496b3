"""Convert pictures to the tensors that textures are computed on, and back; masks, sizes, memory.

A picture with transparency is matched premultiplied, (α·color, α), so that invisible colors do not
count. Pictures are read natively: pixels that are not synthesized are written as they were.
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
    """Format of a picture: 1 or 3 channels of color, alpha or none, data type and color profile."""

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
    """Return the picture in a file, or an array (h, w) or (h, w, 1 to 4).

    Arrays are gray or RGB, with or without alpha.
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
    """Return the picture with colors in sRGB if they have a profile; gray stays gray."""
    picture = as_texture(given, name)
    if isinstance(given, str | Path) and picture.profile and picture.colors.shape[2] == 3:
        return read_picture(given)
    return picture


def alpha_of(picture: Picture) -> Pixels:
    """Return alpha (h, w), opaque everywhere if the picture has none."""
    if picture.alpha is not None:
        return picture.alpha
    return np.full(picture.colors.shape[:2], top_value(picture.colors.dtype), picture.colors.dtype)


def without_opaque_alpha(picture: Picture) -> Picture:
    """Return the picture without its alpha if that is opaque everywhere."""
    alpha = picture.alpha
    if alpha is not None and (alpha == top_value(alpha.dtype)).all():
        return replace(picture, alpha=None)
    return picture


def alike(pictures: Sequence[Picture]) -> list[Picture]:
    """Convert sRGB pictures for mixing: all gray or all RGB, of the deepest type among them."""
    deepest = np.result_type(*(picture.colors.dtype for picture in pictures))
    gray = all(picture.colors.shape[2] == 1 for picture in pictures)
    return [_convert(picture if gray else picture.rgb, deepest) for picture in pictures]


def _convert(picture: Picture, dtype: np.dtype[Any]) -> Picture:
    if picture.colors.dtype == dtype:
        return picture
    factor = top_value(dtype) / top_value(picture.colors.dtype)
    alpha = None if picture.alpha is None else (picture.alpha * factor).astype(dtype)
    return replace(picture, colors=(picture.colors * factor).astype(dtype), alpha=alpha)


def common_kind(pictures: Sequence[Picture]) -> Kind:
    """Return the kind of a picture made from several once they are `alike`.

    An alpha that is opaque everywhere does not count; a profile is kept if all have the same.
    """
    converted = [without_opaque_alpha(picture) for picture in alike(pictures)]
    first, profiles = converted[0], {picture.profile for picture in converted}
    alpha = any(picture.alpha is not None for picture in converted)
    profile = first.profile if len(profiles) == 1 else b""
    return Kind(first.colors.shape[2], alpha, first.colors.dtype, profile)


def to_tensor(picture: Picture, kind: Kind) -> Tensor:
    """Return channels (c, h, w) in [0, 1], premultiplied by alpha, which is the last channel."""
    colors = torch.from_numpy((picture.colors / kind.top).astype(np.float32)).permute(2, 0, 1)
    if not kind.alpha:
        return colors.contiguous()
    alpha = torch.from_numpy((alpha_of(picture) / kind.top).astype(np.float32))[None]
    return torch.cat([colors * alpha, alpha])


def to_picture(channels: Tensor, kind: Kind) -> Picture:
    """Return a picture of a kind from channels (c, h, w), which are clamped.

    Colors are black where alpha rounds to 0.
    """
    x = channels.detach().cpu().double().clamp(0, 1).permute(1, 2, 0).numpy()
    if not kind.alpha:
        return Picture(_scale(x, kind), None, profile=kind.profile)
    alpha = _scale(x[..., -1], kind)
    premultiplied, visible = x[..., :-1], alpha[..., None] > 0
    black = np.zeros_like(premultiplied)
    straight = np.divide(premultiplied, x[..., -1:], out=black, where=visible).clip(0, 1)
    return Picture(_scale(straight, kind), alpha, profile=kind.profile)


def _scale(x: NDArray[np.float64], kind: Kind) -> Pixels:
    """Scale numbers in [0, 1] to the type of a kind."""
    return (np.rint(x * kind.top) if kind.top > 1 else x).astype(kind.dtype)


def read_mask(given: Source | Mask, name: str, like: Picture) -> Mask:
    """Read a mask of the size of a picture; the result is true where the mask is white.

    A mask is thresholded at one half. One with transparency is composited over black; if its
    visible pixels are all black or all white, it was painted on an empty layer, and the result is
    true where it is painted.
    """
    if isinstance(given, np.ndarray) and given.dtype == bool:
        mask: Mask = given
    else:
        picture = as_texture(given, name)
        top = top_value(picture.colors.dtype)
        light = picture.colors.mean(2) / top
        alpha = alpha_of(picture) / top
        visible, white = alpha >= 0.5, light >= 0.5
        painted_black = bool((alpha < 0.5).any()) and not white[visible].any()
        mask = visible if painted_black else light * alpha >= 0.5
    h, w = like.colors.shape[:2]
    if mask.shape != (h, w):
        size = "×".join(str(side) for side in reversed(mask.shape))
        raise MongeError(
            f"{name} has {size} pixels and the picture {w}×{h}: give a mask of the picture's size"
        )
    return mask


def hole(picture: Picture, mask: Source | Mask | None, *, invert: bool = False) -> Mask:
    """Return where `inpaint` fills a picture, bool (h, w), for the same arguments."""
    if mask is not None:
        result = read_mask(mask, "the mask", picture) ^ invert
    elif invert:
        raise MongeError(
            "invert needs a mask, got none: without one the transparent pixels are filled"
        )
    else:
        result = alpha_of(picture) < top_value(picture.colors.dtype)
        if not result.any():
            raise MongeError(
                "the picture has no transparent hole to fill: give `mask`, a picture that is white "
                "where to fill"
            )
    if not result.any():
        raise MongeError(
            "the mask is empty, nothing is to be made: white is filled, with `invert=True` black is"
        )
    if result.all():
        raise MongeError(
            "the mask covers the whole picture and leaves nothing to learn from: "
            "give one that is white where to fill and black elsewhere, or `invert=True`"
        )
    return result


def filled(picture: Picture, made: Picture, mask: Mask) -> Picture:
    """Return the picture with the masked pixels of another, opaque if that has no alpha."""
    colors = np.where(mask[..., None], made.colors, picture.colors)
    alpha = None if picture.alpha is None else np.where(mask, alpha_of(made), picture.alpha)
    return replace(picture, colors=colors, alpha=alpha, notes=())


def marked(picture: Picture, hole: Mask) -> Picture:
    """Return the picture with its hole transparent."""
    return replace(picture, alpha=np.where(hole, 0, alpha_of(picture)).astype(picture.colors.dtype))


def joined(pictures: Sequence[Picture]) -> Picture:
    """Return pictures of one height and kind side by side."""
    opaque = all(picture.alpha is None for picture in pictures)
    alpha = None if opaque else np.concatenate([alpha_of(picture) for picture in pictures], 1)
    colors = np.concatenate([picture.colors for picture in pictures], 1)
    notes = tuple(dict.fromkeys(note for picture in pictures for note in picture.notes))
    return replace(pictures[0], colors=colors, alpha=alpha, notes=notes)


def size_of(size: Size | None, default: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of a size, the side of a square or both."""
    sides = default if size is None else (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise MongeError(f"size must be one side or (height, width), got {sides}")
    h, w = sides
    if min(h, w) < 1:
        raise MongeError(f"size must be at least 1 pixel high and wide, got {h} and {w}")
    return h, w


def fitting_scales(scales: int | None, patch: int, room: int) -> tuple[int | None, str]:
    """Return the number of scales that leave a patch of ``room`` pixels at the coarsest scale.

    If this is less than ``scales``, the second result is the beginning of a note about it.

    >>> fitting_scales(4, patch=8, room=20)
    (2, '4 scales leave less than a patch of 8 pixels of 20:')
    """
    most = max(k for k in range(1, room.bit_length() + 1) if room >> (k - 1) >= patch)
    if scales is None or scales <= most:
        return scales, ""
    return most, f"{scales} scales leave less than a patch of {patch} pixels of {room}:"


def require_memory(
    size: tuple[int, int],
    need: Callable[[tuple[int, int]], int],
    remedy: Callable[[float], str],
    *,
    share: float = 0.9,
) -> None:
    """Raise MongeError if a picture needs more than a share of the free memory.

    ``need`` gives the bytes of a size; ``remedy`` says what to do with the bytes that may be used.
    """
    free = available_memory()
    if free is None or need(size) <= share * free:
        return
    have = f"{_with_unit(need(size))} of memory and {_with_unit(free)} are free"
    raise MongeError(f"{size[1]}×{size[0]} pixels take about {have}: {remedy(share * free)}")


def available_memory() -> int | None:
    """Return the bytes of free memory, or None if the system does not say."""
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _with_unit(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
