r"""A generator of dances from music and noise: convolutions over time with splines as output.

==========  ================================================
symbol      here
==========  ================================================
y           music, features of frames
z           ``noise``, independent in every cell of 4 frames
s           ``style``, constant or slowly varying
c_k         control points, one for each cell
B           the cubic B-spline
==========  ================================================

.. math:: x(t) = \sum_k c_k B\big(\tfrac{t - t_k}{4}\big), \qquad c = \mathrm{net}(y, z, s)

The output is a spline, so that a dance cannot shake. With a knot every 0.16 seconds splines keep
at least 95 % of the kinetic energy of motion capture. The network is convolutional and has no
layer that depends on the length of a window, so that a song of any length is processed as one
window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .motion import TRAVEL

PACE = 4  # frames of a cell
CONTEXT = 48  # frames of music, at most, that a frame of dance depends on, on either side
_DILATIONS = (1, 2, 4, 2)  # with the spline's two cells they reach eleven cells
_USUAL = (0.1, 0.03, 0.03, 0.1)  # usual size of turn, steps and height: radians and meters


class DanceGenerator(nn.Module):
    """Map music, noise and style to a dance (n, T, 4 + 3B); T is a multiple of 4.

    Music is (n, T + 96, music), noise (n, T/4 + 24, noise) and style (n, T/4 + 24, style).

    A frame depends on the music and noise of 48 frames before and after it, which the input has in
    addition: a song generated in one piece and the same song generated window by window are the
    same. Directions have norm 1. ``rest`` (4 + 3B) is the initial pose, before training.

    >>> net = DanceGenerator(music=80, rest=torch.ones(70), noise=4, style=3, width=8)
    >>> net(torch.randn(2, 96 + 96, 80), torch.randn(2, 48, 4), torch.randn(2, 48, 3)).shape
    torch.Size([2, 96, 70])
    """

    rest: Tensor
    scale: Tensor
    spline: Tensor

    def __init__(
        self, music: int, rest: Tensor, *, noise: int = 8, style: int = 8, width: int = 128
    ) -> None:
        super().__init__()
        features = len(rest)
        if (features - TRAVEL) % 3 or features <= TRAVEL:
            raise ValueError(
                f"rest must have 4 + 3 B numbers for a skeleton with B bones, got {features}"
            )
        self.noise, self.style = noise, style
        self.hear = nn.Conv1d(music, width, PACE, stride=PACE)
        self.join = nn.Conv1d(width + noise + style, width, 1)
        self.blocks = nn.ModuleList(_Block(width, style, dilation) for dilation in _DILATIONS)
        self.move = nn.Conv1d(width, features, 1)
        with torch.no_grad():
            self.move.weight.mul_(0.3)
            self.move.bias.zero_()  # type: ignore[union-attr]
        self.register_buffer("rest", rest.clone())
        scale = torch.cat([torch.tensor(_USUAL), torch.ones(features - TRAVEL)])
        self.register_buffer("scale", scale)
        self.register_buffer("spline", _cubic_spline()[None, None])

    def forward(self, music: Tensor, noise: Tensor, style: Tensor) -> Tensor:
        cells = music.shape[1] // PACE
        if music.shape[1] % PACE or noise.shape[1] != cells or style.shape[1] != cells:
            raise ValueError(
                f"music must have a multiple of {PACE} frames, noise and style a vector for each "
                f"{PACE}, got {music.shape[1]}, {noise.shape[1]} and {style.shape[1]}"
            )
        h = self.join(torch.cat([nn.functional.gelu(self.hear(music.mT)), noise.mT, style.mT], 1))
        for block in self.blocks:
            h = block(h, style)
        points = self.move(h)[..., CONTEXT // PACE - 2 : 2 - CONTEXT // PACE]
        smooth = nn.functional.conv_transpose1d(
            points.flatten(0, 1)[:, None], self.spline, stride=PACE, padding=6 + 2 * PACE
        )
        out = self.rest + self.scale * smooth.unflatten(0, points.shape[:2])[:, :, 0].mT
        travel, bones = out[..., :TRAVEL], out[..., TRAVEL:].unflatten(-1, (-1, 3))
        return torch.cat([travel, nn.functional.normalize(bones, dim=-1).flatten(-2)], -1)


class _Block(nn.Module):
    """h ↦ h + conv(σ(conv(norm(h)))), with each channel scaled and shifted by the style.

    The norm is taken over the channels of one cell.
    """

    def __init__(self, width: int, style: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.manner = nn.Linear(style, 2 * width)
        self.body = nn.Sequential(
            nn.Conv1d(width, 2 * width, 3, padding=dilation, dilation=dilation),
            nn.GELU(),
            nn.Conv1d(2 * width, width, 1),
        )

    def forward(self, h: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.manner(style).mT.chunk(2, 1)
        return h + self.body(self.norm(h.mT).mT * (1 + scale) + shift)


def _cubic_spline() -> Tensor:
    """Return the cubic B-spline at the 16 frames around a cell's center.

    The values of the four cells over a frame sum to 1.
    """
    t = ((torch.arange(4 * PACE) - 2 * PACE + 0.5) / PACE).abs()
    return torch.where(t < 1, 2 / 3 - t**2 + t**3 / 2, (2 - t).clamp_min(0) ** 3 / 6)
