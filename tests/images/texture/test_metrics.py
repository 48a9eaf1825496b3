"""Figures of textures: closed forms, invariances, and what must separate a sample from a copy, a
tile from a crop.
"""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks.textures.peers import _cut, gram, nearest_neighbor, quilting
from monge import ot
from monge.data import rng
from monge.images.texture.copying import copying, copying_score, nearest_patches
from monge.images.texture.metrics import gram_distance, patch_w2, seam_score, sliced_patch_w2
from monge.nets import RandomFilters, patches, pyramid


def texture(h: int = 96, w: int = 96, seed: int = 0, *, c: int = 3, torus: bool = False) -> Tensor:
    """Smoothed noise, neither flat nor regular."""
    noise = torch.rand(1, c, h + 8, w + 8, generator=rng(seed))
    if torus:
        noise = torch.nn.functional.pad(noise[..., 4:-4, 4:-4], (4, 4, 4, 4), mode="circular")
    x = avg_pool2d(avg_pool2d(noise, 5, 1), 5, 1)[0]
    return ((x - x.mean()) / (8 * x.std()) + 0.5).clamp(0, 1)


def shuffled(x: Tensor) -> Tensor:
    return x.flatten(1)[:, torch.randperm(x[0].numel(), generator=rng(5))].view_as(x)


def test_the_exemplar_itself_is_at_the_floor_and_its_shuffled_pixels_are_far() -> None:
    x = texture()
    itself, mixed = (patch_w2(image, x, n=200, scales=2) for image in (x, shuffled(x)))
    assert all(0.85 < found.ratio < 1.15 for found in itself)
    assert all(found.ratio > 1.5 for found in mixed)
    assert mixed[0].ratio > 3
    # of the exemplar and the seed alone
    assert [a.floor for a in itself] == [b.floor for b in mixed]


def test_a_shift_of_all_pixels_adds_its_square_exactly() -> None:
    x, y, delta = texture(seed=1).double(), texture().double(), 0.125
    up, at, down = (
        patch_w2(x + shift, y, n=100, patch=3, draws=1) for shift in (delta, 0.0, -delta)
    )
    for scale in range(3):
        assert (up[scale].value + down[scale].value) / 2 - at[scale].value == pytest.approx(
            27 * delta**2, rel=1e-4
        )


def test_patches_drawn_are_those_laid_out() -> None:
    """With as many as there are in all, and the exemplar twice as wide, the value has no draw left
    on the image's side.
    """
    x, y = texture(12, 12, seed=1, c=1), texture(12, 60, c=1)
    for torus, places in ((False, 81), (True, 144)):
        found = patch_w2(x, y, scales=1, n=places, draws=1, torus=torus)[0].value
        target = patches(y[None], 4)[0]
        drawn = target[torch.randperm(len(target), generator=rng(0, 31, 0, 0))[:places]]
        whole = patches(x[None], 4, torus=torus)[0]
        assert found == pytest.approx(
            (ot.wasserstein(whole.double(), drawn.double()) ** 2).item(), rel=1e-6
        )


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


def test_inpainting_compares_the_hole_with_its_surroundings() -> None:
    x = texture()
    mask = torch.zeros(96, 96, dtype=torch.bool)
    mask[30:60, 40:70] = True
    wrong = torch.where(mask, 0.0, x)
    whole, hole = patch_w2(wrong, x, n=200), patch_w2(wrong, wrong, n=200, mask=mask, region=~mask)
    good = patch_w2(x, x, n=200, mask=mask, region=~mask)
    assert all(h.ratio > 2 * w.ratio > 4 for h, w in zip(hole, whole, strict=True))
    assert good[0].floor == hole[0].floor  # nothing of the hole is in it
    assert good[0].ratio < 1.4
    # every patch that touches has a pixel of the hole: none is at 0
    flat = torch.where(mask, 0.75, 0.25).expand(1, 96, 96)
    assert patch_w2(flat, flat, n=2000, scales=1, mask=mask, region=~mask)[
        0
    ].value == pytest.approx(4.0 * 0.8265, rel=1e-3)
    assert patch_w2(flat, flat, n=2000, mask=mask, region=~mask)[1].floor < 1e-3


