"""WGAN: a critic with clipped weights estimates the Wasserstein distance up to a factor.

    Arjovsky, Chintala, Bottou, "Wasserstein generative adversarial networks", ICML 2017    [arjovsky2017], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
g_θ         ``generator``
f_w         ``critic``, K-Lipschitz for a K that depends on c and the network
c           ``config.clip``
m           ``config.batch``
n_critic    ``config.critic_steps``
α           ``config.lr``, ``config.critic_lr``, RMSprop
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
    """WGAN with weight clipping."""

    name: Literal["wgan"] = "wgan"
    clip: float = Field(0.01, gt=0)
    """c: the critic's weights stay in [−c, c]."""
    batch: int = Field(64, ge=2)
    """Global batch m."""
    critic_steps: int = Field(5, ge=1)
    """n_critic, updates of w for one of θ."""
    long_steps: int = Field(100, ge=1)
    """Updates of w for one of θ in the long rounds of the authors' code."""
    long_first: int = Field(25, ge=0)
    """The first so many rounds are long."""
    long_every: int = Field(500, ge=1)
    """So is one round in so many."""
    lr: float = Field(5e-5, gt=0)
    """RMSprop learning rate of the generator; decays linearly over the second half."""
    critic_lr: float = Field(5e-5, gt=0)
    """RMSprop learning rate of the critic; decays likewise."""
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


class WGAN(nn.Module):
    """Minimise over θ the maximum over clipped w of E f_w(x) − E f_w(g_θ(z)).

    Parameters
    ----------
    config : Config
    generator : Module
        (n, latent) to samples (n, ...).
    critic : Module
        Samples to (n, 1), any real numbers.

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=16, width=8, long_first=0), shape=(2,))
    >>> scalars = method.step(Draw(load("8gaussians"), seed=0, step=0))
    >>> max(p.abs().max().item() for p in method.critic.parameters()) <= 0.0100001
    True
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = {
            "generator": torch.optim.RMSprop(generator.parameters(), lr=config.lr),
            "critic": torch.optim.RMSprop(critic.parameters(), lr=config.critic_lr),
        }

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """Lines 2–11 of Algorithm 1."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["generator"], c.lr, draw.progress)
        linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)

        long = draw.step < c.long_first or draw.step % c.long_every == 0
        for _ in range(c.long_steps if long else c.critic_steps):  # lines 2–8
            x = draw.data(c.batch)
            with torch.no_grad():
                made = self.generator(draw.noise(c.batch, c.latent))
            fx, fy = parallel.gather(self.critic(x)), parallel.gather(self.critic(made))
            estimate = fx.mean() - fy.mean()  # line 5
            scalars["critic_grad"] = parallel.descend(self.optimizers["critic"], -estimate)  # line 6
            with torch.no_grad():
                torch._foreach_clamp_min_(list(self.critic.parameters()), -c.clip)  # line 7
                torch._foreach_clamp_max_(list(self.critic.parameters()), c.clip)
            scalars["critic_estimate"] = estimate.detach()
            scalars["critic_spread"] = metrics.relative_spread(torch.cat([fx, fy]).detach())

        loss = -parallel.gather(self.critic(self.generator(draw.noise(c.batch, c.latent)))).mean()  # lines 9–10
        scalars["generator_grad"] = parallel.descend(self.optimizers["generator"], loss)  # line 11
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars}

    def estimate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """The critic's estimate, K times too large for an unknown K, beside the exact distance of these samples."""
        f = (self.critic(x).mean() - self.critic(y).mean()).item()
        return {"w1_times_k": f, "w1_exact": ot.wasserstein(x.flatten(1), y.flatten(1), p=1).item()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        like = next(self.average.parameters())
        z = torch.randn(n, self.config.latent, generator=generator(seed)).to(like)
        return torch.cat([self.average(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> WGAN:
    """Make the networks that the configuration names, for samples of ``shape``."""
    return WGAN(
        config,
        build_generator(config.net, config.latent, shape, config.width),
        build_critic(config.net, shape, config.critic_width, 1),
    )
