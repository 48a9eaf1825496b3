"""Tests of the gradient formula ∇W(θ) = E[∂g(ζ)ᵀ ∇ψᶜ(g(ζ))] against central differences of W.

The first part covers the cases where the formula holds, the second those where it cannot.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from monge import ot
from tests.helpers.clouds import F64, cloud, weights

Generator = Callable[[Tensor], Tensor]  # maps θ to all samples
Loss = Callable[[Tensor], Tensor]

Y = torch.tensor([[-1.0, -0.7], [1.1, -0.5], [0.1, 1.0]], dtype=F64)
B = torch.tensor([0.5, 0.3, 0.2], dtype=F64)
MEAN = B @ Y
CODES = torch.tensor([[0.4, 0.3], [-0.4, -0.3]], dtype=F64)
NOISE = torch.quasirandom.SobolEngine(2).draw(40, dtype=F64)
LATTICE = torch.cartesian_prod(*[(torch.arange(400, dtype=F64) + 0.5) / 400 - 0.5] * 2)
PLACES = torch.cartesian_prod(*[torch.linspace(-1.5, 1.5, 5, dtype=F64) + 0.013] * 2)


def dirac(theta: Tensor) -> Tensor:
    return theta[None]


def codes(theta: Tensor) -> Tensor:
    """Shift the codes by θ; if θ has five entries, also stretch and rotate them."""
    return theta + CODES if len(theta) == 2 else affine(theta, CODES)


def affine(theta: Tensor, noise: Tensor = LATTICE) -> Tensor:
    """Stretch the noise by θ₃ and θ₄, rotate it by θ₅, and shift it by θ₁ and θ₂."""
    return theta[:2] + (noise * theta[2:4]) @ rotation(theta[4]).T


def mlp(theta: Tensor) -> Tensor:
    first, bias, second = theta.split([12, 6, 12])
    return torch.tanh(NOISE @ first.view(2, 6) + bias) @ second.view(6, 2)


def rotation(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)


def formula(loss: Loss, theta: Tensor) -> Tensor:
    theta = theta.clone().requires_grad_()
    return torch.autograd.grad(loss(theta), theta)[0]


def differences(loss: Loss, theta: Tensor, step: float = 1e-3) -> Tensor:
    steps = step * torch.eye(len(theta), dtype=F64)
    return torch.stack([(loss(theta + s) - loss(theta - s)) / (2 * step) for s in steps])


def entropic(g: Generator, epsilon: float, y: Tensor = Y, b: Tensor = B) -> Loss:
    """Return W as a function of θ, at the optimal potential.

    The gradient holds the potential fixed and is therefore the formula.
    """

    def loss(theta: Tensor) -> Tensor:
        x = g(theta)
        return ot.SemiDiscrete(y, b=b, epsilon=epsilon).fit(x.detach()).value(x)

    return loss


def assert_holds(loss: Loss, theta: Tensor, truth: Tensor | None = None) -> None:
    truth = differences(loss, theta) if truth is None else truth
    assert (formula(loss, theta) - truth).norm() <= 1e-3 * truth.norm()


# Where it holds


def cost_of_cells(y: Tensor, psi: Tensor, box: ot.Box) -> Tensor:
    """Return Σⱼ ∫ |x − yⱼ|² over cell j, in closed form from the triangles of yⱼ and the sides."""
    total = torch.zeros((), dtype=F64)
    for target, corners in zip(y, ot.laguerre_cells(y, psi, box), strict=True):
        p = corners - target
        q = p.roll(-1, 0)
        twice = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
        total += (twice * (p.square().sum(1) + q.square().sum(1) + (p * q).sum(1))).sum() / 12
    return total / box.volume


def exact_affine(theta: Tensor, y: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return W² and the optimal potential, in coordinates in which the source is a box."""
    targets = (y - theta[:2]) @ rotation(theta[4])
    half = (theta[2:4] / 2).tolist()
    box = ot.Box((-half[0], -half[1]), (half[0], half[1]))
    psi = ot.SemiDiscrete(targets, b=b).fit(box, tol=1e-12, n_iter=100).potential
    return cost_of_cells(targets, psi, box), psi


