"""Properties of entropic transport and of the divergences based on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot._anderson import Anderson
from tests.helpers.clouds import F64, TIGHT, cloud, rng, seeds, sizes, weights


@given(
    seeds, sizes, sizes, st.integers(1, 6), st.sampled_from(["sqeuclidean", "euclidean", "cosine"])
)
def test_plan_has_the_given_marginals(seed: int, n: int, m: int, d: int, cost: str) -> None:
    a, b = weights(seed, n), weights(seed + 1, m)
    plan = ot.sinkhorn(
        cloud(seed, n, d), cloud(seed + 1, m, d, 0.5), epsilon=1.0, cost=cost, a=a, b=b, **TIGHT
    )
    assert plan.converged
    torch.testing.assert_close(plan.matrix().sum(1), a, atol=1e-8, rtol=0)
    torch.testing.assert_close(plan.matrix().sum(0), b, atol=1e-8, rtol=0)


@given(seeds, sizes, sizes)
def test_dual_value_equals_the_primal_objective(seed: int, n: int, m: int) -> None:
    plan = ot.sinkhorn(cloud(seed, n, 2), cloud(seed + 1, m, 2), epsilon=1.0, **TIGHT)
    P, reference = plan.matrix(), plan.a[:, None] * plan.b
    primal = plan.cost + (P * (P / reference).log()).sum()
    torch.testing.assert_close(plan.value, primal, atol=1e-7, rtol=1e-7)


@given(seeds, sizes, sizes)
def test_value_is_symmetric_in_x_and_y(seed: int, n: int, m: int) -> None:
    x, y = cloud(seed, n, 3), cloud(seed + 1, m, 3)
    forth, back = (ot.sinkhorn(*pair, epsilon=1.0, **TIGHT).value for pair in ((x, y), (y, x)))
    torch.testing.assert_close(forth, back, atol=1e-8, rtol=1e-8)


@given(seeds, st.floats(-50, 50), st.floats(0.01, 100))
def test_value_is_translation_invariant_and_scales_with_the_cost(
    seed: int, shift: float, scale: float
) -> None:
    x, y = cloud(seed, 7, 3), cloud(seed + 1, 5, 3)
    plain = ot.sinkhorn(x, y, epsilon=1.0, **TIGHT).value
    x, y = scale * x + shift, scale * y + shift
    scaled = ot.sinkhorn(x, y, epsilon=scale**2, **TIGHT).value
    torch.testing.assert_close(scaled, plain * scale**2, rtol=1e-6, atol=1e-9)


@given(seeds)
def test_permutation_of_points_permutes_the_plan(seed: int) -> None:
    x, y = cloud(seed, 8, 2), cloud(seed + 1, 6, 2)
    order = torch.randperm(8, generator=rng(seed))
    plain = ot.sinkhorn(x, y, epsilon=1.0, **TIGHT).matrix()
    permuted = ot.sinkhorn(x[order], y, epsilon=1.0, **TIGHT).matrix()
    torch.testing.assert_close(permuted, plain[order], atol=1e-8, rtol=0)


def test_batch_equals_single_problems() -> None:
    x = torch.stack([cloud(s, 9, 3) for s in range(4)])
    y = torch.stack([cloud(s + 9, 7, 3) for s in range(4)])
    batched = ot.sinkhorn(x, y, epsilon=1.0, **TIGHT)
    for i in range(4):
        single = ot.sinkhorn(x[i], y[i], epsilon=1.0, **TIGHT)
        torch.testing.assert_close(batched.value[i], single.value, atol=1e-9, rtol=0)


def test_solved_problem_does_not_slow_down_its_batch() -> None:
    hard = cloud(0, 40, 2), cloud(1, 40, 2)
    trivial = torch.zeros(40, 2, dtype=F64)
    alone = ot.sinkhorn(*hard, epsilon=0.02)
    x, y = torch.stack([hard[0], trivial]), torch.stack([hard[1], trivial])
    together = ot.sinkhorn(x, y, epsilon=0.02)
    assert together.converged
    assert together.n_iter <= 1.5 * alone.n_iter


def test_anderson_step_is_finite_where_the_residual_is_zero() -> None:
    mixer = Anderson(torch.full((2, 3), 1 / 3, dtype=F64))
    solved, unsolved = torch.zeros(3, dtype=F64), torch.tensor([1.0, 2.0, -1.0], dtype=F64)
    for k in range(4):
        r = torch.stack([solved, unsolved * 0.9**k])
        h = mixer.next(r, r, 0.9**k, 1e-9)
    assert h is not None
    assert h.isfinite().all()
    assert (h[0] == 0).all()


def test_cost_tends_to_the_mean_for_large_epsilon_and_to_exact_for_small() -> None:
    x, y = cloud(0, 20, 2), cloud(1, 20, 2, 1.0)
    C = ot.as_cost("sqeuclidean").matrix(x, y)
    assert ot.sinkhorn(x, y, epsilon=1e5).cost.item() == pytest.approx(C.mean().item(), rel=1e-4)
    exact = (ot.wasserstein(x, y) ** 2).item()
    sharp = ot.sinkhorn(x, y, epsilon=1e-4 * C.mean().item(), max_iter=100_000)
    assert sharp.cost.item() == pytest.approx(exact, rel=3e-3)


def test_points_of_zero_weight_do_not_change_the_value() -> None:
    x, y = cloud(0, 6, 2), cloud(1, 5, 2)
    a = torch.tensor([0.25, 0.25, 0.25, 0.25, 0, 0], dtype=F64)
    with_zeros = ot.sinkhorn(x, y, a=a, epsilon=1.0, **TIGHT)
    without = ot.sinkhorn(x[:4], y, epsilon=1.0, **TIGHT)
    torch.testing.assert_close(with_zeros.value, without.value, atol=1e-8, rtol=0)
    assert with_zeros.matrix().isfinite().all()
    assert with_zeros.perplexity().isfinite()
    assert with_zeros.barycentric_map().isfinite().all()
    # the image of a point of zero weight is also a mean of the targets
    inside = with_zeros.barycentric_map()[4:]
    assert ((inside >= y.min(0).values) & (inside <= y.max(0).values)).all()


@pytest.mark.parametrize("relative", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("d", [2, 64])
def test_float32_agrees_with_float64_down_to_small_epsilon(relative: float, d: int) -> None:
    x, y = cloud(0, 40, d), cloud(1, 30, d, 0.5)
    mean = ot.as_cost("sqeuclidean").matrix(x, y).mean().item()
    plan = ot.sinkhorn(x.float(), y.float(), epsilon=relative * mean, tol=3e-3, max_iter=100_000)
    reference = ot.sinkhorn(x, y, epsilon=relative * mean, tol=1e-4, max_iter=100_000)
    assert plan.converged
    assert plan.value.item() == pytest.approx(reference.value.item(), abs=1e-3 * mean)


def test_warm_start_takes_fewer_iterations() -> None:
    x, y = cloud(0, 100, 2), cloud(1, 100, 2)
    cold = ot.sinkhorn(x, y, epsilon=0.02)
    warm = ot.sinkhorn(x + 1e-4, y, epsilon=0.02, init=cold)
    assert warm.converged
    assert warm.n_iter <= cold.n_iter / 3


def test_sinkhorn_warns_once_if_not_converged() -> None:
    x, y = cloud(0, 30, 2), cloud(1, 30, 2)
    with pytest.warns(RuntimeWarning, match="raise max_iter") as caught:
        plan = ot.sinkhorn(x, y, epsilon=1e-3, max_iter=5)
    assert len(caught) == 1
    assert not plan.converged
    assert plan.matrix().isfinite().all()


@given(seeds, sizes, sizes, st.sampled_from(["sqeuclidean", "euclidean"]))
def test_divergence_is_positive_and_zero_for_equal_measures(
    seed: int, n: int, m: int, cost: str
) -> None:
    x, y = cloud(seed, n, 2), cloud(seed + 1, m, 2, 0.3)
    options = {"epsilon": 2.0, "cost": cost, "tol": 1e-8, "max_iter": 20_000}
    assert ot.sinkhorn_divergence(x, y, **options).item() > 0
    assert ot.sinkhorn_divergence(x, x.clone(), **options).item() == pytest.approx(0, abs=1e-7)


def test_divergence_is_never_negative_in_float32() -> None:
    for seed in range(20):
        x = cloud(seed, 50, 3).float()
        assert ot.sinkhorn_divergence(x, x + 1e-4, epsilon=0.1).item() >= 0


def test_barycentric_map_recovers_a_translation() -> None:
    x = cloud(0, 10, 2)
    moved = ot.sinkhorn(x, x + 5, epsilon=1e-3, max_iter=50_000).barycentric_map()
    torch.testing.assert_close(moved, x + 5, atol=1e-2, rtol=0)


def test_perplexity_is_one_for_a_matching_and_m_for_the_independent_plan() -> None:
    x, y = 10 * cloud(0, 16, 8), 10 * cloud(1, 16, 8)
    matching = ot.sinkhorn(x, y, epsilon=1e-2, max_iter=50_000)
    assert matching.perplexity().item() == pytest.approx(1, abs=0.05)
    assert ot.sinkhorn(x, y, epsilon=1e6).perplexity().item() == pytest.approx(16, abs=0.1)


@pytest.mark.parametrize(
    "cost", ["sqeuclidean", "euclidean", "cosine", lambda x, y: (x[:, None] - y).abs().sum(-1)]
)
def test_gradients_equal_finite_differences(cost: ot.CostLike) -> None:
    y, b = cloud(1, 4, 3), weights(3, 4)
    x, logits = cloud(0, 5, 3).requires_grad_(), cloud(2, 5, 1)[:, 0].requires_grad_()
    options: dict[str, Any] = {"epsilon": 1.0, "cost": cost, "tol": 1e-12, "max_iter": 50_000}

    def value(x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
        return ot.sinkhorn(x, y, a=logits.softmax(0), b=b, **options).value

    assert torch.autograd.gradcheck(value, (x, logits, y.requires_grad_()), atol=1e-5)


def test_gradient_in_the_cost_matrix_is_the_plan() -> None:
    C = cloud(0, 5, 4).abs().requires_grad_()
    plan = ot.sinkhorn(C=C, epsilon=1.0, **TIGHT)
    (gradient,) = torch.autograd.grad(plan.value, C)
    torch.testing.assert_close(gradient, plan.matrix())


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("rho", [None, 2.0, (None, 0.5)])
def test_second_derivatives_equal_finite_differences(cost: str, rho: Any) -> None:
    x, y = cloud(0, 4, 2).requires_grad_(), cloud(1, 3, 2).requires_grad_()
    left, right = cloud(2, 4, 1)[:, 0].requires_grad_(), cloud(3, 3, 1)[:, 0].requires_grad_()
    options: dict[str, Any] = {"rho": rho, "cost": cost, "tol": 1e-13, "max_iter": 50_000}

    def value(x: Tensor, left: Tensor, y: Tensor, right: Tensor) -> Tensor:
        a, b = left.softmax(0), right.softmax(0)
        return ot.sinkhorn(x, y, a=a, b=b, epsilon=1.0, **options).value

    assert torch.autograd.gradgradcheck(value, (x, left, y, right), atol=1e-4)


def test_second_derivatives_in_the_cost_matrix_and_over_a_batch() -> None:
    C, b = torch.stack([cloud(s, 4, 3).abs() for s in range(2)]).requires_grad_(), weights(5, 3)

    def value(C: Tensor) -> Tensor:
        return ot.sinkhorn(C=C, b=b, epsilon=1.0, tol=1e-13, max_iter=50_000).value

    assert torch.autograd.gradgradcheck(value, (C,), atol=1e-4)


def test_unavailable_second_derivative_raises() -> None:
    x, y = cloud(0, 5, 2).requires_grad_(), cloud(1, 5, 2)
    (gradient,) = torch.autograd.grad(ot.sinkhorn(x, y, epsilon=1.0).cost, x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"plan\.cost holds P fixed"):
        gradient.sum().backward()
    callable_cost = ot.sinkhorn(x, y, epsilon=1.0, cost=lambda x, y: (x[:, None] - y).abs().sum(-1))
    (gradient,) = torch.autograd.grad(callable_cost.value, x, create_graph=True)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        gradient.sum().backward()


def test_divergence_gradient_equals_finite_differences() -> None:
    x, y = cloud(0, 5, 2).requires_grad_(), cloud(1, 6, 2)

    def divergence(x: Tensor) -> Tensor:
        return ot.sinkhorn_divergence(x, y, epsilon=1.0, tol=1e-12, max_iter=50_000)

    assert torch.autograd.gradcheck(divergence, (x,), atol=1e-5)


def test_minibatch_energy_distance_is_zero_for_equal_batches_and_positive_on_average() -> None:
    x, total = cloud(0, 32, 4), 0.0
    equal = ot.minibatch_energy_distance(x, x, x, x, epsilon=0.01)
    assert equal.item() == pytest.approx(0, abs=1e-9)
    for s in range(8):
        batches = [cloud(4 * s + k, 32, 4, k // 2) for k in range(4)]
        total += ot.minibatch_energy_distance(*batches, epsilon=0.01, max_iter=5000).item()
    assert total > 0


def test_energy_distance_is_positive_and_has_mean_zero_if_unbiased() -> None:
    x, y = cloud(0, 40, 3), cloud(1, 30, 3)
    assert ot.energy_distance(x, x).item() == pytest.approx(0, abs=1e-12)
    assert ot.energy_distance(x, y).item() > 0
    draws = [
        ot.energy_distance(cloud(s, 10, 2), cloud(s + 1000, 10, 2), unbiased=True).item()
        for s in range(400)
    ]
    mean, error = sum(draws) / 400, torch.tensor(draws).std().item() / 20
    assert abs(mean) < 4 * error


def test_half_precision_is_computed_in_float32_and_integers_are_rejected() -> None:
    x = cloud(0, 6, 2).half()
    assert ot.sinkhorn(x, x, epsilon=0.5).value.dtype == torch.float32
    with pytest.raises(
        TypeError, match=r"x must be floating point, got torch.int64: use x.float\(\)"
    ):
        ot.sinkhorn(torch.ones(3, 2, dtype=torch.int64), torch.ones(3, 2), epsilon=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be > 0"),
        ({"epsilon": 1.0, "cost": "manhattan"}, "cost must be one of sqeuclidean"),
        ({"epsilon": 1.0, "a": torch.tensor([0.5, 0.2, 0.2])}, "a sums to 0.9"),
        ({"epsilon": 1.0, "a": torch.tensor([0.5, 0.5])}, "a has 2 weights for 3 points"),
        ({"epsilon": 1.0, "b": torch.tensor([1.5, -0.5, 0.0])}, "b has a negative weight"),
        ({"epsilon": 1.0, "y": torch.ones(3, 4)}, "x has dimension 2 and y 4"),
        ({"epsilon": 1.0, "y": torch.tensor([[1.0, float("nan")]])}, "y holds NaN or Inf"),
        ({"epsilon": 1.0, "y": torch.ones(0, 2)}, "y is empty"),
        ({"epsilon": 1.0, "y": torch.ones(3)}, r"y must have shape \(..., n, d\)"),
        ({"epsilon": 1.0, "C": torch.ones(2, 2)}, "give one or the other"),
        ({"epsilon": 1.0, "max_iter": 0}, "max_iter must be > 0, got 0"),
        ({"epsilon": 1.0, "init": (torch.zeros(2), torch.zeros(3))}, "same sizes"),
    ],
)
def test_sinkhorn_errors_name_the_parameter(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ot.sinkhorn(torch.ones(3, 2), **{"y": torch.ones(3, 2), **arguments})


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e4, 1e12])
def test_value_is_accurate_at_extreme_scales(scale: float) -> None:
    x, y = cloud(0, 10, 3), cloud(1, 10, 3)
    exact = ot.sinkhorn(x, y, epsilon=0.1).value.item()
    scaled = ot.sinkhorn((x * scale).float(), (y * scale).float(), epsilon=0.1 * scale**2)
    assert scaled.value.item() / scale**2 == pytest.approx(exact, rel=1e-3)


def test_sinkhorn_accepts_single_coincident_and_strided_points() -> None:
    one = torch.zeros(1, 2)
    assert ot.sinkhorn(one, one + 1, epsilon=0.1).value.item() == pytest.approx(2)
    same = torch.zeros(5, 2)
    assert ot.sinkhorn(same, same, epsilon=0.1).value.item() == pytest.approx(0, abs=1e-6)
    strided = cloud(0, 4, 6).T
    torch.testing.assert_close(
        ot.sinkhorn(strided, strided + 1, epsilon=1).value,
        ot.sinkhorn(strided.contiguous(), strided + 1, epsilon=1).value,
    )


def test_repeated_calls_warn_once() -> None:
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        for seed in range(5):
            ot.sinkhorn(cloud(seed, 30, 2), cloud(seed + 1, 30, 2), epsilon=1e-3, max_iter=5)
    assert len(caught) == 1
