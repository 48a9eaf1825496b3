"""Pictures of dances: frames, strips of poses, GIFs.

Left limbs are orange, right ones blue. Positions are (..., J, 3) in meters with y up and the floor
at height 0. Beats are in frames, fractions allowed.
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

GIF_RATE = 12.5  # pictures per second: a GIF stores durations in hundredths of a second

MUSIC, DANCE = (255, 209, 102), (226, 228, 236)  # colors of beats
QUIET = (125, 132, 160)
_AWAY = 0.35  # angle of the camera from straight ahead, radians
_STEADY = 0.6  # standard deviation of the smoothing of the camera's path, seconds
_FADE = 0.13  # seconds in which the light of a beat decays by a factor of e
_SPAN = 2.0  # seconds of the beat track before and after the current time


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

    The camera is at the angle ``azimuth`` about the vertical, 0 on the z axis and π/2 on the x
    axis, by default in front of the dancer. It looks at ``center``, x and z on the floor, by
    default below the root. ``flash`` in [0, 1] lights the floor. Raises ValueError for a pose that
    is not finite or not of the skeleton.

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
    """Draw a dance (T, J, 3) as pictures (height, width, 3), ``fps`` per second.

    ``fps`` is ``rate`` by default. The camera follows the dancer. Below, a track shows the beats of
    the music and of the dance, and the floor lights up at the beats of the music.

    >>> from monge.dance.motion import MELODY, rest
    >>> still = rest(MELODY).expand(10, 23, 3)
    >>> len(list(dance_frames(still, MELODY, 25.0, width=40, height=50, fps=12.5)))
    5
    """
    check_rate(rate)
    check_rate(speed := fps or rate, "fps")
    points = points_of(positions, skeleton)
    stage, body = Stage(width, height, front(positions, skeleton)), body_of(skeleton)
    path = camera_path(points, skeleton, rate)
    music, own = seconds(beats, rate), seconds(motion_beats, rate)
    for k in range(max(1, round(len(points) * speed / rate))):
        at = min(k * rate / speed, len(points) - 1)
        now = k / speed
        picture = stage.draw(body, _between(points, at), _between(path, at), _flash(music, now))
        _draw_track(picture, music, own, now)
        yield picture


def to_gif(pictures: Iterable[Picture]) -> bytes:
    """Encode the pictures of `dance_frames` as a GIF that loops, `GIF_RATE` per second.

    >>> from monge.dance.motion import MELODY, rest
    >>> still = rest(MELODY).expand(6, 23, 3)
    >>> gif = to_gif(dance_frames(still, MELODY, 25.0, width=40, height=50, fps=GIF_RATE))
    >>> Image.open(io.BytesIO(gif)).size, gif[:6]
    ((40, 50), b'GIF89a')
    """
    images = (
        Image.fromarray(picture).quantize(palette=_palette(), dither=Image.Dither.NONE)
        for picture in pictures
    )
    buffer = io.BytesIO()
    first, duration = next(images), round(1000 / GIF_RATE)
    first.save(
        buffer,
        "gif",
        save_all=True,
        append_images=images,
        duration=duration,
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
    """Draw poses of a dance (T, J, 3) in a row (h, poses · width, 3).

    Below them are the beats, with a mark at the time of each pose.

    >>> from monge.dance.motion import MELODY, rest
    >>> still, size = rest(MELODY).expand(50, 23, 3), {"width": 40, "height": 80}
    >>> dance_strip(still, MELODY, 25.0, beats=[0, 20, 40], poses=3, **size).shape
    (124, 120, 3)
    """
    if poses < 1:
        raise ValueError(f"poses must be at least 1, got {poses}")
    points = points_of(positions, skeleton)
    stage, body = Stage(width, height, front(positions, skeleton)), body_of(skeleton)
    marks = (np.arange(poses) + 0.5) * len(points) / poses
    shown = [_between(points, min(at, len(points) - 1)) for at in marks]
    row = np.concatenate([stage.draw(body, pose, pose[skeleton.root, [0, 2]]) for pose in shown], 1)
    track = np.full((44, row.shape[1], 3), row[-1, 0], np.uint8)
    scale = row.shape[1] / (len(points) / rate)
    _draw_line(track, 21, 23, QUIET)
    _draw_ticks(track, (marks / rate) * scale, 16, 28, QUIET, wide=2.5)
    _draw_ticks(track, seconds(beats, rate) * scale, 4, 19, MUSIC)
    _draw_ticks(track, seconds(motion_beats, rate) * scale, 25, 38, DANCE)
    return np.concatenate([row, track])


def front(positions: Tensor, skeleton: Skeleton) -> float:
    """Return the angle about the vertical of a camera in front of a dance (..., J, 3).

    It is a little to the side.

    >>> from monge.dance.motion import MELODY, rest
    >>> round(front(rest(MELODY)[None], MELODY), 2)
    0.35
    """
    yaw = facing(positions.detach().double().cpu(), skeleton)
    return float(torch.atan2(yaw.sin().mean(), yaw.cos().mean())) + _AWAY


def camera_path(points: Array, skeleton: Skeleton, rate: float) -> Array:
    """Return points (T, 2) on the floor that a camera looks at to follow a dance (T, J, 3).

    They are x and z of the root, smoothed.
    """
    path = points[:, skeleton.root][:, [0, 2]]
    return gaussian_filter1d(path, _STEADY * rate, axis=0, mode="nearest")


def points_of(positions: Tensor, skeleton: Skeleton) -> Array:
    """Return one dance (T, J, 3) as a float64 array."""
    return check_motion(positions, skeleton=skeleton, single=True).detach().double().cpu().numpy()


def seconds(beats: Beats, rate: float) -> Array:
    """Convert beats from frames to seconds."""
    return np.asarray(beats, np.float64) / rate


def _between(values: Array, at: float) -> Array:
    """Interpolate values linearly at a frame, fractions allowed."""
    k = int(at)
    after = values[min(k + 1, len(values) - 1)]
    return values[k] + (at - k) * (after - values[k])


def _flash(beats: Array, now: float) -> float:
    since = now - beats[beats <= now + 1e-9]
    return exp(-since.min() / _FADE) if len(since) else 0.0


def _draw_track(picture: Picture, music: Array, dance: Array, now: float) -> None:
    """Draw the beats within two seconds of ``now``, which is in the middle.

    Beats of the music are above a line, those of the dance below.
    """
    height, width = picture.shape[:2]
    middle, reach = height - max(16, height // 18), max(8, height // 36)
    scale = width / (2 * _SPAN)
    _draw_line(picture, middle, middle + 1, QUIET)
    for beats, top, bottom, color in (
        (music, middle - reach, middle - 1, MUSIC),
        (dance, middle + 2, middle + 2 + reach, DANCE),
    ):
        near = beats[np.abs(beats - now) < _SPAN]
        _draw_ticks(picture, (near - now + _SPAN) * scale, top, bottom, color)
    top, bottom, white = middle - reach - 4, middle + reach + 5, (255, 255, 255)
    _draw_ticks(picture, np.array([width / 2]), top, bottom, white, wide=1.5)
    if width >= 240:
        _draw_label(picture, "music", middle - reach - 1, QUIET)
        _draw_label(picture, "dance", middle + 3, QUIET)


def _draw_line(picture: Picture, top: int, bottom: int, color: Sequence[int]) -> None:
    rows = picture[top:bottom]
    mixed = rows + 0.5 * (np.array(color) - rows.astype(float))
    picture[top:bottom] = mixed.astype(np.uint8)


def _draw_ticks(
    picture: Picture, x: Array, top: int, bottom: int, color: Sequence[int], wide: float = 2.0
) -> None:
    """Draw vertical strokes with smooth edges at columns ``x``, fractions allowed."""
    column = np.arange(picture.shape[1]) + 0.5
    for at in x:
        share = np.clip(wide / 2 + 0.5 - np.abs(column - at), 0, 1)[None, :, None]
        rows = picture[top:bottom].astype(float)
        picture[top:bottom] = (rows + share * (np.array(color) - rows)).astype(np.uint8)


def _draw_label(picture: Picture, text: str, top: int, color: Sequence[int]) -> None:
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
    """Return a palette of 64 colors for all pictures.

    A fixed palette keeps the colors of static pixels equal in all frames.
    """
    stops = ((12, 13, 22), TOP, BOTTOM, (48, 54, 83), LINE, (170, 184, 240))
    floor = _ramp(stops, (3, 5, 6, 5, 5))
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
    """Interpolate ``steps`` colors from each stop to the next, without the last stop."""
    spans = zip(stops[:-1], stops[1:], steps, strict=True)
    return np.concatenate([np.linspace(a, b, n, endpoint=False) for a, b, n in spans])
