"""Tests of the modes of `ot.sinkhorn`: dense, streamed, fused, sharded, unbalanced and warm."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import ot as pot
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot import _loop
from monge.ot._fused import Fused, _FusedCoupling
from tests.helpers.clouds import F64, TIGHT, cloud, rng, seeds, sizes, weights

COSTS = ["sqeuclidean", "euclidean", "cosine"]


def reference(C: Tensor, a: Tensor, b: Tensor, epsilon: float, n_iter: int) -> float:
    """Return the dual value by log-domain Sinkhorn with ε-scaling, independent of the library."""
    g, level = torch.zeros_like(b), C.max().item()
    while True:
        level = max(level / 2, epsilon)
        for _ in range(n_iter if level == epsilon else 100):
            f = -level * torch.logsumexp((g - C) / level + b.log(), 1)
            g = -level * torch.logsumexp((f - C.T) / level + a.log(), 1)
        if level == epsilon:
            return (a @ f + b @ g).item()


@given(
    seeds,
    sizes,
    sizes,
    st.sampled_from([*COSTS, "callable"]),
    st.sampled_from([None, 2.0, (1.0, None)]),
)
def test_linear_memory_equals_dense(seed: int, n: int, m: int, cost: str, rho: object) -> None:
    ground = (lambda x, y: (x[:, None] - y).abs().sum(-1)) if cost == "callable" else cost
    x, y = cloud(seed, n, 3).requires_grad_(), cloud(seed + 1, m, 3, 0.5).requires_grad_()
    options = {
        "epsilon": 1.0,
        "cost": ground,
        "a": weights(seed, n),
        "b": weights(seed + 1, m),
        "rho": rho,
        **TIGHT,
    }
    dense, linear = (ot.sinkhorn(x, y, memory=memory, **options) for memory in ("dense", "linear"))
    torch.testing.assert_close(linear.value, dense.value, atol=1e-9, rtol=0)
    torch.testing.assert_close(linear.cost, dense.cost, atol=1e-8, rtol=0)
    torch.testing.assert_close(linear.matrix(), dense.matrix(), atol=1e-8, rtol=0)
    torch.testing.assert_close(linear.barycentric_map(), dense.barycentric_map(), atol=1e-6, rtol=0)
    gradients, expected = (torch.autograd.grad(p.value, (x, y)) for p in (linear, dense))
    torch.testing.assert_close(gradients, expected, atol=1e-8, rtol=0)


def test_blocks_of_rows_equal_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = cloud(0, 50, 3).requires_grad_(), cloud(1, 40, 3)
    whole = ot.sinkhorn(x, y, epsilon=0.1, **TIGHT)
    monkeypatch.setattr("monge.ot._geometry._BLOCK", 64)
    monkeypatch.setattr("monge.ot._geometry._ROWS", 7)
    for cost in COSTS:
        for memory in ("dense", "linear"):
            plan = ot.sinkhorn(x, y, epsilon=0.1, cost=cost, memory=memory, **TIGHT)
            assert plan.converged
            torch.testing.assert_close(plan.matrix().sum(1), plan.a, atol=1e-8, rtol=0)
            if cost == "sqeuclidean":
                torch.testing.assert_close(plan.value, whole.value, atol=1e-9, rtol=0)
                (gradient,) = torch.autograd.grad(plan.value, x)
                (expected,) = torch.autograd.grad(whole.value, x, retain_graph=True)
                torch.testing.assert_close(gradient, expected, atol=1e-7, rtol=0)


class PlainKernels:
    """The functions of `_triton` in torch and float64, for tests without a GPU."""

    @staticmethod
    def lse(q: Tensor, k: Tensor, h: Tensor) -> Tensor:
        return torch.logsumexp(q @ k.T + h, 1)

    @staticmethod
    def mean(q: Tensor, k: Tensor, h: Tensor, lse: Tensor, v: Tensor) -> Tensor:
        return (q @ k.T + h - lse[:, None]).exp() @ v


@pytest.mark.parametrize("rho", [None, 2.0, (1.0, None)])
@pytest.mark.parametrize("cost", ["sqeuclidean", "cosine"])
def test_fused_iteration_equals_the_dense_one(
    cost: str, rho: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, b = cloud(0, 9, 3).requires_grad_(), cloud(1, 7, 3).requires_grad_(), weights(1, 7)
    b = torch.cat([b[:-1], b[:1] * 0])
    options = {"epsilon": 0.5, "cost": cost, "rho": rho, "b": b / b.sum(), **TIGHT}
    dense = ot.sinkhorn(x, y, **options)
    monkeypatch.setattr(_loop, "Streamed", lambda *arguments: Fused(PlainKernels, *arguments))
    fused = ot.sinkhorn(x, y, memory="linear", **options)
    assert isinstance(fused._coupling, _FusedCoupling)
    torch.testing.assert_close(fused.value, dense.value, atol=1e-9, rtol=0)
    torch.testing.assert_close(fused.cost, dense.cost, atol=1e-8, rtol=0)
    torch.testing.assert_close(fused.matrix(), dense.matrix(), atol=1e-8, rtol=0)
    gradients, expected = (torch.autograd.grad(p.value, (x, y)) for p in (fused, dense))
    torch.testing.assert_close(gradients, expected, atol=1e-8, rtol=0)


def test_large_kernel_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monge.ot._loop.Dense", None)
    with pytest.raises(TypeError):
        ot.sinkhorn(cloud(0, 5, 2), cloud(1, 5, 2), epsilon=1.0)
    monkeypatch.setattr(sys.modules["monge.ot.sinkhorn"], "_DENSE_BYTES", 100)
    assert ot.sinkhorn(cloud(0, 5, 2), cloud(1, 5, 2), epsilon=1.0).converged


@given(seeds, sizes, sizes, st.floats(0.1, 10))
def test_unbalanced_plan_satisfies_its_first_order_condition(
    seed: int, n: int, m: int, rho: float
) -> None:
    a, b = 2 * weights(seed, n), 0.5 * weights(seed + 1, m)
    plan = ot.sinkhorn(
        cloud(seed, n, 2), cloud(seed + 1, m, 2), epsilon=0.5, rho=rho, a=a, b=b, **TIGHT
    )
    P = plan.matrix()
    torch.testing.assert_close(P.sum(1) / a, (-plan.f / rho).exp(), atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(P.sum(0) / b, (-plan.g / rho).exp(), atol=1e-7, rtol=1e-6)

    def kl(p: Tensor, q: Tensor) -> Tensor:
        return (p * (p / q).log() - p + q).sum()

    primal = plan.cost + 0.5 * kl(P, a[:, None] * b) + rho * kl(P.sum(1), a) + rho * kl(P.sum(0), b)
    torch.testing.assert_close(plan.value, primal, atol=1e-7, rtol=1e-6)


def test_unbalanced_tends_to_balanced_and_has_gradients() -> None:
    x, y = cloud(0, 5, 2).requires_grad_(), cloud(1, 4, 2)
    balanced = ot.sinkhorn(x, y, epsilon=1.0, **TIGHT).value
    nearly_balanced = ot.sinkhorn(x, y, epsilon=1.0, rho=1e6, **TIGHT).value
    assert nearly_balanced.item() == pytest.approx(balanced.item(), abs=1e-5)
    a = weights(2, 5).requires_grad_()

    def value(x: Tensor, a: Tensor) -> Tensor:
        return ot.sinkhorn(x, y, a=a, epsilon=1.0, rho=(0.7, 2.0), tol=1e-13, max_iter=50_000).value

    assert torch.autograd.gradcheck(value, (x, a), atol=1e-5)


def test_unbalanced_plan_agrees_with_pot() -> None:
    pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
    a, b, C = weights(0, 9) * 1.5, weights(1, 7), cloud(0, 9, 7).abs()
    ours = ot.sinkhorn(C=C, a=a, b=b, epsilon=0.2, rho=0.8, **TIGHT).matrix()
    theirs = pot.unbalanced.sinkhorn_unbalanced(
        a.numpy(), b.numpy(), C.numpy(), 0.2, 0.8, reg_type="kl", numItermax=100_000, stopThr=1e-14
    )
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-7)


@pytest.mark.parametrize("d", [2, 64])
@pytest.mark.parametrize("relative", [1e-3, 1e-4, 1e-5])
def test_small_epsilon_agrees_with_a_log_domain_reference(relative: float, d: int) -> None:
    x, y = cloud(0, 60, d), cloud(1, 50, d, 0.5)
    C = ot.as_cost("sqeuclidean").matrix(x, y)
    epsilon, mean = relative * C.mean().item(), C.mean().item()
    exact = reference(C, weights(0, 60) * 0 + 1 / 60, weights(0, 50) * 0 + 1 / 50, epsilon, 20_000)
    double = ot.sinkhorn(x, y, epsilon=epsilon, tol=1e-6, max_iter=50_000)
    single = ot.sinkhorn(x.float(), y.float(), epsilon=epsilon, max_iter=50_000)
    assert double.converged
    assert single.converged
    assert double.value.item() == pytest.approx(exact, abs=1e-8 * mean)
    assert single.value.item() == pytest.approx(exact, abs=1e-5 * mean)
    assert single.value.dtype == torch.float32


@pytest.mark.parametrize("scale", [1e-20, 1e-10, 1e10, 1e20])
def test_value_is_accurate_at_huge_and_tiny_scales(scale: float) -> None:
    x, y = cloud(0, 10, 3), cloud(1, 10, 3)
    exact = ot.sinkhorn(x, y, epsilon=0.1).value.item()
    plan = ot.sinkhorn(x * scale, y * scale, epsilon=0.1 * scale**2)
    assert plan.value.item() / scale**2 == pytest.approx(exact, rel=1e-3)
    single = ot.sinkhorn((x * scale).float(), (y * scale).float(), epsilon=0.1 * scale**2)
    assert single.matrix().sum().item() == pytest.approx(1, rel=1e-4)
    assert single.converged


def test_value_is_accurate_far_from_the_origin() -> None:
    x, y = cloud(0, 30, 5), cloud(1, 30, 5)
    near = ot.sinkhorn(x, y, epsilon=0.1)
    far = ot.sinkhorn((x + 1000).float(), (y + 1000).float(), epsilon=0.1)
    assert far.value.item() == pytest.approx(near.value.item(), rel=1e-3)


def test_underflowed_columns_are_recovered_in_the_log_domain() -> None:
    """With an initial potential that is wrong by 1,000 ε, whole columns of the kernel underflow."""
    x, y = cloud(0, 30, 2).float(), cloud(1, 30, 2).float()
    far = torch.linspace(-300, 300, 30)
    plan = ot.sinkhorn(x, y, epsilon=0.3, init=(far, far))
    assert plan.converged
    assert plan.value.item() == pytest.approx(ot.sinkhorn(x, y, epsilon=0.3).value.item(), rel=1e-4)


def two_clusters(first: int, second: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two clouds of 64 points, each in two clusters at opposite points of the unit sphere.

    ``first`` and ``second`` are the sizes of the second cluster in the two clouds.
    """
    g = rng(0)

    def cloud(far: int) -> torch.Tensor:
        center = torch.zeros(64, 8)
        center[:, 0] = 1 - 2 * (torch.arange(64) < far).float()
        return center + 0.07 * torch.randn(64, 8, generator=g)

    return cloud(first), cloud(second)


