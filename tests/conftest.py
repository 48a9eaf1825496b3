"""Shared fixtures.

Data sets are read from $MONGE_DATA; tests of missing data sets are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from monge.data import FiniteDataset, data_root, load

torch.set_num_threads(1)
settings.register_profile("monge", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("monge")


@pytest.fixture(scope="session")
def mnist() -> FiniteDataset:
    if not (data_root() / "mnist").is_dir():
        pytest.skip("MNIST is not on this machine: run 'monge data get mnist' or set MONGE_DATA")
    dataset = load("mnist")
    assert isinstance(dataset, FiniteDataset)
    return dataset


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Store the LeNet of the tests in a temporary folder, not in the user's cache."""
    os.environ.setdefault("MONGE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parent.parent
