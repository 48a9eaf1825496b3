r"""Kinetic features of a dance, and the windows that features are computed from.

    Onuma, Faloutsos & Hodgins, "FMDistance: a fast and effective distance function for motion
        capture data", Eurographics 2008 (short papers)   [onuma2008]
    Müller, Röder & Clausen, "Efficient content-based retrieval of motion capture data", ACM ToG
        2005   [muller2005]
    Müller & Röder, "Motion templates for automatic classification and retrieval of motion capture
        data", SCA 2006 (the table of relations)   [muller2006]
    Gopinath & Won, "fairmotion: tools to load, process and visualize motion capture data", 2020
        [gopinath2020]

==========  ==================================================================================
symbol      here
==========  ==================================================================================
p_{t,j}     position of joint j in frame t, meters; y is up
r           frames per second
v, a        velocity and acceleration, averaged over the frames t − 2 … t + 2 that exist
hl, sw, hw  length of the humerus, width of the shoulders, width of the hips
==========  ==================================================================================

The public evaluators of dance generation descend from [gopinath2020]. They differ, so tables of
different papers are not comparable:

- Kinetic features measure the joints where they are; the original subtracted the root in every
  frame. The time between frames is fixed, 1/60 s or 1/30 s, whatever the rate of the motion.
- A misplaced bracket makes their acceleration r² p_s + r² (p_{s+1} − 2 p_s + p_{s−1}) − r p_s: it
  mostly measures the distance from the origin of the room, and moving a dance changes its features.
  So some set the root of the first frame to zero, which does not change the features as defined.
  ``kinetic_features(…, published=True)`` has the bracket where they have it.
- Geometric features use 1/120 s and the lengths of one average body for all dancers, and some of
  the 32 relations are not those of the papers: `geometric_features` lists what ``published=True``
  changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge.dance.motion.skeleton import check_motion

_REACH = 2  # frames on either side in the mean of a velocity


def windows(positions: Tensor, frames: int, hop: int | None = None) -> Tensor:
    """Cut a motion (..., T, J, 3) into windows (..., n, frames, J, 3), one every ``hop`` frames.

    Windows are disjoint by default. Frames at the end that do not fill a window are left out.
    Raises ValueError if the motion is shorter than one window.

    >>> motion = torch.zeros(250, 23, 3)
    >>> windows(motion, 100).shape, windows(motion, 100, 25).shape
    (torch.Size([2, 100, 23, 3]), torch.Size([7, 100, 23, 3]))
    """
    hop = frames if hop is None else hop
    if frames < 1 or hop < 1:
        raise ValueError(f"frames and hop must be at least 1, got frames={frames}, hop={hop}")
    if positions.ndim < 3 or positions.shape[-3] < frames:
        raise ValueError(
            f"a motion of shape {tuple(positions.shape)} has no window of {frames} frames: reduce "
            "frames"
        )
    return positions.unfold(-3, frames, hop).movedim(-1, -3)


def kinetic_features(positions: Tensor, rate: float, *, published: bool = False) -> Tensor:
    r"""Compute three means over the motion for each joint.

    They are the horizontal and the vertical kinetic energy, and the energy expenditure:

    .. math::

        \frac1{T-1} \sum_{t=1}^{T-1} \bigl(v_x^2 + v_z^2\bigr), \qquad
        \frac1{T-1} \sum_{t=1}^{T-1} v_y^2, \qquad
        \frac1{T-1} \sum_{t=1}^{T-1} \lVert a \rVert

    with :math:`v_t` the mean of :math:`r (p_s - p_{s-1})` and :math:`a_t` that of
    :math:`r^2 (p_{s+1} - 2 p_s + p_{s-1})` over the frames s = t − 2 … t + 2 for which they exist.
    Both sums telescope, so the cost does not depend on their length.

    Source: [onuma2008], with the smoothing of [gopinath2020]. The mass of a joint is 1, and the
    factor ½ is omitted.

    Raises ValueError for another shape, fewer than 3 frames, and values that are not finite.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters, y up; T ≥ 3.
    rate : float
        Frames per second.
    published : bool
        Use the public evaluators' acceleration, for values comparable with theirs; it needs a dance
        that begins at the origin.

    Returns
    -------
    Tensor (..., 3J)
        m²/s², m²/s² and m/s² of joint 0, then of joint 1, … The features are invariant to turns
        about the vertical and, unless ``published``, to translations.

    Examples
    --------
    >>> t = torch.arange(10.0)[:, None, None]
    >>> kinetic_features(t * torch.tensor([3.0, 1.0, 4.0]), rate=1.0)
    tensor([25.,  1.,  0.])
    """
    p = check_motion(positions, rate=rate, least=3)
    last = p.shape[-3] - 1
    t = torch.arange(1, last + 1, device=p.device)
    begin, end = (t - _REACH - 1).clamp_min(0), (t + _REACH).clamp_max(last)
    v = (p[..., end, :, :] - p[..., begin, :, :]) * rate / (end - begin)[:, None, None].to(p)
    step = p.diff(dim=-3)
    begin, end = (t - _REACH).clamp_min(1), (t + _REACH).clamp_max(last - 1)
    count = (end - begin + 1)[:, None, None].to(p)
    a = (step[..., end, :, :] - step[..., begin - 1, :, :]) * rate**2 / count
    if published:
        total = torch.cat([torch.zeros_like(p[..., :1, :, :]), p.cumsum(-3)], -3)
        a = a + (total[..., end + 1, :, :] - total[..., begin, :, :]) * (rate**2 - rate) / count
    energy = v.square()
    features = [energy[..., 0] + energy[..., 2], energy[..., 1], a.norm(dim=-1)]
    return torch.stack([feature.mean(-2) for feature in features], -1).flatten(-2)
