"""Evaluation of all draws, copies of training data, and unusual data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from monge import metrics, plots
from monge.data import FiniteDataset, from_array, load
from monge.metrics import EvalConfig
from monge.training import RunFolder, evaluate, parse, train
from tests.helpers.subjects import Fixed, bright_halves_named_mnist

DIGITS = {"name": "sinkhorn_gan", "batch": 16, "nets": {"width": 8, "latent": 4}}


def job(name: object) -> Any:
    data, run = {"name": str(name)}, {"steps": 2, "every": 1}
    return parse({"data": data, "method": DIGITS, "run": run, "eval": {"samples": 64}}, "test")


class Changing:
    """Samples all eight modes with seed 0, one mode with seed 1, and no mode with seed 2."""

    def sample(self, n: int, seed: int = 0) -> Tensor:
        if seed == 0:
            return load("8gaussians").held_out(n, 7)
        return torch.tensor([[2.0, 0.0]]).expand(n, 2) + 0.7 * (seed == 2)


def test_modes_are_the_minimum_and_share_the_mean_over_draws() -> None:
    toy = load("8gaussians")
    config = EvalConfig(samples=256, draws=3)
    together = evaluate(Changing(), toy, config)
    single = [evaluate(Changing(), toy, EvalConfig(samples=256, seed=seed)) for seed in range(3)]
    assert [draw["modes"] for draw in single] == [8, 1, 0]
    assert together["modes"] == 0
    for name in ("share_within_3_sigma", "w2_squared"):
        assert together[name] == pytest.approx(sum(draw[name] for draw in single) / 3)
    # without the third draw, the minimum is that of the second
    assert evaluate(Changing(), toy, EvalConfig(samples=256, draws=2))["modes"] == 1


def test_copies_of_training_pictures_are_measured() -> None:
    digits = load("digits")
    assert isinstance(digits, FiniteDataset)
    config = EvalConfig(samples=64)
    copied = evaluate(Fixed(digits.train(64)), digits, config)
    assert (copied["nearest_train_ratio"], copied["nearest_train_copies"]) == (0.0, 1.0)
    new = evaluate(Fixed(digits.held_out(64)), digits, config)
    assert new["nearest_train_ratio"] == pytest.approx(1, abs=0.1)
    assert new["nearest_train_copies"] <= 0.1
    points = from_array(np.random.default_rng(0).normal(size=(50, 5)))
    assert "nearest_train_ratio" not in evaluate(Fixed(points.train(40)), points, config)


def test_neighbors_are_training_pictures_below_the_first_samples(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    evaluation = train(job("digits"), folder)
    sheet, picture = (
        np.asarray(Image.open(file))[::5, ::5, 0] for file in (folder.samples, folder.neighbors)
    )
    assert picture.shape == (17, sheet.shape[1])
    # the first row of samples.png
    np.testing.assert_array_equal(picture[:8], sheet[:8])
    digits = plots.grid(load("digits").train(2000), columns=1)[..., 0].reshape(-1)
    training = {digits[72 * i : 72 * i + 64].tobytes() for i in range(1000)}
    assert {picture[9:, 9 * i : 9 * i + 8].tobytes() for i in range(16)} <= training
    page = folder.report.read_text()
    assert "the nearest training picture below" in page
    assert page.count("data:image/png;base64,") == 3
    assert "copies of training data" in evaluation.summary()
    folder._clear()
    assert not folder.path.exists()


class TestUnusualData:
    def test_fewer_samples_than_the_batch(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        np.save(tmp_path / "points.npy", rng.normal(size=(5, 5)))
        np.save(tmp_path / "pictures.npy", rng.integers(0, 255, (3, 8, 8)).astype(np.uint8))
        for name in ("points", "pictures"):
            folder = RunFolder(tmp_path / name)
            evaluation = train(job(tmp_path / f"{name}.npy"), folder)
            assert evaluation["held_out"] == 1
            assert np.isfinite([v for v in evaluation.values() if isinstance(v, float)]).all()
            assert "NaN" not in folder.log.read_text() + folder.metrics.read_text()
            assert folder.report.is_file()

    def test_data_that_are_all_equal_have_no_floor(self, tmp_path: Path) -> None:
        np.save(tmp_path / "gray.npy", np.full((40, 8, 8), 100, np.uint8))
        folder = RunFolder(tmp_path / "run")
        evaluation = train(job(tmp_path / "gray.npy"), folder)
        assert "w2_ratio" not in evaluation
        assert "where real data, all equal, reach 0" in evaluation.summary()
        assert "Infinity" not in folder.metrics.read_text()

    def test_data_of_one_class_have_their_own_lenet(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
        dataset = bright_halves_named_mnist(labels=torch.full((400,), 3))
        config = EvalConfig(samples=32, lenet_samples=100)
        evaluation = evaluate(Fixed(dataset.held_out(100)), dataset, config)
        assert evaluation["lenet_accuracy"] == 1.0
        assert evaluation["largest_class"] == 1.0
        assert np.isfinite([v for v in evaluation.values() if isinstance(v, float)]).all()
        assert "smallest class: 0.0 %\nlargest class: 100.0 %" in evaluation.summary()
        two_classes = bright_halves_named_mnist()
        assert metrics.classifier(two_classes).digest != evaluation["lenet_sha256"]

    def test_files_named_like_mnist_have_no_lenet_without_labels_or_with_few_pictures(self) -> None:
        whole = bright_halves_named_mnist()
        zeros = torch.zeros(50, dtype=torch.long)
        unlabeled = from_array(whole.train(50), "mnist")
        few = from_array(whole.train(12), "mnist", n_held_out=3, labels=zeros[:12])
        small = from_array(whole.train(50)[..., :8, :8], "mnist", labels=zeros)
        assert metrics.has_lenet(whole)
        for dataset in (unlabeled, few, small):
            assert not metrics.has_lenet(dataset)
            evaluation = evaluate(Fixed(dataset.train(9)), dataset, EvalConfig(samples=16))
            assert "frechet_lenet" not in evaluation
