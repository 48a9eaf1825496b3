"""A method on a data set: the samples that it draws there, and what evaluators look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.methods.protocols import Generator, InvertibleMap, Map
from monge.metrics import EvalConfig
from monge.rng import rng

from .datasets import Dataset, SourceTarget


class Subject:
    """A method and a data set under measurement; ``config`` says how many samples, from which seed.

    What several evaluators need is drawn once.
    """

    def __init__(self, method: Any, data: Dataset, config: EvalConfig) -> None:
        self.method, self.data, self.config = method, data, config
        self._drawn: dict[tuple[int, int], Tensor] = {}

    @property
    def seeds(self) -> range:
        """One for each draw."""
        return range(self.config.seed, self.config.seed + self.config.draws)

    @torch.no_grad()
    def sample_from(self, n: int, seed: int = 0) -> Tensor:
        """``n`` samples, where the method makes them; see `monge.data.sample_from`."""
        if (n, seed) not in self._drawn:
            self._drawn[n, seed] = sample_from(self.method, self.data, n, seed)
        return self._drawn[n, seed]

    def samples(self, n: int, seed: int = 0) -> Tensor:
        """The same samples on the CPU, float32."""
        return on_cpu(self.sample_from(n, seed))


def sample_source(data: Dataset, n: int, seed: int, *, train: bool = False) -> Tensor:
    """``n`` points of P, held out from training or of it: those of a pair, otherwise normal noise."""
    if isinstance(data, SourceTarget):
        return data.source_train(n, seed) if train else data.source_held_out(n, seed)
    return torch.randn(n, *data.shape, generator=rng(seed, n, int(train)))


def sample_from(method: Any, data: Dataset, n: int, seed: int = 0) -> Tensor:
    """``n`` samples of a method: held-out points of a pair's origin, moved by a map, or what the
    method generates.

    MongeError for a method that only moves given samples, on data that are no pair.
    """
    if isinstance(data, SourceTarget) and isinstance(method, Map):
        return apply_map(method, sample_source(data, n, seed), seed)
    if not isinstance(method, Generator):
        moves = f"method '{method.config.name}' moves given samples and generates none"
        raise MongeError(f"{moves}, and data '{data.name}' is no pair: give it a pair")
    return method.sample(n, seed)


def apply_map(method: Any, x: Tensor, seed: int = 0) -> Tensor:
    """Points moved by a method's map.

    One without an inverse may draw noise for the batch: it gets all of it, and the seed.
    """
    x = to_model(x, method)
    return (
        apply_batched(method.transform, x)
        if isinstance(method, InvertibleMap)
        else method.transform(x, seed)
    )


def apply_batched(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f of as many rows at a time as fit into some MiB."""
    rows = max(1, 2**22 // x[0].numel() // 64)
    return torch.cat([f(block) for block in x.split(rows)])


def to_model(x: Tensor, method: Any) -> Tensor:
    """x where the method's weights are, in their type."""
    like = next(method.parameters())
    return x.to(like.device, like.dtype)


def on_cpu(samples: Tensor) -> Tensor:
    return samples.detach().float().cpu()
