r"""WWAE: an autoencoder with the squared W₂ distance of its codes' Gaussian to N(0, I) as penalty.

    Zhang, Gao, Jiao, Liu, Wang, Yang, "Wasserstein-Wasserstein auto-encoders", arXiv:1902.09323,
        2019 [zhang2019]

==========  ================================================================
symbol      here
==========  ================================================================
Q, G        encoder and decoder of ``autoencoder``
m, λᵢ       mean of the codes of a batch and eigenvalues of their covariance
λ           ``config.weight``
d_ω         ``critic`` of interpolations [berthelot2019], if
            ``config.interpolation.weight`` is positive
==========  ================================================================

.. math::

    \min_{Q, G} \; \mathbb{E} |x - \hat x|^2
    + \lambda \Bigl( |m|^2 + \sum_i (\sqrt{\lambda_i} - 1)^2 \Bigr)
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen
from monge.data import StepInputs, load_prior
from monge.nets import (
    Autoencoder,
    AutoencoderNets,
    Interpolation,
    InterpolationCritic,
    InterpolationGame,
)
from monge.optim import Adam


class Config(Frozen):
    """Wasserstein-Wasserstein autoencoder."""

    name: Literal["wwae"] = "wwae"
    #: Weight λ of the penalty, in units of the squared error of one sample.
    weight: float = Field(10.0, ge=0)
    #: Global batch; if it is smaller than nets.latent, the covariance cannot have full rank.
    batch: int = Field(128, ge=2)
    adam: Adam = Adam(lr=1e-3)
    nets: AutoencoderNets = AutoencoderNets()
    interpolation: Interpolation = Interpolation()


TINY = Config(
    batch=16, nets={"kind": "mlp", "latent": 3, "width": 8}, interpolation={"weight": 0.5}
)


class WWAE(nn.Module):
    """Minimize the reconstruction error and the distance of the codes' Gaussian to N(0, I).

    >>> from monge.data import load
    >>> method = build(TINY, (1, 8, 8))
    >>> "penalty" in method.step(StepInputs(load("digits"), seed=0, step=0)), method.sample(5).shape
    (True, torch.Size([5, 1, 8, 8]))
    """

    def __init__(
        self, config: Config, autoencoder: Autoencoder, critic: InterpolationCritic | None = None
    ) -> None:
        super().__init__()
        self.config, self.autoencoder, self.critic = config, autoencoder, critic
        self.prior = load_prior("normal", config.nets.latent)
        self.game = InterpolationGame(config.interpolation, autoencoder, critic)
        self.optimizers = self.game.optimizers | {
            "autoencoder": config.adam.make(autoencoder.parameters())
        }

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a step of the autoencoder, then one of the critic on the same interpolations."""
        c = self.config
        c.adam.decay(self.optimizers["autoencoder"], inputs.progress)
        x = inputs.data(c.batch)
        r = self.autoencoder.reconstruct(x)
        penalty = ot.normal_w2_squared(r.codes)
        mixtures = self.game.play(r.z, inputs.uniform(c.batch, 1) / 2, inputs.progress)
        loss = r.error + c.weight * penalty + mixtures.term(r.entries)
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(r.codes.detach())
        scalars = {"loss": loss, "reconstruction": r.error / r.entries, "penalty": penalty}
        scalars |= {"generator_grad": norm} | mixtures.answer(x, r.decoded)
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from N(0, I), a function of the seed."""
        return self.autoencoder.sample(n, seed, self.prior)


def build(config: Config, shape: tuple[int, ...]) -> WWAE:
    """Build the networks that the configuration names, for samples of ``shape``."""
    autoencoder = config.nets.autoencoder(shape)
    critic = config.interpolation.critic(config.nets.kind, shape)
    return WWAE(config, autoencoder, critic)
