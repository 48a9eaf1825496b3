"""The LeNet is cached and accurate, and a Gaussian of pixels has the moments of the data."""

from __future__ import annotations

from pathlib import Path

import torch

from monge import metrics
from monge.data import FiniteDataset
from monge.metrics.lenet import pixel_gaussian
from tests.helpers.subjects import bright_halves


def test_lenet_is_cached_and_trained_again_if_the_file_is_corrupt(tmp_path: Path) -> None:
    dataset = bright_halves()
    first = metrics.classifier(dataset, epochs=3, cache=tmp_path)
    assert first.accuracy == 1.0
    again = metrics.classifier(dataset, epochs=3, cache=tmp_path)
    assert again.digest == first.digest
    file = next(tmp_path.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert metrics.classifier(dataset, epochs=3, cache=tmp_path).digest == first.digest


def test_lenet_of_mnist_is_accurate(mnist: FiniteDataset) -> None:
    lenet = metrics.classifier(mnist)
    assert lenet.accuracy >= 0.985
    features, probabilities = lenet(mnist.held_out(100))
    assert features.shape == (100, 84)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(100))


def test_pixel_gaussian_has_the_moments_of_the_data() -> None:
    pictures = 0.1 * torch.randn(2000, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.2
    samples = pixel_gaussian(pictures, 2000)
    assert metrics.frechet(samples.flatten(1), pictures.flatten(1)) < 0.01
