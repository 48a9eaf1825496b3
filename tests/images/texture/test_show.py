"""Measures of a synthesized picture: distance to the exemplar, and share of copied pixels."""

from __future__ import annotations

import pytest

from monge.images.io import Picture
from monge.images.texture.show import copied_share, patch_distances
from tests.helpers.images import bricks, square


def test_patch_distances_and_copied_share_separate_good_from_bad_pictures() -> None:
    a, hole = bricks(side=36), square(36)
    scales = patch_distances(Picture(a), Picture(a))
    assert len(scales) == 2
    assert scales[0].ratio < 1.5
    assert patch_distances(Picture(a // 2), Picture(a))[0].ratio > 2
    wrong = a.copy()
    wrong[hole] = 0
    assert patch_distances(Picture(wrong), Picture(wrong), mask=hole, region=~hole)[0].ratio > 5
    assert len(patch_distances(Picture(bricks(side=7)), Picture(a))) == 1
    assert patch_distances(Picture(bricks(side=3)), Picture(a)) == []
    large = Picture(bricks(side=64))
    assert copied_share(large, large) == pytest.approx(1, abs=0.05)
    assert copied_share(Picture(255 - large.colors), large) == 0
    assert copied_share(Picture(a), large) is None
