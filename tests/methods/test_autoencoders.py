"""WAE, WWAE, Sinkhorn autoencoder, ACAI and RAE: penalties against closed forms and brute force,
the critic of interpolations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from monge import ot
from monge.data import StepInputs, from_array, load, load_prior, rng
from monge.errors import MongeError
from monge.nets import Autoencoder, InterpolationCritic, build_autoencoder, build_encoder
from monge.optim import linear_decay
from monge.training.recipe import method_module

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


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, d, generator=rng(seed), dtype=dtype)


# Bures


@pytest.mark.parametrize(("n", "d"), [(200, 5), (50, 1), (64, 32)])
def test_normal_w2_squared_is_the_closed_form(n: int, d: int) -> None:
    z = normal(n, d) @ normal(d, d, 1) + 3 * normal(1, d, 2)
    m, C = z.numpy().mean(0), np.cov(z.numpy().T, bias=True).reshape(d, d)
    wanted = (m**2).sum() + ((np.sqrt(np.linalg.eigvalsh(C).clip(0)) - 1) ** 2).sum()
    assert ot.normal_w2_squared(z).item() == pytest.approx(wanted, rel=1e-10)
    zero, eye = torch.zeros(d, dtype=z.dtype), torch.eye(d, dtype=z.dtype)
    between = ot.bures_wasserstein(torch.from_numpy(m), torch.from_numpy(C), zero, eye)
    assert ot.normal_w2_squared(z).item() == pytest.approx(between.item(), rel=1e-6)


def test_normal_w2_squared_has_the_gradient_of_finite_differences() -> None:
    z = normal(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(ot.normal_w2_squared, (z,))
    batch = normal(24, 3).reshape(2, 12, 3).requires_grad_()
    assert torch.autograd.gradcheck(ot.normal_w2_squared, (batch,))


def test_normal_w2_squared_of_prior_codes_is_the_sampling_error() -> None:
    """Codes from N(0, I): E = d/n + d(d+1)/4n to first order, within three standard errors of 200
    draws.
    """
    n, d = 2000, 8
    found = ot.normal_w2_squared(normal(200 * n, d).reshape(200, n, d))
    wanted = d / n + d * (d + 1) / (4 * n)
    assert abs(found.mean().item() - wanted) < 3 * found.std().item() / 200**0.5


@pytest.mark.parametrize(
    "z",
    [torch.zeros(16, 4), torch.ones(16, 4), normal(3, 8), torch.eye(16)[:, :4] * 1e-20],
    ids=str,
)
def test_degenerate_codes_have_a_finite_value_and_gradient(z: Tensor) -> None:
    z = z.float().requires_grad_()
    value = ot.normal_w2_squared(z)
    value.backward()
    assert z.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(z.grad).all()


def test_collapsed_codes_score_the_dimension_and_are_pushed_apart() -> None:
    assert ot.normal_w2_squared(torch.zeros(16, 8)).item() == pytest.approx(8)
    z = (1e-6 * normal(64, 3, dtype=torch.float32)).requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(ot.normal_w2_squared(z), z)
        z = (z - 10 * gradient).detach().requires_grad_()
    assert ot.normal_w2_squared(z).item() < 1e-6


def test_fewer_codes_than_dimensions_count_the_missing_ones_as_zero() -> None:
    z = normal(3, 8)
    C = np.cov(z.numpy().T, bias=True)
    wanted = (
        z.mean(0).square().sum().item() + ((np.sqrt(np.linalg.eigvalsh(C).clip(0)) - 1) ** 2).sum()
    )
    assert ot.normal_w2_squared(z).item() == pytest.approx(wanted, abs=1e-6)


def test_codes_are_moved_together_by_their_mean_alone() -> None:
    """The mean's part of the gradient is 2m/n a code; of fewer codes than dimensions a null
    direction may not add to it.
    """
    for n, d in ((3, 8), (40, 4)):
        z = (normal(n, d) + 1).requires_grad_()
        (gradient,) = torch.autograd.grad(ot.normal_w2_squared(z), z)
        assert torch.allclose(gradient.mean(0), 2 * z.mean(0) / n)


# penalties of the methods


def brute_mmd(x: Tensor, y: Tensor, kernel: str, dimension: int) -> float:
    """C = 2dσ²·s and k = C/(C + r²) or exp(−r²/2C), summed over s; pairs of a point with itself are
    left out.
    """
    total = 0.0
    for share in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        C = 2 * dimension * share

        def k(a: Tensor, b: Tensor, C: float = C) -> Tensor:
            r2 = (a[:, None] - b[None]).square().sum(-1)
            return C / (C + r2) if kernel == "imq" else (-r2 / (2 * C)).exp()

        n, m = len(x), len(y)
        xx, yy = k(x, x), k(y, y)
        total += (
            (xx.sum() - xx.trace()) / (n * (n - 1))
            + (yy.sum() - yy.trace()) / (m * (m - 1))
            - 2 * k(x, y).mean()
        ).item()
    return total


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_wae_penalty_is_the_unbiased_mmd(kernel: str) -> None:
    method = built("wae", penalty=kernel, latent=4)
    method.scales = [(share * 2 * 4) ** 0.5 for share in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    codes, prior = 0.5 * normal(40, 4) + 0.3, normal(30, 4, 1)
    assert method.penalty(codes, prior).item() == pytest.approx(
        brute_mmd(codes, prior, kernel, 4), abs=1e-6
    )


def test_scales_follow_the_prior() -> None:
    """2dσ² is the mean squared distance of two points of the prior: 8 for N(0, I) in four
    dimensions, as for the uniform one.
    """
    for prior in ("normal", "uniform"):
        method = built("wae", prior=prior, latent=4)
        assert method.scales[3] ** 2 == pytest.approx(8, rel=0.05)
        assert built("sinkhorn_wae", prior=prior, latent=4, epsilon=0.1).epsilon == pytest.approx(
            0.8, rel=0.05
        )


@pytest.mark.parametrize(
    ("name", "settings"), [("wae", {"penalty": "imq"}), ("wae", {"penalty": "rbf"})]
)
def test_mmd_of_prior_codes_is_zero_in_the_mean(name: str, settings: dict[str, Any]) -> None:
    method = built(name, latent=8, **settings)
    found = torch.tensor(
        [method.penalty(normal(64, 8, 2 * i), normal(64, 8, 2 * i + 1)) for i in range(100)]
    )
    assert abs(found.mean().item()) < 3 * found.std().item() / 10
    assert (found < 0).any()  # an estimator that never goes below 0 is not unbiased


@pytest.mark.parametrize(("name", "settings"), PENALIZED)
def test_codes_of_the_prior_score_less_than_others(name: str, settings: dict[str, Any]) -> None:
    method = built(name, latent=4, **settings)
    if settings.get("penalty") == "gan":
        pytest.skip(
            "a discriminator knows nothing before it is trained: "
            "test_each_penalty_brings_codes_to_the_prior"
        )
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
def test_each_penalty_brings_codes_to_the_prior(name: str, settings: dict[str, Any]) -> None:
    """After training the codes have mean 0 and covariance I, which they are far from before."""
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


def test_a_prior_of_any_points_is_reached() -> None:
    """Sinkhorn autoencoder with eight Gaussians as prior: nearly every code lies on one of them."""
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


# the critic of interpolations


def test_alpha_is_the_weight_of_the_partner() -> None:
    critic = InterpolationCritic(torch.nn.Identity())
    z = torch.arange(8.0).reshape(4, 2)
    alpha = torch.tensor([[0.0], [0.5], [0.25], [0.0]])
    wanted = torch.stack([(1 - a) * z[i] + a * z[3 - i] for i, a in enumerate(alpha.flatten())])
    assert torch.allclose(critic.mix(z, alpha), wanted)


def test_a_perfect_critic_has_no_loss_and_a_constant_one_has() -> None:
    """A table of (n, n) differences, from (n, 1) − (n,), would give a perfect critic twice a
    constant's loss.
    """
    critic = InterpolationCritic(torch.nn.Identity())
    alpha = torch.rand(500, 1, generator=rng(0)) / 2
    zero = torch.zeros(500, 1)
    assert critic.loss(alpha, alpha, zero, zero).item() == pytest.approx(0, abs=1e-12)
    constant = critic.loss(torch.full((500, 1), 0.25), alpha, zero, zero).item()
    assert constant == pytest.approx(1 / 48, rel=0.1)  # the variance of U[0, ½]
    assert critic.fooled(alpha).item() == pytest.approx(alpha.square().mean().item())
    # γ x + (1 − γ) x̂ is to be called real
    assert critic.loss(alpha, alpha, zero + 1, zero).item() == pytest.approx(0.2**2)


def test_the_autoencoders_term_does_not_train_the_critic_nor_the_critics_the_autoencoder() -> None:
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


def test_the_critic_estimates_alpha_of_a_frozen_autoencoder() -> None:
    """Its squared error falls at least four times below a constant's, and data are told to be real,
    |α| < 0.05.

    Samples are the 32 unit vectors and the encoder is a rotation, so that a mixture shows its α;
    but for one in 32, which are mixtures of a sample with itself.
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
    def judged(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        random = rng(seed)
        x = torch.eye(k)[torch.randint(k, (n,), generator=random)]
        alpha = torch.rand(n, 1, generator=random) / 2
        z = autoencoder.encode(x)
        return autoencoder.decode(critic.mix(z, alpha)), alpha, x, autoencoder.decode(z)

    for step in range(1500):
        linear_decay(optimizer, 1e-2, step / 1500)
        optimizer.zero_grad()
        critic.loss(*judged(256, step)).backward()
        optimizer.step()
    mixed, alpha, x, _ = judged(2000, -1)
    with torch.no_grad():
        assert (critic(mixed) - alpha.flatten()).square().mean() < alpha.var() / 4
        assert critic(x).abs().max() < 0.05


def test_interpolation_weight_0_is_the_plain_autoencoder() -> None:
    for name in ("acai", "wae", "wwae", "sinkhorn_wae"):
        method = built(name, interpolation={"weight": 0.0})
        assert method.critic is None
        assert "critic" not in method.optimizers
        assert built(name, interpolation={"weight": 0.5}).critic is not None


@pytest.mark.parametrize("name", ["acai", "wae", "wwae", "sinkhorn_wae"])
def test_the_critics_term_reaches_the_autoencoder(name: str) -> None:
    """One step with and one without the critic differ, from the same weights and the same data."""
    after = []
    for weight in (1e-9, 10.0):
        method = built(name, interpolation={"weight": weight})
        method.step(StepInputs(load("digits"), 0, 0))
        after.append(torch.cat([p.flatten() for p in method.autoencoder.encoder.parameters()]))
    assert not torch.allclose(after[0], after[1], atol=1e-5)


@pytest.mark.parametrize("name", ["acai", "wae", "wwae", "sinkhorn_wae"])
def test_the_critics_term_comes_in_with_the_warmup(name: str) -> None:
    """At the first step of a run with a warmup the term has no weight, and halfway through the
    warmup half of it.
    """
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


# moments, priors, networks


def test_observed_moments_are_those_of_the_codes() -> None:
    autoencoder = Autoencoder(torch.nn.Identity(), torch.nn.Identity(), 2)
    matrix, shift = torch.tensor([[2.0, 0.0], [1.0, 0.5]]), torch.tensor([3.0, -1.0])
    codes = normal(200 * 500, 2, dtype=torch.float32) @ matrix.T + shift
    for batch in codes.split(500):
        autoencoder.observe(batch)
    assert torch.allclose(autoencoder.mean, shift, atol=0.1)
    assert torch.allclose(autoencoder.covariance, matrix @ matrix.T, atol=0.2)
    fitted = autoencoder.fitted(20_000)
    assert torch.allclose(fitted.mean(0), shift, atol=0.1)
    assert torch.allclose(fitted.T.cov(), matrix @ matrix.T, atol=0.2)
    assert torch.equal(fitted, autoencoder.fitted(20_000))


def test_priors_have_unit_variance_and_bad_ones_are_named() -> None:
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


@pytest.mark.parametrize("size", [8, 20, 28, 32, 33])
def test_the_papers_blocks_fit_any_square(size: int) -> None:
    autoencoder = build_autoencoder("acai", (3, size, size), 6, 4)
    x = torch.randn(2, 3, size, size, generator=rng(0))
    z = autoencoder.encode(x)
    assert z.shape == (2, 6)
    assert autoencoder.decode(z).shape == x.shape


def test_networks_that_do_not_fit_say_which_do() -> None:
    for build in (
        lambda: build_autoencoder("acai", (1, 8, 9), 2, 4),
        lambda: build_encoder("conv", (5,), 4, 1),
    ):
        with pytest.raises(ValueError, match="choose net 'mlp'"):
            build()


def test_more_code_dimensions_than_samples_in_a_batch_train() -> None:
    method = built("wwae", latent=40, batch=16)
    for step in range(3):
        scalars = method.step(StepInputs(load("digits"), 0, step))
        assert all(torch.isfinite(value) for value in scalars.values())
    assert torch.isfinite(method.sample(4)).all()


def test_the_regularized_autoencoder_keeps_codes_and_weights_small() -> None:
    sizes = []
    for penalty in (0.0, 10.0):
        method = built("rae", code_penalty=penalty, decoder_decay=penalty / 10, adam={"lr": 1e-2})
        for step in range(100):
            scalars = method.step(StepInputs(load("digits"), 0, step, position=32 * step))
        sizes.append((scalars["code_size"].item(), scalars["decoder_size"].item()))
    assert sizes[1][0] < sizes[0][0] / 4
    assert sizes[1][1] < sizes[0][1]
