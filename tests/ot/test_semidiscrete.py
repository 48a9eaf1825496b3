"""Tests of semi-discrete transport: exact cells, and sampled, moving and finite sources."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot import semidiscrete
from monge.ot._laguerre import Box, laguerre_cells
from monge.ot.semidiscrete import SemiDiscrete
from tests.helpers.clouds import F64, cloud, rng, seeds, weights

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
COSTS = [
    "sqeuclidean",
    "euclidean",
    "cosine",
    lambda x, y: (x[..., :, None, :] - y[..., None, :, :]).pow(4).sum(-1),
]


def normal(d: int, shift: float = 0.0) -> semidiscrete.Sampler:
    return lambda n, generator: torch.randn(n, d, generator=generator, dtype=F64) + shift


def area(corners: Tensor) -> float:
    x, y = corners.unbind(1)
    return float((x * y.roll(-1) - y * x.roll(-1)).sum() / 2)  # positive when counter-clockwise


def set_potential(sd: SemiDiscrete, seed: int) -> SemiDiscrete:
    sd.potential.copy_(0.3 * cloud(seed, len(sd.y), 1)[:, 0])
    return sd


# Exact cells


@given(seeds, st.integers(1, 30), st.floats(0.1, 10), st.floats(0.01, 3))
def test_cells_cover_the_box(seed: int, m: int, scale: float, spread: float) -> None:
    box = Box((-1.0, 2.0), (-1.0 + scale, 3.0))
    cells = laguerre_cells(cloud(seed, m, 2), spread * cloud(seed + 1, m, 1)[:, 0], box)
    assert sum(area(c) for c in cells) == pytest.approx(box.volume, rel=1e-10)


def test_cell_areas_agree_with_assigned_samples() -> None:
    y, psi, box = cloud(0, 12, 2), 0.5 * cloud(1, 12, 1)[:, 0], Box((-1.0, -1.0), (2.0, 1.0))
    cells = laguerre_cells(y, psi, box)
    x = box(200_000, rng())
    nearest = ((x[:, None] - y).square().sum(-1) - psi).argmin(1)
    sampled = torch.bincount(nearest, minlength=12) / len(x)
    shares = torch.tensor([area(c) for c in cells]) / box.volume
    assert min(len(c) for c in cells) == 0, "some cells are hidden here"
    torch.testing.assert_close(shares, sampled, atol=5e-3, rtol=0)


def test_cells_of_a_grid_are_unit_squares() -> None:
    """Four cells meet at every corner."""
    y = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0))
    cells = laguerre_cells(y, torch.zeros(16), Box((-0.5, -0.5), (3.5, 3.5)))
    for target, corners in zip(y, cells, strict=True):
        torch.testing.assert_close(corners.mean(0), target)
        assert len(corners) == 4
        assert area(corners) == pytest.approx(1)


@given(seeds, st.integers(1, 40), st.floats(-3, 3), st.sampled_from([0.2, 1.0, 5.0]))
def test_newton_gives_each_cell_its_weight(seed: int, m: int, shift: float, scale: float) -> None:
    y, b = scale * cloud(seed, m, 2, shift), weights(seed, m)
    sd = SemiDiscrete(y, b=b).fit(SQUARE, n_iter=100)
    shares = torch.tensor([area(c) for c in laguerre_cells(y, sd.potential, SQUARE)], dtype=F64)
    torch.testing.assert_close(shares, b, atol=1e-8, rtol=0)
    assert (b @ sd.potential).item() == pytest.approx(0, abs=1e-9)


def test_newton_converges_to_rounding_error() -> None:
    y = SQUARE(300, rng())
    sd = SemiDiscrete(y).fit(SQUARE, tol=1e-12)
    shares = torch.tensor([area(c) for c in laguerre_cells(y, sd.potential, SQUARE)], dtype=F64)
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / 300), atol=1e-10, rtol=0)


def test_newton_supports_duplicates_and_zero_weights() -> None:
    y, b = cloud(0, 6, 2), torch.tensor([0.1, 0.2, 0.0, 0.3, 0.25, 0.15], dtype=F64)
    y[4] = y[1]
    sd = SemiDiscrete(y, b=b).fit(SQUARE)
    p = sd.marginals(SQUARE(200_000, rng()))
    assert sd.potential[1] == sd.potential[4]
    assert p[2] == 0
    torch.testing.assert_close(p[[0, 3, 5]], b[[0, 3, 5]], atol=5e-3, rtol=0)
    assert (p[1] + p[4]).item() == pytest.approx(0.45, abs=5e-3)


def test_newton_warns_if_not_converged() -> None:
    with pytest.warns(RuntimeWarning, match="Newton's method did not reach tol=1e-09"):
        SemiDiscrete(cloud(0, 50, 2)).fit(SQUARE, n_iter=1)


# Sampled sources


def test_cells_on_a_line_are_quantiles() -> None:
    y, b = cloud(0, 12, 1).sort(0).values, weights(0, 12)
    sd = SemiDiscrete(y, b=b).fit(Box((0.0,), (1.0,)), n_iter=2000, generator=rng())
    edge = b.cumsum(0)[:-1]
    jumps = (edge - y[1:, 0]) ** 2 - (edge - y[:-1, 0]) ** 2
    psi = torch.cat([torch.zeros(1, dtype=F64), jumps.cumsum(0)])
    torch.testing.assert_close(sd.potential, psi - b @ psi, atol=0.02, rtol=0)
    x = torch.rand(10_000, 1, generator=rng(1), dtype=F64)
    quantile = torch.searchsorted(b.cumsum(0), x[:, 0])
    assert (sd.assign(x) == quantile).double().mean() > 0.98


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_masses_equal_the_weights_after_a_sampled_fit(cost: ot.CostLike, epsilon: float) -> None:
    b = weights(0, 60)
    sd = SemiDiscrete(cloud(0, 60, 5, 0.3), b=b, cost=cost, epsilon=epsilon).fit(
        normal(5), batch_size=256, generator=rng()
    )
    # the scale of fourth powers varies between points
    bound = 0.1 if callable(cost) else 0.05
    assert sd.chi2(normal(5)(40_000, rng(1))).sqrt() < bound  # N = 256,000, so √(m/N) = 0.015


def test_sampled_fit_error_is_near_the_sampling_bound() -> None:
    """For 500 targets and 25,600 points the expected error is at least √(m/N) = 0.14."""
    y, options = cloud(0, 500, 20), {"n_iter": 500, "batch_size": 51}
    sd = SemiDiscrete(y).fit(normal(20), generator=rng(), **options)
    assert sd.chi2(normal(20)(100_000, rng(1))).sqrt() < 0.152
    smooth = SemiDiscrete(y, epsilon=4.0).fit(normal(20), generator=rng(), **options)
    assert smooth.chi2(normal(20)(20_000, rng(1))).sqrt() < 0.07


@given(seeds, st.sampled_from([2.0**-10, 2.0**12]), st.sampled_from([0.0, 0.5]))
def test_iterates_scale_with_the_cost(seed: int, scale: float, epsilon: float) -> None:
    """A power of two does not change rounding, so the iterates scale exactly."""
    y, sampler = cloud(seed, 15, 3), normal(3)
    plain = SemiDiscrete(y, epsilon=epsilon).fit(
        sampler, n_iter=60, batch_size=16, generator=rng(seed)
    )
    scaled = SemiDiscrete(scale * y, epsilon=scale**2 * epsilon)
    scaled.fit(lambda n, g: scale * sampler(n, g), n_iter=60, batch_size=16, generator=rng(seed))
    torch.testing.assert_close(scaled.potential, plain.potential * scale**2, rtol=1e-12, atol=0)


@given(seeds, st.floats(-100, 100))
def test_potential_is_translation_invariant(seed: int, shift: float) -> None:
    y, sampler = cloud(seed, 15, 3), normal(3)
    plain = SemiDiscrete(y).fit(sampler, n_iter=60, batch_size=16, generator=rng(seed))
    moved = SemiDiscrete(y + shift).fit(
        normal(3, shift), n_iter=60, batch_size=16, generator=rng(seed)
    )
    torch.testing.assert_close(moved.potential, plain.potential, atol=1e-8, rtol=1e-8)


def test_sampled_box_agrees_with_exact_cells() -> None:
    y, b = SQUARE(20, rng()), weights(0, 20)
    exact = SemiDiscrete(y, b=b).fit(SQUARE)
    # a sampler of one argument
    sampled = SemiDiscrete(y, b=b).fit(lambda n: SQUARE(n, rng(n)), n_iter=1)
    sampled.fit(lambda n, g: SQUARE(n, g), n_iter=2000, generator=rng())
    torch.testing.assert_close(sampled.potential, exact.potential, atol=0.01, rtol=0)


def test_sampled_fit_supports_many_duplicate_targets() -> None:
    """Each target is repeated ten times, so that the gap between the best scores is zero."""
    y = cloud(0, 4, 2).repeat(10, 1)
    sd = SemiDiscrete(y).fit(normal(2), generator=rng())
    p = sd.marginals(normal(2)(20_000, rng(1))).reshape(10, 4).sum(0)
    torch.testing.assert_close(p, torch.full((4,), 0.25, dtype=F64), atol=0.03, rtol=0)
    assert (SemiDiscrete(y).ascend(normal(2)(64, rng())).potential != 0).any()


def test_sampled_fit_supports_one_heavy_target() -> None:
    b = torch.full((200,), 0.1 / 199, dtype=F64)
    b[0] = 0.9
    sd = SemiDiscrete(cloud(0, 200, 5), b=b, epsilon=1.0).fit(
        normal(5), n_iter=500, generator=rng()
    )
    assert sd.chi2(normal(5)(50_000, rng(1))).sqrt() < 0.03


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_zero_weight_targets_receive_no_mass_and_a_single_target_all(epsilon: float) -> None:
    x = normal(2)(100, rng())
    b = torch.tensor([0.0, 0.6, 0.4], dtype=F64)
    sd = SemiDiscrete(cloud(0, 3, 2), b=b, epsilon=epsilon)
    assert sd.marginals(x)[0] == 0
    sd.fit(normal(2), n_iter=100, generator=rng())
    assert sd.marginals(x)[0] == 0
    assert (sd.iterate == sd.potential).all(), "ascend continues from the average"
    assert sd.potential.isfinite().all()
    alone = SemiDiscrete(cloud(1, 1, 2), epsilon=epsilon).fit(normal(2), n_iter=5)
    assert alone.marginals(x) == 1
    assert alone.potential == 0
    torch.testing.assert_close(alone.value(x), (x - alone.y).square().sum(1).mean())


def test_sampled_fit_stops_at_the_chi2_tolerance_or_warns() -> None:
    calls = []

    def sampler(n: int, generator: torch.Generator | None) -> Tensor:
        calls.append(n)
        return torch.randn(n, 2, generator=generator, dtype=F64)

    SemiDiscrete(cloud(0, 5, 2)).fit(sampler, tol=0.1, n_iter=100, generator=rng())
    assert calls == [512] * 61  # 60 iterations and one test
    with pytest.warns(RuntimeWarning, match="the sampled fit did not reach tol=1e-12"):
        SemiDiscrete(cloud(0, 200, 2)).fit(
            sampler, tol=1e-12, n_iter=10, batch_size=8, generator=rng()
        )


def test_autocast_changes_the_potential_by_rounding_only() -> None:
    y = cloud(0, 50, 20).float()
    sampler = lambda n, g: torch.randn(n, 20, generator=g)
    plain = SemiDiscrete(y).fit(sampler, n_iter=200, generator=rng())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = SemiDiscrete(y).fit(sampler, n_iter=200, generator=rng())
        scores = rounded._scores(sampler(3, None), rounded.potential, 0.0)
    assert scores.dtype == torch.float32, "|y|² is added in float32"
    assert (rounded.potential != plain.potential).any()
    torch.testing.assert_close(rounded.potential, plain.potential, atol=0.2, rtol=0)
    assert plain.potential.std() > 2


# A source that moves


def test_ascent_follows_a_moving_source() -> None:
    y = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=F64)
    sd, generator = SemiDiscrete(y), rng()
    for shift in (0.0, 3.0):
        for _ in range(400):
            sd.ascend(normal(2, shift)(64, generator))
        assert (sd.marginals(normal(2, shift)(20_000, rng(1))) - 1 / 3).abs().max() < 0.05
    assert (sd.b @ sd.potential).item() == pytest.approx(0, abs=1e-12)


def test_loaded_state_continues_bitwise_identically() -> None:
    y, batches = cloud(0, 10, 2), [cloud(s, 16, 2) for s in range(8)]
    one = SemiDiscrete(y, epsilon=0.1)
    for x in batches[:4]:
        one.ascend(x)
    two = SemiDiscrete(y, epsilon=0.1)
    two.load_state_dict(one.state_dict())
    for x in batches[4:]:
        one.ascend(x, rate=0.5)
        two.ascend(x, rate=0.5)
    assert (one.potential == two.potential).all()
    assert set(one.state_dict()) == {"potential", "iterate", "count"}


def test_value_trains_a_generator() -> None:
    """The value is the loss of a Gaussian generator with a learned mean and scale."""
    y = cloud(0, 200, 2, 2.0)
    mean = torch.zeros(2, dtype=F64, requires_grad=True)
    scale = torch.full((2,), 0.3, dtype=F64, requires_grad=True)
    sd = SemiDiscrete(y)
    optimizer = torch.optim.Adam([mean, scale], 0.01, betas=(0.0, 0.9))
    noise = rng()
    for _ in range(300):
        for _ in range(5):
            fake = mean + scale * torch.randn(64, 2, generator=noise, dtype=F64)
            sd.ascend(fake)
        loss = sd.value(fake)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(mean.detach(), y.mean(0), atol=0.2, rtol=0)
    torch.testing.assert_close(scale.detach(), y.std(0), atol=0.2, rtol=0)


# Finite sources


@given(
    seeds,
    st.integers(1, 15),
    st.integers(1, 15),
    st.sampled_from([1.0, 4.0]),
    st.sampled_from(["sqeuclidean", "euclidean"]),
)
def test_finite_source_equals_sinkhorn(
    seed: int, n: int, m: int, epsilon: float, cost: str
) -> None:
    x = cloud(seed, n, 2)
    y = cloud(seed + 1, m, 2, 0.5)
    a = weights(seed, n)
    b = weights(seed + 1, m)
    sd = SemiDiscrete(y, b=b, epsilon=epsilon, cost=cost).fit(x, a=a, tol=1e-7)
    plan = ot.sinkhorn(x, y, a=a, b=b, epsilon=epsilon, cost=cost, tol=1e-8, max_iter=10_000)
    torch.testing.assert_close(sd.potential, plan.g - b @ plan.g, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 1.0])
def test_value_of_a_finite_source_is_a_tight_lower_bound_of_the_cost(epsilon: float) -> None:
    """The reference cost is that of POT."""
    pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
    x, y, b = cloud(0, 60, 2), cloud(1, 25, 2, 1.0), weights(0, 25)
    a, C = np.full(60, 1 / 60), (x[:, None] - y).square().sum(-1).numpy()
    if epsilon > 0:
        P = pot.sinkhorn(
            a, b.numpy(), C, epsilon, method="sinkhorn_log", numItermax=100_000, stopThr=1e-10
        )
        entropy = (P * np.log(np.maximum(P, 1e-300) / np.outer(a, b.numpy()))).sum()
        cost = (P * C).sum() + epsilon * entropy
    else:
        cost = pot.emd2(a, b.numpy(), C)
    sd = SemiDiscrete(y, b=b, epsilon=epsilon)
    assert sd.value(x) < cost
    sd.fit(x, n_iter=2000, generator=rng())
    assert cost * (1 - 5e-3) < sd.value(x).item() < cost + 1e-9


def test_weighted_points_are_drawn_by_weight() -> None:
    """The target 0 takes mass of both points, so its potential is higher by the cost 1."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    sd = SemiDiscrete(y, b=torch.tensor([0.4, 0.6])).fit(
        x, a=torch.tensor([0.2, 0.8]), n_iter=500, generator=rng()
    )
    assert (sd.potential[0] - sd.potential[1]).item() == pytest.approx(1, abs=0.05)


