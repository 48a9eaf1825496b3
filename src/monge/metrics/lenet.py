"""Metrics of pictures of digits and clothes, on the 84 features of a LeNet trained on the labels.

    LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998
        [lecun1998]

The weights are cached with their sha256, and the LeNet is trained again if the file does not match
it. The metrics have "LeNet" in their names and the digest of the weights beside them; they are not
FID.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from tqdm import tqdm

from monge.errors import MongeError
from monge.rng import rng

from .features import frechet, kid, precision_recall
from .spec import Measured, Measures, Metric

if TYPE_CHECKING:
    from monge.data import FiniteDataset

_FLOOR = (("floor", "its floor", 1),)
FRECHET = Metric(
    "frechet_lenet", "Fréchet-LeNet", 1, "low", table="Fréchet-LeNet", beside=_FLOOR, headline=True
)
KID = Metric("kid_lenet", "KID-LeNet", 2, "low", table="KID-LeNet")
PRECISION = Metric("precision_lenet", "precision", 3, "high", table="precision")
RECALL = Metric("recall_lenet", "recall", 3, "high", table="recall")
CONFIDENCE = Metric("confidence", "mean confidence", 3, "high", table="confidence")
SMALLEST_CLASS = Metric(
    "smallest_class", "smallest class", 1, "high", "%", 100, table="smallest class, %"
)
LARGEST_CLASS = Metric("largest_class", "largest class", 1, None, "%", 100)
CLASS_SHARES = Metric("class_shares", "shares of the classes", brief=False)
ACCURACY = Metric("lenet_accuracy", "accuracy of the LeNet", 4, brief=False)
SHA256 = Metric("lenet_sha256", "sha256 of the LeNet", brief=False)
QUALITY = (
    FRECHET,
    KID,
    PRECISION,
    RECALL,
    CONFIDENCE,
    SMALLEST_CLASS,
    LARGEST_CLASS,
    CLASS_SHARES,
    ACCURACY,
    SHA256,
)
OF_RECONSTRUCTIONS = Metric(
    "frechet_lenet_reconstruction", "Fréchet-LeNet of reconstructions", 1, "low"
)
CONFIDENCE_OF_RECONSTRUCTIONS = Metric(
    "confidence_reconstruction", "confidence in reconstructions", 3, "high", brief=False
)
OF_FITTED = Metric(
    "frechet_lenet_baseline", "Fréchet-LeNet of a decoded Gaussian fitted to the codes", 1, "low"
)

DATA_SETS = ("mnist", "fashion_mnist")
_VERSION, _EPOCHS, _BATCH, _LR = 1, 8, 128, 4e-3
_FEWEST = 4  # pictures, because precision and recall use third neighbors


def has_lenet(dataset: Any) -> bool:
    """Return whether the metrics of the LeNet are defined for a data set.

    It must be one of `DATA_SETS` with labels (a file of the same name has none) and at least four
    pictures in each part, which covariances and third neighbors require.

    >>> from monge.data import load
    >>> has_lenet(load("digits"))
    False
    """
    if dataset.name not in DATA_SETS or getattr(dataset, "labels", None) is None:
        return False
    fewest = min(len(dataset.train_indices), len(dataset.held_out_indices))
    return dataset.shape == (1, 28, 28) and fewest >= _FEWEST


class LeNet(nn.Module):
    """LeNet-5 with ReLU and max-pooling, from pictures (n, 1, 28, 28) in [−1, 1] to 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        )
        self.head = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return the 84 activations before the last layer."""
        return self.body(x)


@dataclass(frozen=True)
class Classifier:
    """A trained LeNet with its accuracy on held-out data and the sha256 of its weights."""

    net: LeNet
    accuracy: float
    digest: str

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (n, 84) and class probabilities (n, 10) of pictures (n, 1, 28, 28)."""
        features = torch.cat([self.net.features(block.float()) for block in pictures.split(1000)])
        return features, self.net.head(features).softmax(1)


def cache_folder() -> Path:
    """Return ``$MONGE_CACHE`` or ``~/.cache/monge``."""
    return Path(os.environ.get("MONGE_CACHE") or Path.home() / ".cache" / "monge").expanduser()


