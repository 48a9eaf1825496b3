"""Two convex potentials and the averages of their weights, shared by the W₂ methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from torch import Tensor

from monge.rng import noise

from .conv_icnn import ConvICNN
from .ema import EMA
from .icnn import DenseICNN
from .parts import batched

if TYPE_CHECKING:
    from monge.ot import AffineMap

Net = TypeVar("Net", DenseICNN, ConvICNN)


class Potentials(Generic[Net]):
    """Two potentials with gradients P → Q and Q → P, and averages of their weights.

    The averages are used to map and to sample; ``decay`` is theirs. This class is not a module: a
    method registers the four networks under its own names.

    >>> import torch
    >>> pair = Potentials(DenseICNN(2, [4]), DenseICNN(2, [4]), decay=0.9)
    >>> pair.update()
    >>> pair.averages[0].net.gradient(torch.zeros(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(self, forward: Net, back: Net, decay: float) -> None:
        self.nets: tuple[Net, Net] = (forward, back)
        self.averages: tuple[EMA[Net], EMA[Net]] = (EMA(forward, decay), EMA(back, decay))

    def start_at(self, forward: AffineMap, back: AffineMap) -> None:
        """Initialize the gradients with an affine map P → Q and its inverse, both symmetric."""
        for net, average, affine in zip(self.nets, self.averages, (forward, back), strict=True):
            net.start_at(affine.matrix, affine.shift)
            average.net.load_state_dict(net.state_dict())

    def update(self) -> None:
        """Project both potentials to convex functions and update the averages.

        Call it after each step of the optimizer.
        """
        for net, average in zip(self.nets, self.averages, strict=True):
            net.project()
            average.update(net)

    def sample(self, n: int, dim: int, seed: int = 0) -> Tensor:
        """Return n points of normal noise (n, dim) mapped from P to Q, a function of the seed."""
        average = self.averages[0]
        z = noise(n, dim, seed, like=next(average.parameters()))
        return batched(average.net.gradient, z, 10_000)
