r"""Beats of a motion, and how near those of the music they are.

    Li, Yang, Ross & Kanazawa, "AI choreographer: music conditioned 3D dance generation with
        AIST++", ICCV 2021 [li2021]
    Siyao et al., "Bailando: 3D dance generation by actor-critic GPT with choreographic memory",
        CVPR 2022 [siyao2022]

==========  ==========================================================================
symbol      here
==========  ==========================================================================
t_m, t_d    beats of the music and of the dance, frames
σ²          ``sigma2``, 9 frames²; at 60 frames per second σ is a twentieth of a second, at 25 it is
            0.12 s
==========  ==========================================================================

Published scores differ. That of [siyao2022] is a mean over the beats of the music, with the speed
smoothed by a Gaussian of 5 frames, as here. The evaluator of [li2021] takes the mean over the beats
of the dance, does not smooth, and asks for the lowest of 21 frames. The first rewards a dance with
many beats, the second one with few. **A motion that jerks has a beat near every beat of the
music**: read the score beside the number of motion beats per second, and beside the score with
other music.
"""

from __future__ import annotations

from math import nan

import torch
from scipy import ndimage
from torch import Tensor

from monge.dance.motion.skeleton import check_motion

SMOOTHING = 5.0  # frames, at 60 frames per second
SIGMA2 = 9.0  # frames²


def motion_beats(
    positions: Tensor, rate: float, *, smoothing: float = SMOOTHING, seconds: float | None = None
) -> Tensor:
    r"""Frames at which the body slows down: the local minima of the smoothed mean speed of the
    joints.

    .. math:: s_{t + 1/2} = \frac1J \sum_j \lVert p_{t+1,j} - p_{t,j} \rVert

    smoothed by a Gaussian. The speed between two frames belongs to the time between them, and a
    minimum is that of the parabola through three values, so a motion that stands still for a moment
    at frame t has its beat at t. (The published detectors give the number of the lowest value,
    which is half a frame less on average.)

    Source: [siyao2022]. At the ends the speed is reflected.

    Raises ValueError for another shape, fewer than 2 frames, values that are not finite, negative
    smoothing.

    Parameters
    ----------
    positions : Tensor (T, J, 3)
        Meters, y up; T ≥ 2.
    rate : float
        Frames per second.
    smoothing : float
        Standard deviation of the Gaussian, in frames; 0 leaves the speed as it is. The published 5
        are for 60 frames per second.
    seconds : float, optional
        The same in seconds, instead of ``smoothing``: 5/60 is what is published, at any rate.

    Returns
    -------
    Tensor (n,)
        Frames in rising order, float64; n = 0 for a still pose or a speed that only rises or falls.

    Examples
    --------
    >>> from math import pi
    >>> angle = (2 * pi * torch.arange(101.0) / 40).sin()  # turns at 10, 30, 50, 70, 90
    >>> swing = torch.stack([angle.sin(), -angle.cos(), 0 * angle], -1)[:, None]
    >>> motion_beats(swing, rate=25.0).round(decimals=2)
    tensor([10., 30., 50., 70., 90.], dtype=torch.float64)
    """
    width = smoothing if seconds is None else seconds * rate
    if not 0 <= width < torch.inf:
        raise ValueError(f"smoothing must be at least 0 frames, got {width}")
    speed = (
        check_motion(positions, rate=rate, least=2, single=True)
        .double()
        .diff(dim=0)
        .norm(dim=-1)
        .mean(-1)
        .cpu()
    )
    if width:
        speed = torch.from_numpy(ndimage.gaussian_filter1d(speed.numpy(), width, mode="reflect"))
    return _minima(speed) + 0.5


def beat_alignment(music_beats: Tensor, motion_beats: Tensor, sigma2: float = SIGMA2) -> float:
    r"""How near the music's beats a motion's beats are: 1 when each has one, 0 when none has.

    .. math:: \frac1M \sum_{m=1}^M \exp\Bigl(-\frac{\min_d (t_m - t_d)^2}{2 \sigma^2}\Bigr)

    Source: [siyao2022]; [li2021] has the mean over the motion's beats instead.

    Raises ValueError for beats that are not vectors of finite numbers; sigma2 ≤ 0.

    Parameters
    ----------
    music_beats, motion_beats : Tensor (m,), (d,)
        Frames, which need not be whole, in any order.
    sigma2 : float
        Frames².

    Returns
    -------
    float
        In [0, 1]; 0 without motion beats, NaN without music beats: silence has no rhythm to keep,
        so it is left out of means.

    Examples
    --------
    >>> round(beat_alignment(torch.tensor([10.0, 20.0]), torch.tensor([20.0, 13.0])), 6)  # (1 + exp(-9/18)) / 2
    0.803265
    """
    music, motion = _beats(music_beats, "music_beats"), _beats(motion_beats, "motion_beats")
    if not sigma2 > 0:
        raise ValueError(f"sigma2 must be positive, got {sigma2}")
    if not len(music):
        return nan
    if not len(motion):
        return 0.0
    nearest = (music[:, None] - motion).square().min(1).values
    return (-nearest / (2 * sigma2)).exp().mean().item()


def beat_alignment_of(
    positions: Tensor,
    music_beats: Tensor,
    rate: float,
    *,
    sigma2: float = SIGMA2,
    smoothing: float = SMOOTHING,
    seconds: float | None = None,
) -> float:
    """`beat_alignment` of the `motion_beats` of a motion (T, J, 3) with the beats, in frames, of
    its music.

    Beats of the music after the motion's last frame are left out.

    >>> from monge.dance.motion import MELODY, rest
    >>> beat_alignment_of(rest(MELODY).expand(60, 23, 3), torch.tensor([12.0, 24.0, 36.0]), rate=25.0)  # it never moves
    0.0
    """
    found = motion_beats(positions, rate, smoothing=smoothing, seconds=seconds)
    return beat_alignment(within(_beats(music_beats, "music_beats"), positions), found, sigma2)


def within(beats: Tensor, positions: Tensor) -> Tensor:
    """Those beats, in frames, that fall within a motion (T, J, 3)."""
    return beats[(beats >= 0) & (beats <= len(positions) - 1)]


def _beats(beats: Tensor, name: str) -> Tensor:
    beats = torch.as_tensor(beats).double().cpu()
    if beats.ndim != 1 or not beats.isfinite().all():
        raise ValueError(f"{name} must be a vector of frames without NaN, got {tuple(beats.shape)}")
    return beats


def _minima(values: Tensor) -> Tensor:
    """Where values (n,) have local minima; a minimum of several equal values is in their middle."""
    level, count = values.unique_consecutive(return_counts=True)
    if len(level) < 3:
        return values.new_empty(0)
    middle = count.cumsum(0) - (count + 1) / 2
    a, b, c = level[:-2], level[1:-1], level[2:]
    found = (b < a) & (b < c)
    offset = torch.where(count[1:-1] == 1, (a - c) / (2 * (a - 2 * b + c)), 0.0)
    return (middle[1:-1] + offset)[found]
