"""Data at its edges: CIFAR-10 from files a user brings, sources of two samples, batches larger than
the data, uniform noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from monge.cli.main import main
from monge.data import FiniteDataset, StepInputs, from_array, from_dataset, load
from monge.data.sets import cifar as cifar_module
from monge.errors import MongeError

RECORDS = 12


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with an unpacked archive of small batches; picture i has only the value i, its
    channels i, i + 1, i + 2.
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
def test_binary_version(archive: Path, place: str) -> None:
    if place != "cifar-10-batches-bin":
        (archive / place).parent.mkdir(exist_ok=True)
        (archive / "cifar-10-batches-bin").rename(archive / place)
    source = load("cifar10", archive)
    assert isinstance(source, FiniteDataset)
    assert source.shape == (3, 32, 32)
    train, labels = source.labeled("train")
    held_out, _ = source.labeled("held_out")
    assert (len(train), len(held_out)) == (5 * RECORDS, RECORDS)
    values = torch.arange(5 * RECORDS)[:, None] + torch.arange(3)  # red, green, blue
    torch.testing.assert_close(train, (values / 127.5 - 1)[..., None, None].expand(-1, 3, 32, 32))
    torch.testing.assert_close(labels, torch.arange(5 * RECORDS) % 10)
    assert held_out[0, 0, 0, 0] == pytest.approx(5 * RECORDS / 127.5 - 1)


def test_torn_files_are_named(archive: Path) -> None:
    file = archive / "cifar-10-batches-bin" / "data_batch_3.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(
        MongeError, match=r"data_batch_3.bin' is corrupt: it has 36,875 bytes, not 36,876"
    ):
        load("cifar10", archive)
    file.write_bytes(b"\x0b" + whole[1:])
    with pytest.raises(MongeError, match=r"data_batch_3.bin' is corrupt: it holds the label 11"):
        load("cifar10", archive)


def test_pickles_are_refused_and_missing_files_named(tmp_path: Path) -> None:
    with pytest.raises(
        MongeError, match=r"'cifar10' is not on this machine: unpack cifar-10-binary.tar.gz"
    ):
        load("cifar10", tmp_path)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"no pickle is read")
    with pytest.raises(
        MongeError,
        match=r"python version, and monge loads no pickles: unpack cifar-10-binary.tar.gz",
    ):
        load("cifar10", tmp_path)
    with pytest.raises(
        MongeError, match=r"'cifar10_subset' is not on this machine: put .*cifar10_5k.npz"
    ):
        load("cifar10_subset", tmp_path)


def subset(root: Path, **changed: np.ndarray) -> Path:
    pictures = default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    arrays = {
        "x_train": pictures[:6],
        "y_train": np.arange(6),
        "x_test": pictures[6:],
        "y_test": np.arange(3),
    }
    (root / "cifar10_subset").mkdir(exist_ok=True)
    np.savez(root / "cifar10_subset" / "cifar10_5k.npz", **(arrays | changed))
    return root


def test_subset(tmp_path: Path) -> None:
    source = load("cifar10_subset", subset(tmp_path))
    assert isinstance(source, FiniteDataset)
    pictures, labels = source.labeled("held_out")
    assert (source.shape, labels.tolist(), len(source.train_indices)) == ((3, 32, 32), [0, 1, 2], 6)
    raw = np.load(tmp_path / "cifar10_subset" / "cifar10_5k.npz")["x_test"]
    torch.testing.assert_close(
        pictures[1, 2, 5, 7], torch.tensor(float(raw[1, 5, 7, 2]) / 127.5 - 1)
    )


def test_a_wrong_subset_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        MongeError, match=r"cifar10_5k.npz' holds pictures \(6, 32, 32\) uint8 with labels \(6,\)"
    ):
        load("cifar10_subset", subset(tmp_path, x_train=np.zeros((6, 32, 32), np.uint8)))
    with pytest.raises(MongeError, match=r"with labels \(4,\)"):
        load("cifar10_subset", subset(tmp_path, y_test=np.zeros(4)))
    (tmp_path / "cifar10_subset" / "cifar10_5k.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(
        MongeError, match=r"cifar10_5k.npz' cannot be read .*: it must hold x_train"
    ):
        load("cifar10_subset", tmp_path)


def test_the_real_subset() -> None:
    try:
        source = load("cifar10_subset")
    except MongeError as absent:
        pytest.skip(str(absent))
    assert isinstance(source, FiniteDataset)
    assert (len(source.train_indices), len(source.held_out_indices)) == (4500, 500)
    assert source.labeled("held_out")[1].bincount().tolist() == [50] * 10
    assert source.train(200).std() > 0.3


def test_listed_and_explained(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*args: object) -> str:
        with pytest.raises(SystemExit):
            main([str(a) for a in args])
        return "".join(capsys.readouterr())

    listing = said("data", "ls", "--data.root", archive)
    assert f"at {archive / 'cifar-10-batches-bin'}" in listing
    assert "5,000 pictures of CIFAR-10, not here: monge data get cifar10_subset says" in listing
    assert "'cifar10_subset' has no download: put" in said(
        "data", "get", "cifar10_subset", "--data.root", archive
    )
    assert "did you mean 'cifar10'" in said(
        "train", "sinkhorn-gan-digits", "--data.name", "cifar-10"
    )


def test_one_sample_is_refused_by_name() -> None:
    with pytest.raises(
        MongeError, match=r"data 'lonely' has shape \(1, 3\): expected at least 2 samples"
    ):
        from_array(np.zeros((1, 3)), "lonely")
    with pytest.raises(MongeError, match=r"data 'dataset' has 1 samples: at least 2"):
        from_dataset(torch.utils.data.TensorDataset(torch.zeros(1, 3)))
    with pytest.raises(MongeError, match=r"data 'bare' has 1 samples to train on and 0 held out"):
        FiniteDataset("bare", (3,), lambda i: torch.zeros(len(i), 3), np.arange(1), np.arange(0))
    for held in (0, 5, -1):
        with pytest.raises(
            MongeError,
            match=rf"n_held_out must be from 1 to 4 of the 5 samples of data 'five', got {held}",
        ):
            from_array(np.zeros((5, 2)), "five", n_held_out=held)
    with pytest.raises(MongeError, match=r"data 'five' has 5 samples and 4 labels"):
        from_array(np.zeros((5, 2)), "five", labels=torch.zeros(4))


def test_two_samples_train_on_one_and_hold_out_the_other() -> None:
    source = from_array(np.array([[0.0, 1.0], [2.0, 3.0]]), "pair")
    batch, held_out = source.batch(0, 0, 5), source.held_out(5)
    assert held_out.shape == (1, 2)
    assert (batch == source.train(1)).all()
    assert not torch.equal(batch[0], held_out[0])


def test_a_batch_larger_than_the_data_holds_every_sample_equally_often() -> None:
    source = from_array(np.arange(20.0)[:, None].repeat(2, 1), "twenty")  # 16 to train on
    batch = source.batch(seed=3, position=5, n=48)
    values, counts = batch[11:43, 0].unique(return_counts=True)  # two whole epochs lie in it
    assert (len(values), counts.unique().tolist()) == (16, [2])
    torch.testing.assert_close(torch.cat([source.batch(3, 5, 16), source.batch(3, 21, 32)]), batch)
    torch.testing.assert_close(
        torch.cat([source.batch(3, 5, 48, (rank, 3)) for rank in range(3)]), batch
    )
    assert not torch.equal(batch[11:27], batch[27:43])  # each epoch in an order of its own


def test_uniform_is_addressed_as_noise_is() -> None:
    source = load("8gaussians")
    one = StepInputs(source, seed=3, step=5)
    first, second = one.uniform(4000, 2), one.uniform(4000, 2)
    assert 0 <= first.min() < 0.01 < 0.99 < first.max() < 1
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    assert not torch.equal(first, second)
    ranks = [StepInputs(source, seed=3, step=5, part=(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat([r.uniform(4000, 2) for r in ranks]), first)
    other = StepInputs(source, seed=3, step=5)
    assert other.noise(4).shape == (4,)
    # the second call of the step, whatever the first was
    assert torch.equal(other.uniform(4000, 2), second)
    assert not torch.equal(StepInputs(source, seed=3, step=6).uniform(4000, 2), first)
