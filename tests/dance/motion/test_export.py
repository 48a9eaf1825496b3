"""Tests of BVH and glTF files with second readers, and of damaged files."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    SMPL,
    Skeleton,
    exp,
    place,
    read_bvh,
    rest,
    smooth,
    write_bvh,
    write_glb,
)
from monge.dance.motion.bvh import _euler, _unwrap
from monge.data import rng
from monge.errors import MongeError
from tests.helpers.skeletons import BOTH

Array = NDArray[np.float64]


def random_dance(skeleton: Skeleton, frames: int, seed: int = 0) -> Tensor:
    """Return bodies with independent random directions and roots in every frame."""
    u = torch.randn(frames, skeleton.size - 1, 3, generator=rng(seed))
    u = torch.nn.functional.normalize(u, dim=-1)
    return place(u, 2 * torch.randn(frames, 3, generator=rng(seed, 1)), skeleton)


def turn_and_shift(dance: Tensor) -> Tensor:
    """Turn a dance about an oblique axis and shift it."""
    return dance @ exp(torch.tensor([0.5, 2.0, -0.3])).T + torch.tensor([3.0, 0.5, -2.0])


def play_bvh(path: Path) -> dict[str, Array]:
    """Compute positions (T, 3) of the joints in centimeters by a recursive reader with scipy."""
    head, motion = path.read_text().split("MOTION")
    rows = np.array([line.split() for line in motion.strip().splitlines()[2:]], float)
    words, column, positions = iter(head.split()), 0, {}

    def walk(name: str, above: tuple[Array, Rotation] | None) -> None:
        nonlocal column
        position, turn = above or (np.zeros((len(rows), 3)), Rotation.identity(len(rows)))
        for word in words:
            if word == "OFFSET":
                position = position + turn.apply([float(next(words)) for _ in range(3)])
            elif word == "CHANNELS":
                names = [next(words) for _ in range(int(next(words)))]
                own = rows[:, column : column + len(names)]
                column += len(names)
                if len(names) == 6:
                    position = own[:, :3]
                assert [n[0] for n in names[-3:]] == ["Z", "X", "Y"]
                turn = turn * Rotation.from_euler("ZXY", own[:, -3:], degrees=True)
                positions[name] = position
            elif word in ("JOINT", "End"):
                walk(next(words), (position, turn))
            elif word == "}":
                return

    for word in words:
        if word == "ROOT":
            walk(next(words), None)
    return positions


@BOTH
def test_bvh_round_trip_keeps_positions(skeleton: Skeleton, tmp_path: Path) -> None:
    dance, file = random_dance(skeleton, 30), tmp_path / "dance.bvh"
    write_bvh(file, dance, skeleton, rate=60.0)
    clip, played = read_bvh(file), play_bvh(file)
    assert clip.rate == 60.0
    torch.testing.assert_close(clip.on(skeleton), dance, atol=1e-5, rtol=0)
    second = np.stack([played[name.replace(" ", "_")] for name in skeleton.joints], 1) / 100
    np.testing.assert_allclose(second, dance, atol=1e-5)
    other = turn_and_shift(dance)
    write_bvh(file, other, skeleton, rate=60.0, unit=1.0)
    torch.testing.assert_close(read_bvh(file, unit=1.0).on(skeleton), other, atol=1e-4, rtol=0)
    torch.testing.assert_close(read_bvh(file).positions, read_bvh(file, unit=1.0).positions / 100)


def test_bvh_offsets_do_not_depend_on_the_dance(tmp_path: Path) -> None:
    texts = []
    for seed in (0, 1):
        write_bvh(tmp_path / "a.bvh", random_dance(SMPL, 5, seed), SMPL, 30.0)
        texts.append((tmp_path / "a.bvh").read_text().split("MOTION")[0])
    assert texts[0] == texts[1]
    # bones that leave the pelvis and the breast have nodes of their own
    assert texts[0].count("JOINT") == SMPL.size - 1 + 3 + 3
    assert texts[0].count("{") == texts[0].count("}")


def test_bvh_angles_are_continuous(tmp_path: Path) -> None:
    file, steps = tmp_path / "a.bvh", torch.arange(100) * 0.2
    zero = 0 * steps
    turn = exp(torch.stack([zero, steps, zero], 1))  # three full turns
    write_bvh(file, rest(MELODY) @ turn.mT, MELODY, 25.0)
    rows = file.read_text().split("Frame Time")[1].splitlines()[1:]
    angles = np.array([row.split() for row in rows], float)[:, 3:]
    assert np.abs(np.diff(angles, axis=0)).max() < 12
    assert angles[-1, 2] == pytest.approx(np.rad2deg(19.8), abs=1e-3)
    # somersaults, where x passes a right angle
    for axes in ((steps, zero, zero), (zero, 0.3 + zero, steps)):
        dance = rest(MELODY) @ exp(torch.stack(axes, 1)).mT
        write_bvh(file, dance, MELODY, 25.0)
        torch.testing.assert_close(read_bvh(file).on(MELODY), dance, atol=1e-4, rtol=0)
    steps = steps.double() + 0.05
    R = exp(torch.stack([steps, 0.01 + 0 * steps, 0 * steps], 1)).numpy()
    assert np.abs(np.diff(_unwrap(_euler(R[:, None])), axis=0)).max() < 0.5
    dance = smooth(random_dance(MELODY, 200), 25.0, 0.5, MELODY)
    write_bvh(file, dance, MELODY, 25.0)
    torch.testing.assert_close(read_bvh(file).on(MELODY), dance, atol=1e-4, rtol=0)


def test_euler_angles_at_gimbal_lock() -> None:
    angles = np.deg2rad([[30.0, 90, 50], [30, -90, 50], [-170, 90, 0]])
    R = Rotation.from_euler("ZXY", angles).as_matrix()
    np.testing.assert_allclose(Rotation.from_euler("ZXY", _euler(R)).as_matrix(), R, atol=1e-9)


def test_skeleton_with_one_bone_at_the_root(tmp_path: Path) -> None:
    rope = Skeleton("rope", ("a", "b", "c"), (-1, 0, 1), (0.0, 1.0, 2.0), (2,), (0, 1), (0, 1))
    dance = random_dance(rope, 20)
    write_bvh(tmp_path / "a.bvh", dance, rope, 25.0)
    torch.testing.assert_close(read_bvh(tmp_path / "a.bvh").on(rope), dance, atol=1e-5, rtol=0)
    write_glb(tmp_path / "a.glb", dance, rope, 25.0)
    np.testing.assert_allclose(Glb(tmp_path / "a.glb").joints(rope), dance, atol=1e-5)


FOREIGN = """HIERARCHY
ROOT hip {
  OFFSET 1 2 3
  CHANNELS 3 Xrotation Yrotation Zrotation
  JOINT left knee
  {
    OFFSET 0 -10 0
    CHANNELS 6 Zposition Xposition Yposition Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 -5 0
    }
  }
}
MOTION
Frames:  2
Frame Time: 0.0333333
0 0 0  4 5 6  0 0 0
90 0 90  0 0 -10  0 0 90
"""


def test_bvh_with_other_channels_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_bytes(FOREIGN.replace("\n", "\r\n").encode())
    clip = read_bvh(tmp_path / "a.bvh")
    assert clip.nodes == ("hip", "left knee", "left knee_end")
    assert clip.parents == (-1, 0, 1)
    assert clip.rate == 30.0
    first = torch.tensor([[1.0, 2, 3], [6, 8, 7], [6, 3, 7]])
    torch.testing.assert_close(100 * clip.positions[0], first)
    # frame 1: R = Rx(90°) Rz(90°) takes −10 y to 10 x; the knee's Rz(90°) takes −5 y to 5 x, which
    # R takes to 5 z
    second = torch.tensor([[1.0, 2, 3], [11, 2, 3], [11, 2, 8]])
    torch.testing.assert_close(100 * clip.positions[1], second, atol=1e-5, rtol=0)
    with pytest.raises(MongeError, match=r"no joint 'head' \(2[0-9] of 'melody' are missing\)"):
        clip.on(MELODY)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s[:-12], "2 frames of 9 channels are 18 numbers, it has"),
        (
            lambda s: s.replace("Frames:  2", "Frames:  999999999999"),
            "of 3 nodes are more than 5000000 positions",
        ),
        (
            lambda s: s.replace("Frames:  2", "Frames:  3"),
            "3 frames of 9 channels are 27 numbers, it has 18",
        ),
        (lambda s: s.replace("Frames:  2", "Frames:  0"), "it has 0 frames"),
        (lambda s: s.replace("Frames:  2", "Frames:  x"), "has text in place of a number"),
        (lambda s: s.replace("0.0333333", "0"), "frames of 0 seconds"),
        (
            lambda s: s.replace("CHANNELS 3", "CHANNELS 4"),
            "CHANNELS 4 Xrotation .*' of node 'hip' does not match the number of its channels",
        ),
        (lambda s: s.replace("CHANNELS 3", "CHANNELS"), "has text in place of a number"),
        (lambda s: s.replace("Yrotation", "Xrotation", 1), "does not match the number of its"),
        (lambda s: s.replace("Yrotation", "Yscale", 1), "does not match the number of its"),
        (lambda s: s.replace("4 5 6", "4 nan 6"), "number 4 of its motion is nan or inf"),
        (lambda s: s.replace("4 5 6", "4 five 6"), "its motion has text in place of a number"),
        (
            lambda s: s.replace("OFFSET 1 2 3", "OFFSET 1 2"),
            "node 'hip' has no OFFSET of three numbers",
        ),
        (lambda s: s.replace("OFFSET 1 2 3", "OFFSET 1 2 inf"), "is not finite"),
        (lambda s: s.replace("HIERARCHY", ""), "does not begin with HIERARCHY"),
        (lambda s: s.replace("}\nMOTION", "MOTION"), "node 'hip' is not closed"),
        (lambda s: s.replace("}\nMOTION", "}\n}\nMOTION"), "out of place"),
        (lambda s: s.replace("MOTION", "ROOT other\n{\n}\nMOTION"), "'ROOT other' does not belong"),
        (lambda s: s.replace("ROOT hip", "JOINT hip"), "'JOINT hip' does not belong to a single"),
        (lambda s: s[:40], "'CH' is out of place"),
        (
            lambda _: "HIERARCHY\nROOT a {\nOFFSET 0 0 0\n}\nMOTION\nFrames: 1e12\nFrame Time: 1\n",
            "it has no channels",
        ),
        (lambda _: "", "does not begin with HIERARCHY"),
        (lambda _: "HIERARCHY\nMOTION\nFrames: 1\nFrame Time: 1\n", "it has no channels"),
    ],
)
def test_damaged_bvh_raises(damage: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(damage(FOREIGN))
    with pytest.raises(MongeError, match=f"a.bvh' is corrupt .*({message}).*export it again"):
        read_bvh(tmp_path / "a.bvh")


def test_truncated_bvh_raises(tmp_path: Path) -> None:
    for end in range(0, len(FOREIGN) - 4, 3):
        (tmp_path / "a.bvh").write_text(FOREIGN[:end])
        with pytest.raises(MongeError, match=r"a\.bvh' is corrupt"):
            read_bvh(tmp_path / "a.bvh")


def test_binary_missing_and_invalid_unit_raise(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_bytes(b"\xff\xfe\x00glTF")
    with pytest.raises(MongeError, match=r"is corrupt \(not text\)"):
        read_bvh(tmp_path / "a.bvh")
    with pytest.raises(MongeError, match=r"cannot read '.*none.bvh' \(No such file"):
        read_bvh(tmp_path / "none.bvh")
    with pytest.raises(MongeError, match="unit must be a positive number of meters, got 0"):
        read_bvh(tmp_path / "a.bvh", unit=0)


@pytest.mark.parametrize("write", [write_bvh, write_glb])
def test_invalid_dances_are_not_written(write: Any, tmp_path: Path) -> None:
    dance, file = rest(MELODY).repeat(5, 1, 1), tmp_path / "dance"
    nan = dance.clone()
    nan[3, 2, 1] = torch.nan
    longer = dance.clone()
    longer[2, MELODY.joints.index("left hand"), 0] += 0.05
    cases = [
        (
            (torch.zeros(5, 24, 3), MELODY, 25.0),
            r"must be \(\.\.\., 23, 3\) .* 'melody', got \(5, 24, 3\)",
        ),
        ((dance[:0], MELODY, 25.0), r"at least 1 frames .* got \(0, 23, 3\)"),
        ((dance[None], MELODY, 25.0), r"one dance .* got \(1, 5, 23, 3\)"),
        ((nan, MELODY, 25.0), "1 values that are NaN or infinite, first in frame 3"),
        (
            (longer, MELODY, 25.0),
            r"bone to 'left hand' is 0\.\d{4} m long in frame 2, not 0\.\d{4} m .* "
            r"retarget\(positions",
        ),
        ((dance, MELODY, 0.0), "rate must be a positive number of frames per second, got 0.0"),
        (
            (dance, MELODY, float("nan")),
            "rate must be a positive number of frames per second, got nan",
        ),
    ]
    for arguments, message in cases:
        with pytest.raises(MongeError, match=f"dance' not written: .*{message}"):
            write(file, *arguments)
    assert not file.exists()
    with pytest.raises(MongeError, match=r"cannot write '.*none/dance' \(No such file"):
        write(tmp_path / "none" / "dance", dance, MELODY, 25.0)


class Glb:
    """A binary glTF file, parsed and checked according to its specification."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        chunks, at = [], 12
        while at < length:
            size, kind = struct.unpack_from("<I4s", content, at)
            assert size % 4 == 0
            chunks.append((kind, content[at + 8 : at + 8 + size]))
            at += 8 + size
        assert at == length
        assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
        self.json: dict[str, Any] = json.loads(chunks[0][1])
        self.binary = chunks[1][1]
        assert self.json["asset"]["version"] == "2.0"
        assert 0 <= len(self.binary) - self.json["buffers"][0]["byteLength"] < 4
        self.arrays = [self.accessor(a) for a in self.json["accessors"]]
        nodes = self.json["nodes"]
        children = [c for node in nodes for c in node.get("children", [])]
        assert sorted([*children, *self.json["scenes"][0]["nodes"]]) == list(range(len(nodes)))
        self.parents = {c: k for k, node in enumerate(nodes) for c in node.get("children", [])}

    def accessor(self, accessor: dict[str, Any]) -> NDArray[np.float32]:
        view = self.json["bufferViews"][accessor["bufferView"]]
        assert accessor["componentType"] == 5126
        assert view["byteOffset"] % 4 == 0
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        assert view["byteLength"] == 4 * width * accessor["count"]
        assert view["byteOffset"] + view["byteLength"] <= self.json["buffers"][0]["byteLength"]
        count = width * accessor["count"]
        array = np.frombuffer(self.binary, "<f4", count, view["byteOffset"]).reshape(-1, width)
        assert np.isfinite(array).all()
        if "min" in accessor:
            assert accessor["min"] == array.min(0).tolist()
            assert accessor["max"] == array.max(0).tolist()
        return array

    def play(self) -> tuple[Array, dict[int, tuple[Array, Rotation, Array]]]:
        """Return the time, and the position (T, 3), rotation and scale of each node."""
        (animation,) = self.json["animations"]
        tracks, times = {}, set()
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert sampler["interpolation"] == "LINEAR"
            assert "min" in self.json["accessors"][sampler["input"]]
            times.add(sampler["input"])
            target = channel["target"]
            tracks[target["node"], target["path"]] = self.arrays[sampler["output"]]
        assert len(tracks) == len(animation["channels"])
        (time,) = (self.arrays[k][:, 0] for k in times)
        assert time[0] == 0
        assert (np.diff(time) > 0).all()
        world: dict[int, tuple[Array, Rotation, Array]] = {}

        def visit(k: int) -> None:
            node = self.json["nodes"][k]
            still = np.tile(node.get("translation", [0.0, 0, 0]), (len(time), 1))
            offset = tracks.get((k, "translation"), still)
            still = np.tile(node.get("rotation", [0.0, 0, 0, 1]), (len(time), 1))
            q = tracks.get((k, "rotation"), still)
            np.testing.assert_allclose(np.linalg.norm(q, axis=1), 1, atol=1e-6)
            assert ((q[1:] * q[:-1]).sum(1) >= 0).all()
            origin = np.zeros((len(time), 3)), Rotation.identity(len(time)), None
            position, turn, _ = world.get(self.parents.get(k, -1), origin)
            scale = np.array(node.get("scale", [1.0, 1, 1]))
            world[k] = position + turn.apply(offset), turn * Rotation.from_quat(q), scale
            for child in node.get("children", []):
                visit(child)

        visit(self.json["scenes"][0]["nodes"][0])
        return time, world

    def joints(self, skeleton: Skeleton) -> Array:
        _, world = self.play()
        names = [node["name"] for node in self.json["nodes"]]
        index = [names.index(joint.replace(" ", "_")) for joint in skeleton.joints]
        return np.stack([world[k][0] for k in index], 1)


