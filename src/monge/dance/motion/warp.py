r"""Retime a dance: move its own beats onto beats of the music.

    Lee et al., "Dancing to music", NeurIPS 2019 (dances are cut at the body's beats and stretched
        to the music's)   [lee2019]

==========  =============================================================
symbol      meaning
==========  =============================================================
m_i         beats of the body, where it slows down, in frames
b_j         beats of the music, in frames
σ           slope of the map between two anchors (m_i, b_j), (m_k, b_l)
λ           ``_UNMATCHED``, the cost of a beat without a match
==========  =============================================================

Each beat of the body is matched to one beat of the music or to none, in order, such that no passage
is stretched by more than a bound:

.. math::

    \min \sum (b_l - b_j) \log(\sigma)^2 +
    \lambda\,\#\{\text{beats of the body without a beat of the music}\}
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from .skeleton import Skeleton, check_motion, directions, place

Array = NDArray[np.float64]

_UNMATCHED = 6.0  # cost of a beat of the body without a match, that of 6 frames with |log σ| = 1
_APART = 100.0  # frames between two anchors, at most


def beat_warp(
    positions: Tensor, own: Tensor, music: Tensor, skeleton: Skeleton, *, stretch: float = 1.25
) -> Tensor:
    """Move the beats of a dance (T, J, 3) onto beats of the music.

    The dance has as many frames as before, and bones keep their lengths. Source of the idea:
    [lee2019]. Retiming raises the beat alignment of any dance, so report with that metric whether
    the dance was retimed.

    Parameters
    ----------
    positions : Tensor (T, J, 3)
    own : Tensor (n,)
        Frames at which the dance has its beats, `monge.dance.metrics.motion_beats`.
    music : Tensor (m,)
        Frames at which the music has them, fractions allowed.
    skeleton : Skeleton
    stretch : float
        Largest factor by which a passage becomes slower or faster. Beats that would need a larger
        one are not matched.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> dance = rest(MELODY).repeat(100, 1, 1)
    >>> dance[:, :, 0] += torch.arange(100.0)[:, None] / 10
    >>> own, music = torch.tensor([20.0, 45.0]), torch.tensor([22.0, 43.0, 70.0])
    >>> beat_warp(dance, own, music, MELODY)[22, 2, 0].item()
    2.0
    """
    check_motion(positions, skeleton=skeleton, single=True)
    if not stretch > 1:
        raise ValueError(
            f"stretch must be above 1, got {stretch}: 1.25 allows a passage to become a quarter "
            "slower or faster"
        )
    beats = own.double().cpu().numpy(), music.double().cpu().numpy()
    times = source_times(*beats, len(positions), stretch)
    return at_times(positions, torch.from_numpy(times), skeleton)


def at_times(positions: Tensor, times: Tensor, skeleton: Skeleton) -> Tensor:
    """Interpolate a dance at ``times`` (n,) in frames, fractions allowed.

    Directions of bones are interpolated, so that bones keep their lengths.

    >>> from monge.dance.motion import MELODY, rest
    >>> at_times(rest(MELODY).repeat(3, 1, 1), torch.tensor([0.5, 2.0]), MELODY).shape
    torch.Size([2, 23, 3])
    """
    last = len(positions) - 1
    times = times.to(positions).clamp(0, last)
    before = times.floor().long().clamp_max(max(0, last - 1))
    after, share = (before + 1).clamp_max(last), (times - before)[:, None, None]
    u, root = directions(positions, skeleton), positions[:, skeleton.root, None]
    u, root = (torch.lerp(t[before], t[after], share) for t in (u, root))
    return place(torch.nn.functional.normalize(u, dim=-1), root[:, 0], skeleton)


def source_times(own: Array, music: Array, frames: int, stretch: float) -> Array:
    """Return for each frame of the result its time in the original dance, (frames,)."""
    anchors = _anchors(own, music, frames - 1.0, stretch)
    m, b = [m for m, _ in anchors], [b for _, b in anchors]
    if len(anchors) < 3:  # too few points for a smooth map
        return np.interp(np.arange(frames), b, m)
    return np.asarray(PchipInterpolator(b, m)(np.arange(frames)))


def _anchors(own: Array, music: Array, last: float, stretch: float) -> list[tuple[float, float]]:
    """Return the pairs (m, b) that the map interpolates, by dynamic programming.

    The first and the last frame are among them.
    """
    reach = float(np.diff(music).mean()) * 0.75 if len(music) > 1 else 0.0
    inside = [m for m in own if 0 < m < last]
    states = [(0.0, 0.0)]
    states += [(m, b) for m in inside for b in music[np.abs(music - m) <= reach] if 0 < b < last]
    states += [(last, last)]
    m, b = np.array(states).T
    passed = np.searchsorted(np.array(inside), m)  # beats of the body before each state
    total, previous = np.full(len(states), np.inf), np.zeros(len(states), int)
    total[0] = 0.0
    for s in range(1, len(states)):
        dm, db = m[s] - m[:s], b[s] - b[:s]
        near = (dm > 0) & (db > 0) & ((db <= _APART) | (s == len(states) - 1) | (np.arange(s) == 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            bend = np.abs(np.log(np.where(near, dm / db, 1.0)))
        unmatched = np.maximum(passed[s] - passed[:s] - (np.arange(s) > 0), 0)
        cost = total[:s] + db * bend**2 + _UNMATCHED * unmatched
        cost = np.where(near & (bend <= np.log(stretch)), cost, np.inf)
        previous[s] = int(cost.argmin())
        total[s] = cost[previous[s]]
    path = [len(states) - 1]
    while path[-1]:
        path.append(int(previous[path[-1]]))
    return [states[s] for s in reversed(path)]
