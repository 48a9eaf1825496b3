"""Evaluators of autoencoders: reconstructions, codes and interpolations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from monge.data import Dataset, FiniteDataset, from_array, load, load_prior
from monge.data.evaluators import code_quality
from monge.methods import acai, gan, wwae
from monge.metrics import EvalConfig
from monge.nets import Autoencoder
from monge.training.codes import codes
from monge.training.evaluate import evaluate
from tests.helpers.measured import measured
from tests.helpers.subjects import Pixels, labeled_bars

CONFIG = EvalConfig(samples=64, lenet_samples=100)


def code_metrics(method: object, data: Dataset, config: EvalConfig) -> dict[str, Any]:
    return measured(codes, method, data, config) | measured(code_quality, method, data, config)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiniteDataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONGE_CACHE", str(tmp_path_factory.mktemp("lenet")))
        yield labeled_bars()


def test_pixels_as_codes_reconstruct_exactly_and_interpolate_by_cross_fades(
    pictures: FiniteDataset,
) -> None:
    metrics = code_metrics(Pixels(pictures.shape), pictures, CONFIG)
    assert metrics["reconstruction_error"] == 0
    assert metrics["frechet_lenet_reconstruction"] == pytest.approx(0, abs=1e-3)
    assert metrics["confidence_reconstruction"] == pytest.approx(metrics["confidence_data"])
    assert metrics["linear_probe"] > 0.95
    for name in ("confidence", "frechet_lenet"):
        assert metrics[f"{name}_midpoint"] == pytest.approx(metrics[f"{name}_crossfade"], rel=1e-4)
    assert metrics["path_length"] == pytest.approx(metrics["path_length_crossfade"], rel=1e-4)
    assert metrics["path_length"] > 1
    assert metrics["confidence_midpoint"] < metrics["confidence_data"]
    assert metrics["frechet_lenet_midpoint"] > 1
    assert "codes_w2" not in metrics


def test_metrics_depend_on_labels_and_on_the_prior() -> None:
    torch.manual_seed(0)
    digits, points = load("digits"), load("8gaussians")
    nets = {"kind": "mlp", "latent": 3, "width": 8}
    config = acai.Config(nets=nets, interpolation={"critic_width": 4}, batch=16)
    of_labels = {"linear_probe", "clustering_accuracy"}
    metrics = code_metrics(acai.build(config, digits.shape), digits, CONFIG)
    assert set(metrics) == {"reconstruction_error", *of_labels}
    config = wwae.Config(nets=nets | {"latent": 2}, batch=16)
    of_prior = {"codes_w2", "codes_w2_floor", "codes_w2_ratio", "codes_mmd"}
    metrics = code_metrics(wwae.build(config, points.shape), points, CONFIG)
    assert set(metrics) == {"reconstruction_error", *of_prior}
    ratio = metrics["codes_w2"] / metrics["codes_w2_floor"]
    assert metrics["codes_w2_ratio"] == pytest.approx(ratio)
    generator = gan.build(gan.Config(batch=8, nets={"width": 8}), points.shape)
    assert code_metrics(generator, points, CONFIG) == {}


def test_reconstruction_error_is_per_entry_of_a_sample() -> None:
    method = Pixels((3,))
    points = from_array(np.random.default_rng(0).normal(size=(100, 3)), n_held_out=50)
    method.autoencoder.decoder = nn.Threshold(0, 0)
    x = points.held_out(50)
    error = code_metrics(method, points, CONFIG)["reconstruction_error"]
    assert error == pytest.approx(x.clamp(max=0).square().mean().item())
    shape = (4, 5, 7)  # voices, classes, frames
    rolls = nn.functional.one_hot(torch.randint(5, (20, 4, 7)), 5).movedim(3, 2).float()
    rows = np.arange(20)
    fetch = lambda i: rolls[torch.from_numpy(i)]
    piano_rolls = FiniteDataset("rolls", shape, fetch, rows[:10], rows[10:])
    constant = nn.Sequential(nn.Unflatten(1, shape), nn.Threshold(2, 0))
    method.autoencoder = Autoencoder(nn.Flatten(), constant, 140, classes=True)
    metrics = code_metrics(method, piano_rolls, CONFIG)
    assert metrics == {"reconstruction_error": pytest.approx(np.log(5))}


def test_codes_with_the_distribution_of_the_prior_reach_the_floor() -> None:
    method = Pixels((2,))
    method.prior = load_prior("normal", 2)  # type: ignore[assignment]
    points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    metrics = code_metrics(method, from_array(points, n_held_out=300), EvalConfig(samples=300))
    assert 0.5 < metrics["codes_w2_ratio"] < 2
    assert abs(metrics["codes_mmd"]) < 0.05
    assert metrics["reconstruction_error"] == 0


def test_distance_to_the_prior_needs_two_held_out_samples() -> None:
    data = from_array(np.random.default_rng(0).normal(size=(4, 3)), n_held_out=1)
    config = wwae.Config(nets={"kind": "mlp", "latent": 2, "width": 8}, batch=2)
    method = wwae.build(config, data.shape)
    assert set(code_metrics(method, data, CONFIG)) == {"reconstruction_error"}


def test_evaluate_includes_metrics_of_codes() -> None:
    digits = load("digits")
    config = wwae.Config(nets={"kind": "mlp", "latent": 2, "width": 8}, batch=16)
    metrics = evaluate(wwae.build(config, digits.shape), digits, CONFIG)
    assert {"w2_squared", "linear_probe", "codes_w2_ratio", "reconstruction_error"} <= set(metrics)
    assert metrics["linear_probe"] > 0.2
