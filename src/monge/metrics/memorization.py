"""Whether a generator copies its training data, by nearest neighbors in Euclidean distance.

The distances of samples to the training data are compared with those of held-out data: copies have
smaller distances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .spec import Measured, Measures, Metric

NEAREST = Metric(
    "nearest_train_ratio",
    "distance to the nearest training sample, relative to new data",
    3,
    table="nearest train",
)
COPIES = Metric(
    "nearest_train_copies", "copies of training data (1 % of new data)", 1, "low", "%", 100
)

_BLOCK = 2**23  # float64 numbers in a block, 64 MiB


def nearest(samples: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Return the float64 distance (n,) and the index (n,) of each sample's nearest training sample.

    ``samples`` (n, ...) and ``train`` (m, ...) are flattened. The result is exact; it is computed
    in blocks, without an n×m matrix of more than 64 MiB.

    >>> nearest(torch.tensor([[3.0, 4.0], [9.0, 9.0]]), torch.tensor([[0.0, 0.0], [9.0, 8.0]]))
    (tensor([5., 1.], dtype=torch.float64), tensor([0, 1]))
    """
    x, y = samples.flatten(1), train.flatten(1)
    if not len(x) or not len(y) or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"nearest needs samples and training data of one size, got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    columns = max(1, min(2**13, _BLOCK // y.shape[1]))
    rows = max(1, _BLOCK // max(columns, y.shape[1]))
    matches = [_nearest_of_block(block.double(), y, columns) for block in x.split(rows)]
    distances, indices = zip(*matches, strict=True)
    return torch.cat(distances), torch.cat(indices)


def _nearest_of_block(x: Tensor, y: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    best, index = x.new_full((len(x),), torch.inf), torch.zeros(len(x), dtype=torch.long)
    for start in range(0, len(y), columns):
        z = y[start : start + columns].double()
        # (|x − z|² − |x|²) / 2
        value, at = torch.addmm(z.square().sum(1) / 2, x, z.T, alpha=-1).min(1)
        nearer = value < best
        best, index = torch.where(nearer, value, best), torch.where(nearer, at + start, index)
    # computed again from the pair, so that the distance of an exact copy is exactly 0
    distance = (x - y[index].double()).norm(dim=1)
    return distance, index


def memorization(samples: Tensor, train: Tensor, held_out: Tensor) -> Measures:
    """Compare the distances of samples to the training data with those of held-out data.

    `NEAREST` is the ratio of the medians: about 1 for samples like new data, and near 0 for copies.
    `COPIES` is the share of samples that are no farther from the training data than the 1 %
    quantile of held-out data. Poor samples are far from all data, so that a `NEAREST` of 1 or more
    does not show that samples are good.

    >>> data = torch.arange(100.0)[:, None]
    >>> measures = memorization(data[:50], train=data, held_out=data + 0.25)
    >>> measures[NEAREST].value, measures[COPIES].value
    (0.0, 1.0)
    """
    ours, usual = nearest(samples, train)[0], nearest(held_out, train)[0]
    our_median, usual_median = ours.median().item(), usual.median().item()
    ratio = torch.inf if our_median else 1.0
    if usual_median:
        ratio = our_median / usual_median
    return {
        NEAREST: Measured(ratio),
        COPIES: Measured((ours <= usual.quantile(0.01)).double().mean().item()),
    }