def classifier(
    dataset: FiniteDataset, *, epochs: int = _EPOCHS, seed: int = 0, cache: Path | None = None
) -> Classifier:
    """Return the LeNet for a labeled data set of 28×28 pictures.

    It is trained on first use, which takes less than a minute for MNIST. MongeError for pictures of
    another shape or without labels.
    """
    if dataset.shape != (1, 28, 28):
        raise MongeError(
            f"the LeNet takes pictures of shape (1, 28, 28), data '{dataset.name}' has "
            f"{dataset.shape}"
        )
    if dataset.labels is None:
        raise MongeError(f"the LeNet needs labels, data '{dataset.name}' has none")
    trained = f"v{_VERSION}-e{epochs}" + (f"-s{seed}" if seed else "")
    # a subset has its own LeNet
    labels = hashlib.sha256(dataset.labels[dataset.train_indices].numpy().tobytes()).hexdigest()[:8]
    path = (cache or cache_folder()) / f"lenet-{dataset.name}-{trained}-{labels}.safetensors"
    seal = path.with_suffix(".sha256")
    if path.is_file() and seal.is_file():
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == seal.read_text().strip():
            return _load_classifier(content, dataset)
        tqdm.write(f"{path} does not match its checksum: training the LeNet again")
    content = save(_train(dataset, epochs, seed).state_dict())
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(path)
    seal.write_text(hashlib.sha256(content).hexdigest() + "\n")
    return _load_classifier(content, dataset)


def _load_classifier(content: bytes, dataset: FiniteDataset) -> Classifier:
    net = LeNet()
    net.load_state_dict(load(content))
    net.eval().requires_grad_(False)
    x, y = dataset.labeled("held_out")
    accuracy = (net(x).argmax(1) == y).float().mean().item()
    return Classifier(net, accuracy, hashlib.sha256(content).hexdigest())


@torch.enable_grad()
def _train(dataset: FiniteDataset, epochs: int, seed: int) -> LeNet:
    x, y = dataset.labeled("train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LeNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=_LR)
    steps = max(1, len(x) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LR, epochs * steps)
    for epoch in tqdm(range(epochs), desc=f"LeNet on {dataset.name}"):
        order = torch.randperm(len(x), generator=rng(seed, epoch))
        for chosen in order.split(_BATCH)[:steps]:
            loss = nn.functional.cross_entropy(net(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net


class FrechetLeNet:
    """Fréchet-LeNet of pictures (n, 1, 28, 28) to the held-out data.

    The features of the data are computed once, and the LeNet is trained on first use. Only values
    for the same number of pictures are comparable, because small samples have a large distance.
    """

    def __init__(self, dataset: FiniteDataset, n: int = 10_000) -> None:
        self.lenet = classifier(dataset)
        self.data, _ = self.lenet(dataset.held_out(n))

    def __call__(self, samples: Tensor) -> float:
        return frechet(self.lenet(samples)[0], self.data)


@lru_cache(maxsize=2)
def frechet_lenet(dataset: FiniteDataset) -> FrechetLeNet:
    """Return the Fréchet-LeNet to a data set, cached between calls."""
    return FrechetLeNet(dataset)


def lenet_quality(samples: Tensor, dataset: FiniteDataset) -> Measures:
    """Compute `QUALITY` of pictures (n, 1, 28, 28).

    These are Fréchet-LeNet, KID-LeNet, precision, recall, confidence and shares of the classes. The
    floor is the value of training data against held-out data. Beside the Fréchet distance is that
    of one Gaussian fitted to the pixels.
    """
    lenet = classifier(dataset)
    n = len(samples)
    data, _ = lenet(dataset.held_out(n))
    train, _ = lenet(dataset.train(n))
    features, probabilities = lenet(samples)
    baseline, _ = lenet(pixel_gaussian(dataset.train(60_000), n))
    quality = precision_recall(features[:5000], data[:5000])
    shares = torch.bincount(probabilities.argmax(1), minlength=10) / n
    gaussian = {"pixel_gaussian": frechet(baseline, data)}
    return {
        FRECHET: Measured(frechet(features, data), frechet(train, data), gaussian),
        KID: Measured(kid(features, data), kid(train, data)),
        PRECISION: Measured(quality.precision),
        RECALL: Measured(quality.recall),
        CONFIDENCE: Measured(probabilities.amax(1).mean().item()),
        SMALLEST_CLASS: Measured(shares.min().item()),
        LARGEST_CLASS: Measured(shares.max().item()),
        CLASS_SHARES: Measured([round(s, 4) for s in shares.tolist()]),
        ACCURACY: Measured(lenet.accuracy),
        SHA256: Measured(lenet.digest),
    }


def pixel_gaussian(pictures: Tensor, n: int, seed: int = 0) -> Tensor:
    """Draw n pictures from one Gaussian fitted to the pixels, clipped to [−1, 1]."""
    flat = pictures.flatten(1).double()
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    z = torch.randn(n, flat.shape[1], generator=rng(seed), dtype=torch.float64)
    samples = flat.mean(0) + (z * values.clamp_min(0).sqrt()) @ vectors.T
    return samples.clamp(-1, 1).reshape(n, *pictures.shape[1:]).float()
