"""Pictures of dances: frames, a strip of poses for a page, a GIF.

Left limbs are orange, right ones blue.

Positions are (..., J, 3) in meters with y up and the floor at height 0; beats are in frames, and
may lie between two.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from math import exp

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from monge.dance.motion import Skeleton, check_motion, check_rate, facing

from .body import Array, body_of
from .stage import BOTTOM, COLORS, LINE, TOP, Picture, Stage

Beats = Tensor | Sequence[float]

GIF_RATE = 12.5  # pictures a second: a GIF counts hundredths

MUSIC, DANCE = (255, 209, 102), (226, 228, 236)  # colors of beats
QUIET = (125, 132, 160)
_AWAY = 0.35  # of the camera from straight ahead, radians
_STEADY = 0.6  # seconds over which the camera's path is smoothed
_FADE = 0.13  # seconds in which the light of a beat falls by e
_SPAN = 2.0  # seconds of the beat track before and after now


def dance_frame(
    pose: Tensor,
    skeleton: Skeleton,
    *,
    width: int = 480,
    height: int = 480,
    azimuth: float | None = None,
    center: Sequence[float] | None = None,
    flash: float = 0.0,
) -> Picture:
    """Draw one pose (J, 3) as a picture (height, width, 3), uint8.

    The camera stands at the angle ``azimuth`` about the vertical, 0 on the z axis and π/2 on the x
    axis, by default before the dancer, and looks at ``center``, x and z on the floor, by default
    below the root. ``flash`` in [0, 1] lights the floor. ValueError for a pose that is not finite
    or not of the skeleton.

    >>> from monge.dance.motion import MELODY, rest
    >>> dance_frame(rest(MELODY), MELODY, width=40, height=60).shape
    (60, 40, 3)
    """
    points = points_of(pose[None] if pose.ndim == 2 else pose, skeleton)[0]
    angle = front(pose[None], skeleton) if azimuth is None else azimuth
    below = points[skeleton.root, [0, 2]] if center is None else np.asarray(center, float)
    return Stage(width, height, angle).draw(body_of(skeleton), points, below, flash)


def dance_frames(
    positions: Tensor,
    skeleton: Skeleton,
    rate: float,
    *,
    beats: Beats = (),
    motion_beats: Beats = (),
    width: int = 480,
    height: int = 540,
    fps: float | None = None,
) -> Iterator[Picture]:
    """Draw a dance (T, J, 3), one picture (height, width, 3) after another, ``fps`` a second (by
    default ``rate``).

    The camera follows the dancer; below run the beats of the music and of the dance, and the floor
    lights up with the music's.

    >>> from monge.dance.motion import MELODY, rest
    >>> len(list(dance_frames(rest(MELODY).expand(10, 23, 3), MELODY, 25.0, width=40, height=50, fps=12.5)))
    5
    """
    check_rate(rate)
    check_rate(speed := fps or rate, "fps")
    points = points_of(positions, skeleton)
    stage, body = Stage(width, height, front(positions, skeleton)), body_of(skeleton)
    path = followed(points, skeleton, rate)
    heard, seen = seconds(beats, rate), seconds(motion_beats, rate)
    for k in range(max(1, round(len(points) * speed / rate))):
        at = min(k * rate / speed, len(points) - 1)
        now = k / speed
        picture = stage.draw(body, _between(points, at), _between(path, at), _flash(heard, now))
        _track(picture, heard, seen, now)
        yield picture


def to_gif(pictures: Iterable[Picture]) -> bytes:
    """The pictures of `dance_frames` as a GIF that repeats without end, `GIF_RATE` a second: a GIF
    counts hundredths of a second.

    >>> from monge.dance.motion import MELODY, rest
    >>> gif = to_gif(dance_frames(rest(MELODY).expand(6, 23, 3), MELODY, 25.0, width=40, height=50, fps=GIF_RATE))
    >>> Image.open(io.BytesIO(gif)).size, gif[:6]
    ((40, 50), b'GIF89a')
    """
    flat = (
        Image.fromarray(picture).quantize(palette=_palette(), dither=Image.Dither.NONE)
        for picture in pictures
    )
    buffer = io.BytesIO()
    next(flat).save(
        buffer,
        "gif",
        save_all=True,
        append_images=flat,
        duration=round(1000 / GIF_RATE),
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def dance_strip(
    positions: Tensor,
    skeleton: Skeleton,
    rate: float,
    *,
    beats: Beats = (),
    motion_beats: Beats = (),
    poses: int = 8,
    width: int = 150,
    height: int = 300,
) -> Picture:
    """Draw poses of a dance (T, J, 3) in a row, and below them the beats with a mark where each
    pose was: (h, poses · width, 3).

    >>> from monge.dance.motion import MELODY, rest
    >>> dance_strip(rest(MELODY).expand(50, 23, 3), MELODY, 25.0, beats=[0, 20, 40], poses=3, width=40, height=80).shape
    (124, 120, 3)
    """
    if poses < 1:
        raise ValueError(f"poses must be at least 1, got {poses}")
    points = points_of(positions, skeleton)
    stage, body = Stage(width, height, front(positions, skeleton)), body_of(skeleton)
    marks = (np.arange(poses) + 0.5) * len(points) / poses
    shown = [_between(points, min(at, len(points) - 1)) for at in marks]
    row = np.concatenate([stage.draw(body, pose, pose[skeleton.root, [0, 2]]) for pose in shown], 1)
    track = (
        np.repeat(np.full((1, 44, 3), row[-1, 0], np.uint8), row.shape[1], 0).swapaxes(0, 1).copy()
    )
    scale = row.shape[1] / (len(points) / rate)
    _line(track, 21, 23, QUIET)
    _ticks(track, (marks / rate) * scale, 16, 28, QUIET, wide=2.5)
    _ticks(track, seconds(beats, rate) * scale, 4, 19, MUSIC)
    _ticks(track, seconds(motion_beats, rate) * scale, 25, 38, DANCE)
    return np.concatenate([row, track])


def front(positions: Tensor, skeleton: Skeleton) -> float:
    """The angle about the vertical at which a camera sees a dance (..., J, 3) from before, a little
    from the side.

    >>> from monge.dance.motion import MELODY, rest
    >>> round(front(rest(MELODY)[None], MELODY), 2)
    0.35
    """
    yaw = facing(positions.detach().double().cpu(), skeleton)
    return float(torch.atan2(yaw.sin().mean(), yaw.cos().mean())) + _AWAY


def followed(points: Array, skeleton: Skeleton, rate: float) -> Array:
    """Where a camera looks that follows a dance (T, J, 3): x and z of the root, smoothed, (T, 2)."""
    return gaussian_filter1d(
        points[:, skeleton.root][:, [0, 2]], _STEADY * rate, axis=0, mode="nearest"
    )


def points_of(positions: Tensor, skeleton: Skeleton) -> Array:
    """One dance (T, J, 3) as float64 on the CPU."""
    return check_motion(positions, skeleton=skeleton, single=True).detach().double().cpu().numpy()


def seconds(beats: Beats, rate: float) -> Array:
    """Times of beats that are given in frames."""
    return np.asarray(beats, np.float64) / rate


def _between(values: Array, at: float) -> Array:
    """The values at a frame that may lie between two."""
    k = int(at)
    after = values[min(k + 1, len(values) - 1)]
    return values[k] + (at - k) * (after - values[k])


def _flash(beats: Array, now: float) -> float:
    since = now - beats[beats <= now + 1e-9]
    return exp(-since.min() / _FADE) if len(since) else 0.0


def _track(picture: Picture, music: Array, dance: Array, now: float) -> None:
    """Beats within two seconds, the music's above a line and the dance's below; what is now is in
    the middle.
    """
    height, width = picture.shape[:2]
    middle, reach = height - max(16, height // 18), max(8, height // 36)
    scale = width / (2 * _SPAN)
    _line(picture, middle, middle + 1, QUIET)
    for beats, top, bottom, color in (
        (music, middle - reach, middle - 1, MUSIC),
        (dance, middle + 2, middle + 2 + reach, DANCE),
    ):
        near = beats[np.abs(beats - now) < _SPAN]
        _ticks(picture, (near - now + _SPAN) * scale, top, bottom, color)
    _ticks(
        picture,
        np.array([width / 2]),
        middle - reach - 4,
        middle + reach + 5,
        (255, 255, 255),
        wide=1.5,
    )
    if width >= 240:
        _label(picture, "music", middle - reach - 1, QUIET)
        _label(picture, "dance", middle + 3, QUIET)


def _line(picture: Picture, top: int, bottom: int, color: Sequence[int]) -> None:
    picture[top:bottom] = (
        picture[top:bottom] + 0.5 * (np.array(color) - picture[top:bottom].astype(float))
    ).astype(np.uint8)


def _ticks(
    picture: Picture, x: Array, top: int, bottom: int, color: Sequence[int], wide: float = 2.0
) -> None:
    """Upright strokes with smooth edges at columns that may lie between two pixels."""
    column = np.arange(picture.shape[1]) + 0.5
    for at in x:
        share = np.clip(wide / 2 + 0.5 - np.abs(column - at), 0, 1)[None, :, None]
        rows = picture[top:bottom].astype(float)
        picture[top:bottom] = (rows + share * (np.array(color) - rows)).astype(np.uint8)


def _label(picture: Picture, text: str, top: int, color: Sequence[int]) -> None:
    mask = _letters(text)
    part = picture[top : top + mask.shape[0], 6 : 6 + mask.shape[1]]
    share = mask[: part.shape[0], : part.shape[1], None]
    part[:] = (part + share * (np.array(color) - part.astype(float))).astype(np.uint8)


@cache
def _letters(text: str) -> Array:
    font = ImageFont.load_default(10)
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font)
    return np.asarray(image, np.float64) / 255


@cache
def _palette() -> Image.Image:
    """What occurs in the pictures, so that colors are true and what stands still has one in all of
    them: 64 colors.
    """
    floor = _ramp(((12, 13, 22), TOP, BOTTOM, (48, 54, 83), LINE, (170, 184, 240)), (3, 5, 6, 5, 5))
    limbs = [
        _ramp(([0.08 * c for c in color], color, [1.1 * c for c in color]), (9, 3))
        for color in COLORS.values()
    ]
    beats = np.array([MUSIC, np.array(MUSIC) * 0.6, QUIET, (255, 255, 255)])
    colors = np.concatenate([floor, *limbs, beats]).clip(0, 255).astype(np.uint8)
    image = Image.new("P", (1, 1))
    image.putpalette(colors.tobytes())
    return image


def _ramp(stops: Sequence[Sequence[float]], steps: Sequence[int]) -> Array:
    """Colors from each stop to the next, so many, the last stop left out."""
    parts = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(stops[:-1], stops[1:], steps, strict=True)
    ]
    return np.concatenate(parts)
