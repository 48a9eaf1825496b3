"""A floor and a camera, with bodies drawn by NumPy: no window, no GPU, milliseconds per picture.

A tube between two projected points is the set of pixels nearer to the segment than its radius. The
distances give smooth edges, the normals of a round body, and shadows with edges that are softer for
higher limbs.
"""

from __future__ import annotations

from functools import cached_property
from math import cos, radians, sin, tan
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .body import Array, Body, Tube

Picture: TypeAlias = NDArray[np.uint8]
_Pixels: TypeAlias = NDArray[np.floating[Any]]

COLORS = {-1: (255, 122, 89), 0: (226, 228, 236), 1: (72, 190, 206)}  # left, middle, right
TOP, BOTTOM, LINE = (18, 20, 32), (31, 35, 53), (86, 95, 134)

_FIELD = radians(30)  # angle of view, from top to bottom
_ELEVATION = radians(11)
_DISTANCE = 4.9  # distance of the camera, meters
_LOOK = 0.93  # height that it looks at, meters
_RADIUS = 3.4  # radius of the visible floor in a wide picture, meters
_CELL, _WIDTH = 0.5, 0.007  # size of a grid cell and half the width of its lines, meters
# direction of the light, on the screen: right, up, toward the eye
_LIGHT = np.array((-0.42, 0.66, 0.62), np.float32)
# shift of shadows along the floor, right and away, per meter of height
_SLANT = np.array((0.12, 0.07))


class Stage:
    """A camera and a floor.

    ``azimuth`` is the camera's angle about the vertical, 0 on the z axis and π/2 on the x axis;
    ``width`` and ``height`` are in pixels.
    """

    def __init__(self, width: int, height: int, azimuth: float) -> None:
        self.width, self.height = width, height
        a, e = azimuth, _ELEVATION
        self._right = np.array([cos(a), 0.0, -sin(a)])
        self._away = np.array([-sin(a), 0.0, -cos(a)])
        self._axes = np.stack(
            [
                self._right,
                [-sin(a) * sin(e), cos(e), -cos(a) * sin(e)],
                [-sin(a) * cos(e), -sin(e), -cos(a) * cos(e)],
            ]
        )
        self._focal = height / 2 / tan(_FIELD / 2)
        self._middle = np.array([width / 2, height * 0.48])

    def draw(self, body: Body, positions: Array, center: Array, flash: float = 0.0) -> Picture:
        """Draw one pose (J, 3).

        ``center``, x and z, is the point of the floor that the camera looks at; ``flash`` in [0, 1]
        lights the grid.
        """
        points = body.points(positions) - [center[0], 0.0, center[1]]
        sheet = self._floor(body, points, center, flash)
        pixels, scale, depth = self._project(points)
        for part in sorted(body.parts, key=lambda part: -_depth(part, depth)):
            shade = np.float32(np.clip(1.0 - 0.13 * (_depth(part, depth) - _DISTANCE), 0.72, 1.12))
            for paint in (_rim, _fill):  # all rims of a part lie behind all of its tubes
                for tube in part:
                    ra, rb = np.array(tube.radius) * scale[[tube.start, tube.end]]
                    a, b, color = pixels[tube.start], pixels[tube.end], _rgb(COLORS[tube.side])
                    paint(sheet, a, b, ra, rb, shade * color)
        return np.clip(sheet, 0, 255).astype(np.uint8)

    def _project(self, points: Array) -> tuple[Array, Array, Array]:
        """Return pixels (n, 2), pixels per meter (n,) and distances from the camera (n,)."""
        x, y, z = self._axes @ (points - [0.0, _LOOK, 0.0]).T
        depth = np.maximum(z + _DISTANCE, 0.5)
        scale = self._focal / depth
        return self._middle + np.stack([x * scale, -y * scale], 1), scale, depth

    @cached_property
    def _ground(self) -> tuple[NDArray[np.intp], Array, Array, _Pixels]:
        """Indices of the floor's pixels, places (n, 2), sizes of a pixel (n, 2), and visibility."""
        across = (np.arange(self.width) + 0.5 - self._middle[0]) / self._focal
        down = (np.arange(self.height) + 0.5 - self._middle[1]) / self._focal
        right, up, ahead = self._axes
        rays = right * across[None, :, None] - up * down[:, None, None] + ahead
        eye = np.array([0.0, _LOOK, 0.0]) - _DISTANCE * ahead
        below = np.minimum(rays[..., 1], -1e-6)
        place = (eye - rays * (eye[1] / below)[..., None])[..., [0, 2]]
        size = sum(np.abs(part) for part in np.gradient(place, axis=(0, 1)))
        radius = min(_RADIUS, 1.2 * self.width / 2 / self._focal * _DISTANCE)
        clear = np.clip(1.0 - np.linalg.norm(place, axis=-1) / radius, 0.0, 1.0)
        clear = clear * (rays[..., 1] < -1e-6)
        index = np.flatnonzero(clear)
        place, size = place.reshape(-1, 2)[index], size.reshape(-1, 2)[index]
        return index, place, size, clear.reshape(-1)[index].astype(np.float32)

    @cached_property
    def _empty(self) -> _Pixels:
        """The stage without its grid: a gradient, and light on the floor."""
        down = np.linspace(0, 1, self.height, dtype=np.float32)[:, None, None]
        row = np.zeros((1, self.width, 1), np.float32)
        sheet = _rgb(TOP) * (1 - down) + _rgb(BOTTOM) * down + row
        index, _, _, clear = self._ground
        sheet.reshape(-1, 3)[index] += clear[:, None] ** 2 * _rgb((17, 19, 30))
        return sheet

    def _floor(self, body: Body, points: Array, center: Array, flash: float) -> _Pixels:
        index, place, size, clear = self._ground
        where = (place + center) / _CELL
        gap = np.abs(where - np.rint(where)) * _CELL
        share = np.clip((_WIDTH + size / 2 - gap) / size, 0.0, 1.0)
        share = share * np.minimum(1.0, 2 * _WIDTH / size)
        lines = np.maximum(share[:, 0], share[:, 1]).astype(np.float32) * clear**1.5
        sheet = self._empty.copy()
        flat = sheet.reshape(-1, 3)
        light = 1.0 - self._shadow(body, points).reshape(-1)[index]
        glow = flat[index] * (1 + np.float32(0.35 * flash) * clear[:, None])
        grid = lines[:, None] * _rgb(LINE) * np.float32(1 + 0.9 * flash)
        flat[index] = (glow + grid) * light[:, None]
        return sheet

    def _shadow(self, body: Body, points: Array) -> _Pixels:
        """Return the darkness of the floor (h, w), in [0, 1)."""
        height = np.maximum(points[:, 1], 0.0)
        slant = _SLANT[0] * self._right + _SLANT[1] * self._away
        pixels, scale, _ = self._project(points * [1.0, 0.0, 1.0] + height[:, None] * slant)
        dark = np.zeros((self.height, self.width), np.float32)
        squash = sin(_ELEVATION) * 1.35  # a circle on the floor is an ellipse
        for tube in body.tubes:
            # the radius and the width of the soft edge, at either end
            ra, rb = (
                (r + 1.6 * (0.02 + 0.09 * height[j])) * scale[j]
                for r, j in zip(tube.radius, (tube.start, tube.end), strict=True)
            )
            near = _near(dark.shape, pixels[tube.start], pixels[tube.end], ra, rb, squash)
            if near is not None:
                box, distance, t, _, _ = near
                edge = ra + (rb - ra) * t
                strength = np.float32(0.7 / (1 + 0.7 * (height[tube.start] + height[tube.end]) / 2))
                shade = strength * np.clip(1 - distance / edge, 0, 1) ** 0.8
                dark[box] = np.maximum(dark[box], shade)
        return dark


