"""The W₂ benchmark: stored maps, published values of the linear map, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monge import metrics
from monge.data import Dataset, SourceTarget, data_root, load
from monge.errors import MongeError
from monge.training.maps import linear_map

# L2-UVP of the linear map in per cent, as published for the same pairs
LINEAR_ROW = {2: 14.09, 4: 14.68, 8: 27.11, 16: 41.57, 32: 55.11, 64: 63.92}


def load_benchmark(d: int) -> Dataset:
    if not (data_root() / "w2benchmark").is_dir():
        pytest.skip("w2benchmark is not on this machine: set MONGE_DATA")
    return load(f"w2benchmark-{d}")


@pytest.mark.parametrize("d", LINEAR_ROW)
def test_benchmark_agrees_with_stored_pairs_and_published_linear_map(d: int) -> None:
    pair = load_benchmark(d)
    assert isinstance(pair, SourceTarget)
    assert pair.truth is not None
    stored = np.load(data_root() / "w2benchmark" / f"mix3to10_dim{d}.npz")
    x, y = torch.from_numpy(stored["X"]), torch.from_numpy(stored["Y"])
    torch.testing.assert_close(pair.truth(x), y, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(pair.source_train(20_000).T.cov(), x.T.cov(), atol=0.15, rtol=0.15)
    x = pair.source_held_out(65_536)
    error = metrics.l2_uvp(linear_map(pair)(x), pair.truth(x))
    assert error == pytest.approx(LINEAR_ROW[d], abs=0.3)


def test_missing_and_corrupt_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="set MONGE_DATA to the folder that holds w2benchmark/"):
        load("w2benchmark-4", tmp_path)
    (tmp_path / "w2benchmark").mkdir()
    (tmp_path / "w2benchmark" / "mix3to10_dim4.npz").write_bytes(b"no archive")
    with pytest.raises(MongeError, match="is corrupt"):
        load("w2benchmark-4", tmp_path)
