r"""Beats of a motion, and their alignment with the beats of the music.

    Li, Yang, Ross & Kanazawa, "AI choreographer: music conditioned 3D dance generation with
        AIST++", ICCV 2021   [li2021]
    Siyao et al., "Bailando: 3D dance generation by actor-critic GPT with choreographic memory",
        CVPR 2022   [siyao2022]

==========  ===========================================================================
symbol      here
==========  ===========================================================================
t_m, t_d    beats of the music and of the dance, frames
σ²          ``sigma2``, 9 frames²: σ is 1/20 s at 60 frames per second, 0.12 s at 25
==========  ===========================================================================

Published scores differ. That of [siyao2022] is a mean over the beats of the music, with the speed
smoothed by a Gaussian of 5 frames, as here. The evaluator of [li2021] takes the mean over the beats
of the dance, does not smooth, and requires a minimum over 21 frames. The first rewards a dance with
many beats, the second a dance with few. **A motion that jerks has a beat near every beat of the
music**: compare the score with the number of motion beats per second, and with the score for other
music.
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
    r"""Find the frames at which the body slows down: minima of the smoothed mean joint speed.

    .. math:: s_{t + 1/2} = \frac1J \sum_j \lVert p_{t+1,j} - p_{t,j} \rVert

    smoothed by a Gaussian. The speed between two frames is assigned to the time between them, and a
    minimum is that of the parabola through three values, so a motion that stops at frame t has its
    beat at t. (The published detectors return the index of the lowest value, which is half a frame
    less on average.)

    Source: [siyao2022]. At the ends the speed is reflected.

    Raises ValueError for another shape, fewer than 2 frames, values that are not finite, and
    negative smoothing.

    Parameters
    ----------
    positions : Tensor (T, J, 3)
        Meters, y up; T ≥ 2.
    rate : float
        Frames per second.
    smoothing : float
        Standard deviation of the Gaussian, in frames; 0 disables smoothing. The published value, 5,
        is for 60 frames per second.
    seconds : float, optional
        The standard deviation in seconds, instead of ``smoothing``. The published value is 5/60, at
        any rate.

    Returns
    -------
    Tensor (n,)
        Frames in ascending order, float64; n = 0 for a still pose or a monotonic speed.

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
    p = check_motion(positions, rate=rate, least=2, single=True).double()
    speed = p.diff(dim=0).norm(dim=-1).mean(-1).cpu()
    if width:
        speed = torch.from_numpy(ndimage.gaussian_filter1d(speed.numpy(), width, mode="reflect"))
    return _minima(speed) + 0.5


def beat_alignment(music_beats: Tensor, motion_beats: Tensor, sigma2: float = SIGMA2) -> float:
    r"""Compute the alignment of a motion's beats with the music's beats, from 0 to 1.

    It is 1 if a motion beat coincides with each music beat, and 0 if none is near one.

    .. math:: \frac1M \sum_{m=1}^M \exp\Bigl(-\frac{\min_d (t_m - t_d)^2}{2 \sigma^2}\Bigr)

    Source: [siyao2022]; [li2021] has the mean over the motion's beats instead.

    Raises ValueError for beats that are not vectors of finite numbers, and for sigma2 ≤ 0.

    Parameters
    ----------
    music_beats, motion_beats : Tensor (m,), (d,)
        Frames, which need not be whole, in any order.
    sigma2 : float
        Frames².

    Returns
    -------
    float
        In [0, 1]; 0 without motion beats, NaN without music beats. Means leave NaN out: silence has
        no beat to align with.

    Examples
    --------
    >>> music, motion = torch.tensor([10.0, 20.0]), torch.tensor([20.0, 13.0])
    >>> round(beat_alignment(music, motion), 6)  # (1 + exp(-9/18)) / 2
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
    """Compute `beat_alignment` of a motion (T, J, 3) with the beats of its music, in frames.

    The beats of the motion are its `motion_beats`. Beats of the music after the motion's last frame
    are left out.

    >>> from monge.dance.motion import MELODY, rest
    >>> still = rest(MELODY).expand(60, 23, 3)
    >>> beat_alignment_of(still, torch.tensor([12.0, 24.0, 36.0]), rate=25.0)
    0.0
    """
    motion = motion_beats(positions, rate, smoothing=smoothing, seconds=seconds)
    return beat_alignment(within(_beats(music_beats, "music_beats"), positions), motion, sigma2)


def within(beats: Tensor, positions: Tensor) -> Tensor:
    """Return the beats, in frames, that fall within a motion (T, J, 3)."""
    return beats[(beats >= 0) & (beats <= len(positions) - 1)]


def _beats(beats: Tensor, name: str) -> Tensor:
    beats = torch.as_tensor(beats).double().cpu()
    if beats.ndim != 1 or not beats.isfinite().all():
        raise ValueError(f"{name} must be a vector of frames without NaN, got {tuple(beats.shape)}")
    return beats


def _minima(values: Tensor) -> Tensor:
    """Return where values (n,) have local minima; that of a plateau is in its middle."""
    level, count = values.unique_consecutive(return_counts=True)
    if len(level) < 3:
        return values.new_empty(0)
    middle = count.cumsum(0) - (count + 1) / 2
    a, b, c = level[:-2], level[1:-1], level[2:]
    is_minimum = (b < a) & (b < c)
    offset = torch.where(count[1:-1] == 1, (a - c) / (2 * (a - 2 * b + c)), 0.0)
    return (middle[1:-1] + offset)[is_minimum]
