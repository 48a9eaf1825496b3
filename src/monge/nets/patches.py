"""Patches of pictures at several scales.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
    transport between feature
    distributions", JMIV 2023    [houdard2023]

==========  ======================================================================
symbol      here
==========  ======================================================================
S_l         `pyramid`: l times smoothed by a Gaussian of 4×4 (σ = 1) and halved
P_i         `patches`: the i-th patch of ``size`` × ``size`` pixels, as a vector
==========  ======================================================================

On a torus what leaves a picture at one side comes in at the other; a picture that is a sample of a
torus tiles the plane.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_TAPS = 4
_SIGMA = 1.0
_KNOWN = 1e-3  # share of unknown pixels below which an average counts as known


def pyramid(x: Tensor, scales: int, *, torus: bool = False) -> list[Tensor]:
    """Pictures (n, c, h, w) at scales 0, 1, …: ``scales`` of them, each half as large as the one
    before; linear in x.

    A side of h pixels becomes one of h // 2. ValueError if the smallest would have no pixel.
    Source: [houdard2023].

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
    """All patches of pictures (n, c, h, w), row by row: (n, places, c · size²); on a torus one for
    each pixel (of each stride).

    ValueError if a picture is smaller than a patch.

    >>> patches(torch.zeros(1, 3, 8, 8), 4).shape, patches(torch.zeros(1, 3, 8, 8), 4, torus=True).shape
    (torch.Size([1, 25, 48]), torch.Size([1, 64, 48]))
    """
    if size < 1 or min(x.shape[2:]) < size:
        raise ValueError(
            f"patches of {size}×{size} pixels do not fit into {tuple(x.shape[2:])}: take smaller "
            "ones"
        )
    if torus:
        x = functional.pad(x, (0, size - 1, 0, size - 1), mode="circular")
    return functional.unfold(x, size, stride=stride).transpose(1, 2)


def random_patches(
    x: Tensor, size: int, n: int, draw: torch.Generator, places: Tensor | None = None
) -> Tensor:
    """At most n patches (n, c · size²) of a picture (c, h, w), none twice, in random order.

    ``places``, bool (h − size + 1, w − size + 1), says which may be taken; all may by default.

    >>> random_patches(torch.zeros(3, 8, 8), 4, 10, torch.Generator()).shape
    torch.Size([10, 48])
    """
    # (c, h', w', size, size), a view: all patches would fill the memory
    windows = x.unfold(1, size, 1).unfold(2, size, 1)
    h, w = windows.shape[1:3]
    allowed = torch.arange(h * w) if places is None else places.flatten().nonzero()[:, 0].cpu()
    chosen = allowed[torch.randperm(len(allowed), generator=draw)[:n]].to(x.device)
    return windows[:, chosen // w, chosen % w].movedim(0, 1).flatten(1)


def matching_blur(y: Tensor, share: float, *, rows: int = 1024) -> float:
    """Squared distance below which points (m, d) are taken for each other: ``share`` of the mean to
    the third neighbor.

    It is at least a thousandth of the mean between two points. ``rows`` of distances are held at
    once.

    >>> matching_blur(torch.arange(4.0)[:, None], 0.5)
    3.25
    """
    near = torch.cat(
        [
            torch.cdist(some, y).topk(min(4, len(y)), 1, largest=False).values[:, -1]
            for some in y.split(rows)
        ]
    )
    return max(share * near.square().mean().item(), 1e-3 * (2 * y.var(0).sum().item()), 1e-9)


def enlarge(x: Tensor, size: tuple[int, int], *, torus: bool = False) -> Tensor:
    """Pictures (n, c, h, w) of one scale brought to the size of the next finer one, (2h or 2h + 1,
    2w or 2w + 1), bicubic.

    >>> enlarge(torch.ones(1, 3, 4, 5), (9, 10)).shape
    torch.Size([1, 3, 9, 10])
    """
    margin = 2
    x = functional.pad(x, (margin,) * 4, mode="circular" if torus else "replicate")
    x = functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    x = x[..., 2 * margin : -2 * margin, 2 * margin : -2 * margin]
    return (
        x
        if x.shape[2:] == size
        else functional.interpolate(x, size, mode="bilinear", align_corners=False)
    )


def known_pyramid(
    x: Tensor, known: Tensor | None, scales: int
) -> list[tuple[Tensor, Tensor | None]]:
    """Levels of a picture (c, h, w), smoothed over its known pixels (h, w) only, and which pixels
    of them are known.

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
    """Which pixels of each level are averages of known ones (h, w) alone."""
    return [level[0, 0] > 1 - _KNOWN for level in pyramid(known[None, None].float(), scales)]


def touching(marked: Tensor, size: int) -> Tensor:
    """Places (h − size + 1, w − size + 1) whose patch has a marked pixel (h, w)."""
    return functional.max_pool2d(marked[None, None].float(), size, stride=1)[0, 0] > 0


def window(size: int, width: float, channels: int) -> Tensor:
    """Square roots of the weights of a patch's pixels, (channels · size²): a Gaussian around its
    middle, of mean square 1.

    ``width`` is its standard deviation in sides of the patch. Patches times this have the weighted
    distance.
    """
    line = torch.exp(-((torch.arange(size) - (size - 1) / 2) ** 2) / (4 * (width * size) ** 2))
    line = line / line.square().mean().sqrt()
    return (line[:, None] * line).flatten().repeat(channels)


def wrapped(x: Tensor, size: int) -> Tensor:
    """Sums over the patches of a picture padded for a torus, (c, h + size − 1, w + size − 1) to (c,
    h, w): the rim goes round.
    """
    h, w = x.shape[1] - size + 1, x.shape[2] - size + 1
    x = x.clone()
    x[:, : size - 1] += x[:, h:]
    x[:, :, : size - 1] += x[:, :, w:]
    return x[:, :h, :w]


def _halve(x: Tensor, torus: bool) -> Tensor:
    line = torch.exp(
        -((torch.arange(_TAPS, dtype=x.dtype, device=x.device) - (_TAPS - 1) / 2) ** 2)
        / (2 * _SIGMA**2)
    )
    line = line / line.sum()
    c = x.shape[1]
    x = functional.pad(x, (1, 1, 1, 1), mode="circular" if torus else "replicate")
    x = functional.conv2d(
        x, line.view(1, 1, _TAPS, 1).expand(c, 1, _TAPS, 1), stride=(2, 1), groups=c
    )
    return functional.conv2d(
        x, line.view(1, 1, 1, _TAPS).expand(c, 1, 1, _TAPS), stride=(1, 2), groups=c
    )
