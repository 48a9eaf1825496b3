"""Features of dances, vectorized against one Python loop per joint and frame; writes
benchmarks/results/dance-metrics.json.

    python benchmarks/dance_metrics.py

The loops say the same formulas the way the public evaluators do, with numpy on single vectors, in
float64. Times are CPU seconds on one thread, the best of three for what is fast.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.dance.metrics import RELATIONS, geometric_features, kinetic_features
from monge.dance.motion import MELODY, SMPL, Skeleton, rest

_RATE, _FRAMES = 25.0, 100
_VIRTUAL = {"zero": (0.0, 0.0, 0.0), "up": (0.0, 1.0, 0.0), "down": (0.0, -1.0, 0.0)}

Motion = np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    from reproduce import RESULTS, surroundings

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=24)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, float]] = {}
    for skeleton in (MELODY, SMPL):
        x = motions(skeleton, args.windows)
        for kind, fast, slow in (
            ("kinetic", lambda y: kinetic_features(y, _RATE), kinetic_loop),
            (
                "geometric",
                lambda y, s=skeleton: geometric_features(y, s, _RATE),
                lambda y, s=skeleton: geometric_loop(y, s),
            ),
        ):
            found[f"{kind}, {skeleton.name}"] = compared(x, fast, slow)
            print(kind, skeleton.name, found[f"{kind}, {skeleton.name}"])
    ratio = min(figures["times_faster"] for figures in found.values())
    difference = max(figures["max_difference"] for figures in found.values())
    result = {
        "windows": args.windows,
        "frames": _FRAMES,
        "min_times_faster": ratio,
        "max_difference": difference,
        "features": found,
    }
    (RESULTS / "dance-metrics.json").write_text(
        json.dumps(result | surroundings(), indent=2) + "\n"
    )


def motions(skeleton: Skeleton, n: int, frames: int = _FRAMES, seed: int = 0) -> Tensor:
    """Bodies (n, frames, J, 3) that sway, walk and swing each joint by a sum of five sines."""
    g = torch.Generator().manual_seed(seed)
    size = (n, 1, skeleton.size, 3)
    t = torch.arange(frames, dtype=torch.float64)[:, None, None] / _RATE
    x = rest(skeleton).double() + t * torch.randn(n, 1, 1, 3, generator=g, dtype=torch.float64) / 2
    for _ in range(5):
        height, pitch, phase = torch.rand(3, *size, generator=g, dtype=torch.float64)
        x = x + 0.1 * height * (2 * torch.pi * (2 * pitch * t + phase)).sin()
    return x


def compared(
    x: Tensor, fast: Callable[[Tensor], Tensor], slow: Callable[[Motion], list[float]]
) -> dict[str, float]:
    fast(x)
    fast_seconds, features = min(
        (timed(lambda: fast(x)) for _ in range(3)), key=lambda pair: pair[0]
    )
    slow_seconds, expected = timed(
        lambda: torch.tensor([slow(motion) for motion in x.numpy()], dtype=torch.float64)
    )
    return {
        "loop_cpu_seconds": slow_seconds,
        "cpu_seconds": fast_seconds,
        "times_faster": slow_seconds / fast_seconds,
        "max_difference": (features - expected).abs().max().item(),
    }


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def kinetic_loop(p: Motion, rate: float = _RATE) -> list[float]:
    """Kinetic features of one motion (T, J, 3), joint after joint and frame after frame."""
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
    """Geometric features of one motion (T, J, 3), relation after relation and frame after frame."""
    length = lengths(p, skeleton)
    counts = [0] * len(RELATIONS)
    for t in range(1, len(p)):
        for k, (kind, points, (low, high), unit) in enumerate(RELATIONS):
            now, before = [[point(p[s], name, skeleton) for name in points] for s in (t, t - 1)]
            counts[k] += bool(
                low * length[unit] < value(kind, now, before, rate) < high * length[unit]
            )
    return [count / (len(p) - 1) for count in counts]


def value(kind: str, now: Sequence[Motion], before: Sequence[Motion], rate: float) -> float:
    a, b, c, d = now
    if kind == "fast":
        return float(np.linalg.norm(d - before[3])) * rate
    if kind == "angle":
        cosine = np.dot(b - a, d - c) / (np.linalg.norm(b - a) * np.linalg.norm(d - c))
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    across = np.cross(c - a, b - a)
    way = (
        across / np.linalg.norm(across)
        if kind in ("plane", "normal")
        else (b - a) / np.linalg.norm(b - a)
    )
    move = {"move": (d - c) - (before[3] - before[2]), "normal": (d - a) - (before[3] - before[0])}
    seen = {"beyond": d - c, "plane": d - a}.get(kind)
    return float(np.dot(way, move[kind] * rate if seen is None else seen))


def point(pose: Motion, name: str, skeleton: Skeleton) -> Motion:
    if name in skeleton.joints:
        return pose[skeleton.joints.index(name)]
    if name == "floor":
        return np.array([0.0, min(y for _, y, _ in pose), 0.0])
    if name in _VIRTUAL:
        return np.array(_VIRTUAL[name])
    neck, pelvis = (pose[skeleton.joints.index(end)] for end in ("neck", "pelvis"))
    return pelvis + {"spine": 0.25, "breast": 0.5}[name] * (neck - pelvis)


def lengths(p: Motion, skeleton: Skeleton) -> dict[str, float]:
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


if __name__ == "__main__":
    main()
