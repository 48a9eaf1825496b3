r"""Geometric features of a dance: how often relations between joints hold.

    Müller, Röder & Clausen, "Efficient content-based retrieval of motion capture data", ACM ToG
        2005   [muller2005]
    Müller & Röder, "Motion templates for automatic classification and retrieval of motion capture
        data", SCA 2006 (the table of relations)   [muller2006]
    Gopinath & Won, "fairmotion: tools to load, process and visualize motion capture data", 2020
        [gopinath2020]

===========  ==========================================================================
kind         value that is compared with the threshold, for four points 1, 2, 3, 4
===========  ==========================================================================
``move``     speed of 4 relative to 3, along the direction from 1 to 2
``normal``   speed of 4 relative to 1, along the normal of the plane through 1, 2, 3
``beyond``   distance of 4 beyond 3, along the direction from 1 to 2
``plane``    height of 4 above the plane through 1, 2, 3
``fast``     speed of 4
``angle``    angle between 1 → 2 and 3 → 4; it must lie inside an interval of degrees
===========  ==========================================================================

The normal of a plane points along (3 − 1) × (2 − 1). Thresholds are in lengths of the body: ``hl``
is the length of the humerus, ``sw`` and ``hw`` are the widths of the shoulders and of the hips.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from monge.dance.motion.skeleton import Skeleton, check_motion

# kind, points, interval, unit of the interval
Row = tuple[str, tuple[str, ...], tuple[float, float], str]
# rows, points (4, rows), intervals, units
_Table = tuple[list[int], list[list[int]], list[list[float]], list[str]]
_BOTH = (("right ", "left "), ("left ", "right "))


def _pair(
    kind: str, points: str, low: float, high: float = torch.inf, unit: str = "hl"
) -> list[Row]:
    """Return a relation of the right side, and the same of the left.

    In ``points`` R stands for the side itself and L for the other one.
    """
    rows: list[Row] = []
    unit = "degree" if kind == "angle" else unit
    for own, other in _BOTH:
        names = (point.replace("R", own).replace("L", other) for point in points.split())
        rows.append((kind, tuple(names), (low, high), unit))
    return rows


def _one(kind: str, points: str, low: float, high: float = torch.inf, unit: str = "hl") -> Row:
    return _pair(kind, points, low, high, unit)[0]


RELATIONS: tuple[Row, ...] = (
    _one("normal", "neck Lhip Rhip Rwrist", 1.8),  # hands move forwards
    _one("normal", "neck Lhip Rhip Lwrist", 1.8),
    *_pair("beyond", "breast neck neck Rwrist", 0.2),  # hand above the neck
    *_pair("move", "spine breast breast Rwrist", 1.8),  # hand moves up
    *_pair("angle", "Relbow Rshoulder Relbow Rwrist", 0, 110),  # elbow bent
    _one("beyond", "Lshoulder Rshoulder Lwrist Rwrist", 2.5, unit="sw"),  # hands far apart
    _one("move", "Lwrist Rwrist Rwrist Lwrist", 1.4),  # hands approach each other
    *_pair("move", "Rwrist pelvis Rwrist pelvis", 1.4),  # hand leaves the root
    *_pair("fast", "zero zero zero Rwrist", 2.5),
    _one("plane", "pelvis Lhip Ltoe Rankle", 0.38),  # foot before the other leg
    _one("plane", "pelvis Rtoe Rhip Lankle", 0.38),
    *_pair("beyond", "zero up floor Rankle", 1.2),  # foot raised
    _one("beyond", "Lhip Rhip Lankle Rankle", 2.1, unit="hw"),  # feet far apart
    *_pair("angle", "Rknee Rhip Rknee Rankle", 0, 110),  # knee bent
    *_pair("fast", "zero zero zero Rankle", 2.5),
    *_pair("angle", "neck pelvis Rshoulder Relbow", 25, 180),  # arm away from the body
    *_pair("angle", "neck pelvis Rhip Rknee", 50, 180),  # leg away from the body
    _one("plane", "Rankle neck Lankle pelvis", 0.5),  # root before the frontal plane
    _one("angle", "neck pelvis zero up", 70, 110),  # spine horizontal
    *_pair("beyond", "zero down floor Rwrist", -1.2),  # hand lowered
    _one("fast", "zero zero zero pelvis", 2.3),
)
"""The 32 relations of [muller2006] that [gopinath2020] chose, in that order."""

_AS_PUBLISHED = {
    0: _one("normal", "neck Rhip Lhip Rwrist", 1.8),
    4: _one("move", "spine breast spine breast", 1.8),
    5: _one("move", "spine breast spine breast", 1.8),
    9: _one("move", "Lwrist Rwrist Lwrist Rwrist", 1.4),
    10: _one("move", "Rwrist pelvis Rwrist Lwrist", 1.4),
    11: _one("move", "Lwrist pelvis Lwrist Rwrist", 1.4),
    15: _one("plane", "pelvis Rhip Rtoe Lankle", 0.38),
}
_PUBLISHED = tuple(_AS_PUBLISHED.get(k, row) for k, row in enumerate(RELATIONS))
_PUBLISHED_RATE = 120.0
_PUBLISHED_LENGTHS = {"hl": 0.256838, "sw": 0.390848, "hw": 0.119247}  # meters

_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
_PARTS = ("neck", "pelvis", *(f"{side} {part}" for side in ("left", "right") for part in _LIMBS))
_TINY = 1e-12  # meters; shorter vectors have no direction


def geometric_features(
    positions: Tensor, skeleton: Skeleton, rate: float, *, published: bool = False
) -> Tensor:
    r"""Compute the share of the frames in which each of 32 relations between joints holds.

    Relations are raised hands, bent knees, feet far apart, fast hands, …

    .. math:: \frac1{T-1} \sum_{t=1}^{T-1} \bigl[\,\theta_k < F_k(p_t, p_{t-1}) < \theta'_k\,\bigr]

    with the functions F and thresholds θ of `RELATIONS`. If a skeleton has no spine and breast,
    they are placed at a quarter and half the way from pelvis to neck. The other joints must have
    their usual names.

    Source: [muller2005], [muller2006]; the choice of 32 is that of [gopinath2020].

    Raises ValueError for another shape or skeleton, fewer than 2 frames, and values that are not
    finite.

    Parameters
    ----------
    positions : Tensor (..., T, J, 3)
        Meters, y up; T ≥ 2. Lengths of the body are means over the motion and both sides, so that
        the features do not depend on its size.
    skeleton : Skeleton
    rate : float
        Frames per second.
    published : bool
        Use the relations of the public evaluators. Speeds assume 1/120 s between frames at any
        rate. Lengths are those of an average body. "Hand moves up" measures the breast relative to
        the spine, so both features are always 0. "Hands approach each other" counts hands that move
        apart. "Hand leaves the root" measures the other hand relative to this one. "Hand moves
        forward" has the wrong sign for the right hand, "foot before the other leg" for the left
        foot.

    Returns
    -------
    Tensor (..., 32)
        Shares in [0, 1]. They are invariant to translations, to turns about the vertical and
        (unless ``published``) to the size of the body; mirroring exchanges the features of right
        and left (unless ``published``).

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> still = rest(MELODY).expand(50, 23, 3)
    >>> features = geometric_features(still, MELODY, rate=25.0)
    >>> [k for k, share in enumerate(features) if share]  # hands far apart, arms held out
    [8, 23, 24]
    """
    p = check_motion(positions, rate=rate, least=2, skeleton=skeleton)
    points, names = _points(p, skeleton)
    if published:
        lengths = {name: p.new_tensor(value) for name, value in _PUBLISHED_LENGTHS.items()}
    else:
        lengths = _lengths(p, skeleton)
    lengths["degree"] = p.new_tensor(1.0)
    now, before = points[..., 1:, :, :], points[..., :-1, :, :]
    rate = _PUBLISHED_RATE if published else rate
    shares, order = [], []
    for kind, (rows, index, interval, units) in _compiled(published, names).items():
        value = _measure(kind, now[..., index, :], before[..., index, :], rate)
        unit = torch.stack([lengths[name] for name in units], -1).unsqueeze(-2)
        low, high = p.new_tensor(interval).unbind(-1)
        holds = (value > low * unit) & (value < high * unit)
        shares.append(holds.to(p.dtype).mean(-2))
        order += rows
    return torch.cat(shares, -1)[..., torch.tensor(order, device=p.device).argsort()]


@lru_cache
def _compiled(published: bool, names: tuple[str, ...]) -> dict[str, _Table]:
    """Return for each kind its rows, the indices (4, rows) of points, the intervals and units."""
    table = _PUBLISHED if published else RELATIONS
    tables: dict[str, _Table] = {}
    for kind in dict.fromkeys(row[0] for row in table):
        rows = [k for k, row in enumerate(table) if row[0] == kind]
        index = [[names.index(table[k][1][corner]) for k in rows] for corner in range(4)]
        intervals, units = [list(table[k][2]) for k in rows], [table[k][3] for k in rows]
        tables[kind] = (rows, index, intervals, units)
    return tables


def _measure(kind: str, now: Tensor, before: Tensor, rate: float) -> Tensor:
    """Compute values (..., T, rows) of one kind for points (..., T, 4, rows, 3)."""
    a, b, c, d = now.unbind(-3)
    if kind == "fast":
        return (d - before[..., 3, :, :]).norm(dim=-1) * rate
    axis, relative = b - a, d - c
    if kind in ("normal", "plane"):
        axis, relative = torch.linalg.cross(c - a, axis), d - a
    length = axis.norm(dim=-1)
    if kind == "angle":
        cosine = (axis * relative).sum(-1) / (length * relative.norm(dim=-1)).clamp_min(_TINY)
        return cosine.clamp(-1, 1).acos().rad2deg()
    if kind in ("move", "normal"):
        base = before[..., 2 if kind == "move" else 0, :, :]
        relative = (relative - (before[..., 3, :, :] - base)) * rate
    return (axis * relative).sum(-1) / length.clamp_min(_TINY)


def _points(p: Tensor, skeleton: Skeleton) -> tuple[Tensor, tuple[str, ...]]:
    """Return the joints and the further points of the relations (..., T, J + k, 3), and names."""
    names = skeleton.joints
    missing = [name for name in _PARTS if name not in names]
    if missing:
        raise ValueError(
            f"geometric features need joints that the skeleton '{skeleton.name}' lacks: "
            f"{', '.join(missing)}"
        )
    neck, pelvis = p[..., names.index("neck"), :], p[..., names.index("pelvis"), :]
    up = p.new_tensor([0.0, 1.0, 0.0])
    more = {
        "zero": torch.zeros_like(neck),
        "up": up.expand_as(neck),
        "down": -up.expand_as(neck),
        "floor": p[..., 1].amin(-1, keepdim=True) * up,
        "spine": pelvis.lerp(neck, 0.25),
        "breast": pelvis.lerp(neck, 0.5),
    }
    more = {name: point for name, point in more.items() if name not in names}
    return torch.cat([p, torch.stack(list(more.values()), -2)], -2), (*names, *more)


def _lengths(p: Tensor, skeleton: Skeleton) -> dict[str, Tensor]:
    """Return the lengths of the body, (...) each."""

    def distance(one: str, other: str) -> Tensor:
        ends = p[..., [skeleton.joints.index(one), skeleton.joints.index(other)], :]
        return ends.diff(dim=-2).norm(dim=-1).mean((-1, -2))

    left, right = (distance(f"{side} shoulder", f"{side} elbow") for side in ("left", "right"))
    return {
        "hl": (left + right) / 2,
        "sw": distance("left shoulder", "right shoulder"),
        "hw": distance("left hip", "right hip"),
    }
