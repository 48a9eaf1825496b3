"""Tests of pictures of dances and of the page that plays them."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from monge.dance.motion import MELODY, SMPL, rest
from monge.dance.plots.body import body_of
from monge.dance.plots.player import player_page
from monge.dance.plots.stage import Stage
from monge.dance.plots.strips import (
    GIF_RATE,
    MUSIC,
    camera_path,
    dance_frame,
    dance_frames,
    dance_strip,
    front,
    to_gif,
)

RATE = 25.0
HAND = MELODY.joints.index("left hand")
SIZE: dict[str, int] = {"width": 240, "height": 270}


def orange(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels of left limbs: much more red than blue, and not the yellow of beats."""
    r, g, b = picture.astype(int).transpose(2, 0, 1)
    return (r > 2 * b) & (g < 0.7 * r) & (r > 60)


def blue(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels of right limbs."""
    r, _, b = picture.astype(int).transpose(2, 0, 1)
    return (b > 2 * r) & (b > 70)


def turn(pose: Tensor, angle: float) -> Tensor:
    """Turn a pose about the vertical."""
    c, s = math.cos(angle), math.sin(angle)
    return pose @ torch.tensor([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])


def waving_dance(frames: int = 50) -> Tensor:
    """Return a body that walks along x and lifts an arm."""
    dance = rest(MELODY).repeat(frames, 1, 1)
    time = torch.arange(frames) / RATE
    dance[:, HAND, 1] += 0.3 * torch.sin(2 * math.pi * time)
    dance[:, :, 0] += 0.4 * time[:, None]
    return dance


@pytest.mark.parametrize("skeleton", [MELODY, SMPL])
def test_front_view_shows_left_side_on_the_right(
    skeleton: Any,
) -> None:
    picture = dance_frame(rest(skeleton), skeleton, azimuth=0.0, **SIZE)
    assert picture.shape == (270, 240, 3)
    assert picture.dtype == np.uint8
    left, right = (np.argwhere(limbs(picture))[:, 1].mean() for limbs in (orange, blue))
    assert left > 120 + 20
    assert right < 120 - 20
    behind = dance_frame(rest(skeleton), skeleton, azimuth=math.pi, **SIZE)
    assert np.argwhere(orange(behind))[:, 1].mean() < 120 - 20


def test_picture_is_invariant_to_turning_camera_with_dancer() -> None:
    pose = rest(MELODY)
    first = dance_frame(pose, MELODY, azimuth=0.3, center=(0, 0), **SIZE)
    second = dance_frame(turn(pose, 1.1), MELODY, azimuth=1.4, center=(0, 0), **SIZE)
    assert (orange(first) == orange(second)).mean() > 0.999
    difference = front(turn(pose, 1.1)[None], MELODY) - front(pose[None], MELODY)
    assert difference == pytest.approx(1.1, abs=1e-5)


def test_picture_is_invariant_to_steps_by_grid_cells() -> None:
    pose = rest(MELODY)
    first = dance_frame(pose, MELODY, **SIZE)
    second = dance_frame(pose + torch.tensor([1.0, 0.0, -2.5]), MELODY, **SIZE)
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 2
    third = dance_frame(pose + torch.tensor([0.2, 0.0, 0.0]), MELODY, **SIZE)
    # the floor moves below the dancer
    assert np.abs(first.astype(int) - third.astype(int)).max() > 20


def test_grid_lines_are_fixed_in_the_world() -> None:
    stage, body = Stage(240, 270, 0.0), body_of(MELODY)
    # the body is above the picture
    above = body.points(rest(MELODY).double().numpy() + np.array([0, 5.0, 0]))
    sheet = stage._floor(body, above, np.array([0.1, 0.0]), 0.0).sum(2)
    for x in (-0.5, 0.0, 0.5):  # there is a line every half meter
        (pixel,), _, _ = stage._project(np.array([[x - 0.1, 0.0, 0.7]]))
        column, row = pixel.astype(int)
        assert abs(int(sheet[row, column - 6 : column + 7].argmax()) - 6) <= 1


def test_projection_equals_pinhole_camera() -> None:
    stage, pose = Stage(240, 270, 0.0), rest(MELODY).double().numpy()
    points, scale, depth = stage._project(pose)
    elevation, distance, look = math.radians(11), 4.9, 0.93
    y, z = pose[:, 1] - look, pose[:, 2]
    along = distance - (z * math.cos(elevation) + y * math.sin(elevation))
    upward = y * math.cos(elevation) - z * math.sin(elevation)
    focal = 135 / math.tan(math.radians(15))
    np.testing.assert_allclose(depth, along)
    np.testing.assert_allclose(scale, focal / along)
    np.testing.assert_allclose(points[:, 0], 120 + focal * pose[:, 0] / along)
    np.testing.assert_allclose(points[:, 1], 270 * 0.48 - focal * upward / along)
    picture = dance_frame(torch.from_numpy(pose), MELODY, azimuth=0.0, center=(0, 0), **SIZE)
    for joint in ("left elbow", "left knee", "left wrist"):
        x, y = points[MELODY.joints.index(joint)].astype(int)
        assert orange(picture)[y, x], joint


def test_shadow_lies_at_the_feet_and_fades_with_height() -> None:
    stage, body, pose = Stage(240, 270, 0.0), body_of(MELODY), rest(MELODY).double().numpy()
    low, high = (
        stage._shadow(body, body.points(pose + np.array([0, lift, 0]))) for lift in (0.0, 0.6)
    )
    assert low.max() > high.max() > 0
    rows = np.flatnonzero(low.max(1) > 0.3)
    foot = stage._project(pose[list(MELODY.feet)])[0][:, 1]
    assert abs(rows.mean() - foot.mean()) < 20


def test_beats_light_the_floor_and_cross_the_middle_on_time() -> None:
    dark, bright = (
        dance_frame(rest(MELODY), MELODY, flash=flash, **SIZE)[200:].mean() for flash in (0.0, 1.0)
    )
    assert bright > 1.1 * dark
    beats = {"beats": [5.0, 25.0], "motion_beats": [15.0]}
    frames = list(dance_frames(waving_dance(30), MELODY, RATE, **beats, **SIZE))
    assert len(frames) == 30

    def ticks(k: int, rows: slice) -> list[int]:
        strip = frames[k][rows].astype(int)
        return sorted(np.flatnonzero((strip[..., 0] > 150).any(0)).tolist())

    above = slice(270 - 22, 270 - 19)
    per_frame = 240 / (2 * 2.0) / RATE  # the track shows four seconds
    for k in (0, 10, 20):
        yellow = np.flatnonzero((frames[k][above].astype(int) @ [1, 0, -1] > 100).any(0))
        expected = 120 + (np.array([5.0, 25.0]) - k) * per_frame
        assert all(np.abs(yellow + 0.5 - x).min() < 1.5 for x in expected), k
    below = slice(270 - 11, 270 - 8)
    assert np.abs(np.array(ticks(15, below)) - 119.5).max() < 3


def test_frames_at_another_rate_are_interpolated() -> None:
    still = rest(MELODY).repeat(10, 1, 1)
    assert len(list(dance_frames(still, MELODY, RATE, fps=50, **SIZE))) == 20
    slow = list(dance_frames(waving_dance(20), MELODY, RATE, fps=12.5, **SIZE))
    all_of_them = list(dance_frames(waving_dance(20), MELODY, RATE, **SIZE))
    for k, picture in enumerate(slow):
        np.testing.assert_array_equal(picture, all_of_them[2 * k])
    dance = waving_dance(20).double().numpy()
    stage = Stage(240, 270, front(waving_dance(20), MELODY))
    pose = stage.draw(body_of(MELODY), dance[13], camera_path(dance, MELODY, RATE)[13])
    np.testing.assert_array_equal(all_of_them[13][:240], pose[:240])  # the beats lie below


def test_gif_has_its_rate_and_the_colors_of_the_frames() -> None:
    size: dict[str, int] = {"width": 320, "height": 360}
    frames = dance_frames(waving_dance(50), MELODY, RATE, beats=[10, 20, 30], fps=GIF_RATE, **size)
    pictures = list(frames)
    gif = to_gif(iter(pictures))
    with Image.open(io.BytesIO(gif)) as image:
        assert image.n_frames == len(pictures) == 25
        assert image.info["duration"] == 80
        assert image.info["loop"] == 0
        for k in (0, 12, 24):
            image.seek(k)
            shown = np.asarray(image.convert("RGB"))
            assert np.abs(shown.astype(int) - pictures[k]).mean() < 4
            assert (orange(shown) == orange(pictures[k])).mean() > 0.99
    assert len(gif) < 3 * 2**20 * 2 / 20  # 20 seconds in 3 MiB


def test_strip_shows_poses_in_order_and_beats_in_time() -> None:
    dance = waving_dance(80)
    strip = dance_strip(dance, MELODY, RATE, beats=[0, 40], poses=4, width=200, height=200)
    assert strip.shape == (244, 800, 3)
    panels = [strip[:200, 200 * k : 200 * (k + 1)] for k in range(4)]
    assert all(orange(panel).sum() > 50 for panel in panels)
    assert np.abs(panels[0].astype(int) - panels[3]).max() > 100  # the hand is up, then down
    track = np.flatnonzero((np.abs(strip[205:215].astype(int) - MUSIC).sum(2) < 60).any(0))
    assert {0, 400} <= set(track.tolist()) | {x + 1 for x in track.tolist()}


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        (torch.zeros(5, 21, 3), "23"),
        (torch.full((5, 23, 3), math.nan), "NaN"),
        (torch.zeros(0, 23, 3), "at least 1 frames"),
        (torch.zeros(2, 5, 23, 3), "one dance"),
    ],
)
def test_invalid_dances_raise(positions: Tensor, words: str) -> None:
    for draw in (lambda *dance: list(dance_frames(*dance)), dance_strip, player_page):
        with pytest.raises(ValueError, match=words):
            draw(positions, MELODY, RATE)
    with pytest.raises(ValueError, match="rate"):
        player_page(rest(MELODY)[None], MELODY, 0.0)
    with pytest.raises(ValueError, match="rate"):
        next(dance_frames(rest(MELODY)[None], MELODY, -1.0))


def content_of(page: str) -> dict[str, Any]:
    """Return the dance in a page."""
    match = re.search(r'<script id="dance" type="application/json">(.*?)</script>', page, re.S)
    assert match
    content: dict[str, Any] = json.loads(match[1])
    return content


def test_page_stores_long_paths_to_the_millimeter() -> None:
    distance = torch.linspace(0, 500, 40)[:, None, None]
    dance = waving_dance(40) + distance * torch.tensor([1.0, 0.0, -1.0])
    page = content_of(player_page(dance, MELODY, RATE, beats=[0.0, 12.5], motion_beats=[6.25]))
    pose = np.frombuffer(base64.b64decode(page["pose"]), "<i2").reshape(40, 23, 3) * page["unit"]
    path = np.frombuffer(base64.b64decode(page["path"]), "<f4").reshape(40, 2)
    pose[..., [0, 2]] += path[:, None]
    assert np.abs(pose - dance.double().numpy()).max() < 0.00055
    assert (page["beats"], page["motion"]) == ([0.0, 0.5], [0.25])
    assert (page["frames"], page["joints"], page["rate"]) == (40, 23, 25.0)
    follow = np.frombuffer(base64.b64decode(page["follow"]), "<f4").reshape(40, 2)
    camera, root = (np.linalg.norm(np.diff(x, axis=0), axis=1).max() for x in (follow, path))
    assert camera < 1.01 * root


def test_page_embeds_the_song_and_escapes_text() -> None:
    song = bytes(range(256))
    text = {"title": "</script><b>{{dance}}", "note": '"1 & 2"'}
    page = player_page(waving_dance(3), MELODY, RATE, audio=("audio/flac", song), **text)
    assert f'src="data:audio/flac;base64,{base64.b64encode(song).decode()}"' in page
    assert "<b>" not in page
    assert "&lt;/script&gt;&lt;b&gt;{{dance}}" in page
    assert "&quot;1 &amp; 2&quot;" in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # no network
    content_of(page)


def screenshot(page: Path, fragment: str) -> NDArray[np.uint8]:
    """Return a picture of a page in a browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    programs = [program for name in names if (program := shutil.which(name))]
    if not programs:
        pytest.skip("chromium is not on this machine: the player's page was not opened")
    out = page.with_suffix(".png")
    out.unlink(missing_ok=True)
    command = [
        *(programs[0], "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--window-size=640,560", f"--screenshot={out}"),
        *(f"--user-data-dir={page.parent / 'profile'}", f"{page.as_uri()}#{fragment}"),
    ]
    subprocess.run(command, capture_output=True, timeout=120)
    with Image.open(out) as image:
        return np.asarray(image.convert("RGB"))


def test_browser_shows_a_moving_dancer(tmp_path: Path) -> None:
    page, dance = tmp_path / "dance.html", rest(MELODY).repeat(100, 1, 1)
    dance[55:, HAND, 1] += 0.4  # only the hand moves, so the camera stands still
    page.write_text(player_page(dance, MELODY, RATE, title="a song", beats=[50.0]))
    first, second = screenshot(page, "t=2.0"), screenshot(page, "t=3.3")
    for picture in (first, second):
        assert blue(picture).sum() > 500
    lifted = orange(first) != orange(second)
    assert lifted.sum() > 100
    assert orange(first).sum() > 500
    assert lifted.sum() < 0.5 * orange(first).sum()