@pytest.mark.parametrize("seed", range(4))
def test_formula_holds_without_epsilon_for_a_density(seed: int) -> None:
    y, b = cloud(seed, 7, 2), weights(seed, 7)
    theta = torch.tensor([0.3, -0.4, 1.7, 0.8, 0.5], dtype=F64) + 0.1 * cloud(seed + 9, 5, 1)[:, 0]

    def loss(theta: Tensor) -> Tensor:
        sd = ot.SemiDiscrete(y, b=b)
        sd.potential.copy_(exact_affine(theta.detach(), y, b)[1])
        return sd.value(affine(theta))

    assert loss(theta).item() == pytest.approx(exact_affine(theta, y, b)[0].item(), rel=1e-5)
    assert_holds(loss, theta, differences(lambda t: exact_affine(t, y, b)[0], theta))


@pytest.mark.parametrize("epsilon", [0.02, 0.2, 2.0])
def test_formula_holds_with_epsilon_for_a_point_mass(epsilon: float) -> None:
    loss = entropic(dirac, epsilon)
    for theta in PLACES:
        assert_holds(loss, theta)
        torch.testing.assert_close(formula(loss, theta), 2 * (theta - MEAN), atol=2e-5, rtol=0)
        cost = (theta - Y).square().sum(1) @ B
        assert loss(theta).item() == pytest.approx(cost.item(), rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.02, 0.2, 2.0])
def test_formula_holds_with_epsilon_for_discrete_latents(epsilon: float) -> None:
    for theta in (
        torch.tensor([0.5, 0.4, 1.2, 0.9, 0.3], dtype=F64),
        torch.tensor([-0.2, -0.1, 0.7, 1.5, 1.2], dtype=F64),
    ):
        assert_holds(entropic(codes, epsilon), theta)


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_formula_holds_with_epsilon_for_a_network(epsilon: float) -> None:
    assert_holds(entropic(mlp, epsilon, cloud(1, 6, 2), weights(1, 6)), cloud(2, 30, 1)[:, 0])


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
@pytest.mark.parametrize(
    ("g", "theta"),
    [(dirac, PLACES[3]), (codes, torch.tensor([0.5, 0.4, 1.2, 0.9, 0.3], dtype=F64))],
)
def test_formula_holds_for_the_sinkhorn_divergence(
    g: Generator, theta: Tensor, epsilon: float
) -> None:
    def loss(theta: Tensor) -> Tensor:
        return ot.sinkhorn_divergence(g(theta), Y, epsilon=epsilon, b=B, tol=1e-10, max_iter=20_000)

    assert_holds(loss, theta)
    cross, truth = formula(entropic(g, epsilon), theta), formula(loss, theta)
    if g is dirac:
        torch.testing.assert_close(truth, cross, atol=2e-5, rtol=0)
    else:
        assert (truth - cross).norm() > 0.05, "the debiasing terms make the codes repel each other"


@pytest.mark.parametrize(
    ("g", "theta"),
    [(dirac, PLACES[3]), (codes, torch.tensor([0.5, 0.4, 1.2, 0.9, 0.3], dtype=F64))],
)
def test_exact_plan_gives_the_gradient_where_mass_is_split(g: Generator, theta: Tensor) -> None:
    """For finitely many points `wasserstein` takes its gradient from the plan, not from ψᶜ."""
    assert_holds(lambda t: ot.wasserstein(g(t), Y, b=B) ** 2, theta)


# Where it cannot


def value(psi: Tensor, x: Tensor) -> Tensor:
    """Return the dual objective at a potential."""
    sd = ot.SemiDiscrete(Y, b=B)
    sd.potential.copy_(psi)
    return sd.value(x)


def best_dirac(theta: Tensor) -> Tensor:
    psi = (theta - Y).square().sum(1)
    return psi - B @ psi


