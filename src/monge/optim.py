"""Optimizers as parts of a configuration, and schedules as functions of a run's progress in [0, 1).

Learning rates are constant over the first half of a run and decay linearly to 0 over the second. A
method calls ``decay`` at the beginning of each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from monge.config import Frozen

# for the potential, and for the network that inverts its gradient
_POTENTIAL_BETAS, _INVERSE_BETAS = (0.8, 0.99), (0.4, 0.4)


def linear_decay(optimizer: Optimizer, lr: float, progress: float, start: float = 0.5) -> None:
    """Set a learning rate that is constant up to ``start`` and then decays linearly to 0."""
    for group in optimizer.param_groups:
        group["lr"] = lr * min(1.0, (1 - progress) / (1 - start))


def linear_rise(progress: float, share: float) -> float:
    """Return a weight that rises from 0 to 1 over the first ``share`` of a run, and is then 1.

    >>> linear_rise(0.1, 0.2), linear_rise(0.5, 0.2), linear_rise(0.0, 0.0)
    (0.5, 1.0, 1.0)
    """
    return min(1.0, progress / share) if share else 1.0


class Adam(Frozen):
    """Adam for one network, or for several with one loss.

    >>> net, adam = nn.Linear(2, 1), Adam(lr=0.1)
    >>> optimizer = adam.make(net.parameters())
    >>> adam.decay(optimizer, progress=0.75)
    >>> optimizer.param_groups[0]["lr"]
    0.05
    """

    lr: float = Field(gt=0)  # Learning rate; decays linearly over the second half.
    beta1: float = Field(0.9, ge=0, lt=1)  # Decay of the first moment.
    beta2: float = Field(0.999, ge=0, lt=1)  # Decay of the second moment.

    def make(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Return an optimizer of ``parameters``."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=(self.beta1, self.beta2))

    def decay(self, optimizer: Optimizer, progress: float) -> None:
        """Set the learning rate for a point of the run."""
        linear_decay(optimizer, self.lr, progress)


class _Game(Frozen):
    lr: float = Field(gt=0)  # Learning rate of the generator; decays linearly over the second half.
    critic_lr: float = Field(gt=0)  # Learning rate of the critic; decays in the same way.

    def decay(self, optimizers: Mapping[str, Optimizer], progress: float) -> None:
        """Set both learning rates for a point of the run."""
        for name, optimizer in optimizers.items():
            linear_decay(optimizer, self.critic_lr if name == "critic" else self.lr, progress)


class GameAdam(_Game):
    """Adam for a generator and its critic, with separate learning rates.

    >>> sorted(GameAdam(lr=1e-3, critic_lr=1e-4).make(nn.Linear(2, 2), nn.Linear(2, 1)))
    ['critic', 'generator']
    """

    beta1: float = Field(0.9, ge=0, lt=1)  # Decay of the first moment, both networks.
    beta2: float = Field(0.999, ge=0, lt=1)  # Decay of the second moment, both networks.

    def make(self, generator: nn.Module, critic: nn.Module | None = None) -> dict[str, Optimizer]:
        """Return optimizers "generator" and, if there is a critic, "critic"."""
        betas = (self.beta1, self.beta2)
        optimizers: dict[str, Optimizer] = {
            "generator": torch.optim.Adam(generator.parameters(), lr=self.lr, betas=betas)
        }
        if critic is not None:
            adam = torch.optim.Adam(critic.parameters(), lr=self.critic_lr, betas=betas)
            optimizers["critic"] = adam
        return optimizers


class GameRMSprop(_Game):
    """RMSprop for a generator and its critic, with separate learning rates.

    >>> sorted(GameRMSprop(lr=1e-3, critic_lr=1e-4).make(nn.Linear(2, 2), nn.Linear(2, 1)))
    ['critic', 'generator']
    """

    def make(self, generator: nn.Module, critic: nn.Module) -> dict[str, Optimizer]:
        """Return optimizers "generator" and "critic"."""
        return {
            "generator": torch.optim.RMSprop(generator.parameters(), lr=self.lr),
            "critic": torch.optim.RMSprop(critic.parameters(), lr=self.critic_lr),
        }


class PotentialAdam(Frozen):
    """Adam for a convex potential and the network that inverts its gradient, with fixed betas.

    >>> optimizer = PotentialAdam(lr=1e-3).make(nn.Linear(2, 1), nn.Linear(2, 1))
    >>> [group["betas"] for group in optimizer.param_groups]
    [(0.8, 0.99), (0.4, 0.4)]
    """

    lr: float = Field(gt=0)  # Learning rate of both networks; decays linearly over the second half.

    def make(self, potential: nn.Module, inverse: nn.Module) -> Optimizer:
        """Return one optimizer of both networks."""
        nets = ((potential, _POTENTIAL_BETAS), (inverse, _INVERSE_BETAS))
        groups = [{"params": list(net.parameters()), "betas": betas} for net, betas in nets]
        return torch.optim.Adam(groups, lr=self.lr)

    def decay(self, optimizer: Optimizer, progress: float) -> None:
        """Set the learning rate for a point of the run."""
        linear_decay(optimizer, self.lr, progress)
