"""WGAN: a critic with clipped weights estimates the Wasserstein distance up to a factor.

    Arjovsky, Chintala, Bottou, "Wasserstein generative adversarial networks", ICML 2017
        [arjovsky2017], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
g_θ         ``generator``, of noise (n, latent)
f_w         ``critic``, to real numbers (n, 1), K-Lipschitz for a K that
            depends on c and the network
c           ``config.clip``
m           ``config.batch``
n_critic    ``config.critic_steps``
α           learning rates of ``config.rmsprop``
==========  ============================================================
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import metrics, ot, parallel
from monge.config import Batch, Decay, Frozen
from monge.data import StepInputs
from monge.nets import EMA, GameNets, without_grad
from monge.optim import GameRMSprop


class Config(Frozen):
    """WGAN with weight clipping."""

    name: Literal["wgan"] = "wgan"
    clip: float = Field(0.01, gt=0)  # c: the critic's weights stay in [−c, c].
    batch: Batch = 64
    critic_steps: int = Field(5, ge=1)  # n_critic, updates of w for one of θ.
    #: Updates of w for one of θ in a long round; long rounds are those of the authors' code.
    long_steps: int = Field(100, ge=1)
    long_first: int = Field(25, ge=0)  # Number of long rounds at the start.
    long_every: int = Field(500, ge=1)  # Rounds from one later long round to the next.
    rmsprop: GameRMSprop = GameRMSprop(lr=5e-5, critic_lr=5e-5)
    nets: GameNets = GameNets()
    ema: Decay = 0.999


TINY = Config(
    batch=16, critic_steps=2, long_steps=3, long_first=1, nets={"width": 8, "critic_width": 8}
)


class WGAN(nn.Module):
    """Minimize over θ the maximum over clipped w of E f_w(x) − E f_w(g_θ(z)).

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> scalars = method.step(StepInputs(load("8gaussians"), seed=0, step=0))
    >>> max(p.abs().max().item() for p in method.critic.parameters()) <= 0.0100001
    True
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = config.rmsprop.make(generator, critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take one iteration of Algorithm 1, lines 2–11."""
        c = self.config
        long = inputs.step < c.long_first or inputs.step % c.long_every == 0
        c.rmsprop.decay(self.optimizers, inputs.progress)
        for _ in range(c.long_steps if long else c.critic_steps):  # lines 2–8
            x = inputs.data(c.batch)  # line 3
            y = without_grad(self.generator, inputs.noise(c.batch, c.nets.latent))  # line 4
            fx, fy = parallel.gather(self.critic(x)), parallel.gather(self.critic(y))
            estimate = fx.mean() - fy.mean()  # line 5
            norm = parallel.descend(self.optimizers["critic"], -estimate)  # line 6
            with torch.no_grad():
                torch._foreach_clamp_min_(list(self.critic.parameters()), -c.clip)  # line 7
                torch._foreach_clamp_max_(list(self.critic.parameters()), c.clip)
        scalars = {"critic_grad": norm, "critic_estimate": estimate.detach()}
        scalars["critic_spread"] = metrics.relative_spread(torch.cat([fx, fy]))

        y = self.generator(inputs.noise(c.batch, c.nets.latent))  # line 9
        loss = -parallel.gather(self.critic(y)).mean()  # line 10
        norm = parallel.descend(self.optimizers["generator"], loss)  # line 11
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars, "generator_grad": norm}

    def estimate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """Return the critic's estimate, K · W₁ for an unknown K, and the exact W₁ of samples."""
        f = (self.critic(x).mean() - self.critic(y).mean()).item()
        return {"w1_times_k": f, "w1_exact": ot.wasserstein(x.flatten(1), y.flatten(1), p=1).item()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)


def build(config: Config, shape: tuple[int, ...]) -> WGAN:
    """Build the networks that the configuration names, for samples of ``shape``."""
    return WGAN(config, config.nets.generator(shape), config.nets.critic(shape))
