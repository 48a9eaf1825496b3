r"""Physical plausibility of a dance: sliding feet, stretching bones, trembling joints.

    Tseng, Castellon & Liu, "EDGE: editable dance generation from music", CVPR 2023   [tseng2023]
    Zhang, Starke, Komura & Saito, "Mode-adaptive neural networks for quadruped motion control",
        ACM ToG 2018   [zhang2018]
    Flash & Hogan, "The coordination of arm movements", Journal of Neuroscience 1985   [flash1985]

==========  ======================================================================
symbol      here
==========  ======================================================================
p_{t,j}     position of joint j in frame t, meters; y is up
r           frames per second
a           acceleration of the root, without its downward part
v_L, v_R    horizontal speed of the slower joint of the left and the right foot
h, H        height of a foot's joint above its resting height, and the height at
            which it is free, 2.5 cm
==========  ======================================================================
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge.dance.motion.skeleton import Skeleton, check_motion

_FREE = 0.025  # meters
_REST = 0.05  # share of the frames in which a foot's joint is below its resting height
_STILL = 0.01  # m/s²; a thousandth of gravity, so that rounding does not count as acceleration


def physical_foot_contact(positions: Tensor, skeleton: Skeleton, rate: float) -> Tensor:
    r"""Compute the physical foot contact score: acceleration of the body while both feet move.

    Such acceleration has no physical cause; 0 is best.

    .. math::

        \frac{1}{N \max_t \lVert a_t \rVert} \sum_{t=1}^{N} \lVert a_t \rVert \, v_{L,t} \, v_{R,t},
        \qquad a_t = r^2 (p_{t+1} - 2 p_t + p_{t-1})_{\text{root}}

    with :math:`v_{L,t}`, :math:`v_{R,t}` over the step from t to t + 1, and the downward part of a,
    which gravity may cause, set to 0.

    Source: [tseng2023]. The paper names the center of mass and the feet; its evaluator, and this
    one, take the root, and the slower joint of each foot. It measures the feet in meters per frame
    and multiplies by 10⁴: at 30 frames per second its values are these times 10⁴/30² ≈ 11.1. The
    maximum grows with the length of the motion: compare equal lengths (5 s there).

    Raises ValueError for another shape or skeleton, fewer than 3 frames, and values that are not
    finite.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters, y up; T ≥ 3, so N = T − 2.
    skeleton : Skeleton
        Its ``feet`` with "left" and "right" in their names.
    rate : float
        Frames per second.

    Returns
    -------
    Tensor (...)
        m²/s²; 0 where the root never accelerates. The maximum is clamped to at least 0.01 m/s².

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> t = torch.arange(5.0)
    >>> slide = rest(MELODY) + torch.stack([t * t, 0 * t, 0 * t], -1)[:, None]  # a = 2, v = 3, 5, 7
    >>> round(physical_foot_contact(slide, MELODY, rate=1.0).item(), 4)  # (9 + 25 + 49) / 3
    27.6667
    """
    p = check_motion(positions, rate=rate, least=3, skeleton=skeleton)
    a = p[..., skeleton.root, :].diff(n=2, dim=-2) * rate**2
    a = torch.stack([a[..., 0], a[..., 1].clamp_min(0), a[..., 2]], -1).norm(dim=-1)
    speed = _ground_speed(p[..., 1:, :, :], rate)

    def foot_speed(side: str) -> Tensor:
        return speed[..., [j for j in skeleton.feet if side in skeleton.joints[j]]].amin(-1)

    left, right = foot_speed("left"), foot_speed("right")
    return (a * left * right).mean(-1) / a.amax(-1).clamp_min(_STILL)


def bone_length_error(positions: Tensor, skeleton: Skeleton) -> Tensor:
    r"""Compute the largest relative change of a bone's length in a motion (..., T, J, 3).

    .. math:: \max_{t, b} \, \bigl| \ell_{t,b} / \bar\ell_b - 1 \bigr|

    with :math:`\bar\ell_b` the bone's mean length in that motion; 0 means rigid bones. Bones
    shorter than a nanometer are ignored. Returns (...), without unit. Raises ValueError for another
    shape or skeleton, and for values that are not finite.

    >>> from monge.dance.motion import MELODY, rest
    >>> grow = rest(MELODY) * torch.tensor([0.9, 1.0, 1.1])[:, None, None]
    >>> round(bone_length_error(grow, MELODY).item(), 4)
    0.1
    """
    p = check_motion(positions, skeleton=skeleton)
    ends = list(skeleton.bones)
    length = (p[..., ends, :] - p[..., [skeleton.parents[j] for j in ends], :]).norm(dim=-1)
    mean = length.mean(-2, keepdim=True)
    change = (length - mean).abs() / mean.clamp_min(1e-9)
    return torch.where(mean > 1e-9, change, 0.0).amax((-2, -1))


def jerk(positions: Tensor, rate: float) -> Tensor:
    r"""Compute the mean norm of the third time derivative of joint positions (..., T, J, 3), m/s³.

    .. math::

        \frac{r^3}{(T-3) J} \sum_{t,j} \lVert p_{t+3,j} - 3 p_{t+2,j} + 3 p_{t+1,j} - p_{t,j} \rVert

    Returns (...). Smooth motions have little jerk and a still body has none: compare it with that
    of real dances, at the same rate. Raises ValueError for another shape, fewer than 4 frames, and
    values that are not finite. Source: [flash1985].

    >>> t = torch.arange(6.0)
    >>> jerk((t**3)[:, None, None] * torch.tensor([0.0, 0.5, 0.0]), rate=2.0)  # 6 · ½ m/frame³
    tensor(24.)
    """
    p = check_motion(positions, rate=rate, least=4)
    return p.diff(n=3, dim=-3).norm(dim=-1).mean((-2, -1)) * rate**3


def skating(positions: Tensor, skeleton: Skeleton, rate: float, *, height: float = _FREE) -> Tensor:
    r"""Compute foot skating: the mean horizontal speed of feet on the floor, m/s; 0 is best.

    .. math::

        \frac{1}{(T-1) F} \sum_{t,f} v_{t,f} \, \bigl(2 - 2^{h_{t,f} / H}\bigr), \qquad
        h \text{ clamped to } [0, H]

    The speed is that of the step from t to t + 1, the height that of its higher end. Source:
    [zhang2018], which measures heights from the floor at 0. Here each joint has its own resting
    height, since a joint is inside its foot and a captured floor is uneven.

    Raises ValueError for another shape or skeleton, fewer than 2 frames, values that are not
    finite, and a height that is not positive.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters, y up; T ≥ 2. The resting height of a joint is its 5 % quantile over the frames.
    skeleton : Skeleton
    rate : float
        Frames per second.
    height : float
        H, meters.

    Returns
    -------
    Tensor (...)
        m/s.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> slide = rest(MELODY) + torch.arange(5.0)[:, None, None] * torch.tensor([0.3, 0.0, 0.0])
    >>> round(skating(slide, MELODY, rate=10.0).item(), 4)
    3.0
    """
    p = check_motion(positions, rate=rate, least=2, skeleton=skeleton)
    if not height > 0:
        raise ValueError(f"height must be a positive number of meters, got {height}")
    feet = p[..., list(skeleton.feet), :]
    y = feet[..., 1]
    above = (y - y.quantile(_REST, dim=-2, keepdim=True)).clamp(0, height) / height
    weight = 2 - 2 ** torch.maximum(above[..., 1:, :], above[..., :-1, :])
    return (_ground_speed(feet, rate) * weight).mean((-2, -1))


def _ground_speed(positions: Tensor, rate: float) -> Tensor:
    """Compute horizontal speeds (..., T − 1, J), m/s."""
    return positions[..., ::2].diff(dim=-3).norm(dim=-1) * rate
