"""Whether a generator repeats its training data: nearest neighbors in Euclidean pixel distance.

New data lie at some distance from the training data, copies lie nearer; held-out data say how near
is usual.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .spec import Measured, Measures, Metric

NEAREST = Metric(
    "nearest_train_ratio",
    "distance to the nearest training datum, over that of new data",
    3,
    table="nearest train",
)
COPIES = Metric(
    "nearest_train_copies", "copies of training data (1 % of new data)", 1, "low", "%", 100
)

_BLOCK = 2**23  # float64 numbers in a block, 64 MiB


def nearest(samples: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (n,) of each sample to the nearest training datum, float64, and that
    datum's index (n,).

    ``samples`` (n, ...) and ``train`` (m, ...) are flattened. Exact, in blocks: no n×m matrix above
    64 MiB is made.

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
    found = [_nearest_of_block(block.double(), y, columns) for block in x.split(rows)]
    return torch.cat([distance for distance, _ in found]), torch.cat([index for _, index in found])


def _nearest_of_block(x: Tensor, y: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    best, index = x.new_full((len(x),), torch.inf), torch.zeros(len(x), dtype=torch.long)
    for start in range(0, len(y), columns):
        z = y[start : start + columns].double()
        # (|x − z|² − |x|²) / 2
        value, at = torch.addmm(z.square().sum(1) / 2, x, z.T, alpha=-1).min(1)
        nearer = value < best
        best, index = torch.where(nearer, value, best), torch.where(nearer, at + start, index)
    # anew from the pair: an exact copy is at exactly 0
    distance = (x - y[index].double()).norm(dim=1)
    return distance, index


def memorization(samples: Tensor, train: Tensor, held_out: Tensor) -> Measures:
    """Compare the samples' distances to the training data with those of held-out data.

    `NEAREST` is the quotient of the medians, 1 for samples like new data and near 0 for copies.
    `COPIES` is the share of samples no farther from a training datum than the 1 % quantile of
    held-out data. Poor samples lie far from all data: 1 or more does not say that they are good.

    >>> data = torch.arange(100.0)[:, None]
    >>> [measured.value for measured in memorization(data[:50], train=data, held_out=data + 0.25).values()]
    [0.0, 1.0]
    """
    ours, usual = nearest(samples, train)[0], nearest(held_out, train)[0]
    middle, typical = ours.median().item(), usual.median().item()
    ratio = middle / typical if typical else (torch.inf if middle else 1.0)
    return {
        NEAREST: Measured(ratio),
        COPIES: Measured((ours <= usual.quantile(0.01)).double().mean().item()),
    }
