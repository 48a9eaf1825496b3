r"""ACAI: an autoencoder whose interpolations a critic cannot tell from data.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders via an adversarial
    regularizer", ICLR 2019    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
f, g        encoder and decoder of ``autoencoder``
d_ω, γ      ``critic``, see `monge.nets.InterpolationCritic`
λ           ``config.interpolate``; 0 leaves the plain autoencoder
α           ``draw.uniform``, in [0, ½]
==========  ============================================================

.. math:: \min_{f, g} \; \mathbb{E}\, \frac{|x - \hat x|^2}{P} + \lambda\, \mathbb{E}\, d_\omega(\hat x_\alpha)^2

with P entries in a sample (for scores: a cross-entropy, and P voices and frames). The codes have no prior: samples are decoded
from a Gaussian fitted to them.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import parallel
from monge.config import Frozen
from monge.data import Draw
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
    """Adversarially constrained autoencoder interpolation."""

    name: Literal["acai"] = "acai"
    net: AutoencoderNet = "conv"
    """mlp, conv, dcgan, acai (its paper's blocks) for pictures, sequence for scores; see `monge.nets.autoencoder`."""
    latent: int = Field(32, ge=1)
    """Dimension of the codes."""
    width: int = Field(32, ge=2)
    """Width of encoder and decoder."""
    batch: int = Field(128, ge=2)
    """Global batch."""
    lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the autoencoder; decays linearly over the second half."""
    interpolate: float = Field(0.5, ge=0)
    """Weight λ of the critic's term; 0 trains a plain autoencoder."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the run over which that weight rises from 0, so that there are codes before mixtures of them are judged."""
    critic_width: int = Field(16, ge=2)
    """Width of the critic."""
    critic_lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the critic; decays likewise."""


class ACAI(nn.Module):
    """Minimise the reconstruction error and what the critic of interpolations sees.

    Parameters
    ----------
    config : Config
    autoencoder : Autoencoder
    critic : InterpolationCritic, optional
        None where ``config.interpolate`` is 0.

    Examples
    --------
    >>> from monge.data import load
    >>> method = build(Config(net="mlp", latent=2, width=8, batch=16, critic_width=8), (1, 8, 8))
    >>> scalars = method.step(Draw(load("digits"), seed=0, step=0))
    >>> sorted(scalars), method.sample(5).shape
    (['alpha_error', 'generator_grad', 'interpolation', 'loss', 'reconstruction'], torch.Size([5, 1, 8, 8]))
    """

    prior = None

    def __init__(self, config: Config, autoencoder: Autoencoder, critic: InterpolationCritic | None = None) -> None:
        super().__init__()
        self.config, self.autoencoder, self.critic = config, autoencoder, critic
        self.optimizers = {"autoencoder": torch.optim.Adam(autoencoder.parameters(), lr=config.lr)}
        if critic is not None:
            self.optimizers["critic"] = torch.optim.Adam(critic.parameters(), lr=config.critic_lr)

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One step of the autoencoder, then one of the critic on the same interpolations."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["autoencoder"], c.lr, draw.progress)
        x = draw.data(c.batch)
        z = self.autoencoder.encode(x)
        made = self.autoencoder.decode(z)
        loss = error = parallel.gather(self.autoencoder.errors(x, made)).mean() / self.autoencoder.entries(x)
        if self.critic is not None:
            alpha = draw.uniform(c.batch, 1) / 2
            mixed = self.autoencoder.decode(self.critic.mix(z, alpha))
            scalars["interpolation"] = self.critic.fooled(mixed)
            weight = c.interpolate * linear_rise(draw.progress, c.warmup)
            loss = error + weight * scalars["interpolation"]
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(parallel.gather(z.detach()))

        if self.critic is not None:
            linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)
            scalars["alpha_error"] = self.critic.loss(mixed, alpha, x, made)
            parallel.descend(self.optimizers["critic"], scalars["alpha_error"])
        scalars |= {"loss": loss, "reconstruction": error, "generator_grad": norm}
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from a Gaussian fitted to the codes, a function of the seed."""
        return torch.cat([self.autoencoder.decode(z) for z in self.autoencoder.fitted(n, seed).split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> ACAI:
    """Make the networks, for samples of ``shape``."""
    autoencoder = build_autoencoder(config.net, shape, config.latent, config.width)
    critic = InterpolationCritic(build_encoder(config.net, shape, config.critic_width, 1)) if config.interpolate else None
    return ACAI(config, autoencoder, critic)
