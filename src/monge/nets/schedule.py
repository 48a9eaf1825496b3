"""Learning-rate schedules as functions of the run's progress in [0, 1)."""

from __future__ import annotations

from torch.optim import Optimizer


def linear_decay(optimizer: Optimizer, lr: float, progress: float, start: float = 0.5) -> None:
    """Set the learning rate: constant up to ``start``, then linear to 0 at the end of the run."""
    for group in optimizer.param_groups:
        group["lr"] = lr * min(1.0, (1 - progress) / (1 - start))