def test_optimal_potential_makes_all_cells_meet_at_a_point_mass() -> None:
    """|θ − yⱼ|² is the only optimal potential up to a constant: others have a lower dual value."""
    for theta in PLACES:
        psi, truth = best_dirac(theta), ot.wasserstein(dirac(theta), Y, b=B) ** 2
        assert value(psi, dirac(theta)).item() == pytest.approx(truth.item(), rel=1e-12)
        for way in cloud(0, 5, 3):
            assert value(psi + 1e-3 * (way - B @ way), dirac(theta)) < truth - 1e-5
        for j, corners in enumerate(ot.laguerre_cells(Y, psi, ot.Box((-3, -3), (3, 3)))):
            assert (corners - theta).norm(dim=1).min() < 1e-9, f"cell {j} has a corner at θ"


def test_formula_fails_without_epsilon_for_a_point_mass() -> None:
    """The gradient 2 (θ − yⱼ) of each cell has the error 2 |yⱼ − mean|, which is at least 1.878.

    The gradient of autograd is that of one of the cells.
    """
    least = 2 * (Y - MEAN).norm(dim=1).min()
    assert least.item() == pytest.approx(1.8788, abs=1e-4)
    for theta in PLACES:
        truth = differences(lambda t: ot.wasserstein(dirac(t), Y, b=B) ** 2, theta)
        offered = 2 * (theta - Y)
        torch.testing.assert_close(
            (offered - truth).norm(dim=1), 2 * (Y - MEAN).norm(dim=1), atol=1e-6, rtol=0
        )
        # only the mean over all cells, which the potential does not determine, is correct
        torch.testing.assert_close(B @ offered, truth, atol=1e-6, rtol=0)
        for noise in 1e-9 * cloud(1, 4, 3):  # the last digits of ψ select the cell
            psi = best_dirac(theta) + noise
            gradient = formula(lambda t, psi=psi: value(psi, dirac(t)), theta)
            assert (gradient - offered).norm(dim=1).min() < 1e-9
            assert (gradient - truth).norm() > least - 1e-6


def test_formula_fails_without_epsilon_for_two_codes() -> None:
    """Two codes of equal mass must be split among targets of mass 0.5, 0.3 and 0.2.

    The error of every assignment without splitting is at least 0.721.
    """
    misses = torch.stack(
        [2 * (Y[list(chosen)].mean(0) - MEAN).norm() for chosen in product(range(3), repeat=2)]
    )
    assert misses.min().item() == pytest.approx(0.7211, abs=1e-4)
    for theta in PLACES:
        truth = differences(lambda t: ot.wasserstein(codes(t), Y, b=B) ** 2, theta)
        torch.testing.assert_close(truth, 2 * (theta - MEAN), atol=1e-6, rtol=0)
        for psi in cloud(2, 8, 3):  # for any potential
            gradient = formula(lambda t, psi=psi: value(psi, codes(t)), theta)
            assert (gradient - truth).norm() > misses.min() - 1e-6


# The gallery script, and the documentation page with its results


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "gradient_formula", repository / "docs" / "figures" / "gradient_formula.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_documentation_page_states_the_errors_that_the_script_measures(
    script: ModuleType, repository: Path
) -> None:
    page = (repository / "docs" / "gradient-formula.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", page, re.M))
    errors = script.measure()
    assert set(errors) == set(rows) - {"generator and loss", "---"}
    for name, value in errors.items():
        documented = rows[name]
        if documented.startswith("below "):
            assert value < float(documented.removeprefix("below ")), name
        else:
            assert value == pytest.approx(float(documented), rel=0.01), name
    for gradient in script.selections(script.dirac, script.HERE):
        assert f"{(gradient - 2 * (script.HERE - script.mean)).norm():.2f}" in page


def test_descent_along_the_formula_converges_only_with_epsilon(
    script: ModuleType, repository: Path
) -> None:
    """With ε each step of 0.1 removes a fifth of the distance; without ε it does not converge."""
    page = (repository / "docs" / "gradient-formula.md").read_text()
    wandered, straight = (script.distance(script.descend(epsilon)) for epsilon in (0.0, 0.2))
    assert f"{wandered:.3f}" in page
    assert f"{straight:.3f}" in page
    last = (script.descend(0.2)[-1] - script.mean).norm()
    assert last < 2 * 0.8**60 * (script.HERE - script.mean).norm() + 1e-5
