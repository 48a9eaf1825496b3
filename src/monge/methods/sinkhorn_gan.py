"""Sinkhorn GAN: a generator that minimizes the Sinkhorn divergence between mini-batches.

    Genevay, Peyré, Cuturi, "Learning generative models with Sinkhorn divergences", AISTATS 2018
        [genevay2018]

==========  =============================================================
symbol      here
==========  =============================================================
g_θ         ``generator``, from noise ζ
f_φ         ``critic``, to features; c(f_φ(x), f_φ(y)) is a learned cost.
            None for a fixed cost on the samples
W_{c,ε}     ``ot.sinkhorn(...).value``
m           ``config.batch``
n_c         ``config.critic_steps``, updates of φ for one of θ
==========  =============================================================
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import metrics, ot, parallel
from monge.config import Batch, Decay, Frozen, Tolerance
from monge.data import StepInputs
from monge.nets import EMA, GameNets, data_dependent_init, weight_normalized, without_grad
from monge.optim import GameAdam


class Config(Frozen):
    """Sinkhorn GAN."""

    name: Literal["sinkhorn_gan"] = "sinkhorn_gan"
    epsilon: float = Field(0.1, gt=0)  # Entropic regularization, in units of the cost.
    #: Ground cost; log is log(1 + d²/cost_scale²), with which mass near its target stays there.
    cost: Literal["sqeuclidean", "euclidean", "cosine", "log"] = "sqeuclidean"
    cost_scale: float = Field(0.1, gt=0)  # Length below which the log cost is quadratic.
    tol: Tolerance = 1e-2
    batch: Batch = 256
    adam: GameAdam = GameAdam(lr=1e-3, critic_lr=1e-4, beta1=0.5, beta2=0.99)
    nets: GameNets = GameNets()
    ema: Decay = 0.999
    #: Updates of a learned cost for one of the generator; 0 keeps the cost fixed.
    critic_steps: int = Field(0, ge=0)
    #: Generator updates between two rounds of critic updates; the paper's algorithm has 1.
    critic_every: int = Field(1, ge=1)
    #: Dimension of the learned cost's features, which are normalized to length 1.
    features: int = Field(64, ge=2)
    #: Weight normalization of both networks, with data-dependent initialization.
    weight_norm: bool = False


TINY = Config(batch=16, critic_steps=1, features=4, nets={"width": 8, "critic_width": 8})


class SinkhornGAN(nn.Module):
    """Minimize 2 W(x, y) − W(x, x) − W(y, y) over the generator.

    With a critic, maximize it over the cost.

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> scalars = method.step(StepInputs(load("8gaussians"), seed=0, step=0))
    >>> scalars["loss"] >= 0, method.sample(5).shape
    (tensor(True), torch.Size([5, 2]))
    """

    def __init__(
        self, config: Config, generator: nn.Module, critic: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.optimizers = config.adam.make(generator, critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take n_c ascent steps on φ, then one descent step on θ."""
        c, scalars = self.config, {}
        c.adam.decay(self.optimizers, inputs.progress)
        if inputs.step == 0 and c.weight_norm:
            data_dependent_init(self.generator, parallel.gather(self._noise(inputs)))
            if self.critic is not None:
                data_dependent_init(self.critic, parallel.gather(inputs.data(c.batch)))

        if self.critic is not None and inputs.step % c.critic_every == 0:
            for _ in range(c.critic_steps):  # ascent on φ
                x = self._features(without_grad(self.generator, self._noise(inputs)))
                y = self._features(inputs.data(c.batch))
                gain = self._divergence(x, y)
                scalars["critic_grad"] = parallel.descend(self.optimizers["critic"], -gain)
                scalars["critic_spread"] = metrics.relative_spread(torch.cat([x, y]))

        # descent on θ
        x = self._features(self.generator(self._noise(inputs)))
        y = self._features(inputs.data(c.batch))
        loss = self._divergence(x, y)
        scalars["generator_grad"] = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)

    def _noise(self, inputs: StepInputs) -> Tensor:
        return inputs.noise(self.config.batch, self.config.nets.latent)

    def _features(self, x: Tensor) -> Tensor:
        """Return the vectors that the cost compares, gathered from all processes."""
        if self.critic is None:
            return parallel.gather(x.flatten(1))
        return parallel.gather(nn.functional.normalize(self.critic(x), dim=1))

    def _divergence(self, x: Tensor, y: Tensor) -> Tensor:
        """Return 2 W(x, y) − W(x, x) − W(y, y)."""
        c = self.config
        return 2 * ot.sinkhorn_divergence(x, y, epsilon=c.epsilon, cost=self._cost(), tol=c.tol)

    def _cost(self) -> ot.CostLike:
        c = self.config
        if c.cost != "log":
            return c.cost
        squared = ot.as_cost("sqeuclidean").matrix
        return lambda x, y: torch.log1p(squared(x, y) / c.cost_scale**2)


def build(config: Config, shape: tuple[int, ...]) -> SinkhornGAN:
    """Build the networks that the configuration names, for samples of ``shape``."""
    generator = config.nets.generator(shape)
    critic = config.nets.critic(shape, config.features) if config.critic_steps else None
    if config.weight_norm:
        generator = weight_normalized(generator)
        critic = weight_normalized(critic) if critic is not None else None
    return SinkhornGAN(config, generator, critic)
