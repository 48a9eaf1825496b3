"""Properties and closed forms of transport in one dimension and of sliced distances."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot import sliced
from monge.ot.sliced import max_sliced_wasserstein, sliced_wasserstein, wasserstein_1d
from tests.helpers.clouds import cloud, rng, seeds, sizes, weights

exponents = st.sampled_from([1.0, 1.5, 2.0, 3.0])


def values(seed: int, n: int, shift: float = 0.0) -> Tensor:
    return cloud(seed, n, 1, shift)[:, 0]


@given(seeds, sizes, sizes, exponents, st.booleans())
def test_wasserstein_1d_equals_the_linear_program(
    seed: int, n: int, m: int, p: float, weighted: bool
) -> None:
    x, y = values(seed, n), values(seed + 1, m, 0.5)
    a, b = (weights(seed, n), weights(seed + 1, m)) if weighted else (None, None)
    exact = ot.wasserstein(x[:, None], y[:, None], p=p, a=a, b=b)
    torch.testing.assert_close(wasserstein_1d(x, y, p=p, a=a, b=b), exact, atol=1e-7, rtol=1e-7)


@given(seeds, sizes, exponents)
def test_wasserstein_1d_is_unchanged_by_repeating_points(seed: int, n: int, p: float) -> None:
    x, y, a = values(seed, n), values(seed + 1, n), weights(seed, n)
    plain = wasserstein_1d(x, y, p=p)
    torch.testing.assert_close(wasserstein_1d(x.repeat(2), y, p=p), plain)
    torch.testing.assert_close(
        wasserstein_1d(x.repeat(2), y, p=p, a=torch.cat([a, a]) / 2), wasserstein_1d(x, y, p=p, a=a)
    )


def test_points_of_zero_weight_do_not_change_the_distance() -> None:
    x, y, a = values(0, 5), values(1, 4), weights(0, 5)
    more = torch.cat([x, torch.tensor([-9.0, 9.0], dtype=x.dtype)])
    nothing = torch.zeros(2, dtype=x.dtype)
    torch.testing.assert_close(
        wasserstein_1d(more, y, a=torch.cat([a, nothing])), wasserstein_1d(x, y, a=a)
    )


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 3), (1, 4)])
def test_gradients_in_values_equal_finite_differences(p: float, n: int, m: int) -> None:
    x, y = values(0, n).requires_grad_(), values(1, m, 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: wasserstein_1d(x, y, p=p), (x, y))


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_gradients_with_weights_equal_finite_differences(p: float) -> None:
    x, y = cloud(0, 2, 5).requires_grad_(), cloud(1, 2, 4).requires_grad_()
    s, t = cloud(2, 2, 5).requires_grad_(), cloud(3, 2, 4).requires_grad_()

    def distance(x: Tensor, y: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return wasserstein_1d(x, y, p=p, a=s.softmax(-1), b=t.softmax(-1))

    assert torch.autograd.gradcheck(distance, (x, y, s, t))


def test_float32_sort_keeps_the_gradients_of_ties() -> None:
    """The index is part of the sort key, which must not change ties, zeros or negative numbers."""
    x = torch.tensor([2.0, -1.0, 0.0, -0.0, 2.0, -1.0, 1e-45, -3e38], requires_grad=True)
    y = torch.arange(8.0)
    distance = wasserstein_1d(x, y, p=1)
    assert distance.item() == pytest.approx(3e38 / 8, rel=1e-6)
    distance.backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full((8,), -1 / 8))


def test_float32_agrees_with_float64() -> None:
    x, y = cloud(0, 3000, 3).requires_grad_(), cloud(1, 2000, 3, 0.2)
    x32 = x.detach().float().requires_grad_()
    exact, single = (
        sliced_wasserstein(s, t, generator=None, projections=torch.eye(3))
        for s, t in ((x, y), (x32, y.float()))
    )
    assert single.item() == pytest.approx(exact.item(), rel=1e-6)
    exact.backward()
    single.backward()
    assert x.grad is not None
    assert x32.grad is not None
    torch.testing.assert_close(
        x32.grad.double(), x.grad, atol=1e-5 * x.grad.abs().max().item(), rtol=1e-3
    )


def test_float32_is_accurate_far_from_the_origin() -> None:
    x, y = (2**16 + cloud(0, 200, 8)).float(), (2**16 + cloud(1, 200, 8, 0.1)).float()
    single, exact = (
        sliced_wasserstein(s, t, projections=torch.eye(8) + 1)
        for s, t in ((x, y), (x.double(), y.double()))
    )
    assert single.item() == pytest.approx(exact.item(), rel=1e-5)


def test_weights_may_sum_to_one_approximately() -> None:
    x, a = values(0, 5), weights(0, 5)
    assert wasserstein_1d(x + 5, x, a=a * (1 + 5e-5), b=a).item() == pytest.approx(5, abs=1e-3)
    single = wasserstein_1d(x[:1] + 5, x[:1], a=torch.ones(1) * (1 + 5e-5))
    assert single.item() == pytest.approx(5, abs=1e-9)


@given(seeds, sizes, sizes, exponents)
def test_sliced_is_symmetric_homogeneous_and_invariant(seed: int, n: int, m: int, p: float) -> None:
    x, y = cloud(seed, n, 3), cloud(seed + 1, m, 3)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return sliced_wasserstein(x, y, p=p, n_projections=16, generator=rng())

    plain = distance(x, y)
    torch.testing.assert_close(distance(y, x), plain)
    torch.testing.assert_close(distance(3 * x + 7, 3 * y + 7), 3 * plain)
    torch.testing.assert_close(distance(x[torch.randperm(n, generator=rng(seed))], y), plain)
    assert distance(x, x).item() == pytest.approx(0, abs=1e-7)


@given(seeds, exponents, st.integers(1, 4))
def test_sliced_is_at_most_max_sliced_which_is_at_most_wasserstein(
    seed: int, p: float, d: int
) -> None:
    x, y = cloud(seed, 12, d), cloud(seed + 1, 9, d, 0.3)
    mean = sliced_wasserstein(x, y, p=p, generator=rng(seed))
    top = max_sliced_wasserstein(x, y, p=p, generator=rng(seed + 1))
    assert mean <= top + 1e-9
    assert top <= ot.wasserstein(x, y, p=p) + 1e-7


def test_max_sliced_finds_the_stretched_axis() -> None:
    """In 30 dimensions random directions are far from the axis, and the means agree."""
    x = cloud(0, 400, 30)
    x = x - x.mean(0)
    y = x.clone()
    y[:, 7] *= 3
    expected = 2 * x[:, 7].square().mean().sqrt().item()
    distance = max_sliced_wasserstein(x, y, generator=rng(), n_iter=200)
    assert distance.item() == pytest.approx(expected, rel=1e-3)


def test_max_sliced_of_a_translation_is_its_length() -> None:
    x, shift = cloud(0, 30, 20), cloud(1, 1, 20)
    distance = max_sliced_wasserstein(x, x + shift, n_iter=1, generator=rng())
    assert distance.item() == pytest.approx(shift.norm().item())


@given(st.floats(-3, 3), st.integers(1, 6))
def test_sliced_of_a_translation_equals_its_closed_form(shift: float, d: int) -> None:
    """The mean of (θᵀt)² over an orthonormal basis is |t|²/d."""
    x = cloud(0, 10, d)
    basis = torch.linalg.qr(cloud(1, d, d)).Q
    distance = sliced_wasserstein(x, x + shift, projections=5 * basis)
    assert distance.item() == pytest.approx(abs(shift), abs=1e-9)


def test_directions_are_uniform_on_the_sphere() -> None:
    x = torch.zeros(1, 3, dtype=torch.float64)
    y = x + torch.tensor([0.0, 3.0, 4.0], dtype=x.dtype)
    mean = sliced_wasserstein(x, y, p=1, n_projections=20_000, generator=rng()).item()
    assert mean == pytest.approx(5 / 2, rel=0.02)  # E|θ₁| = 1/2 in three dimensions


def test_generator_determines_the_directions() -> None:
    x, y = cloud(0, 10, 4), cloud(1, 10, 4)
    first, again, other = (
        sliced_wasserstein(x, y, n_projections=4, generator=rng(s)) for s in (0, 0, 1)
    )
    assert first == again != other
    torch.manual_seed(0)
    assert sliced_wasserstein(x, y, n_projections=4) == first


@pytest.mark.parametrize("entries", [1, 40, 10**6])
def test_blocks_and_batches_do_not_change_the_result(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = torch.stack([cloud(s, 9, 3) for s in range(4)]).view(2, 2, 9, 3), cloud(9, 7, 3, 0.5)
    a = torch.stack([weights(s, 9) for s in range(4)]).view(2, 2, 9)
    monkeypatch.setattr(sliced, "_ENTRIES", entries)
    x.requires_grad_()
    batched = sliced_wasserstein(x, y, a=a, generator=rng())
    top = max_sliced_wasserstein(x, y, n_iter=5, generator=rng())
    (gradient,) = torch.autograd.grad(batched.sum(), x)
    assert batched.shape == top.shape == (2, 2)
    monkeypatch.undo()
    for i in range(2):
        for j in range(2):
            one = x[i, j].detach().requires_grad_()
            alone = sliced_wasserstein(one, y, a=a[i, j], generator=rng())
            torch.testing.assert_close(batched[i, j], alone)
            torch.testing.assert_close(gradient[i, j], torch.autograd.grad(alone, one)[0])
            torch.testing.assert_close(
                top[i, j], max_sliced_wasserstein(one, y, n_iter=5, generator=rng())
            )


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
def test_sliced_gradients_equal_finite_differences(p: float) -> None:
    x = cloud(0, 5, 3).requires_grad_()
    y = cloud(1, 4, 3).requires_grad_()
    s = values(2, 5).requires_grad_()

    def distance(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
        return sliced_wasserstein(x, y, a=s.softmax(-1), p=p, n_projections=8, generator=rng())

    assert torch.autograd.gradcheck(distance, (x, y, s))
    assert torch.autograd.gradcheck(lambda y: distance(x, y, s), (y,))


def test_max_sliced_gradient_equals_finite_differences() -> None:
    """The clouds are distant, so that no projected points coincide in the best direction."""
    x, y = cloud(0, 4, 2).requires_grad_(), cloud(1, 4, 2, 4.0).requires_grad_()

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return max_sliced_wasserstein(x, y, n_iter=100, n_starts=2, generator=rng())

    assert torch.autograd.gradcheck(distance, (x, y), eps=1e-5, atol=1e-4)


def test_coincident_clouds_have_gradient_zero() -> None:
    for distance in (
        sliced_wasserstein,
        max_sliced_wasserstein,
        lambda x, y: wasserstein_1d(x[:, 0], y[:, 0], p=1),
    ):
        x = cloud(0, 6, 2).requires_grad_()
        distance(x, x.detach()).backward()
        assert x.grad is not None
        assert (x.grad == 0).all()


def test_no_gradient_under_no_grad_and_second_derivative_raises() -> None:
    x, y = values(0, 5).requires_grad_(), values(1, 5)
    with torch.no_grad():
        assert not wasserstein_1d(x, y).requires_grad
        assert not sliced.needs_gradient(x)
    (gradient,) = torch.autograd.grad(wasserstein_1d(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        gradient.sum().backward()


@pytest.mark.parametrize("distance", [sliced_wasserstein, max_sliced_wasserstein])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_distances_scale_with_the_points_in_float32(
    distance: Callable[..., Tensor], scale: float
) -> None:
    x, y = cloud(0, 10, 3).float(), cloud(1, 10, 3).float()
    plain = distance(x, y, generator=rng()).item()
    scaled = distance(x * scale, y * scale, generator=rng()).item()
    assert scaled / scale == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 0.5}, r"p must be a finite number >= 1, got 0\.5"),
        ({"p": math.inf}, "p must be a finite number >= 1, got inf"),
        ({"n_projections": 0}, "n_projections must be > 0, got 0"),
        (
            {"projections": torch.ones(2)},
            r"projections must have shape \(K, 2\), one direction per row, got \(2,\)",
        ),
        ({"projections": torch.ones(3, 4)}, r"projections must have shape \(K, 2\).*got \(3, 4\)"),
        (
            {"projections": torch.eye(2, requires_grad=True)},
            r"no gradient in projections: pass projections.detach\(\)",
        ),
        ({"projections": torch.zeros(1, 2)}, "a row of zeros"),
        ({"a": torch.ones(2)}, "a has 2 weights for 3 points"),
        ({"y": torch.ones(3, 4)}, "x has dimension 2 and y 4"),
    ],
)
def test_sliced_wasserstein_rejects_invalid_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sliced_wasserstein(torch.ones(3, 2), **{"y": torch.ones(3, 2), **arguments})


def test_other_distances_reject_invalid_arguments() -> None:
    one = torch.ones(())
    with pytest.raises(
        ValueError, match=r"x must have shape \(\.\.\., n\), got a scalar: pass x\[None\]"
    ):
        wasserstein_1d(one, one)
    with pytest.raises(TypeError, match=r"y must be a torch\.Tensor, got list"):
        wasserstein_1d(torch.ones(2), [1.0])  # type: ignore[arg-type]
    for name in ("n_iter", "n_starts"):
        with pytest.raises(ValueError, match=f"{name} must be > 0, got 0"):
            max_sliced_wasserstein(torch.ones(3, 2), torch.ones(3, 2), **{name: 0})  # type: ignore[arg-type]
