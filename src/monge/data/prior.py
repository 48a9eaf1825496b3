"""Prior distributions for the codes of an autoencoder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from monge.errors import MongeError

from .catalog import load
from .datasets import FiniteDataset, InfiniteDataset

PRIORS = ("normal", "uniform", "sphere")


def load_prior(
    name: str, dimension: int, root: str | Path | None = None
) -> InfiniteDataset | FiniteDataset:
    """Return a distribution of codes (d,), d = ``dimension``, by name.

    ``"normal"`` is N(0, I), ``"uniform"`` has mean 0 and variance 1 in each coordinate, and
    ``"sphere"`` is uniform on the sphere of radius √d. Other names are those of a data set or file
    of points. MongeError for data that are not points of that dimension.

    >>> load_prior("sphere", 4).train(3).norm(dim=1).round(decimals=4)
    tensor([2., 2., 2.])
    >>> load_prior("8gaussians", 2).shape
    (2,)
    """
    if name in PRIORS:
        return InfiniteDataset(name, (dimension,), partial(_draw, name, dimension))
    try:
        dataset = load(name, root)
    except MongeError as error:
        raise MongeError(
            f"prior '{name}' cannot be sampled: {error}; or one of {', '.join(PRIORS)}"
        ) from error
    if not isinstance(dataset, InfiniteDataset | FiniteDataset) or dataset.shape != (dimension,):
        raise MongeError(
            f"prior '{name}' cannot be sampled for codes of {dimension} numbers: its samples have "
            f"shape {dataset.shape}; give points (n, {dimension}), set method.nets.latent, or take "
            f"one of {', '.join(PRIORS)}"
        )
    return dataset


def _draw(name: str, d: int, n: int, rng: torch.Generator) -> Tensor:
    if name == "uniform":
        return (2 * torch.rand(n, d, generator=rng) - 1) * 3**0.5
    z = torch.randn(n, d, generator=rng)
    return z if name == "normal" else torch.nn.functional.normalize(z, dim=1) * d**0.5
