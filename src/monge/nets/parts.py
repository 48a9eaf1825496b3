"""Networks on large batches with the memory of small ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def checkpointed_batches(
    net: Callable[[Tensor], Tensor], x: Tensor, size: int | None = None
) -> Tensor:
    """Return ``net(x)``, whose backward pass runs ``net`` again on ``size`` rows at a time.

    Only the activations of one part are held at a time, so that memory is that of a batch of
    ``size``, at the cost of a second forward pass. A loss that couples a batch of thousands of
    samples remains exact, whereas losses accumulated over small batches would be biased. ``net``
    must treat rows independently and draw no random numbers.

    >>> checkpointed_batches(torch.nn.ReLU(), torch.tensor([[-1.0], [2.0], [3.0]]), size=2).T
    tensor([[0., 2., 3.]])
    """
    if size is None or size >= len(x):
        return net(x)
    parts: list[Tensor] = [
        checkpoint(net, part, use_reentrant=False, preserve_rng_state=False)
        for part in x.split(size)
    ]
    return torch.cat(parts)


def batched(net: Callable[[Tensor], Tensor], x: Tensor, size: int = 1000) -> Tensor:
    """Return ``net(x)``, computed ``size`` rows at a time to save memory.

    >>> batched(torch.nn.ReLU(), torch.tensor([[-1.0], [2.0], [3.0]]), size=2).T
    tensor([[0., 2., 3.]])
    """
    return torch.cat([net(block) for block in x.split(size)])


@torch.no_grad()
def without_grad(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ``net(x)`` without a graph, such as samples of a generator for the critic's step.

    >>> net = torch.nn.Linear(2, 1)
    >>> net(torch.zeros(3, 2)).requires_grad, without_grad(net, torch.zeros(3, 2)).requires_grad
    (True, False)
    """
    return net(x)
