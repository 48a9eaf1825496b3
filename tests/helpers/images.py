"""Small pictures, textures and masks for tests, and a color profile."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import ImageCms
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from monge.data import rng as stream


def photo(seed: int, depth: int = 8, channels: int = 3, low: float = 0.0) -> np.ndarray[Any, Any]:
    """Return noise under a gradient, of size 24 × 17; ``low`` is its least value, in [0, 1]."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(low, 1, (24, 17, channels)) * (0.3 + 0.7 * np.linspace(0, 1, 17)[:, None])
    top = 2**depth - 1
    return (base * top).round().astype(np.uint8 if depth == 8 else np.uint16)


def bricks(channels: int = 3, dtype: type = np.uint8, side: int = 32, seed: int = 0) -> Any:
    """Return a noisy pattern (side, side, channels); alpha, the last of 2 or 4 channels, varies."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    pattern = 0.3 + 0.4 * ((x // 4 + y // 8) % 2)[..., None]
    base = pattern + rng.uniform(-0.2, 0.2, (side, side, channels))
    return (base * np.iinfo(dtype).max).astype(dtype)


def square(side: int = 32) -> Any:
    """Return a mask (side, side) of 10 × 12 pixels."""
    hole = np.zeros((side, side), bool)
    hole[8:18, 10:22] = True
    return hole


def texture(h: int = 96, w: int = 96, seed: int = 0, *, c: int = 3, torus: bool = False) -> Tensor:
    """Return smoothed noise (c, h, w), neither flat nor regular; periodic with ``torus``."""
    noise = torch.rand(1, c, h + 8, w + 8, generator=stream(seed))
    if torus:
        noise = pad(noise[..., 4:-4, 4:-4], (4, 4, 4, 4), mode="circular")
    x = avg_pool2d(avg_pool2d(noise, 5, 1), 5, 1)[0]
    return ((x - x.mean()) / (8 * x.std()) + 0.5).clamp(0, 1)


def swapped_profile() -> bytes:
    """Return the profile of an RGB space with red and blue of sRGB exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    exchanged = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    for k in range(int.from_bytes(profile[128:132], "big")):
        tag = slice(132 + 12 * k, 136 + 12 * k)
        profile[tag] = exchanged.get(bytes(profile[tag]), profile[tag])
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
