"""Read pictures as sRGB colors, map all of their colors, and check weights of several pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from monge.errors import MongeError

from .io import Picture, Pixels, Source, from_channels, read_picture, top_value

# colors (n, 3) to mapped colors and which of them were clipped
Recolor = Callable[[Pixels], tuple[Pixels, NDArray[np.bool_]]]

TILE = 1 << 18  # pixels mapped at once
_CODES = 1 << 24  # colors of 8 bits


def as_picture(given: Source, name: str) -> Picture:
    """Return the picture in a file or an array.

    MongeError with ``name``, the argument's, for anything else.
    """
    if isinstance(given, Picture):
        return given.rgb
    if isinstance(given, str | Path):
        return read_picture(given)
    pixels = np.asarray(given)
    if pixels.ndim not in (2, 3) or pixels.shape[-1] not in (3, 4) or 0 in pixels.shape:
        raise MongeError(
            f"{name} must have shape (h, w, 3 or 4) or (n, 3 or 4), got {pixels.shape}; repeat "
            "gray three times"
        )
    return from_channels(pixels[:, None] if pixels.ndim == 2 else pixels, name)


def like(given: Any, picture: Picture) -> Any:
    """Return the picture in the type and shape of ``given``."""
    if isinstance(given, Picture | str | Path):
        return picture
    return picture.channels.reshape(np.shape(given))


def drawn_colors(picture: Picture, n: int, seed: tuple[int, int]) -> Pixels | None:
    """Sample colors (n, 3) in [0, 1] of visible pixels, with replacement.

    None if no pixel is visible.
    """
    visible = picture.visible
    if not len(visible):
        return None
    rows = np.random.default_rng(seed).integers(0, len(visible), n)
    return visible[rows] / top_value(visible.dtype)


def by_color(colors: Pixels, recolor: Recolor, progress: bool) -> tuple[Pixels, NDArray[np.bool_]]:
    """Map each distinct color once: a photograph has a hundred times fewer of them than pixels."""
    codes = _codes(colors)
    seen = np.zeros(_CODES, bool)
    seen[codes] = True
    used = np.flatnonzero(seen)
    table, outside = np.zeros((_CODES, 3), np.uint8), seen  # the bitmap is not needed any more
    distinct = np.stack([used >> 16, used >> 8 & 255, used & 255], 1).astype(np.uint8)
    table[used], outside[used] = by_tile(distinct, recolor, progress)
    return table[codes], outside[codes]


def by_tile(colors: Pixels, recolor: Recolor, progress: bool) -> tuple[Pixels, NDArray[np.bool_]]:
    """Map all pixels, a tile at a time."""
    flat = colors.reshape(-1, 3)
    result, outside = np.empty_like(flat), np.empty(len(flat), bool)
    for rows in tqdm([*blocks(len(flat), TILE)], desc="colors", disable=not progress, leave=False):
        result[rows], outside[rows] = recolor(flat[rows])
    return result.reshape(colors.shape), outside.reshape(colors.shape[:-1])


def blocks(n: int, size: int) -> Iterator[slice]:
    """Return slices of at most ``size`` that cover range(n)."""
    return (slice(i, min(n, i + size)) for i in range(0, n, size))


def _codes(colors: Pixels) -> NDArray[np.uint32]:
    """Return 8-bit colors (…, 3) as numbers of 24 bits."""
    codes: NDArray[np.uint32] = colors[..., 0].astype(np.uint32)
    for channel in (1, 2):
        codes <<= 8
        codes |= colors[..., channel]
    return codes


def distinct(colors: Pixels) -> int:
    """Count the distinct colors."""
    if colors.dtype != np.uint8:
        return len(np.unique(colors.reshape(-1, 3), axis=0))
    seen = np.zeros(_CODES, bool)
    seen[_codes(colors)] = True
    return int(seen.sum())


def checked_weights(weights: Sequence[float] | None, n: int, of: str) -> list[float]:
    """Check one weight for each of n, by default equal, and scale them to sum 1.

    MongeError for another number of weights, negative ones and NaN.

    >>> checked_weights([1, 3], 2, of="palette")
    [0.25, 0.75]
    """
    given = [1.0] * n if weights is None else [float(w) for w in weights]
    if len(given) != n:
        count, things = f"{len(given)} weight{'s' * (len(given) != 1)}", f"{n} {of}{'s' * (n != 1)}"
        raise MongeError(f"{count} for {things}: give one for each")
    if not all(np.isfinite(given)) or min(given) < 0 or not sum(given) > 0:
        raise MongeError(
            f"weights must be at least 0 and not all 0, got {' '.join(f'{w:g}' for w in given)}"
        )
    return [w / sum(given) for w in given]
