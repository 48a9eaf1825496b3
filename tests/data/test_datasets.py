"""Data sets: batches by position, held-out samples, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from monge.data import FiniteDataset, from_array, from_dataset, load, own_slice
from monge.errors import MongeError


def test_batches_are_functions_of_seed_and_position() -> None:
    points = np.arange(100, dtype=np.float32)[:, None] @ np.ones((1, 2), np.float32)
    dataset = from_array(points, n_held_out=20)
    whole = dataset.batch(seed=3, position=70, n=40)
    parts = torch.cat([dataset.batch(3, 70, 25), dataset.batch(3, 95, 15)])
    assert torch.equal(whole, parts)
    halves = torch.cat([dataset.batch(3, 70, 40, (r, 2)) for r in range(2)])
    assert torch.equal(whole, halves)
    epoch = dataset.batch(seed=3, position=80, n=80)[:, 0]
    assert len(epoch.unique()) == 80  # each sample once per epoch
    assert not torch.equal(dataset.batch(3, 0, 80), dataset.batch(3, 80, 80))


def test_a_batch_larger_than_the_data_repeats_all_samples_equally_often() -> None:
    dataset = from_array(np.arange(20.0)[:, None].repeat(2, 1), "twenty")  # 16 to train on
    batch = dataset.batch(seed=3, position=5, n=48)
    values, counts = batch[11:43, 0].unique(return_counts=True)  # these are two whole epochs
    assert (len(values), counts.unique().tolist()) == (16, [2])
    torch.testing.assert_close(
        torch.cat([dataset.batch(3, 5, 16), dataset.batch(3, 21, 32)]), batch
    )
    torch.testing.assert_close(
        torch.cat([dataset.batch(3, 5, 48, (rank, 3)) for rank in range(3)]), batch
    )
    assert not torch.equal(batch[11:27], batch[27:43])  # each epoch has its own order


def test_of_two_samples_one_is_held_out() -> None:
    dataset = from_array(np.array([[0.0, 1.0], [2.0, 3.0]]), "pair")
    batch, held_out = dataset.batch(0, 0, 5), dataset.held_out(5)
    assert held_out.shape == (1, 2)
    assert (batch == dataset.train(1)).all()
    assert not torch.equal(batch[0], held_out[0])


def test_from_dataset_reads_any_torch_dataset() -> None:
    points = torch.arange(40.0)[:, None].expand(40, 3).contiguous()
    dataset = from_dataset(TensorDataset(points, torch.zeros(40)))
    assert dataset.shape == (3,)
    assert dataset.batch(0, 0, 8).shape == (8, 3)
    trained = set(dataset.train(100)[:, 0].tolist())
    assert not trained & set(dataset.held_out(100)[:, 0].tolist())
    with pytest.raises(MongeError, match="has 1 samples"):
        from_dataset(TensorDataset(points[:1]))


def test_a_single_sample_and_wrong_counts_are_refused() -> None:
    with pytest.raises(
        MongeError, match=r"data 'lonely' has shape \(1, 3\): expected at least 2 samples"
    ):
        from_array(np.zeros((1, 3)), "lonely")
    with pytest.raises(MongeError, match=r"data 'dataset' has 1 samples: at least 2"):
        from_dataset(TensorDataset(torch.zeros(1, 3)))
    with pytest.raises(MongeError, match=r"data 'bare' has 1 samples to train on and 0 held out"):
        FiniteDataset("bare", (3,), lambda i: torch.zeros(len(i), 3), np.arange(1), np.arange(0))
    for n in (0, 5, -1):
        error = rf"n_held_out must be from 1 to 4 of the 5 samples of data 'five', got {n}"
        with pytest.raises(MongeError, match=error):
            from_array(np.zeros((5, 2)), "five", n_held_out=n)
    with pytest.raises(MongeError, match=r"data 'five' has 5 samples and 4 labels"):
        from_array(np.zeros((5, 2)), "five", labels=torch.zeros(4))


def test_own_slice_refuses_a_batch_that_does_not_divide() -> None:
    with pytest.raises(MongeError, match="a global batch of 9 does not divide over 2 processes"):
        own_slice(9, (0, 2))


def test_load_suggests_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="did you mean 'mnist'"):
        load("minst")
    with pytest.raises(MongeError, match="holds 0 pictures"):
        load(str(tmp_path))
