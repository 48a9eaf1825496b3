"""A network that generates a texture of any size in one pass.

    Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture networks: feed-forward synthesis of textures and
        stylized images", ICML 2016    [ulyanov2016]

The k-th of the K ``levels`` of noise, z_k, has one vector for 2^(K − 1 − k) × 2^(K − 1 − k) pixels.
From coarse to fine, features are doubled in size, concatenated with noise of that size, and
filtered. Borders are those of a torus, so that the network commutes with shifts: its pictures tile
the plane, and a part of a picture is a sample as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_SLOPE = 0.2
_TINY = 1e-5
_MOMENTUM = 0.05


class TextureNet(nn.Module):
    """Generator from noise at several scales to pictures (n, channels, h, w).

    Values lie in about [0, 1]; h and w are multiples of `unit`. ``width`` is the number of features
    of the finest level; each coarser level has ``width`` more, up to four times as many. The
    authors filter each noise before it is joined, this network only after. Source: [ulyanov2016].

    >>> net = TextureNet(3, levels=3, width=4)
    >>> [shape[1:] for shape in net.noise_shapes((8, 16))]
    [(2, 4), (4, 8), (8, 16)]
    >>> net([torch.randn(2, *shape) for shape in net.noise_shapes((8, 16))]).shape
    torch.Size([2, 3, 8, 16])
    """

    def __init__(self, channels: int, *, levels: int = 5, width: int = 16, noise: int = 4) -> None:
        super().__init__()
        sizes = {"channels": channels, "levels": levels, "width": width, "noise": noise}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.noise = noise
        widths = [width * min(levels - k, 4) for k in range(levels)]
        before = [0, *widths[:-1]]
        self.blocks = nn.ModuleList(
            nn.ModuleList([_Filter(b + noise, w), _Filter(w, w)])
            for b, w in zip(before, widths, strict=True)
        )
        # spelled as in 0.1.0: the name is a key of stored weights
        self.colours = nn.Conv2d(widths[-1], channels, 1)
        nn.init.constant_(self.colours.bias, 0.5)  # type: ignore[arg-type]  # gray

    @property
    def unit(self) -> int:
        """Side in pixels of the region that one vector of the coarsest noise covers."""
        return 1 << (len(self.blocks) - 1)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Return (noise, h', w') of each level for pictures of h × w pixels, coarse to fine.

        ValueError if h or w is not a multiple of `unit`.
        """
        if any(side < 1 or side % self.unit for side in size):
            raise ValueError(f"sides must be multiples of {self.unit} pixels, got {tuple(size)}")
        return [(self.noise, size[0] >> k, size[1] >> k) for k in reversed(range(len(self.blocks)))]

    def forward(self, noise: Sequence[Tensor]) -> Tensor:
        x: Tensor | None = None
        for block, z in zip(self.blocks, noise, strict=True):
            x = z if x is None else torch.cat([_double(x), z], 1)
            for layer in block:  # type: ignore[attr-defined]
                x = layer(x)
        return self.colours(x)


def _double(x: Tensor) -> Tensor:
    """Double the size bilinearly.

    Copied pixels would show the network its position, and its pictures would show a grid.
    """
    x = nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return x[..., 2:-2, 2:-2]


class _Filter(nn.Module):
    """Convolution on a torus, batch normalization, leaky ReLU.

    In training the statistics are those of the batch, in evaluation running means.
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
            # normalization as part of the convolution: one pass over the pixels instead of two
            gain = self.scale * (self.var + _TINY).rsqrt()
            weight = self.convolution.weight * gain[:, None, None, None]
            x = nn.functional.conv2d(x, weight, self.shift - self.mean * gain)
        return nn.functional.leaky_relu(x, _SLOPE, inplace=True)
