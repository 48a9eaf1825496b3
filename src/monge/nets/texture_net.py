"""A network that makes a texture of any size in one pass.

    Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture networks: feed-forward synthesis of textures and
    stylized images",
    ICML 2016    [ulyanov2016]

The k-th of the K ``levels`` of noise, z_k, has one number for 2^(K − 1 − k) × 2^(K − 1 − k) pixels.
From coarse to fine: features are doubled in size, joined by noise of that size, and filtered.
Borders are those of a torus, so that the network commutes with shifts: a picture of a torus tiles
the plane, and a part of it is a picture as good as any.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_SLOPE = 0.2
_TINY = 1e-5
_MOMENTUM = 0.05


class TextureNet(nn.Module):
    """Noise at several scales to pictures (n, channels, h, w), values in about [0, 1]; h and w are
    multiples of `unit`.

    ``width`` is the number of features of the finest level; each coarser one has as many more, up
    to four times as many. The authors process each noise by convolutions of its own before it is
    joined, and ours by those after. Source: [ulyanov2016].

    >>> net = TextureNet(3, levels=3, width=4)
    >>> [shape[1:] for shape in net.noise_shapes((8, 16))]
    [(2, 4), (4, 8), (8, 16)]
    >>> net([torch.randn(2, *shape) for shape in net.noise_shapes((8, 16))]).shape
    torch.Size([2, 3, 8, 16])
    """

    def __init__(self, channels: int, *, levels: int = 5, width: int = 16, noise: int = 4) -> None:
        super().__init__()
        for name, value in (
            ("channels", channels),
            ("levels", levels),
            ("width", width),
            ("noise", noise),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.noise = noise
        widths = [width * min(levels - k, 4) for k in range(levels)]
        before = [0, *widths[:-1]]
        self.blocks = nn.ModuleList(
            nn.ModuleList([_Filter(b + noise, w), _Filter(w, w)])
            for b, w in zip(before, widths, strict=True)
        )
        self.colors = nn.Conv2d(widths[-1], channels, 1)
        nn.init.constant_(self.colors.bias, 0.5)  # type: ignore[arg-type]  # gray

    @property
    def unit(self) -> int:
        """Pixels that one number of the coarsest noise stands for, in each direction."""
        return 1 << (len(self.blocks) - 1)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, int, int]]:
        """(noise, h', w') of each level for pictures of h × w pixels, coarse to fine; ValueError if
        unit divides them not.
        """
        if any(side < 1 or side % self.unit for side in size):
            raise ValueError(f"sides must be multiples of {self.unit} pixels, got {tuple(size)}")
        return [(self.noise, size[0] >> k, size[1] >> k) for k in reversed(range(len(self.blocks)))]

    def forward(self, noise: Sequence[Tensor]) -> Tensor:
        x: Tensor | None = None
        for block, z in zip(self.blocks, noise, strict=True):
            x = z if x is None else torch.cat([_doubled(x), z], 1)
            for layer in block:  # type: ignore[attr-defined]
                x = layer(x)
        return self.colors(x)


def _doubled(x: Tensor) -> Tensor:
    """Twice the size, bilinear: copies of pixels would tell the network where it is, and it would
    paint on a grid.
    """
    x = nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)[
        ..., 2:-2, 2:-2
    ]


class _Filter(nn.Module):
    """Convolution on a torus, normalization by the batch in training and by running means in
    evaluation, leaky ReLU.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, width, 3, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, _SLOPE)
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
        if self.training:
            x = self.convolution(x)
            x = nn.functional.batch_norm(
                x, self.mean, self.var, self.scale, self.shift, True, _MOMENTUM, _TINY
            )
        else:
            # one pass over the pixels in place of two
            gain = self.scale * (self.var + _TINY).rsqrt()
            x = nn.functional.conv2d(
                x,
                self.convolution.weight * gain[:, None, None, None],
                self.shift - self.mean * gain,
            )
        return nn.functional.leaky_relu(x, _SLOPE, inplace=True)
