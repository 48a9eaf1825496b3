"""Optimizers as parts of a configuration, and schedules as functions of a run's progress in [0, 1).

Every learning rate is constant over the first half of a run and falls linearly to 0 over the
second. ``decay`` sets it: a method calls it at the beginning of a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from monge.config import Frozen

# of the potential, and of the network that inverts its gradient
_POTENTIAL_BETAS, _INVERSE_BETAS = (0.8, 0.99), (0.4, 0.4)


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


class Adam(Frozen):
    """Adam for one network, or for several that descend together.

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
        """An optimizer of ``parameters``."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=(self.beta1, self.beta2))

    def decay(self, optimizer: Optimizer, progress: float) -> None:
        """Set the learning rate for this point of the run."""
        linear_decay(optimizer, self.lr, progress)


class _Game(Frozen):
    lr: float = Field(gt=0)  # Learning rate of the generator; decays linearly over the second half.
    critic_lr: float = Field(gt=0)  # Learning rate of the critic; decays likewise.

    def decay(self, optimizers: Mapping[str, Optimizer], progress: float) -> None:
        """Set both learning rates for this point of the run."""
        for name, optimizer in optimizers.items():
            linear_decay(optimizer, self.critic_lr if name == "critic" else self.lr, progress)


class GameAdam(_Game):
    """Adam for a generator and, at a learning rate of its own, for its critic.

    >>> sorted(GameAdam(lr=1e-3, critic_lr=1e-4).make(nn.Linear(2, 2), nn.Linear(2, 1)))
    ['critic', 'generator']
    """

    beta1: float = Field(0.9, ge=0, lt=1)  # Decay of the first moment, both networks.
    beta2: float = Field(0.999, ge=0, lt=1)  # Decay of the second moment, both networks.

    def make(self, generator: nn.Module, critic: nn.Module | None = None) -> dict[str, Optimizer]:
        """Optimizers "generator" and, where there is a critic, "critic"."""
        players = {"generator": (generator, self.lr)} | (
            {"critic": (critic, self.critic_lr)} if critic is not None else {}
        )
        betas = (self.beta1, self.beta2)
        return {
            name: torch.optim.Adam(net.parameters(), lr=lr, betas=betas)
            for name, (net, lr) in players.items()
        }


class GameRMSprop(_Game):
    """RMSprop for a generator and, at a learning rate of its own, for its critic.

    >>> sorted(GameRMSprop(lr=1e-3, critic_lr=1e-4).make(nn.Linear(2, 2), nn.Linear(2, 1)))
    ['critic', 'generator']
    """

    def make(self, generator: nn.Module, critic: nn.Module) -> dict[str, Optimizer]:
        """Optimizers "generator" and "critic"."""
        players = {"generator": (generator, self.lr), "critic": (critic, self.critic_lr)}
        return {
            name: torch.optim.RMSprop(net.parameters(), lr=lr)
            for name, (net, lr) in players.items()
        }


class PotentialAdam(Frozen):
    """Adam for a convex potential and the network that inverts its gradient, with the betas that
    suit each.

    >>> optimizer = PotentialAdam(lr=1e-3).make(nn.Linear(2, 1), nn.Linear(2, 1))
    >>> [group["betas"] for group in optimizer.param_groups]
    [(0.8, 0.99), (0.4, 0.4)]
    """

    lr: float = Field(gt=0)  # Learning rate of both networks; decays linearly over the second half.

    def make(self, potential: nn.Module, inverse: nn.Module) -> Optimizer:
        """One optimizer of both networks."""
        parts = ((potential, _POTENTIAL_BETAS), (inverse, _INVERSE_BETAS))
        return torch.optim.Adam(
            [{"params": list(net.parameters()), "betas": betas} for net, betas in parts], lr=self.lr
        )

    def decay(self, optimizer: Optimizer, progress: float) -> None:
        """Set the learning rate for this point of the run."""
        linear_decay(optimizer, self.lr, progress)
