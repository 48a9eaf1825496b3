r"""MDOT-Net: dances for music, by optimal transport to real dances and a Gromov-Wasserstein distance to the music.

    Wu, Lu, Cheng, "Music-to-dance generation with optimal transport", IJCAI 2022                                   [wu2022]
    Salimans, Zhang, Radford, Metaxas, "Improving GANs using optimal transport", ICLR 2018: the unbiased form       [salimans2018]
    Peyré, Cuturi, Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML 2016               [peyre2016]
    Redko, Vayer, Flamary, Courty, "CO-optimal transport", NeurIPS 2020                                             [redko2020]

==========  ================================================================================
symbol      here
==========  ================================================================================
y, y′       two independent batches of music, windows of features of frames
x, x′       two independent batches of real dances; they need not belong to y, y′
x̃, x̃′       dances g_θ(y, z), g_θ(y′, z′) that the generator makes
c(x, x′)    distance of dances: of poses, velocities, effort and height, see `cost`
W_c         ⟨π, c⟩ at the entropic plan π
D_ik        music distance d(y_i, y′_k), over its mean
C_jl        dance distance c(x̃_j, x̃′_l), over its mean
==========  ================================================================================

.. math:: L = W_c(\tilde x, x) + W_c(\tilde x, x') + W_c(\tilde x', x) + W_c(\tilde x', x') - 2 W_c(\tilde x, \tilde x')
              - 2 W_c(x, x') + \lambda \min_\pi \sum_{ijkl} (D_{ik} - C_{jl})^2 \pi_{ij} \pi_{kl}

Where this differs from the paper's text, and why:

- plans sum to 1. With rows and columns that sum to 1 instead, the term −2 ⟨DπCᵀ, π⟩ lacks a factor 1/m;
- D and C compare two independent batches, so rows and columns are different things, and one plan for both is an approximation.
  ``relation = "co-optimal"`` has one for each, which is exact; ``"one-plan"`` is the paper's;
- ``pairing`` charges a plan that takes a dance for that of other music. Relations alone do not say which dance belongs to which
  music: plans that minimise them leave 2 % of the dances with their own, whatever they start from, and the correlation between
  D and C stays where it was;
- c is a distance, not its square. As batches get small beside the space, plans match everything with everything, and what is left
  of L with squared distances is 2 |E x̃ − E x|², which says nothing of how much dances should differ: in trials their energy grew
  without bound. With distances it becomes the energy distance, which is 0 for equal distributions only;
- the transport is summed over sequences of several lengths. Batches of a few dozen long sequences have no near neighbours, and
  their plans say little; short ones do.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from monge import audio, motion, ot, parallel
from monge.config import Frozen
from monge.data import Draw, Pair, context, generator
from monge.errors import MongeError
from monge.motion import MELODY
from monge.nets import EMA, DanceGenerator, linear_decay
from monge.nets.dance import PACE, REACH

_RATE = 25.0  # frames a second, of the data
_LOOK, _SLOW = 256, 2e-4  # windows to learn usual velocities from, and the least of them, metres or radians a frame
_HEIGHT = 0.3  # metres of height that count like one radian
_SLOPE = 0.05  # weight of the critic's squared slope at real dances
_PAIRED = 0.5  # of a co-optimal start: the independent plan is a saddle, from which rounding chooses the way
_TINY = 1e-6  # radians²: the root of 0 has no slope
_HOLD, _FADE = 8.0, 4.0  # seconds from one style to the next, as long as a window with its context, and of the change
_STAGE = 10.0  # seconds
_NOISE, _STYLE = 5, 6  # streams of randomness


class Config(Frozen):
    """MDOT-Net."""

    name: Literal["mdot"] = "mdot"
    ot: float = Field(1.0, ge=0)
    """Weight of the transport to real dances."""
    gw: float = Field(1.0, ge=0)
    """λ: weight of the Gromov-Wasserstein distance to the music."""
    gan: float = Field(0.0, ge=0)
    """Weight of a GAN's loss, with a critic of its own, to compare with."""
    relation: Literal["one-plan", "co-optimal"] = "one-plan"
    """Plans of the Gromov-Wasserstein distance: the paper's one, or one for each of its two batches."""
    clips: tuple[int, ...] = Field((8, 24, 96), min_length=1)
    """Lengths of the sequences that are transported, frames."""
    matched: int = Field(96, ge=4)
    """Sequences of each length, at most, in each batch."""
    stride: int = Field(4, ge=1)
    """Frames from one pose that is compared to the next; velocities are compared in every frame."""
    velocity: float = Field(0.3, ge=0)
    """ν: what velocities cost that are wrong by their usual size, in radians² of pose, thrice."""
    effort: float = Field(0.5, ge=0)
    """η: what velocities cost whose root mean square over a sequence is wrong by their usual size, likewise."""
    epsilon: float = Field(0.05, gt=0)
    """Entropic regularisation of the transport, in units of the mean cost."""
    pairing: float = Field(0.5, ge=0)
    """One plan only: what it costs to take a dance for that of other music; relations that differ by their mean cost 1. The paper
    has 0."""
    gw_epsilon: float = Field(0.01, gt=0)
    """Entropic regularisation of the Gromov-Wasserstein distance, whose relations have mean 1."""
    tol: float = Field(1e-2, gt=0, lt=1)
    """L1 marginal error of the plans."""
    max_iter: int = Field(200, ge=1)
    """Bound on Sinkhorn iterations; for relations, on linearisations."""
    batch: int = Field(32, ge=4)
    """Windows in each of the two batches, over all processes."""
    lr: float = Field(2e-3, gt=0)
    """Adam learning rate; decays linearly over the second half."""
    beta1: float = Field(0.5, ge=0, lt=1)
    """Adam's first-moment decay."""
    ema: float = Field(0.995, ge=0, lt=1)
    """Decay of the generator average that dances."""
    noise: int = Field(8, ge=1)
    """Numbers of noise for every four frames."""
    style: int = Field(8, ge=1)
    """Numbers of a style."""
    width: int = Field(128, ge=1)
    """Width of the generator."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> Config:
        if not self.ot + self.gw + self.gan:
            raise ValueError("method.ot, method.gw and method.gan are all 0: give one of them a weight")
        return self


# a price that breaks ties: among made-up songs that are all alike, relations leave the plan to rounding
TINY = Config(batch=8, width=8, clips=(4, 8), matched=8, pairing=3.0, gan=0.1)


class MDOT(nn.Module):
    """Two batches of music, two of dances; the generator goes downhill on transport and relations.

    Parameters
    ----------
    config : Config
    generator : DanceGenerator

    Examples
    --------
    >>> from monge.data import Dance, Draw, from_dances
    >>> songs = [Dance(f"song {k}", "waltz", motion.rest(MELODY).repeat(40, 1, 1), torch.randn(40, 80)) for k in range(5)]
    >>> method = build(Config(batch=4, width=8, clips=(8,)), shape=(8, 70))
    >>> scalars = method.step(Draw(from_dances(songs, size=8), seed=0, step=0))
    >>> sorted(scalars)
    ['correlation', 'generator_grad', 'loss', 'relations', 'transport_8']
    >>> method.dance(torch.randn(50, 80)).shape
    torch.Size([50, 23, 3])
    """

    usual: Tensor
    critic: nn.Module | None

    def __init__(self, config: Config, generator: DanceGenerator, critic: nn.Module | None = None) -> None:
        super().__init__()
        self.config, self.generator, self.critic = config, generator, critic
        self.average = EMA(generator, config.ema)
        self.register_buffer("usual", torch.ones(_rates(torch.zeros(1, 3, motion.channels(MELODY))).shape[2]))
        nets = {"generator": generator} | ({"critic": critic} if critic is not None else {})
        self.optimizers = {
            name: torch.optim.Adam(net.parameters(), lr=config.lr, betas=(config.beta1, 0.99)) for name, net in nets.items()
        }

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One descent step on θ."""
        if not isinstance(draw.source, Pair):
            raise MongeError(f"mdot turns music into dance, and '{draw.source.name}' is not a pair of them: use dance_melody")
        c = self.config
        linear_decay(self.optimizers["generator"], c.lr, draw.progress)
        y, y2, x, x2 = draw.origin(c.batch), draw.origin(c.batch), draw.data(c.batch), draw.data(c.batch)
        if draw.step == 0:
            self._look(parallel.gather(draw.data(_LOOK)))
        made, made2 = (self._made(music, draw) for music in (y, y2))
        own = torch.cat([made, made2]), torch.cat([x, x2])
        y, y2, x, x2, made, made2 = (parallel.gather(t) for t in (y, y2, x, x2, made, made2))

        loss, found = torch.zeros((), device=y.device), {}
        if c.ot:
            for frames in c.clips:
                W = self._transport(*(clips(t, frames, c.matched) for t in (made, made2, x, x2)))
                loss, found[f"transport_{frames}"] = loss + c.ot * W / len(c.clips), W.detach()
        D = audio.music_distance(y, y2).to(y)
        C = cost(*(self.compared(t) for t in (made, made2)))
        found["correlation"] = torch.corrcoef(torch.stack([D.flatten(), C.detach().flatten()]))[0, 1]
        if c.gw:
            G = self._relations(D / D.mean(), C / C.mean())
            loss, found["relations"] = loss + c.gw * G, G.detach()
        if self.critic is not None:
            game, found["critic"] = self._game(*own, draw.progress)
            loss = loss + c.gan * game

        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {"loss": loss.detach(), **found, "generator_grad": norm}

    @torch.no_grad()
    def transform(self, music: Tensor, seed: int = 0) -> Tensor:
        """Windows of music with their context (n, T + 96, 80) to encoded dances (n, T, 4 + 3B); each has a style of its own."""
        n, cells = len(music), music.shape[1] // PACE
        noise = torch.randn(n, cells, self.config.noise, generator=generator(seed, _NOISE)).to(music)
        style = torch.randn(n, 1, self.config.style, generator=generator(seed, _STYLE)).to(music).expand(-1, cells, -1)
        return self.average(music, noise, style)

    @torch.no_grad()
    def dance(self, music: Tensor, *, seed: int = 0, style: int | None = None) -> Tensor:
        """Dance (T, J, 3), metres, to a song (T, 80) of any length.

        The same song, seed and style give the same dance. ``style`` names one to keep to; without it the dance goes to another
        every 8 seconds. What the path does in more than about 10 seconds is taken away, so that the dance stays on its stage.
        """
        like = next(self.generator.parameters())
        frames = len(music)
        heard = torch.cat([music, music[-1:].expand(-frames % PACE, -1)])
        heard = context(heard, REACH)[None].to(like)
        cells = heard.shape[1] // PACE
        noise = torch.randn(1, cells, self.config.noise, generator=generator(seed, _NOISE)).to(like)
        manner = self._manner(cells, seed, style).to(like)
        positions = motion.decode(self.average(heard, noise, manner)[0, :frames].double().cpu(), MELODY)
        path = positions[:, [MELODY.root]] * positions.new_tensor([1.0, 0.0, 1.0])
        return (positions - motion.smooth(path, _RATE, _STAGE)).float()

    def _manner(self, cells: int, seed: int, style: int | None) -> Tensor:
        """Styles (1, cells, style): the one that is named, or one after the other."""
        if style is not None:
            return torch.randn(1, 1, self.config.style, generator=generator(style, _STYLE, 1)).expand(-1, cells, -1)
        seconds = torch.arange(cells) * PACE / _RATE
        kept = torch.randn(int(seconds[-1] // _HOLD) + 2, self.config.style, generator=generator(seed, _STYLE))
        at = (seconds / _HOLD).long()
        share = ((seconds - (at + 1) * _HOLD) / _FADE + 1).clamp(0, 1)[:, None] * torch.pi / 2
        return (kept[at] * share.cos() + kept[at + 1] * share.sin())[None]  # of constant variance

    def compared(self, x: Tensor) -> Compared:
        """What `cost` needs of dances (n, T, 70)."""
        return Compared(x, self.config.stride, self.usual, self.config.velocity, self.config.effort)

    @torch.no_grad()
    def _look(self, x: Tensor) -> None:
        """Take the usual rates from dances."""
        self.usual.copy_(_rates(x).square().mean((0, 1)).sqrt().clamp_min(_SLOW))

    def _made(self, music: Tensor, draw: Draw) -> Tensor:
        c, cells = self.config, music.shape[1] // PACE
        z, style = draw.noise(c.batch, cells, c.noise), draw.noise(c.batch, 1, c.style)
        return self.generator(music, z, style.expand(-1, cells, -1))

    def _transport(self, *sequences: Tensor) -> Tensor:
        """Four cross terms minus twice the two within terms, over 2."""
        c = self.config
        made, made2, x, x2 = (self.compared(t) for t in sequences)
        pairs = ((made, x), (made, x2), (made2, x), (made2, x2), (made, made2), (x, x2))  # the order of `ot.minibatch_energy`
        costs = torch.stack([cost(*pair) for pair in pairs])
        epsilon = c.epsilon * costs.detach().mean().item()
        return ot.minibatch_energy(ot.sinkhorn(C=costs, epsilon=epsilon, tol=c.tol, max_iter=c.max_iter)) / 2

    def _relations(self, D: Tensor, C: Tensor) -> Tensor:
        """How much the relations differ at the best plan."""
        c, m = self.config, len(D)
        own = torch.eye(m).to(D)
        if c.relation == "co-optimal":
            start = (_PAIRED * own + (1 - _PAIRED) / m) / m
            plans = ot.co_optimal_transport(D, C, epsilon=c.gw_epsilon, tol=c.tol, max_iter=c.max_iter, init=start)
            return plans.cost + plans.value - plans.value.detach()  # the value's gradient is that of the cost at fixed plans
        apart = c.pairing * (1 - own)
        half = c.gw_epsilon / 2  # as are both costs at α = ½
        return 2 * ot.fused_gromov_wasserstein(apart, D, C, alpha=0.5, epsilon=half, tol=c.tol, max_iter=c.max_iter).cost

    def _game(self, made: Tensor, x: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """A GAN's non-saturating loss of the generator, and the critic's, which makes one step first."""
        assert self.critic is not None
        linear_decay(self.optimizers["critic"], self.config.lr, progress)
        softplus, x = nn.functional.softplus, x.detach().requires_grad_()
        score = self.critic(x.mT).mean((1, 2))
        slope = torch.autograd.grad(score.sum(), x, create_graph=True)[0].square().flatten(1).sum(1)
        real, slope, fake = (parallel.gather(t) for t in (score, slope, self.critic(made.detach().mT).mean((1, 2))))
        loss = softplus(-real).mean() + softplus(fake).mean()
        parallel.descend(self.optimizers["critic"], loss + _SLOPE * slope.mean())
        return softplus(-parallel.gather(self.critic(made.mT).mean((1, 2)))).mean(), loss.detach()


def clips(x: Tensor, frames: int, most: int) -> Tensor:
    """Sequences (n, T, d) cut into shorter ones (≤ most, frames, d), evenly chosen where there are more."""
    frames = min(frames, x.shape[1])
    rows = x[:, : x.shape[1] // frames * frames].unflatten(1, (-1, frames)).flatten(0, 1)
    if len(rows) <= most:
        return rows
    return rows[torch.arange(most, device=x.device) * len(rows) // most]


class Compared:
    """What `cost` compares: directions (n, k, 3) of some frames, and the rest as vectors (n, l)."""

    def __init__(self, x: Tensor, stride: int, usual: Tensor, velocity: float, effort: float) -> None:
        poses = x[:, :: min(stride, max(1, x.shape[1] // 4))]
        self.directions = poses[..., motion.TRAVEL :].unflatten(-1, (-1, 3)).flatten(1, 2)
        rates = _rates(x) / usual
        spent = (rates.square().mean(1) + _TINY).sqrt()
        parts = ((rates.flatten(1), 3 * velocity), (spent, 3 * effort), (poses[..., 3], _HEIGHT**-2))
        self.rest = torch.cat([part * (weight / part.shape[1]) ** 0.5 for part, weight in parts], 1)


def _rates(x: Tensor) -> Tensor:
    """Velocities and accelerations of joints as the body sees them, and changes of the features, (n, T − 2, 6 J + d)."""
    velocity = motion.velocities(x, MELODY).flatten(2)
    return torch.cat([velocity[:, 1:], velocity.diff(dim=1), x.diff(dim=1)[:, 1:]], 2)


def cost(x: Compared, y: Compared) -> Tensor:
    r"""Distance between all pairs of sequences, (n, m), radians.

    .. math:: c(x, y)^2 = \mathrm{mean}_{t, b}\, \theta(u_{tb}, v_{tb})^2 + 3 \nu\, \mathrm{mean}_{t, i} (r_{ti} - s_{ti})^2
              + 3 \eta\, \mathrm{mean}_i (|r_i| - |s_i|)^2 + \mathrm{mean}_t (h_t - k_t)^2 / (0.3\, \mathrm{m})^2

    θ is the angle between directions of a bone. r are velocities, accelerations and changes of directions, each over its root
    mean square in the data, and \|r_i\| the root mean square of one over the sequence, its effort: two dances that do the same
    at other moments have equal efforts. h is the height of the root.
    """
    squares = x.rest.square().sum(1)[:, None] + y.rest.square().sum(1) - 2 * x.rest @ y.rest.T
    return (motion.squared_angles(x.directions, y.directions) + squares.clamp_min(0) + _TINY).sqrt()


def build(config: Config, shape: tuple[int, ...]) -> MDOT:
    """Make the generator, and the critic where there is one, for dances of ``shape`` (T, 70)."""
    if len(shape) != 2 or shape[1] != motion.channels(MELODY):
        raise ValueError(f"mdot makes dances (frames, {motion.channels(MELODY)}), got samples of shape {shape}: use dance_melody")
    c, w = config, config.width
    still = motion.encode(motion.rest(MELODY).expand(2, -1, -1), MELODY)[0]
    net = DanceGenerator(audio.MUSIC, still, noise=c.noise, style=c.style, width=w)
    return MDOT(config, net, _critic(shape[1], w) if c.gan else None)


def _critic(features: int, width: int) -> nn.Module:
    layers: list[nn.Module] = []
    for n_in, n_out in ((features, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv1d(n_in, n_out, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv1d(2 * width, 1, 1))
