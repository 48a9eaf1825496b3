"""Binary glTF, a format of 3-D scenes for viewers, browsers and game engines: an animated skeleton.

    Khronos Group, "glTF 2.0 specification", 2021   [khronos2021]

Axes and units are those of glTF: meters, seconds, y up; the body faces along z. Each bone is a thin
octahedron below the node that rotates it, blue on the left side, orange on the right. Viewers
rotate the nodes along the shortest path between frames.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._rig import Node, nodes, save, solve
from .kinematics import rest_directions
from .rotations import between, to_quaternion
from .skeleton import Skeleton

_FLOAT = 5126
_VERTICES = 34962  # target of a buffer view of vertices
_COLORS = {"left": (0.10, 0.35, 0.80), "right": (0.90, 0.40, 0.10), "middle": (0.45, 0.45, 0.50)}
_WAIST = 0.2  # place of a bone's largest thickness, as a share of its length
_THICKNESS = (0.02, 0.06)  # meters

_Array = NDArray[np.floating[Any]]


def write_glb(path: str | Path, positions: Tensor, skeleton: Skeleton, rate: float) -> None:
    """Write a dance (T, J, 3) as a binary glTF file (.glb), exact to 10⁻⁴ m.

    The file has one animation, a node for each joint, and a mesh for each bone. Parameters and
    errors are those of `write_bvh`.

    >>> import tempfile
    >>> from monge.dance.motion import MELODY, rest
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_glb(f"{folder}/dance.glb", rest(MELODY).expand(3, 23, 3), MELODY, rate=25.0)
    ...     Path(f"{folder}/dance.glb").read_bytes()[:4]
    b'glTF'
    """
    rotations, root = solve(path, positions, skeleton, rate)
    tree, data = nodes(skeleton), _Data()
    turned = {k: node.turned for k, node in enumerate(tree) if node.turned is not None}
    turns = {k: _quaternions(rotations[:, joint]) for k, joint in turned.items()}
    scene = [_node(node, turns.get(k)) for k, node in enumerate(tree)]
    for k, node in enumerate(tree[1:], 1):
        scene[node.parent].setdefault("children", []).append(k)
    scene[0]["translation"] = root[0].tolist()
    meshes, materials = _meshes(data)
    for k, joint in turned.items():
        if joint != skeleton.root and skeleton.lengths[joint] > 0:
            scene[k].setdefault("children", []).append(len(scene))
            scene.append(_bone(skeleton, joint))
    content = {
        "asset": {"version": "2.0", "generator": "monge"},
        "scene": 0,
        "scenes": [{"name": "dance", "nodes": [0]}],
        "nodes": scene,
        "meshes": meshes,
        "materials": materials,
        "animations": [_animation(data, turns, root, rate)],
        "accessors": data.accessors,
        "bufferViews": data.views,
        "buffers": [{"byteLength": len(data.content)}],
    }
    save(path, _pack(content, bytes(data.content)))


class _Data:
    """The binary part of a file: rows of float32 numbers, one after the other."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, rows: _Array, *, bounds: bool = False, target: int | None = None) -> int:
        """Store rows (n,) or (n, k) and return the number of their accessor."""
        stored = np.ascontiguousarray(rows, "<f4")
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": stored.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        self.content += stored.tobytes()
        kind = "SCALAR" if stored.ndim == 1 else f"VEC{stored.shape[1]}"
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _FLOAT,
            "count": len(stored),
            "type": kind,
        }
        if bounds:
            columns = stored.reshape(len(stored), -1)
            accessor |= {"min": columns.min(0).tolist(), "max": columns.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _quaternions(rotations: Tensor) -> _Array:
    """Convert rotations (T, 3, 3) to quaternions (T, 4) in glTF's order x, y, z, w.

    Of q and −q the one nearer to the frame before is chosen.
    """
    q = to_quaternion(rotations)
    flips = torch.where((q[1:] * q[:-1]).sum(-1) < 0, -1.0, 1.0).cumprod(0)
    q = torch.cat([q[:1], q[1:] * flips[:, None]])
    return q[:, [1, 2, 3, 0]].numpy()


def _node(node: Node, turns: _Array | None) -> dict[str, Any]:
    """Return a node in the pose of the first frame."""
    content: dict[str, Any] = {"name": node.name, "translation": list(node.offset)}
    return content if turns is None else {**content, "rotation": turns[0].tolist()}


def _animation(data: _Data, turns: dict[int, _Array], root: Tensor, rate: float) -> dict[str, Any]:
    time = data.add(np.arange(len(root)) / rate, bounds=True)
    targets = [(0, "translation", root.numpy()), *((k, "rotation", q) for k, q in turns.items())]
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []
    for k, path, rows in targets:
        channels.append({"sampler": len(samplers), "target": {"node": k, "path": path}})
        samplers.append({"input": time, "interpolation": "LINEAR", "output": data.add(rows)})
    return {"name": "dance", "samplers": samplers, "channels": channels}


def _meshes(data: _Data) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return meshes and materials: an octahedron along y, from 0 to 1, in each of the colors."""
    corners, normals = _octahedron()
    position = data.add(corners, bounds=True, target=_VERTICES)
    attributes = {"POSITION": position, "NORMAL": data.add(normals, target=_VERTICES)}
    meshes, materials = [], []
    for k, (side, color) in enumerate(_COLORS.items()):
        primitive = {"attributes": attributes, "material": k}
        meshes.append({"name": f"bone of the {side}", "primitives": [primitive]})
        surface = {"baseColorFactor": [*color, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.6}
        materials.append({"name": side, "pbrMetallicRoughness": surface})
    return meshes, materials


def _octahedron() -> tuple[_Array, _Array]:
    """Return corners and normals (24, 3) of eight triangles, counterclockwise seen from outside."""
    w = _WAIST
    waist = np.array([[0.5, w, 0.0], [0.0, w, -0.5], [-0.5, w, 0.0], [0.0, w, 0.5]])
    ends = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    upper = [[waist[k], waist[(k + 1) % 4], ends[1]] for k in range(4)]
    lower = [[waist[(k + 1) % 4], waist[k], ends[0]] for k in range(4)]
    faces = np.array(upper + lower)
    normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return faces.reshape(24, 3), normals.repeat(3, 0)


def _bone(skeleton: Skeleton, joint: int) -> dict[str, Any]:
    """Return the node of the mesh for the bone to a joint, relative to the node that rotates it."""
    length = skeleton.lengths[joint]
    thick = min(max(length / 5, _THICKNESS[0]), _THICKNESS[1])
    direction = rest_directions(skeleton)[skeleton.bones.index(joint)].double()
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    w, x, y, z = to_quaternion(between(up, direction)).tolist()
    words = skeleton.joints[joint].split()
    side = "left" if "left" in words else "right" if "right" in words else "middle"
    name = f"bone_to_{'_'.join(words)}"
    return {
        "name": name,
        "mesh": list(_COLORS).index(side),
        "rotation": [x, y, z, w],
        "scale": [thick, length, thick],
    }


def _pack(content: dict[str, Any], binary: bytes) -> bytes:
    """Assemble a file: a header, then the chunks of text and of numbers, padded to 4 bytes."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
