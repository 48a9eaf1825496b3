r"""MDOT-Net: from sequences of one domain to sequences of another, by optimal transport and a
Gromov-Wasserstein distance.

    Wu, Lu, Cheng, "Music-to-dance generation with optimal transport", IJCAI 2022 [wu2022]
    Salimans, Zhang, Radford, Metaxas, "Improving GANs using optimal transport", ICLR 2018: the
        unbiased form [salimans2018]
    Peyré, Cuturi, Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML
        2016 [peyre2016]
    Redko, Vayer, Flamary, Courty, "CO-optimal transport", NeurIPS 2020 [redko2020]

==========  ================================================================================
symbol      here
==========  ================================================================================
y, y′       two independent batches of source sequences (m, S, k)
x, x′       two independent batches of target sequences (m, T, d); they need not belong to y, y′
x̃, x̃′       targets g_θ(y, z), g_θ(y′, z′) that the generator makes
c(x, x′)    distance of target sequences, see `MDOT.cost`
W_c         ⟨π, c⟩ at the entropic plan π
D_ik        source distance d(y_i, y′_k), over its mean
C_jl        target distance c(x̃_j, x̃′_l), over its mean
==========  ================================================================================

.. math::

    L = W_c(\tilde x, x) + W_c(\tilde x, x') + W_c(\tilde x', x) + W_c(\tilde x', x') - 2 W_c(\tilde
    x, \tilde x') - 2 W_c(x, x') + \lambda \min_\pi \sum_{ijkl} (D_{ik} - C_{jl})^2 \pi_{ij}
    \pi_{kl}

The method is handed d, c and g by a `monge.data.Domains`, which a data set carries in
``Pair.domains``; for music and dance, as in the paper, it is that of the dance studio. A pair
without one gets `monge.data.EuclideanDomains`.

Where this differs from the paper's text; docs/methods/mdot.md says why:

- plans sum to 1, not their rows and columns;
- D and C compare two independent batches: ``relation = "co-optimal"`` has a plan for each,
  ``"one-plan"`` is the paper's;
- ``pairing`` charges a plan that takes a target for that of another source;
- c is a distance, not its square;
- the transport is summed over sequences of several lengths, ``clips``.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen, Tolerance
from monge.data import Dataset, Domains, EuclideanDomains, SourceTarget, StepInputs, rng
from monge.nets import EMA, conv1d_critic
from monge.optim import GameAdam, linear_decay

_LOOK, _SLOW = 256, 2e-4  # sequences to learn usual rates from, and the least of them
_SLOPE = 0.05  # weight of the critic's squared slope at real targets
# of a co-optimal start: the independent plan is a saddle, from which rounding chooses the way
_PAIRED = 0.5
_TINY = 1e-6  # squared units of the cost: the root of 0 has no slope
_NOISE, STYLE = 5, 6  # streams of randomness


class Config(Frozen):
    """MDOT-Net."""

    name: Literal["mdot"] = "mdot"
    ot: float = Field(1.0, ge=0)  # Weight of the transport to real targets.
    gw: float = Field(1.0, ge=0)  # λ: weight of the Gromov-Wasserstein distance to the sources.
    # Weight of a GAN's loss, with a critic of its own, to compare with.
    gan: float = Field(0.0, ge=0)
    relation: Literal["one-plan", "co-optimal"] = (
        "one-plan"  # One plan for both batches, the paper's, or one for each.
    )
    # Lengths of the sequences that are transported, frames.
    clips: tuple[int, ...] = Field((8, 24, 96), min_length=1)
    matched: int = Field(96, ge=4)  # Sequences of each length, at most, in each batch.
    # Frames from one state that is compared to the next; velocities are compared in every frame.
    stride: int = Field(4, ge=1)
    # ν: velocities that are wrong by their usual size cost 3ν, in squared units of the cost.
    velocity: float = Field(0.3, ge=0)
    # η: likewise for efforts, the root mean squares of velocities over a sequence.
    effort: float = Field(0.5, ge=0)
    # Entropic regularization of the transport, in units of the mean cost.
    epsilon: float = Field(0.05, gt=0)
    pairing: float = Field(0.5, ge=0)
    """One plan only: what it costs to take a target for that of another source; relations that
    differ by their mean cost 1. The paper has 0.
    """
    # Entropic regularization of the Gromov-Wasserstein distance; relations have mean 1.
    gw_epsilon: float = Field(0.01, gt=0)
    tol: Tolerance = 1e-2
    # Bound on Sinkhorn iterations; for relations, on linearizations.
    max_iter: int = Field(200, ge=1)
    batch: int = Field(32, ge=4)  # Sequences in each of the two batches, over all processes.
    lr: float = Field(2e-3, gt=0)  # Adam learning rate; decays linearly over the second half.
    beta1: float = Field(0.5, ge=0, lt=1)  # Adam's first-moment decay.
    ema: float = Field(0.995, ge=0, lt=1)  # Decay of the generator average that `transform` uses.
    # Numbers of noise in each cell of a source (a few frames, see `monge.data.Domains.pace`).
    noise: int = Field(8, ge=1)
    style: int = Field(8, ge=1)  # Numbers of noise that stay the same over a sequence.
    width: int = Field(128, ge=1)  # Width of the generator.

    @model_validator(mode="after")
    def _something_to_learn(self) -> Config:
        if not self.ot + self.gw + self.gan:
            raise ValueError(
                "method.ot, method.gw and method.gan are all 0: give one of them a weight"
            )
        return self


# a price that breaks ties: among made-up songs that are all alike, relations leave the plan to
# rounding
TINY = Config(batch=8, width=8, clips=(4, 8), matched=8, pairing=3.0, gan=0.1)


class MDOT(nn.Module):
    """Two batches of sources, two of targets of ``shape`` (T, d); the generator goes downhill on
    transport and relations.

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
        self.register_buffer(
            "usual", torch.ones(domains.rates(torch.zeros(1, 3, shape[1])).shape[2])
        )
        adam = GameAdam(lr=config.lr, critic_lr=config.lr, beta1=config.beta1, beta2=0.99)
        self.optimizers = adam.make(self.generator, self.critic)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """One descent step on θ."""
        c = self.config
        linear_decay(self.optimizers["generator"], c.lr, inputs.progress)
        y = inputs.source(c.batch)
        y2 = inputs.source(c.batch)
        x = inputs.data(c.batch)
        x2 = inputs.data(c.batch)
        if inputs.step == 0:
            self._look(parallel.gather(inputs.data(_LOOK)))
        # x̃ = g_θ(y, z), x̃′ = g_θ(y′, z′)
        made, made2 = (self._made(source, inputs) for source in (y, y2))
        own = torch.cat([made, made2]), torch.cat([x, x2])
        y, y2, x, x2, made, made2 = (parallel.gather(t) for t in (y, y2, x, x2, made, made2))

        loss, found = torch.zeros((), device=y.device), {}
        if c.ot:  # the six terms in W_c
            for frames in c.clips:
                W = self._transport(*(clips(t, frames, c.matched) for t in (made, made2, x, x2)))
                loss, found[f"transport_{frames}"] = loss + c.ot * W / len(c.clips), W.detach()
        D = self.domains.source_distance(y, y2).to(y)
        C = self.cost(made, made2)
        found["correlation"] = torch.corrcoef(torch.stack([D.flatten(), C.detach().flatten()]))[
            0, 1
        ]
        if c.gw:  # λ min_π Σ (D_ik − C_jl)² π_ij π_kl
            G = self._relations(D / D.mean(), C / C.mean())
            loss, found["relations"] = loss + c.gw * G, G.detach()
        if self.critic is not None:
            game, found["critic"] = self._game(*own, inputs.progress)
            loss = loss + c.gan * game

        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), **found, "generator_grad": norm}

    @torch.no_grad()
    def transform(self, y: Tensor, seed: int = 0, *, style: Tensor | None = None) -> Tensor:
        """Sources (n, S, k) to targets (n, T, d), with noise from the seed.

        Each target has a style of its own, unless ``style`` (n, cells, style) gives it; cells have
        ``domains.pace`` frames.
        """
        n, cells = len(y), y.shape[1] // self.domains.pace
        noise = torch.randn(n, cells, self.config.noise, generator=rng(seed, _NOISE)).to(y)
        if style is None:
            style = torch.randn(n, 1, self.config.style, generator=rng(seed, STYLE)).expand(
                -1, cells, -1
            )
        return self.average(y, noise, style.to(y))

    def cost(self, x: Tensor, x2: Tensor) -> Tensor:
        r"""Distances c (n, m) between target sequences (n, T, d) and (m, T, d), in units of
        ``domains``.

        .. math::

            c(x, x')^2 = \mathrm{mean}_t\, d(x_t, x'_t)^2 + 3 \nu\, \mathrm{mean}_{t, i} (r_{ti} -
            r'_{ti})^2 + 3 \eta\, \mathrm{mean}_i (|r_i| - |r'_i|)^2

        d compares the states of every few frames. r are the rates, each over its root mean square
        in the data, and \|r_i\| the root mean square of one over the sequence, its effort: two
        sequences that do the same at other moments have equal efforts.
        """
        return self._costs(self._compared(x), self._compared(x2))

    def _compared(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Points and vectors that stand for sequences in the cost; computed once for several costs."""
        c = self.config
        points, vectors = self.domains.states(x[:, :: min(c.stride, max(1, x.shape[1] // 4))])
        r = self.domains.rates(x) / self.usual
        effort = (r.square().mean(1) + _TINY).sqrt()
        weighted = ((r.flatten(1), 3 * c.velocity), (effort, 3 * c.effort))
        return points, torch.cat(
            [*(part * (weight / part.shape[1]) ** 0.5 for part, weight in weighted), vectors], 1
        )

    def _costs(self, a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
        x, y = a[1], b[1]
        squared = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)
        return (self.domains.squared_cost(a[0], b[0]) + squared + _TINY).sqrt()

    @torch.no_grad()
    def _look(self, x: Tensor) -> None:
        """Learn the usual rates from targets."""
        self.usual.copy_(self.domains.rates(x).square().mean((0, 1)).sqrt().clamp_min(_SLOW))

    def _made(self, y: Tensor, inputs: StepInputs) -> Tensor:
        c, cells = self.config, y.shape[1] // self.domains.pace
        z, style = inputs.noise(c.batch, cells, c.noise), inputs.noise(c.batch, 1, c.style)
        return self.generator(y, z, style.expand(-1, cells, -1))

    def _transport(self, *sequences: Tensor) -> Tensor:
        """Four cross terms minus twice the two within terms, over 2."""
        c = self.config
        made, made2, x, x2 = (self._compared(t) for t in sequences)
        # the order of `ot.minibatch_energy`
        pairs = (
            (made, x),
            (made, x2),
            (made2, x),
            (made2, x2),
            (made, made2),
            (x, x2),
        )
        costs = torch.stack([self._costs(*pair) for pair in pairs])
        epsilon = c.epsilon * costs.detach().mean().item()
        return (
            ot.minibatch_energy(
                ot.sinkhorn(C=costs, epsilon=epsilon, tol=c.tol, max_iter=c.max_iter)
            )
            / 2
        )

    def _relations(self, D: Tensor, C: Tensor) -> Tensor:
        """How much the relations differ at the best plan."""
        c, m = self.config, len(D)
        own = torch.eye(m).to(D)
        if c.relation == "co-optimal":
            start = (_PAIRED * own + (1 - _PAIRED) / m) / m
            plans = ot.co_optimal_transport(
                D, C, epsilon=c.gw_epsilon, tol=c.tol, max_iter=c.max_iter, init=start
            )
            # the value's gradient is that of the cost at fixed plans
            return plans.cost + plans.value - plans.value.detach()
        apart = c.pairing * (1 - own)
        half = c.gw_epsilon / 2  # as are both costs at α = ½
        return (
            2
            * ot.fused_gromov_wasserstein(
                apart, D, C, alpha=0.5, epsilon=half, tol=c.tol, max_iter=c.max_iter
            ).cost
        )

    def _game(self, made: Tensor, x: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """A GAN's non-saturating loss of the generator, and the critic's, which makes one step
        first.
        """
        assert self.critic is not None
        linear_decay(self.optimizers["critic"], self.config.lr, progress)
        softplus, x = nn.functional.softplus, x.detach().requires_grad_()
        score = self.critic(x.mT).mean((1, 2))
        slope = torch.autograd.grad(score.sum(), x, create_graph=True)[0].square().flatten(1).sum(1)
        real, slope, fake = (
            parallel.gather(t) for t in (score, slope, self.critic(made.detach().mT).mean((1, 2)))
        )
        loss = softplus(-real).mean() + softplus(fake).mean()
        parallel.descend(self.optimizers["critic"], loss + _SLOPE * slope.mean())
        return softplus(-parallel.gather(self.critic(made.mT).mean((1, 2)))).mean(), loss.detach()


def clips(x: Tensor, frames: int, most: int) -> Tensor:
    """Sequences (n, T, d) cut into shorter ones (≤ most, frames, d), evenly chosen where there are
    more.
    """
    frames = min(frames, x.shape[1])
    rows = x[:, : x.shape[1] // frames * frames].unflatten(1, (-1, frames)).flatten(0, 1)
    if len(rows) <= most:
        return rows
    return rows[torch.arange(most, device=x.device) * len(rows) // most]


def build(config: Config, shape: tuple[int, ...], domains: Domains | None = None) -> MDOT:
    """Make the networks for targets of ``shape`` (T, d); without ``domains``, for sources of that
    shape, with Euclidean ones.
    """
    return MDOT(config, domains or EuclideanDomains(shape, shape), shape)


def build_for(config: Config, data: Dataset) -> MDOT:
    """Make the networks for a `SourceTarget`, with the `Domains` that it carries or Euclidean ones."""
    if not isinstance(data, SourceTarget):
        raise ValueError(
            "mdot goes from sequences to other sequences, and this is no pair of them: use curves "
            "or dance_melody"
        )
    return build(
        config, data.shape, data.domains or EuclideanDomains(data.source.shape, data.shape)
    )
