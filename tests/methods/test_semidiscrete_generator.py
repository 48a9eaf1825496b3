"""Semi-discrete generators: gradient formulas, the lower bound, the masses of cells, and costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from monge import ot
from monge.data import InfiniteDataset, StepInputs, from_array, load
from monge.errors import MongeError
from monge.methods.semidiscrete import Config, SemiDiscreteGenerator, build
from monge.nets import MLP

F64 = torch.float64
_H = 1e-3


def cloud(seed: int, n: int, d: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=F64)


def points(y: Tensor) -> InfiniteDataset:
    """Return data with the first rows of y as training samples, whatever the seed."""
    return InfiniteDataset("points", tuple(y.shape[1:]), lambda n, _: y[:n])


def circle(m: int) -> Tensor:
    angle = torch.arange(m) * (2 * torch.pi / m)
    return torch.stack([angle.cos(), angle.sin()], 1)


class Affine(nn.Module):
    """ζ ↦ shift + scale ζ, from the unit square to a rectangle, with exactly computable cells."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([-0.3, 0.2], dtype=F64))
        self.scale = nn.Parameter(torch.tensor([1.4, 0.8], dtype=F64))

    def forward(self, z: Tensor) -> Tensor:
        return self.shift + self.scale * z


def method_on(y: Tensor, generator: nn.Module, **config: object) -> SemiDiscreteGenerator:
    method = SemiDiscreteGenerator(
        Config(targets=len(y), **config), generator, tuple(y.shape[1:])
    ).double()  # type: ignore[arg-type]
    method.read_targets(points(y))
    return method


def slopes(cost: Callable[[], float], generator: nn.Module) -> list[float]:
    """Return central differences of a cost in every parameter."""
    differences = []
    for parameter in generator.parameters():
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            here = flat[i].item()
            sides = []
            for there in (here + _H, here - _H):
                flat[i] = there
                sides.append(cost())
            flat[i] = here
            differences.append((sides[0] - sides[1]) / (2 * _H))
    return differences


def by_formula(method: SemiDiscreteGenerator, z: Tensor) -> Tensor:
    loss = method.objective(method.place(method.generator(z)))
    gradients = torch.autograd.grad(loss, list(method.generator.parameters()))
    return torch.cat([g.flatten() for g in gradients])


