"""CPU time of features of dances, vectorized and with one Python loop per joint and frame.

    python -m benchmarks dance-metrics

Writes benchmarks/results/dance-metrics.json. The loops compute the same formulas as public
evaluators do, with numpy on single vectors, in float64. Times are CPU seconds on one thread, the
best of three for what is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common.command import make_parser
from benchmarks.common.cost import timed
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result
from monge.dance.metrics import RELATIONS, geometric_features, kinetic_features
from monge.dance.motion import MELODY, SMPL, Skeleton, rest

_RATE, _FRAMES = 25.0, 100
_VIRTUAL = {"zero": (0.0, 0.0, 0.0), "up": (0.0, 1.0, 0.0), "down": (0.0, -1.0, 0.0)}

Motion = np.ndarray[Any, np.dtype[np.float64]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("dance-metrics", __doc__)
    parser.add_argument("--windows", type=int, default=24)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    features: dict[str, dict[str, float]] = {}
    for skeleton in (MELODY, SMPL):
        x = motions(skeleton, args.windows)
        features[f"kinetic, {skeleton.name}"] = compare(
            x, partial(kinetic_features, rate=_RATE), kinetic_loop
        )
        features[f"geometric, {skeleton.name}"] = compare(
            x,
            partial(geometric_features, skeleton=skeleton, rate=_RATE),
            partial(geometric_loop, skeleton=skeleton),
        )
    for name, row in features.items():
        print(name, row)
    result = {
        "windows": args.windows,
        "frames": _FRAMES,
        "min_times_faster": min(row["times_faster"] for row in features.values()),
        "max_difference": max(row["max_difference"] for row in features.values()),
        "features": features,
    }
    write_result(results_file("dance-metrics"), result | provenance())


def motions(skeleton: Skeleton, n: int, frames: int = _FRAMES, seed: int = 0) -> Tensor:
    """Return bodies (n, frames, J, 3) that walk and move each joint by a sum of five sines."""
    rng = torch.Generator().manual_seed(seed)
    size = (n, 1, skeleton.size, 3)
    t = torch.arange(frames, dtype=torch.float64)[:, None, None] / _RATE
    x = (
        rest(skeleton).double()
        + t * torch.randn(n, 1, 1, 3, generator=rng, dtype=torch.float64) / 2
    )
    for _ in range(5):
        height, pitch, phase = torch.rand(3, *size, generator=rng, dtype=torch.float64)
        x = x + 0.1 * height * (2 * torch.pi * (2 * pitch * t + phase)).sin()
    return x


def compare(
    x: Tensor, fast: Callable[[Tensor], Tensor], slow: Callable[[Motion], list[float]]
) -> dict[str, float]:
    """Return the CPU time of both, and the largest difference of their features."""

    def loop() -> Tensor:
        return torch.tensor([slow(motion) for motion in x.numpy()], dtype=torch.float64)

    fast(x)
    runs = [timed(fast, x) for _ in range(3)]
    features, seconds = runs[0][0], min(cost["cpu_seconds"] for _, cost in runs)
    expected, cost = timed(loop)
    return {
        "loop_cpu_seconds": cost["cpu_seconds"],
        "cpu_seconds": seconds,
        "times_faster": cost["cpu_seconds"] / seconds,
        "max_difference": (features - expected).abs().max().item(),
    }


def kinetic_loop(p: Motion, rate: float = _RATE) -> list[float]:
    """Return kinetic features of one motion (T, J, 3), by loops over joints and frames."""
    features: list[float] = []
    last = len(p) - 1
    for j in range(p.shape[1]):
        horizontal = vertical = expenditure = 0.0
        for t in range(1, last + 1):
            steps = [p[s, j] - p[s - 1, j] for s in range(t - 2, t + 3) if 1 <= s <= last]
            bends = [
                p[s + 1, j] - 2 * p[s, j] + p[s - 1, j]
                for s in range(t - 2, t + 3)
                if 1 <= s < last
            ]
            v, a = sum(steps) / len(steps) * rate, sum(bends) / len(bends) * rate**2
            horizontal, vertical = horizontal + v[0] ** 2 + v[2] ** 2, vertical + v[1] ** 2
            expenditure += float(np.linalg.norm(a))
        features += [horizontal / last, vertical / last, expenditure / last]
    return features


def geometric_loop(p: Motion, skeleton: Skeleton, rate: float = _RATE) -> list[float]:
    """Return geometric features of one motion (T, J, 3), by loops over frames and relations."""
    length = lengths(p, skeleton)
    counts = [0] * len(RELATIONS)
    for t in range(1, len(p)):
        for k, (kind, points, (low, high), unit) in enumerate(RELATIONS):
            now, before = [[point(p[s], name, skeleton) for name in points] for s in (t, t - 1)]
            measured = value(kind, now, before, rate)
            counts[k] += bool(low * length[unit] < measured < high * length[unit])
    return [count / (len(p) - 1) for count in counts]


def value(kind: str, now: Sequence[Motion], before: Sequence[Motion], rate: float) -> float:
    """Return what a relation compares with its bounds, from its points in two frames."""
    a, b, c, d = now
    if kind == "fast":
        return float(np.linalg.norm(d - before[3])) * rate
    if kind == "angle":
        cosine = np.dot(b - a, d - c) / (np.linalg.norm(b - a) * np.linalg.norm(d - c))
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    direction = np.cross(c - a, b - a) if kind in ("plane", "normal") else b - a
    direction = direction / np.linalg.norm(direction)
    vectors = {
        "beyond": d - c,
        "plane": d - a,
        "move": ((d - c) - (before[3] - before[2])) * rate,
        "normal": ((d - a) - (before[3] - before[0])) * rate,
    }
    return float(np.dot(direction, vectors[kind]))


def point(pose: Motion, name: str, skeleton: Skeleton) -> Motion:
    """Return a joint, a point between joints, or a virtual one."""
    if name in skeleton.joints:
        return pose[skeleton.joints.index(name)]
    if name == "floor":
        return np.array([0.0, min(y for _, y, _ in pose), 0.0])
    if name in _VIRTUAL:
        return np.array(_VIRTUAL[name])
    neck, pelvis = (pose[skeleton.joints.index(end)] for end in ("neck", "pelvis"))
    return pelvis + {"spine": 0.25, "breast": 0.5}[name] * (neck - pelvis)


def lengths(p: Motion, skeleton: Skeleton) -> dict[str, float]:
    """Return the units of the bounds: humerus, shoulder and hip width, degree."""

    def between(one: str, other: str) -> float:
        i, j = skeleton.joints.index(one), skeleton.joints.index(other)
        return float(np.mean([np.linalg.norm(pose[i] - pose[j]) for pose in p]))

    humerus = (
        between("left shoulder", "left elbow") + between("right shoulder", "right elbow")
    ) / 2
    return {
        "hl": humerus,
        "sw": between("left shoulder", "right shoulder"),
        "hw": between("left hip", "right hip"),
        "degree": 1.0,
    }
