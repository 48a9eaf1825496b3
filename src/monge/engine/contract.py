"""What the engine asks of a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from monge.data import Draw


class Method(Protocol):
    """One paper. `step` is its algorithm box and does its own backward and optimizer steps."""

    optimizers: Mapping[str, Optimizer]

    def step(self, draw: Draw) -> Mapping[str, float | Tensor]:
        """Make one update from what ``draw`` gives; returns named scalars for the log."""
        ...

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n generated samples, a function of the weights and the seed."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...