def test_finite_source_warns_if_not_converged() -> None:
    with pytest.warns(RuntimeWarning, match="L-BFGS did not reach tol=1e-06"):
        SemiDiscrete(cloud(0, 20, 2), epsilon=0.01).fit(cloud(1, 20, 2), n_iter=1)


# Functions of a potential


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_value_and_gradient_equal_their_definition(cost: ot.CostLike, epsilon: float) -> None:
    sd = set_potential(SemiDiscrete(cloud(0, 9, 3), b=weights(0, 9), epsilon=epsilon, cost=cost), 1)
    x = cloud(2, 7, 3).requires_grad_()
    assert torch.autograd.gradcheck(sd.value, (x,))
    c = ot.as_cost(cost).matrix(x.detach(), sd.y)
    if epsilon > 0:
        transform = -epsilon * torch.logsumexp((sd.potential - c) / epsilon + sd.b.log(), 1)
    else:
        transform = (c - sd.potential).min(1).values
    torch.testing.assert_close(sd.value(x.detach()), transform.mean() + sd.b @ sd.potential)


def test_second_derivative_raises() -> None:
    sd, x = SemiDiscrete(cloud(0, 9, 3), epsilon=0.3), cloud(2, 7, 3).requires_grad_()
    (slope,) = torch.autograd.grad(sd.value(x), x, create_graph=True)
    with pytest.raises(RuntimeError):
        slope.sum().backward()


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_tiles_do_not_change_the_result(epsilon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sd = set_potential(SemiDiscrete(cloud(0, 9, 3), epsilon=epsilon), 1)
    x = cloud(2, 50, 3).requires_grad_()

    def evaluate() -> list[Tensor]:
        values = [sd.assign(x), sd.transform(x), sd.marginals(x), sd.chi2(x), sd.value(x)]
        return [*values, *torch.autograd.grad(values[-1], x)]

    whole = evaluate()
    monkeypatch.setattr(semidiscrete, "_TILE", 30)
    torch.testing.assert_close(evaluate(), whole)


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_assign_transform_marginals_and_chi2_equal_brute_force(epsilon: float) -> None:
    sd = set_potential(SemiDiscrete(cloud(0, 9, 3), b=weights(0, 9), epsilon=epsilon), 1)
    x = cloud(2, 20, 3)
    s = sd.potential - (x[:, None] - sd.y).square().sum(-1)
    hard = torch.nn.functional.one_hot(s.argmax(1), 9).to(F64)
    shares = torch.softmax(s / epsilon + sd.b.log(), 1) if epsilon > 0 else hard
    assert (sd.assign(x) == shares.argmax(1)).all()
    torch.testing.assert_close(sd.transform(x), shares @ sd.y)
    torch.testing.assert_close(sd.marginals(x), shares.mean(0))
    excess = shares - sd.b
    pairs = (excess / sd.b) @ excess.T
    torch.testing.assert_close(sd.chi2(x), (pairs.sum() - pairs.trace()) / (20 * 19))


def test_transform_of_a_gaussian_sample_is_monotone() -> None:
    sd = SemiDiscrete(cloud(0, 40, 3)).fit(normal(3), n_iter=200, generator=rng())
    x = cloud(1, 50, 3)
    moved = sd.transform(x)
    assert (((x[:, None] - x) * (moved[:, None] - moved)).sum(-1) >= -1e-9).all()


def test_invalid_arguments_are_rejected() -> None:
    y = torch.zeros(3, 2)
    sd = SemiDiscrete(y)
    for call, error, message in [
        (lambda: SemiDiscrete(y[0]), ValueError, "y must have shape"),
        (lambda: SemiDiscrete(y[None]), ValueError, r"y must have shape \(m, d\), got \(1, 3, 2\)"),
        (
            lambda: SemiDiscrete(y, epsilon=-1.0),
            ValueError,
            r"epsilon must be >= 0 and finite, got -1\.0",
        ),
        (lambda: SemiDiscrete(y, b=torch.ones(3)), ValueError, "b sums to 3"),
        (lambda: sd.fit(3), TypeError, "source must be a sampler, points"),
        (
            lambda: sd.fit(lambda n: torch.zeros(n, 5)),
            ValueError,
            "the sampler's output must have shape",
        ),
        (lambda: sd.fit(y, n_iter=0), ValueError, "n_iter must be > 0"),
        (lambda: sd.fit(y, batch_size=0), ValueError, "batch_size must be > 0"),
        (lambda: sd.fit(y, tol=0.0), ValueError, "tol must be > 0"),
        (
            lambda: sd.fit(SQUARE, a=torch.ones(1)),
            ValueError,
            "a needs a finite source",
        ),
        (lambda: sd.ascend(y, rate=0.0), ValueError, "rate must be > 0"),
        (lambda: sd.assign(torch.full((1, 2), torch.nan)), ValueError, "x holds NaN"),
        (lambda: sd.chi2(y[:1]), ValueError, "chi2 needs at least two points, got 1"),
        (lambda: Box((0.0, 1.0), (1.0, 1.0)), ValueError, "Box needs lo < hi"),
        (
            lambda: laguerre_cells(torch.zeros(3, 3), torch.zeros(3), SQUARE),
            ValueError,
            "Laguerre cells need targets",
        ),
        (lambda: laguerre_cells(y, torch.zeros(2), SQUARE), ValueError, "psi has shape"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_balance_converges_to_the_sinkhorn_potential() -> None:
    g = rng(0)
    x = torch.rand(60, 2, generator=g, dtype=torch.float64)
    y = torch.rand(20, 2, generator=g, dtype=torch.float64)
    b = torch.rand(20, generator=g, dtype=torch.float64)
    b = b / b.sum()
    potential = SemiDiscrete(y, b=b, epsilon=0.05).balance(x, n_iter=400, n_levels=3).potential
    oracle = ot.sinkhorn(x, y, b=b, epsilon=0.05, tol=1e-10, max_iter=5000).g
    assert torch.allclose(potential, oracle - (b * oracle).sum(), atol=1e-8)


def test_balance_never_lowers_the_dual_and_relaxation_is_faster() -> None:
    g = rng(1)
    x = torch.rand(80, 2, generator=g, dtype=torch.float64)
    y = torch.rand(30, 2, generator=g, dtype=torch.float64) ** 2
    best = SemiDiscrete(y, epsilon=0.01).balance(x, n_iter=5000, n_levels=4).value(x)
    left = {}
    for relaxation in (1.0, 1.5):
        transport = SemiDiscrete(y, epsilon=0.01)
        values = [transport.balance(x, relaxation=relaxation).value(x) for _ in range(30)]
        left[relaxation] = best - values[-1]
        rises = [later - earlier for earlier, later in itertools.pairwise(values)]
        assert relaxation > 1 or min(rises) >= -1e-12
    assert 0 < left[1.5] < 0.5 * left[1.0]


def test_balance_reaches_distant_targets() -> None:
    x = torch.zeros(50, 1) + torch.linspace(0, 1, 50)[:, None]
    transport = SemiDiscrete(
        torch.tensor([[0.5], [40.0], [70.0]]), b=torch.tensor([0.6, 0.4, 0.0]), epsilon=0.1
    )
    for _ in range(400):
        transport.balance(x, n_iter=10)
    assert torch.allclose(transport.marginals(x), transport.b, atol=0.01)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"epsilon": 0.0}, "epsilon"), ({"relaxation": 2.0}, "relaxation"), ({"n_iter": 0}, "n_iter")],
)
def test_balance_errors_name_the_parameter(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SemiDiscrete(torch.zeros(2, 1), epsilon=1.0).balance(torch.zeros(3, 1), **settings)


def test_assign_accepts_another_potential() -> None:
    transport = SemiDiscrete(torch.tensor([[0.0], [1.0]])).fit(
        torch.rand(200, 1, generator=rng()), n_iter=20
    )
    x = torch.linspace(0, 1, 9)[:, None]
    assert torch.equal(transport.assign(x, torch.tensor([0.0, 0.5])), (x[:, 0] > 0.25).long())
    assert torch.equal(transport.assign(x, transport.potential), transport.assign(x))