def test_a_hole_may_cross_the_border_of_a_torus() -> None:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, 0] = True
    x = mask.float()[None]
    x[:, :, -1] = 1
    y = torch.zeros(1, 64, 64)
    plain, around = (
        patch_w2(x, y, scales=1, mask=mask, torus=torus)[0].value for torus in (False, True)
    )
    # only patches that begin at the hole touch it: one bright column of four pixels
    assert plain == pytest.approx(4)
    # three of four begin before it, and hold the bright column before it too
    assert around == pytest.approx(7)
    with pytest.raises(ValueError, match="scale 0 has 0 patches of the image"):
        patch_w2(x, y, scales=1, mask=torch.zeros(32, 32, dtype=torch.bool))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"exemplar": torch.zeros(1, 32, 32)}, "one number of colors"),
        ({"mask": torch.zeros(3, 3, dtype=torch.bool)}, "mask must be bool"),
        ({"region": torch.zeros(32, 32)}, "region must be bool"),
        ({"patch": 20}, "scale 1 has 0 patches"),
    ],
)
def test_patch_w2_refuses(given: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        patch_w2(**{"image": torch.rand(3, 32, 32), "exemplar": torch.rand(3, 32, 32), **given})


def test_sliced_is_that_of_the_patches_laid_out() -> None:
    x, y = texture(24, 20, seed=1).double(), texture(30, 40).double()
    theta = torch.randn(64, 48, generator=rng(0, 32), dtype=torch.float64)
    for torus in (False, True):
        found = sliced_patch_w2(x, y, scales=2, torus=torus)
        for value, u, v in zip(
            found, pyramid(x[None], 2, torus=torus), pyramid(y[None], 2), strict=True
        ):
            rows, columns = patches(u, 4, torus=torus)[0], patches(v, 4)[0]
            assert value == pytest.approx(
                ot.sliced_wasserstein(rows, columns, projections=theta).item() ** 2
            )
    with pytest.raises(ValueError, match="take fewer scales"):
        sliced_patch_w2(x, y, scales=4)


def test_copying_tells_copies_from_samples() -> None:
    x = texture(96, 160)
    left, right = x[:, :, :80], x[:, :, 80:]
    assert copying_score(x[:, 9:83, 21:113], x) == 1
    assert copying_score(left, right) == 0
    assert copying_score(torch.rand(3, 60, 60, generator=rng(1)), x) == 0
    tiles = torch.cat([x[:, 5:45, 7:47], x[:, 50:90, 110:150], x[:, 30:70, 60:100]], 2)
    # one column of the grid straddles each of two seams
    assert copying_score(tiles, x) == pytest.approx(27 / 29)
    assert copying_score(tiles + 0.002 * torch.randn(tiles.shape, generator=rng(2)), x) > 0.75
    assert copying_score(texture(80, 80, seed=9), x) == 0
    # offsets agree, patches do not
    grainy = tiles + 0.05 * torch.randn(tiles.shape, generator=rng(2))
    assert copying_score(grainy, x) == 0
    assert copying_score(grainy, x, tolerance=1e9) > 0.75


def test_short_runs_do_not_count() -> None:
    x = texture(96, 160)
    mosaic = torch.cat([x[:, 20:60, 10 + 37 * k : 10 + 37 * k + 20] for k in (0, 3, 1, 2)], 2)
    assert copying_score(mosaic, x) > 0.2  # 40 × 20 pixels hold more patches than a square of 24
    assert copying_score(mosaic, x, run=36) == 0


def test_the_map_says_where_from() -> None:
    x = texture(96, 96)
    found = copying(x[:, 9:50, 21:72], x)
    rows, columns = torch.meshgrid(torch.arange(9, 50), torch.arange(21, 72), indexing="ij")
    assert found.copied.shape == (41, 51)
    assert found.copied.all()
    assert torch.equal(found.nearest, torch.stack([rows, columns]))


def test_flat_pictures_are_no_copies() -> None:
    assert copying_score(torch.full((3, 40, 40), 0.5), texture()) == 0
    assert copying_score(torch.full((3, 40, 40), 0.5), torch.full((3, 40, 40), 0.5)) == 0


def test_nearest_patches_across_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = patches(texture(20, 20, seed=1)[None], 6)[0], texture(40, 50)
    whole = nearest_patches(x, y, 6)
    all_of_them = patches(y[None], 6)[0]
    squared, at = torch.cdist(x.double(), all_of_them.double()).square().min(1)
    monkeypatch.setattr(sys.modules["monge.images.texture.copying"], "_BAND", 200)
    for found, distance in (whole, nearest_patches(x, y, 6)):
        assert torch.equal(found[:, 0] * 45 + found[:, 1], at)
        torch.testing.assert_close(distance.double(), squared, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"stride": 17}, "stride must lie"),
        ({"patch": 99}, "does not fit"),
        ({"image": torch.zeros(1, 40, 40)}, "c, h"),
    ],
)
def test_copying_refuses(given: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        copying(**{"image": torch.rand(3, 40, 40), "exemplar": torch.rand(3, 40, 40), **given})


def test_a_tile_has_no_seam_and_a_crop_has_one() -> None:
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


def test_seam_and_interior_in_closed_form() -> None:
    ramp = torch.arange(10.0)[:, None].expand(1, 10, 10).clone()
    # differences jump from 1 to −9 and back: twice (1 + 9)²; inside nothing bends
    found = seam_score(ramp)
    assert (found.seam, found.interior, found.rank) == (200, 0, 0)
    assert found.ratio == float("inf")


def test_gram_distance_orders_pictures() -> None:
    x = texture()
    assert gram_distance(x, x) == 0
    other, steep, mixed = texture(seed=4), 1.5 * x, shuffled(x)
    assert gram_distance(other, x, scales=1) < 0.02
    # ReLU and the Gram matrix scale with x and x²
    assert gram_distance(steep, x) == pytest.approx((1.5**2 - 1) ** 2, rel=1e-4)
    assert gram_distance(mixed, x) > 0.5
    assert gram_distance(x[:, :64], x, scales=1) < 0.02
    # 2 × 2 places are left at scale 3, and ReLU silences some
    assert gram_distance(other[:, :64, :64], x[:, :64, :64]) < 10
    tile = texture(torus=True)
    assert gram_distance(tile.roll((11, 30), (1, 2)), x, torus=True, scales=1) == pytest.approx(
        gram_distance(tile, x, torus=True, scales=1), rel=1e-4
    )


def test_random_filters_have_mean_zero_norm_one_and_go_round() -> None:
    net = RandomFilters(3, scales=3, filters=8, size=5, seed=1)
    torch.testing.assert_close(net.weight.flatten(1).norm(dim=1), torch.ones(8))
    assert net.weight.mean((2, 3)).abs().max() < 1e-7
    assert torch.equal(net.weight, RandomFilters(3, filters=8, size=5, seed=1).weight)
    assert not torch.equal(net.weight, RandomFilters(3, filters=8, size=5, seed=2).weight)
    x = texture()[None]
    plain, around = net(x), RandomFilters(3, scales=3, filters=8, size=5, seed=1, torus=True)(x)
    for scale, (f, g) in enumerate(zip(plain, around, strict=True)):
        assert f.shape[1:] == (11, (96 >> scale) - 4, (96 >> scale) - 4)
        assert g.shape[1:] == (11, 96 >> scale, 96 >> scale)
    torch.testing.assert_close(plain[0], around[0][..., 2:-2, 2:-2])
    torch.testing.assert_close(plain[0][:, 8:], x[..., 2:-2, 2:-2])
    bright = net(x + 0.5)[0]
    # the filters see no brightness
    torch.testing.assert_close(bright[:, :8], plain[0][:, :8], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="take fewer scales"):
        net(x[..., :16, :16])
    with pytest.raises(ValueError, match="size must be at least 2"):
        RandomFilters(3, size=1)


def test_peers_follow_the_seed_and_come_near() -> None:
    v = texture(48, 48)
    few = ({16: 1, 8: 2}, {16: 2, 8: 2})
    for make in (
        lambda seed: nearest_neighbor(v, 48, seed, sweeps=few),
        lambda seed: quilting(v, 48, seed, block=16, overlap=4),
    ):
        x = make(0)
        assert x.shape == (3, 48, 48)
        assert 0 <= x.min() < x.max() <= 1
        assert torch.equal(x, make(0))
        assert not torch.equal(x, make(1))
        assert patch_w2(x, v, n=150, scales=1, draws=1)[0].ratio < 2
    small, large = (quilting(v, size, 0, block=16, overlap=4) for size in (16, 48))
    assert torch.equal(small[:, :12, :12], large[:, :12, :12])


def test_matching_gram_matrices_lowers_their_distance() -> None:
    v = texture(128, 128)
    none, some = (gram(v, 128, 0, filters=16, steps=(steps,) * 4) for steps in (1, 60))
    assert gram_distance(some, v, scales=2) < 0.3 * gram_distance(none, v, scales=2)


def test_the_cut_takes_the_least_error() -> None:
    error = torch.ones(5, 4)
    path = [1, 2, 2, 1, 0]
    error[torch.arange(5), path] = 0
    assert torch.equal(_cut(error), torch.arange(4) >= torch.tensor(path)[:, None])


def test_quilting_finds_blocks_that_fit() -> None:
    v = texture(24, 24, torus=True).repeat(1, 3, 3)  # every block has a perfect neighbor
    x = quilting(v, 60, 0, block=16, overlap=4, slack=0)
    assert nearest_patches(patches(x[None], 6)[0], v, 6)[1].max() < 1e-6
