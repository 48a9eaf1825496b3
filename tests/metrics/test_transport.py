"""Metrics of transport maps have known values."""

from __future__ import annotations

import pytest
import torch

from monge import metrics


def test_l2_uvp_of_the_mean_is_100_and_shapes_are_checked() -> None:
    truth = torch.randn(1000, 3)
    assert metrics.l2_uvp(truth.mean(0).expand(1000, 3), truth) == pytest.approx(100)
    with pytest.raises(ValueError, match="images of the same points"):
        metrics.l2_uvp(truth[:10], truth)
