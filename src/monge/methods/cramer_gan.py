"""Cramér GAN: the energy distance between features that a critic learns.

    Bellemare et al., "The Cramer distance as a solution to biased Wasserstein gradients", 2017    [bellemare2017], Algorithm 1
    Bińkowski et al., "Demystifying MMD GANs", ICLR 2018    [binkowski2018], section 2.4 on what the surrogate critic misses

==========  ============================================================
symbol      here
==========  ============================================================
h           ``critic``, to R^k; k = ``config.features``
f           the witness, E‖h(x) − h(x̃′)‖ − E‖h(x) − h(x′)‖
x, x̃        data and samples; the batch gives x′ and x̃′ as well
λ           ``config.penalty``
x̂           εx + (1 − ε)x̃, where the slope of f is penalised
==========  ============================================================

The paper has one x and replaces ‖h(x) − h(x′)‖ by ‖h(x)‖ (``surrogate``): such a critic can be blind to distributions that
differ. The default is the whole witness, over all pairs of a batch.
"""

from __future__ import annotations

from functools import partial
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
    """Cramér GAN."""

    name: Literal["cramer_gan"] = "cramer_gan"
    surrogate: bool = False
    """Train h on the paper's one-sided witness instead of the energy distance."""
    penalty: float = Field(10, ge=0)
    """λ."""
    batch: int = Field(64, ge=2)
    """Global batch."""
    critic_steps: int = Field(5, ge=1)
    """n_critic, updates of h for one of the generator."""
    lr: float = Field(1e-4, gt=0)
    """Adam learning rate of the generator; decays linearly over the second half."""
    critic_lr: float = Field(1e-4, gt=0)
    """Adam learning rate of h; decays likewise."""
    beta1: float = Field(0.5, ge=0, lt=1)
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
    """Width of h."""
    features: int = Field(256, ge=1)
    """k, dimension of h."""


class CramerGAN(nn.Module):
    """Minimise the energy distance of h(x) and h(x̃) over the generator, maximise it over h.

    Parameters
    ----------
    config : Config
    generator : Module
        (n, latent) to samples (n, ...).
    critic : Module
        Samples to features (n, k).

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=16, width=8), shape=(2,))
    >>> scalars = method.step(Draw(load("8gaussians"), seed=0, step=0))
    >>> "energy_estimate" in scalars, method.sample(5).shape
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
        """n_critic ascent steps on h, then one descent step on the generator."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["generator"], c.lr, draw.progress)
        linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)

        for _ in range(c.critic_steps):
            x = draw.data(c.batch)
            with torch.no_grad():
                made = self.generator(draw.noise(c.batch, c.latent))
            u = draw.uniform(c.batch, *[1] * (x.ndim - 1))
            own_x, own_y = self.critic(x), self.critic(made)
            hx, hy = parallel.gather(own_x), parallel.gather(own_y)
            between = u * x + (1 - u) * made
            f = partial(self._witness, hx=parallel.gather(own_x, parts=True), hy=parallel.gather(own_y, parts=True))
            penalty = parallel.gather(ot.gradient_penalty(f, between)).mean()
            gain = self._surrogate(hx, hy) if c.surrogate else ot.energy_distance(hx, hy, unbiased=True)
            scalars["critic_grad"] = parallel.descend(self.optimizers["critic"], c.penalty * penalty - gain)
            scalars |= {"energy_estimate": gain.detach(), "penalty": penalty.detach()}
            scalars["critic_spread"] = metrics.relative_spread(torch.cat([hx, hy]).detach())

        hx = parallel.gather(self.critic(draw.data(c.batch)))
        hy = parallel.gather(self.critic(self.generator(draw.noise(c.batch, c.latent))))
        loss = ot.energy_distance(hx, hy, unbiased=True)
        scalars["generator_grad"] = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars}

    def estimate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """The learned energy distance beside that of the samples themselves."""
        learned = ot.energy_distance(self.critic(x), self.critic(y), unbiased=True)
        exact = ot.energy_distance(x.flatten(1), y.flatten(1), unbiased=True)
        return {"energy_estimate": learned.item(), "energy_exact": exact.item()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        like = next(self.average.parameters())
        z = torch.randn(n, self.config.latent, generator=generator(seed)).to(like)
        return torch.cat([self.average(block) for block in z.split(1000)])

    def _witness(self, t: Tensor, hx: Tensor, hy: Tensor) -> Tensor:
        """f at each point of t, (n,)."""
        ht = self.critic(t)
        near = ht.norm(dim=1) if self.config.surrogate else _distances(ht, hx).mean(1)
        return _distances(ht, hy).mean(1) - near

    @staticmethod
    def _surrogate(hx: Tensor, hy: Tensor) -> Tensor:
        """E f(x) − E f(x̃) of the one-sided witness."""
        within = _distances(hy, hy).sum() / (len(hy) * (len(hy) - 1))
        return (_distances(hx, hy).mean() - hx.norm(dim=1).mean()) - (within - hy.norm(dim=1).mean())


def _distances(s: Tensor, t: Tensor) -> Tensor:
    """Euclidean distances (n, m) that can be differentiated twice, 1e-6 between equal points."""
    squared = s.square().sum(1)[:, None] + t.square().sum(1) - 2 * s @ t.T
    return squared.clamp_min(1e-12).sqrt()


def build(config: Config, shape: tuple[int, ...]) -> CramerGAN:
    """Make the networks that the configuration names, for samples of ``shape``."""
    return CramerGAN(
        config,
        build_generator(config.net, config.latent, shape, config.width),
        build_critic(config.net, shape, config.critic_width, config.features),
    )
