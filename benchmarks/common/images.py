"""Pictures as files."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from torch import Tensor


def to_image(x: Tensor) -> Image.Image:
    """Return (c, h, w) in [0, 1] as a picture of 8 bits."""
    pixels = (x * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def save_jpeg(image: Image.Image, path: Path, max_bytes: int) -> None:
    """Write a JPEG of the best quality, from 92 down to 44, with at most so many bytes."""
    for quality in range(92, 40, -4):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= max_bytes:
            break
    path.write_bytes(file.getvalue())
