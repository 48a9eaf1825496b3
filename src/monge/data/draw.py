"""What one training step may draw: data and noise, both functions of (seed, step, position)."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.rng import generator

from .sources import EndlessSource, FiniteSource, Pair, Source, own_slice

_NOISE = 3
_OTHER = 1 << 41  # added to the seed of another source: a prior named like the data must not draw the data's numbers


class Draw:
    """The random inputs of one step.

    Sizes are those of the global batch; a process receives its own rows. The noise of the global batch is made from
    (seed, step, call) on every process and sliced, so that many processes see what one would.

    >>> from monge.data import load
    >>> draw = Draw(load("8gaussians"), seed=0, step=0)
    >>> draw.data(4).shape, draw.noise(4, 3).shape, draw.position
    (torch.Size([4, 2]), torch.Size([4, 3]), 4)
    """

    def __init__(
        self,
        source: Source,
        seed: int,
        step: int,
        *,
        position: int = 0,
        steps: int | None = None,
        part: tuple[int, int] = (0, 1),
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.source, self.seed, self.step, self.position, self.part = source, seed, step, position, part
        self.progress = step / steps if steps else 0.0  # in [0, 1), for schedules
        self.device, self.dtype = device, dtype
        self._calls, self._origin_position = 0, position

    def data(self, n: int) -> Tensor:
        """The next ``n`` samples of the data's stream."""
        batch = self.source.batch(self.seed, self.position, n, self.part)
        self.position += n
        return batch.to(self.device, self.dtype)

    def origin(self, n: int) -> Tensor:
        """``n`` points of P, where a map to the data begins: those that a `Pair` names, otherwise noise of the data's shape.

        >>> from monge.data import load
        >>> Draw(load("8gaussians"), seed=0, step=0).origin(4).shape
        torch.Size([4, 2])
        """
        if not isinstance(self.source, Pair):
            return self.noise(n, *self.source.shape)
        batch = self.source.origin_batch(self.seed, self._origin_position, n, self.part)
        self._origin_position += n  # each stream begins a step at the run's position, so one integer serves both
        return batch.to(self.device, self.dtype)

    def of(self, source: EndlessSource | FiniteSource, n: int) -> Tensor:
        """``n`` samples of another source, a prior say; like noise, a function of the seed, the step and the call.

        >>> from monge.data import load, load_prior
        >>> Draw(load("8gaussians"), seed=0, step=0).of(load_prior("normal", 3), 4).shape
        torch.Size([4, 3])
        """
        self._calls += 1
        batch = source.batch(self.seed + _OTHER + self._calls, self.step * n, n, self.part)
        return batch.to(self.device, self.dtype)

    def noise(self, n: int, *shape: int) -> Tensor:
        """Standard normal noise (n, *shape)."""
        return self._own(torch.randn(n, *shape, generator=self._next()))

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Numbers spread evenly over [0, 1), (n, *shape); they count as a call of their own, as ``noise`` does.

        >>> from monge.data import load
        >>> draw = Draw(load("8gaussians"), seed=0, step=0)
        >>> t = draw.uniform(4, 1)
        >>> t.shape, bool(((t >= 0) & (t < 1)).all()), torch.equal(t, draw.uniform(4, 1))
        (torch.Size([4, 1]), True, False)
        """
        return self._own(torch.rand(n, *shape, generator=self._next()))

    def _next(self) -> torch.Generator:
        self._calls += 1
        return generator(self.seed, _NOISE, self.step, self._calls - 1)

    def _own(self, rows: Tensor) -> Tensor:
        return rows[own_slice(len(rows), self.part)].to(self.device, self.dtype)