@pytest.mark.parametrize(("first", "second"), [(10, 20), (5, 6)])
@pytest.mark.parametrize("batched", [False, True])
def test_mass_between_distant_groups_converges(first: int, second: int, batched: bool) -> None:
    """The groups are 1,000 ε apart, and one iteration changes their potentials by about ε."""
    x, y = two_clusters(first, second)
    C = ot.as_cost("cosine").matrix(x, y)
    exact = pot.emd2([], [], C.double().numpy())
    if batched:  # together with a problem that does not have this difficulty
        x, y = torch.stack([x, x]), torch.stack([y, x.flip(0)])
    plan = ot.sinkhorn(x, y, epsilon=0.002, cost="cosine", tol=1e-3, max_iter=400)
    assert plan.converged
    assert plan.cost.reshape(-1)[0].item() == pytest.approx(exact, rel=0.05)


@pytest.mark.filterwarnings("ignore:sinkhorn did not reach")
@pytest.mark.parametrize("max_iter", range(50, 70))
def test_budget_never_ends_on_a_rejected_step(max_iter: int) -> None:
    """Extrapolations that overflow are rejected, even if the budget ends with one."""
    plan = ot.sinkhorn(
        *two_clusters(5, 6), epsilon=0.002, cost="cosine", tol=1e-6, max_iter=max_iter
    )
    assert plan.cost.isfinite()
    assert plan.marginal_error.isfinite()


