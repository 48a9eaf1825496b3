"""Properties of kernel discrepancies, and agreement with full matrices in float64."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge.ot.mmd import energy_distance, mmd
from tests.helpers.clouds import cloud, rng, seeds, weights

discrepancies = sys.modules["monge.ot.mmd"]  # the module; `monge.ot.mmd` is the function

sizes = st.integers(2, 12)
LENGTHS = [0.5, 2.0]

DISCREPANCIES: dict[str, Callable[..., Tensor]] = {
    "energy": energy_distance,
    "imq": lambda x, y, **options: mmd(x, y, kernel="imq", scales=LENGTHS, **options),
    "rbf": lambda x, y, **options: mmd(x, y, kernel="rbf", scales=LENGTHS, **options),
    "callable": lambda x, y, **options: mmd(
        x, y, kernel=lambda s, t: (s @ t.mT + 1) ** 2, **options
    ),
}
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "energy": lambda r: -r,
    "imq": lambda r: sum(s**2 / (s**2 + r**2) for s in LENGTHS),  # type: ignore[return-value, misc]
    "rbf": lambda r: sum(torch.exp(-(r**2) / (2 * s**2)) for s in LENGTHS),  # type: ignore[return-value, misc]
}
every = pytest.mark.parametrize("name", DISCREPANCIES)
named = pytest.mark.parametrize("name", KERNELS)


def by_matrices(name: str, x: Tensor, y: Tensor, a: Tensor, b: Tensor, unbiased: bool) -> Tensor:
    def term(s: Tensor, t: Tensor, ws: Tensor, wt: Tensor) -> Tensor:
        return ws[:, None] * wt * KERNELS[name]((s[:, None] - t).norm(dim=-1))

    xx, yy, xy = term(x, x, a, a), term(y, y, b, b), term(x, y, a, b)
    if unbiased:
        for t, w in ((xx, a), (yy, b)):
            t.fill_diagonal_(0)
            t /= w[:, None].mul(w).fill_diagonal_(0).sum()
    return xx.sum() + yy.sum() - 2 * xy.sum()


@named
@given(seeds, sizes, sizes, st.integers(1, 6), st.booleans())
def test_discrepancies_equal_those_of_full_matrices(
    name: str, seed: int, n: int, m: int, d: int, unbiased: bool
) -> None:
    x = cloud(seed, n, d)
    y = cloud(seed + 1, m, d, 0.5)
    a = weights(seed, n)
    b = weights(seed + 1, m)
    uniform = torch.full((n,), 1 / n, dtype=x.dtype), torch.full((m,), 1 / m, dtype=x.dtype)
    value = DISCREPANCIES[name](x, y, unbiased=unbiased)
    torch.testing.assert_close(
        value, by_matrices(name, x, y, *uniform, unbiased), atol=1e-9, rtol=1e-9
    )
    value = DISCREPANCIES[name](x, y, a=a, b=b, unbiased=unbiased)
    torch.testing.assert_close(value, by_matrices(name, x, y, a, b, unbiased), atol=1e-9, rtol=1e-9)


@named
def test_one_cloud_with_two_weightings_equals_full_matrices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discrepancies, "_ENTRIES", {"cpu": 4})
    x, a, b = cloud(0, 6, 2), weights(0, 6), weights(1, 6)
    torch.testing.assert_close(
        DISCREPANCIES[name](x, x, a=a, b=b, unbiased=False), by_matrices(name, x, x, a, b, False)
    )


@named
@pytest.mark.parametrize("entries", [1, 6, 16, 10**6])
def test_blocks_and_batches_do_not_change_the_result(
    name: str, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.stack([cloud(s, 9, 3) for s in range(4)]).view(2, 2, 9, 3).requires_grad_()
    y = cloud(9, 7, 3, 0.5)
    a = torch.stack([weights(s, 9) for s in range(4)]).view(2, 2, 9).requires_grad_()
    monkeypatch.setattr(discrepancies, "_ENTRIES", {"cpu": entries})
    value = DISCREPANCIES[name](x, y, a=a)
    gradients = torch.autograd.grad(value.sum(), (x, a))
    monkeypatch.undo()
    for i in range(2):
        for j in range(2):
            one, w = x[i, j].detach().requires_grad_(), a[i, j].detach().requires_grad_()
            alone = by_matrices(
                name, one, y, w, torch.full((7,), 1 / 7, dtype=y.dtype), name != "energy"
            )
            torch.testing.assert_close(value[i, j], alone, atol=1e-9, rtol=0)
            gx, ga = torch.autograd.grad(alone, (one, w))
            torch.testing.assert_close(gradients[0][i, j], gx, atol=1e-9, rtol=0)
            shift = gradients[1][i, j] - ga  # weights sum to one, so a constant has no effect
            torch.testing.assert_close(shift, shift.mean().expand(9), atol=1e-9, rtol=0)


@every
@pytest.mark.parametrize("unbiased", [True, False])
def test_gradients_equal_finite_differences(
    name: str, unbiased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discrepancies, "_ENTRIES", {"cpu": 6})
    x, y = cloud(0, 5, 3).requires_grad_(), cloud(1, 4, 3, 0.5).requires_grad_()
    s, t = cloud(2, 1, 5)[0].requires_grad_(), cloud(3, 1, 4)[0].requires_grad_()

    def value(x: Tensor, y: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return DISCREPANCIES[name](x, y, a=s.softmax(0), b=t.softmax(0), unbiased=unbiased)

    inputs = (x, y, s, t)
    assert torch.autograd.gradcheck(value, inputs)
    for k in range(4):  # each input alone: gradients that are not needed are not computed
        alone = [v if i == k else v.detach() for i, v in enumerate(inputs)]
        assert torch.autograd.gradcheck(value, alone)


@every
@given(seeds, sizes, sizes)
def test_discrepancies_are_symmetric_positive_and_zero_for_equal_samples(
    name: str, seed: int, n: int, m: int
) -> None:
    discrepancy = DISCREPANCIES[name]
    x, y = cloud(seed, n, 2), cloud(seed + 1, m, 2, 0.3)
    forth, back = discrepancy(x, y, unbiased=False), discrepancy(y, x, unbiased=False)
    torch.testing.assert_close(forth, back, atol=1e-12, rtol=1e-9)
    assert forth > 0
    assert discrepancy(x, x.clone(), unbiased=False).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["energy", "imq"])
def test_discrepancies_are_never_negative_in_float32(name: str) -> None:
    for seed in range(20):
        x = cloud(seed, 50, 3).float()
        assert 0 <= DISCREPANCIES[name](x, x + 1e-5, unbiased=False).item() < 1e-5


@every
def test_unbiased_discrepancies_have_mean_zero(name: str) -> None:
    x, y = (torch.randn(400, 8, 2, generator=rng(s), dtype=torch.float64) for s in (0, 1))
    values = DISCREPANCIES[name](x, y, unbiased=True)
    assert values.min() < 0
    assert values.mean().abs() < 4 * values.std() / 20


@given(seeds, st.floats(0.01, 100))
def test_energy_distance_scales_with_length_and_default_mmd_is_scale_invariant(
    seed: int, scale: float
) -> None:
    x, y = cloud(seed, 7, 3), cloud(seed + 1, 5, 3, 0.4)
    torch.testing.assert_close(
        energy_distance(scale * x + 3, scale * y + 3), scale * energy_distance(x, y)
    )
    for kernel in ("imq", "rbf"):
        torch.testing.assert_close(
            mmd(scale * x + 3, scale * y + 3, kernel=kernel),
            mmd(x, y, kernel=kernel),
            atol=1e-9,
            rtol=1e-7,
        )
        lengths = [scale * s for s in LENGTHS]
        torch.testing.assert_close(
            mmd(scale * x, scale * y, kernel=kernel, scales=lengths),
            mmd(x, y, kernel=kernel, scales=LENGTHS),
            atol=1e-9,
            rtol=1e-7,
        )


def test_default_scales_are_multiples_of_the_mean_squared_distance() -> None:
    x, y = cloud(0, 6, 3), cloud(1, 6, 3, 0.7).requires_grad_()
    pooled = torch.cat([x, y.detach()])
    base = (pooled[:, None] - pooled).square().sum(-1).mean().item()
    lengths = [(s * base) ** 0.5 for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
    ours, given = mmd(x, y), mmd(x, y, scales=lengths)
    torch.testing.assert_close(ours, given)
    torch.testing.assert_close(*(torch.autograd.grad(value, y)[0] for value in (ours, given)))


def test_default_scales_accept_coincident_points() -> None:
    assert mmd(torch.zeros(3, 2), torch.zeros(4, 2)).item() == pytest.approx(0, abs=1e-5)


def test_energy_distance_in_one_dimension_is_twice_the_cramer_distance() -> None:
    x, y = cloud(0, 30, 1), cloud(1, 20, 1, 0.4)
    grid = torch.cat([x, y]).sort(0).values
    F, G = ((grid >= t.T).double().mean(1) for t in (x, y))
    cramer = ((F - G).square()[:-1] * grid.diff(dim=0)[:, 0]).sum()
    torch.testing.assert_close(energy_distance(x, y), 2 * cramer)


@pytest.mark.parametrize("unbiased", [True, False])
def test_coincident_points_have_finite_gradients(unbiased: bool) -> None:
    x = cloud(0, 40, 8).float()
    x[20:] = x[:20]
    x.requires_grad_()
    energy_distance(x, x.detach(), unbiased=unbiased).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    if not unbiased:
        assert x.grad.abs().max() < 1e-6
    one = torch.zeros(3, 2, requires_grad=True)
    energy_distance(one, torch.zeros(2, 2)).backward()
    assert one.grad is not None
    assert (one.grad == 0).all()


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_distances_of_near_points_are_accurate_in_float32(offset: float) -> None:
    """A matrix product alone would lose distances of 1e-4 between vectors of norm 10."""
    x = 10 * cloud(0, 60, 32) + offset
    y = x + 1e-4 * cloud(1, 60, 32)
    x32, y32 = x.float(), y.float()
    expected = energy_distance(x32.double(), y32.double()).item()
    squares = torch.empty(1, 60, 60)
    discrepancies._squared_distances(
        *discrepancies._lift(x32[None] - offset, y32[None] - offset), squares
    )
    exact = (x32.double()[:, None] - y32.double()).square().sum(-1)
    torch.testing.assert_close(squares[0].double(), exact, rtol=1e-5, atol=0)
    assert energy_distance(x32, y32).item() == pytest.approx(expected, abs=1e-5)


def test_float32_agrees_with_float64() -> None:
    x, y = cloud(0, 700, 16).requires_grad_(), cloud(1, 600, 16, 0.1)
    x32 = x.detach().float().requires_grad_()
    for discrepancy in (energy_distance, mmd):
        exact, single = discrepancy(x, y), discrepancy(x32, y.float())
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(exact.item(), rel=1e-3)
        (g,), (g32,) = torch.autograd.grad(exact, x), torch.autograd.grad(single, x32)
        torch.testing.assert_close(g32.double(), g, rtol=0, atol=1e-3 * g.abs().max().item())


def test_cancelling_sums_are_accumulated_in_float64() -> None:
    clouds = [(cloud(s, 700, 16).float(), cloud(s + 50, 600, 16, 0.02).float()) for s in range(4)]
    errors = [(mmd(x, y) - mmd(x.double(), y.double())).abs().item() for x, y in clouds]
    assert max(errors) < 1e-7  # the sums are about 3


def test_memory_is_linear_including_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor that is saved for the backward pass is larger than the points."""
    monkeypatch.setattr(discrepancies, "_ENTRIES", {"cpu": 64})
    x, y = cloud(0, 50, 3).requires_grad_(), cloud(1, 40, 3).requires_grad_()
    largest = 0

    def pack(t: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, t.numel())
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        energy_distance(x, y).backward()
    assert 0 < largest <= x.numel()


