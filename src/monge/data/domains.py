"""Distances and networks for methods that map sequences of one domain to sequences of another."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from monge.nets import ConvSeq2Seq


class Domains(Protocol):
    """The domains of a `SourceTarget` of sequences: sources y (n, S, k) and targets x (n, T, d).

    Used by `monge.methods.mdot`. `states` splits a target into *points* and *vectors*. The cost of
    two targets is the sum of `squared_cost` of their points, which a domain defines (for example by
    angles between directions), and of the squared Euclidean distance of their vectors.
    """

    @property
    def pace(self) -> int:
        """Number of source frames for each noise vector."""

    def source_distance(self, y: Tensor, y2: Tensor) -> Tensor:
        """Return the distances (n, m) between sources."""

    def states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points (n, …) and vectors (n, l) of targets (n, t, d).

        The t frames may be a subset of all frames.
        """

    def squared_cost(self, p: Tensor, q: Tensor) -> Tensor:
        """Return the squared distances (n, m) between points."""

    def rates(self, x: Tensor) -> Tensor:
        """Return the rates of change (n, T − 2, r) of targets (n, T, d), such as velocities."""

    def generator(self, *, noise: int, style: int, width: int) -> nn.Module:
        """Return a network from sources, noise and style to targets (n, T, d).

        Sources are (n, S, k), noise (n, S // pace, noise), and style (n, S // pace, style).
        """


class EuclideanDomains:
    """Sequences of vectors, compared frame by frame.

    Both distances are root mean squares, and the network is convolutional. ``source`` (S, k) and
    ``target`` (T, d) are the shapes of the sequences; ValueError for other shapes.

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
        """Return no points, and all frames as one vector."""
        return x.new_zeros(len(x), 0), x.flatten(1) / x.shape[1] ** 0.5

    def squared_cost(self, p: Tensor, q: Tensor) -> Tensor:
        return p.new_zeros(len(p), len(q))

    def rates(self, x: Tensor) -> Tensor:
        velocity = x.diff(dim=1)
        return torch.cat([velocity[:, 1:], velocity.diff(dim=1)], 2)

    def generator(self, *, noise: int, style: int, width: int) -> nn.Module:
        return ConvSeq2Seq(self.source, self.target, noise=noise, style=style, width=width)
