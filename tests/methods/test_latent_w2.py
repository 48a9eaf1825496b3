"""Latent transport of a bimodal data set, compared with the Gaussian baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.data import FiniteDataset, StepInputs, from_array
from monge.methods import latent_w2
from monge.metrics import energy_distance


@pytest.fixture(scope="module")
def data() -> FiniteDataset:
    """Return 8×8 pictures with one bright half, left or right, of varying brightness."""
    random = np.random.default_rng(0)
    pictures = np.zeros((2000, 8, 8), np.float32)
    left = random.random(2000) < 0.5
    bright = random.uniform(0.6, 1.0, 2000)
    pictures[left, :, :4] = bright[left, None, None]
    pictures[~left, :, 4:] = bright[~left, None, None]
    return from_array(pictures, "halves")


@pytest.fixture(scope="module")
def trained(data: FiniteDataset) -> latent_w2.LatentW2:
    torch.manual_seed(0)
    config = latent_w2.Config(
        nets={"kind": "mlp", "latent": 2, "width": 64},
        batch=64,
        adam={"lr": 3e-3},
        map_batch=256,
        map_adam={"lr": 0.01},
        potentials={"widths": (32, 16)},
        ema=0.95,
        encode=0.4,
    )
    method, position = latent_w2.build(config, data.shape), 0
    for step in range(1200):
        inputs = StepInputs(data, 0, step, position=position, steps=1200)
        method.step(inputs)
        position = inputs.position
    return method


@torch.no_grad()
def test_map_is_closer_to_the_data_than_the_gaussian_baseline(
    trained: latent_w2.LatentW2, data: FiniteDataset
) -> None:
    x = data.held_out(400)
    ours, gaussian = (
        energy_distance(sample(400), x) for sample in (trained.sample, trained.sample_baseline)
    )
    reconstructed = energy_distance(trained.reconstruct(x), data.train(400))
    assert ours < 0.4 * gaussian
    assert reconstructed < 0.3 * gaussian
    assert torch.equal(trained.sample(5, seed=3), trained.sample(5, seed=3))
    assert not torch.equal(trained.sample(5, seed=3), trained.sample(5, seed=4))


@torch.no_grad()
def test_codes_are_standardized_and_the_baseline_has_their_moments(
    trained: latent_w2.LatentW2, data: FiniteDataset
) -> None:
    codes = trained.encode(data.train(1600))
    assert codes.mean(0).abs().max() < 0.15
    assert codes.var(0).mean() == pytest.approx(1, abs=0.15)
    torch.testing.assert_close(trained.matrix @ trained.matrix.T, codes.T.cov(), atol=0.2, rtol=0)


def test_autoencoder_is_frozen_while_the_map_is_trained(
    trained: latent_w2.LatentW2, data: FiniteDataset
) -> None:
    before = [p.clone() for p in (*trained.encoder.parameters(), *trained.decoder.parameters())]
    scalars = trained.step(StepInputs(data, 0, 1199, steps=1200))
    assert "residual" in scalars
    assert "reconstruction" not in scalars
    after = [*trained.encoder.parameters(), *trained.decoder.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
