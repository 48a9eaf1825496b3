"""The copying score: copies, new samples, flat pictures, and the search for nearest patches."""

from __future__ import annotations

import sys

import pytest
import torch

from monge.data import rng
from monge.images.texture.copying import copying, copying_score, nearest_patches
from monge.nets import patches
from tests.helpers.images import texture


def test_copying_score_separates_copies_from_samples() -> None:
    x = texture(96, 160)
    left, right = x[:, :, :80], x[:, :, 80:]
    assert copying_score(x[:, 9:83, 21:113], x) == 1
    assert copying_score(left, right) == 0
    assert copying_score(torch.rand(3, 60, 60, generator=rng(1)), x) == 0
    tiles = torch.cat([x[:, 5:45, 7:47], x[:, 50:90, 110:150], x[:, 30:70, 60:100]], 2)
    # one column of the grid lies across each of the two seams
    assert copying_score(tiles, x) == pytest.approx(27 / 29)
    assert copying_score(tiles + 0.002 * torch.randn(tiles.shape, generator=rng(2)), x) > 0.75
    assert copying_score(texture(80, 80, seed=9), x) == 0
    # offsets agree, patches do not
    grainy = tiles + 0.05 * torch.randn(tiles.shape, generator=rng(2))
    assert copying_score(grainy, x) == 0
    assert copying_score(grainy, x, tolerance=1e9) > 0.75


def test_short_runs_do_not_count_as_copied() -> None:
    x = texture(96, 160)
    mosaic = torch.cat([x[:, 20:60, 10 + 37 * k : 10 + 37 * k + 20] for k in (0, 3, 1, 2)], 2)
    assert copying_score(mosaic, x) > 0.2  # 40 × 20 pixels hold more patches than a square of 24
    assert copying_score(mosaic, x, run=36) == 0


def test_nearest_holds_the_places_in_the_exemplar() -> None:
    x = texture(96, 96)
    copies = copying(x[:, 9:50, 21:72], x)
    rows, columns = torch.meshgrid(torch.arange(9, 50), torch.arange(21, 72), indexing="ij")
    assert copies.copied.shape == (41, 51)
    assert copies.copied.all()
    assert torch.equal(copies.nearest, torch.stack([rows, columns]))


def test_flat_pictures_do_not_count_as_copied() -> None:
    assert copying_score(torch.full((3, 40, 40), 0.5), texture()) == 0
    assert copying_score(torch.full((3, 40, 40), 0.5), torch.full((3, 40, 40), 0.5)) == 0


def test_nearest_patches_do_not_depend_on_the_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = patches(texture(20, 20, seed=1)[None], 6)[0], texture(40, 50)
    whole = nearest_patches(x, y, 6)
    candidates = patches(y[None], 6)[0]
    squared, at = torch.cdist(x.double(), candidates.double()).square().min(1)
    monkeypatch.setattr(sys.modules["monge.images.texture.copying"], "_BAND", 200)
    for corners, distance in (whole, nearest_patches(x, y, 6)):
        assert torch.equal(corners[:, 0] * 45 + corners[:, 1], at)
        torch.testing.assert_close(distance.double(), squared, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stride": 17}, "stride must lie"),
        ({"patch": 99}, "does not fit"),
        ({"image": torch.zeros(1, 40, 40)}, "c, h"),
    ],
)
def test_copying_refuses_bad_arguments(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        copying(**{"image": torch.rand(3, 40, 40), "exemplar": torch.rand(3, 40, 40), **given})
