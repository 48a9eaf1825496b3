r"""How much of a picture is cut out of an exemplar.

A patch of a good new sample of a texture also has a nearest patch in the exemplar, but its
neighbors have theirs elsewhere. In a copy, the nearest patches of neighbors are neighbors: the
offset is the same over a whole region.

P, Q    patches of the picture (on a grid) and of the exemplar (all of them)
offset  where the nearest Q lies, less where P lies
run     connected patches of one offset, each nearly equal to its Q, as many as in a copied square
        of ``run`` pixels

Nearly equal means |P − Q|² at most ``tolerance`` times what is usual: the median over the patches
of one half of the exemplar of their distance to the nearest in the other half. So regular textures,
whose offsets agree by nature, are copied only where they are nearer than the texture is to itself.
In flat regions, and where the exemplar repeats itself to the last bit, several offsets fit: runs
may break there, and flat is no copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from monge import ot
from monge.nets import patches

_BAND = 2**16  # patches of the exemplar that are searched at once: 50 MB of 8 × 8 × 3 numbers


@dataclass(frozen=True)
class Copying:
    """What `copying` finds.

    ``score`` is the share of patches in runs; ``copied`` (h, w) is true on pixels in the midst of
    such patches; ``nearest`` (2, h, w) holds the row and the column where each pixel's nearest
    patch has it in the exemplar.
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
    """Find the parts of a picture that repeat the exemplar, pixel for pixel but for small changes,
    over long runs.

    Image (c, h, w) and exemplar (c, h', w') are in the same unit. ``patch`` is the side of the
    patches, and ``run`` that of the smallest square whose copy counts, in pixels. Every
    ``stride``-th patch of the image is looked up, in both directions; all patches of the exemplar
    are candidates. ``tolerance`` is the share of the usual squared distance, see above, under which
    a patch is nearly its nearest. 0 asks for equality.

    The exemplar itself scores 1 less its flat parts, a half of a texture against the other half
    about 0, noise 0. The search is exact, and takes two seconds for 256² pixels with the default
    stride. ValueError when shapes differ, a patch does not fit, or ``stride`` is larger than ``run
    - patch``, which would miss runs.

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
    found, squared = nearest_patches(patches(image[None], patch, stride=stride)[0], exemplar, patch)
    offsets = found - corners
    runs = _runs(
        offsets,
        squared <= tolerance * _usual(exemplar, patch),
        height,
        width,
        (run - patch) / stride + 1,
    )
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
    """Share of a picture's patches that lie in long runs of the exemplar: 0 nothing, 1 all is
    copied; see `copying`.

    >>> x = torch.rand(1, 40, 40)
    >>> copying_score(x, x)
    1.0
    """
    return copying(image, exemplar, patch=patch, run=run, stride=stride, tolerance=tolerance).score


def nearest_patches(x: Tensor, exemplar: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The corner (n, 2) of the exemplar's patch nearest to each row of x (n, c · size²), and the
    squared distance (n,).

    >>> y = torch.arange(25.0).view(1, 5, 5)
    >>> nearest_patches(torch.tensor([[7.0, 8.0, 12.0, 14.0]]), y, 2)
    (tensor([[1, 2]]), tensor([1.]))
    """
    width = exemplar.shape[2] - size + 1
    band = max(1, _BAND // width)
    best, corner = x.new_full((len(x),), torch.inf), torch.zeros(len(x), 2, dtype=torch.long)
    for top in range(0, exemplar.shape[1] - size + 1, band):
        y = patches(exemplar[None, :, top : top + band + size - 1], size)[0]
        # with potential 0 the cell of a target is what lies nearest to it
        at = ot.SemiDiscrete(y).assign(x)
        squared = (x - y[at]).square().sum(1)
        place = torch.stack([at // width + top, at % width], 1).cpu()
        corner = torch.where((squared < best).cpu()[:, None], place, corner)
        best = torch.minimum(best, squared)
    return corner, best


def _usual(exemplar: Tensor, patch: int) -> Tensor:
    """Median squared distance of patches to the nearest in the other half, the longer side being
    halved.
    """
    x = exemplar if exemplar.shape[2] >= exemplar.shape[1] else exemplar.mT
    middle = x.shape[2] // 2
    if middle < patch:
        return x.new_tensor(0.0)
    stride = max(1, int((x.shape[1] * middle / 1000) ** 0.5))  # about a thousand of them
    return nearest_patches(
        patches(x[None, :, :, :middle], patch, stride=stride)[0], x[:, :, middle:], patch
    )[1].median()


def _runs(offsets: Tensor, near: Tensor, height: int, width: int, side: float) -> Tensor:
    """Which patches (n,) of a grid lie in connected sets of one offset that have at least ``side``²
    members.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = np.arange(height * width).reshape(height, width)
    pairs = [(index[:, :-1].ravel(), index[:, 1:].ravel()), (index[:-1].ravel(), index[1:].ravel())]
    a, b = (np.concatenate(part) for part in zip(*pairs, strict=True))
    o, n = offsets.numpy(), near.cpu().numpy()
    linked = (o[a] == o[b]).all(1) & n[a] & n[b]
    graph = coo_array(
        (np.ones(linked.sum()), (a[linked], b[linked])), shape=(index.size, index.size)
    )
    _, label = connected_components(graph, directed=False)
    # side is at least 2: what is not near stays alone
    return torch.from_numpy(np.bincount(label)[label] >= side**2)


def _grid(side: int, n: int, patch: int, stride: int) -> Tensor:
    """For each pixel of a line the patch of the grid in whose midst it lies, or the nearest at the
    ends.
    """
    return ((torch.arange(side) - (patch - 1) / 2) / stride).round().long().clamp(0, n - 1)
