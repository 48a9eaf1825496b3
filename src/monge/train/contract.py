"""What the engine asks of a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.optim import Optimizer

from monge.data import Draw, Source
from monge.nets import Autoencoder


class Method(Protocol):
    """One paper. `step` is its algorithm box and does its own backward and optimizer steps.

    Two scalars have a meaning to the engine when a method logs them: ``critic_spread`` (`monge.metrics.relative_spread` of the
    critic's outputs) and ``generator_grad`` (the norm of the generator's gradient). When they vanish, the log warns.
    """

    optimizers: Mapping[str, Optimizer]

    def step(self, draw: Draw) -> Mapping[str, float | Tensor]:
        """Make one update from what ``draw`` gives; returns named scalars for the log."""
        ...

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n generated samples, a function of the weights and the seed."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...


@runtime_checkable
class Decoding(Protocol):
    """Optional: a method that draws pictures by decoding codes is measured beside what its decoder can do and what is simple.

    ``sample_baseline`` decodes a Gaussian fitted to the codes, ``reconstruct`` the codes of given pictures.
    """

    def sample_baseline(self, n: int, seed: int = 0) -> Tensor: ...

    def reconstruct(self, x: Tensor) -> Tensor: ...


@runtime_checkable
class Coding(Protocol):
    """Optional: a method around an autoencoder, whose codes, reconstructions and interpolations are measured.

    ``autoencoder`` holds the trained encoder and decoder, and ``prior`` the distribution its codes should have, or None where the
    method asks for none: `sample` then decodes a Gaussian fitted to the codes.
    """

    autoencoder: Autoencoder
    prior: Source | None


@runtime_checkable
class Estimating(Protocol):
    """Optional: a method whose critic estimates a distance shows the estimate beside the exact value in the log."""

    def estimate(self, x: Tensor, y: Tensor) -> Mapping[str, float | Tensor]:
        """Return named numbers, e.g. ``w1_estimate`` and ``w1_exact``, for held-out data ``x`` and generated samples ``y``.

        Both are (n, ...), a few hundred, of the method's device and dtype. Called without gradient, and on one process only:
        nothing in here may wait for the others. It leaves the method as it is, for an interrupted run makes an extra call.
        """
        ...


@runtime_checkable
class Matching(Protocol):
    """Optional: a method that gives every target a mass of its samples is measured by how equal the masses are."""

    def cell_mass_error(self, source: Source) -> float:
        """Relative error of a mass, in the mean square over the targets, which are the source's."""
        ...
