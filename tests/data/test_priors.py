"""Priors of codes."""

from __future__ import annotations

import pytest
import torch

from monge.data import load_prior
from monge.errors import MongeError


def test_priors_have_unit_variance_and_unknown_ones_are_errors() -> None:
    for name in ("normal", "uniform", "sphere"):
        z = load_prior(name, 5).train(20_000)
        assert torch.allclose(z.T.cov(), torch.eye(5), atol=0.05)
        assert z.mean(0).abs().max() < 0.05
    with pytest.raises(MongeError, match="prior 'gaussian' cannot be sampled"):
        load_prior("gaussian", 5)
    with pytest.raises(
        MongeError, match=r"prior '8gaussians' cannot be sampled for codes of 5 numbers.*\(2,\)"
    ):
        load_prior("8gaussians", 5)
