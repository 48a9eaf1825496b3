"""Evaluation: all draws count, copies are seen, and odd data do not stop it."""

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
from tests.training.test_diagnose import Fixed, named_mnist

DIGITS = {"name": "sinkhorn_gan", "batch": 16, "nets": {"width": 8, "latent": 4}}


def job(name: object, **evaluation: Any) -> Any:
    tree = {
        "data": {"name": str(name)},
        "method": DIGITS,
        "run": {"steps": 2, "every": 1},
        "eval": {"samples": 64, **evaluation},
    }
    return parse(tree, "test")


class Changing:
    """Covers all eight modes with seed 0, one mode with every other seed."""

    def sample(self, n: int, seed: int = 0) -> Tensor:
        return (
            load("8gaussians").held_out(n, 7)
            if seed == 0
            else torch.tensor([[2.0, 0.0]]).expand(n, 2) + 0.7 * (seed == 2)
        )


def test_modes_and_share_are_those_of_all_draws() -> None:
    toy = load("8gaussians")
    config = EvalConfig(samples=256, draws=3)
    found = evaluate(Changing(), toy, config)
    alone = [evaluate(Changing(), toy, EvalConfig(samples=256, seed=seed)) for seed in range(3)]
    assert [f["modes"] for f in alone] == [8, 1, 0]
    assert found["modes"] == 0
    assert found["share_within_3_sigma"] == pytest.approx(
        sum(f["share_within_3_sigma"] for f in alone) / 3
    )
    # the last draw is not the least one's
    other_order = evaluate(Changing(), toy, EvalConfig(samples=256, draws=2))
    assert other_order["modes"] == 1
    assert found["w2_squared"] == pytest.approx(sum(f["w2_squared"] for f in alone) / 3)


def test_copies_of_training_pictures_are_seen() -> None:
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


def test_neighbors_picture_and_its_caption(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    found = train(job("digits"), folder)
    sheet, picture = (
        np.asarray(Image.open(file))[::5, ::5, 0] for file in (folder.samples, folder.neighbors)
    )
    assert picture.shape == (17, sheet.shape[1])
    # not a choice: the first row of samples.png
    np.testing.assert_array_equal(picture[:8], sheet[:8])
    digits = plots.grid(load("digits").train(2000), columns=1)[..., 0].reshape(-1)
    training = {digits[72 * i : 72 * i + 64].tobytes() for i in range(1000)}
    assert {picture[9:, 9 * i : 9 * i + 8].tobytes() for i in range(16)} <= training
    page = folder.report.read_text()
    assert "the nearest training picture below" in page
    assert page.count("data:image/png;base64,") == 3
    assert "copies of training data" in found.summary()
    folder._clear()
    assert not folder.path.exists()


class TestOddData:
    def test_fewer_samples_than_the_batch(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        np.save(tmp_path / "points.npy", rng.normal(size=(5, 5)))
        np.save(tmp_path / "pictures.npy", rng.integers(0, 255, (3, 8, 8)).astype(np.uint8))
        for name in ("points", "pictures"):
            folder = RunFolder(tmp_path / name)
            found = train(job(tmp_path / f"{name}.npy"), folder)
            assert found["held_out"] == 1
            assert np.isfinite([v for v in found.values() if isinstance(v, float)]).all()
            assert "NaN" not in folder.log.read_text() + folder.metrics.read_text()
            assert folder.report.is_file()

    def test_data_that_are_all_equal_have_no_floor(self, tmp_path: Path) -> None:
        np.save(tmp_path / "gray.npy", np.full((40, 8, 8), 100, np.uint8))
        folder = RunFolder(tmp_path / "run")
        found = train(job(tmp_path / "gray.npy"), folder)
        assert "w2_ratio" not in found
        assert "where real data, all equal, reach 0" in found.summary()
        assert "Infinity" not in folder.metrics.read_text()

    def test_one_class(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
        source = named_mnist(labels=torch.full((400,), 3))
        found = evaluate(
            Fixed(source.held_out(100)), source, EvalConfig(samples=32, lenet_samples=100)
        )
        assert found["lenet_accuracy"] == 1.0
        assert found["largest_class"] == 1.0
        assert np.isfinite([v for v in found.values() if isinstance(v, float)]).all()
        assert "smallest class: 0.0 %\nlargest class: 100.0 %" in found.summary()
        both = named_mnist()  # its LeNet is another, though the name is the same
        assert metrics.classifier(both).digest != found["lenet_sha256"]

    def test_a_file_that_is_named_like_a_lenet_data_set(self) -> None:
        whole = named_mnist()
        unlabeled = from_array(whole.train(50), "mnist")
        few = from_array(
            whole.train(12), "mnist", n_held_out=3, labels=torch.zeros(12, dtype=torch.long)
        )
        small = from_array(
            whole.train(50)[..., :8, :8], "mnist", labels=torch.zeros(50, dtype=torch.long)
        )
        assert metrics.has_lenet(whole)
        for source in (unlabeled, few, small):
            assert not metrics.has_lenet(source)
            assert "frechet_lenet" not in evaluate(
                Fixed(source.train(9)), source, EvalConfig(samples=16)
            )

    def test_a_cloud_over_one_datum(self) -> None:
        assert plots.to_png(plots.clouds(torch.randn(4, 5), torch.randn(1, 5)))
