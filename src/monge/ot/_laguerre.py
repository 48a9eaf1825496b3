"""Laguerre cells in the plane, and the potential that gives the cells prescribed areas.

    Kitagawa, Mérigot & Thibert, "Convergence of a Newton algorithm for semi-discrete optimal
    transport", JEMS 2019 [kitagawa2019]

    y_j, ψ_j     targets and their potentials
    cell j       {x in the box : |x − y_j|² − ψ_j is the least}
    h_j          x ↦ 2 x·y_j − |y_j|² + ψ_j; cell j is where h_j is the largest

The graph of max_j h_j over the box is the lower boundary of a convex polyhedron, which a lid bounds
from above. The projections of its facets are the cells, already clipped to the box. Qhull computes
the polyhedron as the hull of the dual points: a triangle of the hull is a corner where three cells
(or walls) meet, and an edge of the hull is a side between two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

_HALVINGS = 40


@dataclass(frozen=True)
class Box:
    """The uniform measure on a box: ``Box((0, 0), (1, 1))`` is the unit square.

    ``box(n, generator)`` draws n points, (n, d), in any dimension. In the plane `SemiDiscrete.fit`
    computes its cells exactly.

    >>> Box((0, 0), (2, 1)).volume
    2.0
    """

    lo: tuple[float, ...]
    hi: tuple[float, ...]

    def __post_init__(self) -> None:
        lo, hi = self.lo, self.hi
        if len(lo) != len(hi) or not all(s < t for s, t in zip(lo, hi, strict=True)):
            raise ValueError(f"Box needs lo < hi in every coordinate, got lo={lo} and hi={hi}")

    @property
    def volume(self) -> float:
        """The product of the side lengths."""
        return float(np.prod(np.subtract(self.hi, self.lo)))

    def __call__(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n points, (n, d), in float64."""
        lo = torch.tensor(self.lo, dtype=torch.float64)
        hi = torch.tensor(self.hi, dtype=torch.float64)
        u = torch.rand(n, len(self.lo), generator=generator, dtype=torch.float64)
        return lo + (hi - lo) * u


@dataclass(frozen=True)
class _Diagram:
    """Sides of the cells.

    Side s runs from ``start[s]`` to ``end[s]`` and separates the cells ``left[s]`` and
    ``right[s]``; an index of at least m is a wall of the box.
    """

    m: int
    left: Indices
    right: Indices
    start: Array
    end: Array

    def areas(self) -> Array:
        """Return the area of each cell (m,); empty cells have area 0.

        Each side spans a triangle with the center of its cell.
        """
        cell = np.concatenate([self.left, self.right])
        start, end = np.concatenate([self.start, self.start]), np.concatenate([self.end, self.end])
        inside = cell < self.m
        cell, start, end = cell[inside], start[inside], end[inside]
        sides = np.maximum(np.bincount(cell, minlength=self.m), 1)
        middle = (start + end) / 2
        centers = np.stack([np.bincount(cell, middle[:, k], self.m) / sides for k in (0, 1)], 1)
        u, v = start - centers[cell], end - centers[cell]
        twice = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
        return np.asarray(np.bincount(cell, twice / 2, self.m), dtype=np.float64)


def laguerre_cells(y: Tensor, psi: Tensor, box: Box) -> list[Tensor]:
    r"""Compute the Laguerre cells in the plane, clipped to a box.

    .. math::

        L_j = \{x \in \text{box} : |x - y_j|^2 - \psi_j \le |x - y_k|^2 - \psi_k
                \text{ for all } k\}

    ``y`` is (m, 2), ``psi`` (m,). The result is a list of m tensors; the j-th is (v_j, 2) and holds
    the corners of cell j, counter-clockwise, in the dtype and on the device of y. A hidden cell has
    no corners. Of equal targets with equal potentials only one has a cell.

    >>> y = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> left, right = laguerre_cells(y, torch.zeros(2), Box((0, 0), (1, 1)))
    >>> left.max(0).values
    tensor([0.5000, 1.0000])
    """
    targets = y.detach().double().cpu().numpy()
    _planar(targets, box)
    if psi.shape != y.shape[:1]:
        raise ValueError(
            f"psi has shape {tuple(psi.shape)} for {len(y)} targets: give one number per target"
        )
    diagram = _diagram(targets, psi.detach().double().cpu().numpy(), box)
    corners: list[list[Array]] = [[] for _ in range(diagram.m)]
    sides = zip(diagram.left, diagram.right, diagram.start, diagram.end, strict=True)
    for i, j, start, end in sides:
        for cell in (i, j):
            if cell < diagram.m:
                corners[cell] += [start, end]
    return [torch.from_numpy(_in_order(c)).to(y) for c in corners]


def fit_areas(y: Tensor, b: Tensor, box: Box, tol: float, max_iter: int) -> tuple[Tensor, float]:
    """Return the potential (m,) that gives each cell the share b > 0 of the box, and the error.

    The error is max |share − b|. The semi-dual is maximized by a damped Newton method. Equal
    targets share one potential.
    """
    targets = y.detach().double().cpu().numpy()
    _planar(targets, box)
    unique, back = np.unique(targets, axis=0, return_inverse=True)
    wanted = np.bincount(back.ravel(), b.detach().double().cpu().numpy(), len(unique))
    psi, error = _newton(unique, wanted / wanted.sum(), box, tol, max_iter)
    return torch.from_numpy(psi[back.ravel()]).to(y), error


