"""WAE, WWAE, Sinkhorn autoencoder, ACAI and RAE: penalties, and the critic of interpolations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.data import StepInputs, from_array, load, load_prior
from monge.training.recipe import method_module
from tests.helpers.normal_points import normal

PENALIZED = [
    ("wae", {"penalty": "imq"}),
    ("wae", {"penalty": "rbf"}),
    ("wae", {"penalty": "gan"}),
    ("wwae", {}),
    ("sinkhorn_wae", {}),
]


def built(
    name: str, shape: tuple[int, ...] = (1, 8, 8), latent: int = 2, width: int = 16, **settings: Any
) -> Any:
    module, nets = method_module(name), {"kind": "mlp", "latent": latent, "width": width}
    torch.manual_seed(0)
    return module.build(module.Config(**{"nets": nets, "batch": 32} | settings), shape)


def brute_mmd(x: Tensor, y: Tensor, kernel: str, dimension: int) -> float:
    """Return the MMD without pairs of a point with itself, summed over the scales s.

    C = 2dσ²·s, and k = C/(C + r²) or exp(−r²/2C).
    """
    total = 0.0
    for share in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        C = 2 * dimension * share

        def k(a: Tensor, b: Tensor, C: float = C) -> Tensor:
            r2 = (a[:, None] - b[None]).square().sum(-1)
            return C / (C + r2) if kernel == "imq" else (-r2 / (2 * C)).exp()

        n, m = len(x), len(y)
        xx, yy = k(x, x), k(y, y)
        within_x = (xx.sum() - xx.trace()) / (n * (n - 1))
        within_y = (yy.sum() - yy.trace()) / (m * (m - 1))
        total += (within_x + within_y - 2 * k(x, y).mean()).item()
    return total


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_wae_penalty_is_the_unbiased_mmd(kernel: str) -> None:
    method = built("wae", penalty=kernel, latent=4)
    method.scales = [(share * 2 * 4) ** 0.5 for share in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    codes, prior = 0.5 * normal(40, 4) + 0.3, normal(30, 4, 1)
    expected = brute_mmd(codes, prior, kernel, 4)
    assert method.penalty(codes, prior).item() == pytest.approx(expected, abs=1e-6)


def test_scales_are_proportional_to_the_variance_of_the_prior() -> None:
    """2dσ², the mean squared distance of two points, is 8 for both priors in four dimensions."""
    for prior in ("normal", "uniform"):
        method = built("wae", prior=prior, latent=4)
        assert method.scales[3] ** 2 == pytest.approx(8, rel=0.05)
        epsilon = built("sinkhorn_wae", prior=prior, latent=4, epsilon=0.1).epsilon
        assert epsilon == pytest.approx(0.8, rel=0.05)


@pytest.mark.parametrize(
    ("name", "settings"), [("wae", {"penalty": "imq"}), ("wae", {"penalty": "rbf"})]
)
def test_mmd_of_prior_codes_averages_to_zero(name: str, settings: dict[str, Any]) -> None:
    method = built(name, latent=8, **settings)
    values = torch.tensor(
        [method.penalty(normal(64, 8, 2 * i), normal(64, 8, 2 * i + 1)) for i in range(100)]
    )
    assert abs(values.mean().item()) < 3 * values.std().item() / 10
    assert (values < 0).any()  # an estimator that is never negative is not unbiased


@pytest.mark.parametrize(("name", "settings"), PENALIZED)
def test_penalty_is_smaller_for_codes_from_the_prior(name: str, settings: dict[str, Any]) -> None:
    method = built(name, latent=4, **settings)
    if settings.get("penalty") == "gan":
        pytest.skip("an untrained discriminator: see test_training_moves_codes_to_the_prior")
    near = normal(256, 4)
    far = torch.stack([0.2 * normal(256, 4, 2), 3 + normal(256, 4, 3), 2 * normal(256, 4, 4)])
    value = penalty_of(name, method)
    assert all(value(codes) > 4 * abs(value(near)) for codes in far)


def penalty_of(name: str, method: Any) -> Any:
    prior = normal(256, 4, 9)
    if name == "wae":
        return lambda codes: method.penalty(codes, prior).item()
    if name == "wwae":
        return lambda codes: ot.normal_w2_squared(codes).item()
    return lambda codes: ot.sinkhorn_divergence(codes, prior, epsilon=method.epsilon).item()


@pytest.mark.parametrize(("name", "settings"), PENALIZED)
def test_training_moves_codes_to_the_prior(name: str, settings: dict[str, Any]) -> None:
    """Codes have about mean 0 and covariance I after training, but not before."""
    data = from_array((2 * normal(2000, 4) + 3).float().numpy(), "points")
    weight = 300 if name == "wae" and settings["penalty"] != "gan" else 20
    rates = {"adam": {"lr": 5e-3}} | ({"discriminator": {"lr": 5e-3}} if name == "wae" else {})
    method = built(name, (4,), width=32, weight=weight, batch=128, **rates, **settings)
    before = ot.normal_w2_squared(method.autoencoder.encode(data.held_out(400))).item()
    for step in range(300):
        method.step(StepInputs(data, 0, step, position=128 * step, steps=300))
    z = method.autoencoder.encode(data.held_out(400)).detach()
    after = ot.normal_w2_squared(z).item()
    assert after < 0.25
    assert before > 4 * after


def test_sinkhorn_wae_reaches_a_prior_of_eight_gaussians() -> None:
    """Codes are much closer to eight Gaussians than a Gaussian fitted to the codes is."""
    data = from_array(normal(2000, 2).float().numpy(), "points")
    method = built(
        "sinkhorn_wae",
        (2,),
        prior="8gaussians",
        width=64,
        adam={"lr": 5e-3},
        weight=100,
        epsilon=0.01,
        batch=128,
    )
    for step in range(200):
        method.step(StepInputs(data, 0, step, position=128 * step, steps=200))
    z = method.autoencoder.encode(data.held_out(400)).detach()
    target = load_prior("8gaussians", 2).train(400)
    other = load_prior("8gaussians", 2).held_out(400)
    floor = ot.wasserstein(other.double(), target.double()) ** 2
    fitted = method.autoencoder.fitted(400)
    ours, gaussian = (ot.wasserstein(t.double(), target.double()) ** 2 for t in (z, fitted))
    assert ours < gaussian / 3 + floor


def test_interpolation_weight_0_has_no_critic() -> None:
    for name in ("acai", "wae", "wwae", "sinkhorn_wae"):
        method = built(name, interpolation={"weight": 0.0})
        assert method.critic is None
        assert "critic" not in method.optimizers
        assert built(name, interpolation={"weight": 0.5}).critic is not None


@pytest.mark.parametrize("name", ["acai", "wae", "wwae", "sinkhorn_wae"])
def test_interpolation_term_changes_the_autoencoder(name: str) -> None:
    """From the same weights and data, steps with different weights of the term differ."""
    after = []
    for weight in (1e-9, 10.0):
        method = built(name, interpolation={"weight": weight})
        method.step(StepInputs(load("digits"), 0, 0))
        after.append(torch.cat([p.flatten() for p in method.autoencoder.encoder.parameters()]))
    assert not torch.allclose(after[0], after[1], atol=1e-5)


@pytest.mark.parametrize("name", ["acai", "wae", "wwae", "sinkhorn_wae"])
def test_interpolation_weight_rises_during_the_warmup(name: str) -> None:
    """With a warmup the weight is 0 at the first step, and half its value after half the warmup."""
    weights = []
    for warmup, step in ((0.0, 0), (0.5, 0), (0.5, 5)):
        method = built(name, interpolation={"weight": 0.5, "warmup": warmup})
        scalars = method.step(StepInputs(load("digits"), 0, step, steps=20))
        unit = 1 if name == "acai" else 64
        rest = scalars["reconstruction"] * unit
        if name != "acai":
            rest += method.config.weight * scalars["penalty"]
        weights.append(((scalars["loss"] - rest) / (unit * scalars["interpolation"])).item())
    assert weights == pytest.approx([0.5, 0.0, 0.25], abs=1e-2)


def test_wwae_trains_with_fewer_samples_than_code_dimensions() -> None:
    method = built("wwae", latent=40, batch=16)
    for step in range(3):
        scalars = method.step(StepInputs(load("digits"), 0, step))
        assert all(torch.isfinite(value) for value in scalars.values())
    assert torch.isfinite(method.sample(4)).all()


def test_rae_penalties_shrink_codes_and_weights() -> None:
    sizes = []
    for penalty in (0.0, 10.0):
        method = built("rae", code_penalty=penalty, decoder_decay=penalty / 10, adam={"lr": 1e-2})
        for step in range(100):
            scalars = method.step(StepInputs(load("digits"), 0, step, position=32 * step))
        sizes.append((scalars["code_size"].item(), scalars["decoder_size"].item()))
    assert sizes[1][0] < sizes[0][0] / 4
    assert sizes[1][1] < sizes[0][1]
