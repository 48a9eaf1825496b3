"""Filter features respond to the properties they name, and their Fréchet distance to changes."""

from __future__ import annotations

import pytest
import torch

from monge.metrics import filter_features, frechet_filters


def test_filter_features_respond_to_the_properties_they_name() -> None:
    x = 0.3 * torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = filter_features(x)
    assert plain.shape == (8, 30)
    assert filter_features(x[:, :1]).shape == (8, 16)
    upper = x.clone()
    upper[:, :, :10] += 0.2
    changed = (filter_features(upper) - plain).abs().mean(0) > 0.05
    assert changed[0]
    assert not changed[3:9].any()  # the other thirds
    # stripes have edges only to the right
    stripes = torch.linspace(0, 20, 32).sin().expand(1, 1, 32, 32)
    down, right = filter_features(stripes)[0, [4, 5]]
    assert right > down + 3
    mirrored = filter_features(stripes.transpose(2, 3))[0, [4, 5]]
    torch.testing.assert_close(mirrored, torch.stack([right, down]))
    torch.testing.assert_close(filter_features(3 * x), filter_features((3 * x).clamp(-1, 1)))
    with pytest.raises(ValueError, match=r"expected pictures .* got \(2, 4, 32, 32\)"):
        filter_features(torch.zeros(2, 4, 32, 32))


def test_frechet_filters_is_at_its_floor_for_real_pictures_and_above_for_changed_ones() -> None:
    rng = torch.Generator().manual_seed(0)
    x, y, z = (0.3 * torch.randn(60, 3, 16, 16, generator=rng) for _ in range(3))
    same = frechet_filters(x, y, z)
    assert 0.7 < same.ratio < 1.4
    tint = torch.tensor([0.1, 0, -0.1])[:, None, None]
    for changed in (x + 0.1, 1.3 * x, x.flip(1) + tint):
        assert frechet_filters(changed, y, z).ratio > 3
    assert frechet_filters(x[:20], y, z).floor > same.floor  # as few real pictures as samples
