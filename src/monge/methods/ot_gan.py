"""OT-GAN: a generator and a critic that play on the mini-batch energy distance.

    Salimans, Zhang, Radford, Metaxas, "Improving GANs using optimal transport", ICLR 2018    [salimans2018], Algorithm 1

==========  ============================================================
symbol      here
==========  ============================================================
g_θ         ``generator``
v_η         ``critic``; the cost is 1 − cos(v_η(x), v_η(y))
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
from monge.config import Frozen
from monge.data import Draw, generator
from monge.nets import (
    EMA,
    build_critic,
    build_generator,
    by_parts,
    data_dependent_init,
    linear_decay,
    weight_normalised,
)
from monge.nets.build import Net


class Config(Frozen):
    """OT-GAN."""

    name: Literal["ot_gan"] = "ot_gan"
    epsilon: float = Field(1 / 500, gt=0)
    """Entropic regularisation, in units of the cosine distance."""
    tol: float = Field(1e-2, gt=0, lt=1)
    """L1 marginal error of the plans."""
    max_iter: int = Field(500, ge=1)
    """Bound on Sinkhorn iterations."""
    batch: int = Field(512, ge=4)
    """Global batch, both halves together."""
    micro_batch: int | None = Field(None, ge=1)
    """Rows that go through the networks at a time, each process; the loss is still that of the whole batch."""
    generator_steps: int = Field(3, ge=1)
    """n_gen: generator updates for one of the critic."""
    lr: float = Field(3e-4, gt=0)
    """Adam learning rate of the generator; decays linearly over the second half."""
    critic_lr: float = Field(3e-4, gt=0)
    """Adam learning rate of the critic; decays likewise."""
    beta1: float = Field(0.5, ge=0, lt=1)
    """Adam's first-moment decay, both networks."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay of the generator average that samples."""
    net: Net = "mlp"
    """mlp or conv."""
    latent: int = Field(2, ge=1)
    """Dimension of the noise."""
    width: int = Field(256, ge=1)
    """Width of the generator."""
    critic_width: int = Field(32, ge=1)
    """Width of the critic."""
    features: int = Field(256, ge=2)
    """Dimension of the critic's output."""
    weight_norm: bool = True
    """Weight normalisation with data-dependent initialisation, both networks."""

    @field_validator("batch")
    @classmethod
    def _halves(cls, batch: int) -> int:
        if batch % 2:
            raise ValueError(f"must be even, it is split into two halves: use {batch + 1}")
        return batch


class OTGAN(nn.Module):
    """Minimise the mini-batch energy distance over the generator, maximise it over the critic.

    Parameters
    ----------
    config : Config
    generator : Module
        (n, latent) to samples (n, ...).
    critic : Module
        Samples to features (n, features); their length does not matter.

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=16, width=8), shape=(2,))
    >>> sorted(method.step(Draw(load("8gaussians"), seed=0, step=0)))
    ['critic_grad', 'critic_spread', 'loss', 'marginal_error', 'perplexity']
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
        """One iteration of Algorithm 1: ascent on η every (n_gen + 1)-th time, from the first on, else descent on θ."""
        c = self.config
        linear_decay(self.optimizers["generator"], c.lr, draw.progress)
        linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)
        ascent = draw.step % (c.generator_steps + 1) == 0

        data, z = draw.data(c.batch), draw.noise(c.batch, c.latent)  # line 2: X, X′ and Y, Y′
        if draw.step == 0 and c.weight_norm:
            data_dependent_init(self.generator, parallel.gather(z))
            data_dependent_init(self.critic, parallel.gather(data))
        with torch.set_grad_enabled(ascent):
            real = parallel.gather(by_parts(self.critic, data, c.micro_batch))
        fake = parallel.gather(by_parts(self._detached if ascent else self._made, z, c.micro_batch))
        (x, x2), (y, y2) = real.chunk(2), fake.chunk(2)

        # line 3: four cross terms minus twice the two within terms
        plan = ot.minibatch_energy_plan(x, x2, y, y2, epsilon=c.epsilon, cost="cosine", tol=c.tol, max_iter=c.max_iter)
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
            "critic_spread": metrics.relative_spread(torch.cat([real, fake]).detach()),
        }

    def _made(self, z: Tensor) -> Tensor:
        """v_η(g_θ(z))"""
        features: Tensor = self.critic(self.generator(z))
        return features

    def _detached(self, z: Tensor) -> Tensor:
        """v_η(g_θ(z)) without the generator's graph."""
        with torch.no_grad():
            made = self.generator(z)
        features: Tensor = self.critic(made)
        return features

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        like = next(self.average.parameters())
        z = torch.randn(n, self.config.latent, generator=generator(seed)).to(like)
        return torch.cat([self.average(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> OTGAN:
    """Make the networks that the configuration names, for samples of ``shape``."""
    made = build_generator(config.net, config.latent, shape, config.width)
    critic = build_critic(config.net, shape, config.critic_width, config.features)
    if config.weight_norm:
        made, critic = weight_normalised(made), weight_normalised(critic)
    return OTGAN(config, made, critic)
