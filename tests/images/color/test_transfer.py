"""Color transfer: alpha, monotone maps, blends, inverses, and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monge.errors import MongeError
from monge.images.color.transfer import ColorTransfer, agreement
from monge.images.io import Picture, read_picture, write_picture
from monge.images.pixels import by_tile
from monge.maps import OTMap
from tests.helpers.images import photo


@pytest.fixture(scope="module")
def fitted() -> ColorTransfer:
    return ColorTransfer(steps=5, samples=2000).fit(photo(0), photo(1, low=0.5))


def test_alpha_is_kept_to_the_bit(fitted: ColorTransfer, tmp_path: Path) -> None:
    for depth in (8, 16):
        given = photo(2, depth, 4)
        write_picture(Picture(given[..., :3], given[..., 3]), tmp_path / "a.png")
        write_picture(fitted.transform(tmp_path / "a.png"), tmp_path / "b.png")
        result = read_picture(tmp_path / "b.png")
        assert result.alpha is not None
        assert result.alpha.dtype == given.dtype
        np.testing.assert_array_equal(result.alpha, given[..., 3])
        assert not np.array_equal(result.colors, given[..., :3])


def test_mapping_distinct_colors_equals_mapping_all_pixels(
    fitted: ColorTransfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fitted.transform(photo(0))
    monkeypatch.setattr("monge.images.color.transfer.by_color", by_tile)
    np.testing.assert_allclose(fitted.transform(photo(0)).astype(int), expected, atol=1)


def test_sixteen_bit_results_agree_with_eight_bit_results(fitted: ColorTransfer) -> None:
    given = photo(0)
    deep = fitted.transform(given.astype(np.uint16) * 257)
    np.testing.assert_allclose(deep / 257, fitted.transform(given), atol=0.51)


@pytest.mark.parametrize("space", ["rgb", "lab"])
def test_strength_interpolates_between_picture_and_palette(space: Any) -> None:
    x, y = photo(0), photo(1, low=0.5)
    none, half, full = (
        ColorTransfer(space=space, method="gaussian", strength=s).fit(x, y).transform(x)
        for s in (0.0, 0.5, 1.0)
    )
    np.testing.assert_array_equal(none, x)
    assert abs(full.mean() - y.mean()) < 3
    assert x.mean() < half.mean() < full.mean()


def test_agreement_is_one_for_monotone_maps_only() -> None:
    x = photo(5)
    assert agreement(x, 255 - (255 - x) // 2).share == 1
    assert agreement(x, 255 - x).share == 0
    assert 0 < agreement(x, x ^ 64).share < 1


def test_maps_and_blends_are_monotone(fitted: ColorTransfer) -> None:
    blend = ColorTransfer(steps=5, samples=2000, strength=0.7)
    blend.fit(photo(0), [photo(1, low=0.5), photo(2)], [1, 3])
    x, other = np.random.default_rng(0).uniform(size=(2, 4000, 3))
    for transfer in (fitted, blend):
        product = ((transfer._blended(x) - transfer._blended(other)) * (x - other)).sum(1)
        assert product.min() > 0


def test_blend_is_the_weighted_mean_of_its_maps() -> None:
    x, y, z = photo(0), photo(1, low=0.5), photo(2)
    alone = [
        ColorTransfer(method="gaussian").fit(x, palette)._blended(x.reshape(-1, 3) / 255)
        for palette in (y, z)
    ]
    blend = ColorTransfer(method="gaussian", strength=0.5).fit(x, [y, z], [1, 3])
    expected = 255 * (0.5 * x.reshape(-1, 3) / 255 + 0.5 * (0.25 * alone[0] + 0.75 * alone[1]))
    np.testing.assert_allclose(blend.transform(x).reshape(-1, 3), expected.clip(0, 255), atol=1.5)


def test_smooth_lowers_steepness_and_zero_is_the_plain_map() -> None:
    x, y = 100 + photo(0) // 16, photo(1)
    transfers = [
        ColorTransfer(steps=5, samples=2000, smooth=smooth).fit(x, y) for smooth in (0.0, 6.0, 12.0)
    ]
    exact = transfers[0]
    plain = OTMap(steps=5).fit(exact._sampled(x, "source", 0), exact._sampled(y, "palette", 1))
    colors = x.reshape(-1, 3) / 255
    np.testing.assert_array_equal(exact._blended(colors), plain.transform(colors))
    steepness = [agreement(x, transfer.transform(x)).steepness for transfer in transfers]
    assert steepness[1] < 0.7 * steepness[0]
    assert steepness[2] < 0.7 * steepness[1]


def test_inverse_map_reaches_the_palette(fitted: ColorTransfer) -> None:
    x, y = photo(0), photo(1, low=0.5)
    inverse = ColorTransfer(steps=5, samples=2000, inverse=True).fit(x, y)
    result = inverse.transform(x)
    assert np.abs(result.mean((0, 1)) - y.mean((0, 1))).max() < 6
    assert not np.array_equal(result, fitted.transform(x))
    inside = ((result > 5) & (result < 250)).all(-1)
    assert np.abs(inverse.inverse_transform(result).astype(int) - x)[inside].max() <= 6


def test_zero_weight_leaves_a_palette_out() -> None:
    x, y, z = photo(0), photo(1, low=0.5), photo(2)
    make = lambda: ColorTransfer(steps=3, samples=1500)
    alone = make().fit(x, y).transform(x)
    np.testing.assert_array_equal(make().fit(x, [y, z], [1, 0]).transform(x), alone)
    assert not np.array_equal(make().fit(x, [y, z], [0.5, 0.5]).transform(x), alone)


def test_equal_seeds_give_equal_maps(fitted: ColorTransfer) -> None:
    again = ColorTransfer(steps=5, samples=2000).fit(photo(0), photo(1, low=0.5))
    other = ColorTransfer(steps=5, samples=2000, seed=1).fit(photo(0), photo(1, low=0.5))
    np.testing.assert_array_equal(again.transform(photo(0)), fitted.transform(photo(0)))
    assert not np.array_equal(other.transform(photo(0)), fitted.transform(photo(0)))


def test_inverse_transform_inverts_a_blend() -> None:
    x = photo(0)
    blend = ColorTransfer(method="gaussian", strength=0.5).fit(x, [photo(1, low=0.3), photo(2)])
    inside = (x > 60).all(-1) & (x < 200).all(-1)
    back = blend.inverse_transform(blend.transform(x))
    assert np.abs(back.astype(int) - x)[inside].max() <= 2


def test_pictures_of_other_modes_are_transferred(tmp_path: Path) -> None:
    image = Image.fromarray(photo(6))
    for mode in ("L", "P", "1", "CMYK", "LA"):
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        image.convert(mode).save(path)
        picture = read_picture(path)
        assert picture.colors.shape == (24, 17, 3)
        assert picture.notes == (f"mode {mode} is read as RGB",)
        transfer = ColorTransfer(steps=2, samples=500).fit(picture, photo(1))
        assert transfer.transform(picture).colors.dtype == np.uint8


def test_source_of_one_color_is_transferred_with_a_note() -> None:
    one = np.full((1, 1, 3), 7, np.uint8)
    transfer = ColorTransfer(steps=2, samples=500).fit(one, photo(1))
    assert transfer.notes_ == ("the source has one color: its map is a shift or a single color",)
    assert abs(transfer.transform(one).mean() - photo(1).mean()) < 5


def test_bad_inputs_are_refused() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    fit = ColorTransfer(method="gaussian").fit
    for call, message in (
        (lambda: fit(clear, photo(0)), "the source is fully transparent"),
        (lambda: fit(photo(0), [photo(1)], [1, 2]), "2 weights for 1 palette"),
        (lambda: fit(photo(0), [photo(1), photo(2)], [-1, 2]), "weights must be at least 0"),
        (lambda: fit(photo(0), []), "palettes is empty"),
        (lambda: fit(photo(0)[..., 0], photo(1)), "source must have shape"),
        (lambda: ColorTransfer(strength=2), "strength must be between 0 and 1"),
        (lambda: ColorTransfer(smooth=-1), "smooth must be between 0 and 64"),
        (
            lambda: ColorTransfer(inverse=True, method="exact"),
            "inverse needs a map with an inverse",
        ),
        (lambda: ColorTransfer(space="rbg"), "did you mean 'rgb'"),  # type: ignore[arg-type]
        (lambda: ColorTransfer().transform(photo(0)), "not fitted"),
    ):
        with pytest.raises(MongeError, match=message):
            call()
