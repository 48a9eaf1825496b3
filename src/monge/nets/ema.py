"""Exponential moving average of a network's weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from monge.rng import noise

from .parts import batched

Net = TypeVar("Net", bound=nn.Module)


class EMA(nn.Module, Generic[Net]):
    """A copy of a network with averaged weights, w̄ ← decay·w̄ + (1 − decay)·w.

    At update t the decay is min(decay, t/(t + 9)), so that the initial weights soon lose their
    influence.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> average = EMA(net, decay=0.9)
    >>> average.update(net)
    >>> bool((average.net.weight == net.weight).all())
    True
    """

    net: Net
    updates: Tensor

    def __init__(self, net: Net, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.net = deepcopy(net).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move the averages toward the weights of ``net``."""
        self.updates += 1
        t = int(self.updates)
        keep = min(self.decay, t / (t + 9))
        ours, theirs = list(self.net.state_dict().values()), list(net.state_dict().values())
        torch._foreach_lerp_(ours, theirs, 1 - keep)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.net(*inputs)

    def sample(self, n: int, latent: int, seed: int = 0) -> Tensor:
        """Apply the network to normal noise (n, latent), a function of the seed.

        >>> EMA(nn.Linear(2, 3), decay=0.9).sample(5, latent=2).shape
        torch.Size([5, 3])
        """
        return batched(self, noise(n, latent, seed, like=next(self.parameters())))
