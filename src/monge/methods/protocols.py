"""What a method may offer, as nouns: a method is one or more of these, and training measures what
it is.

All can be asked for with ``isinstance``, which looks at the names of the members only. A method
that cannot do a thing does not have the member: none raises in order to refuse.
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
    """One paper. `step` is its algorithm box and does its own backward and optimizer steps.

    Two scalars have a meaning in training when a method logs them: ``critic_spread``
    (`monge.metrics.relative_spread` of the critic's outputs) and ``generator_grad`` (the norm of
    the generator's gradient). When they vanish, the log warns.
    """

    optimizers: Mapping[str, Optimizer]

    def step(self, inputs: StepInputs, /) -> Mapping[str, float | Tensor]:
        """Make one update from what ``draw`` gives; returns named scalars for the log."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step and the results depend on, beside ``optimizers`` and the
        data.
        """

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Continue from a state of a method with the same configuration."""


@runtime_checkable
class Generator(Protocol):
    """Makes samples out of nothing."""

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n generated samples (n, ...), a function of the weights and the seed."""


@runtime_checkable
class Map(Protocol):
    """Moves samples of P, the origin of a pair, to Q, its target."""

    def transform(self, x: Tensor, /) -> Tensor:
        """Samples of P (n, ...) moved to Q."""


@runtime_checkable
class InvertibleMap(Map, Protocol):
    """A map with its inverse; both treat rows independently, so they can be computed in blocks."""

    def inverse_transform(self, y: Tensor, /) -> Tensor:
        """Samples of Q (n, ...) moved to P."""


@runtime_checkable
class ConditionalMap(Protocol):
    """Makes a sample of Q for each one of P, with noise that the seed makes.

    There may be no way back.

    At run time a `Map` looks the same; every map without an inverse is given the seed.
    """

    def transform(self, x: Tensor, seed: int = 0, /) -> Tensor:
        """What is made for samples of P (n, ...), a function of the weights, the batch and the
        seed.
        """


@runtime_checkable
class Autoencoding(Protocol):
    """A method around an autoencoder, whose codes, reconstructions and interpolations are measured.

    ``autoencoder`` holds the trained encoder and decoder, and ``prior`` the distribution its codes
    should have, or None where the method asks for none: samples are then decoded from a Gaussian
    fitted to the codes.
    """

    autoencoder: Autoencoder
    prior: Dataset | None


@runtime_checkable
class Decoding(Protocol):
    """Draws pictures by decoding codes, and is measured beside what its decoder can do and what is
    simple.
    """

    def sample_baseline(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from a Gaussian fitted to the codes."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """Given samples (n, ...), encoded and decoded."""


@runtime_checkable
class DualPotential(Protocol):
    """Has potentials, whose dual value is W₂²."""

    def w2_squared(self, x: Tensor, y: Tensor, /) -> Tensor:
        """Estimate of W₂²(P, Q) from samples (n, d) and (m, d) of the two."""


@runtime_checkable
class CriticEstimate(Protocol):
    """A critic estimates a distance; the log shows the estimate beside the exact value."""

    def estimate(self, x: Tensor, y: Tensor) -> Mapping[str, float | Tensor]:
        """Return named numbers, e.g.

        ``w1_estimate`` and ``w1_exact``, for held-out data ``x`` and generated samples ``y``.

        Both are (n, ...), a few hundred, of the method's device and dtype. Called without gradient,
        and on one process only: nothing in here may wait for the others. It leaves the method as it
        is, for an interrupted run makes an extra call.
        """


@runtime_checkable
class Matching(Protocol):
    """Gives every target a mass of its samples, and is measured by how equal the masses are."""

    def cell_mass_error(self, source: Dataset) -> float:
        """Relative error of a mass, in the mean square over the targets, which are the source's."""
