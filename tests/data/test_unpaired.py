"""Zips of two picture collections: reading, what can be wrong with them, runs on them, and how far
their pictures are apart.
"""

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
from monge.metrics import filter_features, frechet_filters
from monge.training import Interrupted, Recipe, RunFolder, parse, train
from tests.helpers.ranks import train_on_two
from tests.training.test_resume import StopAt, assert_bitwise_equal, final_state

FOLDERS = {"trainA": 12, "trainB": 10, "testA": 4, "testB": 5}


def zipped(root: Path, folders: dict[str, int], size: int = 16) -> Path:
    """A data set like summer2winter: green pictures in A, blue ones in B, with noise."""
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


def test_reads_two_collections_and_keeps_the_test_pictures(tmp_path: Path) -> None:
    zipped(tmp_path, FOLDERS)
    pair = load("summer2winter", tmp_path)
    assert isinstance(pair, SourceTarget)
    assert pair.shape == (3, 16, 16)
    sizes = [
        len(f(100)) for f in (pair.source_train, pair.train, pair.source_held_out, pair.held_out)
    ]
    assert sizes == [12, 10, 4, 5]
    green, blue = pair.source_held_out(4).mean((0, 2, 3)), pair.held_out(5).mean((0, 2, 3))
    assert green[1] > green[2] + 0.5
    assert blue[2] > blue[1] + 0.5
    small, whole = load("summer2winter", tmp_path, size=4).held_out(5), pair.held_out(5)
    assert small.shape == (5, 3, 4, 4)
    torch.testing.assert_close(small.mean((0, 2, 3)), whole.mean((0, 2, 3)), atol=0.05, rtol=0)


def test_what_can_be_wrong_with_the_zip(tmp_path: Path) -> None:
    with pytest.raises(
        MongeError, match=r"'summer2winter' is not at .*yosemite_128\.zip: set MONGE_DATA"
    ):
        load("summer2winter", tmp_path)
    path = zipped(tmp_path, {**FOLDERS, "testB": 0})
    with pytest.raises(
        MongeError,
        match="holds no pictures in testB/: it must have trainA, trainB, testA and testB",
    ):
        load("summer2winter", tmp_path)
    zipped(tmp_path, FOLDERS)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(MongeError, match=r"zip' is corrupt \(.*\): copy it again"):
        load("summer2winter", tmp_path)
    flipped = bytearray(whole)
    flipped[200] ^= 255
    path.write_bytes(flipped)
    with pytest.raises(
        MongeError, match=r"'trainA/000\.png' in .* is not a readable picture .*Bad CRC"
    ):
        load("summer2winter", tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trainA/words.jpg", b"no picture")
    with pytest.raises(MongeError, match=r"'trainA/words\.jpg' in .* is not a readable picture"):
        load("summer2winter", tmp_path)
    zipped(tmp_path, FOLDERS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("testB/large.png", _png(32))
    with pytest.raises(
        MongeError, match=r"mixed sizes: .*16×16, .*testB/large\.png.* 32×32: add --data\.size 16"
    ):
        load("summer2winter", tmp_path)
    assert load("summer2winter", tmp_path, size=16).shape == (3, 16, 16)


def _png(size: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["summer2winter", "monet2photo"])
def test_the_real_collections(name: str) -> None:
    if not (data_root() / name).is_dir():
        pytest.skip(f"{name} is not on this machine: set MONGE_DATA")
    pair = load(name, size=32)
    assert isinstance(pair, SourceTarget)
    assert [
        len(f(1000)) for f in (pair.source_train, pair.train, pair.source_held_out, pair.held_out)
    ] == [500, 500, 60, 60]
    apart = frechet_filters(pair.source_held_out(60), pair.held_out(60), pair.train(500))
    assert apart.ratio > 1.3


def recipe(root: Path, **run: Any) -> Recipe:
    method = {
        "name": "w2_cycle",
        "batch": 4,
        "nets": {"widths": [4, 4], "strides": [1, 2], "head": [4], "grid": 2},
        "sharpen": 2,
    }
    data = {"name": "summer2winter", "root": str(root), "size": 16}
    return parse(
        {
            "data": data,
            "method": method,
            "run": {"steps": 4, "every": 2, **run},
            "eval": {"samples": 16},
        },
        "test",
    )


@pytest.mark.parametrize("stop", [0, 2])
def test_interrupted_equals_uninterrupted(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped(tmp_path, FOLDERS)
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
    zipped(tmp_path, FOLDERS)
    one = RunFolder(tmp_path / "one")
    job = recipe(tmp_path, dtype="float64", every=4)
    train(job, one)
    two = train_on_two(job, tmp_path)
    ours, theirs = final_state(one)["method"], final_state(two)["method"]
    for name, weight in ours.items():
        if weight.is_floating_point():
            assert (weight - theirs[name]).norm() <= 1e-9 * weight.norm(), name


def test_filter_features_see_what_they_name() -> None:
    x = 0.3 * torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = filter_features(x)
    assert plain.shape == (8, 30)
    assert filter_features(x[:, :1]).shape == (8, 16)
    upper = x.clone()
    upper[:, :, :10] += 0.2
    changed = (filter_features(upper) - plain).abs().mean(0) > 0.05
    assert changed[0]
    assert not changed[3:9].any()  # the other thirds
    # along the rows: edges only to the right
    stripes = torch.linspace(0, 20, 32).sin().expand(1, 1, 32, 32)
    down, right = filter_features(stripes)[0, [4, 5]]
    assert right > down + 3
    mirrored = filter_features(stripes.transpose(2, 3))[0, [4, 5]]
    torch.testing.assert_close(mirrored, torch.stack([right, down]))
    torch.testing.assert_close(filter_features(3 * x), filter_features((3 * x).clamp(-1, 1)))
    with pytest.raises(ValueError, match=r"expected pictures .* got \(2, 4, 32, 32\)"):
        filter_features(torch.zeros(2, 4, 32, 32))


def test_the_distance_is_near_its_floor_for_real_pictures_and_far_for_changed_ones() -> None:
    g = torch.Generator().manual_seed(0)
    x, y, z = (0.3 * torch.randn(60, 3, 16, 16, generator=g) for _ in range(3))
    same = frechet_filters(x, y, z)
    assert 0.7 < same.ratio < 1.4
    for changed in (x + 0.1, 1.3 * x, x.flip(1) + torch.tensor([0.1, 0, -0.1])[:, None, None]):
        assert frechet_filters(changed, y, z).ratio > 3
    assert frechet_filters(x[:20], y, z).floor > same.floor  # as few real pictures as samples
