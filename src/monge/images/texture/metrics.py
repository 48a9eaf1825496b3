r"""Metrics of textures: distances of patches and of features, and seams; `copying` measures copies.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
        transport between feature distributions", JMIV 2023: patches at scales   [houdard2023]
    Gatys, Ecker & Bethge, "Texture synthesis using convolutional neural networks", NeurIPS 2015:
        Gram matrices   [gatys2015]
    Ustyuzhaninov, Brendel, Gatys & Bethge, "What does it take to generate natural textures?", ICLR
        2017: random filters   [ustyuzhaninov2017]

S_l   scale l of a picture, see `monge.nets.pyramid`
f, G  features of one scale, one row for each place, see `monge.nets.RandomFilters`, and their Gram
      matrix fᵀf / places

Pictures are (c, h, w) with values in [0, 1]. Nothing is clamped: values outside the range increase
the distance.
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

_DRAWS = 31  # random stream of the patches
_LINES = 32  # random stream of the projections
_MADE = 0.1  # a pixel of a coarser scale counts as made if more than this share of it was made
# ReLU may leave almost nothing of a channel on a small exemplar: its weight is bounded
_SILENT = 0.5
_PROJECTIONS_AT_ONCE = 8  # a picture of a megapixel has a million patches


def patch_w2(
    image: Tensor, exemplar: Tensor, *, scales: int = 3, patch: int = 4, n: int = 1500,
    draws: int = 3, seed: int = 0, torus: bool = False, disjoint: bool = False,
    mask: Tensor | None = None, region: Tensor | None = None,
) -> list[Measured]:  # fmt: skip
    r"""Return the exact W₂² between n patches of a picture and n of an exemplar at each scale.

    The floor is the distance of n other patches of the exemplar:

    .. math::

        W_2^2\Bigl(\tfrac1n \sum_i \delta_{P_i S_l u},\ \tfrac1n \sum_j \delta_{P_j S_l v}\Bigr)

    The result has one `Measured` for each scale, the finest first, in squared units of the picture,
    summed over a patch, whose side is ``patch`` pixels; it is the mean of ``draws``. Patches are
    drawn without replacement; value and floor share the exemplar's n patches. If the exemplar has
    fewer than 2n patches, n is half of them; n is at most the number of the image's patches.

    With ``torus`` the image is periodic: patches across its border count. With ``disjoint`` the two
    draws of the floor share no patch. By default they are independent, so that the mean ratio of
    the exemplar itself is 1; on coarse scales, which have few patches, a picture without copies
    cannot reach this.

    With a ``mask``, bool (h, w), only patches of the image that touch it count: those with a pixel
    of which more than 0.1 was averaged from the mask. With a ``region``, bool (h', w'), only
    patches of the exemplar inside it count: those without a pixel of which more than 0.1 came from
    elsewhere. ``patch_w2(x, x, mask=mask, region=~mask)`` compares an inpainted hole with its
    surroundings.

    ValueError if shapes differ or a scale has no two patches. A scale of a draw takes a third of a
    second at n = 1500. Source: [houdard2023].

    >>> x, y = torch.full((3, 40, 40), 0.25), torch.full((3, 40, 40), 0.75)
    >>> [round(scale.value, 3) for scale in patch_w2(x, y, n=50, draws=1)]  # 16 · 3 · (1/2)²
    [12.0, 12.0, 12.0]
    """
    _check(image, exemplar)
    made = _made(mask, image, scales, torus, "mask")
    excluded = _made(region, exemplar, scales, False, "region")
    images, exemplars = pyramid(image[None], scales, torus=torus), pyramid(exemplar[None], scales)
    distances = []
    for scale, levels in enumerate(zip(images, exemplars, made, excluded, strict=True)):
        u, v, inside, outside = levels
        ours = _places(u[0], patch, torus, inside, touching=True)
        theirs = _places(v[0], patch, False, outside, touching=False)
        k = min(n, len(theirs) // 2, len(ours))
        if k < 1:
            have = f"{len(ours)} patches of the image and {len(theirs)} of the exemplar"
            raise ValueError(f"scale {scale} has {have}: take fewer scales")
        one_draw = partial(_one_draw, u[0], v[0], ours, theirs, k, patch, disjoint)
        drawn = [one_draw(rng(seed, _DRAWS, scale, draw)) for draw in range(draws)]
        value, floor = (sum(column) / draws for column in zip(*drawn, strict=True))
        distances.append(Measured(value, floor))
    return distances


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
    r"""Return the sliced W₂² between *all* patches of two pictures at each scale.

    .. math::

        \frac1K \sum_k W_2^2\bigl(\{\theta_k^\top P_i S_l u\}_i,\ \{\theta_k^\top P_j S_l
        v\}_j\bigr)

    It is fast, because projecting patches is filtering the picture, and has no floor, because no
    patches are drawn. Its value is about 1/d of `patch_w2` for d = c · patch². Shapes and errors
    are those of `patch_w2`. Source: [houdard2023], and [bonneel2015] for the slices.

    >>> x = torch.rand(1, 32, 32)
    >>> sliced_patch_w2(x, x, scales=2)
    [0.0, 0.0]
    """
    _check(image, exemplar)
    images, exemplars = pyramid(image[None], scales, torus=torus), pyramid(exemplar[None], scales)
    distances = []
    for u, v in zip(images, exemplars, strict=True):
        if min(*u.shape[2:], *v.shape[2:]) < patch:
            sides = f"{tuple(u.shape[2:])} and {tuple(v.shape[2:])}"
            raise ValueError(f"patches of {patch} pixels do not fit {sides}: take fewer scales")
        if torus:
            u = pad(u, (0, patch - 1, 0, patch - 1), mode="circular")
        shape, random = (n_projections, u.shape[1] * patch**2), rng(seed, _LINES)
        theta = normalize(torch.randn(shape, generator=random, dtype=u.dtype), dim=1)
        filters = theta.view(n_projections, -1, patch, patch).to(u.device)
        squares = []
        for some in filters.split(_PROJECTIONS_AT_ONCE):
            x, y = (conv2d(level, some)[0].flatten(1) for level in (u, v))
            squares.append(ot.wasserstein_1d(x, y).square())
        distances.append(torch.cat(squares).mean().item())
    return distances


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
    r"""Return the relative squared distance of Gram matrices of random-filter features.

    .. math:: \frac1L \sum_l \frac{\|G_l(u) - G_l(v)\|_F^2}{\|G_l(v)\|_F^2}

    Features are divided by their root mean squares over the exemplar, so that each channel has the
    same weight; almost silent channels are divided by half of the mean of the root mean squares.
    Pictures are (c, h, w) and (c, h', w'). 0 means equal, and no upper bound exists: white noise
    has some hundreds compared with a smooth exemplar. A scale with few places for a filter is
    dominated by noise: take fewer scales for small pictures. ValueError if a filter does not fit
    the smallest scale. Source: [gatys2015] with the filters of [ustyuzhaninov2017].

    >>> x = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> gram_distance(x, x), round(gram_distance(x.sqrt(), x), 2)
    (0.0, 0.1)
    """
    _check(image, exemplar)
    settings = {"scales": scales, "filters": filters, "size": size, "seed": seed}
    features = []
    for x, periodic in ((image, torus), (exemplar, False)):
        net = RandomFilters(image.shape[0], torus=periodic, **settings).to(x.device)
        with torch.no_grad():
            features.append(net(x[None]))
    total = 0.0
    for f, g in zip(*features, strict=True):
        unit = g.square().mean((0, 2, 3), keepdim=True).sqrt()
        unit = unit.clamp_min(_SILENT * unit[:, : g.shape[1] - image.shape[0]].mean().item() + 1e-6)
        G, H = _gram(f / unit), _gram(g / unit)
        total += ((G - H).square().sum() / H.square().sum().clamp_min(1e-12)).item()
    return total / len(features[0])


@dataclass(frozen=True)
class Seam:
    """Energy around the seam of a picture laid beside itself, and mean energy of the lines inside.

    ``rank`` is the share of the lines inside with at least the energy of the seam: about one half
    for a tile, 0 for a visible seam.
    """

    seam: float
    interior: float
    rank: float

    @property
    def ratio(self) -> float:
        return self.seam / self.interior if self.interior else (inf if self.seam else 1.0)


def seam_score(image: Tensor) -> Seam:
    r"""Measure whether a picture tiles the plane, by the second differences across its border.

    .. math::

        E_i = \operatorname{mean}\bigl(|x_{i-1} - 2x_i + x_{i+1}|^2 + |x_i - 2x_{i+1} +
        x_{i+2}|^2\bigr)

    is the energy of the line between rows i and i + 1, a mean over colors and along the line, with
    periodic indices; the seam is the last line. Columns have the same energies, and the result is
    that of the axis with the larger ratio, seam to mean of the other lines. ``ratio`` is about 1
    for a tile, and much larger for a crop of a smooth texture. The picture is (c, h, w), with h and
    w at least 6, otherwise ValueError.

    >>> wave = torch.sin(torch.arange(32) * torch.pi / 8)[:, None].expand(1, 32, 32)
    >>> round(seam_score(wave).ratio, 3), seam_score(wave[:, :-3]).ratio > 2
    (1.0, True)
    """
    if image.ndim != 3 or min(image.shape[1:]) < 6:
        raise ValueError(
            f"expected a picture (c, at least 6, at least 6), got {tuple(image.shape)}"
        )
    x = image.detach().double()
    return max((_seam(x, axis) for axis in (1, 2)), key=lambda seam: seam.ratio)


def _seam(x: Tensor, axis: int) -> Seam:
    difference = x.roll(1, axis) - 2 * x + x.roll(-1, axis)
    bend = difference.square().mean([d for d in range(3) if d != axis])
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
    random: torch.Generator,
) -> tuple[float, float]:
    """Return the distance between drawn patches and its floor."""
    order = torch.randperm(len(theirs), generator=random)
    others = order[k:] if disjoint else torch.randperm(len(theirs), generator=random)
    x = _take(u, ours[torch.randperm(len(ours), generator=random)[:k]], patch)
    y, z = _take(v, theirs[order[:k]], patch), _take(v, theirs[others[:k]], patch)
    return (ot.wasserstein(x, y) ** 2).item(), (ot.wasserstein(z, y) ** 2).item()


def _take(x: Tensor, places: Tensor, patch: int) -> Tensor:
    """Return the patches (k, c · patch²) at corners (k, 2) of a periodic picture.

    All patches at once would fill the memory.
    """
    h, w = x.shape[1:]
    step = torch.arange(patch)
    rows, columns = ((places[:, i, None] + step) % side for i, side in enumerate((h, w)))
    return x[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1).flatten(1).double()


def _places(x: Tensor, patch: int, torus: bool, made: Tensor | None, *, touching: bool) -> Tensor:
    """Return the corners (k, 2) of the patches with a made pixel (``touching``) or without any.

    All patches count if ``made`` is None.
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
    """Return for each scale 1.0 where a pixel is made, 0.0 elsewhere; None for no mask.

    A pixel is made inside the mask, or outside the region.
    """
    if mask is None:
        return [None] * scales
    if mask.dtype != torch.bool or mask.shape != x.shape[1:]:
        raise ValueError(
            f"{name} must be bool {tuple(x.shape[1:])} like its picture, got {mask.dtype} "
            f"{tuple(mask.shape)}"
        )
    if name == "region":
        mask = ~mask
    levels = pyramid(mask[None, None].float(), scales, torus=torus)
    return [(level[0, 0] > _MADE).float() for level in levels]


def _check(image: Tensor, exemplar: Tensor) -> None:
    if image.ndim != 3 or exemplar.ndim != 3 or image.shape[0] != exemplar.shape[0]:
        shapes = f"{tuple(image.shape)} and {tuple(exemplar.shape)}"
        raise ValueError(
            f"image and exemplar must be (c, h, w) with one number of colors, got {shapes}"
        )
