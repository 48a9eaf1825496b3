"""Convolutional networks over time for sequences of vectors (n, frames, numbers)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

_DILATIONS = (1, 2, 4, 8)


class ConvSeq2Seq(nn.Module):
    """Dilated convolutions with residual connections, from source to target sequences.

    The inputs are a source (n, S, k), noise (n, S // 4, noise) and a style (n, S // 4, style), the
    output is a target (n, T, d). If T is not S, features are interpolated linearly in time.

    >>> net = ConvSeq2Seq((16, 3), (24, 2), noise=4, style=2, width=8)
    >>> net(torch.randn(5, 16, 3), torch.randn(5, 4, 4), torch.randn(5, 4, 2)).shape
    torch.Size([5, 24, 2])
    """

    pace = 4  # frames of a source to each vector of noise and style

    def __init__(
        self,
        source: tuple[int, ...],
        target: tuple[int, ...],
        *,
        noise: int,
        style: int,
        width: int,
    ) -> None:
        super().__init__()
        (frames, n_in), (self.frames, n_out) = source, target
        if frames < self.pace:
            raise ValueError(f"source must have at least {self.pace} frames, got {frames}")
        self.first = nn.Conv1d(n_in + noise + style, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GELU(),
                nn.Conv1d(width, width, 5, padding=2 * d, dilation=d),
                nn.GELU(),
                nn.Conv1d(width, width, 1),
            )
            for d in _DILATIONS
        )
        self.last = nn.Conv1d(width, n_out, 1)

    def forward(self, source: Tensor, noise: Tensor, style: Tensor) -> Tensor:
        cells = interpolate(torch.cat([noise, style], 2).mT, source.shape[1], mode="linear")
        h = self.first(torch.cat([source.mT, cells], 1))
        for block in self.blocks:
            h = h + block(h)
        if h.shape[2] != self.frames:
            h = interpolate(h, self.frames, mode="linear")
        return self.last(h).mT


def conv1d_critic(features: int, width: int) -> nn.Module:
    """Return a critic from sequences (n, features, T) of any length to values (n, 1, about T/8).

    >>> conv1d_critic(features=3, width=4)(torch.zeros(5, 3, 16)).shape
    torch.Size([5, 1, 2])
    """
    layers: list[nn.Module] = []
    for n_in, n_out in ((features, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv1d(n_in, n_out, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv1d(2 * width, 1, 1))