def _newton(y: Array, b: Array, box: Box, tol: float, max_iter: int) -> tuple[Array, float]:
    from scipy.sparse.linalg import spsolve

    psi = _all_visible(y, box)
    diagram = _diagram(y, psi, box)
    share = diagram.areas() / box.volume
    floor = min(b.min(), share.min()) / 2  # the Hessian is definite while no cell is empty
    for _ in range(max_iter):
        error = np.abs(share - b).max()
        if error <= tol or len(y) == 1:
            break
        step = np.zeros(len(y))
        step[1:] = spsolve(_response(y, diagram, box)[1:, 1:], (b - share)[1:])
        distance, t = np.linalg.norm(share - b), 1.0
        for _ in range(_HALVINGS):
            trial = _diagram(y, psi + t * step, box)
            new_share = trial.areas() / box.volume
            new_distance = np.linalg.norm(new_share - b)
            if new_share.min() >= floor and new_distance <= (1 - t / 2) * distance:
                break
            t /= 2
        else:
            break  # no step improves: the error is at the level of rounding
        psi, diagram, share = psi + t * step, trial, new_share
    return psi - b @ psi, float(np.abs(share - b).max())


def _response(y: Array, diagram: _Diagram, box: Box) -> Array:
    """Return d share / dψ, a graph Laplacian: a side moves by dψ / (2 |y_i − y_j|)."""
    from scipy.sparse import coo_array

    between = (diagram.left < diagram.m) & (diagram.right < diagram.m)
    i, j = diagram.left[between], diagram.right[between]
    lengths = np.linalg.norm(diagram.end - diagram.start, axis=1)[between]
    w = lengths / (2 * np.linalg.norm(y[i] - y[j], axis=1) * box.volume)
    rows, cols = np.concatenate([i, j, i, j]), np.concatenate([j, i, i, j])
    entries = np.concatenate([-w, -w, w, w])
    return coo_array((entries, (rows, cols)), shape=(diagram.m, diagram.m)).tocsc()


def _all_visible(y: Array, box: Box) -> Array:
    """Return a potential without hidden cells.

    Its cells are the Voronoi cells of the targets, which are shrunk into the box by a factor s.
    """
    lo, hi = np.asarray(box.lo), np.asarray(box.hi)
    middle, width = (y.min(0) + y.max(0)) / 2, np.maximum(np.ptp(y, axis=0), 1e-300)
    s = min(1.0, float(((hi - lo) / width).min()) * 0.9)
    inside = (lo + hi) / 2 + s * (y - middle)
    psi: Array = (y**2).sum(1) - (inside**2).sum(1) / s
    return psi - psi.mean()


def _diagram(y: Array, psi: Array, box: Box) -> _Diagram:
    from scipy.spatial import ConvexHull

    lo, hi, m = np.asarray(box.lo), np.asarray(box.hi), len(y)
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    slope = 2 * (y - middle) * half  # the box becomes [−1, 1]²
    height = psi - ((y - middle) ** 2).sum(1)
    slope = slope - slope.mean(0)
    height = height - height.max()
    scale = max(np.abs(slope).max(), np.ptp(height), 1e-300)
    slope, height = slope / scale, height / scale
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    lid = (slope @ corners.T + height[:, None]).max() + 1  # a convex function peaks at a corner
    planes = np.column_stack([slope, -np.ones(m), height])  # h_j(x) − z ≤ 0
    sides = [[1, 0, 0, -1], [-1, 0, 0, -1], [0, 1, 0, -1], [0, -1, 0, -1]]
    walls = np.array([*sides, [0, 0, 1, -lid]], dtype=float)
    faces, inner = np.vstack([planes, walls]), np.array([0, 0, (lid + height.max()) / 2])
    # dual points with respect to an inner point
    hull = ConvexHull(-faces[:, :3] / (faces[:, 3:] + faces[:, :3] @ inner[:, None]))
    # a corner where four cells meet consists of two triangles in one plane
    triangles = hull.simplices
    points = -hull.equations[:, :2] / hull.equations[:, 3:] * half + middle
    edges = [triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]
    pairs = np.sort(np.concatenate(edges), axis=1)
    corner = np.tile(np.arange(len(triangles)), 3)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))  # the two triangles of an edge become neighbors
    pairs, corner = pairs[order], corner[order]
    left, right = pairs[::2, 0], pairs[::2, 1]
    kept = left < m
    start, end = points[corner[::2][kept]], points[corner[1::2][kept]]
    return _Diagram(m, left[kept], right[kept], start, end)


def _in_order(corners: list[Array]) -> Array:
    """Return the distinct corners of a convex polygon, counter-clockwise."""
    if not corners:
        return np.zeros((0, 2))
    points = np.stack(corners)
    center = points.mean(0)
    points = points[np.argsort(np.arctan2(*(points - center).T[::-1]), kind="stable")]
    gap = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    return points[gap > 1e-12 * max(np.abs(points).max(), np.ptp(points))]


def _planar(y: Array, box: Box) -> None:
    if y.ndim != 2 or y.shape[1] != 2 or len(box.lo) != 2:
        raise ValueError(
            f"Laguerre cells need targets y (m, 2) and a box of dimension 2, got y of shape "
            f"{y.shape} and a box of dimension {len(box.lo)}"
        )
