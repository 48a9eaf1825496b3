"""Binary glTF, the format of 3-D scenes that viewers, browsers and game engines open: a figure that
dances.

    Khronos Group, "glTF 2.0 specification", 2021    [khronos2021]

Meters, seconds, y up, the figure looks along z: glTF's own axes and units. Each bone is a thin
octahedron below the node that turns it, blue on the left side, orange on the right. Between frames
viewers turn the nodes along the shortest way.
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
_VERTICES = 34962  # what a buffer view of vertices is for
_COLORS = {"left": (0.10, 0.35, 0.80), "right": (0.90, 0.40, 0.10), "middle": (0.45, 0.45, 0.50)}
_WAIST = 0.2  # where a bone is thickest, as a share of its length
_THICKNESS = (0.02, 0.06)  # meters

_Array = NDArray[np.floating[Any]]


def write_glb(path: str | Path, positions: Tensor, skeleton: Skeleton, rate: float) -> None:
    """Write a dance (T, J, 3) as a binary glTF file (.glb): one animation, a node for each joint,
    and bones to be seen.

    The frames put the joints within 10⁻⁴ m of where they were. Parameters and errors are those of
    `write_bvh`.

    >>> import tempfile
    >>> from monge.dance.motion import MELODY, rest
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_glb(f"{folder}/dance.glb", rest(MELODY).expand(3, 23, 3), MELODY, rate=25.0)
    ...     Path(f"{folder}/dance.glb").read_bytes()[:4]
    b'glTF'
    """
    rotations, root = solve(path, positions, skeleton, rate)
    tree, data = nodes(skeleton), _Data()
    turns = {
        k: _turns(rotations[:, node.turned])
        for k, node in enumerate(tree)
        if node.turned is not None
    }
    scene = [_node(node, turns.get(k)) for k, node in enumerate(tree)]
    for k, node in enumerate(tree[1:], 1):
        scene[node.parent].setdefault("children", []).append(k)
    scene[0]["translation"] = root[0].tolist()
    meshes, materials = _meshes(data)
    for k, node in enumerate(tree):
        if (
            node.turned is not None
            and node.turned != skeleton.root
            and skeleton.lengths[node.turned] > 0
        ):
            scene[k].setdefault("children", []).append(len(scene))
            scene.append(_bone(skeleton, node.turned))
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
    """The binary part: rows of float32 numbers, one after the other."""

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


def _turns(rotations: Tensor) -> _Array:
    """Quaternions (T, 4) in glTF's order x, y, z, w; of q and −q the one nearer to the frame
    before.
    """
    q = to_quaternion(rotations)
    flips = torch.where((q[1:] * q[:-1]).sum(-1) < 0, -1.0, 1.0).cumprod(0)
    q = torch.cat([q[:1], q[1:] * flips[:, None]])
    return q[:, [1, 2, 3, 0]].numpy()


def _node(node: Node, turns: _Array | None) -> dict[str, Any]:
    """A node in the pose of the first frame."""
    found: dict[str, Any] = {"name": node.name, "translation": list(node.offset)}
    return found if turns is None else {**found, "rotation": turns[0].tolist()}


def _animation(data: _Data, turns: dict[int, _Array], root: Tensor, rate: float) -> dict[str, Any]:
    time = data.add(np.arange(len(root)) / rate, bounds=True)
    targets = [(0, "translation", root.numpy()), *((k, "rotation", q) for k, q in turns.items())]
    samplers = [
        {"input": time, "interpolation": "LINEAR", "output": data.add(rows)}
        for _, _, rows in targets
    ]
    channels = [
        {"sampler": s, "target": {"node": k, "path": path}}
        for s, (k, path, _) in enumerate(targets)
    ]
    return {"name": "dance", "samplers": samplers, "channels": channels}


def _meshes(data: _Data) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """An octahedron along y, from 0 to 1, in each of the colors."""
    corners, normals = _octahedron()
    position = data.add(corners, bounds=True, target=_VERTICES)
    attributes = {"POSITION": position, "NORMAL": data.add(normals, target=_VERTICES)}
    meshes = [
        {"name": f"bone of the {side}", "primitives": [{"attributes": attributes, "material": k}]}
        for k, side in enumerate(_COLORS)
    ]
    materials = [
        {
            "name": side,
            "pbrMetallicRoughness": {
                "baseColorFactor": [*color, 1.0],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.6,
            },
        }
        for side, color in _COLORS.items()
    ]
    return meshes, materials


def _octahedron() -> tuple[_Array, _Array]:
    """Corners and normals (24, 3) of eight triangles, anticlockwise seen from outside."""
    waist = np.array(
        [[0.5, _WAIST, 0.0], [0.0, _WAIST, -0.5], [-0.5, _WAIST, 0.0], [0.0, _WAIST, 0.5]]
    )
    ends = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    upper = [[waist[k], waist[(k + 1) % 4], ends[1]] for k in range(4)]
    lower = [[waist[(k + 1) % 4], waist[k], ends[0]] for k in range(4)]
    faces = np.array(upper + lower)
    normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return faces.reshape(24, 3), normals.repeat(3, 0)


def _bone(skeleton: Skeleton, joint: int) -> dict[str, Any]:
    """The node that shows the bone to a joint, as seen from the node that turns it."""
    length = skeleton.lengths[joint]
    thick = min(max(length / 5, _THICKNESS[0]), _THICKNESS[1])
    direction = rest_directions(skeleton)[skeleton.bones.index(joint)].double()
    w, x, y, z = to_quaternion(
        between(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), direction)
    ).tolist()
    side = next(
        (side for side in ("left", "right") if side in skeleton.joints[joint].split()), "middle"
    )
    name = f"bone_to_{skeleton.joints[joint].replace(' ', '_')}"
    return {
        "name": name,
        "mesh": list(_COLORS).index(side),
        "rotation": [x, y, z, w],
        "scale": [thick, length, thick],
    }


def _pack(content: dict[str, Any], binary: bytes) -> bytes:
    """The chunks of text and of numbers behind a header; each a multiple of 4 bytes long."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(binary), b"BIN\0")
        + binary
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
