"""Values with a known gradient: by the envelope theorem, by implicit differentiation, or in closed
form.

A solver runs without a graph, and its result gets its gradient here: `with_gradient` where the
gradient was computed beside the value, `with_rule` where a function computes it when it is asked
for, `with_slope` where it is that of another number.

A gradient that holds a plan fixed does not know how the plan would move, so that a second
derivative would be wrong: it raises.
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
    "would be wrong"
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
        # create_graph=True, but there is no second derivative: a gradient that is attached to the
        # inputs by a rule that raises
        with torch.no_grad():
            found = ctx.rule(grad, wanted, inputs)
        return (
            None,
            None,
            None,
            *(
                t if t is None else _Known.apply(t, _refuse(again), again, grad, *inputs)
                for t in found
            ),
        )


def with_rule(value: Tensor, rule: Rule, again: Rule | str, *inputs: Tensor) -> Tensor:
    """Attach the gradients that ``rule(grad, wanted, inputs)`` returns, one for each input, None
    where it is not wanted.

    ``again`` computes the same by functions that can be differentiated, for second derivatives; or
    it is the error to raise.
    """
    return _Known.apply(value, rule, again, *inputs) if asks_gradient(*inputs) else value


def with_gradient(value: Tensor, *pairs: tuple[Tensor | None, Tensor | None]) -> Tensor:
    """Attach gradients that are known when ``value`` (...) is: pairs of an input and d value / d
    input, of one size each.
    """
    asked = [(t, g) for t, g in pairs if t is not None and g is not None and asks_gradient(t)]
    return with_rule(value, _scale, ONCE, *(t for t, _ in asked), *(g.view_as(t) for t, g in asked))


def with_slope(value: Tensor, *slopes: Tensor) -> Tensor:
    """Attach the gradients of other numbers, through their graphs, in the place of the value's own."""
    return with_rule(value.detach(), _pass_on, _pass_on, *slopes)


def non_negative(value: Tensor) -> Tensor:
    """Set to 0 what rounding has left at −1e-7, and keep the gradient."""
    return with_slope(value.detach().clamp_min(0), value)


def first_order(x: Tensor) -> Tensor:
    """The same x, in which a function may be differentiated once."""
    return with_rule(x.detach(), _pass_on, ONCE, x) if x.requires_grad else x


def asks_gradient(*inputs: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)


def scaled(grad: Tensor, g: Tensor) -> Tensor:
    """g (..., *) times the number (...) that stands before it."""
    return grad.to(g.dtype).reshape(*grad.shape, *(1,) * (g.ndim - grad.ndim)) * g


def root(total: Tensor, p: float) -> Tensor:
    """The p-th root, with gradient 0 at 0."""
    apart = total > 0
    return torch.where(apart, torch.where(apart, total, 1) ** (1 / p), 0)


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
