r"""Features of pictures from random filters.

    Ustyuzhaninov, Brendel, Gatys & Bethge, "What does it take to generate natural textures?", ICLR
        2017 [ustyuzhaninov2017]

==========  ========================================================================================
symbol      here
==========  ========================================================================================
w_k         filter k, ``size`` × ``size`` × channels: Gaussian, of mean 0 in each channel and norm 1
S_l x       the picture at scale l, see `monge.nets.pyramid`
f_l         feature map at scale l: max(0, w_k ∗ S_l x) for each k, then S_l x itself
==========  ========================================================================================

One layer is enough for textures if its filters have many sizes. The paper applies filters of many
sizes to one picture; filters of one size at many scales are as good and faster.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from .patches import pyramid


class RandomFilters(nn.Module):
    r"""One layer of random filters and ReLU, at each scale of a picture.

    .. math:: f_l(x) = \bigl(\max(0, w_1 * S_l x), \dots, \max(0, w_K * S_l x),\ S_l x\bigr)

    K is ``filters``, ``size`` their side in pixels; all ``scales`` have the same filters, which are
    a function of the seed. On a ``torus`` pictures continue at the opposite side and maps are as
    large as the picture, otherwise ``size - 1`` pixels smaller. ValueError if a filter does not fit
    the smallest scale.

    A filter with a mean other than zero in a channel would respond to little but the mean color,
    and ReLU would cut it off always or never. Filters of mean zero do not respond to color, so the
    picture itself, cropped to the same positions, comes last. Source: [ustyuzhaninov2017].

    >>> filters = RandomFilters(3, scales=2, filters=16, size=5)
    >>> [tuple(f.shape) for f in filters(torch.zeros(1, 3, 64, 40))]
    [(1, 19, 60, 36), (1, 19, 28, 16)]
    """

    weight: Tensor

    def __init__(
        self,
        channels: int,
        *,
        scales: int = 4,
        filters: int = 48,
        size: int = 7,
        seed: int = 0,
        torus: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"channels": channels, "scales": scales, "filters": filters, "size": size}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if size < 2:
            raise ValueError(f"size must be at least 2, got {size}: one pixel of mean 0 is 0")
        self.channels, self.scales, self.size, self.torus = channels, scales, size, torus
        rng = torch.Generator().manual_seed(seed)
        w = torch.randn(filters, channels, size, size, generator=rng)
        w = w - w.mean((2, 3), keepdim=True)
        self.register_buffer("weight", w / w.flatten(1).norm(dim=1).view(-1, 1, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map pictures (n, channels, h, w) to (n, filters + channels, h_l, w_l) at each scale.

        The finest scale comes first.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"expected pictures (n, {self.channels}, h, w), got {tuple(x.shape)}")
        if min(x.shape[2:]) >> (self.scales - 1) < self.size:
            raise ValueError(
                f"filters of {self.size} pixels do not fit {tuple(x.shape[2:])} at scale "
                f"{self.scales - 1}: take fewer scales"
            )
        return [self._features(level) for level in pyramid(x, self.scales, torus=self.torus)]

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, scales={self.scales}, filters={len(self.weight)}, size={self.size}, "
            f"torus={self.torus}"
        )

    def _features(self, x: Tensor) -> Tensor:
        before, after, (h, w) = (self.size - 1) // 2, self.size // 2, x.shape[2:]
        if self.torus:
            wide, middle = pad(x, (before, after, before, after), mode="circular"), x
        else:
            wide, middle = x, x[..., before : h - after, before : w - after]
        return torch.cat([conv2d(wide, self.weight.to(x)).relu(), middle], 1)
