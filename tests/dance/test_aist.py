"""Tests of AIST++: files of all NumPy versions and protocols, positions, and malicious files."""

from __future__ import annotations

import builtins
import os
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from monge.dance._pickle import read_arrays
from monge.dance.aist import COCO, AistDance, read_aist, read_keypoints, read_motion
from monge.dance.motion import SMPL, directions, rest
from monge.errors import MongeError
from tests.helpers.skeletons import bone_lengths

NAME = "gBR_sBM_cAll_d04_mBR0_ch01"
PROTOCOLS = (2, 3, 4, 5)


def motion(frames: int = 31, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    steps = random.normal(size=(frames, 72)).astype(np.float32) * 0.1
    path = np.array([10.0, 120.0, -30.0]) + 93.7 * steps[:, :3].cumsum(0)
    return {
        "smpl_loss": 1.5,
        "smpl_poses": (random.normal(size=72) + steps.cumsum(0)).astype(np.float32),
        "smpl_scaling": np.array([93.7], np.float32),
        "smpl_trans": path.astype(np.float32),
    }


def write_pickle(path: Path, value: Any, protocol: int = 4) -> Path:
    """Write a value to a file and return its path."""
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def as_numpy_1(content: bytes) -> bytes:
    """Return the same pickle with the module names of NumPy 1."""
    assert b"numpy._core" in content
    shorter = content.replace(b"cnumpy._core", b"cnumpy.core")  # protocols 2, 3
    for module in (b"multiarray", b"numeric"):
        new, old = (b"numpy." + core + b"." + module for core in (b"core", b"_core"))
        # protocols 4, 5
        old, new = (b"\x8c" + bytes([len(name)]) + name for name in (old, new))
        shorter = shorter.replace(old, new)
    assert b"numpy._core" not in shorter
    return shorter


def turn(points: NDArray[Any], by: Rotation) -> NDArray[Any]:
    """Turn points (..., 3)."""
    return by.apply(points.reshape(-1, 3)).reshape(points.shape)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("numpy_1", [True, False], ids=["numpy 1", "numpy 2"])
def test_arrays_equal_those_of_pickle(protocol: int, numpy_1: bool, tmp_path: Path) -> None:
    fortran = np.asfortranarray(np.arange(12, dtype=">i4").reshape(3, 4))
    value = {
        **motion(),
        "f": fortran,
        "n": np.float64(2.5),
        "b": np.array([True, False]),
        "s": np.arange(12.0)[::3],
        "i": 7,
    }
    content = pickle.dumps(value, protocol)
    (tmp_path / "a.pkl").write_bytes(as_numpy_1(content) if numpy_1 else content)
    arrays = read_arrays(tmp_path / "a.pkl")
    assert arrays.keys() == value.keys()
    for key in value:
        np.testing.assert_array_equal(arrays[key], value[key])
    assert arrays["smpl_poses"].dtype == np.float32
    assert arrays["f"].dtype.isnative


def test_positions_equal_loop_over_joints(tmp_path: Path) -> None:
    content = motion()
    positions = read_motion(write_pickle(tmp_path / f"{NAME}.pkl", content), rate=60.0).double()
    assert positions.shape == (31, 24, 3)
    at_rest = {**content, "smpl_poses": np.zeros((31, 72))}
    still = read_motion(write_pickle(tmp_path / "rest.pkl", at_rest), rate=60.0)
    offsets = (still[0] - still[0, list(SMPL.parents)]).double().numpy()
    for t in (0, 17):
        local = Rotation.from_rotvec(content["smpl_poses"][t].reshape(24, 3))
        G, p = {0: local[0]}, {0: np.zeros(3)}
        for j in SMPL.bones:
            above = SMPL.parents[j]
            p[j] = p[above] + G[above].apply(offsets[j])
            G[j] = G[above] * local[j]
        relative = positions[t] - positions[t, :1]
        np.testing.assert_allclose(relative, np.stack([p[j] for j in range(24)]), atol=1e-5)
    path = content["smpl_trans"] / 93.7
    np.testing.assert_allclose(positions[:, 0] - positions[0, 0], path - path[0], atol=1e-5)
    assert abs(positions[..., 1].min()) < 0.3
    lowest = positions[..., 1].min(1).values
    assert (lowest < 0).float().mean() < 0.07
    assert lowest.quantile(0.01).abs() < 1e-6


def test_zero_rotations_give_the_rest_pose(tmp_path: Path) -> None:
    still = {
        "smpl_poses": np.zeros((2, 24, 3)),
        "smpl_trans": np.zeros((2, 3)),
        "smpl_scaling": 100.0,
    }
    positions = read_motion(write_pickle(tmp_path / "a.pkl", still), rate=60.0)
    cosines = (directions(positions[0], SMPL) * directions(rest(SMPL), SMPL)).sum(-1)
    assert cosines.min() > 0.5
    at = {name: positions[0, j] for j, name in enumerate(SMPL.joints)}
    assert 1.3 < at["head"][1] < 1.8
    assert 1.2 < (at["left hand"] - at["right hand"])[0] < 1.8
    assert at["left toe"][2] > at["left ankle"][2] + 0.05
    image = positions[0, SMPL.mirrored, :] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(image, positions[0], atol=1e-6, rtol=0)


def test_turned_rotations_turn_the_positions(tmp_path: Path) -> None:
    content, by = motion(), Rotation.from_rotvec([0, 1.2, 0])
    pelvis = np.array([0.0, -0.223, 0.028])
    path, poses = content["smpl_trans"] / 93.7, content["smpl_poses"].copy()
    path = turn(path + pelvis, by) - pelvis + [1, 2, 3]
    poses[:, :3] = (by * Rotation.from_rotvec(poses[:, :3])).as_rotvec()
    other = {**content, "smpl_trans": path * 93.7, "smpl_poses": poses}
    a, b = (read_motion(write_pickle(tmp_path / "a.pkl", c)) for c in (content, other))
    np.testing.assert_allclose(b, turn(a.numpy(), by) + np.array([1, 0, 3]), atol=1e-4)


@pytest.mark.parametrize(("rate", "frames"), [(25.0, 13), (60.0, 31), (30.0, 16), (120.0, 61)])
def test_frames_are_resampled_with_constant_bone_lengths(
    rate: float, frames: int, tmp_path: Path
) -> None:
    positions = read_motion(write_pickle(tmp_path / "a.pkl", motion()), rate)
    assert positions.shape == (frames, 24, 3)
    expected = torch.tensor([SMPL.lengths[j] for j in SMPL.bones]).expand(frames, -1)
    torch.testing.assert_close(bone_lengths(positions, SMPL), expected, atol=1e-5, rtol=0)


def test_keypoints_are_in_meters_above_the_floor(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).normal(size=(31, 17, 3)) * 100
    file = write_pickle(tmp_path / "a.pkl", {"keypoints3d": raw, "keypoints3d_optim": raw + 5.0})
    for optimized, shift in ((True, 0.05), (False, 0.0)):
        keypoints = read_keypoints(file, 60.0, optimized=optimized)
        assert keypoints.shape == (31, len(COCO), 3)
        horizontal = raw[..., [0, 2]] / 100 + shift
        np.testing.assert_allclose(keypoints[..., [0, 2]], horizontal, atol=1e-5)
        assert keypoints[..., 1].min(1).values.quantile(0.01).abs() < 1e-6
    assert read_keypoints(file).shape == (13, 17, 3)


def test_folder_is_read_without_ignored_files(tmp_path: Path) -> None:
    (tmp_path / "motions").mkdir()
    for name in (NAME, "gKR_sFM_cAll_d30_mKR2_ch21", "gJS_sFM_cAll_d01_mJS1_ch02", "own"):
        write_pickle(tmp_path / "motions" / f"{name}.pkl", motion())
    (tmp_path / "ignore_list.txt").write_text("gJS_sFM_cAll_d01_mJS1_ch02\n")
    dances = read_aist(tmp_path)
    assert [(d.name, d.genre, d.music) for d in dances] == [
        (NAME, "break", "mBR0"),
        ("gKR_sFM_cAll_d30_mKR2_ch21", "krump", "mKR2"),
        ("own", "dance", ""),
    ]
    assert isinstance(dances[0], AistDance)
    assert dances[0].positions.shape == (13, 24, 3)
    with pytest.raises(MongeError, match="no motions of AIST"):
        read_aist(tmp_path / "motions")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"smpl_poses": np.zeros((31, 156))},
            r"'smpl_poses' of shape \(31, 156\), not \(T, 24, 3\): choose a file of AIST",
        ),
        ({"smpl_poses": np.zeros((31, 23, 3))}, r"'smpl_poses' of shape \(31, 23, 3\)"),
        ({"smpl_poses": np.zeros((0, 72))}, r"'smpl_poses' of shape \(0, 72\)"),
        ({"smpl_poses": np.zeros(72)}, r"'smpl_poses' of shape \(72,\)"),
        ({"smpl_trans": np.zeros((30, 3))}, "31 poses and 30 translations"),
        (
            {"smpl_trans": np.where(np.arange(31)[:, None] == 7, np.nan, np.zeros((31, 3)))},
            "nan or inf in 'smpl_trans', frame 7",
        ),
        ({"smpl_scaling": np.zeros(1)}, r"smpl_scaling \[0.0\], not one positive number"),
        ({"smpl_scaling": np.ones(2)}, "not one positive number"),
        ({"smpl_scaling": np.array([np.nan])}, "not one positive number"),
        ({"smpl_scaling": None}, "no 'smpl_scaling', but smpl_loss, smpl_poses, smpl_trans"),
    ],
)
def test_invalid_contents_raise(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write_pickle(tmp_path / "a.pkl", {**motion(), **change})
    with pytest.raises(MongeError, match=rf"a\.pkl' has .*{message}"):
        read_motion(file)


def test_invalid_rate_key_and_path_raise(tmp_path: Path) -> None:
    file = write_pickle(tmp_path / "a.pkl", motion())
    message = "rate must be a positive number of frames per second, got 0"
    with pytest.raises(MongeError, match=message):
        read_motion(file, 0)
    with pytest.raises(MongeError, match="has no 'keypoints3d_optim'"):
        read_keypoints(file)
    with pytest.raises(MongeError, match=r"cannot read '.*none.pkl' \(No such file"):
        read_motion(tmp_path / "none.pkl")


class Reduces:
    """An object that is pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, *PROTOCOLS])
def test_pickles_with_calls_raise_and_are_not_executed(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    harmful = [
        Reduces(os.system, f"touch {marker}"),
        Reduces(builtins.eval, f"open({str(marker)!r}, 'w')"),
        Reduces(builtins.open, str(marker), "w"),
        Reduces(np.save, str(marker), 1),
        Reduces(np.fromfile, str(marker)),
    ]
    message = r"a\.pkl' refused: .*only NumPy arrays of numbers are read"
    for k, value in enumerate(harmful):
        for content in (
            value,
            {**motion(), "smpl_poses": value},
            {**motion(), "smpl_loss": [value]},
            {"a": (value, value)},
        ):
            path = write_pickle(tmp_path / "a.pkl", content, protocol)
            with pytest.raises(MongeError, match=message):
                read_arrays(path)
            assert not any(tmp_path.glob("executed*")), k
    if protocol >= 2:
        path = write_pickle(tmp_path / "a.pkl", harmful[0], protocol)
        message = r"it calls 'posix\.system', which could run a program"
        with pytest.raises(MongeError, match=message):
            read_arrays(path)
    # the file is harmful when it is executed
    pickle.loads(pickle.dumps(harmful[0], protocol))
    assert marker.exists()


def test_objects_and_non_numeric_arrays_raise(tmp_path: Path) -> None:
    for array, message in (
        (np.array([{"a": 1}, None], object), "an array of type 'O8'"),
        (np.zeros(3, [("a", "f4")]), "an array of type 'V4'"),
        (np.array(["a"]), "an array of type 'U1'"),
        (np.zeros(2, complex), "an array of type 'c16'"),
        (np.zeros(2, "M8[s]"), "an array of type 'M8'"),
    ):
        with pytest.raises(MongeError, match=f"refused: .*{message}"):
            read_arrays(write_pickle(tmp_path / "a.pkl", {"smpl_poses": array}))
    with pytest.raises(MongeError, match=r"is corrupt .*it does not hold a dictionary"):
        read_arrays(write_pickle(tmp_path / "a.pkl", 5))
    with pytest.raises(MongeError, match=r"is corrupt .*keys that are not text"):
        read_arrays(write_pickle(tmp_path / "a.pkl", {5: 5}))


def test_truncated_files_raise_and_flipped_bytes_do_not_crash(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for protocol in PROTOCOLS:
        content = pickle.dumps({"a": np.arange(3.0), "n": np.float32(2)}, protocol)
        for end in range(0, len(content), 7):
            (tmp_path / "a.pkl").write_bytes(content[:end])
            with pytest.raises(MongeError, match=r"a\.pkl'"):
                read_arrays(tmp_path / "a.pkl")
        for _ in range(40):
            damaged = bytearray(content)
            damaged[random.integers(len(content))] = random.integers(256)
            (tmp_path / "a.pkl").write_bytes(damaged)
            with suppress(MongeError):
                arrays = read_arrays(tmp_path / "a.pkl")
                assert all(isinstance(value, np.ndarray) for value in arrays.values())


def pickle_with_shape(shape: bytes) -> bytes:
    """Return a handwritten pickle: {"a": an array of 8 bytes that claims to have a shape}."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
    order = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R" + order
    state = b"(K\x01" + shape + dtype + b"\x89C\x08" + b"\0" * 8 + b"tb"
    return b"\x80\x03}X\x01\x00\x00\x00a" + array + state + b"s."


BOMBS = {
    "memo": b"\x80\x04}r" + struct.pack("<I", 2**32 - 1) + b"K\x01s.",
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "buffer": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"x.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"K\x01.",
    "shape": pickle_with_shape(b"\x8a\x06\x00\x00\x00\x00\x00\x10\x85"),
    "negative": pickle_with_shape(b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86"),
    "dimensions": pickle_with_shape(b"(" + b"K\x01" * 100 + b"t"),
    "nested": b"\x80\x04" + b"}" * 50_000 + b".",
    "doubled": b"\x80\x04}K\x01"
    + b"".join(b"q" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(100))
    + b"K\x01s.",
    "deep key": b"\x80\x04})" + b"\x85" * 50_000 + b"K\x01s.",
    "calls itself": b"\x80\x04cnumpy\ndtype\n" + b"\x85R" * 10 + b".",
    "build": b"\x80\x04K\x01K\x02b.",
    "no mark": b"\x80\x04}K\x01u.",
    "underflow": b"\x80\x04R.",
    "endless line": b"\x80\x04c" + b"a" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_malicious_files_raise_with_bounded_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(MongeError, match=r"a\.pkl' (is corrupt|refused)"):
            read_arrays(tmp_path / "a.pkl")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(BOMBS[name]) + 2**22


def test_too_large_file_raises(tmp_path: Path) -> None:
    with open(tmp_path / "a.pkl", "wb") as file:
        file.truncate(2**28 + 1)  # sparse
    with pytest.raises(MongeError, match="larger than 256 MiB"):
        read_arrays(tmp_path / "a.pkl")


def test_handwritten_pickle_is_an_array(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle_with_shape(b"K\x01\x85"))
    assert read_arrays(tmp_path / "a.pkl")["a"].tolist() == [0.0]
