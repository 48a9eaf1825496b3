r"""Generators without a discriminator: the data are finite, so the dual of optimal transport has
one number a data point.

    Houdard, Leclaire, Papadakis, Rabin, "On the gradient formula for learning generative models
    with regularized optimal
    transport costs", TMLR 2023 [houdard2023b]
    Genevay, Cuturi, Peyré, Bach, "Stochastic optimization for large-scale optimal transport",
        NeurIPS 2016 [genevay2016]
    Genevay, Peyré, Cuturi, "Learning generative models with Sinkhorn divergences", AISTATS 2018
        [genevay2018]

==========  ============================================================
symbol      here
==========  ============================================================
g_θ         ``generator``, from normal noise ζ, (n, latent), to (n, *shape)
y_j, b_j    targets, with equal weights 1/m; m is ``config.targets``
ψ           ``transport.potential``; ``transport`` is an `ot.SemiDiscrete`
c(x, y)     |x − y|² / mean|y|², pictures counted from black, after a fixed map of pixels if
            ``config.contrast`` is not 1
ε           ``config.epsilon``, in units of c
==========  ============================================================

.. math::

    \min_\theta \max_\psi \; \mathbb{E}_\zeta[\psi^{c,\varepsilon}(g_\theta(\zeta))] + \langle b,
    \psi \rangle

The mean is split off first, which is exact for squared distances: W(g, y) = |E g − E y|² + W(g − E
g + E y, y). ψ belongs to the second term, so that a generator that moves as a whole moves no cell.

The gradient formula of [houdard2023b]: at a ψ that attains the maximum, the gradient of the
transport cost in θ is E[(∂_θ g)ᵀ ∇ψ^{c,ε}(g_θ(ζ))], as if ψ did not depend on θ. When that holds is
told in docs/gradient-formula.md, what differs from the papers in docs/methods/semi-discrete.md.
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

_JUDGED = 0.0025  # sampling error of the χ² that is read off the cells
_LEAST, _MOST = 2048, 100_000  # samples for that
_INSIDE = 1 - 1 / 255  # black and white, short of where atanh is infinite
_FALL = 0.03  # of ε, before it takes its value
_SETTLE = 0.85  # share of the run after which ψ is averaged over more and more steps


class Config(Frozen):
    """Semi-discrete generator."""

    name: Literal["semidiscrete"] = "semidiscrete"
    # Entropic regularization, in units of |x − y|² / mean |y|²; 0 gives a sample one target.
    epsilon: float = Field(0.0, ge=0)
    # Share of the run over which ε falls, 30-fold and then at once; 0 is the paper.
    anneal: float = Field(0.5, ge=0, lt=1)
    # ε at the beginning of that fall: neighbors first share targets, and none is out of reach.
    start: float = Field(0.1, gt=0)
    # Minimize the Sinkhorn divergence: half of a batch's transport to itself is taken off.
    debias: bool = False
    contrast: float = Field(1.0, ge=1)
    """Pictures only: pixels x are compared as tanh(atanh(x)/contrast). At 1 a blend of pictures is
    best gray; above, the more frequent of black and white.
    """
    # Data points m that are matched; the first m of a fixed random order.
    targets: int = Field(2000, ge=2)
    batch: int = Field(256, ge=2)  # Global batch of samples, for each step of ψ and of θ.
    # Steps of ψ on fresh samples before each step of θ; one on that step's samples follows it.
    ascents: int = Field(5, ge=0)
    # Step of ψ, relative to the step that the scores and the noise suggest.
    rate: float = Field(1.0, gt=0)
    # Steps of ψ over which its average reaches back; more at the end of a run.
    memory: float = Field(3.0, gt=0)
    tol: float = Field(1e-2, gt=0, lt=1)  # L1 marginal error of the samples' plan to themselves.
    adam: Adam = Adam(lr=1e-3, beta1=0.5, beta2=0.99)
    nets: GeneratorNets = GeneratorNets()
    ema: Decay = 0.99

    @model_validator(mode="after")
    def _regularized(self) -> Config:
        if self.debias and not self.epsilon:
            raise ValueError(
                f"method.debias needs method.epsilon > 0, got {self.epsilon}: without ε there is "
                "no bias"
            )
        return self


TINY = Config(targets=32, batch=16, epsilon=0.05, debias=True, nets={"width": 8})


class SemiDiscreteGenerator(nn.Module):
    """Alternate: steps of ψ uphill on fresh samples, then one step of θ downhill at that ψ.

    The targets are the source's own and are read again when a run continues; a checkpoint holds ψ.

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
        """Ascend on ψ, descend on θ, ascend on ψ."""
        c = self.config
        self.read_targets(inputs.dataset)
        c.adam.decay(self.optimizers["generator"], inputs.progress)
        if not self.transport.count:
            self._begin()
        self._regularize(self.level(inputs.progress))
        for _ in range(c.ascents):
            with torch.no_grad():
                self._ascend(self._generate(inputs), inputs)
        x = self._generate(inputs)
        loss = self.objective(x)
        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        # only now: a ψ that has seen these samples would flatter them
        self._ascend(x.detach(), inputs)
        return {"loss": loss.detach(), "generator_grad": norm}

    def level(self, progress: float) -> float:
        """ε at a point of the run."""
        c = self.config
        return (
            c.epsilon
            if progress >= c.anneal
            else max(c.epsilon, c.start * _FALL ** (progress / c.anneal))
        )

    def objective(self, x: Tensor) -> Tensor:
        """The semi-dual at ψ for samples placed by `place`; with ``debias`` less the self-transport
        of samples and of targets.
        """
        value = (x.mean(0) - self.transport.y.mean(0)).square().sum() + self.transport.value(
            self.centered(x)
        )
        if not self.config.debias:
            return value
        own = ot.self_transport(x, epsilon=self.transport.epsilon, tol=self.config.tol).value
        return value - own / 2 - self._within / 2

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, a function of the seed."""
        return self.average.sample(n, self.config.nets.latent, seed)

    def place(self, x: Tensor) -> Tensor:
        """Samples (n, ...) as points (n, d) whose squared distance is the cost."""
        return self._seen(x).flatten(1) / self._unit

    def _seen(self, x: Tensor) -> Tensor:
        k = self.config.contrast
        return x if k == 1 else torch.tanh(torch.atanh(_INSIDE * x) / k)

    def centered(self, x: Tensor) -> Tensor:
        """Placed samples moved to the targets' mean, which changes no optimal assignment."""
        return x - x.mean(0) + self.transport.y.mean(0)

    @torch.no_grad()
    def read_targets(self, dataset: Dataset) -> None:
        """Take the first m training samples of the source; nothing to do a second time."""
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
        self._unit = (self._seen(y) - self._seen(black)).flatten(1).square().sum(
            1
        ).mean().sqrt().item() or 1.0
        state = self.transport.state_dict()
        self.transport = ot.SemiDiscrete(self.place(y), epsilon=self.config.epsilon)
        self.transport.load_state_dict(state)
        self._regularize(self.config.epsilon)

    @torch.no_grad()
    def cell_mass_error(self, dataset: Dataset) -> float:
        """Relative error of the mass that a target receives from `sample`, in the mean square over
        targets.
        """
        self.read_targets(dataset)
        n = min(_MOST, max(_LEAST, round((2 * self.config.targets) ** 0.5 / _JUDGED)))
        return (
            self.transport.chi2(self.centered(self.place(self.sample(n, seed=1))))
            .clamp_min(0)
            .sqrt()
            .item()
        )

    @torch.no_grad()
    def _begin(self) -> None:
        """Start with the potential that is right for a generator of one point."""
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
        """Toward the end, where θ hardly moves, ψ is averaged over a third of the steps since
        `_SETTLE`.
        """
        since = (
            (1 - _SETTLE / inputs.progress) * inputs.step * (self.config.ascents + 1)
            if inputs.progress > _SETTLE
            else 0.0
        )
        self.transport.ascend(
            self.centered(x), rate=self.config.rate, memory=max(self.config.memory, since / 3)
        )

    def _generate(self, inputs: StepInputs) -> Tensor:
        """Samples of the whole batch, placed."""
        return parallel.gather(
            self.place(self.generator(inputs.noise(self.config.batch, self.config.nets.latent)))
        )


def build(config: Config, shape: tuple[int, ...]) -> SemiDiscreteGenerator:
    """Make the generator that the configuration names, for samples of ``shape``."""
    if config.contrast != 1 and len(shape) != 3:
        raise ValueError(
            f"method.contrast = {config.contrast:g} needs pictures, got samples of shape {shape}: "
            "set it to 1"
        )
    return SemiDiscreteGenerator(config, config.nets.generator(shape), shape)
