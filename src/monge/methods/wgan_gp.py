"""WGAN-GP: a critic with a penalty on its gradient norm between data and samples.

    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs",
        NeurIPS 2017 [gulrajani2017], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
G_θ         ``generator``, of noise (n, latent); x̃ = G_θ(z)
D_w         ``critic``, to numbers (n, 1), almost 1-Lipschitz
λ           ``config.penalty``
n_critic    ``config.critic_steps``
m           ``config.batch``
x̂           εx + (1 − ε)x̃, where the gradient norm is penalized
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
from monge.optim import GameAdam


class Config(Frozen):
    """WGAN with gradient penalty."""

    name: Literal["wgan_gp"] = "wgan_gp"
    penalty: float = Field(10, ge=0)  # λ; the paper has 10 for pictures and 0.1 for toy data.
    batch: Batch = 64
    critic_steps: int = Field(5, ge=1)  # n_critic, updates of w for one of θ.
    adam: GameAdam = GameAdam(lr=1e-4, critic_lr=1e-4, beta1=0.0, beta2=0.9)
    nets: GameNets = GameNets()
    ema: Decay = 0.999


TINY = Config(batch=16, critic_steps=2, nets={"width": 8, "critic_width": 8})


class WGANGP(nn.Module):
    """Minimize over θ the maximum over w of E D(x) − E D(x̃) − λ E(‖∇D(x̂)‖ − 1)².

    The critic has no batch normalization, because its layers must not couple samples.

    >>> from monge.data import load
    >>> sorted(build(TINY, shape=(2,)).step(StepInputs(load("8gaussians"), seed=0, step=0)))
    ['critic_grad', 'critic_spread', 'generator_grad', 'loss', 'penalty', 'w1_estimate']
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = config.adam.make(generator, critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take one iteration of Algorithm 1, lines 2–12."""
        c, m = self.config, self.config.batch
        c.adam.decay(self.optimizers, inputs.progress)
        for _ in range(c.critic_steps):  # lines 2–10, all m samples at once
            x = inputs.data(m)  # line 4
            y = without_grad(self.generator, inputs.noise(m, c.nets.latent))  # line 5, x̃
            u = inputs.uniform(m, *[1] * (x.ndim - 1))
            between = u * x + (1 - u) * y  # line 6, x̂
            penalty = parallel.gather(ot.gradient_penalty(self.critic, between)).mean()
            fx, fy = parallel.gather(self.critic(x)), parallel.gather(self.critic(y))
            loss = fy.mean() - fx.mean() + c.penalty * penalty  # line 7
            norm = parallel.descend(self.optimizers["critic"], loss)  # line 9
        spread = metrics.relative_spread(torch.cat([fx, fy]))
        scalars = {
            "critic_grad": norm,
            "w1_estimate": (fx.mean() - fy.mean()).detach(),
            "penalty": penalty.detach(),
        }

        y = self.generator(inputs.noise(m, c.nets.latent))  # line 11
        loss = -parallel.gather(self.critic(y)).mean()
        norm = parallel.descend(self.optimizers["generator"], loss)  # line 12
        self.average.update(self.generator)
        return {"loss": loss.detach(), "generator_grad": norm, "critic_spread": spread, **scalars}

    def estimate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """Return the critic's estimate of W₁ and the exact W₁ of the samples."""
        f = (self.critic(x).mean() - self.critic(y).mean()).item()
        exact = ot.wasserstein(x.flatten(1), y.flatten(1), p=1).item()
        return {"w1_estimate": f, "w1_exact": exact}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)


def build(config: Config, shape: tuple[int, ...]) -> WGANGP:
    """Build the networks that the configuration names, for samples of ``shape``."""
    return WGANGP(config, config.nets.generator(shape), config.nets.critic(shape))
