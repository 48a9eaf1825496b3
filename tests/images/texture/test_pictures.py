"""Masks, holes and free memory for textures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.data import data_root
from monge.images.io import Picture, read_picture
from monge.images.texture import pictures as _pictures
from monge.images.texture.pictures import hole, read_mask
from tests.helpers.images import bricks, square


def test_masks_of_all_formats_are_read(tmp_path: Path) -> None:
    picture, expected = Picture(bricks()), square()
    white = (expected * 255).astype(np.uint8)
    empty, ink = np.zeros_like(white), np.where(expected, 255, 0).astype(np.uint8)
    Image.fromarray(white).save(tmp_path / "mask.jpg", quality=60)
    for mask in (
        white,
        (expected * 65535).astype(np.uint16),
        expected * 0.5,
        np.dstack([white, white, white, np.full_like(white, 255)]),  # opaque alpha says nothing
        np.dstack([empty, empty, empty, ink]),  # black ink on an empty layer
        np.dstack([np.full_like(white, 255), ink]),  # white ink on an empty layer
        np.dstack(
            [white, white, white, np.where(np.arange(32) < 28, 255, 0) * np.ones((32, 1))]
        ).astype(np.uint8),
        tmp_path / "mask.jpg",
    ):
        np.testing.assert_array_equal(read_mask(mask, "mask", picture), expected)
    assert not read_mask(white // 2, "mask", picture).any()


def test_shared_masks_mark_the_hole() -> None:
    folder = data_root() / "inpainting_masks"
    if not folder.is_dir():
        pytest.skip("the inpainting masks are not on this machine: set MONGE_DATA")
    bark = read_picture(folder / "image_3_bark_with_red_z.jpg")
    letter = hole(bark, read_picture(folder / "mask_3_inpaint.jpg"), invert=True)
    red = (bark.colors[..., 0] > 220) & (bark.colors[..., 1] < 60)
    assert 0.05 < letter.mean() < 0.3
    assert (red & ~letter).sum() < 0.01 * red.sum()
    wall = read_picture(folder / "image_bricks_with_hole_rgba.png", native=True)
    assert 0.15 < hole(wall, None).mean() < 0.17


def test_free_memory_is_plausible_or_unknown() -> None:
    free = _pictures.available_memory()
    assert free is None or 2**20 < free < 2**50
