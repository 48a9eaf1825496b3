r"""MDOT-Net: generation of sequences from sequences of another domain, by optimal transport.

    Wu, Lu, Cheng, "Music-to-dance generation with optimal transport", IJCAI 2022 [wu2022]
    Salimans, Zhang, Radford, Metaxas, "Improving GANs using optimal transport", ICLR 2018
        [salimans2018], the unbiased form
    Peyré, Cuturi, Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML
        2016 [peyre2016]
    Redko, Vayer, Flamary, Courty, "CO-optimal transport", NeurIPS 2020 [redko2020]

==========  ====================================================================================
symbol      here
==========  ====================================================================================
y, y′       two independent batches of source sequences (m, S, k)
x, x′       two independent batches of target sequences (m, T, d); they need not belong to y, y′
x̃, x̃′       generated targets g_θ(y, z), g_θ(y′, z′)
c(x, x′)    distance of target sequences, see `MDOT.cost`
W_c         ⟨π, c⟩ at the entropic plan π
D_ik        source distance d(y_i, y′_k), over its mean
C_jl        target distance c(x̃_j, x̃′_l), over its mean
==========  ====================================================================================

.. math::

    L = W_c(\tilde x, x) + W_c(\tilde x, x') + W_c(\tilde x', x) + W_c(\tilde x', x')
    - 2 W_c(\tilde x, \tilde x') - 2 W_c(x, x')
    + \lambda \min_\pi \sum_{ijkl} (D_{ik} - C_{jl})^2 \pi_{ij} \pi_{kl}

d, c and g come from a `monge.data.Domains`, the attribute ``SourceTarget.domains`` of the data; for
music and dance, as in the paper, it is `monge.dance.domains.DanceDomains`. Data without one get
`monge.data.EuclideanDomains`.

Differences from the paper's text, with reasons in docs/methods/mdot.md:

- plans sum to 1, not their rows and columns;
- D and C compare two independent batches: ``relation = "co-optimal"`` has a plan for each,
  ``"one-plan"`` is the paper's;
- ``pairing`` is a cost of matching a target with a source other than its own;
- c is a distance, not its square;
- the transport is averaged over sequences of several lengths, ``clips``.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen, Tolerance
from monge.data import Dataset, Domains, EuclideanDomains, SourceTarget, StepInputs, rng
from monge.nets import EMA, conv1d_critic
from monge.optim import GameAdam, linear_decay

_SEQUENCES, _SLOWEST = 256, 2e-4  # to measure the usual rates on, and their lower bound
_SLOPE = 0.05  # weight of the critic's squared gradient at real targets
# share of the paired plan in the initial co-optimal plans: the independent plan is a saddle point,
# from which rounding errors would choose the direction
_PAIRED = 0.5
_TINY = 1e-6  # in squared units of the cost: √ is not differentiable at 0
_NOISE, STYLE = 5, 6  # streams of random numbers


class Config(Frozen):
    """MDOT-Net."""

    name: Literal["mdot"] = "mdot"
    ot: float = Field(1.0, ge=0)  # Weight of the transport to real targets.
    gw: float = Field(1.0, ge=0)  # λ: weight of the Gromov-Wasserstein distance to the sources.
    #: Weight of the loss of a GAN with its own critic, for comparisons.
    gan: float = Field(0.0, ge=0)
    #: One plan for both batches, as in the paper, or one for each.
    relation: Literal["one-plan", "co-optimal"] = "one-plan"
    #: Lengths in frames of the sequences that are transported.
    clips: tuple[int, ...] = Field((8, 24, 96), min_length=1)
    matched: int = Field(96, ge=4)  # Largest number of sequences of each length in each batch.
    #: Frames between the states that are compared; velocities are compared in every frame.
    stride: int = Field(4, ge=1)
    #: ν: an error of velocities by their usual size costs 3ν, in squared units of the cost.
    velocity: float = Field(0.3, ge=0)
    #: η: the same for efforts, the root mean squares of velocities over a sequence.
    effort: float = Field(0.5, ge=0)
    #: Entropic regularization of the transport, in units of the mean cost.
    epsilon: float = Field(0.05, gt=0)
    #: Cost of matching a target with a source other than its own, for one-plan; relations
    #: that differ by their mean cost 1. The paper has 0.
    pairing: float = Field(0.5, ge=0)
    #: Entropic regularization of the Gromov-Wasserstein distance; relations have mean 1.
    gw_epsilon: float = Field(0.01, gt=0)
    tol: Tolerance = 1e-2
    #: Largest number of Sinkhorn iterations and, for relations, of linearizations.
    max_iter: int = Field(200, ge=1)
    batch: int = Field(32, ge=4)  # Sequences in each of the two batches, over all processes.
    lr: float = Field(2e-3, gt=0)  # Adam learning rate; decays linearly over the second half.
    beta1: float = Field(0.5, ge=0, lt=1)  # Adam's first-moment decay.
    ema: float = Field(0.995, ge=0, lt=1)  # Decay of the generator average that `transform` uses.
    #: Noise numbers for each cell of a source, which has `monge.data.Domains.pace` frames.
    noise: int = Field(8, ge=1)
    style: int = Field(8, ge=1)  # Noise numbers that are constant over a sequence.
    width: int = Field(128, ge=1)  # Width of the generator.

    @model_validator(mode="after")
    def _one_weight_is_positive(self) -> Config:
        if not self.ot + self.gw + self.gan:
            raise ValueError(
                "method.ot, method.gw and method.gan are all 0: give one of them a weight"
            )
        return self


# the pairing cost breaks ties: if all sources are alike, rounding errors would choose the plan
TINY = Config(batch=8, width=8, clips=(4, 8), matched=8, pairing=3.0, gan=0.1)


class MDOT(nn.Module):
    """Minimize L over the generator, from two batches of sources and two of targets.

    Targets have the ``shape`` (T, d).

    >>> from monge.data import load
    >>> curves = load("curves")
    >>> method = build_for(Config(batch=4, width=8, clips=(8,)), curves)
    >>> sorted(method.step(StepInputs(curves, seed=0, step=0)))
    ['correlation', 'generator_grad', 'loss', 'relations', 'transport_8']
    >>> method.transform(curves.source_held_out(3)).shape
    torch.Size([3, 64, 2])
    """

    usual: Tensor
    critic: nn.Module | None

    def __init__(self, config: Config, domains: Domains, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.config, self.domains = config, domains
        self.generator = domains.generator(
            noise=config.noise, style=config.style, width=config.width
        )
        self.critic = conv1d_critic(shape[1], config.width) if config.gan else None
        self.average = EMA(self.generator, config.ema)
        rates = domains.rates(torch.zeros(1, 3, shape[1]))
        self.register_buffer("usual", torch.ones(rates.shape[2]))
        adam = GameAdam(lr=config.lr, critic_lr=config.lr, beta1=config.beta1, beta2=0.99)
        self.optimizers = adam.make(self.generator, self.critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a descent step on θ."""
        c = self.config
        linear_decay(self.optimizers["generator"], c.lr, inputs.progress)
        y = inputs.source(c.batch)
        y2 = inputs.source(c.batch)
        x = inputs.data(c.batch)
        x2 = inputs.data(c.batch)
        if inputs.step == 0:
            self._measure_rates(parallel.gather(inputs.data(_SEQUENCES)))
        # x̃ = g_θ(y, z), x̃′ = g_θ(y′, z′)
        fake, fake2 = (self._generate(source, inputs) for source in (y, y2))
        own = torch.cat([fake, fake2]), torch.cat([x, x2])
        y, y2, x, x2, fake, fake2 = (parallel.gather(t) for t in (y, y2, x, x2, fake, fake2))

        loss, scalars = torch.zeros((), device=y.device), {}
        if c.ot:  # the six terms in W_c
            for frames in c.clips:
                W = self._transport(*(clips(t, frames, c.matched) for t in (fake, fake2, x, x2)))
                loss, scalars[f"transport_{frames}"] = loss + c.ot * W / len(c.clips), W.detach()
        D = self.domains.source_distance(y, y2).to(y)
        C = self.cost(fake, fake2)
        pairs = torch.stack([D.flatten(), C.detach().flatten()])
        scalars["correlation"] = torch.corrcoef(pairs)[0, 1]
        if c.gw:  # λ min_π Σ (D_ik − C_jl)² π_ij π_kl
            G = self._relations(D / D.mean(), C / C.mean())
            loss, scalars["relations"] = loss + c.gw * G, G.detach()
        if self.critic is not None:
            game, scalars["critic"] = self._game(*own, inputs.progress)
            loss = loss + c.gan * game

        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), **scalars, "generator_grad": norm}

    @torch.no_grad()
    def transform(self, y: Tensor, seed: int = 0, *, style: Tensor | None = None) -> Tensor:
        """Generate targets (n, T, d) from sources (n, S, k), with noise from the seed.

        Each target has its own random style, unless ``style`` (n, cells, style) is given; a cell
        has ``domains.pace`` frames.
        """
        n, cells = len(y), y.shape[1] // self.domains.pace
        noise = torch.randn(n, cells, self.config.noise, generator=rng(seed, _NOISE)).to(y)
        if style is None:
            style = torch.randn(n, 1, self.config.style, generator=rng(seed, STYLE))
            style = style.expand(-1, cells, -1)
        return self.average(y, noise, style.to(y))

    def cost(self, x: Tensor, x2: Tensor) -> Tensor:
        r"""Return distances c (n, m) between targets (n, T, d) and (m, T, d), in units of the data.

        .. math::

            c(x, x')^2 = \mathrm{mean}_t\, d(x_t, x'_t)^2
            + 3 \nu\, \mathrm{mean}_{t, i} (r_{ti} - r'_{ti})^2
            + 3 \eta\, \mathrm{mean}_i (|r_i| - |r'_i|)^2

        d compares states, a few frames apart. r are the rates, each divided by its root mean square
        in the data. \|r_i\| is the root mean square of a rate over the sequence, its effort: two
        sequences with the same movements at different times have equal efforts.
        """
        return self._costs(self._embed(x), self._embed(x2))

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points and vectors from which `_costs` computes c."""
        c = self.config
        points, vectors = self.domains.states(x[:, :: min(c.stride, max(1, x.shape[1] // 4))])
        r = self.domains.rates(x) / self.usual
        effort = (r.square().mean(1) + _TINY).sqrt()
        weighted = ((r.flatten(1), 3 * c.velocity), (effort, 3 * c.effort))
        scaled = [part * (weight / part.shape[1]) ** 0.5 for part, weight in weighted]
        return points, torch.cat([*scaled, vectors], 1)

    def _costs(self, a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
        x, y = a[1], b[1]
        squared = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)
        return (self.domains.squared_cost(a[0], b[0]) + squared + _TINY).sqrt()

    @torch.no_grad()
    def _measure_rates(self, x: Tensor) -> None:
        """Set the usual rates to the root mean squares of those of targets."""
        self.usual.copy_(self.domains.rates(x).square().mean((0, 1)).sqrt().clamp_min(_SLOWEST))

    def _generate(self, y: Tensor, inputs: StepInputs) -> Tensor:
        c, cells = self.config, y.shape[1] // self.domains.pace
        z, style = inputs.noise(c.batch, cells, c.noise), inputs.noise(c.batch, 1, c.style)
        return self.generator(y, z, style.expand(-1, cells, -1))

    def _transport(self, *sequences: Tensor) -> Tensor:
        """Return half of the four cross terms minus twice the two within terms."""
        c = self.config
        fake, fake2, x, x2 = (self._embed(t) for t in sequences)
        # in the order of `ot.minibatch_energy`
        pairs = ((fake, x), (fake, x2), (fake2, x), (fake2, x2), (fake, fake2), (x, x2))
        costs = torch.stack([self._costs(*pair) for pair in pairs])
        epsilon = c.epsilon * costs.detach().mean().item()
        plans = ot.sinkhorn(C=costs, epsilon=epsilon, tol=c.tol, max_iter=c.max_iter)
        return ot.minibatch_energy(plans) / 2

    def _relations(self, D: Tensor, C: Tensor) -> Tensor:
        """Return the squared difference of the relations at the best plan."""
        c, m = self.config, len(D)
        own = torch.eye(m).to(D)
        bounds: dict[str, Any] = {"tol": c.tol, "max_iter": c.max_iter}
        if c.relation == "co-optimal":
            start = (_PAIRED * own + (1 - _PAIRED) / m) / m
            plans = ot.co_optimal_transport(D, C, epsilon=c.gw_epsilon, init=start, **bounds)
            # the value's gradient is that of the cost at fixed plans
            return plans.cost + plans.value - plans.value.detach()
        apart = c.pairing * (1 - own)
        half = c.gw_epsilon / 2  # at α = ½ both costs are halved, too
        plan = ot.fused_gromov_wasserstein(apart, D, C, alpha=0.5, epsilon=half, **bounds)
        return 2 * plan.cost

    def _game(self, fake: Tensor, x: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Take a step of the critic; return the losses of the generator and of the critic.

        The generator's loss is the non-saturating one.
        """
        assert self.critic is not None
        linear_decay(self.optimizers["critic"], self.config.lr, progress)
        softplus, x = nn.functional.softplus, x.detach().requires_grad_()
        at_x = self.critic(x.mT).mean((1, 2))
        slope = torch.autograd.grad(at_x.sum(), x, create_graph=True)[0].square().flatten(1).sum(1)
        at_fake = self.critic(fake.detach().mT).mean((1, 2))
        at_x, slope, at_fake = (parallel.gather(t) for t in (at_x, slope, at_fake))
        loss = softplus(-at_x).mean() + softplus(at_fake).mean()
        parallel.descend(self.optimizers["critic"], loss + _SLOPE * slope.mean())
        logits = parallel.gather(self.critic(fake.mT).mean((1, 2)))
        return softplus(-logits).mean(), loss.detach()


def clips(x: Tensor, frames: int, most: int) -> Tensor:
    """Cut sequences (n, T, d) into shorter ones (k, frames, d), at most ``most``, evenly chosen."""
    frames = min(frames, x.shape[1])
    rows = x[:, : x.shape[1] // frames * frames].unflatten(1, (-1, frames)).flatten(0, 1)
    if len(rows) <= most:
        return rows
    return rows[torch.arange(most, device=x.device) * len(rows) // most]


def build(config: Config, shape: tuple[int, ...], domains: Domains | None = None) -> MDOT:
    """Build the networks for targets of ``shape`` (T, d).

    Without ``domains`` they are Euclidean, with sources of the same shape.
    """
    return MDOT(config, domains or EuclideanDomains(shape, shape), shape)


def build_for(config: Config, data: Dataset) -> MDOT:
    """Build the networks for a `SourceTarget`, with its ``domains`` or else Euclidean ones."""
    if not isinstance(data, SourceTarget):
        raise ValueError(
            f"mdot needs a SourceTarget of sequences, got {type(data).__name__}: use curves or "
            "dance_melody"
        )
    domains = data.domains or EuclideanDomains(data.source.shape, data.shape)
    return build(config, data.shape, domains)
