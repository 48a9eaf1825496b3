"""Pairs of measures with a known optimal map, to benchmark solvers of W₂.

    Korotin et al., "Do neural optimal transport solvers work? A continuous Wasserstein-2
        benchmark", NeurIPS 2021   [korotin2021b]

P is a mixture of three Gaussians, and Q is its image under T = (∇(v₁ + v₂) − shift) / scale, where
v₁ and v₂ are input-convex networks that the authors trained toward mixtures of ten Gaussians. The
gradient of a convex function is optimal, hence T is the optimal map.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import elu

from monge.data.datasets import InfiniteDataset, SourceTarget
from monge.errors import MongeError

W2BENCHMARK = {f"w2benchmark-{d}": d for d in (2, 4, 8, 16, 32, 64)}

Arrays = Mapping[str, Tensor]


def read_w2benchmark(name: str, root: Path) -> SourceTarget:
    """Read the pair of one dimension, with its optimal map."""
    path = root / "w2benchmark" / f"mix3to10_dim{W2BENCHMARK[name]}.npz"
    if not path.is_file():
        raise MongeError(
            f"data set '{name}' is not at {path}: set MONGE_DATA to the folder that holds "
            "w2benchmark/"
        )
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {key: torch.from_numpy(content[key]).float() for key in content}
        d = len(arrays["out_shift"])
        draw, truth = partial(_three_gaussians, arrays), _truth(arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise MongeError(f"'{path}' is corrupt ({error}): replace it") from error
    target = InfiniteDataset(f"{name}-target", (d,), lambda n, rng: truth(draw(n, rng)))
    return SourceTarget(name, InfiniteDataset(f"{name}-source", (d,), draw), target, truth)


def _three_gaussians(arrays: Arrays, n: int, rng: Generator) -> Tensor:
    maps, centers = arrays["maps"], arrays["centers"]
    k = torch.randint(len(centers), (n,), generator=rng)
    z = torch.randn(n, centers.shape[1], generator=rng)
    return torch.einsum("nij,nj->ni", maps[k], z) * arrays["std"] + centers[k]


def _truth(arrays: Arrays) -> Callable[[Tensor], Tensor]:
    gradients = [
        _gradient({key[3:]: a for key, a in arrays.items() if key.startswith(v)})
        for v in ("v1.", "v2.")
    ]
    shift, scale, strong = arrays["out_shift"], arrays["out_scale"], arrays["strong_convexity"]

    def truth(x: Tensor) -> Tensor:
        return (sum(gradient(x) for gradient in gradients) + 2 * strong * x - shift) / scale

    return truth


def _gradient(arrays: Arrays) -> Callable[[Tensor], Tensor]:
    """Return the gradient of w·h₂.

    h₀ = q₀(x), hᵢ = celu(Wᵢ hᵢ₋₁ + qᵢ(x)) and qᵢ(x) = Σᵣ (x·aᵣ)² + Bᵢ x + bᵢ.
    """
    names = [f"quadratic_layers.{i}" for i in range(3)]
    layers = [
        (arrays[f"{q}.quadratic_decomposed"], arrays[f"{q}.weight"], arrays[f"{q}.bias"])
        for q in names
    ]
    W = [arrays[f"convex_layers.{i}.weight"] for i in range(2)]
    w = arrays["final_layer.weight"]

    def gradient(x: Tensor) -> Tensor:
        projected = [torch.einsum("nd,drk->nrk", x, a) for a, _, _ in layers]
        parts = zip(projected, layers, strict=True)
        q = [p.square().sum(1) + x @ B.T + b for p, (_, B, b) in parts]
        z1 = q[0] @ W[0].T + q[1]
        z2 = elu(z1) @ W[1].T + q[2]
        delta2 = w[0] * z2.clamp_max(0).exp()  # backpropagation: elu′(z) = exp(min(z, 0))
        delta1 = (delta2 @ W[1]) * z1.clamp_max(0).exp()
        delta0 = delta1 @ W[0]
        result = torch.zeros_like(x)
        for delta, p, (a, B, _) in zip((delta0, delta1, delta2), projected, layers, strict=True):
            result = result + delta @ B + 2 * torch.einsum("nrk,drk->nd", p * delta[:, None], a)
        return result

    return gradient
