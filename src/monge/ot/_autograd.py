"""Numbers whose gradients are computed beside them, for the distances that do not go through `sinkhorn`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, *inputs_and_gradients: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs_and_gradients)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        half = len(ctx.saved_tensors) // 2
        inputs, known = ctx.saved_tensors[:half], ctx.saved_tensors[half:]
        scaled = (grad.to(g.dtype).reshape(*grad.shape, *[1] * (g.ndim - grad.ndim)) * g for g in known)
        return None, *(once(g, t) for g, t in zip(scaled, inputs, strict=True)), *[None] * half


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, gradient: Tensor, source: Tensor) -> Tensor:  # noqa: ARG004 - source makes the result ask for a gradient
        return gradient.view_as(gradient)

    @staticmethod
    def backward(_: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        raise RuntimeError(
            "this distance can be differentiated once: its gradient holds the plan fixed, so a second would be wrong"
        )


def once(gradient: Tensor, source: Tensor) -> Tensor:
    """Make a second derivative in ``source`` raise, where plain autograd would take ``gradient`` for a constant."""
    return _Once.apply(gradient, source) if torch.is_grad_enabled() else gradient


def with_gradient(value: Tensor, *pairs: tuple[Tensor | None, Tensor | None]) -> Tensor:
    """Attach gradients that are known when ``value`` (...) is: pairs of an input and d value / d input, of one size each."""
    asked = [(t, g) for t, g in pairs if t is not None and g is not None and asks_gradient(t)]
    return _Known.apply(value, *(t for t, _ in asked), *(g.view_as(t) for t, g in asked)) if asked else value


def asks_gradient(*inputs: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)


def centred(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both clouds as (batch, n, d) about one centre: far from the origin float32 projections would lose digits."""
    x, y = (t.detach().reshape(-1, *t.shape[-2:]) for t in (x, y))
    centre = (x.mean(-2, keepdim=True) + y.mean(-2, keepdim=True)) / 2
    return x - centre, y - centre
