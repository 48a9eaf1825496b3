"""Zip files with two collections of pictures: content, errors, and runs on them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data import SourceTarget, data_root, load
from monge.errors import MongeError
from monge.metrics import frechet_filters
from monge.training import Interrupted, Recipe, RunFolder, parse, train
from tests.helpers.ranks import train_on_two
from tests.helpers.runs import StopAt, assert_bitwise_equal, final_state

FOLDERS = {"trainA": 12, "trainB": 10, "testA": 4, "testB": 5}


def write_zip(root: Path, folders: dict[str, int], size: int = 16) -> Path:
    """Write a zip like that of summer2winter, with noisy green pictures in A and blue ones in B."""
    rng = np.random.default_rng(0)
    path = root / "summer2winter" / "summer2winter_yosemite_128.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for folder, n in folders.items():
            for i in range(n):
                color = np.array([60, 160, 60] if folder.endswith("A") else [60, 60, 160])
                pixels = (color + rng.normal(0, 30, (size, size, 3))).clip(0, 255).astype(np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "png")
                archive.writestr(f"{folder}/{i:03}.png", buffer.getvalue())
    return path


def test_zip_is_read_and_test_pictures_are_held_out(tmp_path: Path) -> None:
    write_zip(tmp_path, FOLDERS)
    pair = load("summer2winter", tmp_path)
    assert isinstance(pair, SourceTarget)
    assert pair.shape == (3, 16, 16)
    assert (len(pair.source_train(100)), len(pair.train(100))) == (12, 10)
    assert (len(pair.source_held_out(100)), len(pair.held_out(100))) == (4, 5)
    green, blue = pair.source_held_out(4).mean((0, 2, 3)), pair.held_out(5).mean((0, 2, 3))
    assert green[1] > green[2] + 0.5
    assert blue[2] > blue[1] + 0.5
    small, whole = load("summer2winter", tmp_path, size=4).held_out(5), pair.held_out(5)
    assert small.shape == (5, 3, 4, 4)
    torch.testing.assert_close(small.mean((0, 2, 3)), whole.mean((0, 2, 3)), atol=0.05, rtol=0)


def test_missing_corrupt_and_mixed_zips_are_refused(tmp_path: Path) -> None:
    error = r"'summer2winter' is not at .*yosemite_128\.zip: set MONGE_DATA"
    with pytest.raises(MongeError, match=error):
        load("summer2winter", tmp_path)
    path = write_zip(tmp_path, {**FOLDERS, "testB": 0})
    error = "holds no pictures in testB/: it must have trainA, trainB, testA and testB"
    with pytest.raises(MongeError, match=error):
        load("summer2winter", tmp_path)
    write_zip(tmp_path, FOLDERS)
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(MongeError, match=r"zip' is corrupt \(.*\): copy it again"):
        load("summer2winter", tmp_path)
    flipped = bytearray(content)
    flipped[200] ^= 255
    path.write_bytes(flipped)
    error = r"'trainA/000\.png' in .* is not a readable picture .*Bad CRC"
    with pytest.raises(MongeError, match=error):
        load("summer2winter", tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trainA/words.jpg", b"no picture")
    with pytest.raises(MongeError, match=r"'trainA/words\.jpg' in .* is not a readable picture"):
        load("summer2winter", tmp_path)
    write_zip(tmp_path, FOLDERS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("testB/large.png", _png(32))
    error = r"mixed sizes: .*16×16, .*testB/large\.png.* 32×32: add `size=16`"
    with pytest.raises(MongeError, match=error):
        load("summer2winter", tmp_path)
    assert load("summer2winter", tmp_path, size=16).shape == (3, 16, 16)


def _png(size: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["summer2winter", "monet2photo"])
def test_published_collections_have_known_sizes_and_differ(name: str) -> None:
    if not (data_root() / name).is_dir():
        pytest.skip(f"{name} is not on this machine: set MONGE_DATA")
    pair = load(name, size=32)
    assert isinstance(pair, SourceTarget)
    assert len(pair.source_train(1000)) == len(pair.train(1000)) == 500
    assert len(pair.source_held_out(1000)) == len(pair.held_out(1000)) == 60
    distance = frechet_filters(pair.source_held_out(60), pair.held_out(60), pair.train(500))
    assert distance.ratio > 1.3


def recipe(root: Path, **run: Any) -> Recipe:
    nets = {"widths": [4, 4], "strides": [1, 2], "head": [4], "grid": 2}
    method = {"name": "w2_cycle", "batch": 4, "nets": nets, "sharpen": 2}
    data = {"name": "summer2winter", "root": str(root), "size": 16}
    run = {"steps": 4, "every": 2, **run}
    tree = {"data": data, "method": method, "run": run, "eval": {"samples": 16}}
    return parse(tree, "test")


@pytest.mark.parametrize("stop", [0, 2])
def test_interrupted_run_equals_uninterrupted_run(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_zip(tmp_path, FOLDERS)
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    train(recipe(tmp_path), whole)
    StopAt(monkeypatch, stop)
    with pytest.raises(Interrupted, match=f"step {stop + 1}"):
        train(recipe(tmp_path), parts)
    train(recipe(tmp_path), parts)
    assert_bitwise_equal(final_state(whole), final_state(parts))
    assert final_state(parts)["position"] == 512 + 4 * 4
    assert parts.samples.is_file()


def test_two_ranks_equal_one_process(tmp_path: Path) -> None:
    write_zip(tmp_path, FOLDERS)
    one = RunFolder(tmp_path / "one")
    job = recipe(tmp_path, dtype="float64", every=4)
    train(job, one)
    two = train_on_two(job, tmp_path)
    ours, theirs = final_state(one)["method"], final_state(two)["method"]
    for name, weight in ours.items():
        if weight.is_floating_point():
            assert (weight - theirs[name]).norm() <= 1e-9 * weight.norm(), name
