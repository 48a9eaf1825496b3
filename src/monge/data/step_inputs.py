"""The data and noise of one training step, functions of (seed, step, position)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from monge.rng import rng

from .datasets import Dataset, FiniteDataset, InfiniteDataset, SourceTarget, own_slice

_NOISE = 3
# added to the seed of another data set: a prior that is also the training data must not draw the
# same batches
_OTHER_SEED_OFFSET = 1 << 41


class StepInputs:
    """The random inputs of one step.

    Sizes are those of the global batch; each process receives its own rows. Every process draws
    the noise of the global batch from (seed, step, call) and takes its slice, so that several
    processes see the same batch as one process.

    >>> from monge.data import load
    >>> draw = StepInputs(load("8gaussians"), seed=0, step=0)
    >>> draw.data(4).shape, draw.noise(4, 3).shape, draw.position
    (torch.Size([4, 2]), torch.Size([4, 3]), 4)
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        step: int,
        *,
        position: int = 0,
        steps: int | None = None,
        part: tuple[int, int] = (0, 1),
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.step = step
        self.position = position
        self.part = part
        self.progress = step / steps if steps else 0.0  # in [0, 1), for schedules
        self.device, self.dtype = device, dtype
        self._calls, self._source_position = 0, position

    def data(self, n: int) -> Tensor:
        """Return the next ``n`` samples of the data."""
        batch = self.dataset.batch(self.seed, self.position, n, self.part)
        self.position += n
        return batch.to(self.device, self.dtype)

    def source(self, n: int) -> Tensor:
        """Return ``n`` samples of the source measure P.

        It is the source of a `SourceTarget`; for other data, standard normal noise of the shape of
        the data.

        >>> from monge.data import load
        >>> StepInputs(load("8gaussians"), seed=0, step=0).source(4).shape
        torch.Size([4, 2])
        """
        if not isinstance(self.dataset, SourceTarget):
            return self.noise(n, *self.dataset.shape)
        batch = self.dataset.source_batch(self.seed, self._source_position, n, self.part)
        # both streams begin a step at the run's position, so that one integer is their whole state
        self._source_position += n
        return batch.to(self.device, self.dtype)

    def of(self, dataset: InfiniteDataset | FiniteDataset, n: int) -> Tensor:
        """Return ``n`` samples of another data set, such as a prior.

        Like noise, they are a function of the seed, the step and the number of the call.

        >>> from monge.data import load, load_prior
        >>> StepInputs(load("8gaussians"), seed=0, step=0).of(load_prior("normal", 3), 4).shape
        torch.Size([4, 3])
        """
        self._calls += 1
        batch = dataset.batch(
            self.seed + _OTHER_SEED_OFFSET + self._calls, self.step * n, n, self.part
        )
        return batch.to(self.device, self.dtype)

    def noise(self, n: int, *shape: int) -> Tensor:
        """Return standard normal noise (n, *shape)."""
        return self._own(torch.randn(n, *shape, generator=self._next_rng()))

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1), (n, *shape); counts as a call, like ``noise``.

        >>> from monge.data import load
        >>> draw = StepInputs(load("8gaussians"), seed=0, step=0)
        >>> t = draw.uniform(4, 1)
        >>> t.shape, bool(((t >= 0) & (t < 1)).all()), torch.equal(t, draw.uniform(4, 1))
        (torch.Size([4, 1]), True, False)
        """
        return self._own(torch.rand(n, *shape, generator=self._next_rng()))

    def _next_rng(self) -> torch.Generator:
        self._calls += 1
        return rng(self.seed, _NOISE, self.step, self._calls - 1)

    def _own(self, rows: Tensor) -> Tensor:
        return rows[own_slice(len(rows), self.part)].to(self.device, self.dtype)


def iterate(
    dataset: Dataset,
    steps: int,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Iterator[StepInputs]:
    """Iterate over the inputs of ``steps`` training steps, for a loop of one's own.

    Each step begins in the data where the one before ended; equal seeds give equal batches.

    >>> from monge.data import load
    >>> [inputs.data(3).shape for inputs in iterate(load("8gaussians"), steps=2)]
    [torch.Size([3, 2]), torch.Size([3, 2])]
    """
    position = 0
    where: dict[str, Any] = {"device": device, "dtype": dtype}
    for step in range(steps):
        inputs = StepInputs(dataset, seed, step, position=position, steps=steps, **where)
        yield inputs
        position = inputs.position
