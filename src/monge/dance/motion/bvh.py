r"""BVH, a text format for motion capture: a tree of joints at rest and their rotations per frame.

    Meredith, Maddock, "Motion capture file formats explained", University of Sheffield, 2001
        [meredith2001]

======  =======================================================================
symbol  meaning
======  =======================================================================
o_n     offset of node n from its parent, at rest
R_n     its local rotation, R_z R_x R_y in the order of the channels we write
======  =======================================================================

The format does not specify units. We write centimeters, which most programs that read motion
capture expect, and degrees; y is up. Only the root has position channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.errors import MongeError

from ._rig import Node, nodes, save, solve
from .skeleton import Skeleton

CENTIMETER = 0.01

_AXES = ("X", "Y", "Z")
_MOVES = tuple(f"{axis}position" for axis in _AXES)
_TURNS = tuple(f"{axis}rotation" for axis in _AXES)
_MOST = 5_000_000  # positions: an hour of 23 joints at 60 frames per second
_ORDER = ("Zrotation", "Xrotation", "Yrotation")

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """Motion from a file.

    ``positions`` (T, N, 3) are those of the ``nodes``, in meters, at ``rate`` frames per second;
    ``parents`` is the tree. The ends of branches have no name in a file; they are named after their
    parent: "toe_end".
    """

    nodes: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Tensor
    rate: float

    def on(self, skeleton: Skeleton) -> Tensor:
        """Return positions (T, J, 3) of a skeleton's joints, selected by their names.

        A space in a name may be a _ in the file.
        """
        joints = [joint.replace(" ", "_") for joint in skeleton.joints]
        nodes = [name.replace(" ", "_") for name in self.nodes]
        if missing := [name for name in joints if name not in nodes]:
            raise MongeError(
                f"the motion has no joint '{missing[0]}' ({len(missing)} of '{skeleton.name}' are "
                f"missing), its {len(nodes)} are {', '.join(nodes[:6])} …: choose the skeleton "
                "that it was made for"
            )
        return self.positions[:, [nodes.index(name) for name in joints]]


def write_bvh(
    path: str | Path, positions: Tensor, skeleton: Skeleton, rate: float, unit: float = CENTIMETER
) -> None:
    """Write a dance (T, J, 3) as a BVH file, exact to 10⁻⁴ m.

    Raises MongeError for positions that have another shape, are not finite, or have bones of other
    lengths, and for a file that cannot be written.

    Parameters
    ----------
    path : str or Path
    positions : Tensor (T, J, 3)
        Meters. Bones have the lengths of the skeleton; see `monge.dance.motion.retarget`.
    skeleton : Skeleton
    rate : float
        Frames per second.
    unit : float
        Meters per unit of the file.

    Examples
    --------
    >>> import tempfile
    >>> from monge.dance.motion import MELODY, rest
    >>> dance = rest(MELODY).expand(3, 23, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bvh(f"{folder}/dance.bvh", dance, MELODY, rate=25.0)
    ...     clip = read_bvh(f"{folder}/dance.bvh")
    >>> clip.rate, clip.on(MELODY).allclose(dance, atol=1e-4)
    (25.0, True)
    """
    _check_unit(unit)
    rotations, root = solve(path, positions, skeleton, rate)
    tree = nodes(skeleton)
    still = torch.eye(3, dtype=torch.float64).expand(len(root), 3, 3)
    turns = [still if node.turned is None else rotations[:, node.turned] for node in tree]
    angles = np.rad2deg(_unwrap(_euler(torch.stack(turns, 1).numpy())))  # (T, N, 3)
    rows = np.concatenate([root.numpy() / unit, angles.reshape(len(angles), -1)], 1)
    lines = list(_hierarchy(tree, unit))
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / rate:.8f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in rows.tolist()]
    save(path, "\n".join([*lines, ""]).encode())


def read_bvh(path: str | Path, unit: float = CENTIMETER) -> Clip:
    """Read motion from a BVH file of any program, with channels in any order.

    ``unit`` is as in `write_bvh`.

    Raises MongeError for a file that does not exist, is truncated, or has channels that do not
    match its header; the message names the place.
    """
    _check_unit(unit)
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise MongeError(f"cannot read '{path}' ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise MongeError(f"'{path}' is corrupt (not text): choose a BVH file") from error
    try:
        return _parse(text, unit)
    except _CorruptError as error:
        raise MongeError(f"'{path}' is corrupt ({error}): export it again as BVH") from error


class _CorruptError(ValueError):
    """The text of a file is not valid BVH."""


@dataclass
class _Read:
    """A node of a file that is being read."""

    name: str
    parent: int
    offset: list[float] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)


def _hierarchy(tree: list[Node], unit: float) -> Iterator[str]:
    yield "HIERARCHY"
    depth: list[int] = []
    for k, node in enumerate(tree):
        depth.append(depth[node.parent] + 1 if k else 0)
        pad = "  " * depth[k]
        yield f"{pad}{'JOINT' if k else 'ROOT'} {node.name}"
        yield pad + "{"
        # the root's position is in its channels
        yield f"{pad}  OFFSET " + " ".join(f"{value / unit:.6f}" for value in node.offset)
        channels = (*_MOVES, *_ORDER) if k == 0 else _ORDER
        yield f"{pad}  CHANNELS {len(channels)} {' '.join(channels)}"
        following = tree[k + 1].parent if k + 1 < len(tree) else -1
        if following != k:
            yield from (f"{pad}  End Site", pad + "  {", f"{pad}    OFFSET 0 0 0", pad + "  }")
            while k != following:
                yield "  " * depth[k] + "}"
                k = tree[k].parent


def _euler(R: _Array) -> _Array:
    """Compute angles (..., 3) about z, x, y, radians, of rotations R_z R_x R_y (..., 3, 3).

    Where x is ±π/2, y is 0.
    """
    cosine = np.hypot(R[..., 2, 0], R[..., 2, 2])
    x = np.arctan2(R[..., 2, 1], cosine)
    locked = cosine < 1e-9
    z = np.arctan2(-R[..., 0, 1], R[..., 1, 1])
    z = np.where(locked, np.arctan2(R[..., 1, 0], R[..., 0, 0]), z)
    y = np.where(locked, 0.0, np.arctan2(-R[..., 2, 0], R[..., 2, 2]))
    return np.stack([z, x, y], -1)


def _unwrap(angles: _Array) -> _Array:
    """Choose equivalent angles (T, N, 3) that differ as little as possible between frames.

    Programs interpolate the angles linearly between frames.
    """
    result = angles.copy()
    for t in range(1, len(result)):
        before = result[t - 1]
        own = angles[t]
        other = np.stack([own[:, 0] + np.pi, np.pi - own[:, 1], own[:, 2] + np.pi], -1)
        both = np.stack([own, other])
        both += 2 * np.pi * np.round((before - both) / (2 * np.pi))
        nearer = np.abs(both - before).sum(-1).argmin(0)
        result[t] = both[nearer, np.arange(len(before))]
    return result


def _parse(text: str, unit: float) -> Clip:
    head, _, body = text.partition("MOTION")
    tree = _tree(head)
    header, _, numbers = body.strip().partition("\n")
    time, _, numbers = numbers.strip().partition("\n")
    frames, seconds = _value(header, "Frames:"), _value(time, "Frame Time:")
    if frames < 1 or frames != int(frames) or not seconds > 0:
        raise _CorruptError(f"it has {frames:g} frames of {seconds:g} seconds")
    width = sum(len(node.channels) for node in tree)
    if not width:
        raise _CorruptError("it has no channels")
    if frames * len(tree) > _MOST:
        raise _CorruptError(
            f"{frames:g} frames of {len(tree)} nodes are more than {_MOST} positions"
        )
    try:
        values = np.array(numbers.split(), np.float64)
    except ValueError as error:
        raise _CorruptError(f"its motion has text in place of a number, {error}") from error
    if len(values) != frames * width:
        raise _CorruptError(
            f"{frames:g} frames of {width} channels are {frames * width:g} numbers, it has "
            f"{len(values)}"
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise _CorruptError(f"number {int(bad[0])} of its motion is nan or inf")
    positions = _play(tree, values.reshape(int(frames), width)) * unit
    names, parents = tuple(node.name for node in tree), tuple(node.parent for node in tree)
    return Clip(names, parents, torch.from_numpy(positions).float(), round(1 / seconds, 3))


def _tree(text: str) -> list[_Read]:
    """Parse the nodes of a hierarchy, each after its parent."""
    tree: list[_Read] = []
    open_nodes: list[int] = []
    text = text.replace("{", "\n{\n").replace("}", "\n}\n")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != "HIERARCHY":
        raise _CorruptError("it does not begin with HIERARCHY")
    for line in lines[1:]:
        word, _, rest = line.partition(" ")
        if word in ("ROOT", "JOINT", "End"):
            parent = open_nodes[-1] if open_nodes else -1
            if (word == "ROOT") != (not tree) or (tree and parent < 0):
                raise _CorruptError(f"'{line}' does not belong to a single tree")
            name = f"{tree[parent].name}_end" if word == "End" else rest.strip()
            tree.append(_Read(name, parent))
        elif word == "{" and tree:
            open_nodes.append(len(tree) - 1)
        elif word == "}" and open_nodes:
            open_nodes.pop()
        elif word == "OFFSET" and open_nodes:
            tree[open_nodes[-1]].offset = [_number(value, line) for value in rest.split()]
        elif word == "CHANNELS" and open_nodes:
            count, *channels = rest.split() or ["0"]
            node, known = tree[open_nodes[-1]], {*_MOVES, *_TURNS}
            is_count = _number(count, line) == len(channels) == len(set(channels))
            if not is_count or set(channels) - known:
                raise _CorruptError(
                    f"'{line}' of node '{node.name}' does not match the number of its channels"
                )
            node.channels = channels
        else:
            raise _CorruptError(f"'{line[:40]}' is out of place")
    if open_nodes:
        raise _CorruptError(f"node '{tree[open_nodes[-1]].name}' is not closed")
    if bad := [node.name for node in tree if len(node.offset) != 3]:
        raise _CorruptError(f"node '{bad[0]}' has no OFFSET of three numbers")
    return tree


def _play(tree: list[_Read], values: _Array) -> _Array:
    """Compute positions (T, N, 3) in units of the file."""
    frames: list[_Array] = []
    positions: list[_Array] = []
    column = 0
    for node in tree:
        own = {name: values[:, column + k] for k, name in enumerate(node.channels)}
        column += len(node.channels)
        offset = np.tile(node.offset, (len(values), 1))
        for axis, name in enumerate(_MOVES):
            offset[:, axis] = own.get(name, offset[:, axis])
        R = np.eye(3)[None]
        for name in node.channels:
            if name in _TURNS:
                R = R @ _about(_TURNS.index(name), np.deg2rad(own[name]))
        if node.parent < 0:
            positions.append(offset)
            frames.append(R)
        else:
            frame = frames[node.parent]
            turned = np.squeeze(frame @ offset[..., None], -1)
            positions.append(positions[node.parent] + turned)
            frames.append(frame @ R)
    return np.stack(np.broadcast_arrays(*positions), 1)


def _about(axis: int, angle: _Array) -> _Array:
    """Return rotations (T, 3, 3) about one axis."""
    R = np.zeros((len(angle), 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R[:, axis, axis] = 1
    R[:, a, a] = R[:, b, b] = np.cos(angle)
    R[:, b, a] = np.sin(angle)
    R[:, a, b] = -R[:, b, a]
    return R


def _value(line: str, name: str) -> float:
    if not line.strip().startswith(name):
        raise _CorruptError(f"'{line.strip()[:40]}' should be '{name}'")
    return _number(line.strip().removeprefix(name).strip(), line)


def _number(text: str, line: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _CorruptError(f"'{line.strip()[:40]}' has text in place of a number") from None
    if not np.isfinite(value):
        raise _CorruptError(f"'{line.strip()[:40]}' is not finite")
    return value


def _check_unit(unit: float) -> None:
    if not 0 < unit < float("inf"):
        raise MongeError(
            f"unit must be a positive number of meters, got {unit}: use 0.01 for centimeters"
        )
