"""A method on a data set, as evaluators see it, and samples of it."""

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
    """A method and a data set to evaluate.

    ``config`` gives the number of samples and the seed. Samples are cached, because several
    evaluators use the same ones.
    """

    def __init__(self, method: Any, data: Dataset, config: EvalConfig) -> None:
        self.method, self.data, self.config = method, data, config
        self._cache: dict[tuple[int, int], Tensor] = {}

    @property
    def seeds(self) -> range:
        """The seed of each draw."""
        return range(self.config.seed, self.config.seed + self.config.draws)

    @torch.no_grad()
    def sample_from(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` samples on the device of the method; see `monge.data.sample_from`."""
        if (n, seed) not in self._cache:
            self._cache[n, seed] = sample_from(self.method, self.data, n, seed)
        return self._cache[n, seed]

    def samples(self, n: int, seed: int = 0) -> Tensor:
        """Return the same samples on the CPU, as float32."""
        return on_cpu(self.sample_from(n, seed))


def sample_source(data: Dataset, n: int, seed: int, *, train: bool = False) -> Tensor:
    """Return ``n`` held-out samples (training samples with ``train``) of the source measure P.

    It is the source of a `SourceTarget`; for other data, standard normal noise.
    """
    if isinstance(data, SourceTarget):
        return data.source_train(n, seed) if train else data.source_held_out(n, seed)
    return torch.randn(n, *data.shape, generator=rng(seed, n, int(train)))


def sample_from(method: Any, data: Dataset, n: int, seed: int = 0) -> Tensor:
    """Return ``n`` samples of a method.

    On a `SourceTarget`, a `Map` moves held-out samples of the source; otherwise the method must be
    a `Generator`. MongeError for a map on data without a source.
    """
    if isinstance(data, SourceTarget) and isinstance(method, Map):
        return apply_map(method, sample_source(data, n, seed), seed)
    if not isinstance(method, Generator):
        raise MongeError(
            f"method '{method.config.name}' moves given samples and generates none, and data "
            f"'{data.name}' has no source: choose data with a source and a target"
        )
    return method.sample(n, seed)


def apply_map(method: Any, x: Tensor, seed: int = 0) -> Tensor:
    """Return the images of points under a method's map.

    A map without an inverse may draw noise: it receives the whole batch at once, and the seed.
    """
    x = to_model(x, method)
    if isinstance(method, InvertibleMap):
        return apply_batched(method.transform, x)
    return method.transform(x, seed)


def apply_batched(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return f(x), computed in blocks of rows that bound the memory."""
    rows = max(1, 2**22 // x[0].numel() // 64)
    return torch.cat([f(block) for block in x.split(rows)])


def to_model(x: Tensor, method: Any) -> Tensor:
    """Return x with the device and the dtype of the method's weights."""
    like = next(method.parameters())
    return x.to(like.device, like.dtype)


def on_cpu(samples: Tensor) -> Tensor:
    """Return samples on the CPU as float32, without gradient."""
    return samples.detach().float().cpu()
