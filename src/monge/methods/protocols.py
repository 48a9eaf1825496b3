"""Interfaces of methods. Training and evaluation look at which of them a method implements.

All can be checked with ``isinstance``, which compares the names of the members only. A method that
does not support an operation does not have the member; no member exists only to raise an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor
from torch.optim import Optimizer

if TYPE_CHECKING:
    from monge.data import Dataset, StepInputs
    from monge.nets import Autoencoder


@runtime_checkable
class Method(Protocol):
    """The method of one paper.

    `step` is one iteration of its algorithm, including backward passes and optimizer steps.
    Training watches two of the scalars that it returns, and warns when they vanish:
    ``critic_spread`` (`monge.metrics.relative_spread` of the critic's outputs) and
    ``generator_grad`` (the norm of the generator's gradient).
    """

    optimizers: Mapping[str, Optimizer]

    def step(self, inputs: StepInputs, /) -> Mapping[str, float | Tensor]:
        """Update the networks with data and noise from ``inputs``; returns scalars for the log."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on, except ``optimizers`` and the data."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Restore the state of a method with the same configuration."""


@runtime_checkable
class Generator(Protocol):
    """A method that generates samples from noise."""

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n generated samples (n, ...), a function of the weights and the seed."""


@runtime_checkable
class Map(Protocol):
    """A map from the source measure P to the target measure Q of a `monge.data.SourceTarget`."""

    def transform(self, x: Tensor, /) -> Tensor:
        """Map samples of P (n, ...) to Q."""


@runtime_checkable
class InvertibleMap(Map, Protocol):
    """A map with its inverse; both treat rows independently, so they can be computed in blocks."""

    def inverse_transform(self, y: Tensor, /) -> Tensor:
        """Map samples of Q (n, ...) to P."""


@runtime_checkable
class ConditionalMap(Protocol):
    """A generator of a sample of Q for each sample of P, with noise from a seed.

    It need not have an inverse. ``isinstance`` cannot tell it from a `Map`, so every map without an
    inverse receives the seed.
    """

    def transform(self, x: Tensor, seed: int = 0, /) -> Tensor:
        """Generate from samples of P (n, ...), as a function of the weights, ``x`` and the seed."""


@runtime_checkable
class Autoencoding(Protocol):
    """A method with an autoencoder; codes, reconstructions and interpolations are measured.

    ``autoencoder`` holds the trained encoder and decoder. ``prior`` is the distribution that the
    codes should have, or None: samples are then decoded from a Gaussian fitted to the codes.
    """

    autoencoder: Autoencoder
    prior: Dataset | None


@runtime_checkable
class Decoding(Protocol):
    """A method that samples by decoding codes.

    It is compared with a simple baseline and with the reconstructions of its decoder.
    """

    def sample_baseline(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from a Gaussian fitted to the codes."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """Encode and decode samples (n, ...)."""


@runtime_checkable
class DualPotential(Protocol):
    """A method with potentials, which estimate W₂² by the dual."""

    def w2_squared(self, x: Tensor, y: Tensor, /) -> Tensor:
        """Estimate W₂²(P, Q) from samples (n, d) of P and (m, d) of Q."""


@runtime_checkable
class CriticEstimate(Protocol):
    """A method with a critic that estimates a distance; the log shows the exact value, too."""

    def estimate(self, x: Tensor, y: Tensor) -> Mapping[str, float | Tensor]:
        """Return named numbers for held-out data ``x`` and generated samples ``y``.

        Names are such as ``w1_estimate`` and ``w1_exact``. Both tensors are (n, ...), a few hundred
        samples, of the method's device and dtype. It is called without gradient and on one process
        only, so it must not synchronize with the others. It must not change the method, because an
        interrupted run calls it once more.
        """


@runtime_checkable
class Matching(Protocol):
    """A method that matches generated samples to targets of equal mass."""

    def cell_mass_error(self, source: Dataset) -> float:
        """Return the root mean square over targets of the relative errors of their masses.

        The targets are data points of ``source``.
        """
