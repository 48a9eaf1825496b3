"""Training with several processes; the only module that uses `torch.distributed`.

OT losses couple the samples of a batch, so each process computes the loss of the *gathered* batch.
The backward pass of `gather` returns the gradient of the process's own slice only, and `sync_grads`
sums the gradients of all processes. The result is exactly the gradient of one process.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer


def rank() -> int:
    """Return the rank of this process; 0 without a process group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return the number of processes; 1 without a process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def processes() -> Iterator[tuple[int, int]]:
    """Join the process group of torchrun, if there is one; yields (rank, world)."""
    if "RANK" not in os.environ or dist.is_initialized():
        yield rank(), world()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    # An optimizer imports torch._dynamo. Imported while the group exists, it keeps a reference to
    # the group, whose threads then outlive `destroy_process_group` and may abort the process at
    # exit.
    importlib.import_module("torch._dynamo")
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield rank(), world()
    finally:
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: bool) -> Tensor:
        ctx.rows, ctx.parts = len(x), parts
        pieces = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(pieces, x.contiguous())
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = total(grad.clone()) if ctx.parts else grad
        return grad[rank() * ctx.rows : (rank() + 1) * ctx.rows], None


def gather(x: Tensor, *, parts: bool = False) -> Tensor:
    """Return the rows of all processes, (world·n, ...).

    Every process must compute the same loss from them. With ``parts``, each process computes its
    own part of the loss, such as a penalty on its rows that depends on all rows, and the gradients
    of all parts are summed.
    """
    return x if world() == 1 else _Gather.apply(x, parts)


def total(x: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place and without gradient."""
    if world() > 1:
        dist.all_reduce(x)
    return x


def total_number(value: float) -> float:
    """Sum a number over all processes."""
    return total(torch.tensor(float(value), dtype=torch.float64, device=_device())).item()


def _device() -> str:
    return "cuda" if dist.is_initialized() and dist.get_backend() == "nccl" else "cpu"


@torch.no_grad()
def sync_grads(parameters: Iterable[Tensor]) -> Tensor:
    """Sum the gradients over all processes in place; returns the Euclidean norm of the sum."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if world() > 1:
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        for g, summed in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            g.copy_(summed.view_as(g))
    return torch.stack(torch._foreach_norm(grads)).norm()


def descend(optimizer: Optimizer, loss: Tensor) -> Tensor:
    """Take an optimizer step on a loss of the gathered batch; returns the norm of the gradient.

    The gradient is computed for the optimizer's own parameters only, so that the other networks of
    an adversarial game cost nothing and keep no gradient.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    norm = sync_grads(parameters)
    optimizer.step()
    return norm


def any_process(flag: bool) -> bool:
    """Return whether the flag is set on any process."""
    if world() == 1:
        return flag
    largest = torch.tensor(float(flag), device=_device())
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return bool(largest > 0)


def barrier() -> None:
    """Wait until all processes get here."""
    if world() > 1:
        dist.barrier()
