"""Reading and writing pictures: bits, alpha, orientation, metadata and color profiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from monge.errors import MongeError
from monge.images.io import Picture, read_picture, write_picture
from monge.images.texture.pictures import as_texture, in_srgb
from tests.helpers.images import bricks, photo, swapped_profile

MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def test_sixteen_bits_are_written_and_read_unchanged(tmp_path: Path) -> None:
    for channels in (3, 4):
        given = photo(3, 16, channels)
        picture = Picture(given[..., :3], given[..., 3] if channels == 4 else None)
        write_picture(picture, tmp_path / "a.png")
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png").colors, given[..., :3])
        with Image.open(tmp_path / "a.png") as image:  # another reader sees the same high bytes
            np.testing.assert_array_equal(np.asarray(image), given >> 8)
    with pytest.raises(MongeError, match="16-bit color is written as PNG"):
        write_picture(picture, tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_the_tag_dropped(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[315] = orientation, "A. Photographer"
    image = Image.fromarray(photo(4))
    image.save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        np.testing.assert_array_equal(picture.colors, np.asarray(ImageOps.exif_transpose(stored)))
    write_picture(picture, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert dict(written.getexif()) == {315: "A. Photographer"}


def test_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    given = photo(7)
    Image.fromarray(given).save(tmp_path / "a.png", icc_profile=swapped_profile())
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_allclose(picture.colors.astype(int), given[..., ::-1], atol=2)
    assert picture.notes == ("converted to sRGB by its color profile",)
    write_picture(picture, tmp_path / "b.png")
    again = read_picture(tmp_path / "b.png")
    np.testing.assert_array_equal(again.colors, picture.colors)
    assert not again.notes
    assert again.profile == picture.profile != b""


def test_unusable_profiles_are_dropped_or_refused(tmp_path: Path) -> None:
    Image.fromarray(photo(7)).save(tmp_path / "a.png", icc_profile=b"no profile")
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.colors, photo(7))
    note = "its color profile cannot be used and is dropped: colors are taken as sRGB"
    assert picture.notes == (note,)
    assert not picture.profile
    write_picture(Picture(photo(7, 16), profile=swapped_profile()), tmp_path / "b.png")
    with pytest.raises(MongeError, match="16 bits and a color profile other than sRGB"):
        read_picture(tmp_path / "b.png")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_native_pictures_are_written_and_read_unchanged(
    tmp_path: Path, mode: str, dtype: type
) -> None:
    profile = swapped_profile() if "RGB" in mode else b""
    given = replace(as_texture(bricks(MODES[mode], dtype), "picture"), profile=profile)
    write_picture(given, tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", native=True)
    np.testing.assert_array_equal(picture.colors, given.colors)
    np.testing.assert_array_equal(picture.alpha, given.alpha)
    assert (picture.profile, picture.notes) == (given.profile, ())
    deep = {"L": "I;16", "LA": "RGBA"}.get(mode, mode)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == {np.uint8: mode, np.uint16: deep}[dtype]
    if "RGB" in mode and dtype is np.uint8:
        assert not np.array_equal(in_srgb(tmp_path / "a.png", "a").colors, given.colors)
    if mode == "L":
        assert read_picture(tmp_path / "a.png").colors.shape == (32, 32, 3)
        for ending in ("tif", "webp", "jpg") if dtype is np.uint8 else ():
            profile = b"some gray profile" if ending == "webp" else b""
            write_picture(replace(given, profile=profile), tmp_path / f"a.{ending}")
            again = read_picture(tmp_path / f"a.{ending}", native=True).colors
            assert np.abs(again.astype(int) - given.colors).max() <= (8 if ending == "jpg" else 0)


def test_unreadable_and_unwritable_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(photo(0)).save(tmp_path / "whole.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "whole.png").read_bytes()[:400])
    transparent = Picture(photo(0), photo(0)[..., 0])
    for call, message in (
        (lambda: read_picture(tmp_path / "none.png"), "the file does not exist"),
        (lambda: read_picture(tmp_path), "it is a folder"),
        (lambda: read_picture(tmp_path / "text.png"), "not a picture"),
        (lambda: read_picture(tmp_path / "torn.png"), "is damaged"),
        (lambda: write_picture(transparent, tmp_path / "a.jpg"), "no transparency"),
        (lambda: write_picture(Picture(photo(0)), tmp_path / "a.bmp"), "one of these endings"),
    ):
        with pytest.raises(MongeError, match=message):
            call()
