"""`monge adapt` on small features: output files, messages and errors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from monge.cli import adapt
from monge.errors import MongeError


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    source = rng.normal(size=(300, 3)) + 8 * labels[:, None] * [1, 0, 0]
    np.save(tmp_path / "source.npy", source)
    np.save(tmp_path / "labels.npy", labels)
    target_labels = rng.integers(0, 2, 400)
    np.save(tmp_path / "truth.npy", target_labels)
    target = 3 * (rng.normal(size=(400, 3)) + 8 * target_labels[:, None] * [1, 0, 0]) + 50
    np.savez(tmp_path / "target.npz", x=target)
    return [str(tmp_path / "source.npy"), str(tmp_path / "target.npz")]


def distances(output: str) -> tuple[float, float, float]:
    match = re.search(r"W2² on \d+ samples: (\S+) before, (\S+) after; floor (\S+)", output)
    assert match
    before, after, floor = (float(v) for v in match.groups())
    return before, after, floor


def test_source_is_mapped_to_the_target_and_labels_it(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "moved.npy"
    flags = ["--steps", "10", "--labels", str(tmp_path / "labels.npy")]
    assert adapt.main([*files, "-o", str(out), *flags]) == 0
    before, after, floor = distances(capsys.readouterr().out)
    assert before > 1000
    assert after < 2 * floor
    moved, target = np.load(out), np.load(files[1])["x"]
    assert moved.shape == (300, 3)
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=1.0)
    labels = np.load(tmp_path / "new" / "moved-labels.npy")
    assert (labels == np.load(tmp_path / "truth.npy")).mean() > 0.95


def test_inverse_maps_the_target_to_the_source(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "moved.npz"
    flags = ["--inverse", "--steps", "10", "--seed", "1", "--labels", str(tmp_path / "labels.npy")]
    assert adapt.main([*files, "-o", str(out), *flags]) == 0
    _, after, floor = distances(capsys.readouterr().out)
    assert after < 2 * floor
    moved = np.load(out)["x"]
    assert moved.shape == (400, 3)
    np.testing.assert_allclose(moved.mean(0), np.load(files[0]).mean(0), atol=0.4)
    assert (np.load(tmp_path / "moved-labels.npy") == np.load(tmp_path / "truth.npy")).mean() > 0.95


def test_few_samples_give_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(5, 9)))
    a, b, out = (str(tmp_path / f"{name}.npy") for name in "abc")
    adapt.main([a, b, "-o", out, "--steps", "0"])
    assert "note: 5 samples of 9 features" in capsys.readouterr().out


def test_invalid_arguments_are_refused(files: list[str], tmp_path: Path) -> None:
    out = ["-o", str(tmp_path / "moved.npy")]
    np.save(tmp_path / "wide.npy", np.ones((9, 5)))
    np.save(tmp_path / "pictures.npy", np.ones((9, 5, 5)))
    np.save(tmp_path / "few.npy", np.ones(7))
    for argv, message in (
        ([*files, "-o", "moved.txt"], "must end in .npy or .npz"),
        (["nothing.npy", files[1], *out], "no file 'nothing.npy'"),
        ([files[0], str(tmp_path / "wide.npy"), *out], "3 features and the target 5"),
        ([files[0], str(tmp_path / "pictures.npy"), *out], "holds pictures"),
        ([*files, *out, "--labels", str(tmp_path / "few.npy")], "each of the 300 samples"),
        ([*files, *out, "--labels", str(tmp_path / "none.npy")], "cannot be read"),
        ([*files, *out, "--steps", "-1"], "steps must be at least 0"),
    ):
        with pytest.raises(MongeError, match=message):
            adapt.main(argv)
    assert not (tmp_path / "moved.npy").exists()
