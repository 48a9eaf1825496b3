r"""What a body that stands on a floor cannot do: feet that slide, bones that stretch, joints that
tremble.

    Tseng, Castellon & Liu, "EDGE: editable dance generation from music", CVPR 2023 [tseng2023]
    Zhang, Starke, Komura & Saito, "Mode-adaptive neural networks for quadruped motion control", ACM
        ToG 2018 [zhang2018]
    Flash & Hogan, "The coordination of arm movements", Journal of Neuroscience 1985 [flash1985]

==========  ==========================================================================
symbol      here
==========  ==========================================================================
p_{t,j}     position of joint j in frame t, meters; y is up
r           frames per second
a           acceleration of the root, its part downwards taken off
v_L, v_R    horizontal speed of the joint of a foot that moves less
h, H        height of a foot's joint above where it rests, and the height at which it is free, 2.5
            cm
==========  ==========================================================================
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge.dance.motion.skeleton import Skeleton, check_motion

_FREE = 0.025  # meters
_REST = 0.05  # the share of the frames in which a foot's joint is lower than where it rests
_STILL = 0.01  # m/s²; a thousandth of gravity, so that rounding is no acceleration


def physical_foot_contact(positions: Tensor, skeleton: Skeleton, rate: float) -> Tensor:
    r"""Physical foot contact: how much the body accelerates while both feet move, which needs a
    push from nowhere; 0 is best.

    .. math::

        \frac{1}{N \max_t \lVert a_t \rVert} \sum_{t=1}^{N} \lVert a_t \rVert \, v_{L,t} \, v_{R,t},
        \qquad a_t = r^2 (p_{t+1} - 2 p_t + p_{t-1})_{\text{root}}

    with :math:`v_{L,t}`, :math:`v_{R,t}` over the step from t to t + 1 and the downward part of a,
    gravity's, set to 0.

    Source: [tseng2023]. The paper writes the center of mass and the feet; its evaluator, and this
    one, take the root, and of the joints of a foot the slower one. It measures the feet in meters
    per frame and multiplies by 10⁴: at 30 frames per second its figures are these times 10⁴/30² ≈
    11.1. The maximum grows with the length of the motion: compare equal lengths (5 s there).

    Raises ValueError for another shape or skeleton, fewer than 3 frames, values that are not
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
        m²/s²; 0 where the root never accelerates. The maximum is taken to be at least 0.01 m/s².

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
    left, right = (
        speed[..., [j for j in skeleton.feet if side in skeleton.joints[j]]].amin(-1)
        for side in ("left", "right")
    )
    return (a * left * right).mean(-1) / a.amax(-1).clamp_min(_STILL)


def bone_length_error(positions: Tensor, skeleton: Skeleton) -> Tensor:
    r"""The largest relative change of a bone's length during a motion (..., T, J, 3); 0 is a body
    of rigid bones.

    .. math:: \max_{t, b} \, \bigl| \ell_{t,b} / \bar\ell_b - 1 \bigr|

    with :math:`\bar\ell_b` the bone's mean length in that motion. Bones shorter than a nanometer
    don't count. Returns (...), without unit. Raises ValueError for another shape or skeleton, and
    for values that are not finite.

    >>> from monge.dance.motion import MELODY, rest
    >>> grow = rest(MELODY) * torch.tensor([0.9, 1.0, 1.1])[:, None, None]
    >>> round(bone_length_error(grow, MELODY).item(), 4)
    0.1
    """
    p = check_motion(positions, skeleton=skeleton)
    ends = list(skeleton.bones)
    length = (p[..., ends, :] - p[..., [skeleton.parents[j] for j in ends], :]).norm(dim=-1)
    mean = length.mean(-2, keepdim=True)
    return torch.where(mean > 1e-9, (length - mean).abs() / mean.clamp_min(1e-9), 0.0).amax(
        (-2, -1)
    )


def jerk(positions: Tensor, rate: float) -> Tensor:
    r"""Mean size of the third derivative of the joints' positions (..., T, J, 3) in time, m/s³;
    smooth motions have little.

    .. math::

        \frac{r^3}{(T-3) J} \sum_{t,j} \lVert p_{t+3,j} - 3 p_{t+2,j} + 3 p_{t+1,j} - p_{t,j} \rVert

    Returns (...). A still body has none: judge it beside that of real dances, at the same rate.
    Raises ValueError for another shape, fewer than 4 frames, and values that are not finite.
    Source: [flash1985].

    >>> t = torch.arange(6.0)
    >>> jerk((t**3)[:, None, None] * torch.tensor([0.0, 0.5, 0.0]), rate=2.0)  # 6 · ½ m/frame³
    tensor(24.)
    """
    p = check_motion(positions, rate=rate, least=4)
    return p.diff(n=3, dim=-3).norm(dim=-1).mean((-2, -1)) * rate**3


def skating(positions: Tensor, skeleton: Skeleton, rate: float, *, height: float = _FREE) -> Tensor:
    r"""Foot skating: the mean horizontal speed of the feet, each as far as it is on the floor, m/s;
    0 is best.

    .. math::

        \frac{1}{(T-1) F} \sum_{t,f} v_{t,f} \, \bigl(2 - 2^{h_{t,f} / H}\bigr), \qquad h \text{
        clamped to } [0, H]

    Source: [zhang2018], which has the floor at 0; a joint is inside its foot and a captured floor
        has bumps. Speed and height are
    those of the step from t to t + 1 and of its higher end.

    Raises ValueError for another shape or skeleton, fewer than 2 frames, values that are not
    finite, a height that is not positive.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters, y up; T ≥ 2. Each joint of a foot rests at its own height, which one frame in twenty
        is below.
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
    """Horizontal speeds (..., T − 1, J), m/s."""
    return positions[..., ::2].diff(dim=-3).norm(dim=-1) * rate
