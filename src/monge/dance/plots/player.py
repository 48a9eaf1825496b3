"""A page that plays a dance to its song: one HTML file that works offline in any browser."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from torch import Tensor

from monge.dance.motion import Skeleton, check_rate

from .body import HEAD, Array, Tube, body_of
from .stage import BOTTOM, COLORS, LINE, TOP
from .strips import MUSIC, QUIET, Beats, camera_path, front, points_of, seconds

_UNIT = 0.001  # unit of a stored coordinate, meters: 16 bits reach 32 m about the root
_DIGITS = 3  # decimals of a beat's time in seconds


def player_page(
    positions: Tensor,
    skeleton: Skeleton,
    rate: float,
    *,
    title: str = "dance",
    note: str = "",
    beats: Beats = (),
    motion_beats: Beats = (),
    audio: tuple[str, bytes] | None = None,
) -> str:
    """Return a page that plays a dance (T, J, 3) to a song, with its beats.

    A click, the space bar and a scrubber control it. The clock is that of the song, so that picture
    and sound stay synchronous; ``#t=2.5`` at the end of the page's address shows that time. The
    camera follows the dancer and can be dragged around.

    Raises ValueError for positions that are not finite or not of the skeleton.

    Parameters
    ----------
    positions : Tensor (T, J, 3)
        Meters, y up, the floor at height 0; stored to the millimeter.
    rate : float
        Frames per second.
    title, note : str
        The heading and a line below it.
    beats, motion_beats : sequence of float
        Beats of the music and of the dance, in frames.
    audio : (str, bytes), optional
        Media type, such as ``"audio/mpeg"``, and content of the song; without it a timer is the
        clock.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> page = player_page(rest(MELODY).expand(25, 23, 3), MELODY, 25.0, title="A <song>")
    >>> page.startswith("<!doctype html>"), "A &lt;song&gt;" in page, "<audio" in page, "{{" in page
    (True, True, False, False)
    """
    check_rate(rate)
    points = points_of(positions, skeleton)
    content = {
        **_encode(points, skeleton, rate),
        "rate": rate,
        "azimuth": round(front(positions, skeleton), 4),
        "beats": [round(float(t), _DIGITS) for t in seconds(beats, rate)],
        "motion": [round(float(t), _DIGITS) for t in seconds(motion_beats, rate)],
        "body": _body(skeleton),
        "colors": {
            "left": COLORS[-1],
            "middle": COLORS[0],
            "right": COLORS[1],
            "music": MUSIC,
            "quiet": QUIET,
            "top": TOP,
            "bottom": BOTTOM,
            "line": LINE,
        },
    }
    element = ""
    if audio is not None:
        source = f"data:{audio[0]};base64,{_text(audio[1])}"
        element = f'<audio id="song" preload="auto" src="{source}"></audio>'
    values = {
        "title": html.escape(title),
        "note": html.escape(note),
        "left": f"rgb{COLORS[-1]}",
        "right": f"rgb{COLORS[1]}",
        "audio": element,
        "dance": json.dumps(content, separators=(",", ":")),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _template())


@cache
def _template() -> str:
    return files("monge.dance.plots").joinpath("player.html").read_text(encoding="utf-8")


def _encode(points: Array, skeleton: Skeleton, rate: float) -> dict[str, Any]:
    """Encode the dance as 16-bit numbers relative to the path of the root, and the camera's path.

    The length of the path is not limited.
    """
    path = points[:, skeleton.root][:, [0, 2]]
    about = points - np.stack([path[:, 0], np.zeros(len(path)), path[:, 1]], 1)[:, None]
    unit = max(_UNIT, float(np.abs(about).max()) / 32767)
    return {
        "frames": len(points),
        "joints": skeleton.size,
        "unit": unit,
        "pose": _text(np.rint(about / unit).astype("<i2").tobytes()),
        "path": _text(path.astype("<f4").tobytes()),
        "follow": _text(camera_path(points, skeleton, rate).astype("<f4").tobytes()),
    }


def _body(skeleton: Skeleton) -> dict[str, Any]:
    body = body_of(skeleton)
    inner = {tube.start for tube in body.tubes}
    tips = [(tube.end, tube.side) for tube in body.tubes if tube.side and tube.end not in inner]

    def row(tube: Tube) -> tuple[float, ...]:
        return tube.start, tube.end, *tube.radius, tube.side

    return {
        "parts": [[row(tube) for tube in part] for part in body.parts],
        "shoulders": body.shoulders,
        "hips": body.hips,
        "head": body.head,
        "rise": HEAD,
        "tips": tips,
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
