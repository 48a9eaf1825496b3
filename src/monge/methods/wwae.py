r"""WWAE: an autoencoder whose codes have the mean and covariance of N(0, I), by the Wasserstein distance between Gaussians.

    Zhang, Gao, Jiao, Liu, Wang, Yang, "Wasserstein-Wasserstein auto-encoders", arXiv:1902.09323, 2019    [zhang2019]

==========  ============================================================
symbol      here
==========  ============================================================
Q, G        encoder and decoder of ``autoencoder``
m, λᵢ       mean of the codes of a batch and eigenvalues of their covariance
λ           ``config.weight``
d_ω         ``critic`` of interpolations [berthelot2019], where ``config.interpolate`` is above 0
==========  ============================================================

.. math:: \min_{Q, G} \; \mathbb{E} |x - \hat x|^2 + \lambda \Bigl( |m|^2 + \sum_i (\sqrt{\lambda_i} - 1)^2 \Bigr)

The penalty sees moments only: codes on a sphere of radius √d pass, too. It needs no samples of the prior and no kernel.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen
from monge.data import Draw, load_prior
from monge.nets import (
    Autoencoder,
    AutoencoderNet,
    InterpolationCritic,
    build_autoencoder,
    build_encoder,
    linear_decay,
    linear_rise,
)


class Config(Frozen):
    """Wasserstein-Wasserstein autoencoder."""

    name: Literal["wwae"] = "wwae"
    weight: float = Field(10.0, ge=0)
    """Weight λ of the penalty, in units of the squared error of one sample."""
    net: AutoencoderNet = "conv"
    """mlp, conv, dcgan, acai (its paper's blocks) for pictures, sequence for scores; see `monge.nets.autoencoder`."""
    latent: int = Field(32, ge=1)
    """Dimension of the codes."""
    width: int = Field(32, ge=2)
    """Width of encoder and decoder."""
    batch: int = Field(128, ge=2)
    """Global batch; below ``latent`` the covariance has no full rank, which the penalty bears but cannot mend."""
    lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the autoencoder; decays linearly over the second half."""
    interpolate: float = Field(0.0, ge=0)
    """Weight of a critic of interpolations, per entry of a sample as in ACAI; 0 leaves it out."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the run over which that weight rises from 0, so that there are codes before mixtures of them are judged."""
    critic_width: int = Field(16, ge=2)
    """Width of the critic."""
    critic_lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the critic; decays likewise."""


class WWAE(nn.Module):
    """Minimise the reconstruction error and the distance of the codes' Gaussian to N(0, I).

    Parameters
    ----------
    config : Config
    autoencoder : Autoencoder
    critic : InterpolationCritic, optional
        None where ``config.interpolate`` is 0.

    Examples
    --------
    >>> from monge.data import load
    >>> method = build(Config(net="mlp", latent=2, width=8, batch=16), (1, 8, 8))
    >>> scalars = method.step(Draw(load("digits"), seed=0, step=0))
    >>> sorted(scalars), method.sample(5).shape
    (['generator_grad', 'loss', 'penalty', 'reconstruction'], torch.Size([5, 1, 8, 8]))
    """

    def __init__(self, config: Config, autoencoder: Autoencoder, critic: InterpolationCritic | None = None) -> None:
        super().__init__()
        self.config, self.autoencoder, self.critic = config, autoencoder, critic
        self.prior = load_prior("normal", config.latent)
        self.optimizers = {"autoencoder": torch.optim.Adam(autoencoder.parameters(), lr=config.lr)}
        if critic is not None:
            self.optimizers["critic"] = torch.optim.Adam(critic.parameters(), lr=config.critic_lr)

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One step of the autoencoder, then one of the critic on the same interpolations."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["autoencoder"], c.lr, draw.progress)
        x = draw.data(c.batch)
        z = self.autoencoder.encode(x)
        codes = parallel.gather(z)
        made = self.autoencoder.decode(z)
        error = parallel.gather(self.autoencoder.errors(x, made)).mean()
        penalty = ot.normal_w2_squared(codes)
        loss, entries = error + c.weight * penalty, self.autoencoder.entries(x)
        if self.critic is not None:
            alpha = draw.uniform(c.batch, 1) / 2
            mixed = self.autoencoder.decode(self.critic.mix(z, alpha))
            scalars["interpolation"] = self.critic.fooled(mixed)
            weight = c.interpolate * linear_rise(draw.progress, c.warmup)
            loss = loss + entries * weight * scalars["interpolation"]
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(codes.detach())

        if self.critic is not None:
            linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)
            scalars["alpha_error"] = self.critic.loss(mixed, alpha, x, made)
            parallel.descend(self.optimizers["critic"], scalars["alpha_error"])
        scalars |= {"loss": loss, "reconstruction": error / entries, "penalty": penalty, "generator_grad": norm}
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from N(0, I), a function of the seed."""
        z = self.prior.batch(seed, 0, n).to(self.autoencoder.mean)
        return torch.cat([self.autoencoder.decode(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> WWAE:
    """Make the networks, for samples of ``shape``."""
    autoencoder = build_autoencoder(config.net, shape, config.latent, config.width)
    critic = InterpolationCritic(build_encoder(config.net, shape, config.critic_width, 1)) if config.interpolate else None
    return WWAE(config, autoencoder, critic)