@pytest.mark.filterwarnings("ignore:sinkhorn did not reach")
@pytest.mark.parametrize("max_iter", [1, 2, 3, 20, 33, 60, 400])
def test_plan_belongs_to_the_requested_epsilon_for_any_budget(max_iter: int) -> None:
    """The rows are exact at ε, not at a coarser level."""
    x, y = (t.double() for t in two_clusters(10, 20))
    for epsilon in (2e-3, 5e-4):
        plan = ot.sinkhorn(x, y, epsilon=epsilon, cost="cosine", tol=0.05, max_iter=max_iter)
        C = ot.as_cost("cosine").matrix(x, y)
        rows = torch.logsumexp((plan.f[:, None] + plan.g - C) / epsilon, 1)
        torch.testing.assert_close(rows, torch.full_like(rows, np.log(64)), atol=1e-6, rtol=0)


def test_potentials_stay_in_the_range_of_the_costs() -> None:
    """The dual is flat between distant groups of equal mass; the batch has a solved problem."""
    x, y = cloud(0, 6, 2), cloud(1, 6, 2)
    far = torch.tensor([[1000.0, 0.0]], dtype=F64)
    left = torch.stack([torch.cat([x, x + far]), torch.zeros(12, 2, dtype=F64)])
    right = torch.cat([y, y + far]).expand(2, -1, -1)
    plan = ot.sinkhorn(left, right, epsilon=1e-3, tol=1e-6, max_iter=20_000)
    assert plan.converged
    assert plan.f.abs().max() < 3e6
    alone = ot.sinkhorn(left[0], right[0], epsilon=1e-3, tol=1e-6, max_iter=20_000)
    torch.testing.assert_close(plan.value[0], alone.value, atol=1e-6, rtol=0)