@BOTH
def test_glb_round_trip_keeps_positions(skeleton: Skeleton, tmp_path: Path) -> None:
    dance, file = random_dance(skeleton, 30), tmp_path / "dance.glb"
    write_glb(file, dance, skeleton, rate=25.0)
    glb = Glb(file)
    np.testing.assert_allclose(glb.joints(skeleton), dance, atol=1e-5)
    np.testing.assert_allclose(glb.play()[0], np.arange(30) / 25, rtol=1e-6)
    write_glb(file, turn_and_shift(dance), skeleton, rate=25.0)
    np.testing.assert_allclose(Glb(file).joints(skeleton), turn_and_shift(dance), atol=1e-4)
    write_glb(file, dance[:1], skeleton, rate=25.0)
    np.testing.assert_allclose(Glb(file).joints(skeleton), dance[:1], atol=1e-5)
    assert os.path.getsize(file) % 4 == 0


@BOTH
def test_glb_meshes_lie_on_their_bones(skeleton: Skeleton, tmp_path: Path) -> None:
    dance = random_dance(skeleton, 4)
    write_glb(tmp_path / "a.glb", dance, skeleton, 25.0)
    glb = Glb(tmp_path / "a.glb")
    _, world = glb.play()
    shown = {node["name"]: k for k, node in enumerate(glb.json["nodes"]) if "mesh" in node}
    assert len(shown) == skeleton.size - 1
    for j in skeleton.bones:
        name = skeleton.joints[j]
        node = shown[f"bone_to_{name.replace(' ', '_')}"]
        start, turn, scale = world[node]
        np.testing.assert_allclose(start, dance[:, skeleton.parents[j]], atol=1e-5)
        np.testing.assert_allclose(start + turn.apply([0, scale[1], 0]), dance[:, j], atol=1e-5)
        mesh = glb.json["meshes"][glb.json["nodes"][node]["mesh"]]
        material = glb.json["materials"][mesh["primitives"][0]["material"]]["name"]
        assert material == (name.split()[0] if name.startswith(("left", "right")) else "middle")


def test_glb_mesh_is_closed_with_outward_normals(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", rest(MELODY)[None], MELODY, 25.0)
    glb = Glb(tmp_path / "a.glb")
    attributes = glb.json["meshes"][0]["primitives"][0]["attributes"]
    corners, normals = (
        glb.arrays[attributes[key]].reshape(8, 3, 3).astype(float) for key in ("POSITION", "NORMAL")
    )
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    np.testing.assert_allclose(faces.sum(0), 0, atol=1e-6)  # closed
    units = faces / np.linalg.norm(faces, axis=1, keepdims=True)
    np.testing.assert_allclose(units, normals[:, 0], atol=1e-6)
    assert ((corners.mean(1) - [0, 0.5, 0]) * normals[:, 0]).sum(1).min() > 0
    assert not re.search(rb"NaN|Infinity", (tmp_path / "a.glb").read_bytes())