def test_second_derivative_raises() -> None:
    x = cloud(0, 5, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(energy_distance(x, cloud(1, 5, 2)), x, create_graph=True)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        gradient.sum().backward()


ONE = torch.tensor([1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "laplace"}, "kernel must be imq, rbf or a callable .* got 'laplace'"),
        (
            {"scales": [1.0, 0.0]},
            r"scales must be one or more positive lengths, got \[1\.0, 0\.0\]",
        ),
        ({"scales": []}, r"scales must be one or more positive lengths, got \[\]"),
        ({"scales": [1.0], "kernel": lambda x, y: x @ y.mT}, "put the scales into the callable"),
        ({"a": ONE}, "a has all weight on one: use unbiased=False"),
        ({"b": ONE}, "b has all weight on one: use unbiased=False"),
        ({"a": torch.ones(2)}, "a has 2 weights for 3 points"),
        ({"kernel": lambda x, y: x @ y.mT * torch.nan}, r"kernel\(x, x\) holds NaN"),
        ({"y": torch.ones(3, 4)}, "x has dimension 2 and y 4"),
    ],
)
def test_mmd_rejects_invalid_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mmd(torch.ones(3, 2), **{"y": torch.ones(3, 2), **options})


def test_unbiased_energy_distance_needs_two_points() -> None:
    with pytest.raises(ValueError, match="a has all weight on one"):
        energy_distance(torch.ones(1, 2), torch.ones(3, 2), unbiased=True)
