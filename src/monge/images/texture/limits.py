"""What a texture may be asked for: sizes, weights, scales that fit, memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from torch import Tensor

from monge.errors import MongeError
from monge.methods.texture import Config, memory_estimate

Size: TypeAlias = int | tuple[int, int]

_SHARE = 0.9  # of the memory that is free
_MEBI = 2**20


def size_of(size: Size | None, default: tuple[int, ...]) -> tuple[int, int]:
    """Height and width."""
    if size is None:
        return default[0], default[1]
    h, w = (size, size) if isinstance(size, int) else size
    if min(h, w) < 1:
        raise MongeError(f"size must be at least 1 pixel high and wide, got {h} and {w}")
    return h, w


def checked_weights(weights: Sequence[float] | None, n: int) -> list[float]:
    """One for each of n exemplars, scaled to sum 1."""
    if n < 2:
        raise MongeError(f"mixing takes at least two exemplars, got {n}: use synth for one")
    given = [1.0] * n if weights is None else [float(w) for w in weights]
    if len(given) != n:
        raise MongeError(f"{len(given)} weight{'s' * (len(given) != 1)} for {n} exemplars: give one for each")
    if not all(np.isfinite(given)) or min(given) < 0 or not sum(given) > 0:
        raise MongeError(f"weights must be at least 0 and not all 0, got {' '.join(f'{w:g}' for w in given)}")
    return [w / sum(given) for w in given]


def checked_config(config: Config, exemplars: Sequence[Sequence[int]], size: tuple[int, int]) -> tuple[Config, tuple[str, ...]]:
    """The configuration with as many scales as leave room for a patch at the coarsest, and what to say about it."""
    side = min(min(shape) for shape in exemplars)
    for name, least in (("exemplar", side), ("size", min(size))):
        if least < config.patch:
            raise MongeError(
                f"the {name} of {least} pixels is smaller than a patch of {config.patch}: "
                f"take {'a larger picture' if name == 'exemplar' else 'a larger size'}, or smaller patches"
            )
    room = min(side, *size)
    fit = max(scales for scales in range(1, room.bit_length() + 1) if room >> (scales - 1) >= config.patch)
    if config.scales is None or config.scales <= fit:
        return config, ()
    used = f"{fit} {'is' if fit == 1 else 'are'} used"
    note = f"{config.scales} scales leave less than a patch of {config.patch} pixels of {room}: {used}"
    return config.model_copy(update={"scales": fit}), (note,)


def require_memory(exemplars: Sequence[Tensor], size: tuple[int, int], config: Config) -> None:
    """MongeError with the estimate, and a size that fits, when a picture does not fit into the memory that is free."""
    free = available_memory()
    if free is None:
        return
    need = _estimate(exemplars, size, config)
    if need <= _SHARE * free:
        return
    raise MongeError(
        f"{size[1]}×{size[0]} pixels take about {_shown(need)} of memory and {_shown(free)} are free: "
        f"{_largest(exemplars, size, config, _SHARE * free)}"
    )


def available_memory() -> int | None:
    """Bytes that programs may still take, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _estimate(exemplars: Sequence[Tensor], size: tuple[int, int], config: Config) -> int:
    return memory_estimate([tuple(x.shape) for x in exemplars], size, config)


def _largest(exemplars: Sequence[Tensor], size: tuple[int, int], config: Config, room: float) -> str:
    """A size of the same shape that fits, found by bisection."""
    low, high = 0, max(size)
    while high - low > 1:
        middle = (low + high) // 2
        scaled = size[0] * middle // max(size), size[1] * middle // max(size)
        low, high = (middle, high) if _estimate(exemplars, scaled, config) <= room else (low, middle)
    h, w = (side * low // max(size) for side in size)
    return f"--size {w}x{h} fits" if min(h, w) >= config.patch else "take a smaller exemplar, or free some memory"


def _shown(count: float) -> str:
    return f"{count / _MEBI / 1024:.1f} GiB" if count >= 1024 * _MEBI else f"{count / _MEBI:.0f} MiB"
