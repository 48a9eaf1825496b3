"""Metrics of textures: closed forms, invariances, and values of good and bad pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.data import rng
from monge.images.texture.metrics import gram_distance, patch_w2, seam_score, sliced_patch_w2
from monge.nets import patches, pyramid
from tests.helpers.images import texture


def shuffled(x: Tensor) -> Tensor:
    """Return a picture with its pixels in random order."""
    return x.flatten(1)[:, torch.randperm(x[0].numel(), generator=rng(5))].view_as(x)


def test_exemplar_is_at_the_floor_and_its_shuffled_pixels_are_above() -> None:
    x = texture()
    itself, mixed = (patch_w2(image, x, n=200, scales=2) for image in (x, shuffled(x)))
    assert all(0.85 < scale.ratio < 1.15 for scale in itself)
    assert all(scale.ratio > 1.5 for scale in mixed)
    assert mixed[0].ratio > 3
    # the floor depends on the exemplar and the seed only
    assert [a.floor for a in itself] == [b.floor for b in mixed]


def test_patch_w2_grows_by_the_square_of_a_shift() -> None:
    x, y, delta = texture(seed=1).double(), texture().double(), 0.125
    up, at, down = (
        patch_w2(x + shift, y, n=100, patch=3, draws=1) for shift in (delta, 0.0, -delta)
    )
    for scale in range(3):
        increase = (up[scale].value + down[scale].value) / 2 - at[scale].value
        assert increase == pytest.approx(27 * delta**2, rel=1e-4)


def test_drawn_patches_equal_extracted_patches() -> None:
    """With all patches of the image, and a wider exemplar, only those of the exemplar are drawn."""
    x, y = texture(12, 12, seed=1, c=1), texture(12, 60, c=1)
    for torus, places in ((False, 81), (True, 144)):
        value = patch_w2(x, y, scales=1, n=places, draws=1, torus=torus)[0].value
        target = patches(y[None], 4)[0]
        drawn = target[torch.randperm(len(target), generator=rng(0, 31, 0, 0))[:places]]
        whole = patches(x[None], 4, torus=torus)[0]
        expected = ot.wasserstein(whole.double(), drawn.double()).item() ** 2
        assert value == pytest.approx(expected, rel=1e-6)


def test_draws_are_averaged_and_follow_the_seed() -> None:
    x, y = texture(seed=1), texture()
    one, two, again = (patch_w2(x, y, n=60, scales=1, draws=2, seed=seed)[0] for seed in (0, 1, 0))
    assert one == again
    assert one != two
    assert one != patch_w2(x, y, n=60, scales=1, draws=1)[0]


def test_disjoint_draws_share_no_patch() -> None:
    x = texture(13, 13, c=1)  # 100 patches: two independent draws of 50 share half
    independent, disjoint = (
        patch_w2(x, x, scales=1, n=50, disjoint=flag)[0].floor for flag in (False, True)
    )
    assert disjoint > 1.3 * independent


def test_mask_and_region_compare_a_hole_with_its_surroundings() -> None:
    x = texture()
    mask = torch.zeros(96, 96, dtype=torch.bool)
    mask[30:60, 40:70] = True
    wrong = torch.where(mask, 0.0, x)
    whole, hole = patch_w2(wrong, x, n=200), patch_w2(wrong, wrong, n=200, mask=mask, region=~mask)
    good = patch_w2(x, x, n=200, mask=mask, region=~mask)
    assert all(h.ratio > 2 * w.ratio > 4 for h, w in zip(hole, whole, strict=True))
    assert good[0].floor == hole[0].floor  # the floor has no patches of the hole
    assert good[0].ratio < 1.4
    # every patch that counts has a pixel of the hole: none has distance 0
    flat = torch.where(mask, 0.75, 0.25).expand(1, 96, 96)
    fine, coarse, _ = patch_w2(flat, flat, n=2000, mask=mask, region=~mask)
    assert fine.value == pytest.approx(4.0 * 0.8265, rel=1e-3)
    assert coarse.floor < 1e-3


def test_mask_may_cross_the_border_of_a_torus() -> None:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, 0] = True
    x = mask.float()[None]
    x[:, :, -1] = 1
    y = torch.zeros(1, 64, 64)
    plain, around = (
        patch_w2(x, y, scales=1, mask=mask, torus=torus)[0].value for torus in (False, True)
    )
    # only patches that begin at the hole touch it: they have one bright column of four pixels
    assert plain == pytest.approx(4)
    # three of four patches begin before the hole, and include the bright column before it
    assert around == pytest.approx(7)
    with pytest.raises(ValueError, match="scale 0 has 0 patches of the image"):
        patch_w2(x, y, scales=1, mask=torch.zeros(32, 32, dtype=torch.bool))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exemplar": torch.zeros(1, 32, 32)}, "one number of colors"),
        ({"mask": torch.zeros(3, 3, dtype=torch.bool)}, "mask must be bool"),
        ({"region": torch.zeros(32, 32)}, "region must be bool"),
        ({"patch": 20}, "scale 1 has 0 patches"),
    ],
)
def test_patch_w2_refuses_bad_arguments(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        patch_w2(**{"image": torch.rand(3, 32, 32), "exemplar": torch.rand(3, 32, 32), **given})


def test_sliced_patch_w2_equals_sliced_w2_of_extracted_patches() -> None:
    x, y = texture(24, 20, seed=1).double(), texture(30, 40).double()
    theta = torch.randn(64, 48, generator=rng(0, 32), dtype=torch.float64)
    for torus in (False, True):
        values = sliced_patch_w2(x, y, scales=2, torus=torus)
        images, exemplars = pyramid(x[None], 2, torus=torus), pyramid(y[None], 2)
        for value, u, v in zip(values, images, exemplars, strict=True):
            ours, theirs = patches(u, 4, torus=torus)[0], patches(v, 4)[0]
            expected = ot.sliced_wasserstein(ours, theirs, projections=theta).item() ** 2
            assert value == pytest.approx(expected)
    with pytest.raises(ValueError, match="take fewer scales"):
        sliced_patch_w2(x, y, scales=4)


def test_seam_score_separates_tiles_from_crops() -> None:
    tile = texture(torus=True)
    for image in (tile, tile.roll(17, 1), tile.roll(30, 2), tile.mT):
        assert 0.5 < seam_score(image).ratio < 2
        assert seam_score(image).rank > 0.05
    for crop in (tile[:, :80], tile[:, :, :80], texture(seed=3)):
        assert seam_score(crop).ratio > 4
        assert seam_score(crop).rank == 0
    assert seam_score(3 * tile + 1).ratio == pytest.approx(seam_score(tile).ratio, rel=1e-4)
    assert seam_score(torch.ones(3, 8, 8)).ratio == 1
    with pytest.raises(ValueError, match="at least 6"):
        seam_score(torch.ones(3, 5, 9))


def test_seam_score_of_a_ramp_has_a_closed_form() -> None:
    ramp = torch.arange(10.0)[:, None].expand(1, 10, 10).clone()
    # differences jump from 1 to −9 and back: twice (1 + 9)²; second differences inside are 0
    score = seam_score(ramp)
    assert (score.seam, score.interior, score.rank) == (200, 0, 0)
    assert score.ratio == float("inf")


def test_gram_distance_orders_pictures() -> None:
    x = texture()
    assert gram_distance(x, x) == 0
    other, steep, mixed = texture(seed=4), 1.5 * x, shuffled(x)
    assert gram_distance(other, x, scales=1) < 0.02
    # ReLU and the Gram matrix scale with x and x²
    assert gram_distance(steep, x) == pytest.approx((1.5**2 - 1) ** 2, rel=1e-4)
    assert gram_distance(mixed, x) > 0.5
    assert gram_distance(x[:, :64], x, scales=1) < 0.02
    # 2 × 2 places are left at scale 3, and ReLU makes some of them 0
    assert gram_distance(other[:, :64, :64], x[:, :64, :64]) < 10
    tile = texture(torus=True)
    assert gram_distance(tile.roll((11, 30), (1, 2)), x, torus=True, scales=1) == pytest.approx(
        gram_distance(tile, x, torus=True, scales=1), rel=1e-4
    )
