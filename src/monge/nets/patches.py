"""Patches of pictures at several scales.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
        transport between feature distributions", JMIV 2023    [houdard2023]

==========  ====================================================================
symbol      here
==========  ====================================================================
S_l         `pyramid`: l times smoothed by a 4×4 Gaussian (σ = 1) and halved
P_i         `patches`: the i-th patch of ``size`` × ``size`` pixels, as a vector
==========  ====================================================================

On a torus a picture continues at its opposite side, so that it tiles the plane.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_TAPS = 4
_SIGMA = 1.0
_KNOWN = 1e-3  # an average counts as known if its share of unknown pixels is less


def pyramid(x: Tensor, scales: int, *, torus: bool = False) -> list[Tensor]:
    """Return pictures (n, c, h, w) at scales 0, 1, …, ``scales`` of them, each half the size.

    A side of h pixels becomes one of h // 2, and each level is linear in x. ValueError if the
    smallest level would have no pixel. Source: [houdard2023].

    >>> [tuple(level.shape[2:]) for level in pyramid(torch.zeros(1, 3, 64, 40), 3)]
    [(64, 40), (32, 20), (16, 10)]
    """
    if scales < 1 or min(x.shape[2:]) >> (scales - 1) < 1:
        raise ValueError(
            f"scales must be at least 1 and leave a pixel of {tuple(x.shape[2:])}, got {scales}"
        )
    levels = [x]
    while len(levels) < scales:
        levels.append(_halve(levels[-1], torus))
    return levels


def patches(x: Tensor, size: int, *, stride: int = 1, torus: bool = False) -> Tensor:
    """Return all patches of pictures (n, c, h, w), row by row: (n, positions, c · size²).

    Positions are ``stride`` pixels apart; on a torus each of them has a patch. ValueError if a
    picture is smaller than a patch.

    >>> x = torch.zeros(1, 3, 8, 8)
    >>> patches(x, 4).shape, patches(x, 4, torus=True).shape
    (torch.Size([1, 25, 48]), torch.Size([1, 64, 48]))
    """
    if size < 1 or min(x.shape[2:]) < size:
        raise ValueError(
            f"patches of {size}×{size} pixels do not fit into {tuple(x.shape[2:])}: reduce the "
            "patch size"
        )
    if torus:
        x = functional.pad(x, (0, size - 1, 0, size - 1), mode="circular")
    return functional.unfold(x, size, stride=stride).transpose(1, 2)


def random_patches(
    x: Tensor, size: int, n: int, rng: torch.Generator, positions: Tensor | None = None
) -> Tensor:
    """Return at most n different patches (n, c · size²) of a picture (c, h, w), in random order.

    ``positions``, bool (h − size + 1, w − size + 1), marks those that may be taken; by default all.

    >>> random_patches(torch.zeros(3, 8, 8), 4, 10, torch.Generator()).shape
    torch.Size([10, 48])
    """
    # (c, h', w', size, size), a view: a copy of all patches could exceed the memory
    windows = x.unfold(1, size, 1).unfold(2, size, 1)
    h, w = windows.shape[1:3]
    if positions is None:
        allowed = torch.arange(h * w)
    else:
        allowed = positions.flatten().nonzero()[:, 0].cpu()
    chosen = allowed[torch.randperm(len(allowed), generator=rng)[:n]].to(x.device)
    return windows[:, chosen // w, chosen % w].movedim(0, 1).flatten(1)


def matching_blur(y: Tensor, share: float, *, rows: int = 1024) -> float:
    """Return ``share`` of the mean squared distance of points (m, d) to their third neighbor.

    It serves as ε where the points are targets of a transport. It is at least a thousandth of the
    mean squared distance of two points. ``rows`` rows of distances are held in memory at a time.

    >>> matching_blur(torch.arange(4.0)[:, None], 0.5)
    3.25
    """
    k = min(4, len(y))
    near = [torch.cdist(some, y).topk(k, 1, largest=False).values[:, -1] for some in y.split(rows)]
    third = torch.cat(near).square().mean().item()
    return max(share * third, 1e-3 * (2 * y.var(0).sum().item()), 1e-9)


def enlarge(x: Tensor, size: tuple[int, int], *, torus: bool = False) -> Tensor:
    """Enlarge pictures (n, c, h, w) to the ``size`` of the next finer scale, bicubically.

    ``size`` is (2h or 2h + 1, 2w or 2w + 1).

    >>> enlarge(torch.ones(1, 3, 4, 5), (9, 10)).shape
    torch.Size([1, 3, 9, 10])
    """
    margin = 2
    x = functional.pad(x, (margin,) * 4, mode="circular" if torus else "replicate")
    x = functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    x = x[..., 2 * margin : -2 * margin, 2 * margin : -2 * margin]
    if x.shape[2:] == size:
        return x
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)


def known_pyramid(
    x: Tensor, known: Tensor | None, scales: int
) -> list[tuple[Tensor, Tensor | None]]:
    """Return the levels of a picture (c, h, w), and masks of their known pixels.

    Levels are smoothed over the known pixels (h, w) alone; None means that all are known.

    >>> levels = known_pyramid(torch.ones(3, 8, 8), torch.arange(64).view(8, 8) < 32, 2)
    >>> levels[1][0].shape, levels[1][1].sum()
    (torch.Size([3, 4, 4]), tensor(4))
    """
    if known is None:
        return [(level[0], None) for level in pyramid(x[None], scales)]
    share = pyramid(known[None, None].to(x), scales)
    sums = pyramid((x * known)[None], scales)
    levels = [
        (s[0] / w[0].clamp_min(1e-6), k)
        for s, w, k in zip(sums, share, coarser(known, scales), strict=True)
    ]
    return [(x, known), *levels[1:]]


def coarser(known: Tensor, scales: int) -> list[Tensor]:
    """Return masks of the pixels of each level that are averages of known pixels (h, w) alone."""
    return [level[0, 0] > 1 - _KNOWN for level in pyramid(known[None, None].float(), scales)]


def touching(marked: Tensor, size: int) -> Tensor:
    """Return a mask (h − size + 1, w − size + 1) of the patches that hold a marked pixel (h, w)."""
    return functional.max_pool2d(marked[None, None].float(), size, stride=1)[0, 0] > 0


def window(size: int, width: float, channels: int) -> Tensor:
    """Return the square roots of the weights of a patch's pixels, (channels · size²).

    The weights are a Gaussian around the center, with mean 1; ``width`` is its standard deviation
    in sides of the patch. Distances between patches times this window are the weighted distances.
    """
    line = torch.exp(-((torch.arange(size) - (size - 1) / 2) ** 2) / (4 * (width * size) ** 2))
    line = line / line.square().mean().sqrt()
    return (line[:, None] * line).flatten().repeat(channels)


def wrapped(x: Tensor, size: int) -> Tensor:
    """Add the margin of a picture that was padded for a torus to its opposite side.

    ``x`` has shape (c, h + size − 1, w + size − 1), the result (c, h, w).
    """
    h, w = x.shape[1] - size + 1, x.shape[2] - size + 1
    x = x.clone()
    x[:, : size - 1] += x[:, h:]
    x[:, :, : size - 1] += x[:, :, w:]
    return x[:, :h, :w]


def _halve(x: Tensor, torus: bool) -> Tensor:
    offsets = torch.arange(_TAPS, dtype=x.dtype, device=x.device) - (_TAPS - 1) / 2
    line = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    line = line / line.sum()
    c = x.shape[1]
    down, right = line.view(1, 1, _TAPS, 1), line.view(1, 1, 1, _TAPS)
    x = functional.pad(x, (1, 1, 1, 1), mode="circular" if torus else "replicate")
    x = functional.conv2d(x, down.expand(c, 1, _TAPS, 1), stride=(2, 1), groups=c)
    return functional.conv2d(x, right.expand(c, 1, 1, _TAPS), stride=(1, 2), groups=c)
