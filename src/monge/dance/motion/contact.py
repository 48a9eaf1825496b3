"""Foot contact: which feet stand on the floor.

Karunratanakul et al., "Guided motion diffusion for controllable human motion synthesis", ICCV 2023   [karunratanakul2023]
"""

from __future__ import annotations

import torch
from torch import Tensor

from .skeleton import Skeleton, check_motion, rest

HEIGHT = 0.05  # meters
SPEED = 0.5  # meters a second


def foot_contact(
    positions: Tensor, skeleton: Skeleton, rate: float, height: float = HEIGHT, speed: float = SPEED
) -> Tensor:
    r"""Whether each foot, in the order of ``skeleton.feet``, stands on the floor in each frame of a
    dance: bool (..., T, feet).

    .. math::

        y_j(t) - y_j^{\mathrm{rest}} < h \quad\text{and}\quad \frac{f}{2}\,|p_j(t + 1) - p_j(t - 1)|
        < v

    The floor has height 0, and a joint that is above it when the body stands, such as an ankle, is
    measured from there. At both ends of the dance the speed is that of one step; a dance of one
    frame does not move.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters; y is up.
    skeleton : Skeleton
    rate : float
        Frames a second f.
    height, speed : float
        h, meters, and v, meters a second. The defaults are the height and the speed from which on
        [karunratanakul2023] calls a foot that moves near the floor skating. Measures of other
        papers look at the speed alone, 0.3 m/s.

    Examples
    --------
    >>> from monge.dance.motion import MELODY
    >>> still = rest(MELODY).expand(4, 23, 3)
    >>> foot_contact(still, MELODY, rate=25.0).all().item(), foot_contact(still + 0.1, MELODY, rate=25.0).any().item()
    (True, False)
    """
    check_motion(positions, rate=rate, skeleton=skeleton)
    if not height > 0 or not speed > 0:
        raise ValueError(
            f"height and speed must be positive, got {height} and {speed}: {HEIGHT} and {SPEED} "
            "are usual"
        )
    feet = list(skeleton.feet)
    found = positions[..., feet, :]
    low = found[..., 1] - rest(skeleton).to(positions)[feet, 1] < height
    return low & (speeds(found, rate) < speed)


def speeds(positions: Tensor, rate: float) -> Tensor:
    """Speeds (..., T, J) of joints (..., T, J, 3), meters a second: central differences, at both
    ends one-sided ones.

    >>> speeds(torch.arange(4.0)[:, None, None].expand(4, 1, 3), rate=1.0).squeeze()
    tensor([1.7321, 1.7321, 1.7321, 1.7321])
    """
    if positions.shape[-3] == 1:
        return torch.zeros_like(positions[..., 0])
    (velocity,) = torch.gradient(positions, spacing=1 / rate, dim=-3)
    return velocity.norm(dim=-1)
