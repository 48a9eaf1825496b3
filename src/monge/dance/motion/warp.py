r"""Retime a dance so that it keeps the beat: its own beats are moved onto beats of the music.

    Lee et al., "Dancing to music", NeurIPS 2019: dances are cut at the body's beats and stretched
        to the music's [lee2019]

==========  =============================================================
symbol      meaning
==========  =============================================================
m_i         beats of the body, where it slows down, in frames
b_j         beats of the music, in frames
σ           slope of the map between two anchors (m_i, b_j), (m_k, b_l)
==========  =============================================================

Each beat of the body goes to one of the music or to none, in order, such that no passage is
stretched by more than a bound:

.. math::

    \min \sum (b_l - b_j) \log(\sigma)^2 + \lambda\,\#\{\text{beats of the body without a beat of
    the music}\}
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from .skeleton import Skeleton, check_motion, directions, place

Array = NDArray[np.float64]

_ALONE = 6.0  # frames' worth of unit cost that a beat of the body costs when it stays alone
_APART = 100.0  # frames between two anchors at most


def beat_warp(
    positions: Tensor, own: Tensor, music: Tensor, skeleton: Skeleton, *, stretch: float = 1.25
) -> Tensor:
    """Return the dance (T, J, 3) with its own beats moved onto beats of the music; as long as
    before, bones keep their lengths.

    Source of the idea: [lee2019]. A dance that slows down on the beat scores high in beat alignment
    whatever it was made by, so say beside such a figure whether the dance was retimed.

    Parameters
    ----------
    positions : Tensor (T, J, 3)
    own : Tensor (n,)
        Frames at which the dance has its beats, `monge.dance.metrics.motion_beats`.
    music : Tensor (m,)
        Frames at which the music has them, fractions allowed.
    skeleton : Skeleton
    stretch : float
        A passage becomes slower or faster by this factor at most. Beats that would need more stay
        where they are.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> dance = rest(MELODY).repeat(100, 1, 1)
    >>> dance[:, :, 0] += torch.arange(100.0)[:, None] / 10
    >>> beat_warp(dance, torch.tensor([20.0, 45.0]), torch.tensor([22.0, 43.0, 70.0]), MELODY)[22, 2, 0].item()
    2.0
    """
    check_motion(positions, skeleton=skeleton, single=True)
    if not stretch > 1:
        raise ValueError(
            f"stretch must be above 1, got {stretch}: 1.25 lets a passage become a quarter slower "
            "or faster"
        )
    times = source_times(
        own.double().cpu().numpy(), music.double().cpu().numpy(), len(positions), stretch
    )
    return at_times(positions, torch.from_numpy(times), skeleton)


def at_times(positions: Tensor, times: Tensor, skeleton: Skeleton) -> Tensor:
    """The dance at ``times`` (n,) in frames, fractions allowed: between frames bones turn, and do
    not shrink.

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
    """For each frame of the result the time in the dance that it shows, (frames,)."""
    anchors = _anchors(own, music, frames - 1.0, stretch)
    if len(anchors) < 3:  # too few points for a smooth map
        return np.interp(np.arange(frames), [b for _, b in anchors], [m for m, _ in anchors])
    return np.asarray(
        PchipInterpolator([b for _, b in anchors], [m for m, _ in anchors])(np.arange(frames))
    )


def _anchors(own: Array, music: Array, last: float, stretch: float) -> list[tuple[float, float]]:
    """Pairs (m, b) that the map goes through, the first and the last frame among them; by dynamic
    programming.
    """
    reach = float(np.diff(music).mean()) * 0.75 if len(music) > 1 else 0.0
    inside = [m for m in own if 0 < m < last]
    states = [(0.0, 0.0)]
    states += [(m, b) for m in inside for b in music[np.abs(music - m) <= reach] if 0 < b < last]
    states += [(last, last)]
    m, b = np.array(states).T
    passed = np.searchsorted(np.array(inside), m)  # beats of the body before each state
    total, came = np.full(len(states), np.inf), np.zeros(len(states), int)
    total[0] = 0.0
    for s in range(1, len(states)):
        dm, db = m[s] - m[:s], b[s] - b[:s]
        near = (dm > 0) & (db > 0) & ((db <= _APART) | (s == len(states) - 1) | (np.arange(s) == 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            bend = np.abs(np.log(np.where(near, dm / db, 1.0)))
        alone = np.maximum(passed[s] - passed[:s] - (np.arange(s) > 0), 0)
        price = np.where(
            near & (bend <= np.log(stretch)), total[:s] + db * bend**2 + _ALONE * alone, np.inf
        )
        came[s] = int(price.argmin())
        total[s] = price[came[s]]
    path = [len(states) - 1]
    while path[-1]:
        path.append(int(came[path[-1]]))
    return [states[s] for s in reversed(path)]
