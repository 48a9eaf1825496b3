r"""ACAI: an autoencoder with interpolations that a critic cannot distinguish from data.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders
        via an adversarial regularizer", ICLR 2019    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
f, g        encoder and decoder of ``autoencoder``
d_ω, γ      ``critic``, see `monge.nets.InterpolationCritic`
λ           ``config.interpolation.weight``; 0 is the plain autoencoder
α           ``inputs.uniform``, in [0, ½]
==========  ============================================================

.. math::

    \min_{f, g} \; \mathbb{E}\, \frac{|x - \hat x|^2}{P}
    + \lambda\, \mathbb{E}\, d_\omega(\hat x_\alpha)^2

with P entries in a sample. For piano rolls the error is a cross-entropy and P is voices × frames.
The codes have no prior: samples are decoded from a Gaussian fitted to them.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from monge import parallel
from monge.config import Batch, Frozen
from monge.data import StepInputs
from monge.nets import (
    Autoencoder,
    AutoencoderNets,
    Interpolation,
    InterpolationCritic,
    InterpolationGame,
)
from monge.optim import Adam


class Config(Frozen):
    """Adversarially constrained autoencoder interpolation."""

    name: Literal["acai"] = "acai"
    batch: Batch = 128
    adam: Adam = Adam(lr=1e-3)
    nets: AutoencoderNets = AutoencoderNets()
    interpolation: Interpolation = Interpolation(weight=0.5)


TINY = Config(
    batch=16, nets={"kind": "mlp", "latent": 3, "width": 8}, interpolation={"critic_width": 8}
)


class ACAI(nn.Module):
    """Autoencoder that minimizes the reconstruction error and the critic's squared estimates.

    Without a critic it minimizes the reconstruction error alone.

    >>> from monge.data import load
    >>> method = build(TINY, (1, 8, 8))
    >>> sorted(method.step(StepInputs(load("digits"), seed=0, step=0)))
    ['alpha_error', 'generator_grad', 'interpolation', 'loss', 'reconstruction']
    >>> method.sample(5).shape
    torch.Size([5, 1, 8, 8])
    """

    prior = None

    def __init__(
        self, config: Config, autoencoder: Autoencoder, critic: InterpolationCritic | None = None
    ) -> None:
        super().__init__()
        self.config, self.autoencoder, self.critic = config, autoencoder, critic
        self.game = InterpolationGame(config.interpolation, autoencoder, critic)
        self.optimizers = self.game.optimizers | {
            "autoencoder": config.adam.make(autoencoder.parameters())
        }

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a step of the autoencoder, then one of the critic on the same interpolations."""
        c, x = self.config, inputs.data(self.config.batch)
        c.adam.decay(self.optimizers["autoencoder"], inputs.progress)
        r = self.autoencoder.reconstruct(x)
        mixtures = self.game.play(r.z, inputs.uniform(c.batch, 1) / 2, inputs.progress)  # x̂_α
        error = r.error / r.entries
        loss = error + mixtures.term()  # eq. (2)
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(r.codes.detach())
        scalars = {"loss": loss, "reconstruction": error, "generator_grad": norm}
        scalars |= mixtures.answer(x, r.decoded)  # eq. (3)
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from a Gaussian fitted to the codes, a function of the seed."""
        return self.autoencoder.sample(n, seed)


def build(config: Config, shape: tuple[int, ...]) -> ACAI:
    """Build the networks that the configuration names, for samples of ``shape``."""
    autoencoder = config.nets.autoencoder(shape)
    critic = config.interpolation.critic(config.nets.kind, shape)
    return ACAI(config, autoencoder, critic)
