r"""Semi-discrete generators, trained without a discriminator.

    Houdard, Leclaire, Papadakis, Rabin, "On the gradient formula for learning generative models
        with regularized optimal transport costs", TMLR 2023 [houdard2023b]
    Genevay, Cuturi, Peyré, Bach, "Stochastic optimization for large-scale optimal transport",
        NeurIPS 2016 [genevay2016]
    Genevay, Peyré, Cuturi, "Learning generative models with Sinkhorn divergences", AISTATS 2018
        [genevay2018]

==========  ===============================================================
symbol      here
==========  ===============================================================
g_θ         ``generator``, from normal noise ζ, (n, latent), to (n, *shape)
y_j, b_j    targets, with equal weights 1/m; m is ``config.targets``
ψ           ``transport.potential``; ``transport`` is an `ot.SemiDiscrete`
c(x, y)     |x − y|² / mean |y|², where pictures have the value 0 at black,
            after a fixed map of pixels if ``config.contrast`` is not 1
ε           ``config.epsilon``, in units of c
==========  ===============================================================

.. math::

    \min_\theta \max_\psi \;
    \mathbb{E}_\zeta[\psi^{c,\varepsilon}(g_\theta(\zeta))] + \langle b, \psi \rangle

The data are finite, so ψ has one number for each data point.

The mean is split off first, which is exact for squared distances:
W(g, y) = |E g − E y|² + W(g − E g + E y, y). ψ belongs to the second term, so that a translation of
all generated samples changes no cell.

The gradient formula of [houdard2023b]: at a ψ that attains the maximum, the gradient of the
transport cost in θ is E[(∂_θ g)ᵀ ∇ψ^{c,ε}(g_θ(ζ))], as if ψ did not depend on θ.
docs/gradient-formula.md says when this holds, and docs/methods/semi-discrete.md what differs from
the papers.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Decay, Frozen
from monge.data import Dataset, StepInputs
from monge.errors import MongeError
from monge.nets import EMA, GeneratorNets
from monge.optim import Adam

_CHI2_ERROR = 0.0025  # sampling error of the χ² of the cells
_LEAST, _MOST = 2048, 100_000  # bounds on the number of samples for it
_INSIDE = 1 - 1 / 255  # factor on pixel values, because atanh is infinite at ±1
_FALL = 0.03  # ratio of ε at the end of annealing to that at its start
_SETTLE = 0.85  # share of the run after which ψ is averaged over more and more steps


class Config(Frozen):
    """Semi-discrete generator."""

    name: Literal["semidiscrete"] = "semidiscrete"
    #: Entropic regularization, in units of |x − y|² / mean |y|²; at 0 each sample has one target.
    epsilon: float = Field(0.0, ge=0)
    #: Share of the run over which ε decreases, 30-fold, before it takes its value; 0: the paper.
    anneal: float = Field(0.5, ge=0, lt=1)
    #: ε at the start of annealing; it is large, so that every target is reached and shared.
    start: float = Field(0.1, gt=0)
    #: Minimize the Sinkhorn divergence, which subtracts half of a batch's transport to itself.
    debias: bool = False
    #: Pictures only: pixels x are compared as tanh(atanh(x)/contrast). At 1 the best blend of
    #: pictures is gray; above 1 it is nearer to the more frequent of black and white.
    contrast: float = Field(1.0, ge=1)
    #: Number m of data points that are matched, the first m in a fixed random order.
    targets: int = Field(2000, ge=2)
    batch: int = Field(256, ge=2)  # Global batch of samples, for each step of ψ and of θ.
    #: Steps of ψ on fresh samples before each step of θ; one more, on the samples of θ, follows it.
    ascents: int = Field(5, ge=0)
    #: Step size of ψ, relative to the automatic one.
    rate: float = Field(1.0, gt=0)
    #: Number of steps over which ψ is averaged; it increases at the end of a run.
    memory: float = Field(3.0, gt=0)
    tol: float = Field(1e-2, gt=0, lt=1)  # L1 marginal error of the samples' plan to themselves.
    adam: Adam = Adam(lr=1e-3, beta1=0.5, beta2=0.99)
    nets: GeneratorNets = GeneratorNets()
    ema: Decay = 0.99

    @model_validator(mode="after")
    def _regularized(self) -> Config:
        if self.debias and not self.epsilon:
            raise ValueError(
                f"method.debias needs method.epsilon > 0, got {self.epsilon}: raise epsilon, or "
                "set debias to false"
            )
        return self


TINY = Config(targets=32, batch=16, epsilon=0.05, debias=True, nets={"width": 8})


class SemiDiscreteGenerator(nn.Module):
    """Alternate ascent steps on ψ, on fresh samples, and a descent step on θ at that ψ.

    Targets are data points, which are read again when a run continues; a checkpoint holds ψ alone.

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> sorted(method.step(StepInputs(load("8gaussians"), seed=0, step=0))), method.sample(5).shape
    (['generator_grad', 'loss'], torch.Size([5, 2]))
    """

    def __init__(self, config: Config, generator: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.config, self.generator, self.shape = config, generator, shape
        self.average = EMA(generator, config.ema)
        self.optimizers = {"generator": config.adam.make(generator.parameters())}
        # its points come with the data
        self.transport = ot.SemiDiscrete(torch.zeros(config.targets, 1), epsilon=config.epsilon)
        self._unit, self._within = 0.0, 0.0

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take ascent steps on ψ, a descent step on θ, and an ascent step on ψ."""
        c = self.config
        self.read_targets(inputs.dataset)
        c.adam.decay(self.optimizers["generator"], inputs.progress)
        if not self.transport.count:
            self._initialize_potential()
        self._regularize(self.level(inputs.progress))
        for _ in range(c.ascents):
            with torch.no_grad():
                self._ascend(self._generate(inputs), inputs)
        x = self._generate(inputs)
        loss = self.objective(x)
        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        # after the step of θ: a ψ fitted to these samples would underestimate their cost
        self._ascend(x.detach(), inputs)
        return {"loss": loss.detach(), "generator_grad": norm}

    def level(self, progress: float) -> float:
        """Return ε at a point of the run, in [0, 1)."""
        c = self.config
        if progress >= c.anneal:
            return c.epsilon
        return max(c.epsilon, c.start * _FALL ** (progress / c.anneal))

    def objective(self, x: Tensor) -> Tensor:
        """Return the semi-dual at ψ for points that `place` returned.

        With ``debias``, half the self-transport of samples and of targets is subtracted.
        """
        shift = (x.mean(0) - self.transport.y.mean(0)).square().sum()
        value = shift + self.transport.value(self.centered(x))
        if not self.config.debias:
            return value
        own = ot.self_transport(x, epsilon=self.transport.epsilon, tol=self.config.tol).value
        return value - own / 2 - self._within / 2

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)

    def place(self, x: Tensor) -> Tensor:
        """Return samples (n, ...) as points (n, d) with the cost as squared distance."""
        return self._map_pixels(x).flatten(1) / self._unit

    def _map_pixels(self, x: Tensor) -> Tensor:
        k = self.config.contrast
        return x if k == 1 else torch.tanh(torch.atanh(_INSIDE * x) / k)

    def centered(self, x: Tensor) -> Tensor:
        """Translate points to the mean of the targets, which changes no optimal assignment."""
        return x - x.mean(0) + self.transport.y.mean(0)

    @torch.no_grad()
    def read_targets(self, dataset: Dataset) -> None:
        """Read the targets, the first m training samples; later calls return at once."""
        if self._unit:
            return
        m, like = self.config.targets, self.transport.potential
        y = dataset.train(m).to(like)
        if len(y) < m:
            raise MongeError(
                f"method.targets is {m}, but data '{dataset.name}' has {len(y)} training samples: "
                f"set it to {len(y)}"
            )
        black = -torch.ones_like(y[:1]) if len(self.shape) == 3 else torch.zeros_like(y[:1])
        squared = (self._map_pixels(y) - self._map_pixels(black)).flatten(1).square().sum(1)
        self._unit = squared.mean().sqrt().item() or 1.0
        state = self.transport.state_dict()
        self.transport = ot.SemiDiscrete(self.place(y), epsilon=self.config.epsilon)
        self.transport.load_state_dict(state)
        self._regularize(self.config.epsilon)

    @torch.no_grad()
    def cell_mass_error(self, dataset: Dataset) -> float:
        """Return the relative error of the targets' masses, as a root mean square over targets.

        The mass of a target is what it receives from `sample`.
        """
        self.read_targets(dataset)
        n = min(_MOST, max(_LEAST, round((2 * self.config.targets) ** 0.5 / _CHI2_ERROR)))
        x = self.centered(self.place(self.sample(n, seed=1)))
        return self.transport.chi2(x).clamp_min(0).sqrt().item()

    @torch.no_grad()
    def _initialize_potential(self) -> None:
        """Set ψ to the best potential for a generator of one point."""
        psi = (self.transport.y - self.transport.y.mean(0)).square().sum(1)
        self.transport.potential.copy_(psi - psi.mean())
        self.transport.iterate.copy_(self.transport.potential)

    @torch.no_grad()
    def _regularize(self, epsilon: float) -> None:
        if self.config.debias and (self.transport.epsilon != epsilon or not self._within):
            y = self.transport.y[: self.config.batch]
            self._within = ot.self_transport(y, epsilon=epsilon, tol=self.config.tol).value.item()
        self.transport.epsilon = epsilon

    def _ascend(self, x: Tensor, inputs: StepInputs) -> None:
        """Take an ascent step on ψ.

        At the end of the run, where θ changes slowly, ψ is averaged over a third of the steps since
        `_SETTLE`.
        """
        c, since = self.config, 0.0
        if inputs.progress > _SETTLE:
            since = (1 - _SETTLE / inputs.progress) * inputs.step * (c.ascents + 1)
        self.transport.ascend(self.centered(x), rate=c.rate, memory=max(c.memory, since / 3))

    def _generate(self, inputs: StepInputs) -> Tensor:
        """Return generated points of the global batch."""
        zeta = inputs.noise(self.config.batch, self.config.nets.latent)
        return parallel.gather(self.place(self.generator(zeta)))


def build(config: Config, shape: tuple[int, ...]) -> SemiDiscreteGenerator:
    """Build the generator that the configuration names, for samples of ``shape``."""
    if config.contrast != 1 and len(shape) != 3:
        raise ValueError(
            f"method.contrast = {config.contrast:g} needs pictures, got samples of shape {shape}: "
            "set it to 1"
        )
    return SemiDiscreteGenerator(config, config.nets.generator(shape), shape)
