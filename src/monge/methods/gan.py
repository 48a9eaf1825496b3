"""GAN: a generator against a classifier that tells its samples from data.

    Goodfellow et al., "Generative adversarial nets", NeurIPS 2014    [goodfellow2014], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
G           ``generator``
D           σ(``critic``); the critic gives logits
m           ``config.batch``
k           ``config.critic_steps``, updates of D for one of G
==========  ============================================================

It is the baseline that transport is compared with: the optimal D measures the Jensen-Shannon divergence, which is log 2 for any
two distributions that do not overlap, however near they are.
"""

from __future__ import annotations

from math import log
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from monge import metrics, parallel
from monge.config import Frozen
from monge.data import Draw, generator
from monge.nets import EMA, build_critic, build_generator, linear_decay
from monge.nets.build import Net


class Config(Frozen):
    """GAN."""

    name: Literal["gan"] = "gan"
    loss: Literal["nonsaturating", "minimax"] = "nonsaturating"
    """What G descends: −log D(G(z)), or log(1 − D(G(z))), whose gradient vanishes when D is sure."""
    batch: int = Field(128, ge=2)
    """Global batch m."""
    critic_steps: int = Field(1, ge=1)
    """k, updates of D for one of G."""
    lr: float = Field(2e-4, gt=0)
    """Adam learning rate of the generator; decays linearly over the second half."""
    critic_lr: float = Field(2e-4, gt=0)
    """Adam learning rate of the critic; decays likewise."""
    beta1: float = Field(0.5, ge=0, lt=1)
    """Adam's first-moment decay, both networks."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay of the generator average that samples; 0 samples from the generator itself."""
    net: Net = "mlp"
    """mlp or conv."""
    latent: int = Field(2, ge=1)
    """Dimension of the noise z."""
    width: int = Field(256, ge=1)
    """Width of the generator."""
    critic_width: int = Field(32, ge=1)
    """Width of the critic."""


class GAN(nn.Module):
    """Play log D(x) + log(1 − D(G(z))).

    Parameters
    ----------
    config : Config
    generator : Module
        (n, latent) to samples (n, ...).
    critic : Module
        Samples to logits (n, 1).

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=16, width=8), shape=(2,))
    >>> scalars = method.step(Draw(load("8gaussians"), seed=0, step=0))
    >>> method.sample(5).shape
    torch.Size([5, 2])
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        betas = (config.beta1, 0.999)
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), lr=config.lr, betas=betas),
            "critic": torch.optim.Adam(critic.parameters(), lr=config.critic_lr, betas=betas),
        }

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """k ascent steps on D, then one descent step on G."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["generator"], c.lr, draw.progress)
        linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)

        for _ in range(c.critic_steps):
            data = draw.data(c.batch)
            with torch.no_grad():
                made = self.generator(draw.noise(c.batch, c.latent))
            real, fake = parallel.gather(self.critic(data)), parallel.gather(self.critic(made))
            value = -softplus(-real).mean() - softplus(fake).mean()  # log D(x) + log(1 − D(G(z)))
            scalars["critic_grad"] = parallel.descend(self.optimizers["critic"], -value)
            scalars["js_estimate"] = log(2) + value.detach() / 2
            scalars["critic_spread"] = metrics.relative_spread(torch.cat([real, fake]).detach())

        fake = parallel.gather(self.critic(self.generator(draw.noise(c.batch, c.latent))))
        loss = softplus(-fake).mean() if c.loss == "nonsaturating" else -softplus(fake).mean()
        scalars["generator_grad"] = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        like = next(self.average.parameters())
        z = torch.randn(n, self.config.latent, generator=generator(seed)).to(like)
        return torch.cat([self.average(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> GAN:
    """Make the networks that the configuration names, for samples of ``shape``."""
    return GAN(
        config,
        build_generator(config.net, config.latent, shape, config.width),
        build_critic(config.net, shape, config.critic_width, 1),
    )
