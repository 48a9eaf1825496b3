r"""Music and dance as the two domains of `monge.methods.mdot`: their distances and the network.

    Wu, Lu, Cheng, "Music-to-dance generation with optimal transport", IJCAI 2022   [wu2022]

.. math::

    d(x_t, x'_t)^2 = \mathrm{mean}_b\, \theta(u_{tb}, u'_{tb})^2 +
    (h_t - h'_t)^2 / (0.3\,\mathrm{m})^2

θ is the angle between directions of a bone, h the height of the root. Directions replace the
paper's joint rotations: motion capture has positions, which do not determine the twist of a bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import audio, motion
from .motion import MELODY, TRAVEL, Skeleton
from .network import PACE, DanceGenerator

_HEIGHT = 0.3  # meters of height that count like one radian


@dataclass(frozen=True)
class DanceDomains:
    """The source domain, windows of music, and the target domain, dances.

    Windows of music are (n, T + 96, 80). Dances are (n, T, 4 + 3B), encoded by
    `monge.dance.motion.encode`; their costs are in radians.

    >>> x = torch.randn(2, 8, 70)
    >>> [t.shape for t in DanceDomains().states(x)], DanceDomains().rates(x).shape
    ([torch.Size([2, 176, 3]), torch.Size([2, 8])], torch.Size([2, 6, 208]))
    """

    skeleton: Skeleton = MELODY
    pace: int = PACE

    def source_distance(self, y: Tensor, y2: Tensor) -> Tensor:
        return audio.music_distance(y, y2)

    def states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return directions of bones (n, t B, 3) and scaled heights (n, t)."""
        directions = x[..., TRAVEL:].unflatten(-1, (-1, 3)).flatten(1, 2)
        return directions, x[..., 3] * (_HEIGHT**-2 / x.shape[1]) ** 0.5

    def squared_cost(self, p: Tensor, q: Tensor) -> Tensor:
        return motion.squared_angles(p, q)

    def rates(self, x: Tensor) -> Tensor:
        """Return velocities, accelerations and changes of the features, (n, T − 2, 6 J + d).

        Velocities and accelerations of the joints are in the axes of the body.
        """
        velocity = motion.velocities(x, self.skeleton).flatten(2)
        return torch.cat([velocity[:, 1:], velocity.diff(dim=1), x.diff(dim=1)[:, 1:]], 2)

    def generator(self, *, noise: int, style: int, width: int) -> nn.Module:
        still = motion.encode(motion.rest(self.skeleton).expand(2, -1, -1), self.skeleton)[0]
        return DanceGenerator(audio.MUSIC, still, noise=noise, style=style, width=width)
