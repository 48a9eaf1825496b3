"""Distributions that codes should have: what an autoencoder's prior may be."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from monge.errors import MongeError

from .catalog import load
from .sources import EndlessSource, FiniteSource

PRIORS = ("normal", "uniform", "sphere")


def load_prior(name: str, dimension: int, root: str | Path | None = None) -> EndlessSource | FiniteSource:
    """Return a source of codes: ``"normal"`` N(0, I), ``"uniform"`` of mean 0 and variance 1 in each coordinate, ``"sphere"`` of
    radius √d, or points of any data set or file. MongeError for data that are not points of that dimension.

    >>> load_prior("sphere", 4).train(3).norm(dim=1).round(decimals=4)
    tensor([2., 2., 2.])
    >>> load_prior("8gaussians", 2).shape
    (2,)
    """
    if name in PRIORS:
        draw = {"normal": _normal, "uniform": _uniform, "sphere": _sphere}[name]
        return EndlessSource(name, (dimension,), lambda n, generator: draw(n, dimension, generator))
    try:
        source = load(name, root)
    except MongeError as error:
        raise MongeError(f"prior '{name}' cannot be sampled: {error}; or one of {', '.join(PRIORS)}") from error
    if not isinstance(source, EndlessSource | FiniteSource) or source.shape != (dimension,):
        raise MongeError(
            f"prior '{name}' cannot be sampled for codes of {dimension} numbers: its samples have shape {source.shape}; give "
            f"points (n, {dimension}), set method.nets.latent, or take one of {', '.join(PRIORS)}"
        )
    return source


def _normal(n: int, d: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, d, generator=generator)


def _uniform(n: int, d: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(n, d, generator=generator) - 1) * 3**0.5


def _sphere(n: int, d: int, generator: torch.Generator) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, d, generator=generator), dim=1) * d**0.5
