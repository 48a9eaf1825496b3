"""Critics of a frozen generator: their estimates approach the true distances."""

from __future__ import annotations

from types import ModuleType

import ot as pot
import pytest
import scipy.stats
import torch
from torch import nn

from monge import ot
from monge.data import StepInputs
from monge.methods import cramer_gan, gan, ot_gan, sinkhorn_gan, wgan, wgan_gp
from monge.nets import MLP


class Frozen(nn.Module):
    """A generator without useful parameters, which returns its noise."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z + 0 * self.unused


class Shifted:
    """Standard normal data translated by ``shift``, with W₁ = \\|shift\\| to the noise."""

    name, shape = "shifted", (2,)

    def __init__(self, *shift: float) -> None:
        self.shift = torch.tensor(shift)

    def batch(self, seed: int, position: int, n: int, _: tuple[int, int] = (0, 1)) -> torch.Tensor:
        rng = torch.Generator().manual_seed(seed * 1_000_003 + position)
        return torch.randn(n, 2, generator=rng) + self.shift


def train(method: nn.Module, data: Shifted, steps: int) -> None:
    position = 0
    for step in range(steps):
        inputs = StepInputs(data, 0, step, position=position)
        method.step(inputs)
        position = inputs.position


def critic(features: int = 1) -> MLP:
    torch.manual_seed(0)
    return MLP([2, 32, 32, features])


def test_wgan_gp_approaches_w1_from_below() -> None:
    """λ is large, because the slope of the best penalized critic is 1 + W₁/2λ."""
    config = wgan_gp.Config(batch=128, adam={"critic_lr": 2e-3, "beta1": 0.5}, penalty=100)
    method = wgan_gp.WGANGP(config, Frozen(), critic())
    data = Shifted(0.6, 0.8)
    train(method, data, 80)
    x = data.batch(1, 0, 4000)
    y = torch.randn(4000, 2, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        estimate = (method.critic(x).mean() - method.critic(y).mean()).item()
    # W₁ of two measures that differ by a translation is its length, here 1
    truth = (x.mean(0) - y.mean(0)).norm().item()
    assert 0.85 * truth <= estimate <= 1.02 * truth
    estimates = method.estimate(x[:500], y[:500])
    cost = torch.cdist(x[:500].double(), y[:500].double()).numpy()
    assert estimates["w1_exact"] == pytest.approx(pot.emd2([], [], cost), rel=1e-5)


def test_wgan_estimate_is_proportional_to_the_distance() -> None:
    """The estimate has an unknown factor K, which is the same for twice the distance."""
    config = wgan.Config(
        batch=128, clip=0.1, rmsprop={"critic_lr": 1e-3}, long_first=5, long_steps=60
    )
    method = wgan.WGAN(config, Frozen(), critic())
    train(method, Shifted(1.5, 2.0), 5)
    assert max(p.abs().max().item() for p in method.critic.parameters()) <= 0.1 + 1e-7
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        once, twice = (
            method.estimate(Shifted(k * 1.5, k * 2.0).batch(1, 0, 500), noise[:500])["w1_times_k"]
            for k in (1, 2)
        )
    assert once > 0
    assert twice / once == pytest.approx(2, rel=0.35)


def test_wgan_follows_the_schedule_of_long_rounds() -> None:
    config = wgan.Config(batch=4, critic_steps=2, long_steps=7, long_first=1, long_every=3)
    method = wgan.WGAN(config, Frozen(), critic())
    updates = []
    for step in range(5):
        inputs = StepInputs(Shifted(0.0, 0.0), 0, step)
        method.step(inputs)
        updates.append(inputs.position // 4)
    assert updates == [7, 2, 2, 7, 2]


def test_gan_approaches_the_jensen_shannon_divergence_from_below() -> None:
    config = gan.Config(batch=512, adam={"critic_lr": 5e-3}, critic_steps=100)
    method = gan.GAN(config, Frozen(), critic())
    data = Shifted(1.0, 0.0)
    train(method, data, 2)
    t = torch.linspace(-8, 9, 20_001, dtype=torch.float64)
    p, q = (torch.exp(-((t - m) ** 2) / 2) / (2 * torch.pi) ** 0.5 for m in (1.0, 0.0))
    middle = (p + q) / 2
    # 0.111 nats
    exact = torch.trapezoid((p * (p / middle).log() + q * (q / middle).log()) / 2, t).item()
    inputs = StepInputs(data, 1, 0)
    still = config.adam.model_copy(update={"critic_lr": 1e-12})
    measuring = config.model_copy(update={"adam": still, "batch": 100_000, "critic_steps": 1})
    scalars = gan.GAN(measuring, Frozen(), method.critic).step(inputs)
    assert 0.9 * exact <= scalars["js_estimate"].item() <= 1.02 * exact


@pytest.mark.parametrize("loss", ["minimax", "nonsaturating"])
def test_gan_losses_are_those_of_the_paper(loss: str) -> None:
    method = gan.GAN(
        gan.Config(loss=loss, batch=16, adam={"critic_lr": 1e-12, "lr": 1e-12}), Frozen(), critic()
    )
    inputs = StepInputs(Shifted(0.0, 0.0), 0, 0)
    scalars = method.step(inputs)
    again = StepInputs(Shifted(0.0, 0.0), 0, 0)
    again.data(16), again.noise(16, 2)
    D = torch.sigmoid(method.critic(again.noise(16, 2)))
    expected = (1 - D).log().mean() if loss == "minimax" else -D.log().mean()
    torch.testing.assert_close(scalars["loss"], expected.detach(), atol=1e-4, rtol=1e-4)


def identity() -> nn.Module:
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    return layer


def test_cramer_gan_loss_with_identity_features_is_the_energy_distance() -> None:
    """The energy distance is 2E|x−y| − E|x−x′| − E|y−y′|, by brute force in float64."""
    method = cramer_gan.CramerGAN(
        cramer_gan.Config(batch=40, critic_steps=1, adam={"critic_lr": 1e-12}), Frozen(), identity()
    )
    scalars = method.step(StepInputs(Shifted(1.0, 2.0), 0, 0))
    inputs = StepInputs(Shifted(1.0, 2.0), 0, 0)
    x, y = inputs.data(40).double(), inputs.noise(40, 2).double()
    within = sum(torch.cdist(t, t).sum() / (40 * 39) for t in (x, y))
    assert scalars["energy_estimate"].item() == pytest.approx(
        (2 * torch.cdist(x, y).mean() - within).item(), rel=1e-4
    )

    on_a_line = [torch.cat([t[:, :1], 0 * t[:, :1]], 1).float() for t in (x, y)]
    exact = method.estimate(*on_a_line)["energy_exact"]
    biased = ot.energy_distance(*on_a_line).item()
    assert biased == pytest.approx(scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2, rel=1e-3)
    assert exact < biased  # the unbiased value leaves out the pairs of a point with itself


def test_cramer_witness_gap_equals_the_energy_distance() -> None:
    """E f(x) − E f(x̃) is the biased energy distance, with the pairs of a point with itself."""
    method = cramer_gan.CramerGAN(cramer_gan.Config(), Frozen(), critic(8)).double()
    x, y = torch.randn(30, 2, dtype=torch.float64) + 1, torch.randn(30, 2, dtype=torch.float64)
    hx, hy = method.critic(x), method.critic(y)
    gain = method._witness(x, hx, hy).mean() - method._witness(y, hx, hy).mean()
    torch.testing.assert_close(gain, ot.energy_distance(hx, hy), rtol=1e-5, atol=1e-5)


def test_cramer_surrogate_is_zero_for_some_different_measures() -> None:
    """For data at ±1 and samples at 0, f(x) = ‖x − 0‖ − ‖x‖ = 0 everywhere [binkowski2018].

    The energy distance of these measures is positive.
    """
    hx, hy = torch.tensor([[-1.0], [1.0]] * 10), torch.zeros(20, 1)
    assert cramer_gan.CramerGAN._surrogate(hx, hy).abs() < 1e-5
    assert ot.energy_distance(hx, hy) > 0.9


def test_ot_gan_loss_equals_pot() -> None:
    """The reference is POT in float64: four cross costs minus twice the two within."""
    torch.manual_seed(0)
    method = ot_gan.OTGAN(
        ot_gan.Config(batch=24, epsilon=0.02, tol=1e-7, max_iter=20_000), Frozen(), critic(6)
    ).double()
    inputs = StepInputs(Shifted(1.0, 2.0), 0, 0, dtype=torch.float64)
    x, x2 = (
        nn.functional.normalize(t, dim=1).detach().numpy()
        for t in method.critic(inputs.data(24)).chunk(2)
    )
    y, y2 = (
        nn.functional.normalize(t, dim=1).detach().numpy()
        for t in method.critic(inputs.noise(24, 2)).chunk(2)
    )

    def cost(s: object, t: object) -> float:
        C, w = 1 - s @ t.T, [1 / 12] * 12
        return (
            pot.sinkhorn(w, w, C, 0.02, method="sinkhorn_log", numItermax=20_000, stopThr=1e-10) * C
        ).sum()

    expected = (
        cost(x, y) + cost(x, y2) + cost(x2, y) + cost(x2, y2) - 2 * cost(x, x2) - 2 * cost(y, y2)
    )
    loss = method.step(StepInputs(Shifted(1.0, 2.0), 0, 0, dtype=torch.float64))["loss"].item()
    assert loss == pytest.approx(expected, abs=1e-4)


def test_ot_gan_loss_averages_to_zero_only_for_equal_measures() -> None:
    """It is positive on average for different measures, and exactly 0 for equal batches."""
    net = critic(6)

    def loss(shift: float, seed: int) -> float:
        inputs = StepInputs(Shifted(shift, 0.0), seed, 0)
        x, x2 = net(inputs.data(64)).chunk(2)
        y, y2 = net(inputs.noise(64, 2)).chunk(2)
        return ot.minibatch_energy_distance(x, x2, y, y2, epsilon=0.02).item()

    differ, equal = (
        torch.tensor([loss(shift, seed) for seed in range(40)]) for shift in (0.7, 0.0)
    )
    assert differ.mean() > 5 * differ.std() / 40**0.5
    assert equal.mean().abs() < 3 * equal.std() / 40**0.5
    x = net(torch.randn(16, 2)).detach()
    assert ot.minibatch_energy_distance(x, x, x, x, epsilon=0.02).abs() < 1e-6


def test_gradients_are_penalized_between_data_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """x̂ = εx + (1 − ε)x̃ is uniform between data near (100, 0) and samples near 0."""
    points = []
    monkeypatch.setattr(
        ot, "gradient_penalty", lambda f, x: points.append(x) or f(x).flatten().square()
    )
    for method in (
        wgan_gp.WGANGP(wgan_gp.Config(batch=500, critic_steps=1), Frozen(), critic()),
        cramer_gan.CramerGAN(cramer_gan.Config(batch=500, critic_steps=1), Frozen(), critic(8)),
    ):
        method.step(StepInputs(Shifted(100.0, 0.0), 0, 0))
        u = points.pop()[:, 0].sort().values / 100
        torch.testing.assert_close(u, torch.linspace(0, 1, 500), atol=0.1, rtol=0)


@pytest.mark.parametrize("surrogate", [False, True])
def test_cramer_critic_increases_its_objective(surrogate: bool) -> None:
    config = cramer_gan.Config(
        batch=64, critic_steps=1, penalty=0, adam={"critic_lr": 1e-3}, surrogate=surrogate
    )
    method = cramer_gan.CramerGAN(config, Frozen(), critic(8))
    gains = [
        method.step(StepInputs(Shifted(1.0, 0.0), 0, 0))["energy_estimate"].item()
        for _ in range(10)
    ]
    assert gains[-1] > gains[0]


@pytest.mark.parametrize("module", [ot_gan, sinkhorn_gan])
def test_first_step_applies_data_dependent_init_to_both_networks(module: ModuleType) -> None:
    options = {"critic_steps": 1} if module is sinkhorn_gan else {}
    still = {"lr": 1e-12, "critic_lr": 1e-12}
    config = module.Config(
        batch=64, nets={"width": 8}, weight_norm=True, adam=still, epsilon=0.1, **options
    )
    method = module.build(config, (2,))
    method.step(StepInputs(Shifted(30.0, 40.0), 0, 0))
    inputs = StepInputs(Shifted(30.0, 40.0), 0, 0)
    for out in (method.critic(inputs.data(64)), method.generator(inputs.noise(64, 2))):
        torch.testing.assert_close(out.mean(0), torch.zeros(out.shape[1]), atol=1e-3, rtol=0)
        torch.testing.assert_close(
            out.std(0, correction=0), torch.ones(out.shape[1]), atol=1e-2, rtol=0
        )
