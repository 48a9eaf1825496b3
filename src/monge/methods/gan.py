"""GAN: a generator against a classifier that distinguishes its samples from data.

    Goodfellow et al., "Generative adversarial nets", NeurIPS 2014    [goodfellow2014], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
G           ``generator``, of noise (n, latent)
D           σ(``critic``); the critic gives logits (n, 1)
m           ``config.batch``
k           ``config.critic_steps``, updates of D for one of G
==========  ============================================================
"""

from __future__ import annotations

from math import log
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from monge import metrics, parallel
from monge.config import Batch, Decay, Frozen
from monge.data import StepInputs
from monge.nets import EMA, GameNets, without_grad
from monge.optim import GameAdam


class Config(Frozen):
    """GAN."""

    name: Literal["gan"] = "gan"
    #: The generator's loss: −log D(G(z)), or log(1 − D(G(z))), which saturates if D is certain.
    loss: Literal["nonsaturating", "minimax"] = "nonsaturating"
    batch: Batch = 128
    critic_steps: int = Field(1, ge=1)  # k, updates of D for one of G.
    adam: GameAdam = GameAdam(lr=2e-4, critic_lr=2e-4, beta1=0.5, beta2=0.999)
    nets: GameNets = GameNets()
    ema: Decay = 0.999


TINY = Config(batch=16, nets={"width": 8, "critic_width": 8})


class GAN(nn.Module):
    """Minimize over G the maximum over D of E log D(x) + E log(1 − D(G(z))).

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> sorted(method.step(StepInputs(load("8gaussians"), seed=0, step=0))), method.sample(5).shape
    (['critic_grad', 'critic_spread', 'generator_grad', 'js_estimate', 'loss'], torch.Size([5, 2]))
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = config.adam.make(generator, critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take k ascent steps on D, then one descent step on G."""
        c, G, D = self.config, self.generator, self.critic
        c.adam.decay(self.optimizers, inputs.progress)
        for _ in range(c.critic_steps):
            x, y = inputs.data(c.batch), without_grad(G, inputs.noise(c.batch, c.nets.latent))
            real, fake = parallel.gather(D(x)), parallel.gather(D(y))
            value = -softplus(-real).mean() - softplus(fake).mean()  # log D(x) + log(1 − D(G(z)))
            norm = parallel.descend(self.optimizers["critic"], -value)
        scalars = {"critic_grad": norm, "js_estimate": log(2) + value.detach() / 2}
        scalars["critic_spread"] = metrics.relative_spread(torch.cat([real, fake]))

        fake = parallel.gather(D(G(inputs.noise(c.batch, c.nets.latent))))
        loss = softplus(-fake).mean() if c.loss == "nonsaturating" else -softplus(fake).mean()
        scalars["generator_grad"] = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(G)
        return {"loss": loss.detach(), **scalars}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)


def build(config: Config, shape: tuple[int, ...]) -> GAN:
    """Build the networks that the configuration names, for samples of ``shape``."""
    return GAN(config, config.nets.generator(shape), config.nets.critic(shape))