def test_anderson_step_is_bounded() -> None:
    mixer, one = _loop.Anderson(torch.full((3,), 1 / 3, dtype=F64)), torch.ones(3, dtype=F64)
    mixer.next(0 * one, one, 1.0, 1e-9)
    h = mixer.next(one, one + 1e-9, 1.0, 1e-9)  # suggests a step of 1e9
    assert h is not None
    assert 100 < (h - one).abs().max() <= 300.001


def test_value_error_of_a_symmetric_solution_is_second_order() -> None:
    x = cloud(0, 40, 2)
    exact = ot.self_transport(x, epsilon=0.3, tol=1e-10, max_iter=20_000).value.item()
    loose = ot.self_transport(x, epsilon=0.3, tol=0.1)
    assert loose.marginal_error > 0.01
    assert abs(loose.value.item() - exact) < 0.7 * loose.marginal_error.item() ** 2


def test_wrong_extrapolations_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """With wrong extrapolations the solver still converges to the same value."""
    x, y = cloud(0, 30, 2), cloud(1, 30, 2)
    expected = ot.sinkhorn(x, y, epsilon=0.1, tol=1e-4)
    monkeypatch.setattr(
        "monge.ot._loop.Anderson.next", lambda self, image, r, worst, goal: image + 5 * r.flip(-1)
    )
    plan = ot.sinkhorn(x, y, epsilon=0.1, tol=1e-4, max_iter=5000)
    assert plan.converged
    torch.testing.assert_close(plan.value, expected.value, atol=1e-6, rtol=0)


def test_rounded_plan_has_exact_marginals() -> None:
    a, b = weights(0, 12), weights(1, 9)
    plan = ot.sinkhorn(cloud(0, 12, 2), cloud(1, 9, 2), epsilon=0.1, a=a, b=b, tol=0.1)
    assert plan.marginal_error > 1e-4
    P = plan.rounded()
    assert (P >= 0).all()
    torch.testing.assert_close(P.sum(1), a, atol=1e-14, rtol=0)
    torch.testing.assert_close(P.sum(0), b, atol=1e-14, rtol=0)
    assert (P - plan.matrix()).abs().sum() < 3 * plan.marginal_error


def test_potential_of_a_zero_weight_point_is_the_derivative_in_its_weight() -> None:
    x, y, b = cloud(0, 5, 2), cloud(1, 4, 2), torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=F64)
    plan = ot.sinkhorn(x, y, b=b, epsilon=1.0, **TIGHT)
    h = 1e-6
    changed_b = (1 - h) * b + h * torch.eye(4, dtype=F64)[3]
    changed = ot.sinkhorn(x, y, b=changed_b, epsilon=1.0, tol=1e-12, max_iter=50_000)
    slope = (changed.value - plan.value).item() / h
    assert slope == pytest.approx((plan.g[3] - b @ plan.g).item(), abs=1e-3)


