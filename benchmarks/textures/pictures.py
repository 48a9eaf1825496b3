"""Exemplars of 256² pixels, and what is measured of a texture made from one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from monge.images.texture.copying import copying_score
from monge.images.texture.metrics import gram_distance, patch_w2, sliced_patch_w2

SIDE, SCALES, SEED = 256, 3, 0


def exemplar_names() -> list[str]:
    return sorted(path.stem for path in (Path(os.environ["MONGE_DATA"]) / "textures").iterdir())


def exemplar_path(name: str) -> Path:
    return next((Path(os.environ["MONGE_DATA"]) / "textures").glob(f"{name}.*"))


def read_exemplar(name: str) -> Tensor:
    """Read an exemplar by its name, see `read_picture`."""
    return read_picture(exemplar_path(name))


def read_picture(path: Path) -> Tensor:
    """Read (c, 256, 256) in [0, 1].

    The picture is averaged down to 256 pixels on the shorter side and cropped in the center; alpha
    is dropped where all is opaque.
    """
    with Image.open(path) as file:
        file.load()
        image: Image.Image = file
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    times = SIDE / min(image.size)
    if times < 1:
        size = round(image.width * times), round(image.height * times)
        image = image.resize(size, Image.Resampling.BOX)
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    pixels = np.array(image.crop((left, top, left + SIDE, top + SIDE)), dtype=np.float32) / 255
    return torch.from_numpy(pixels.reshape(SIDE, SIDE, -1)).permute(2, 0, 1).contiguous()


def measure_texture(image: Tensor, exemplar: Tensor) -> dict[str, Any]:
    """Return every metric of a texture and its exemplar."""
    return {
        **measure_patches(image, exemplar, scales=SCALES),
        "sliced_patch_w2": sliced_patch_w2(image, exemplar, scales=SCALES),
        "copying": copying_score(image, exemplar),
        "gram": gram_distance(image, exemplar),
    }


def measure_patches(image: Tensor, exemplar: Tensor, **settings: Any) -> dict[str, list[float]]:
    """Return W₂² of patches at each scale, its floor, and their ratio."""
    scales = patch_w2(image, exemplar, **settings)
    return {
        "patch_w2": [scale.value for scale in scales],
        "floor": [scale.floor for scale in scales],
        "ratio": [scale.ratio for scale in scales],
    }
