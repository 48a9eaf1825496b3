"""Tests of angles and their gradients, also near 0 and π, where arccos is inaccurate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from monge.dance.motion import angle, squared_angles


def directions(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x / x.norm(dim=-1, keepdim=True)


def at(theta: float) -> tuple[Tensor, Tensor]:
    """Return two directions with an angle of theta between them."""
    u = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    across = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    return u, math.cos(theta) * u + math.sin(theta) * across


@pytest.mark.parametrize(
    "theta", [0.0, 1e-9, 1e-5, 0.3, math.pi / 2, 3.0, math.pi - 1e-5, math.pi - 1e-9, math.pi]
)
def test_angles_are_accurate_near_zero_and_pi(theta: float) -> None:
    u, v = at(theta)
    assert angle(u, v).item() == pytest.approx(theta, rel=1e-9, abs=1e-15)
    assert angle(u.float(), u.float()).item() == 0


def pose_distance(u: Tensor, v: Tensor) -> Tensor:
    """Root mean square angle of the bones of poses (..., B, 3)."""
    return angle(u, v).square().mean(-1).sqrt()


def test_pose_distance_is_a_metric() -> None:
    a, b, c = directions(3, 50, 22)
    torch.testing.assert_close(pose_distance(a, b), pose_distance(b, a))
    assert pose_distance(a, a).abs().max() < 1e-12
    assert (pose_distance(a, c) <= pose_distance(a, b) + pose_distance(b, c) + 1e-12).all()
    rng = torch.Generator().manual_seed(5)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64))
    torch.testing.assert_close(pose_distance(a @ turn, b @ turn), pose_distance(a, b))


def test_squared_angles_equal_loop() -> None:
    x, y = directions(4, 6), directions(5, 6, seed=1)
    y[1] = x[2]
    y[2, 0] = -x[1, 0]
    expected = torch.empty(4, 5, dtype=torch.float64)
    for i in range(4):
        for j in range(5):
            cosines = [max(-1, min(1, (x[i, k] @ y[j, k]).item())) for k in range(6)]
            expected[i, j] = sum(math.acos(cosine) ** 2 for cosine in cosines) / 6
    squared = squared_angles(x, y)
    torch.testing.assert_close(squared, expected, atol=1e-7, rtol=0)
    distance = pose_distance(x[:, None], y)
    torch.testing.assert_close(squared, distance.square(), atol=1e-9, rtol=1e-6)
    single = squared_angles(x.float(), y.float())
    torch.testing.assert_close(single, expected.float(), atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("theta", [0.01, 0.1, 1.0, math.pi / 2, 2.5, math.pi - 0.05])
def test_gradients_equal_finite_differences(theta: float) -> None:
    u, v = at(theta)
    u = u.clone().requires_grad_()
    squared_angles(u[None, None], v[None, None]).sum().backward()
    assert u.grad is not None
    step = 1e-6
    for k in range(3):
        e = torch.zeros(3, dtype=torch.float64)
        e[k] = step
        high, low = (
            squared_angles((u.detach() + s * e)[None, None], v[None, None]).item() for s in (1, -1)
        )
        assert u.grad[k].item() == pytest.approx((high - low) / (2 * step), rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("theta", [0.0, 1e-8, 1e-4, math.pi - 1e-4, math.pi - 1e-8, math.pi])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_bounded_at_equal_and_opposite_directions(
    theta: float, dtype: torch.dtype
) -> None:
    u, v = (t.to(dtype)[None, None] for t in at(theta))
    u.requires_grad_()
    squared_angles(u, v).sum().backward()
    assert u.grad is not None
    assert u.grad.isfinite().all()
    assert u.grad.norm() <= 2 * math.pi / 1e-3**0.5 + 1
    if theta < 1:  # the limit, -2 v
        torch.testing.assert_close(u.grad[0, 0], -2 * v[0, 0], atol=2e-3, rtol=0)


def test_gradient_descent_reaches_the_target() -> None:
    x, y = directions(1, 4), directions(1, 4, seed=3)
    for _ in range(200):
        x = (x / x.norm(dim=-1, keepdim=True)).detach().requires_grad_()
        squared_angles(x, y).sum().backward()
        assert x.grad is not None
        x = x.detach() - 0.3 * x.grad
    assert pose_distance(x / x.norm(dim=-1, keepdim=True), y).max() < 1e-3


def test_wrong_shapes_raise() -> None:
    for x, y in (((2, 3), (2, 3)), ((2, 4, 3), (2, 5, 3))):
        with pytest.raises(ValueError, match=r"x and y must be \(n, k, 3\) and \(m, k, 3\), got"):
            squared_angles(torch.zeros(x), torch.zeros(y))
