"""Metrics have known values and known floors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from monge import metrics
from monge.data import FiniteDataset, Mixture, from_array, load
from monge.data.sets.toy import TOYS, draw_toy
from monge.metrics.lenet import pixel_gaussian
from monge.metrics.memorization import COPIES, NEAREST
from tests.helpers.clouds import cloud


def test_frechet_against_scipy() -> None:
    x, y = cloud(0, 200, 6), cloud(1, 300, 6, 0.3) * 1.7
    C_x, C_y = np.cov(x.numpy().T), np.cov(y.numpy().T)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum().item() + np.trace(
        C_x + C_y - 2 * sqrtm(C_x @ C_y).real
    )
    assert metrics.frechet(x, y) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet(x, x) == pytest.approx(0, abs=1e-8)
    assert metrics.frechet(cloud(0, 3, 50), cloud(1, 3, 50)) > 0  # fewer samples than dimensions


def test_kid_against_brute_force_and_unbiased() -> None:
    x, y = cloud(0, 7, 3), cloud(1, 9, 3)
    k = lambda s, t: float((s @ t / 3 + 1) ** 3)
    within = lambda z: np.mean(
        [k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
    )
    expected = within(x) + within(y) - 2 * np.mean([k(s, t) for s in x for t in y])
    assert metrics.kid(x, y) == pytest.approx(expected, rel=1e-10)
    draws = torch.tensor([metrics.kid(cloud(s, 30, 3), cloud(s + 500, 30, 3)) for s in range(200)])
    assert abs(draws.mean()) < 4 * draws.std() / 200**0.5


def test_precision_and_recall() -> None:
    data = cloud(0, 300, 2)
    narrow = metrics.precision_recall(0.1 * cloud(1, 300, 2), data)
    wide = metrics.precision_recall(10 * cloud(1, 300, 2), data)
    assert narrow.precision > 0.95
    assert narrow.recall < 0.3
    assert wide.precision < 0.3


def test_coverage_counts_modes_and_strays() -> None:
    toy = TOYS["25gaussians"]
    assert isinstance(toy, Mixture)
    data = draw_toy("25gaussians", 5000, torch.Generator().manual_seed(0))
    real = metrics.coverage(data, toy.centers, toy.sigma)
    assert real.modes == 25
    assert real.share == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    one = metrics.coverage(data[:100] * 0, toy.centers, toy.sigma)
    assert (one.modes, one.share) == (1, 1.0)


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_relative_spread(shape: tuple[int, ...]) -> None:
    v = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.5
    rows = v.reshape(50, -1).double()
    expected = (
        ((rows - rows.mean(0)).square().sum(1).mean() / rows.square().sum(1).mean()).sqrt().item()
    )
    assert metrics.relative_spread(v).item() == pytest.approx(expected, rel=1e-10)
    # a matter of shape, not of size
    assert metrics.relative_spread(1e-30 * v).item() == pytest.approx(expected, rel=1e-6)
    assert metrics.relative_spread(v - v.mean(0)).item() == pytest.approx(1)
    assert metrics.relative_spread(v - v.mean(0)) <= 1
    for value in (0.0, 0.1, -1e-20, 1 / 3):
        assert metrics.relative_spread(torch.full(shape, value)) == 0
        assert metrics.relative_spread(torch.full(shape, value, dtype=torch.float64)) == 0
    assert not metrics.relative_spread(v.requires_grad_()).requires_grad


def test_nearest_against_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cloud(0, 37, 12).reshape(37, 3, 2, 2).float() + 100
    y = cloud(1, 53, 12).reshape(53, 3, 2, 2).float() + 100
    y[40] = x[5]
    pairs = (x.flatten(1).double()[:, None] - y.flatten(1).double()).norm(dim=2)
    for block in (2**23, 40, 1):  # one block, blocks over both, single points
        monkeypatch.setattr(sys.modules["monge.metrics.memorization"], "_BLOCK", block)
        distance, index = metrics.nearest(x, y)
        torch.testing.assert_close(distance, pairs.min(1).values, rtol=1e-12, atol=0)
        assert torch.equal(index, pairs.argmin(1))
        assert distance[5] == 0  # exactly, though the points are far from the origin
    with pytest.raises(ValueError, match="one size"):
        metrics.nearest(x, y[:, :2])


def test_no_large_block(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []
    addmm = torch.addmm

    def noted(bias: torch.Tensor, x: torch.Tensor, y: torch.Tensor, **options: int) -> torch.Tensor:
        sizes.append((x.numel(), y.numel(), len(x) * y.shape[1]))
        return addmm(bias, x, y, **options)

    monkeypatch.setattr(torch, "addmm", noted)
    metrics.nearest(torch.zeros(3000, 2), torch.zeros(9000, 2))
    assert sum(size[2] for size in sizes) == 3000 * 9000
    metrics.nearest(torch.zeros(8, 600), torch.zeros(20_000, 600))
    assert max(max(size) for size in sizes) * 8 <= 64 * 2**20


def test_memorization_tells_copies_from_new_data() -> None:
    train, held_out = cloud(0, 2000, 4), cloud(1, 1000, 4)

    def found(samples: Tensor, *of: Tensor) -> tuple[float, float]:
        measures = metrics.memorization(samples, *of)
        return measures[NEAREST].value, measures[COPIES].value

    ratio, copies = found(cloud(2, 1000, 4), train, held_out)
    assert ratio == pytest.approx(1, abs=0.1)
    assert copies == pytest.approx(0.01, abs=0.012)
    _, copies = found(torch.cat([train[:500], cloud(2, 500, 4)]), train, held_out)
    assert copies == pytest.approx(0.5, abs=0.02)
    ratio, copies = found(train[:500] + 1e-6, train, held_out)
    assert ratio < 1e-4
    assert copies == 1
    equal = torch.zeros(5, 2)
    assert found(equal, equal, equal) == (1.0, 1.0)
    assert found(equal + 1, equal, equal) == (float("inf"), 0.0)


def test_energy_distance_to_a_single_datum() -> None:
    assert metrics.energy_distance(torch.zeros(3, 2), torch.ones(1, 2)) == pytest.approx(2 * 2**0.5)


def test_w2_of_data_is_its_floor_in_the_mean() -> None:
    source = load("8gaussians")
    figures = [
        metrics.w2_squared(source.train(200, s + 50), source.held_out(200, s), source.train(200, s))
        for s in range(20)
    ]
    assert sum(f.value for f in figures) == pytest.approx(sum(f.floor for f in figures), rel=0.25)


@pytest.mark.parametrize(
    ("name", "modes", "sigma"),
    [
        ("8gaussians", 8, 1 / 6),
        ("25gaussians", 25, 0.05),
        ("49gaussians", 49, 1 / 9),
        ("100gaussians", 100, 1 / 9),
    ],
)
def test_toys_are_what_their_names_say(name: str, modes: int, sigma: float) -> None:
    toy = TOYS[name]
    assert isinstance(toy, Mixture)
    assert len(toy.centers) == modes
    data = draw_toy(name, 20_000, torch.Generator().manual_seed(0))
    nearest = torch.cdist(data, toy.centers)
    spread = (data - toy.centers[nearest.argmin(1)]).square().mean().sqrt().item()
    assert spread == pytest.approx(sigma, rel=0.03)
    if name == "8gaussians":
        torch.testing.assert_close(toy.centers.norm(dim=1), torch.full((8,), 2.0))


@pytest.mark.parametrize("name", ["moons", "swiss_roll", "checkerboard", "rings"])
def test_other_toys_are_finite_and_bounded(name: str) -> None:
    data = draw_toy(name, 1000, torch.Generator().manual_seed(0))
    assert data.shape == (1000, 2)
    assert data.abs().max() < 5
    assert data.std(0).min() > 0.3


def tiny_pictures(n: int = 400) -> FiniteDataset:
    """Two classes that a LeNet tells apart at once: left or right half bright."""
    labels = torch.arange(n) % 2
    pictures = np.zeros((n, 28, 28), np.uint8)
    pictures[0::2, :, :14] = 200
    pictures[1::2, :, 14:] = 200
    return from_array(pictures, "halves", n_held_out=100, labels=labels)


def test_lenet_is_cached_checked_and_trained_anew(tmp_path: Path) -> None:
    source = tiny_pictures()
    first = metrics.classifier(source, epochs=3, cache=tmp_path)
    assert first.accuracy == 1.0
    again = metrics.classifier(source, epochs=3, cache=tmp_path)
    assert again.digest == first.digest
    file = next(tmp_path.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert metrics.classifier(source, epochs=3, cache=tmp_path).digest == first.digest


def test_lenet_of_mnist_reads_digits(mnist: FiniteDataset) -> None:
    lenet = metrics.classifier(mnist)
    assert lenet.accuracy >= 0.985
    features, probabilities = lenet(mnist.held_out(100))
    assert features.shape == (100, 84)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(100))


def test_pixel_gaussian_has_the_moments_of_the_data() -> None:
    pictures = 0.1 * torch.randn(2000, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.2
    drawn = pixel_gaussian(pictures, 2000)
    assert metrics.frechet(drawn.flatten(1), pictures.flatten(1)) < 0.01
