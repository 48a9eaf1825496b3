"""Data sets whose batches are addressed by position.

A batch is a function of (seed, position, size). The state of a run's data is therefore one integer,
and each process takes its slice of the global batch without communication.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from monge.errors import MongeError
from monge.rng import rng

from .domains import Domains

if TYPE_CHECKING:
    from .kinds import Kind

Indices = NDArray[np.int64]
Part = tuple[np.ndarray, np.ndarray]
_TRAIN, _HELD_OUT, _SPLIT = 0, 1, 2  # independent random streams


def own_slice(n: int, part: tuple[int, int]) -> slice:
    """Return the rows of a global batch of ``n`` that belong to ``part = (rank, world)``."""
    rank, world = part
    if n % world:
        raise MongeError(
            f"a global batch of {n} does not divide over {world} processes: choose a multiple of "
            f"{world}"
        )
    return slice(rank * n // world, (rank + 1) * n // world)


@dataclass(frozen=True, eq=False)
class InfiniteDataset:
    """A stream from a distribution that ``draw(n, rng)`` samples."""

    name: str
    shape: tuple[int, ...]
    draw: Callable[[int, torch.Generator], Tensor] = field(repr=False)
    kind: Kind | None = None

    def batch(self, seed: int, position: int, n: int, part: tuple[int, int] = (0, 1)) -> Tensor:
        return self.draw(n, rng(seed, _TRAIN, position))[own_slice(n, part)]

    def train(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` samples of the distribution, to measure the sampling floor with."""
        return self.draw(n, rng(seed, _SPLIT, n))

    def held_out(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` samples that are in no training batch."""
        return self.draw(n, rng(seed, _HELD_OUT, n))


@dataclass(frozen=True, eq=False)
class FiniteDataset:
    """A finite data set, visited in a new order each epoch.

    A batch larger than the data set continues into the next epochs. ``fetch`` maps indices to
    samples (n, *shape). ``kind`` says what a sample is; if None, samples are points (d,) or
    pictures (channels, height, width) in [−1, 1], see `monge.data.kind_of`.
    """

    name: str
    shape: tuple[int, ...]
    fetch: Callable[[Indices], Tensor] = field(repr=False)
    train_indices: Indices = field(repr=False)
    held_out_indices: Indices = field(repr=False)
    labels: Tensor | None = field(default=None, repr=False)
    kind: Kind | None = None

    def __post_init__(self) -> None:
        train, held_out = len(self.train_indices), len(self.held_out_indices)
        if not (train and held_out):
            raise MongeError(
                f"data '{self.name}' has {train} samples to train on and {held_out} held out: each "
                "must have at least 1"
            )

    def batch(self, seed: int, position: int, n: int, part: tuple[int, int] = (0, 1)) -> Tensor:
        size = len(self.train_indices)
        positions = np.arange(position, position + n)[own_slice(n, part)]
        epochs, offsets = np.divmod(positions, size)
        chosen = [_permutation(size, seed, int(e))[offsets[epochs == e]] for e in np.unique(epochs)]
        return self.fetch(self.train_indices[np.concatenate(chosen)])

    def train(self, n: int, seed: int = 0) -> Tensor:
        """Return at most ``n`` training samples, without repetition."""
        return self.fetch(self._choose(self.train_indices, n, seed))

    def held_out(self, n: int, seed: int = 0) -> Tensor:
        """Return at most ``n`` samples that are in no training batch, without repetition."""
        return self.fetch(self._choose(self.held_out_indices, n, seed))

    def labeled(self, split: str) -> tuple[Tensor, Tensor]:
        """Return all samples of ``"train"`` or ``"held_out"`` with their labels."""
        if self.labels is None:
            raise MongeError(f"data '{self.name}' has no labels")
        indices = self.train_indices if split == "train" else self.held_out_indices
        return self.fetch(indices), self.labels[torch.from_numpy(indices)]

    @staticmethod
    def _choose(indices: Indices, n: int, seed: int) -> Indices:
        return indices[_permutation(len(indices), seed, -1)[:n]]


# added to the seed of the source of a `SourceTarget`: source and target must not draw the same
# random numbers
_SOURCE_SEED_OFFSET = 1 << 40


@dataclass(frozen=True, eq=False)
class SourceTarget:
    """An unpaired data set: a source measure P and a target measure Q, to learn a map between.

    Rows of ``source`` and ``target`` do not correspond. The methods of a data set (`batch`,
    `train`, `held_out`, `shape`, `kind`) are those of the target. ``truth`` is the optimal map from
    P to Q, if it is known. ``examples`` maps (n, seed) to at most n held-out samples of P and the
    samples of Q that correspond to them, if such pairs are known. ``domains`` defines the distances
    between sequences, for methods that compare them.
    """

    name: str
    source: InfiniteDataset | FiniteDataset
    target: InfiniteDataset | FiniteDataset
    truth: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    examples: Callable[[int, int], tuple[Tensor, Tensor]] | None = field(default=None, repr=False)
    domains: Domains | None = field(default=None, repr=False)

    @property
    def kind(self) -> Kind | None:
        return self.target.kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.target.shape

    def batch(self, seed: int, position: int, n: int, part: tuple[int, int] = (0, 1)) -> Tensor:
        return self.target.batch(seed, position, n, part)

    def train(self, n: int, seed: int = 0) -> Tensor:
        return self.target.train(n, seed)

    def held_out(self, n: int, seed: int = 0) -> Tensor:
        return self.target.held_out(n, seed)

    def source_batch(
        self, seed: int, position: int, n: int, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        return self.source.batch(seed + _SOURCE_SEED_OFFSET, position, n, part)

    def source_train(self, n: int, seed: int = 0) -> Tensor:
        return self.source.train(n, seed + _SOURCE_SEED_OFFSET)

    def source_held_out(self, n: int, seed: int = 0) -> Tensor:
        return self.source.held_out(n, seed + _SOURCE_SEED_OFFSET)


Dataset = InfiniteDataset | FiniteDataset | SourceTarget


@lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> Indices:
    return torch.randperm(n, generator=rng(seed, _TRAIN, epoch)).numpy()


def from_array(
    array: np.ndarray | Tensor,
    name: str = "array",
    *,
    n_held_out: int | None = None,
    labels: Tensor | None = None,
    ordered_split: bool = False,
) -> FiniteDataset:
    """Make a data set from an array of points or pictures.

    Points are (n, d), pictures (n, h, w), (n, h, w, c) or (n, c, h, w). uint8 pictures and float
    pictures in [0, 1] are mapped to [−1, 1]. ``n_held_out`` samples (a fifth, at most 1,000, if
    None) are held out: the last ones with ``ordered_split``, otherwise a fixed random choice.
    MongeError for an array that is not numeric, not finite, or of another shape.

    >>> from_array(np.zeros((10, 3), np.float32)).batch(seed=0, position=0, n=4).shape
    torch.Size([4, 3])
    """
    tensor = array if isinstance(array, Tensor) else _to_tensor(array, name)
    data = _as_samples(tensor, name)
    n = len(data)
    if n_held_out is None:
        n_held_out = _default_held_out(n)
    if not 0 < n_held_out < n:
        raise MongeError(
            f"n_held_out must be from 1 to {n - 1} of the {n} samples of data '{name}', got "
            f"{n_held_out}"
        )
    if labels is not None and len(labels) != n:
        raise MongeError(
            f"data '{name}' has {n} samples and {len(labels)} labels: give one label for each "
            "sample"
        )
    order = np.arange(n) if ordered_split else _permutation(n, _SPLIT, -2)

    def fetch(indices: Indices) -> Tensor:
        return _as_float(data[torch.from_numpy(indices)])

    return FiniteDataset(
        name, tuple(data.shape[1:]), fetch, *_split(order, n_held_out), labels=labels
    )


def from_parts(name: str, train: Part, test: Part) -> FiniteDataset:
    """Make a data set from a published split, (samples, labels) each; the test part is held out."""
    x, y = (np.concatenate(both) for both in zip(train, test, strict=True))
    labels = torch.from_numpy(y.astype(np.int64))
    return from_array(x, name, n_held_out=len(test[0]), labels=labels, ordered_split=True)


def from_dataset(dataset: TorchDataset[Any], name: str = "dataset") -> FiniteDataset:
    """Make a data set from a map-style torch ``Dataset`` of tensors.

    Of an item that is a tuple or list, the first element is the sample.
    """
    n = len(dataset)  # type: ignore[arg-type]
    if n < 2:
        raise MongeError(f"data '{name}' has {n} samples: at least 2 are needed")

    def fetch(indices: Indices) -> Tensor:
        items = [dataset[int(i)] for i in indices]
        samples = [item[0] if isinstance(item, tuple | list) else item for item in items]
        return _as_float(torch.stack([torch.as_tensor(sample) for sample in samples]))

    shape = tuple(fetch(np.arange(1)).shape[1:])
    parts = _split(_permutation(n, _SPLIT, -2), _default_held_out(n))
    return FiniteDataset(name, shape, fetch, *parts)


def from_images(folder: Path, size: int | None = None) -> FiniteDataset:
    """Make a data set from all pictures below a folder.

    They must have one size, or are resized to ``size``. If some are gray and some are in color,
    all are read in color.
    """
    from PIL import Image, UnidentifiedImageError

    suffixes = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes)
    if len(paths) < 2:
        raise MongeError(f"'{folder}' holds {len(paths)} pictures: at least 2 are needed")
    pictures: list[np.ndarray] = []
    for path in paths:
        try:
            with Image.open(path) as image:
                picture = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
                if size:
                    picture = picture.resize((size, size), Image.Resampling.LANCZOS)
                pictures.append(np.asarray(picture))
        except (UnidentifiedImageError, OSError) as error:
            raise MongeError(
                f"'{path}' is not a readable picture ({error}): remove or replace it"
            ) from error
        if pictures[-1].shape[:2] != pictures[0].shape[:2]:
            raise mixed_sizes_error(paths[0].name, pictures[0], path.name, pictures[-1])
    if len({p.ndim for p in pictures}) > 1:
        pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, 2) for p in pictures]
    return from_array(np.stack(pictures), folder.name)


def mixed_sizes_error(first: str, one: np.ndarray, second: str, other: np.ndarray) -> MongeError:
    """Return the error for two named pictures (h, w, …) that differ in size."""
    sizes = [f"{p.shape[1]}×{p.shape[0]}" for p in (one, other)]
    return MongeError(
        f"pictures of mixed sizes: '{first}' is {sizes[0]}, '{second}' {sizes[1]}: add "
        f"`size={one.shape[1]}`"
    )


def _default_held_out(n: int) -> int:
    """Return the number of held-out samples among n: a fifth, at most 1,000."""
    return min(1000, max(1, n // 5))


def _split(order: Indices, n_held_out: int) -> tuple[Indices, Indices]:
    """Return the training and the held-out indices; the last ones in order are held out."""
    return np.sort(order[:-n_held_out]), np.sort(order[-n_held_out:])


def _to_tensor(array: np.ndarray, name: str) -> Tensor:
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise MongeError(f"data '{name}' is not numeric, its dtype is {array.dtype}")
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array))
    return torch.from_numpy(array.astype(np.float32))


def _as_samples(data: Tensor, name: str) -> Tensor:
    """Return points (n, d) as float32, or pictures (n, c, h, w) in [−1, 1] or uint8."""
    if data.ndim < 2 or len(data) < 2 or data.numel() == 0:
        raise MongeError(
            f"data '{name}' has shape {tuple(data.shape)}: expected at least 2 samples, (n, d) or "
            "pictures"
        )
    if data.is_floating_point() and not torch.isfinite(data).all():
        bad = int((~torch.isfinite(data)).flatten(1).any(1).nonzero()[0])
        raise MongeError(
            f"data '{name}' holds NaN or Inf, first in sample {bad}: remove or replace those "
            "samples"
        )
    if data.ndim == 2:
        return data.float()
    if data.ndim == 3:
        data = data[:, None]
    elif data.ndim == 4 and data.shape[-1] in (1, 3, 4) and data.shape[1] not in (1, 3, 4):
        data = data.movedim(-1, 1)
    if data.ndim != 4:
        raise MongeError(
            f"data '{name}' has shape {tuple(data.shape)}: expected points (n, d) or pictures (n, "
            "h, w[, c])"
        )
    if data.dtype != torch.uint8:
        low, high = data.min().item(), data.max().item()
        if low < -1 or high > 1:
            raise MongeError(
                f"pictures '{name}' range over [{low:.3g}, {high:.3g}]: scale them to [0, 1] or "
                "[-1, 1], or store uint8"
            )
        data = data if low < 0 else 2 * data - 1
    return data


def _as_float(data: Tensor) -> Tensor:
    return data.float() / 127.5 - 1 if data.dtype == torch.uint8 else data.float()
