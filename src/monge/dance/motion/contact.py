"""Foot contact: which feet stand on the floor.

Karunratanakul et al., "Guided motion diffusion for controllable human motion synthesis",
    ICCV 2023   [karunratanakul2023]
"""

from __future__ import annotations

import torch
from torch import Tensor

from .skeleton import Skeleton, check_motion, rest

HEIGHT = 0.05  # meters
SPEED = 0.5  # m/s


def foot_contact(
    positions: Tensor, skeleton: Skeleton, rate: float, height: float = HEIGHT, speed: float = SPEED
) -> Tensor:
    r"""Detect which feet stand on the floor in each frame of a dance.

    .. math::

        y_j(t) - y_j^{\mathrm{rest}} < h \quad\text{and}\quad
        \frac{f}{2}\,|p_j(t + 1) - p_j(t - 1)| < v

    The floor has height 0, and the height of a joint that is above it when the body stands, such as
    an ankle, is measured from there. At both ends of the dance the speed is that of one step; the
    speed in a dance of one frame is 0.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters; y is up.
    skeleton : Skeleton
    rate : float
        Frames per second f.
    height, speed : float
        h, meters, and v, m/s. The defaults are the thresholds of [karunratanakul2023] for skating.
        Metrics of other papers use the speed alone, 0.3 m/s.

    Returns
    -------
    Tensor (..., T, feet)
        Boolean; feet are in the order of ``skeleton.feet``.

    Examples
    --------
    >>> from monge.dance.motion import MELODY
    >>> still = rest(MELODY).expand(4, 23, 3)
    >>> foot_contact(still, MELODY, rate=25.0).all().item()
    True
    >>> foot_contact(still + 0.1, MELODY, rate=25.0).any().item()
    False
    """
    check_motion(positions, rate=rate, skeleton=skeleton)
    if not height > 0 or not speed > 0:
        raise ValueError(
            f"height and speed must be positive, got {height} and {speed}: {HEIGHT} and {SPEED} "
            "are usual"
        )
    joints = list(skeleton.feet)
    feet = positions[..., joints, :]
    low = feet[..., 1] - rest(skeleton).to(positions)[joints, 1] < height
    return low & (speeds(feet, rate) < speed)


def speeds(positions: Tensor, rate: float) -> Tensor:
    """Compute speeds (..., T, J) of joints (..., T, J, 3), in m/s.

    Differences are central, and one-sided at both ends.

    >>> speeds(torch.arange(4.0)[:, None, None].expand(4, 1, 3), rate=1.0).squeeze()
    tensor([1.7321, 1.7321, 1.7321, 1.7321])
    """
    if positions.shape[-3] == 1:
        return torch.zeros_like(positions[..., 0])
    (velocity,) = torch.gradient(positions, spacing=1 / rate, dim=-3)
    return velocity.norm(dim=-1)
