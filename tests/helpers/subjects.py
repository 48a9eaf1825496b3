"""Methods and data sets with known metrics."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from monge.data import FiniteDataset, InfiniteDataset, SourceTarget, from_array
from monge.data.sets.toy import draw_toy
from monge.nets import Autoencoder


def moons(n: int, rng: torch.Generator) -> Tensor:
    """Draw points of the toy distribution "moons"."""
    return draw_toy("moons", n, rng)


MOONS_TO_MOONS = SourceTarget(
    "moons-to-moons", InfiniteDataset("moons", (2,), moons), InfiniteDataset("moons", (2,), moons)
)


class Fixed:
    """A method that always returns the same samples."""

    def __init__(self, samples: Tensor) -> None:
        self.samples = samples

    def sample(self, n: int, seed: int = 0) -> Tensor:
        return self.samples[torch.arange(n) % len(self.samples)]


class Pixels(nn.Module):
    """An autoencoder whose codes are the samples themselves, flattened."""

    prior = None

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(nn.Flatten(), nn.Unflatten(1, shape), int(np.prod(shape)))


def bright_halves(n: int = 400) -> FiniteDataset:
    """Pictures whose left or right half is bright: two classes that a LeNet separates at once."""
    labels = torch.arange(n) % 2
    pictures = np.zeros((n, 28, 28), np.uint8)
    pictures[0::2, :, :14] = 200
    pictures[1::2, :, 14:] = 200
    return from_array(pictures, "halves", n_held_out=100, labels=labels)


def bright_halves_named_mnist(n: int = 400, labels: Tensor | None = None) -> FiniteDataset:
    """The training part of `bright_halves` as a data set with the name of MNIST."""
    pictures, classes = bright_halves(n).labeled("train")
    labels = classes if labels is None else labels[: len(pictures)]
    return from_array(pictures, "mnist", n_held_out=100, labels=labels)


def labeled_bars() -> FiniteDataset:
    """Pictures of a bright bar at the height of their label, with the name of MNIST."""
    random, labels = np.random.default_rng(0), np.arange(400) % 10
    bars = random.uniform(0, 0.2, (400, 28, 28)).astype(np.float32)
    for bar, label in zip(bars, labels, strict=True):
        bar[2 * label + 2 : 2 * label + 6] += 0.8
    return from_array(bars, "mnist", labels=torch.from_numpy(labels))