def _rgb(color: tuple[int, int, int]) -> _Pixels:
    return np.array(color, np.float32)


def _near(
    shape: tuple[int, ...], a: Array, b: Array, ra: float, rb: float, squash: float = 1.0
) -> tuple[tuple[slice, slice], _Pixels, _Pixels, _Pixels, _Pixels] | None:
    """Return the box of pixels about a tube, and the tube's coordinates in it; None if outside.

    The coordinates are the distance to the axis, the place along it in [0, 1], and the offset from
    it, right and down.
    """
    margin = (max(ra, rb) + 2.0) * np.array([1.0, squash])
    low, high = np.minimum(a, b) - margin, np.maximum(a, b) + margin
    left, right = max(0, int(low[0])), min(shape[1], int(high[0]) + 1)
    top, bottom = max(0, int(low[1])), min(shape[0], int(high[1]) + 1)
    if left >= right or top >= bottom:
        return None
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - a[0])
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - a[1])
    y = y / np.float32(squash)
    dx, dy = np.float32(b[0] - a[0]), np.float32((b[1] - a[1]) / squash)
    t = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, np.float32(1e-6)), 0, 1)
    u, v = x - t * dx, y - t * dy
    return (slice(top, bottom), slice(left, right)), np.sqrt(u * u + v * v), t, u, v


def _depth(part: tuple[Tube, ...], depth: Array) -> float:
    return float(np.mean([depth[[tube.start, tube.end]] for tube in part]))


def _rim(sheet: _Pixels, a: Array, b: Array, ra: float, rb: float, color: _Pixels) -> None:
    """Paint a dark edge around a tube, which separates it from the background."""
    near = _near(sheet.shape, a, b, ra, rb)
    if near is None:
        return
    box, distance, t, _, _ = near
    radius = np.float32(ra) + np.float32(rb - ra) * t
    share = np.clip(radius - distance + 1.7, 0, 1)[..., None]
    sheet[box] += share * (0.08 * color - sheet[box])


def _fill(sheet: _Pixels, a: Array, b: Array, ra: float, rb: float, color: _Pixels) -> None:
    """Paint a tube with the shading of a round body."""
    near = _near(sheet.shape, a, b, ra, rb)
    if near is None:
        return
    box, distance, t, u, v = near
    radius = np.float32(ra) + np.float32(rb - ra) * t
    steep = np.minimum(distance / radius, 1)
    lit = (u * _LIGHT[0] - v * _LIGHT[1]) / radius + np.sqrt(1 - steep * steep) * _LIGHT[2]
    paint = color * (0.46 + 0.6 * np.maximum(lit, 0))[..., None]
    sheet[box] += np.clip(radius - distance + 0.5, 0, 1)[..., None] * (paint - sheet[box])
