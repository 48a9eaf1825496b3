"""What a method for sequences must be told about its two domains: distances in each, and a network
from one to the other.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from monge.nets import ConvSeq2Seq


class Domains(Protocol):
    """The domains of a `SourceTarget` of sequences: sources y (n, S, k) and targets x (n, T, d).

    `monge.methods.mdot` is handed one.

    The cost of two targets has a part that a domain is free to choose, such as angles between
    directions, `squared_cost` of *points*, and a part that is Euclidean, the squared distance of
    *vectors*.
    """

    @property
    def pace(self) -> int:
        """Frames of a source to each vector of noise."""

    def source_distance(self, y: Tensor, y2: Tensor) -> Tensor:
        """Distances (n, m) between sources."""

    def states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Points (n, …) and vectors (n, l) of targets (n, t, d); frames may have been left out
        between one and the next.
        """

    def squared_cost(self, p: Tensor, q: Tensor) -> Tensor:
        """Squared distances (n, m) between points."""

    def rates(self, x: Tensor) -> Tensor:
        """How targets (n, T, d) move in each frame, (n, T − 2, r); velocities and accelerations,
        say.
        """

    def generator(self, *, noise: int, style: int, width: int) -> nn.Module:
        """Network from sources (n, S, k), noise (n, S // pace, noise) and style (n, S // pace,
        style) to targets (n, T, d).
        """


class EuclideanDomains:
    """Sequences of vectors, compared frame by frame: both distances are root mean squares, and the
    network is convolutional.

    ``source`` (S, k) and ``target`` (T, d) are the shapes of the sequences; ValueError for samples
    that are no sequences.

    >>> domains = EuclideanDomains(source=(16, 3), target=(8, 2))
    >>> domains.source_distance(torch.zeros(1, 16, 3), torch.ones(2, 16, 3))
    tensor([[1., 1.]])
    """

    pace = ConvSeq2Seq.pace

    def __init__(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        for shape in (source, target):
            if len(shape) != 2:
                raise ValueError(
                    f"sequences are (frames, numbers), got samples of shape {shape}: use curves or "
                    "dance_melody"
                )
        self.source, self.target = source, target

    def source_distance(self, y: Tensor, y2: Tensor) -> Tensor:
        return torch.cdist(y.flatten(1), y2.flatten(1)) / y[0].numel() ** 0.5

    def states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """No points, all frames as one vector."""
        return x.new_zeros(len(x), 0), x.flatten(1) / x.shape[1] ** 0.5

    def squared_cost(self, p: Tensor, q: Tensor) -> Tensor:
        return p.new_zeros(len(p), len(q))

    def rates(self, x: Tensor) -> Tensor:
        velocity = x.diff(dim=1)
        return torch.cat([velocity[:, 1:], velocity.diff(dim=1)], 2)

    def generator(self, *, noise: int, style: int, width: int) -> nn.Module:
        return ConvSeq2Seq(self.source, self.target, noise=noise, style=style, width=width)
