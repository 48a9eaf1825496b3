"""OT-GAN: a generator and a critic with the mini-batch energy distance as their objective.

    Salimans, Zhang, Radford, Metaxas, "Improving GANs using optimal transport", ICLR 2018
        [salimans2018], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
g_θ         ``generator``, of noise (n, latent)
v_η         ``critic``, to features; the cost is 1 − cos(v_η(x), v_η(y))
X, X′       two independent half-batches of data
Y, Y′       two independent half-batches of generated samples
M           transport plans; no gradient is taken through them
λ           1/ε: ``config.epsilon`` is 1/500 in the paper
n_gen       ``config.generator_steps``, updates of θ for one of η
==========  ============================================================
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from monge import metrics, ot, parallel
from monge.config import Decay, Frozen, Tolerance
from monge.data import StepInputs
from monge.nets import (
    EMA,
    GameNets,
    checkpointed_batches,
    data_dependent_init,
    weight_normalized,
    without_grad,
)
from monge.optim import GameAdam


class Config(Frozen):
    """OT-GAN."""

    name: Literal["ot_gan"] = "ot_gan"
    #: Entropic regularization, in units of the cosine distance.
    epsilon: float = Field(1 / 500, gt=0)
    tol: Tolerance = 1e-2
    max_iter: int = Field(500, ge=1)  # Largest number of Sinkhorn iterations.
    batch: int = Field(512, ge=4)  # Global batch, both halves together.
    #: Rows that pass the networks at a time in each process; the loss is that of the whole batch.
    micro_batch: int | None = Field(None, ge=1)
    generator_steps: int = Field(3, ge=1)  # n_gen: generator updates for one of the critic.
    adam: GameAdam = GameAdam(lr=3e-4, critic_lr=3e-4, beta1=0.5, beta2=0.999)
    nets: GameNets = GameNets()
    ema: Decay = 0.999
    features: int = Field(256, ge=2)  # Dimension of the critic's output.
    #: Weight normalization of both networks, with data-dependent initialization.
    weight_norm: bool = True

    @field_validator("batch")
    @classmethod
    def _halves(cls, batch: int) -> int:
        if batch % 2:
            raise ValueError(
                f"must be even, because it is split into halves, got {batch}: use {batch + 1}"
            )
        return batch


TINY = Config(
    batch=16, micro_batch=4, epsilon=0.05, features=4, nets={"width": 8, "critic_width": 8}
)


class OTGAN(nn.Module):
    """Minimize the mini-batch energy distance over the generator, maximize it over the critic.

    >>> from monge.data import load
    >>> sorted(build(TINY, shape=(2,)).step(StepInputs(load("8gaussians"), seed=0, step=0)))
    ['critic_grad', 'critic_spread', 'loss', 'marginal_error', 'perplexity']
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = config.adam.make(generator, critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take one iteration of Algorithm 1.

        Every (n_gen + 1)-th iteration, from the first on, is an ascent step on η, and the others
        are descent steps on θ.
        """
        c, ascent = self.config, inputs.step % (self.config.generator_steps + 1) == 0
        c.adam.decay(self.optimizers, inputs.progress)
        data = inputs.data(c.batch)
        z = inputs.noise(c.batch, c.nets.latent)
        if inputs.step == 0 and c.weight_norm:
            data_dependent_init(self.generator, parallel.gather(z))
            data_dependent_init(self.critic, parallel.gather(data))
        with torch.set_grad_enabled(ascent):
            real = parallel.gather(checkpointed_batches(self.critic, data, c.micro_batch))
        generate = (lambda z: without_grad(self.generator, z)) if ascent else self.generator
        features = checkpointed_batches(lambda z: self.critic(generate(z)), z, c.micro_batch)
        fake = parallel.gather(features)
        (x, x2), (y, y2) = real.chunk(2), fake.chunk(2)

        # line 3: four cross terms minus twice the two within terms
        plan = ot.minibatch_energy_plan(
            x, x2, y, y2, epsilon=c.epsilon, cost="cosine", tol=c.tol, max_iter=c.max_iter
        )
        loss = ot.minibatch_energy(plan)

        name = "critic" if ascent else "generator"  # lines 4–8
        norm = parallel.descend(self.optimizers[name], -loss if ascent else loss)
        if not ascent:
            self.average.update(self.generator)
        return {
            "loss": loss.detach(),
            f"{name}_grad": norm,
            "perplexity": plan.perplexity()[:4].mean(),
            "marginal_error": plan.marginal_error.mean(),
            "critic_spread": metrics.relative_spread(torch.cat([real, fake])),
        }

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)


def build(config: Config, shape: tuple[int, ...]) -> OTGAN:
    """Build the networks that the configuration names, for samples of ``shape``."""
    generator, critic = config.nets.generator(shape), config.nets.critic(shape, config.features)
    if config.weight_norm:
        generator, critic = weight_normalized(generator), weight_normalized(critic)
    return OTGAN(config, generator, critic)
