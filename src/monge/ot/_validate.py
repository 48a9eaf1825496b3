"""Validation of arguments, which every function of `monge.ot` does first."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

REMEDY = "raise max_iter, epsilon or tol, or use float64"
_HALF = (torch.float16, torch.bfloat16)


def points(x: Tensor, name: str) -> Tensor:
    """Return ``x`` as a finite float tensor (..., n, d); half precision is computed in float32."""
    _floating(x, name)
    if x.ndim < 2:
        raise ValueError(
            f"{name} must have shape (..., n, d), got {tuple(x.shape)}: add a dimension, e.g. "
            f"{name}[:, None]"
        )
    if x.shape[-2] == 0 or x.shape[-1] == 0:
        raise ValueError(f"{name} is empty, shape {tuple(x.shape)}: give at least one point")
    return _finite(x.float() if x.dtype in _HALF else x, name)


def pair(x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y")) -> tuple[Tensor, Tensor]:
    """Return two point clouds of one dimension, dtype, device and batch shape."""
    x, y = points(x, names[0]), points(y, names[1])
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"{names[0]} has dimension {x.shape[-1]} and {names[1]} {y.shape[-1]}: give points of "
            "the same dimension"
        )
    same_kind(x, y, names)
    if x.shape[:-2] != y.shape[:-2]:
        batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        x, y = x.expand(*batch, *x.shape[-2:]), y.expand(*batch, *y.shape[-2:])
    return x, y


def cost_matrix(C: Tensor, name: str = "C") -> Tensor:
    """Return a finite float matrix (..., n, m)."""
    _floating(C, name)
    if C.ndim < 2 or 0 in C.shape:
        shape = tuple(C.shape)
        raise ValueError(f"{name} must have shape (..., n, m) with n, m >= 1, got {shape}")
    return _finite(C.float() if C.dtype in _HALF else C, name)


def weights(
    a: Tensor | None, like: Tensor, n: int, name: str, *, mass: float | None = 1.0
) -> Tensor:
    """Return weights (..., n) that are non-negative and sum to ``mass``; None means uniform.

    ``mass`` is below one where the points are the share of one process, and None where any positive
    total is allowed.
    """
    batch = like.shape[:-2]
    if a is None:
        return like.new_full((*batch, n), (1.0 if mass is None else mass) / n)
    _floating(a, name)
    if a.shape[-1] != n:
        raise ValueError(
            f"{name} has {a.shape[-1]} weights for {n} points: give one weight per point"
        )
    a = _finite(a.to(like.dtype), name)
    if (a < 0).any():
        raise ValueError(
            f"{name} has a negative weight, {a.min().item():.3g}: weights must be >= 0"
        )
    total = a.sum(-1)
    if mass is None and (total <= 0).any():
        raise ValueError(f"{name} sums to 0: give at least one positive weight")
    if mass == 1 and ((total - 1).abs() > 1e-4).any():
        worst = total.flatten()[(total - 1).abs().flatten().argmax()].item()
        raise ValueError(f"{name} sums to {worst:.6g}, not to 1: pass {name} / {name}.sum()")
    return a.expand(*batch, n)


def potentials(
    init: tuple[Tensor, Tensor] | None, a: Tensor, b: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Return initial potentials with the shapes of the weights."""
    if init is None:
        return None
    f, g = (t.detach().to(a.dtype) for t in init)
    if f.shape != a.shape or g.shape != b.shape:
        raise ValueError(
            f"init has potentials of shapes {tuple(f.shape)} and {tuple(g.shape)}, the problem "
            f"needs {tuple(a.shape)} and {tuple(b.shape)}: pass the result of a problem of the "
            "same sizes"
        )
    return _finite(f, "init"), _finite(g, "init")


def positive(value: float, name: str) -> float:
    """Return a strictly positive number."""
    if not value > 0:
        raise ValueError(f"{name} must be > 0, got {value!r}")
    return float(value)


def all_positive(**values: float) -> None:
    """Check that each number is strictly positive."""
    for name, value in values.items():
        positive(value, name)


def marginal_penalties(
    rho: float | tuple[float | None, float | None] | None,
) -> tuple[float, float]:
    """Return the penalty of each marginal; infinite for a marginal that is fixed."""
    pair = rho if isinstance(rho, tuple) else (rho, rho)
    if len(pair) != 2:
        raise ValueError(f"rho must be one number or a pair, got {len(pair)} numbers")
    first, second = (math.inf if r is None else positive(r, "rho") for r in pair)
    return first, second


def choice(value: str, allowed: tuple[str, ...], name: str) -> str:
    """Return ``value``, which must be one of the allowed strings."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _floating(x: Tensor, name: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor, got {type(x).__name__}: use torch.as_tensor({name})"
        )
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}: use {name}.float()")


def _finite(x: Tensor, name: str) -> Tensor:
    # one cheap pass; the expensive one is needed only if the sum overflows
    total = x.detach().sum().item()
    if not math.isfinite(total) and not torch.isfinite(x.detach()).all():
        raise ValueError(f"{name} holds NaN or Inf: remove or replace those entries")
    return x


def same_kind(x: Tensor, y: Tensor, names: tuple[str, str]) -> None:
    """Check that two tensors share dtype and device."""
    if x.dtype != y.dtype:
        raise TypeError(
            f"{names[0]} is {x.dtype} and {names[1]} {y.dtype}: convert one with .to(dtype)"
        )
    if x.device != y.device:
        raise ValueError(
            f"{names[0]} is on {x.device} and {names[1]} on {y.device}: move one with .to(device)"
        )


def warn_not_reached(solver: str, tol: float, remedy: str = REMEDY, *, stacklevel: int) -> None:
    """Warn that a solver did not converge; ``stacklevel`` counts from here to the user's call."""
    warnings.warn(
        f"{solver} did not reach tol={tol:.2g}: {remedy}", RuntimeWarning, stacklevel=stacklevel
    )