def test_hard_gradient_formula_equals_finite_differences_for_a_density() -> None:
    """ψ is computed by Newton's method on exact cells, and the integral over ζ on a fine grid."""
    generator, side = Affine(), (torch.arange(300, dtype=F64) + 0.5) / 300
    method = method_on(cloud(0, 7, 2), generator)
    z = torch.cartesian_prod(side, side)

    def solve() -> None:
        half, middle = generator.scale.detach() / method._unit / 2, method.transport.y.mean(0)
        low, high = middle - half, middle + half  # samples are centered at the targets' mean
        method.transport.fit(ot.Box(tuple(low.tolist()), tuple(high.tolist())))

    @torch.no_grad()
    def cost() -> float:
        solve()
        return method.objective(method.place(generator(z))).item()

    expected = slopes(cost, generator)
    solve()
    torch.testing.assert_close(
        by_formula(method, z), torch.tensor(expected, dtype=F64), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("debias", [False, True])
def test_entropic_gradient_formula_equals_finite_differences(debias: bool) -> None:
    """The noise is discrete, and the cost is computed by Sinkhorn iterations."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    y, z = cloud(0, 7, 2), cloud(1, 40, 2)
    method = method_on(y, generator, epsilon=0.1, debias=debias, batch=7, tol=1e-10)
    tight = {"epsilon": 0.1, "tol": 1e-11, "max_iter": 20_000}

    @torch.no_grad()
    def cost() -> float:
        x, targets = method.place(generator(z)), method.place(y)
        if debias:
            return ot.sinkhorn_divergence(x, targets, **tight).item()
        return ot.sinkhorn(x, targets, **tight).value.item()

    method.transport.fit(method.centered(method.place(generator(z).detach())), tol=1e-9)
    expected = torch.tensor(slopes(cost, generator), dtype=F64)
    torch.testing.assert_close(by_formula(method, z), expected, atol=1e-6, rtol=1e-3)
    assert method.objective(method.place(generator(z))).item() == pytest.approx(cost(), abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_objective_is_a_lower_bound_of_the_cost(epsilon: float) -> None:
    method = method_on(cloud(0, 12, 3), nn.Linear(3, 3), epsilon=epsilon)
    x = method.place(cloud(1, 50, 3) + 1)
    y = method.transport.y
    if epsilon:
        exact = ot.sinkhorn(x, y, epsilon=epsilon, tol=1e-9, max_iter=20_000).value
    else:
        exact = ot.wasserstein(x, y) ** 2
    for step in range(300):
        if step % 30 == 0:
            method.transport.potential.add_(0.1 * cloud(step, 12, 1)[:, 0])
            assert method.objective(x) <= exact + 1e-9
            method.transport.potential.copy_(method.transport.iterate)
        method.transport.ascend(method.centered(x))
    assert method.objective(x) <= exact + 1e-9
    assert method.objective(x) >= 0.97 * exact


@pytest.mark.parametrize(
    "extra", [{}, {"epsilon": 0.01}, {"epsilon": 0.05, "debias": True}], ids=str
)
def test_training_learns_eight_points(extra: dict[str, float]) -> None:
    y = circle(8)
    torch.manual_seed(0)
    method = SemiDiscreteGenerator(
        Config(targets=8, batch=128, adam={"lr": 3e-3}, ema=0.9, **extra), MLP([2, 64, 64, 2]), (2,)
    )  # type: ignore[arg-type]
    data = points(y)
    for step in range(400):
        scalars = method.step(StepInputs(data, 0, step, steps=400))
    nearest = torch.cdist(method.sample(4000), y).min(1)
    shares = torch.bincount(nearest.indices, minlength=8) / 4000
    assert scalars["loss"] < 0.2  # 1 if all samples are at the center
    assert nearest.values.square().mean() < 0.08
    assert nearest.values.median() < 0.2
    assert shares.min() > 0.08
    assert shares.max() < 0.17
    assert method.cell_mass_error(data) < 0.1


def test_cell_mass_error_of_one_cell_of_four_is_root_three() -> None:
    """All samples lie in one of four cells of equal mass."""
    method = method_on(circle(4).double(), MLP([2, 4, 2]))
    method.sample = lambda n, **_: torch.tensor([[1.0, 0.0]], dtype=F64).expand(n, 2)  # type: ignore[method-assign]
    assert method.cell_mass_error(points(circle(4))) == pytest.approx(3**0.5, rel=1e-3)


def test_epsilon_is_in_units_of_the_mean_squared_norm() -> None:
    """Pictures are measured from black, as if their values were in [0, 1]."""
    pictures = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    method = build(Config(targets=20, nets={"width": 4, "latent": 2}), (1, 4, 4))
    method.read_targets(points(2 * pictures - 1))
    unit = pictures.square().flatten(1).sum(1).mean()
    apart = (pictures[0] - pictures[1]).square().sum() / unit
    torch.testing.assert_close(
        (method.transport.y[0] - method.transport.y[1]).square().sum(), apart
    )


def test_targets_do_not_depend_on_the_seed_and_are_read_once() -> None:
    method = build(Config(targets=16, batch=8, nets={"width": 4}), (2,))
    for seed in (1, 2):
        method.step(StepInputs(load("8gaussians"), seed, 0))
        torch.testing.assert_close(method.transport.y, method.place(load("8gaussians").train(16)))


def test_more_targets_than_data_are_an_error() -> None:
    method = build(Config(targets=50, batch=8, nets={"width": 4}), (2,))
    with pytest.raises(
        MongeError, match=r"method.targets is 50, but data 'few' has 32 .*: set it to 32"
    ):
        method.step(StepInputs(from_array(cloud(0, 40, 2).numpy(), "few"), 0, 0))


def test_debias_without_epsilon_raises_value_error() -> None:
    with pytest.raises(ValueError, match=r"method.debias needs method.epsilon > 0, got 0.0"):
        Config(debias=True)


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_million_targets_are_scored_in_tiles(
    epsilon: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 2²³ scores are held in memory at a time."""
    m, sizes, scores = 1_000_000, [], ot.SemiDiscrete._scores

    def counted(self: ot.SemiDiscrete, *args: object) -> Tensor:
        tile = scores(self, *args)  # type: ignore[arg-type]
        sizes.append(tile.numel())
        return tile

    monkeypatch.setattr(ot.SemiDiscrete, "_scores", counted)
    method = build(
        Config(targets=m, batch=12, nets={"width": 4}, ascents=1, anneal=0, epsilon=epsilon), (2,)
    )
    before = [p.clone() for p in method.generator.parameters()]
    method.step(StepInputs(load("8gaussians"), 0, 0))
    assert max(sizes) <= 2**23
    assert sum(sizes) == 3 * 12 * m
    assert method.transport.iterate.std() > 0
    pairs = zip(before, method.generator.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_ascent_in_tiles_equals_the_ascent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = cloud(0, 400, 3), cloud(1, 150, 3)
    for epsilon in (0.0, 0.1):
        whole, parts = (ot.SemiDiscrete(y, epsilon=epsilon) for _ in range(2))
        whole.ascend(x)
        monkeypatch.setattr("monge.ot.semidiscrete._TILE", 64 * 400)
        torch.testing.assert_close(parts.ascend(x).iterate, whole.iterate)
        monkeypatch.undo()


def test_epsilon_decreases_to_its_value() -> None:
    method = build(Config(targets=4, epsilon=0.005, start=0.1, anneal=0.4), (2,))
    levels = [method.level(t) for t in (0.0, 0.1, 0.2, 0.39, 0.4, 0.9)]
    assert levels[0] == pytest.approx(0.1)
    assert levels == sorted(levels, reverse=True)
    assert levels[3:] == [0.005] * 3
    assert build(Config(targets=4, anneal=0), (2,)).level(0.0) == 0


def test_initial_potential_is_exact_for_one_point() -> None:
    """If all samples are at x, the loss is the mean cost of the targets."""
    method = method_on(cloud(0, 9, 2), Affine(), ascents=1, rate=1e-9, anneal=0, batch=8)
    with torch.no_grad():
        method.generator.scale.zero_()
        costs = (method.place(method.generator.shift[None]) - method.transport.y).square().sum(1)
    scalars = method.step(StepInputs(points(cloud(0, 9, 2)), 0, 0, dtype=F64))
    assert scalars["loss"] == pytest.approx(costs.mean().item())


def test_contrast_favors_the_more_frequent_pixel() -> None:
    """For two white pixels and a black one, the best gray is 1/3, and whiter with contrast."""
    y = torch.tensor([1.0, 1.0, -1.0]).reshape(3, 1, 1, 1)
    best = []
    for contrast in (1.0, 3.0):
        method = SemiDiscreteGenerator(
            Config(targets=3, contrast=contrast), MLP([1, 2, 1], (1, 1, 1)), (1, 1, 1)
        )
        method.read_targets(points(y))
        x = torch.linspace(-0.99, 0.99, 199).reshape(-1, 1, 1, 1)
        costs = torch.cdist(method.place(x), method.transport.y).square().mean(1)
        best.append(x[costs.argmin()].item())
    assert best[0] == pytest.approx(1 / 3, abs=0.01)
    assert best[1] > 0.6


def test_contrast_of_points_raises_value_error() -> None:
    with pytest.raises(
        ValueError,
        match=r"method.contrast = 2 needs pictures, got samples of shape \(2,\): set it to 1",
    ):
        build(Config(contrast=2), (2,))
