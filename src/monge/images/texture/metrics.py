r"""How near a picture is to a texture: patch distributions, seams, and features; `copying` says how
much of it is a copy.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
    transport between feature
    distributions", JMIV 2023 [houdard2023]          patches at scales
    Gatys, Ecker & Bethge, "Texture synthesis using convolutional neural networks", NeurIPS 2015
        [gatys2015]   Gram matrices
    Ustyuzhaninov, Brendel, Gatys & Bethge, "What does it take to generate natural textures?", ICLR
        2017 [ustyuzhaninov2017]

S_l   scale l of a picture, see `monge.nets.pyramid`
f, G  features of one scale, one row for each place, see `monge.nets.RandomFilters`, and their Gram
      matrix fᵀf / places

Pictures are (c, h, w) with values in [0, 1], but nothing is clamped: a picture that leaves the
range is told by its distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf

import torch
from torch import Tensor
from torch.nn.functional import conv2d, normalize, pad

from monge import ot
from monge.data import rng
from monge.metrics import Measured
from monge.nets import RandomFilters, pyramid

_DRAWS = 31  # names the numbers that draw patches
_LINES = 32
_MADE = 0.1  # a pixel of a coarser scale is made when more than this of what it averages was
# ReLU may leave nothing of a channel on a small exemplar, which must not count for a million
_SILENT = 0.5
_PROJECTIONS_AT_ONCE = 8  # a picture of a megapixel has a million patches


def patch_w2(
    image: Tensor, exemplar: Tensor, *, scales: int = 3, patch: int = 4, n: int = 1500, draws: int = 3, seed: int = 0,
    torus: bool = False, disjoint: bool = False, mask: Tensor | None = None, region: Tensor | None = None,
) -> list[Measured]:  # fmt: skip
    r"""Exact W₂² between n patches of a picture and n of an exemplar at each scale; its floor: n
    others of the exemplar.

    .. math::

        W_2^2\Bigl(\tfrac1n \sum_i \delta_{P_i S_l u},\ \tfrac1n \sum_j \delta_{P_j S_l v}\Bigr)

    The result has one `Measured` for each scale, the finest first, in squared units of the picture,
    summed over the patch, whose side is ``patch`` pixels; it is the mean of ``draws``. Patches are
    drawn without replacement; value and floor share the exemplar's n patches. Where the exemplar
    has fewer than 2n patches, n is half of them; it is at most what the image has.

    ``torus`` says that the image goes round: then patches across its border count. With
    ``disjoint`` the floor's two draws share no patch. By default they are independent, so that the
    exemplar's own ratio is 1 in the mean; on coarse scales, which have few patches, that asks more
    than a picture without copies can reach.

    With a ``mask``, bool (h, w), only patches of the image that touch it count: those with a pixel
    of which more than 0.1 was averaged from the mask. With a ``region``, bool (h', w'), only
    patches of the exemplar inside it: those without a pixel of which more than 0.1 came from
    elsewhere. ``patch_w2(x, x, mask=mask, region=~mask)`` compares an inpainted hole with its
    surroundings.

    ValueError when shapes differ or a scale has no two patches. A scale of a draw takes a third of
    a second at n = 1500. Source: [houdard2023].

    >>> x, y = torch.full((3, 40, 40), 0.25), torch.full((3, 40, 40), 0.75)
    >>> [round(found.value, 3) for found in patch_w2(x, y, n=50, draws=1)]  # 16 places, 3 colors, (1/2)²
    [12.0, 12.0, 12.0]
    """
    _check(image, exemplar)
    made = _made(mask, image, scales, torus, "mask")
    kept = _made(region, exemplar, scales, False, "region")
    found = []
    levels = zip(
        pyramid(image[None], scales, torus=torus),
        pyramid(exemplar[None], scales),
        made,
        kept,
        strict=True,
    )
    for scale, (u, v, inside, elsewhere) in enumerate(levels):
        ours = _places(u[0], patch, torus, inside, touching=True)
        theirs = _places(v[0], patch, False, elsewhere, touching=False)
        k = min(n, len(theirs) // 2, len(ours))
        if k < 1:
            have = f"{len(ours)} patches of the image and {len(theirs)} of the exemplar"
            raise ValueError(f"scale {scale} has {have}: take fewer scales")
        one_draw = partial(_one_draw, u[0], v[0], ours, theirs, k, patch, disjoint)
        pairs = [one_draw(rng(seed, _DRAWS, scale, draw)) for draw in range(draws)]
        found.append(
            Measured(
                sum(p.value for p in pairs) / draws, sum(p.floor or 0.0 for p in pairs) / draws
            )
        )
    return found


def sliced_patch_w2(
    image: Tensor,
    exemplar: Tensor,
    *,
    scales: int = 3,
    patch: int = 4,
    n_projections: int = 64,
    seed: int = 0,
    torus: bool = False,
) -> list[float]:
    r"""Sliced W₂² between *all* patches of two pictures, at each scale: fast, and with no floor
    because nothing is drawn.

    .. math::

        \frac1K \sum_k W_2^2\bigl(\{\theta_k^\top P_i S_l u\}_i,\ \{\theta_k^\top P_j S_l
        v\}_j\bigr)

    Projecting patches is filtering the picture, so patches are never laid out. It is about 1/d of
    `patch_w2` for d = c · patch². Shapes and errors as there. Source: [houdard2023], and
    [bonneel2015] for the slices.

    >>> x = torch.rand(1, 32, 32)
    >>> sliced_patch_w2(x, x, scales=2)
    [0.0, 0.0]
    """
    _check(image, exemplar)
    found = []
    for u, v in zip(
        pyramid(image[None], scales, torus=torus), pyramid(exemplar[None], scales), strict=True
    ):
        if min(*u.shape[2:], *v.shape[2:]) < patch:
            sides = f"{tuple(u.shape[2:])} and {tuple(v.shape[2:])}"
            raise ValueError(f"patches of {patch} pixels do not fit {sides}: take fewer scales")
        if torus:
            u = pad(u, (0, patch - 1, 0, patch - 1), mode="circular")
        theta = torch.randn(
            n_projections, u.shape[1] * patch**2, generator=rng(seed, _LINES), dtype=u.dtype
        )
        lines = (
            normalize(theta, dim=1)
            .view(n_projections, -1, patch, patch)
            .to(u.device)
            .split(_PROJECTIONS_AT_ONCE)
        )
        squares = [
            ot.wasserstein_1d(conv2d(u, t)[0].flatten(1), conv2d(v, t)[0].flatten(1)).square()
            for t in lines
        ]
        found.append(torch.cat(squares).mean().item())
    return found


def gram_distance(
    image: Tensor,
    exemplar: Tensor,
    *,
    scales: int = 4,
    filters: int = 48,
    size: int = 7,
    seed: int = 0,
    torus: bool = False,
) -> float:
    r"""Relative squared distance between Gram matrices of random-filter features, the mean over
    scales.

    .. math:: \frac1L \sum_l \frac{\|G_l(u) - G_l(v)\|_F^2}{\|G_l(v)\|_F^2}

    Features are divided by their root mean squares over the exemplar, so that each channel counts
    the same; one that is all but silent there, by half of their mean. Pictures are (c, h, w), (c,
    h', w'); 0 means equal; there is no largest value: white noise is at hundreds beside a smooth
    exemplar. A scale that leaves few places to a filter is noise: take fewer for small ones. Raises
    ValueError when a filter does not fit the smallest scale. Source: [gatys2015] with the filters
    of [ustyuzhaninov2017].

    >>> x = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> gram_distance(x, x), round(gram_distance(x.sqrt(), x), 2)
    (0.0, 0.1)
    """
    _check(image, exemplar)
    with torch.no_grad():
        ours, theirs = (
            RandomFilters(
                image.shape[0], scales=scales, filters=filters, size=size, seed=seed, torus=wrap
            ).to(x.device)(x[None])
            for x, wrap in ((image, torus), (exemplar, False))
        )
    total = 0.0
    for f, g in zip(ours, theirs, strict=True):
        unit = g.square().mean((0, 2, 3), keepdim=True).sqrt()
        unit = unit.clamp_min(_SILENT * unit[:, : g.shape[1] - image.shape[0]].mean().item() + 1e-6)
        G, H = _gram(f / unit), _gram(g / unit)
        total += ((G - H).square().sum() / H.square().sum().clamp_min(1e-12)).item()
    return total / len(ours)


@dataclass(frozen=True)
class Seam:
    """Energy of the borders' neighborhood when a picture is laid beside itself, and the mean of the
    lines inside.

    ``rank`` is the share of lines inside with at least the seam's energy: about a half for a tile,
    0 for a seam that shows.
    """

    seam: float
    interior: float
    rank: float

    @property
    def ratio(self) -> float:
        return self.seam / self.interior if self.interior else (inf if self.seam else 1.0)


def seam_score(image: Tensor) -> Seam:
    r"""Whether a picture tiles the plane: second differences across its border against those across
    all other lines.

    .. math::

        E_i = \operatorname{mean}\bigl(|x_{i-1} - 2x_i + x_{i+1}|^2 + |x_i - 2x_{i+1} +
        x_{i+2}|^2\bigr)

    over colors and along the line between rows i and i + 1, indices going round; the seam is the
    last. Likewise for columns; what is returned is the axis with the larger ratio. ``ratio`` is
    about 1 for a tile, and much more for a crop of a smooth texture. The picture is (c, h, w) with
    h and w at least 6, otherwise ValueError.

    >>> wave = torch.sin(torch.arange(32) * torch.pi / 8)[:, None].expand(1, 32, 32)
    >>> round(seam_score(wave).ratio, 3), seam_score(wave[:, :-3]).ratio > 2
    (1.0, True)
    """
    if image.ndim != 3 or min(image.shape[1:]) < 6:
        raise ValueError(
            f"expected a picture (c, at least 6, at least 6), got {tuple(image.shape)}"
        )
    return max(
        (_seam(image.detach().double(), axis) for axis in (1, 2)), key=lambda found: found.ratio
    )


def _seam(x: Tensor, axis: int) -> Seam:
    bend = (
        (x.roll(1, axis) - 2 * x + x.roll(-1, axis))
        .square()
        .mean([d for d in range(3) if d != axis])
    )
    energy = bend + bend.roll(-1)
    seam = energy[-1]
    inside = energy[1:-2]
    return Seam(seam.item(), inside.mean().item(), (inside >= seam).double().mean().item())


def _gram(f: Tensor) -> Tensor:
    rows = f[0].flatten(1)
    return rows @ rows.T / rows.shape[1]


def _one_draw(
    u: Tensor,
    v: Tensor,
    ours: Tensor,
    theirs: Tensor,
    k: int,
    patch: int,
    disjoint: bool,
    g: torch.Generator,
) -> Measured:
    order = torch.randperm(len(theirs), generator=g)
    others = order[k:] if disjoint else torch.randperm(len(theirs), generator=g)
    x = _at(u, ours[torch.randperm(len(ours), generator=g)[:k]], patch)
    y, z = _at(v, theirs[order[:k]], patch), _at(v, theirs[others[:k]], patch)
    value, floor = ((ot.wasserstein(points, y) ** 2).item() for points in (x, z))
    return Measured(value, floor)


def _at(x: Tensor, places: Tensor, patch: int) -> Tensor:
    """The patches (k, c · patch²) at top left corners (k, 2) of a picture that goes round; all
    would fill the memory.
    """
    h, w = x.shape[1:]
    step = torch.arange(patch)
    rows, columns = ((places[:, i, None] + step) % side for i, side in enumerate((h, w)))
    return x[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1).flatten(1).double()


def _places(x: Tensor, patch: int, torus: bool, made: Tensor | None, *, touching: bool) -> Tensor:
    """Corners (k, 2) of the patches with a made pixel (``touching``) or without any; of all where
    nothing says what is made.
    """
    h, w = (max(0, side - (0 if torus else patch - 1)) for side in x.shape[1:])
    if not h or not w or min(x.shape[1:]) < patch:
        return torch.zeros(0, 2, dtype=torch.long)
    if made is None:
        return torch.cartesian_prod(torch.arange(h), torch.arange(w))
    if torus:
        made = pad(made[None, None], (0, patch - 1, 0, patch - 1), mode="circular")[0, 0]
    touched = conv2d(made[None, None], made.new_ones(1, 1, patch, patch))[0, 0] > 0.5
    return (touched if touching else ~touched).nonzero().cpu()


def _made(
    mask: Tensor | None, x: Tensor, scales: int, torus: bool, name: str
) -> list[Tensor | None]:
    """At each scale 1.0 where a pixel is made; None for no mask."""
    if mask is None:
        return [None] * scales
    if mask.dtype != torch.bool or mask.shape != x.shape[1:]:
        raise ValueError(
            f"{name} must be bool {tuple(x.shape[1:])} like its picture, got {mask.dtype} "
            f"{tuple(mask.shape)}"
        )
    if name == "region":
        mask = ~mask
    return [
        (level[0, 0] > _MADE).float()
        for level in pyramid(mask[None, None].float(), scales, torus=torus)
    ]


def _check(image: Tensor, exemplar: Tensor) -> None:
    if image.ndim != 3 or exemplar.ndim != 3 or image.shape[0] != exemplar.shape[0]:
        shapes = f"{tuple(image.shape)}, {tuple(exemplar.shape)}"
        raise ValueError(
            f"image and exemplar must be (c, h, w) with one number of colors, got {shapes}"
        )
