"""WGAN-GP: the critic's slope is asked to be 1 between data and samples.

    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NeurIPS 2017    [gulrajani2017],
    Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
G_θ         ``generator``; x̃ = G_θ(z)
D_w         ``critic``, an almost 1-Lipschitz function
λ           ``config.penalty``
n_critic    ``config.critic_steps``
m           ``config.batch``
x̂           εx + (1 − ε)x̃, where the slope is penalised
==========  ============================================================
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import metrics, ot, parallel
from monge.config import Frozen
from monge.data import Draw, generator
from monge.nets import EMA, build_critic, build_generator, linear_decay
from monge.nets.build import Net


class Config(Frozen):
    """WGAN with gradient penalty."""

    name: Literal["wgan_gp"] = "wgan_gp"
    penalty: float = Field(10, ge=0)
    """λ; the paper takes 10 for pictures, 0.1 for toys."""
    batch: int = Field(64, ge=2)
    """Global batch m."""
    critic_steps: int = Field(5, ge=1)
    """n_critic, updates of w for one of θ."""
    lr: float = Field(1e-4, gt=0)
    """Adam learning rate of the generator; decays linearly over the second half."""
    critic_lr: float = Field(1e-4, gt=0)
    """Adam learning rate of the critic; decays likewise."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Adam's first-moment decay, both networks."""
    beta2: float = Field(0.9, ge=0, lt=1)
    """Adam's second-moment decay, both networks."""
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


class WGANGP(nn.Module):
    """Minimise over θ the maximum over w of E D(x) − E D(x̃) − λ E(‖∇D(x̂)‖ − 1)².

    Parameters
    ----------
    config : Config
    generator : Module
        (n, latent) to samples (n, ...).
    critic : Module
        Samples to (n, 1); no layer may couple the samples of a batch, so no batch normalisation.

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=16, width=8), shape=(2,))
    >>> scalars = method.step(Draw(load("8gaussians"), seed=0, step=0))
    >>> "w1_estimate" in scalars, method.sample(5).shape
    (True, torch.Size([5, 2]))
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        betas = (config.beta1, config.beta2)
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), lr=config.lr, betas=betas),
            "critic": torch.optim.Adam(critic.parameters(), lr=config.critic_lr, betas=betas),
        }

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """Lines 2–12 of Algorithm 1."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["generator"], c.lr, draw.progress)
        linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)

        for _ in range(c.critic_steps):  # lines 2–10, all m samples at once
            x = draw.data(c.batch)  # line 4
            with torch.no_grad():
                made = self.generator(draw.noise(c.batch, c.latent))  # line 5
            u = draw.uniform(c.batch, *[1] * (x.ndim - 1))
            between = u * x + (1 - u) * made  # line 6
            penalty = parallel.gather(ot.gradient_penalty(self.critic, between)).mean()
            fx, fy = parallel.gather(self.critic(x)), parallel.gather(self.critic(made))
            loss = fy.mean() - fx.mean() + c.penalty * penalty  # line 7
            scalars["critic_grad"] = parallel.descend(self.optimizers["critic"], loss)  # line 9
            scalars |= {"w1_estimate": (fx.mean() - fy.mean()).detach(), "penalty": penalty.detach()}
            scalars["critic_spread"] = metrics.relative_spread(torch.cat([fx, fy]).detach())

        loss = -parallel.gather(self.critic(self.generator(draw.noise(c.batch, c.latent)))).mean()  # line 11
        scalars["generator_grad"] = parallel.descend(self.optimizers["generator"], loss)  # line 12
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars}

    def estimate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """The critic's estimate of W₁ beside the exact distance of these samples."""
        f = (self.critic(x).mean() - self.critic(y).mean()).item()
        return {"w1_estimate": f, "w1_exact": ot.wasserstein(x.flatten(1), y.flatten(1), p=1).item()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        like = next(self.average.parameters())
        z = torch.randn(n, self.config.latent, generator=generator(seed)).to(like)
        return torch.cat([self.average(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> WGANGP:
    """Make the networks that the configuration names, for samples of ``shape``."""
    return WGANGP(
        config,
        build_generator(config.net, config.latent, shape, config.width),
        build_critic(config.net, shape, config.critic_width, 1),
    )
