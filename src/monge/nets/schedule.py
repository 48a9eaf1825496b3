"""Learning-rate schedules as functions of the run's progress in [0, 1)."""

from __future__ import annotations

from torch.optim import Optimizer


def linear_decay(optimizer: Optimizer, lr: float, progress: float, start: float = 0.5) -> None:
    """Set the learning rate: constant up to ``start``, then linear to 0 at the end of the run."""
    for group in optimizer.param_groups:
        group["lr"] = lr * min(1.0, (1 - progress) / (1 - start))


def linear_rise(progress: float, share: float) -> float:
    """From 0 to 1 over the first ``share`` of a run, then 1.

    >>> linear_rise(0.1, 0.2), linear_rise(0.5, 0.2), linear_rise(0.0, 0.0)
    (0.5, 1.0, 1.0)
    """
    return min(1.0, progress / share) if share else 1.0
