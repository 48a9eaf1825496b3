"""Properties of co-optimal transport."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge.ot.co_optimal import CoOptimalPlan, co_optimal_transport
from tests.helpers.clouds import cloud, rng, seeds, weights
from tests.helpers.relations import entropy_term

sizes = st.integers(1, 6)
# for ε of the order of the cost: smaller ones make the inner problems slow
TIGHT = {"tol": 1e-9, "max_iter": 5000}


def objective(
    plan: CoOptimalPlan, X: Tensor, Y: Tensor, epsilon: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return the quadratic sum and the objective of a plan, by their definitions."""
    P, Q = plan.samples.matrix(), plan.features.matrix()
    quadratic = torch.einsum("ikjl,ij,kl->", (X[:, :, None, None] - Y[None, None]).square(), P, Q)
    parts = zip((plan.samples, plan.features), epsilon, strict=True)
    entropies = (entropy_term(part.matrix(), part.a, part.b, e) for part, e in parts)
    return quadratic, quadratic + sum(entropies)


@given(seeds, sizes, sizes, sizes, sizes)
def test_co_optimal_value_is_the_four_index_sum_and_its_plans_are_stationary(
    seed: int, n: int, m: int, d: int, k: int
) -> None:
    X = cloud(seed, n, d)
    Y = cloud(seed + 1, m, k, 0.5)
    a = weights(seed, n)
    w = weights(seed + 1, k)
    plan = co_optimal_transport(X, Y, epsilon=(2.0, 3.0), a=a, w=w, **TIGHT)
    P = plan.samples.matrix()
    Q = plan.features.matrix()
    squares = (X[:, :, None, None] - Y[None, None]).square()
    quadratic, value = objective(plan, X, Y, (2.0, 3.0))
    assert plan.converged
    torch.testing.assert_close(plan.cost, quadratic, atol=1e-8, rtol=1e-7)
    torch.testing.assert_close(plan.value, value, atol=1e-8, rtol=1e-7)
    for side, slope, e in (
        (plan.samples, torch.einsum("ikjl,kl->ij", squares, Q), 2.0),
        (plan.features, torch.einsum("ikjl,ij->kl", squares, P), 3.0),
    ):
        expected = side.a[:, None] * side.b * ((side.f[:, None] + side.g - slope) / e).exp()
        torch.testing.assert_close(side.matrix(), expected, atol=1e-7, rtol=0)
        torch.testing.assert_close(side.matrix().sum(0), side.b, atol=1e-8, rtol=0)
        torch.testing.assert_close(side.matrix().sum(1), side.a, atol=1e-8, rtol=0)


def test_co_optimal_gradients_equal_finite_differences() -> None:
    logits = [cloud(2 + i, n, 1)[:, 0] for i, n in enumerate((4, 3, 3, 2))]
    leaves = tuple(t.requires_grad_() for t in (cloud(0, 4, 3), cloud(1, 3, 2), *logits))
    options = {"epsilon": (2.0, 3.0), "tol": 1e-11, "max_iter": 5000}

    def value(X: Tensor, Y: Tensor, *logits: Tensor) -> Tensor:
        a, b, v, w = (s.softmax(0) for s in logits)
        return co_optimal_transport(X, Y, a=a, b=b, v=v, w=w, **options).value

    assert torch.autograd.gradcheck(value, leaves, atol=1e-5)


def test_co_optimal_recovers_permuted_rows_and_columns() -> None:
    X = cloud(0, 12, 7) + cloud(1, 1, 7)
    rows, columns = (torch.randperm(n, generator=rng(n)) for n in (12, 7))
    plan = co_optimal_transport(X, X[rows][:, columns], epsilon=0.02)
    assert torch.equal(rows[plan.samples.matrix().argmax(1)], torch.arange(12))
    assert torch.equal(columns[plan.features.matrix().argmax(1)], torch.arange(7))
    assert plan.cost.item() == pytest.approx(0, abs=0.02)


def test_co_optimal_batches_equal_single_problems() -> None:
    X = torch.stack([cloud(s, 5, 3) for s in range(4)]).reshape(2, 2, 5, 3)
    Y = torch.stack([cloud(s + 9, 5, 3) for s in range(4)]).reshape(2, 2, 5, 3)
    batched = co_optimal_transport(X, Y, epsilon=2.0, **TIGHT)
    for i, j in itertools.product(range(2), range(2)):
        single = co_optimal_transport(X[i, j], Y[i, j], epsilon=2.0, **TIGHT)
        torch.testing.assert_close(batched.value[i, j], single.value, atol=1e-7, rtol=0)


def test_co_optimal_init_is_used() -> None:
    X, order = cloud(0, 8, 4), torch.tensor([2, 0, 3, 1])
    # feature i of the first table is feature order[i] of the second
    features = torch.eye(4, dtype=X.dtype)[order] / 4
    plan = co_optimal_transport(X[:, order], X.flip(0), epsilon=0.01, init=features)
    assert plan.n_iter == 1
    assert co_optimal_transport(X[:, order], X.flip(0), epsilon=0.01).n_iter > 1
    assert torch.equal(plan.samples.matrix().argmax(1), torch.arange(8).flip(0))


def test_co_optimal_transport_warns_if_not_converged() -> None:
    with pytest.warns(RuntimeWarning, match="co_optimal_transport did not reach"):
        plan = co_optimal_transport(cloud(0, 9, 4), cloud(1, 9, 5), epsilon=0.01, max_iter=1)
    assert not plan.converged


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epsilon": (1.0, 0.0)}, ValueError, "epsilon must be > 0"),
        ({"tol": 0.0}, ValueError, "tol must be > 0"),
        ({"Y": torch.ones(2, 3, 2)}, ValueError, r"X has batch shape \(\) and Y \(2,\)"),
        ({"Y": torch.ones(3, 2).double()}, TypeError, "X is torch.float32 and Y torch.float64"),
        ({"v": torch.ones(4) / 4}, ValueError, "v has 4 weights for 2 points"),
        ({"w": torch.ones(2)}, ValueError, "w sums to 2"),
        (
            {"init": torch.ones(3, 2)},
            ValueError,
            r"init has shape \(3, 2\), the features need \(2, 2\)",
        ),
    ],
)
def test_co_optimal_transport_errors_name_the_parameter(
    change: dict, error: type[Exception], message: str
) -> None:
    arguments = {"X": torch.ones(3, 2), "Y": torch.ones(3, 2), "epsilon": 1.0, **change}
    with pytest.raises(error, match=message):
        co_optimal_transport(**arguments)
