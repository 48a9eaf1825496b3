r"""Measure how much of a picture is copied from an exemplar.

In a good new sample of a texture, the patches nearest to neighboring patches lie apart in the
exemplar. In a copy they are neighbors, too: the offset is the same over a whole region.

P, Q    patches of the picture (on a grid) and of the exemplar (all of them)
offset  position of the nearest Q minus position of P
run     connected patches of one offset, each nearly equal to its Q, as many as in a copied square
        of ``run`` pixels

Nearly equal means that |P − Q|² is at most ``tolerance`` times the usual one: the median, over the
patches of one half of the exemplar, of the squared distance to the nearest patch of the other half.
Regular textures have equal offsets by nature; they count as copied only where they are nearer to
the exemplar than the exemplar is to itself. In flat regions, and where the exemplar repeats itself
exactly, several offsets fit: runs may break there, and a flat region does not count as copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from monge import ot
from monge.nets import patches

_BAND = 2**16  # patches of the exemplar that are searched at once: 50 MB for 8 × 8 × 3 numbers


@dataclass(frozen=True)
class Copying:
    """The result of `copying`.

    ``score`` is the share of patches in runs; ``copied`` (h, w) is true for pixels in the middle of
    such patches; ``nearest`` (2, h, w) holds the row and the column of the exemplar's pixel that
    corresponds to each pixel in the nearest patch.
    """

    score: float
    copied: Tensor
    nearest: Tensor


def copying(
    image: Tensor,
    exemplar: Tensor,
    *,
    patch: int = 8,
    run: int = 24,
    stride: int = 4,
    tolerance: float = 0.25,
) -> Copying:
    """Find the parts of a picture that repeat the exemplar over long runs, up to small changes.

    Image (c, h, w) and exemplar (c, h', w') are in the same unit. ``patch`` is the side of the
    patches in pixels, and ``run`` that of the smallest copied square that counts. Every
    ``stride``-th patch of the image, in both directions, is compared with all patches of the
    exemplar. A patch is nearly equal to its nearest at ``tolerance`` times the usual squared
    distance, see above, or less; 0 requires equality.

    The exemplar itself scores 1 minus the share of its flat parts, one half of a texture against
    the other half about 0, noise 0. The search is exact, and takes two seconds for 256² pixels with
    the default stride. ValueError if shapes differ, a patch does not fit, or ``stride`` is larger
    than ``run - patch``, which would miss runs.

    >>> x = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    >>> copying(x[:, :, 20:60], x).score, copying(1 - x, x).score
    (1.0, 0.0)
    """
    if image.ndim != 3 or exemplar.ndim != 3 or image.shape[0] != exemplar.shape[0]:
        raise ValueError(
            f"expected (c, h, w) and (c, h', w'), got {tuple(image.shape)} and "
            f"{tuple(exemplar.shape)}"
        )
    (h, w), there = image.shape[1:], exemplar.shape[1:]
    if min(h, w, *there) < patch:
        raise ValueError(
            f"patch {patch} does not fit {(h, w)} and {tuple(there)}: take a smaller one"
        )
    if not 1 <= stride <= run - patch:
        raise ValueError(f"stride must lie between 1 and run − patch = {run - patch}, got {stride}")
    height, width = ((side - patch) // stride + 1 for side in (h, w))
    corners = torch.cartesian_prod(torch.arange(height), torch.arange(width)) * stride
    matches, squared = nearest_patches(
        patches(image[None], patch, stride=stride)[0], exemplar, patch
    )
    offsets = matches - corners
    near = squared <= tolerance * _usual(exemplar, patch)
    runs = _runs(offsets, near, height, width, (run - patch) / stride + 1)
    rows, columns = (_grid(side, n, patch, stride) for side, n in ((h, height), (w, width)))
    place = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"))
    place = place + offsets.T.reshape(2, height, width)[:, rows][:, :, columns]
    inside = place.clamp_min(0).minimum(torch.tensor(there).view(2, 1, 1) - 1)
    return Copying(runs.double().mean().item(), runs.view(height, width)[rows][:, columns], inside)


def copying_score(
    image: Tensor,
    exemplar: Tensor,
    *,
    patch: int = 8,
    run: int = 24,
    stride: int = 4,
    tolerance: float = 0.25,
) -> float:
    """Return the share of a picture's patches in long runs of the exemplar, see `copying`.

    0 means that nothing is copied, 1 that everything is.

    >>> x = torch.rand(1, 40, 40)
    >>> copying_score(x, x)
    1.0
    """
    return copying(image, exemplar, patch=patch, run=run, stride=stride, tolerance=tolerance).score


def nearest_patches(x: Tensor, exemplar: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Find the exemplar's patch nearest to each row of x (n, c · size²).

    Returns its top left corner (n, 2) and the squared distance (n,).

    >>> y = torch.arange(25.0).view(1, 5, 5)
    >>> nearest_patches(torch.tensor([[7.0, 8.0, 12.0, 14.0]]), y, 2)
    (tensor([[1, 2]]), tensor([1.]))
    """
    width = exemplar.shape[2] - size + 1
    band = max(1, _BAND // width)
    best, corner = x.new_full((len(x),), torch.inf), torch.zeros(len(x), 2, dtype=torch.long)
    for top in range(0, exemplar.shape[1] - size + 1, band):
        y = patches(exemplar[None, :, top : top + band + size - 1], size)[0]
        # with potential 0 the cell of a target holds the points nearest to it
        at = ot.SemiDiscrete(y).assign(x)
        squared = (x - y[at]).square().sum(1)
        place = torch.stack([at // width + top, at % width], 1).cpu()
        corner = torch.where((squared < best).cpu()[:, None], place, corner)
        best = torch.minimum(best, squared)
    return corner, best


def _usual(exemplar: Tensor, patch: int) -> Tensor:
    """Return the median squared distance of patches to the nearest one in the other half.

    The longer side of the exemplar is halved.
    """
    x = exemplar if exemplar.shape[2] >= exemplar.shape[1] else exemplar.mT
    middle = x.shape[2] // 2
    if middle < patch:
        return x.new_tensor(0.0)
    stride = max(1, int((x.shape[1] * middle / 1000) ** 0.5))  # for about a thousand patches
    left = patches(x[None, :, :, :middle], patch, stride=stride)[0]
    _, squared = nearest_patches(left, x[:, :, middle:], patch)
    return squared.median()


def _runs(offsets: Tensor, near: Tensor, height: int, width: int, side: float) -> Tensor:
    """Return which patches (n,) of a grid lie in runs.

    A run is a connected set of at least ``side``² near patches with one offset.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = np.arange(height * width).reshape(height, width)
    a = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    b = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])  # right of and below a
    o, n = offsets.numpy(), near.cpu().numpy()
    linked = (o[a] == o[b]).all(1) & n[a] & n[b]
    edges = (np.ones(linked.sum()), (a[linked], b[linked]))
    graph = coo_array(edges, shape=(index.size, index.size))
    _, label = connected_components(graph, directed=False)
    # side is at least 2: patches that are not near, components of one, are not runs
    return torch.from_numpy(np.bincount(label)[label] >= side**2)


def _grid(side: int, n: int, patch: int, stride: int) -> Tensor:
    """Return for each pixel of a line the patch of the grid with the nearest center."""
    return ((torch.arange(side) - (patch - 1) / 2) / stride).round().long().clamp(0, n - 1)
