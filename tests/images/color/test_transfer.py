"""Color transfer: what survives, what the map promises, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from monge.errors import MongeError
from monge.images.color.transfer import ColorTransfer, agreement
from monge.images.io import Picture, read_picture, write_picture
from monge.images.pixels import by_tile
from monge.maps import OTMap


def photo(seed: int, depth: int = 8, channels: int = 3, low: float = 0.0) -> np.ndarray[Any, Any]:
    """Smooth noise of size 24 × 17 that leaves no color out by chance."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(low, 1, (24, 17, channels)) * (0.3 + 0.7 * np.linspace(0, 1, 17)[:, None])
    top = 2**depth - 1
    return (base * top).round().astype(np.uint8 if depth == 8 else np.uint16)


def swapped_profile() -> bytes:
    """A profile of an RGB space whose red is sRGB's blue, and the other way round."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for k in range(int.from_bytes(made[128:132], "big")):
        tag = slice(132 + 12 * k, 136 + 12 * k)
        made[tag] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(bytes(made[tag]), made[tag])
    return bytes(made).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.fixture(scope="module")
def fitted() -> ColorTransfer:
    return ColorTransfer(steps=5, samples=2000).fit(photo(0), photo(1, low=0.5))


def test_alpha_is_kept_to_the_bit(fitted: ColorTransfer, tmp_path: Path) -> None:
    for depth in (8, 16):
        given = photo(2, depth, 4)
        write_picture(Picture(given[..., :3], given[..., 3]), tmp_path / "a.png")
        write_picture(fitted.transform(tmp_path / "a.png"), tmp_path / "b.png")
        found = read_picture(tmp_path / "b.png")
        assert found.alpha is not None
        assert found.alpha.dtype == given.dtype
        np.testing.assert_array_equal(found.alpha, given[..., 3])
        assert not np.array_equal(found.colors, given[..., :3])


def test_sixteen_bits_survive_writing_and_reading(tmp_path: Path) -> None:
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
    found = read_picture(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        np.testing.assert_array_equal(found.colors, np.asarray(ImageOps.exif_transpose(stored)))
    write_picture(found, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert dict(written.getexif()) == {315: "A. Photographer"}


def test_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    given = photo(7)
    Image.fromarray(given).save(tmp_path / "a.png", icc_profile=swapped_profile())
    found = read_picture(tmp_path / "a.png")
    np.testing.assert_allclose(found.colors.astype(int), given[..., ::-1], atol=2)
    assert found.notes == ("converted to sRGB by its color profile",)
    write_picture(found, tmp_path / "b.png")
    again = read_picture(tmp_path / "b.png")
    np.testing.assert_array_equal(again.colors, found.colors)
    assert not again.notes
    assert again.profile == found.profile != b""


def test_profiles_that_cannot_be_used(tmp_path: Path) -> None:
    Image.fromarray(photo(7)).save(tmp_path / "a.png", icc_profile=b"no profile")
    found = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(found.colors, photo(7))
    assert found.notes == (
        "its color profile cannot be used and is dropped: colors are taken as sRGB",
    )
    assert not found.profile
    write_picture(Picture(photo(7, 16), profile=swapped_profile()), tmp_path / "b.png")
    with pytest.raises(MongeError, match="16 bits and a color profile other than sRGB"):
        read_picture(tmp_path / "b.png")


def test_distinct_colors_give_what_all_pixels_give(
    fitted: ColorTransfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fitted.transform(photo(0))
    monkeypatch.setattr("monge.images.color.transfer.by_color", by_tile)
    np.testing.assert_allclose(fitted.transform(photo(0)).astype(int), expected, atol=1)


def test_sixteen_bit_path_agrees_with_eight(fitted: ColorTransfer) -> None:
    given = photo(0)
    np.testing.assert_allclose(
        fitted.transform(given.astype(np.uint16) * 257) / 257, fitted.transform(given), atol=0.51
    )


@pytest.mark.parametrize("space", ["rgb", "lab"])
def test_strength(space: Any) -> None:
    x, y = photo(0), photo(1, low=0.5)
    at = {
        s: ColorTransfer(space=space, method="gaussian", strength=s).fit(x, y).transform(x)
        for s in (0.0, 0.5, 1.0)
    }
    np.testing.assert_array_equal(at[0.0], x)
    assert abs(at[1.0].mean() - y.mean()) < 3
    assert x.mean() < at[0.5].mean() < at[1.0].mean()


def test_monotone_maps_agree_and_broken_ones_do_not() -> None:
    x = photo(5)
    assert agreement(x, 255 - (255 - x) // 2).share == 1
    assert agreement(x, 255 - x).share == 0
    assert 0 < agreement(x, x ^ 64).share < 1


def test_the_map_is_monotone_and_so_is_a_blend(fitted: ColorTransfer) -> None:
    blend = ColorTransfer(steps=5, samples=2000, strength=0.7).fit(
        photo(0), [photo(1, low=0.5), photo(2)], [1, 3]
    )
    x, other = np.random.default_rng(0).uniform(size=(2, 4000, 3))
    for transfer in (fitted, blend):
        product = ((transfer._blended(x) - transfer._blended(other)) * (x - other)).sum(1)
        assert product.min() > 0


def test_a_blend_is_the_mean_of_its_maps() -> None:
    x, y, z = photo(0), photo(1, low=0.5), photo(2)
    alone = [
        ColorTransfer(method="gaussian").fit(x, palette)._blended(x.reshape(-1, 3) / 255)
        for palette in (y, z)
    ]
    blend = ColorTransfer(method="gaussian", strength=0.5).fit(x, [y, z], [1, 3])
    expected = 255 * (0.5 * x.reshape(-1, 3) / 255 + 0.5 * (0.25 * alone[0] + 0.75 * alone[1]))
    np.testing.assert_allclose(blend.transform(x).reshape(-1, 3), expected.clip(0, 255), atol=1.5)


def test_smooth() -> None:
    x, y = 100 + photo(0) // 16, photo(1)
    made = [
        ColorTransfer(steps=5, samples=2000, smooth=smooth).fit(x, y) for smooth in (0.0, 6.0, 12.0)
    ]
    plain = OTMap(steps=5).fit(made[0]._sampled(x, "source", 0), made[0]._sampled(y, "palette", 1))
    colors = x.reshape(-1, 3) / 255
    np.testing.assert_array_equal(made[0]._blended(colors), plain.transform(colors))
    steepness = [agreement(x, transfer.transform(x)).steepness for transfer in made]
    assert steepness[1] < 0.7 * steepness[0]
    assert steepness[2] < 0.7 * steepness[1]


def test_inverse_is_another_way_to_the_palette(fitted: ColorTransfer) -> None:
    x, y = photo(0), photo(1, low=0.5)
    inverse = ColorTransfer(steps=5, samples=2000, inverse=True).fit(x, y)
    moved = inverse.transform(x)
    assert np.abs(moved.mean((0, 1)) - y.mean((0, 1))).max() < 6
    assert not np.array_equal(moved, fitted.transform(x))
    inside = ((moved > 5) & (moved < 250)).all(-1)
    assert np.abs(inverse.inverse_transform(moved).astype(int) - x)[inside].max() <= 6


def test_weights() -> None:
    x, y, z = photo(0), photo(1, low=0.5), photo(2)
    make = lambda: ColorTransfer(steps=3, samples=1500)
    alone = make().fit(x, y).transform(x)
    np.testing.assert_array_equal(make().fit(x, [y, z], [1, 0]).transform(x), alone)
    assert not np.array_equal(make().fit(x, [y, z], [0.5, 0.5]).transform(x), alone)


def test_seed_decides_the_map(fitted: ColorTransfer) -> None:
    again = ColorTransfer(steps=5, samples=2000).fit(photo(0), photo(1, low=0.5))
    other = ColorTransfer(steps=5, samples=2000, seed=1).fit(photo(0), photo(1, low=0.5))
    np.testing.assert_array_equal(again.transform(photo(0)), fitted.transform(photo(0)))
    assert not np.array_equal(other.transform(photo(0)), fitted.transform(photo(0)))


def test_inverse_of_a_blend() -> None:
    x = photo(0)
    blend = ColorTransfer(method="gaussian", strength=0.5).fit(x, [photo(1, low=0.3), photo(2)])
    inside = (x > 60).all(-1) & (x < 200).all(-1)
    back = blend.inverse_transform(blend.transform(x))
    assert np.abs(back.astype(int) - x)[inside].max() <= 2


def test_unusual_pictures(tmp_path: Path) -> None:
    image = Image.fromarray(photo(6))
    for mode in ("L", "P", "1", "CMYK", "LA"):
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        image.convert(mode).save(path)
        found = read_picture(path)
        assert found.colors.shape == (24, 17, 3)
        assert found.notes == (f"mode {mode} is read as RGB",)
        assert (
            ColorTransfer(steps=2, samples=500).fit(found, photo(1)).transform(found).colors.dtype
            == np.uint8
        )
    one = np.full((1, 1, 3), 7, np.uint8)
    transfer = ColorTransfer(steps=2, samples=500).fit(one, photo(1))
    assert transfer.notes_ == ("the source has one color: its map is a shift or a single color",)
    assert abs(transfer.transform(one).mean() - photo(1).mean()) < 5


def test_bad_inputs(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(photo(0)).save(tmp_path / "whole.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "whole.png").read_bytes()[:400])
    clear = np.zeros((4, 4, 4), np.uint8)
    fit = ColorTransfer(method="gaussian").fit
    for call, message in (
        (lambda: read_picture(tmp_path / "none.png"), "there is no such file"),
        (lambda: read_picture(tmp_path), "it is a folder"),
        (lambda: read_picture(tmp_path / "text.png"), "not a picture"),
        (lambda: read_picture(tmp_path / "torn.png"), "is damaged"),
        (lambda: fit(clear, photo(0)), "the source is fully transparent"),
        (lambda: fit(photo(0), [photo(1)], [1, 2]), "2 weights for 1 palette"),
        (lambda: fit(photo(0), [photo(1), photo(2)], [-1, 2]), "weights must be at least 0"),
        (lambda: fit(photo(0), []), "palettes is empty"),
        (lambda: fit(photo(0)[..., 0], photo(1)), "source must have shape"),
        (lambda: ColorTransfer(strength=2), "strength must be between 0 and 1"),
        (lambda: ColorTransfer(smooth=-1), "smooth must be between 0 and 64"),
        (lambda: ColorTransfer(inverse=True, method="exact"), "has no inverse|inverse needs a map"),
        (lambda: ColorTransfer(space="rbg"), "did you mean 'rgb'"),  # type: ignore[arg-type]
        (lambda: ColorTransfer().transform(photo(0)), "not fitted"),
        (
            lambda: write_picture(Picture(photo(0), photo(0)[..., 0]), tmp_path / "a.jpg"),
            "no transparency",
        ),
        (
            lambda: write_picture(Picture(photo(0)), tmp_path / "a.bmp"),
            "give it one of these endings",
        ),
    ):
        with pytest.raises(MongeError, match=message):
            call()
