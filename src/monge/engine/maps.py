"""What is measured of a method that moves one distribution onto another: its inverse, and how far it is from optimal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge import metrics, ot
from monge.data import Pair, Source, generator
from monge.errors import MongeError
from monge.methods.protocols import DualPotential, Generator, InvertibleMap, Map

_DUAL = 10_000  # points on either side for the dual value
_PICTURES = 1000  # pictures, at most, of either side
_JUDGED = 65_536  # points on which a map is compared with the true one


def origin(source: Source, n: int, seed: int, *, train: bool = False) -> Tensor:
    """``n`` points of P, held out from training or of it: those of a pair, otherwise normal noise."""
    if isinstance(source, Pair):
        return source.origin_train(n, seed) if train else source.origin_held_out(n, seed)
    return torch.randn(n, *source.shape, generator=generator(seed, n, int(train)))


def drawn(method: Any, source: Source, n: int, seed: int = 0) -> Tensor:
    """``n`` samples of a method: held-out points of a pair's origin, moved by a map, or what the method draws by itself.

    MongeError for a method that only moves given samples, where the data are no pair that has some.
    """
    if isinstance(source, Pair) and isinstance(method, Map):
        return moved(method, origin(source, n, seed), seed)
    if isinstance(method, Generator):
        return method.sample(n, seed)
    raise MongeError(
        f"{method.config.name} cannot make {n} samples (seed {seed}) out of nothing, and data '{source.name}' is not a pair: "
        "give it samples of a pair's origin to transform"
    )


def moved(method: Any, x: Tensor, seed: int = 0) -> Tensor:
    """Points moved by a method's map; what it draws for them where it is `ConditionalMap`, all at once: noise is the batch's."""
    x = placed(x, method)
    return in_blocks(method.transform, x) if isinstance(method, InvertibleMap) else method.transform(x, seed)


def in_blocks(f: Any, x: Tensor) -> Tensor:
    rows = max(1, 2**22 // x[0].numel() // 64)
    return torch.cat([f(block) for block in x.split(rows)])


def placed(x: Tensor, method: Any) -> Tensor:
    """x where the method's weights are, in their type."""
    like = next(method.parameters())
    return x.to(like.device, like.dtype)


def map_figures(method: Any, source: Source, n: int, seed: int) -> dict[str, float]:
    """W₂² of the inverse's samples with its floor, and cycle errors in per cent of the variance; nothing without an inverse."""
    if not isinstance(method, InvertibleMap):
        return {}
    x, y = origin(source, n, seed), source.held_out(n, seed)
    moved, back = (in_blocks(f, placed(t, method)) for f, t in ((method.transform, x), (method.inverse_transform, y)))
    inverse = metrics.w2_squared(back.float().cpu(), x, origin(source, n, seed, train=True))
    return {
        "w2_inverse": inverse.value,
        "w2_inverse_floor": inverse.floor,
        "w2_inverse_ratio": inverse.ratio,
        "cycle_error": metrics.l2_uvp(in_blocks(method.inverse_transform, moved).float().cpu(), x),
        "inverse_cycle_error": metrics.l2_uvp(in_blocks(method.transform, back).float().cpu(), y),
    }


def optimality(method: Any, source: Source, n: int, seed: int) -> dict[str, float]:
    """The dual's W₂² beside the exact one of ``n`` points a side; L2-UVP, ours and a linear map's, where the truth is known."""
    found: dict[str, float] = {}
    if isinstance(method, DualPotential):
        x, y = origin(source, n, seed), source.held_out(n, seed)
        found["w2_exact"] = (ot.wasserstein(x.flatten(1).double(), y.flatten(1).double()) ** 2).item()
        x, y = (placed(t, method) for t in (origin(source, _DUAL, seed), source.held_out(_DUAL, seed)))
        found["w2_dual"] = float(method.w2_squared(x, y))
    if isinstance(source, Pair) and source.truth is not None:
        x = source.origin_held_out(_JUDGED, seed)
        truth = source.truth(x)
        found["l2_uvp"] = metrics.l2_uvp(in_blocks(method.transform, placed(x, method)).float().cpu(), truth)
        found["l2_uvp_linear"] = metrics.l2_uvp(linear_map(source)(x), truth)
        if isinstance(method, InvertibleMap):
            found["l2_uvp_inverse"] = metrics.l2_uvp(in_blocks(method.inverse_transform, placed(truth, method)).float().cpu(), x)
    return found


def translated(method: Any, source: Source) -> dict[str, float]:
    """Fréchet distance of the filters' features, both ways and of the pictures as they are: for colour pictures of a `Pair`."""
    if not (isinstance(source, Pair) and len(source.shape) == 3 and source.shape[0] == 3 and isinstance(method, InvertibleMap)):
        return {}
    A, B = source.origin_held_out(_PICTURES, 0), source.held_out(_PICTURES, 0)
    there, back = (
        in_blocks(f, placed(t, method)).float().cpu() for f, t in ((method.transform, A), (method.inverse_transform, B))
    )
    found: dict[str, float] = {}
    for name, moved, still, goal, reference in (
        ("forward", there, A, B, source.train(_PICTURES, 0)),
        ("inverse", back, B, A, source.origin_train(_PICTURES, 0)),
    ):
        figure = metrics.frechet_filters(moved, goal, reference)
        found[f"frechet_filters_{name}"] = figure.value
        found[f"frechet_filters_{name}_unmoved"] = metrics.frechet_filters(still, goal, reference).value
        found[f"frechet_filters_{name}_floor"] = figure.floor
    return found


def linear_map(source: Pair, n: int = _JUDGED) -> ot.AffineMap:
    """The optimal map between Gaussians with the moments of P and Q, the best linear one."""
    x, y = source.origin_train(n), source.train(n)
    return ot.gaussian_map(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
