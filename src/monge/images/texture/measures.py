"""How near a made texture is to its exemplar, and how much of it is a copy."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.images.io import Picture
from monge.metrics import WithFloor

from .copying import copying_score
from .metrics import patch_w2
from .pictures import Mask, alike, kind_of, to_tensor, without_opaque_alpha

_SCALES = 2
_PAIRS = 10**9  # of patches that the copying score may compare: some seconds
_LEAST = 48  # pixels of a side, of which half the exemplar's are left to compare with


def patch_distances(
    made: Picture, exemplar: Picture, *, tile: bool = False, mask: Mask | None = None, region: Mask | None = None
) -> list[WithFloor]:
    """Exact patch-W2² and its floor at scales 0 and 1 (fewer where a picture is too small), see `monge.metrics.patch_w2`."""
    ours, theirs = _tensors(made, exemplar)
    inside, readable = (None if m is None else torch.from_numpy(m) for m in (mask, region))
    for scales in range(_SCALES, 0, -1):
        try:
            return patch_w2(ours, theirs, scales=scales, torus=tile, mask=inside, region=readable)
        except ValueError:  # too small for a patch at this scale
            continue
    return []


def copied_share(made: Picture, exemplar: Picture) -> float | None:
    """`monge.metrics.copying_score` of the middle of the picture, as much as a few seconds allow; None of a tiny one."""
    ours, theirs = _tensors(made, exemplar)
    side = int(min(16 * _PAIRS / (theirs.shape[1] * theirs.shape[2]), ours.shape[1] * ours.shape[2]) ** 0.5)
    if min(side, *ours.shape[1:], *theirs.shape[1:]) < _LEAST:
        return None
    h, w = ours.shape[1:]
    top, left = (max(0, (length - side) // 2) for length in (h, w))
    return copying_score(ours[:, top : top + side, left : left + side], theirs)


def _tensors(made: Picture, exemplar: Picture) -> tuple[Tensor, Tensor]:
    pair = alike([without_opaque_alpha(made), without_opaque_alpha(exemplar)])
    kind = kind_of(pair)
    ours, theirs = (to_tensor(picture, kind) for picture in pair)
    return ours, theirs
