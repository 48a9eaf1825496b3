"""Cramér GAN: the energy distance between learned features.

    Bellemare et al., "The Cramer distance as a solution to biased Wasserstein gradients", 2017
        [bellemare2017], Algorithm 1
    Bińkowski et al., "Demystifying MMD GANs", ICLR 2018 [binkowski2018], section 2.4 on the
        surrogate critic

==========  ============================================================
symbol      here
==========  ============================================================
h           ``critic``, to R^k; k = ``config.features``
f           the witness, E‖h(x) − h(x̃′)‖ − E‖h(x) − h(x′)‖
x, x̃        data and samples; the batch gives x′ and x̃′ as well
λ           ``config.penalty``
x̂           εx + (1 − ε)x̃, where the gradient of f is penalized
==========  ============================================================

The paper has one x and replaces ‖h(x) − h(x′)‖ by ‖h(x)‖ (``surrogate``): such a critic can fail to
distinguish different distributions. The default is the whole witness, over all pairs of a batch.
"""

from __future__ import annotations

from functools import partial
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
    """Cramér GAN."""

    name: Literal["cramer_gan"] = "cramer_gan"
    #: Train h on the paper's one-sided witness instead of the energy distance.
    surrogate: bool = False
    penalty: float = Field(10, ge=0)  # λ, weight of the gradient penalty.
    batch: Batch = 64
    critic_steps: int = Field(5, ge=1)  # n_critic, updates of h for one of the generator.
    adam: GameAdam = GameAdam(lr=1e-4, critic_lr=1e-4, beta1=0.5, beta2=0.9)
    nets: GameNets = GameNets()
    ema: Decay = 0.999
    features: int = Field(256, ge=1)  # k, dimension of h.


TINY = Config(batch=16, critic_steps=2, features=4, nets={"width": 8, "critic_width": 8})


class CramerGAN(nn.Module):
    """Minimize the energy distance of h(x) and h(x̃) over the generator, maximize it over h.

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> scalars = method.step(StepInputs(load("8gaussians"), seed=0, step=0))
    >>> "energy_estimate" in scalars, method.sample(5).shape
    (True, torch.Size([5, 2]))
    """

    def __init__(self, config: Config, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = config.adam.make(generator, critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take n_critic ascent steps on h, then one descent step on the generator."""
        c, h = self.config, self.critic
        c.adam.decay(self.optimizers, inputs.progress)
        for _ in range(c.critic_steps):
            x = inputs.data(c.batch)
            y = without_grad(self.generator, inputs.noise(c.batch, c.nets.latent))  # x̃
            u = inputs.uniform(c.batch, *[1] * (x.ndim - 1))
            own_x, own_y = h(x), h(y)
            hx, hy = parallel.gather(own_x), parallel.gather(own_y)
            all_x, all_y = (parallel.gather(t, parts=True) for t in (own_x, own_y))
            f = partial(self._witness, hx=all_x, hy=all_y)
            penalty = parallel.gather(ot.gradient_penalty(f, u * x + (1 - u) * y)).mean()
            if c.surrogate:
                gain = self._surrogate(hx, hy)
            else:
                gain = ot.energy_distance(hx, hy, unbiased=True)
            norm = parallel.descend(self.optimizers["critic"], c.penalty * penalty - gain)
        scalars = {"energy_estimate": gain.detach(), "penalty": penalty.detach()}
        scalars["critic_grad"] = norm
        spread = metrics.relative_spread(torch.cat([hx, hy]))

        hx = parallel.gather(h(inputs.data(c.batch)))
        hy = parallel.gather(h(self.generator(inputs.noise(c.batch, c.nets.latent))))
        loss = ot.energy_distance(hx, hy, unbiased=True)
        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), "generator_grad": norm, "critic_spread": spread, **scalars}

    def estimate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """Return the learned energy distance and that of the samples themselves."""
        learned = ot.energy_distance(self.critic(x), self.critic(y), unbiased=True)
        exact = ot.energy_distance(x.flatten(1), y.flatten(1), unbiased=True)
        return {"energy_estimate": learned.item(), "energy_exact": exact.item()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)

    def _witness(self, t: Tensor, hx: Tensor, hy: Tensor) -> Tensor:
        """Return f at each point of t, (n,)."""
        ht = self.critic(t)
        near = ht.norm(dim=1) if self.config.surrogate else _distances(ht, hx).mean(1)
        return _distances(ht, hy).mean(1) - near

    @staticmethod
    def _surrogate(hx: Tensor, hy: Tensor) -> Tensor:
        """Return E f(x) − E f(x̃) of the one-sided witness."""
        within = _distances(hy, hy).sum() / (len(hy) * (len(hy) - 1))
        at_x = _distances(hx, hy).mean() - hx.norm(dim=1).mean()
        return at_x - (within - hy.norm(dim=1).mean())


def _distances(s: Tensor, t: Tensor) -> Tensor:
    """Return Euclidean distances (n, m), twice differentiable, and 1e-6 between equal points."""
    squared = s.square().sum(1)[:, None] + t.square().sum(1) - 2 * s @ t.T
    return squared.clamp_min(1e-12).sqrt()


def build(config: Config, shape: tuple[int, ...]) -> CramerGAN:
    """Build the networks that the configuration names, for samples of ``shape``."""
    generator = config.nets.generator(shape)
    critic = config.nets.critic(shape, config.features)
    return CramerGAN(config, generator, critic)