def test_default_settings_never_give_nan() -> None:
    for seed in range(10):
        x = cloud(seed, 40, 2).float() * 10.0 ** (seed - 5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for epsilon in (1e-6, 1e-2, 1e2):
                plan = ot.sinkhorn(x, x.flip(0) + 1, epsilon=epsilon, max_iter=200)
                assert plan.value.isfinite()
                assert plan.matrix().isfinite().all()


def _solve_share(rank: int, folder: str, memory: str) -> None:
    """Solve a problem as one of two processes that share the rows, and save the results."""
    os.environ.update(MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    x, y = cloud(0, 130, 3), cloud(1, 100, 3).requires_grad_()
    # the shares may differ in size; the decisions are those for the whole problem
    mine = x[:100] if rank == 0 else x[100:]
    mine = mine.clone().requires_grad_()
    plan = ot.sinkhorn(mine, y, epsilon=0.05, tol=1e-9, max_iter=5000, sharded=True, memory=memory)
    # here columns underflow and are recovered in the log domain, over both processes
    init = mine[:, 0] * 0, torch.linspace(-3000, 3000, 100, dtype=F64)
    recovered = ot.sinkhorn(mine, y, epsilon=0.3, init=init, sharded=True, memory=memory)
    assert recovered.converged
    assert recovered.n_iter < 100
    gradient, summand = torch.autograd.grad(plan.value, (mine, y))
    torch.save(recovered.g, f"{folder}/recovered{rank}.pt")
    results = plan.value.detach(), plan.cost.detach(), gradient, summand, plan.f, plan.g
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("memory", ["dense", "linear"])
def test_two_processes_that_share_the_rows_equal_one_process(memory: str, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_solve_share, args=(str(tmp_path), memory), nprocs=2)
    (v0, c0, x0, y0, f0, g0), (v1, c1, x1, y1, f1, g1) = (
        torch.load(tmp_path / f"{rank}.pt") for rank in range(2)
    )
    x, y = cloud(0, 130, 3).requires_grad_(), cloud(1, 100, 3).requires_grad_()
    whole = ot.sinkhorn(x, y, epsilon=0.05, tol=1e-9, max_iter=5000)
    dx, dy = torch.autograd.grad(whole.value, (x, y))
    assert torch.equal(v0, v1)
    torch.testing.assert_close(v0, whole.value.detach(), atol=1e-9, rtol=0)
    torch.testing.assert_close(c0, whole.cost.detach(), atol=1e-8, rtol=0)
    torch.testing.assert_close(c0, c1)
    torch.testing.assert_close(torch.cat([x0, x1]), dx, atol=1e-7, rtol=0)
    torch.testing.assert_close(y0 + y1, dy, atol=1e-7, rtol=0)
    f, expected = torch.cat([f0, f1]) + g0.mean(), whole.f + whole.g.mean()
    torch.testing.assert_close(f, expected, atol=1e-6, rtol=0)
    assert torch.equal(g0, g1)
    first, second = (torch.load(tmp_path / f"recovered{rank}.pt") for rank in range(2))
    assert torch.equal(first, second)


def test_sinkhorn_state_saves_iterations_in_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, state = cloud(0, 60, 2), cloud(1, 50, 2), ot.SinkhornState()
    n_iter: list[int] = []
    fit = _loop._descend

    def count(*arguments: Any) -> Any:
        result = fit(*arguments)
        n_iter.append(result[3])
        return result

    monkeypatch.setattr(_loop, "_descend", count)
    cold = ot.sinkhorn_divergence(x, y, epsilon=0.02, state=state)
    warm = ot.sinkhorn_divergence(x + 1e-4, y, epsilon=0.02, state=state)
    assert sum(n_iter[3:]) <= sum(n_iter[:3]) / 3
    torch.testing.assert_close(warm, cold, atol=1e-3, rtol=0)
    # for another size the state is not used
    other = ot.sinkhorn_divergence(x[:30], y, epsilon=0.02, state=state)
    expected = ot.sinkhorn_divergence(x[:30], y, epsilon=0.02)
    torch.testing.assert_close(other, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("memory", ["dense", "linear"])
def test_divergence_agrees_in_both_memory_modes(memory: str) -> None:
    x, y = cloud(0, 20, 2).requires_grad_(), cloud(1, 15, 2)
    options = {"epsilon": 0.5, "tol": 1e-9, "max_iter": 20_000}
    W = ot.sinkhorn
    debiased = W(x, y, **options).value - (W(x, x, **options).value + W(y, y, **options).value) / 2
    ours = ot.sinkhorn_divergence(x, y, memory=memory, **options)
    torch.testing.assert_close(ours, debiased, atol=1e-9, rtol=0)
    pair = torch.autograd.grad(ours, x)[0], torch.autograd.grad(debiased, x)[0]
    torch.testing.assert_close(*pair, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory": "disk"}, "memory must be one of auto, dense, linear, got 'disk'"),
        ({"rho": -1.0}, "rho must be > 0"),
        ({"rho": (1.0, 2.0, 3.0)}, "rho must be one number or a pair, got 3"),
        ({"rho": 1.0, "a": torch.zeros(3)}, "a sums to 0"),
    ],
)
def test_sinkhorn_mode_arguments_are_validated(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ot.sinkhorn(torch.ones(3, 2), torch.ones(3, 2), epsilon=1.0, **arguments)
