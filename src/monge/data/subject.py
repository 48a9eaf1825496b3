"""A method on a data set: the samples that it draws there, and what evaluators look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.methods.protocols import Generator, InvertibleMap, Map
from monge.metrics import EvalConfig
from monge.rng import generator

from .sources import Pair, Source


class Subject:
    """A method and a data set under measurement; ``config`` says how many samples, from which seed.

    What several evaluators need is drawn once.
    """

    def __init__(self, method: Any, data: Source, config: EvalConfig) -> None:
        self.method, self.data, self.config = method, data, config
        self._drawn: dict[tuple[int, int], Tensor] = {}

    @property
    def seeds(self) -> range:
        """One for each draw."""
        return range(self.config.seed, self.config.seed + self.config.draws)

    @torch.no_grad()
    def drawn(self, n: int, seed: int = 0) -> Tensor:
        """``n`` samples, where the method makes them; see `monge.data.drawn`."""
        if (n, seed) not in self._drawn:
            self._drawn[n, seed] = drawn(self.method, self.data, n, seed)
        return self._drawn[n, seed]

    def samples(self, n: int, seed: int = 0) -> Tensor:
        """The same samples on the CPU, float32."""
        return on_cpu(self.drawn(n, seed))


def origin(data: Source, n: int, seed: int, *, train: bool = False) -> Tensor:
    """``n`` points of P, held out from training or of it: those of a pair, otherwise normal noise."""
    if isinstance(data, Pair):
        return data.origin_train(n, seed) if train else data.origin_held_out(n, seed)
    return torch.randn(n, *data.shape, generator=generator(seed, n, int(train)))


def drawn(method: Any, data: Source, n: int, seed: int = 0) -> Tensor:
    """``n`` samples of a method: held-out points of a pair's origin, moved by a map, or what the method generates.

    MongeError for a method that only moves given samples, on data that are no pair.
    """
    if isinstance(data, Pair) and isinstance(method, Map):
        return moved(method, origin(data, n, seed), seed)
    if not isinstance(method, Generator):
        moves = f"method '{method.config.name}' moves given samples and generates none"
        raise MongeError(f"{moves}, and data '{data.name}' is no pair: give it a pair")
    return method.sample(n, seed)


def moved(method: Any, x: Tensor, seed: int = 0) -> Tensor:
    """Points moved by a method's map. One without an inverse may draw noise for the batch: it gets all of it, and the seed."""
    x = placed(x, method)
    return in_blocks(method.transform, x) if isinstance(method, InvertibleMap) else method.transform(x, seed)


def in_blocks(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f of as many rows at a time as fit into some MiB."""
    rows = max(1, 2**22 // x[0].numel() // 64)
    return torch.cat([f(block) for block in x.split(rows)])


def placed(x: Tensor, method: Any) -> Tensor:
    """x where the method's weights are, in their type."""
    like = next(method.parameters())
    return x.to(like.device, like.dtype)


def on_cpu(samples: Tensor) -> Tensor:
    return samples.detach().float().cpu()
