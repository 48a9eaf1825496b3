"""CIFAR-10 from its binary files, and its subset: content and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from monge.data import FiniteDataset, load
from monge.data.sets import cifar as cifar_module
from monge.errors import MongeError
from tests.helpers.commands import monge

RECORDS = 12


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data root with an unpacked archive of small batches.

    The channels of picture i have the values i, i + 1 and i + 2.
    """
    monkeypatch.setattr(cifar_module, "_RECORDS", RECORDS)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for k, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        ids = np.arange(k * RECORDS, (k + 1) * RECORDS, dtype=np.uint8)[:, None]
        planes = [np.repeat(ids + channel, 1024, 1) for channel in range(3)]
        np.concatenate([ids % 10, *planes], 1).astype(np.uint8).tofile(folder / f"{name}.bin")
    return tmp_path


@pytest.mark.parametrize(
    "place", ["cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"]
)
def test_binary_files_are_read_from_three_places(archive: Path, place: str) -> None:
    if place != "cifar-10-batches-bin":
        (archive / place).parent.mkdir(exist_ok=True)
        (archive / "cifar-10-batches-bin").rename(archive / place)
    dataset = load("cifar10", archive)
    assert isinstance(dataset, FiniteDataset)
    assert dataset.shape == (3, 32, 32)
    train, labels = dataset.labeled("train")
    held_out, _ = dataset.labeled("held_out")
    assert (len(train), len(held_out)) == (5 * RECORDS, RECORDS)
    values = torch.arange(5 * RECORDS)[:, None] + torch.arange(3)  # red, green, blue
    torch.testing.assert_close(train, (values / 127.5 - 1)[..., None, None].expand(-1, 3, 32, 32))
    torch.testing.assert_close(labels, torch.arange(5 * RECORDS) % 10)
    assert held_out[0, 0, 0, 0] == pytest.approx(5 * RECORDS / 127.5 - 1)


def test_corrupt_binary_files_are_refused(archive: Path) -> None:
    file = archive / "cifar-10-batches-bin" / "data_batch_3.bin"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    error = r"data_batch_3.bin' is corrupt: it has 36,875 bytes, not 36,876"
    with pytest.raises(MongeError, match=error):
        load("cifar10", archive)
    file.write_bytes(b"\x0b" + content[1:])
    with pytest.raises(MongeError, match=r"data_batch_3.bin' is corrupt: it holds the label 11"):
        load("cifar10", archive)


def test_pickles_and_missing_files_are_refused(tmp_path: Path) -> None:
    error = r"'cifar10' is not on this machine: unpack cifar-10-binary.tar.gz"
    with pytest.raises(MongeError, match=error):
        load("cifar10", tmp_path)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"no pickle is read")
    error = r"python version, and monge loads no pickles: unpack cifar-10-binary.tar.gz"
    with pytest.raises(MongeError, match=error):
        load("cifar10", tmp_path)
    error = r"'cifar10_subset' is not on this machine: put .*cifar10_5k.npz"
    with pytest.raises(MongeError, match=error):
        load("cifar10_subset", tmp_path)


def write_subset(root: Path, **changed: np.ndarray) -> Path:
    """Write a small subset, with some arrays replaced, and return the data root."""
    pictures = default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    arrays = {"x_train": pictures[:6], "y_train": np.arange(6)}
    arrays |= {"x_test": pictures[6:], "y_test": np.arange(3)}
    (root / "cifar10_subset").mkdir(exist_ok=True)
    np.savez(root / "cifar10_subset" / "cifar10_5k.npz", **(arrays | changed))
    return root


def test_subset_is_read(tmp_path: Path) -> None:
    dataset = load("cifar10_subset", write_subset(tmp_path))
    assert isinstance(dataset, FiniteDataset)
    pictures, labels = dataset.labeled("held_out")
    assert dataset.shape == (3, 32, 32)
    assert (labels.tolist(), len(dataset.train_indices)) == ([0, 1, 2], 6)
    raw = np.load(tmp_path / "cifar10_subset" / "cifar10_5k.npz")["x_test"]
    expected = torch.tensor(float(raw[1, 5, 7, 2]) / 127.5 - 1)
    torch.testing.assert_close(pictures[1, 2, 5, 7], expected)


def test_corrupt_subsets_are_refused(tmp_path: Path) -> None:
    gray = write_subset(tmp_path, x_train=np.zeros((6, 32, 32), np.uint8))
    error = r"cifar10_5k.npz' holds pictures \(6, 32, 32\) uint8 with labels \(6,\)"
    with pytest.raises(MongeError, match=error):
        load("cifar10_subset", gray)
    with pytest.raises(MongeError, match=r"with labels \(4,\)"):
        load("cifar10_subset", write_subset(tmp_path, y_test=np.zeros(4)))
    (tmp_path / "cifar10_subset" / "cifar10_5k.npz").write_bytes(b"PK\x03\x04 torn")
    error = r"cifar10_5k.npz' cannot be read .*: it must hold x_train"
    with pytest.raises(MongeError, match=error):
        load("cifar10_subset", tmp_path)


def test_published_subset_has_500_held_out_pictures_of_ten_classes() -> None:
    try:
        dataset = load("cifar10_subset")
    except MongeError as error:
        pytest.skip(str(error))
    assert isinstance(dataset, FiniteDataset)
    assert (len(dataset.train_indices), len(dataset.held_out_indices)) == (4500, 500)
    assert dataset.labeled("held_out")[1].bincount().tolist() == [50] * 10
    assert dataset.train(200).std() > 0.3


def test_commands_list_cifar_and_say_where_to_put_its_files(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def output(*args: object) -> str:
        monge(*args)
        return "".join(capsys.readouterr())

    listing = output("data", "ls", "--data.root", archive)
    assert f"at {archive / 'cifar-10-batches-bin'}" in listing
    assert "5,000 pictures of CIFAR-10, not here: monge data get cifar10_subset says" in listing
    message = output("data", "get", "cifar10_subset", "--data.root", archive)
    assert "'cifar10_subset' has no download: put" in message
    message = output("train", "sinkhorn-gan-digits", "--data.name", "cifar-10")
    assert "did you mean 'cifar10'" in message
