"""Convolutional generator with gated linear units and critic with concatenated ReLU, after OT-GAN.

    Salimans et al., "Improving GANs using optimal transport", ICLR 2018, appendix    [salimans2018]

Batch normalization is not used: it would couple the samples of a process, and training on several
processes would differ from training on one. Instead, the generator divides each pixel by its root
mean square over the channels [karras2018].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, relu, rms_norm


def _check_size(size: int) -> int:
    if size < 8 or size % 4:
        advice = "resize the pictures (a folder of them with `size=32`), or choose net 'mlp'"
        raise ValueError(
            f"picture size must be a multiple of 4 and at least 8, got {size}: {advice}"
        )
    return size // 4


class GLUGenerator(nn.Module):
    """Generator from codes (n, latent) to pictures (n, channels, size, size) in [−1, 1].

    ``width`` is the number of channels at quarter size, and half of it that at half size. Only the
    picture itself is computed at full size: further layers there would take four fifths of the
    time on a CPU.
    """

    def __init__(self, latent: int, channels: int, size: int, width: int = 64) -> None:
        super().__init__()
        self.base, self.width = _check_size(size), width
        self.stem = nn.Linear(latent, 2 * width * self.base**2)
        self.up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.picture = nn.ConvTranspose2d(width // 2, channels, 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).reshape(-1, 2 * self.width, self.base, self.base)
        h = _pixel_norm(glu(h, 1))
        h = _pixel_norm(glu(self.up(h), 1))
        return torch.tanh(self.picture(h))


class CReLUCritic(nn.Module):
    """Critic from pictures (n, channels, size, size) to features (n, features).

    CReLU, [relu(h), relu(−h)], keeps the sign, so that the features stay informative without
    normalization.
    """

    def __init__(self, channels: int, size: int, width: int = 32, features: int = 256) -> None:
        super().__init__()
        base = _check_size(size)
        self.down1 = nn.Conv2d(channels, width, 5, stride=2, padding=2)
        self.down2 = nn.Conv2d(2 * width, 2 * width, 5, stride=2, padding=2)
        self.head = nn.Linear(4 * width * base**2, features)

    def forward(self, x: Tensor) -> Tensor:
        h = _crelu(self.down1(x))
        h = _crelu(self.down2(h))
        return self.head(h.flatten(1))


def _crelu(h: Tensor) -> Tensor:
    return torch.cat([relu(h), relu(-h)], 1)


def _pixel_norm(h: Tensor) -> Tensor:
    return rms_norm(h.movedim(1, -1), h.shape[1:2], eps=1e-6).movedim(-1, 1)
