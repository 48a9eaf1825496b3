"""Properties of Gromov-Wasserstein transport."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot import _quadratic
from monge.ot.gromov import fused_gromov_wasserstein, gromov_wasserstein
from tests.helpers.clouds import cloud, rng, seeds, weights
from tests.helpers.relations import distances, entropy_term, relation

sizes = st.integers(1, 6)
losses = st.sampled_from(["square", "kl"])
# for ε of the order of F: smaller ones make the inner problems slow
TIGHT = {"tol": 1e-9, "max_iter": 5000}


def integrand(Cx: Tensor, Cy: Tensor, loss: str = "square") -> Tensor:
    s, t = Cx[:, None, :, None], Cy[None, :, None, :]
    return (s - t).square() if loss == "square" else s * (s / t).log() - s + t


@given(seeds, sizes, sizes, losses)
def test_value_and_cost_equal_the_four_index_sums(seed: int, n: int, m: int, loss: str) -> None:
    Cx, Cy, a, b = relation(seed, n), relation(seed + 1, m), weights(seed, n), weights(seed + 1, m)
    plan = gromov_wasserstein(Cx, Cy, epsilon=5.0, a=a, b=b, loss=loss, **TIGHT)
    P = plan.matrix()
    quadratic = torch.einsum("ijkl,ij,kl->", integrand(Cx, Cy, loss), P, P)
    assert plan.converged
    torch.testing.assert_close(plan.cost, quadratic, atol=1e-8, rtol=1e-7)
    torch.testing.assert_close(
        plan.value, quadratic + entropy_term(P, a, b, 5.0), atol=1e-8, rtol=1e-7
    )
    torch.testing.assert_close(P.sum(1), a, atol=1e-8, rtol=0)
    torch.testing.assert_close(P.sum(0), b, atol=1e-8, rtol=0)


@given(seeds, sizes, sizes, losses)
def test_plan_and_potentials_are_stationary_for_the_full_gradient(
    seed: int, n: int, m: int, loss: str
) -> None:
    Cx, Cy, a, b = relation(seed, n), relation(seed + 1, m), weights(seed, n), weights(seed + 1, m)
    plan = gromov_wasserstein(Cx, Cy, epsilon=5.0, a=a, b=b, loss=loss, **TIGHT)
    P = plan.matrix().clone().requires_grad_()
    (slope,) = torch.autograd.grad(torch.einsum("ijkl,ij,kl->", integrand(Cx, Cy, loss), P, P), P)
    expected = a[:, None] * b * ((plan.f[:, None] + plan.g - slope) / 5.0).exp()
    torch.testing.assert_close(plan.matrix(), expected, atol=1e-7, rtol=1e-6)


@given(seeds)
def test_points_of_zero_weight_do_not_change_the_value(seed: int) -> None:
    Cx, Cy = distances(seed, 6), distances(seed + 1, 5)
    a = torch.tensor([0.25, 0.25, 0.25, 0.25, 0, 0], dtype=torch.float64)
    plan = gromov_wasserstein(Cx, Cy, epsilon=10.0, a=a, **TIGHT)
    without = gromov_wasserstein(Cx[:4, :4], Cy, epsilon=10.0, **TIGHT)
    assert plan.matrix().isfinite().all()
    torch.testing.assert_close(plan.value, without.value, atol=1e-7, rtol=1e-7)


@given(seeds, st.integers(2, 8), st.integers(2, 8))
def test_value_is_invariant_under_isometries_and_permutations(seed: int, n: int, m: int) -> None:
    x, y = cloud(seed, n, 2), cloud(seed + 1, m, 3)
    rotation = torch.linalg.qr(cloud(seed + 2, 2, 2)).Q
    order = torch.randperm(n, generator=rng(seed))
    matrix = ot.as_cost("euclidean").matrix
    moved = (x @ rotation + 7)[order]
    plain = gromov_wasserstein(matrix(x, x), matrix(y, y), epsilon=3.0, **TIGHT)
    other = gromov_wasserstein(matrix(moved, moved), matrix(y, y), epsilon=3.0, **TIGHT)
    torch.testing.assert_close(other.value, plain.value, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(other.matrix(), plain.matrix()[order], atol=1e-6, rtol=0)


@given(seeds, st.integers(2, 8), st.integers(2, 8))
def test_value_is_symmetric_in_the_two_spaces(seed: int, n: int, m: int) -> None:
    Cx, Cy = relation(seed, n), relation(seed + 1, m)
    forth, back = (gromov_wasserstein(*pair, epsilon=5.0, **TIGHT) for pair in ((Cx, Cy), (Cy, Cx)))
    torch.testing.assert_close(forth.value, back.value, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(forth.matrix(), back.matrix().T, atol=1e-6, rtol=0)


@given(seeds, st.floats(0.01, 100))
def test_scaling_the_relations_scales_the_value_by_the_square(seed: int, scale: float) -> None:
    Cx, Cy = distances(seed, 7), distances(seed + 1, 5)
    plain = gromov_wasserstein(Cx, Cy, epsilon=20.0, **TIGHT).value
    scaled = gromov_wasserstein(scale * Cx, scale * Cy, epsilon=20.0 * scale**2, **TIGHT).value
    torch.testing.assert_close(scaled, plain * scale**2, atol=1e-9, rtol=1e-6)


@given(st.integers(0, 29))
@settings(max_examples=8)
def test_permuted_space_is_recovered_at_small_epsilon(seed: int) -> None:
    C = distances(seed, 9, 3)
    C = C / C.mean()
    order = torch.randperm(9, generator=rng(seed))
    plan = gromov_wasserstein(
        C,
        C[order][:, order],
        epsilon=0.01,
        n_starts=4,
        generator=rng(seed),
    )
    assert plan.cost.item() == pytest.approx(0, abs=2e-3)
    assert torch.equal(order[plan.matrix().argmax(1)], torch.arange(9))


def circle(n: int) -> Tensor:
    angle = torch.arange(n, dtype=torch.float64) * (2 * torch.pi / n)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    return ot.as_cost("sqeuclidean").matrix(x, x)


def test_several_starts_leave_the_saddle_of_symmetric_spaces_reproducibly() -> None:
    C = circle(12)
    stuck = gromov_wasserstein(C, C, epsilon=0.05)
    torch.testing.assert_close(stuck.matrix(), torch.full_like(C, 1 / 144))

    def best(seed: int) -> ot.Plan:
        return gromov_wasserstein(C, C, epsilon=0.05, n_starts=3, generator=rng(seed))

    assert best(0).value < stuck.value - 1
    assert torch.equal(best(0).matrix(), best(0).matrix())
    assert not torch.allclose(best(0).matrix(), best(1).matrix())


def test_or_better_selects_the_lower_finite_value_per_problem() -> None:
    def run(number: int, *values: float) -> _quadratic.Descent:
        shapes = ((2, 3), (2,), (3,), (), (), ())
        P, f, g, error, _, change = (torch.full((4, *s), float(number)) for s in shapes)
        return _quadratic.Descent(P, f, g, error, torch.tensor(values), change, number)

    nan = float("nan")
    best = run(1, 0.0, 2.0, nan, 0.0).or_better(run(2, 1.0, 1.0, 5.0, nan))
    assert best.value.tolist() == [0, 1, 5, 0]
    for tensor in (best.P, best.f, best.g, best.error, best.change):
        assert tensor.reshape(4, -1).mean(1).tolist() == [1, 2, 2, 1]
    assert best.n_iter == 3


def test_profile_match_is_twice_the_squared_distance_of_rows() -> None:
    """The 64 quantiles are exact for weights that are multiples of 1/64."""
    Cx, Cy = relation(0, 4), relation(1, 8)
    a = torch.tensor([0.25, 0.5, 0.125, 0.125], dtype=Cx.dtype)
    b = torch.full((8,), 0.125, dtype=Cx.dtype)
    matches = _quadratic.profile_match(Cx, Cy, a, b)
    for i, j in itertools.product(range(4), range(8)):
        exact = ot.wasserstein(Cx[i, :, None], Cy[j, :, None], a=a, b=b) ** 2
        torch.testing.assert_close(matches[i, j], 2 * exact, atol=1e-8, rtol=0)


def test_second_start_finds_a_lower_value_without_a_generator() -> None:
    Cx, Cy = distances(6, 8), distances(106, 8)
    one, two = (
        gromov_wasserstein(Cx / Cx.mean(), Cy / Cy.mean(), epsilon=0.05, n_starts=n) for n in (1, 2)
    )
    assert two.value < one.value - 0.1


def test_more_starts_never_raise_the_value() -> None:
    C = torch.stack([distances(s, 10) for s in range(3)])
    C = C / C.mean()
    options = {"epsilon": 0.02, "max_iter": 400}
    one = gromov_wasserstein(C, C.flip(0), **options)
    many = gromov_wasserstein(C, C.flip(0), n_starts=5, generator=rng(0), **options)
    assert (many.value <= one.value).all()
    P = many.matrix()
    for i in range(3):
        quadratic = torch.einsum("ijkl,ij,kl->", integrand(C[i], C.flip(0)[i]), P[i], P[i])
        torch.testing.assert_close(many.cost[i], quadratic, atol=2e-3, rtol=0)


def test_init_is_used_and_may_be_a_plan() -> None:
    C = circle(8)
    flipped = torch.eye(8, dtype=C.dtype).flip(0) / 8
    plan = gromov_wasserstein(C, C, epsilon=0.05, init=flipped)
    assert torch.equal(plan.matrix().argmax(1), torch.arange(8).flip(0))
    again = gromov_wasserstein(C, C, epsilon=0.05, init=plan)
    assert again.n_iter <= 2
    torch.testing.assert_close(again.value, plan.value, atol=1e-3, rtol=0)


def test_batches_equal_single_problems() -> None:
    Cx = torch.stack([relation(s, 5) for s in range(6)]).reshape(3, 2, 5, 5)
    Cy, a = relation(9, 4), weights(3, 5)
    batched = gromov_wasserstein(Cx, Cy, epsilon=5.0, a=a, **TIGHT)
    assert batched.matrix().shape == (3, 2, 5, 4)
    assert batched.apply(torch.ones(3, 2, 4, 1, dtype=Cx.dtype)).shape == (3, 2, 5, 1)
    for i, j in itertools.product(range(3), range(2)):
        single = gromov_wasserstein(Cx[i, j], Cy, epsilon=5.0, a=a, **TIGHT)
        torch.testing.assert_close(batched.value[i, j], single.value, atol=1e-7, rtol=0)
        torch.testing.assert_close(batched.cost[i, j], single.cost, atol=1e-6, rtol=0)
        torch.testing.assert_close(batched.matrix()[i, j], single.matrix(), atol=1e-7, rtol=0)


def test_thin_factors_and_dense_products_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    skew, thin_skew = cloud(5, 40, 40), cloud(6, 36, 2) @ cloud(7, 2, 36)
    Cx = torch.stack([distances(0, 40), distances(1, 40) + skew - skew.T]) / 4
    Cy = torch.stack([distances(2, 36, 3), distances(2, 36, 3) + thin_skew - thin_skew.T]) / 6
    b, epsilon = weights(0, 36), 1.0

    def solve(sketch: int, i: int) -> tuple[ot.Plan, Tensor]:
        monkeypatch.setattr(_quadratic, "_SKETCH", sketch)
        C = Cx[i].clone().requires_grad_()
        plan = gromov_wasserstein(C, Cy[i], epsilon=epsilon, b=b, **TIGHT)
        return plan, torch.autograd.grad(plan.value, C)[0]

    for i in range(2):
        (thin, slope), (dense, expected) = solve(8, i), solve(1000, i)
        torch.testing.assert_close(thin.value, dense.value, atol=1e-7, rtol=0)
        torch.testing.assert_close(thin.matrix(), dense.matrix(), atol=1e-8, rtol=0)
        torch.testing.assert_close(slope, expected, atol=1e-8, rtol=0)
    monkeypatch.setattr(_quadratic, "_SKETCH", 8)
    uniform = torch.full((40,), 1 / 40, dtype=Cx.dtype)
    expected = {0: ([True], [True]), 1: ([True, False], [True, True])}  # which parts are thin
    for i, (of_x, of_y) in expected.items():
        assert [part.Q is not None for part in _quadratic.Part.all_of(Cx[i], uniform)] == of_x
        assert [part.Q is not None for part in _quadratic.Part.all_of(Cy[i], b)] == of_y


def test_float32_meets_the_tolerances_on_a_low_rank_problem() -> None:
    x, y = cloud(0, 150, 10), cloud(1, 140, 10)
    Cx, Cy = (ot.as_cost("sqeuclidean").matrix(t, t) / 20 for t in (x, y))
    plan = gromov_wasserstein(Cx.float(), Cy.float(), epsilon=0.1)
    P = plan.matrix().double()
    assert plan.converged
    assert plan.value.dtype == torch.float32
    assert (P.sum(0) - 1 / 140).abs().sum() + (P.sum(1) - 1 / 150).abs().sum() <= 2e-3
    exact = gromov_wasserstein(Cx, Cy, epsilon=0.1, tol=1e-6)
    assert plan.value.item() == pytest.approx(exact.value.item(), rel=2e-3)


@pytest.mark.parametrize("loss", ["square", "kl"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_gradients_equal_finite_differences(loss: str, symmetric: bool) -> None:
    """Each entry is changed separately, so that the matrices do not stay symmetric."""
    Cx, Cy, D = relation(0, 4), relation(1, 3), relation(2, 4)[:, :3]
    if symmetric:
        Cx = Cx + Cx.T
    s, t = cloud(3, 4, 1)[:, 0], cloud(4, 3, 1)[:, 0]
    leaves = tuple(leaf.clone().requires_grad_() for leaf in (D, Cx, Cy, s, t))

    def value(D: Tensor, Cx: Tensor, Cy: Tensor, s: Tensor, t: Tensor) -> Tensor:
        options = {"epsilon": 5.0, "alpha": 0.7, "loss": loss, "tol": 1e-11, "max_iter": 5000}
        return fused_gromov_wasserstein(D, Cx, Cy, a=s.softmax(0), b=t.softmax(0), **options).value

    assert torch.autograd.gradcheck(value, leaves, atol=1e-5)


def test_cost_gradient_holds_the_plan_fixed_and_second_derivative_raises() -> None:
    C = distances(0, 5).requires_grad_()
    plan = gromov_wasserstein(C, distances(1, 4), epsilon=10.0, **TIGHT)
    P = plan.matrix()
    (expected,) = torch.autograd.grad(
        torch.einsum("ijkl,ij,kl->", integrand(C, distances(1, 4)), P, P), C
    )
    (of_cost,) = torch.autograd.grad(plan.cost, C)
    (of_value,) = torch.autograd.grad(plan.value, C, create_graph=True)
    torch.testing.assert_close(of_cost, expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(of_value, expected, atol=1e-7, rtol=0)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        of_value.sum().backward()


@given(seeds, sizes, sizes)
def test_fused_equals_sinkhorn_at_alpha_zero_and_gromov_at_alpha_one(
    seed: int, n: int, m: int
) -> None:
    C = relation(seed, 6)[:n, :m]
    Cx = relation(seed + 1, n)
    Cy = relation(seed + 2, m)
    a = weights(seed, n)
    none, whole = (
        fused_gromov_wasserstein(C, Cx, Cy, epsilon=5.0, a=a, alpha=s, **TIGHT) for s in (0.0, 1.0)
    )
    linear = ot.sinkhorn(C=C, a=a, epsilon=5.0, tol=1e-9)
    quadratic = gromov_wasserstein(Cx, Cy, a=a, epsilon=5.0, **TIGHT)
    for fused, other in ((none, linear), (whole, quadratic)):
        torch.testing.assert_close(fused.value, other.value, atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(fused.cost, other.cost, atol=1e-7, rtol=1e-7)
        torch.testing.assert_close(fused.matrix(), other.matrix(), atol=1e-7, rtol=0)


def test_random_nonconvex_relations_converge() -> None:
    for seed in range(10):
        Cx, Cy = cloud(seed, 20, 20), cloud(seed + 50, 15, 15)
        assert gromov_wasserstein(Cx, Cy, epsilon=0.2).converged


def test_relaxation_is_the_bounded_barzilai_borwein_step() -> None:
    before, omega = torch.ones(4, 1, 2), torch.tensor([1.0, 2.0, 1.0, 15.0]).reshape(4, 1, 1)
    # slow contraction, leaving a saddle, oscillation, leaving a saddle at the bound
    after = torch.tensor([0.5, 1.5, -1.0, 1.1]).reshape(4, 1, 1) * before
    assert _quadratic._relaxation(omega, after, before).flatten().tolist() == [2, 4, 0.5, 20]
    assert torch.equal(_quadratic._relaxation(omega, before, None), omega)


def test_inner_problems_are_warm_started_and_the_outer_loop_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts, solve = [], _quadratic.solve

    def record(C: Tensor, a: Tensor, b: Tensor, *rest: Any) -> Any:
        starts.append(rest[-1])
        return solve(C, a, b, *rest)

    monkeypatch.setattr(_quadratic, "solve", record)
    Cx, Cy = distances(0, 100, 3), distances(1, 100, 3)
    plan = gromov_wasserstein(Cx / Cx.mean(), Cy / Cy.mean(), epsilon=0.05)
    assert plan.converged
    assert plan.n_iter <= 120
    assert starts[0] is None
    assert sum(start is not None for start in starts) >= 0.9 * len(starts) - 1


def test_plan_with_a_changing_cost_is_not_converged() -> None:
    with pytest.warns(RuntimeWarning, match="did not reach"):
        plan = gromov_wasserstein(
            distances(0, 10), distances(1, 10), epsilon=10.0, tol=0.02, max_iter=1
        )
    assert plan.marginal_error <= 0.02
    assert not plan.converged


def test_weights_alone_may_require_a_gradient() -> None:
    a, b = weights(0, 5).requires_grad_(), weights(1, 4).requires_grad_()
    plan = gromov_wasserstein(distances(0, 5), distances(1, 4), epsilon=10.0, a=a, b=b)
    gradients = torch.autograd.grad(plan.value, (a, b))
    torch.testing.assert_close(gradients, (plan.f, plan.g))


def test_gromov_wasserstein_warns_if_not_converged() -> None:
    with pytest.warns(
        RuntimeWarning, match="gromov_wasserstein did not reach tol=0.001: raise max_iter"
    ):
        plan = gromov_wasserstein(distances(0, 10), distances(1, 10), epsilon=0.1, max_iter=2)
    assert not plan.converged
    assert plan.n_iter == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epsilon": 0.0}, ValueError, "epsilon must be > 0"),
        ({"tol": 0}, ValueError, "tol must be > 0"),
        ({"n_starts": 0}, ValueError, "n_starts must be > 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be > 0"),
        ({"loss": "cube"}, ValueError, "loss must be one of square, kl, got 'cube'"),
        ({"loss": "kl"}, ValueError, "needs Cx >= 0 and Cy > 0"),
        ({"Cx": torch.ones(3, 2)}, ValueError, r"Cx must have shape \(..., n, n\), got \(3, 2\)"),
        ({"Cy": torch.ones(3, 2)}, ValueError, r"Cy must have shape \(..., n, n\), got \(3, 2\)"),
        ({"Cy": torch.full((3, 3), torch.nan)}, ValueError, "Cy holds NaN"),
        ({"Cy": torch.ones(3, 3).double()}, TypeError, "Cx is torch.float32 and Cy torch.float64"),
        ({"a": torch.ones(2)}, ValueError, "a has 2 weights for 3 points"),
        ({"b": torch.ones(3)}, ValueError, "b sums to 3"),
        (
            {"init": torch.ones(2, 3)},
            ValueError,
            r"init has shape \(2, 3\), the problem needs \(3, 3\)",
        ),
    ],
)
def test_gromov_wasserstein_errors_name_the_parameter(
    arguments: dict, error: type[Exception], message: str
) -> None:
    arguments = {"Cx": torch.ones(3, 3), "Cy": 1 - torch.eye(3), "epsilon": 1.0, **arguments}
    with pytest.raises(error, match=message):
        gromov_wasserstein(**arguments)


def test_fused_gromov_wasserstein_rejects_invalid_arguments() -> None:
    C = torch.ones(3, 3)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 1.5"):
        fused_gromov_wasserstein(C, C, C, epsilon=1.0, alpha=1.5)
    with pytest.raises(ValueError, match=r"C has shape \(3, 2\), Cx and Cy need \(..., 3, 3\)"):
        fused_gromov_wasserstein(C[:, :2], C, C, epsilon=1.0)
    with pytest.raises(TypeError, match=r"Cx is torch\.float32 and C torch\.float64"):
        fused_gromov_wasserstein(C.double(), C, C, epsilon=1.0)
