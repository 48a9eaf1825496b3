"""The critic of interpolations: mixtures, losses, and estimates of α."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.data import rng
from monge.nets import Autoencoder, InterpolationCritic, build_autoencoder, build_encoder
from monge.optim import linear_decay
from tests.helpers.normal_points import normal


def test_mix_weights_the_partner_by_alpha() -> None:
    critic = InterpolationCritic(torch.nn.Identity())
    z = torch.arange(8.0).reshape(4, 2)
    alpha = torch.tensor([[0.0], [0.5], [0.25], [0.0]])
    wanted = torch.stack([(1 - a) * z[i] + a * z[3 - i] for i, a in enumerate(alpha.flatten())])
    assert torch.allclose(critic.mix(z, alpha), wanted)


def test_loss_is_zero_for_a_perfect_critic_and_positive_for_a_constant() -> None:
    """If (n, 1) − (n,) were broadcast to (n, n), a perfect critic would have twice the loss."""
    critic = InterpolationCritic(torch.nn.Identity())
    alpha = torch.rand(500, 1, generator=rng(0)) / 2
    zero = torch.zeros(500, 1)
    assert critic.loss(alpha, alpha, zero, zero).item() == pytest.approx(0, abs=1e-12)
    constant = critic.loss(torch.full((500, 1), 0.25), alpha, zero, zero).item()
    assert constant == pytest.approx(1 / 48, rel=0.1)  # the variance of U[0, ½]
    assert critic.fooled(alpha).item() == pytest.approx(alpha.square().mean().item())
    # the target for γ x + (1 − γ) x̂ is 0
    assert critic.loss(alpha, alpha, zero + 1, zero).item() == pytest.approx(0.2**2)


def test_critic_loss_has_no_gradient_in_the_autoencoder() -> None:
    autoencoder = build_autoencoder("mlp", (4,), 2, 8)
    critic = InterpolationCritic(build_encoder("mlp", (4,), 8, 1))
    x = normal(16, 4, dtype=torch.float32)
    z = autoencoder.encode(x)
    alpha = torch.rand(16, 1, generator=rng(1)) / 2
    mixed = autoencoder.decode(critic.mix(z, alpha))
    parameters = list(autoencoder.parameters())
    gradients = torch.autograd.grad(
        critic.loss(mixed, alpha, x, autoencoder.decode(z)), parameters, allow_unused=True
    )
    assert all(g is None for g in gradients)
    gradients = torch.autograd.grad(critic.fooled(mixed), parameters, allow_unused=True)
    assert any(g is not None and g.abs().max() > 0 for g in gradients)


def test_critic_learns_alpha_for_a_frozen_autoencoder() -> None:
    """Its squared error is less than a quarter of a constant's, and |α| < 0.05 for data.

    Samples are the 32 unit vectors and the encoder is a rotation, so that α can be read off a
    mixture, except for one in 32, which is a mixture of a sample with itself.
    """
    k = 32
    autoencoder = Autoencoder(
        torch.nn.Linear(k, k, bias=False), torch.nn.Linear(k, k, bias=False), k
    )
    rotation = torch.linalg.qr(normal(k, k, dtype=torch.float32))[0]
    with torch.no_grad():
        autoencoder.encoder.weight.copy_(rotation)
        autoencoder.decoder.weight.copy_(rotation.T)
    torch.manual_seed(0)
    critic = InterpolationCritic(build_encoder("mlp", (k,), 64, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)

    @torch.no_grad()
    def batch(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        random = rng(seed)
        x = torch.eye(k)[torch.randint(k, (n,), generator=random)]
        alpha = torch.rand(n, 1, generator=random) / 2
        z = autoencoder.encode(x)
        return autoencoder.decode(critic.mix(z, alpha)), alpha, x, autoencoder.decode(z)

    for step in range(1500):
        linear_decay(optimizer, 1e-2, step / 1500)
        optimizer.zero_grad()
        critic.loss(*batch(256, step)).backward()
        optimizer.step()
    mixed, alpha, x, _ = batch(2000, -1)
    with torch.no_grad():
        assert (critic(mixed) - alpha.flatten()).square().mean() < alpha.var() / 4
        assert critic(x).abs().max() < 0.05
