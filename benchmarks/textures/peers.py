r"""Three other methods that make a texture from an exemplar, each in its plain form.

    Kwatra, Essa, Bobick & Kwatra, "Texture optimization for example-based synthesis", SIGGRAPH 2005
        [kwatra2005]
    Gatys, Ecker & Bethge, "Texture synthesis using convolutional neural networks", NeurIPS 2015
        [gatys2015]
    Efros & Freeman, "Image quilting for texture synthesis and transfer", SIGGRAPH 2001 [efros2001]

Pictures are (c, h, w) in [0, 1]. Each function returns one of ``size`` rows and columns, which is
determined by the seed.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import conv2d, fold, interpolate

from monge.data import rng
from monge.images.texture.copying import nearest_patches
from monge.nets import RandomFilters, patches, pyramid

_NEAREST, _GRAM, _QUILT = 41, 42, 43  # streams of random numbers
_LEVELS = 4
# a channel that is zero on the exemplar after ReLU has this share of the mean size of all
_SILENT = 0.1
_UNIT = 1e4  # of the loss: L-BFGS begins with a step of the gradient's length
_SWEEPS = ({16: 2, 8: 4}, {16: 6, 8: 8}, {16: 8, 8: 10}, {16: 10, 8: 10})


def nearest_neighbor(
    exemplar: Tensor, size: int, seed: int, *, sweeps: tuple[dict[int, int], ...] = _SWEEPS
) -> Tensor:
    """Replace each patch by the exemplar's nearest and average overlaps, several times.

    Patches lie on a grid of a quarter of their side. ``sweeps`` holds for each level, the finest
    first, the sides of patches and how often each is used. The average weighs a patch by its
    distance to the power −1.2 (the robust norm of the paper, p = 0.8), which blurs less.
    """
    levels = pyramid(exemplar[None], len(sweeps))
    x: Tensor | None = None
    for level in reversed(range(len(sweeps))):
        v, side = levels[level][0], size >> level
        if x is None:
            x = _mosaic(v, side, max(sweeps[level]), rng(seed, _NEAREST))
        else:
            x = _enlarge(x, side)
        for patch in (patch for patch, times in sweeps[level].items() for _ in range(times)):
            stride = patch // 4
            corners, squared = nearest_patches(patches(x[None], patch, stride=stride)[0], v, patch)
            weights = (squared + 1e-4 * v.shape[0] * patch**2) ** -0.6
            x = _average(v, corners, weights, side, patch, stride)
    assert x is not None
    return x.clamp(0, 1)


def gram(
    exemplar: Tensor,
    size: int,
    seed: int,
    *,
    filters: int = 48,
    steps: tuple[int, ...] = (120, 150, 150, 150),
) -> Tensor:
    """Match the Gram matrices of random-filter features by L-BFGS, from noise.

    ``steps`` are those of each level, the finest first. A level begins with the one before,
    enlarged. The picture is a torus, since filters see little of its border otherwise. The filters
    are not those of the Gram distance.
    """
    levels = pyramid(exemplar[None], _LEVELS)
    x: Tensor | None = None
    for level in reversed(range(_LEVELS)):
        v, side = levels[level], size >> level
        noise = torch.randn(1, len(exemplar), side, side, generator=rng(seed, _GRAM, level))
        if x is None:
            x = v.mean((2, 3), keepdim=True) + v.std() * noise
        else:
            x = _enlarge(x[0], side)[None] + 0.02 * noise
        scales = _LEVELS + 1 - level if level < _LEVELS - 1 else 1
        torus, plain = (
            RandomFilters(len(v[0]), scales=scales, filters=filters, seed=1000 + seed, torus=wrap)
            for wrap in (True, False)
        )
        x = _match_gram(x, v, torus, plain, steps[level])
    assert x is not None
    return x[0].clamp(0, 1)


def quilting(
    exemplar: Tensor, size: int, seed: int, *, block: int = 32, overlap: int = 8, slack: float = 0.1
) -> Tensor:
    """Lay blocks row by row and cut each where it differs least from what is there.

    A block is drawn among those whose error in the overlap is at most 1 + ``slack`` times the
    least.
    """
    step, g = block - overlap, rng(seed, _QUILT)
    n = -(-(size - overlap) // step)
    x = exemplar.new_zeros(len(exemplar), n * step + overlap, n * step + overlap)
    square = exemplar.square().sum(0)[None, None]
    for top in range(0, n * step, step):
        for left in range(0, n * step, step):
            there = x[:, top : top + block, left : left + block].clone()
            known = torch.zeros(block, block)
            known[:overlap] = float(top > 0)
            known[:, :overlap] = torch.maximum(known[:, :overlap], torch.tensor(float(left > 0)))
            error = conv2d(square, known[None, None]) - 2 * conv2d(
                exemplar[None], (there * known)[None]
            )
            error = (error[0, 0] + (there.square() * known).sum()).clamp_min(0)
            good = (error <= (1 + slack) * error.min() + 1e-6).nonzero()
            i, j = good[torch.randint(len(good), (1,), generator=g)][0].tolist()
            new = exemplar[:, i : i + block, j : j + block]
            wrong = (new - there).square().sum(0)
            mine = torch.ones(block, block, dtype=torch.bool)
            if left:
                mine[:, :overlap] &= _cut(wrong[:, :overlap])
            if top:
                mine[:overlap] &= _cut(wrong[:overlap].T).T
            x[:, top : top + block, left : left + block] = torch.where(mine, new, there)
    return x[:, :size, :size].contiguous()


def _enlarge(x: Tensor, side: int) -> Tensor:
    return interpolate(x[None], (side, side), mode="bilinear", align_corners=False)[0]


def _mosaic(v: Tensor, side: int, patch: int, g: torch.Generator) -> Tensor:
    """Return patches from random places, side by side.

    An average of them would be flat, and the nearest patches of a flat picture are flat.
    """
    n = -(-side // patch)
    rows, columns = (
        torch.randint(s - patch + 1, (n * n,), generator=g).tolist() for s in v.shape[1:]
    )
    blocks = [v[:, i : i + patch, j : j + patch] for i, j in zip(rows, columns, strict=True)]
    lines = [torch.cat(blocks[k : k + n], 2) for k in range(0, n * n, n)]
    return torch.cat(lines, 1)[:, :side, :side]


def _average(
    v: Tensor, corners: Tensor, weights: Tensor, side: int, patch: int, stride: int
) -> Tensor:
    width = v.shape[2] - patch + 1
    rows = patches(v[None], patch)[0][corners[:, 0] * width + corners[:, 1]]
    total = fold((rows * weights[:, None]).T, (side, side), patch, stride=stride)
    return total / fold(weights.expand(patch**2, -1), (side, side), patch, stride=stride)


def _match_gram(
    x: Tensor, v: Tensor, net: RandomFilters, exemplars: RandomFilters, steps: int
) -> Tensor:
    with torch.no_grad():
        theirs = exemplars(v)
        units = [f.square().mean((0, 2, 3), keepdim=True).sqrt() for f in theirs]
        units = [unit.clamp_min(_SILENT * unit.mean().item()) for unit in units]
        goals = [_gram(f / unit) for f, unit in zip(theirs, units, strict=True)]
    x = x.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x],
        max_iter=steps,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        errors = [
            (_gram(f / unit) - goal).square().sum() / goal.square().sum()
            for f, unit, goal in zip(net(x), units, goals, strict=True)
        ]
        outside = (x - x.clamp(0, 1)).square().mean()  # what will be clamped must not help
        loss: Tensor = _UNIT * (torch.stack(errors).sum() + 10 * outside)
        loss.backward()
        return loss

    optimizer.step(closure)
    return x.detach()


def _gram(f: Tensor) -> Tensor:
    rows = f[0].flatten(1)
    return rows @ rows.T / rows.shape[1]


def _cut(error: Tensor) -> Tensor:
    """Return True right of the path of least error from the first to the last row.

    From row to row, the path moves by one column at most.
    """
    rows, columns = error.shape
    total = error.clone()
    for above, here in pairwise(range(rows)):
        wide = torch.nn.functional.pad(total[above], (1, 1), value=torch.inf)
        total[here] += torch.stack([wide[:-2], wide[1:-1], wide[2:]]).amin(0)
    mine = torch.zeros(rows, columns, dtype=torch.bool)
    column = int(total[-1].argmin())
    for row in reversed(range(rows)):
        mine[row, column:] = True
        if row:
            left = max(0, column - 1)
            column = left + int(total[row - 1, left : column + 2].argmin())
    return mine
