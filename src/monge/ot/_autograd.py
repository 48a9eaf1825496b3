"""Attach known gradients to values.

A solver runs without a graph; its result receives its gradient here, which is known from the
envelope theorem, from implicit differentiation, or in closed form. `with_gradient` takes a gradient
that was computed together with the value, `with_rule` a function that computes it in the backward
pass, and `with_slope` another number whose gradient is used.

A gradient that holds a plan fixed ignores how the plan would change, so that a second derivative
would be wrong; computing one raises an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Rule: TypeAlias = (
    "Callable[[Tensor, tuple[bool, ...], tuple[Tensor, ...]], Sequence[Tensor | None]]"
)

ONCE = (
    "this distance can be differentiated once: its gradient holds the plan fixed, so a second "
    "derivative would be wrong"
)


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, rule: Rule, again: Rule | str, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        ctx.rule, ctx.again = rule, again
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, wanted, again = ctx.saved_tensors, ctx.needs_input_grad[3:], ctx.again
        if not torch.is_grad_enabled():
            return None, None, None, *ctx.rule(grad, wanted, inputs)
        if not isinstance(again, str):
            return None, None, None, *again(grad, wanted, inputs)
        # With create_graph=True but no second derivative, each gradient is attached to the inputs
        # by a rule that raises.
        with torch.no_grad():
            gradients = ctx.rule(grad, wanted, inputs)
        refuse = _refuse(again)
        guarded = [
            None if g is None else _Known.apply(g, refuse, again, grad, *inputs) for g in gradients
        ]
        return None, None, None, *guarded


def with_rule(value: Tensor, rule: Rule, again: Rule | str, *inputs: Tensor) -> Tensor:
    """Attach the gradients that ``rule(grad, wanted, inputs)`` returns.

    The rule returns one gradient per input, or None where it is not wanted. ``again`` is either the
    same rule in differentiable functions, for second derivatives, or the text of the error that a
    second derivative raises.
    """
    return _Known.apply(value, rule, again, *inputs) if needs_gradient(*inputs) else value


def with_gradient(value: Tensor, *pairs: tuple[Tensor | None, Tensor | None]) -> Tensor:
    """Attach gradients that were computed together with ``value`` (...).

    Each pair is an input and d value / d input, which has as many entries.
    """
    needed = [(t, g) for t, g in pairs if t is not None and g is not None and needs_gradient(t)]
    inputs, gradients = [t for t, _ in needed], [g.view_as(t) for t, g in needed]
    return with_rule(value, _scale, ONCE, *inputs, *gradients)


def with_slope(value: Tensor, *slopes: Tensor) -> Tensor:
    """Replace the gradient of ``value`` by the sum of the gradients of other numbers."""
    return with_rule(value.detach(), _pass_on, _pass_on, *slopes)


def non_negative(value: Tensor) -> Tensor:
    """Clamp negative rounding errors to 0 and keep the gradient."""
    return with_slope(value.detach().clamp_min(0), value)


def first_order(x: Tensor) -> Tensor:
    """Return x such that functions of it can be differentiated once only."""
    return with_rule(x.detach(), _pass_on, ONCE, x) if x.requires_grad else x


def needs_gradient(*inputs: Tensor | None) -> bool:
    """Return whether any input requires a gradient and gradients are enabled."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)


def scaled(grad: Tensor, g: Tensor) -> Tensor:
    """Multiply g (..., *) by ``grad`` (...)."""
    return grad.to(g.dtype).reshape(*grad.shape, *(1,) * (g.ndim - grad.ndim)) * g


def root(total: Tensor, p: float) -> Tensor:
    """Return the p-th root, with gradient 0 at 0."""
    positive = total > 0
    return torch.where(positive, torch.where(positive, total, 1) ** (1 / p), 0)


def _scale(
    grad: Tensor, _: tuple[bool, ...], inputs_and_gradients: tuple[Tensor, ...]
) -> list[Tensor | None]:
    half = len(inputs_and_gradients) // 2
    return [*(scaled(grad, g) for g in inputs_and_gradients[half:]), *[None] * half]


def _pass_on(grad: Tensor, wanted: tuple[bool, ...], _: tuple[Tensor, ...]) -> list[Tensor]:
    return [grad] * len(wanted)


def _refuse(why: str) -> Rule:
    def rule(*_: Any) -> Sequence[Tensor | None]:
        raise RuntimeError(why)

    return rule
