"""`monge transform`: maps and inverse maps of points, pictures, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.cli.main import main
from monge.training import RunFolder, parse, train


def run_of(tmp_path: Path, data: Path, method: dict[str, object]) -> Path:
    """Train a method for two steps."""
    run = {"steps": 2, "every": 2}
    tree = {"data": {"name": str(data)}, "method": method, "run": run, "eval": {"samples": 16}}
    folder = RunFolder(tmp_path / "run")
    train(parse(tree, "test"), folder)
    return folder.path


def save(tmp_path: Path, data: np.ndarray) -> Path:
    np.save(tmp_path / "data.npy", data)
    return tmp_path / "data.npy"


def call(*args: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["transform", *map(str, args)])
    return int(stop.value.code or 0)


@pytest.fixture
def points(tmp_path: Path) -> Path:
    data = 5 + 2 * np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    method = {"name": "amortised_w2", "batch": 32, "nets": {"widths": [8, 4]}}
    return run_of(tmp_path, save(tmp_path, data), method)


def test_inverse_of_mapped_points_returns_them(points: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    assert call(points, tmp_path / "x.npz", "-o", tmp_path / "y.npy") == 0
    y = np.load(tmp_path / "y.npy")
    assert abs(y.mean(0) - 5).max() < 1.5  # training begins at the map between Gaussians
    assert call(points, tmp_path / "y.npy", "-o", tmp_path / "back.npz", "--inverse") == 0
    np.testing.assert_allclose(np.load(tmp_path / "back.npz")["x"], x, atol=1e-3)


def test_pictures_of_any_size_are_cropped_to_the_run(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (4, 5, 16, 16, 3), dtype=np.uint8)
    for name, five in zip(("trainA", "trainB", "testA", "testB"), pictures, strict=True):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i, picture in enumerate(five):
            Image.fromarray(picture).save(tmp_path / "mine" / name / f"{i}.png")
    nets = {"widths": [4, 4], "strides": [1, 2], "head": [4], "grid": 2}
    method = {"name": "w2_cycle", "batch": 4, "nets": nets}
    method |= {"start": "identity", "adam": {"lr": 1e-9}}
    folder = run_of(tmp_path, tmp_path / "mine", method)
    Image.fromarray(np.full((20, 30, 3), (10, 120, 240), np.uint8)).save(tmp_path / "x.png")
    assert call(folder, tmp_path / "x.png", "-o", tmp_path / "y.png") == 0
    moved = np.asarray(Image.open(tmp_path / "y.png"))
    assert moved.shape == (16, 16, 3)
    assert abs(moved.astype(int) - (10, 120, 240)).max() <= 2  # training begins at the identity


def test_invalid_arguments_are_refused(
    points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((4, 2), np.float32))
    np.save(tmp_path / "nan.npy", np.full((4, 3), np.nan, np.float32))
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    cases = [
        ("flat.npy", "y.npy", "has shape (4, 2), the run maps samples of shape (3): give (n, 3)"),
        ("nan.npy", "y.npy", "holds values that are not finite numbers"),
        ("absent.npy", "y.npy", "no file '"),
        ("x.png", "y.png", "trained on points of shape (3,): give it an array"),
        ("flat.npy", "y.png", "--out must end in .npy or .npz"),
        ("x.txt", "y.npy", "is neither an array"),
    ]
    for file, out, message in cases:
        assert call(points, tmp_path / file, "-o", tmp_path / out) == 1
        assert message in capsys.readouterr().err


def test_a_generator_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = save(tmp_path, np.random.default_rng(0).normal(size=(40, 2)))
    folder = run_of(tmp_path, data, {"name": "gan", "batch": 8, "nets": {"width": 8}})
    assert call(folder, tmp_path / "data.npy", "-o", tmp_path / "y.npy") == 1
    assert "has no map" in capsys.readouterr().err
