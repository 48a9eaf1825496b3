r"""A generator of textures: noise in, a picture of any size out, in one pass, trained without a
discriminator.

    Houdard, Leclaire, Papadakis & Rabin, "Wasserstein generative models for patch-based texture
    synthesis", SSVM 2021
                                                                                              [houdard2021]  the
                                                                                                             objective
    Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture networks", ICML 2016 [ulyanov2016]  the network

==========  ======================================================================================
symbol      here
==========  ======================================================================================
g_θ         ``generator``, a `monge.nets.TextureNet`; ``average`` of its weights samples
S_l, P_i    scale l and patch i of a picture, see `monge.nets.patches`
ν_l         ``config.targets`` patches y of the exemplar at scale l
ψ_l         potential of ν_l, in ``matchings[l].law``, a `monge.ot.SemiDiscrete`
==========  ======================================================================================

In each step ψ_l is balanced on the patches at hand, by fixed-point steps at a small ε in place of
the authors' averaged gradient ascent, and θ goes down the cost of carrying each patch to the target
in whose Laguerre cell it lies.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import parallel
from monge.config import Frozen
from monge.data import StepInputs
from monge.nets import EMA, TextureNet, patches, pyramid
from monge.nets.patches import matching_blur, random_patches
from monge.optim import linear_decay
from monge.ot import SemiDiscrete
from monge.rng import rng

_RELAXATION = 1.5
_LEVELS = 7  # halvings of ε at the first step
_DETAILED = 2  # scales at which details are matched
_TARGETS = 4  # what randomness is for; noise of training is `StepInputs`'s

NOT_IN_RECIPES = "it learns from one picture, see 'monge texture train'"


class Config(Frozen):
    """Texture generator by patch transport."""

    name: Literal["texture_generator"] = "texture_generator"
    patch: int = Field(8, ge=2, le=32)  # Side of the patches.
    # Side of more patches at the two finest scales: grain that large ones smooth; 0: none.
    detail: int = Field(3, ge=0, le=32)
    scales: int = Field(4, ge=1)  # Scales of the pyramid at which patches are matched.
    # Patches of the exemplar that stand for all of its patches at a scale.
    targets: int = Field(1500, ge=16)
    # Patches on which ψ is balanced in a step at each scale, if need be with earlier ones.
    points: int = Field(960, ge=16)
    sweeps: int = Field(5, ge=1)  # Fixed-point steps on ψ for one of θ.
    # ε of those steps, in mean squared distances of a target to its third neighbor.
    blur: float = Field(0.5, gt=0)
    batch: int = Field(2, ge=1)  # Pictures in a step.
    side: int = Field(128, ge=8)  # Side of those pictures.
    lr: float = Field(5e-3, gt=0)  # Adam learning rate; decays linearly over the second half.
    ema: float = Field(0.99, ge=0, lt=1)  # Decay of the generator average that samples.
    # Levels of noise, each half the next; sides of tiles are multiples of 2^(levels − 1).
    levels: int = Field(5, ge=1, le=10)
    width: int = Field(16, ge=1)  # Features of the generator's finest level.
    noise: int = Field(4, ge=1)  # Numbers of noise for a place, at each level.


TINY = Config(
    patch=4, detail=2, scales=2, side=32, levels=3, width=4, targets=100, points=64, batch=1
)


class TextureGenerator(nn.Module):
    r"""Minimize the patch transport from generated pictures to an exemplar at several scales, over
    the generator.

    .. math::

        \min_\theta \sum_l \max_{\psi_l} \mathbb{E}\,\psi_l^c(P S_l g_\theta(z)) + \langle b, \psi_l
        \rangle

    The exemplar (c, h, w) has values in about [0, 1]; the seed says which of its patches are
    targets.

    >>> from monge.data import StepInputs, load
    >>> config = Config(patch=4, detail=0, scales=2, side=16, levels=3, width=4, targets=50)
    >>> method = build(config, torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0)))
    >>> scalars = method.step(StepInputs(load("8gaussians"), seed=0, step=0))
    >>> sorted(scalars), method.sample(2, size=(20, 30)).shape
    (['generator_grad', 'loss', 'loss_0', 'loss_1'], torch.Size([2, 3, 20, 30]))
    """

    def __init__(self, config: Config, exemplar: Tensor, seed: int = 0) -> None:
        super().__init__()
        _require(config, exemplar)
        self.config = config
        self.generator = TextureNet(
            len(exemplar), levels=config.levels, width=config.width, noise=config.noise
        )
        self.average = EMA(self.generator, config.ema)
        levels = pyramid(exemplar[None], config.scales)
        kinds = [(k, config.patch) for k in range(config.scales)]
        if 0 < config.detail < config.patch:
            kinds += [(k, config.detail) for k in range(min(_DETAILED, config.scales))]
        self.names = [
            (f"{'loss' if patch == config.patch else 'detail'}_{k}", k) for k, patch in kinds
        ]
        self.matchings = nn.ModuleList(
            _Matching(levels[k], config.side >> k, patch, config, rng(seed, _TARGETS, i))
            for i, (k, patch) in enumerate(kinds)
        )
        self.optimizers = {
            "generator": torch.optim.Adam(
                self.generator.parameters(), lr=config.lr, betas=(0.9, 0.99)
            )
        }

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Balance ψ_l on the patches of a batch, then one descent step on θ."""
        c = self.config
        linear_decay(self.optimizers["generator"], c.lr, inputs.progress)
        noise = [
            inputs.noise(c.batch, *shape) for shape in self.generator.noise_shapes((c.side, c.side))
        ]
        shift = [int(s) for s in (inputs.uniform(1, 2)[0] * c.side)]
        # patches are taken on a grid: no place must be special
        x = self.generator(noise).roll(shift, (2, 3))
        levels = pyramid(x, c.scales, torus=True)
        costs = {
            name: match(levels[level])
            for (name, level), match in zip(self.names, self.matchings, strict=True)
        }
        loss = torch.stack([*costs.values()]).sum()
        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        return {
            "loss": loss.detach(),
            **{name: cost.detach() for name, cost in costs.items()},
            "generator_grad": norm,
        }

    def sample(
        self, n: int, seed: int = 0, *, size: tuple[int, int] | None = None, tile: bool = False
    ) -> Tensor:
        """Return n pictures (n, c, h, w) of the averaged generator, a function of the seed; see
        `make`.
        """
        net = self.average.net.eval()
        side = self.config.side
        return torch.stack([make(net, size or (side, side), seed, k, tile=tile) for k in range(n)])


class _Matching(nn.Module):
    """One scale: ν_l with ψ_l, and the patches of the last steps.

    Those stand by where the pictures of a step have few. Balanced on these alone, each picture
    would have to show every part of the exemplar equally often, which the generator does by
    painting on a grid.
    """

    recent: Tensor
    known: Tensor

    def __init__(
        self, x: Tensor, side: int, patch: int, config: Config, rng: torch.Generator
    ) -> None:
        super().__init__()
        y = random_patches(x[0], patch, config.targets, rng)  # none twice
        self.target_measure = target_measure = SemiDiscrete(
            y, epsilon=matching_blur(y, config.blur, rows=len(y))
        )
        self.patch, self.sweeps = patch, config.sweeps
        strides = (
            s for s in range(1, side + 1) if config.batch * (-(-side // s)) ** 2 >= config.points
        )
        self.stride = max(strides, default=1)
        missing = max(0, config.points - config.batch * (-(-side // self.stride)) ** 2)
        self.register_buffer(
            "recent", target_measure.y.new_zeros(missing, target_measure.y.shape[1])
        )
        self.register_buffer("known", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Mean squared difference of a pixel of x to where it is carried."""
        points = patches(x, self.patch, stride=self.stride, torus=True).flatten(0, 1)
        first = not self.target_measure.potential.any()
        every = torch.cat([points.detach(), self.recent[: int(self.known)]])
        self.target_measure.balance(
            every, n_iter=self.sweeps, relaxation=_RELAXATION, n_levels=_LEVELS if first else 0
        )
        self.known.fill_(min(len(every), len(self.recent)))
        self.recent[: int(self.known)] = every[: int(self.known)]
        return (points - self.target_measure.y[self.target_measure.assign(points)]).square().mean()


@torch.no_grad()
def make(
    net: TextureNet, size: tuple[int, int], seed: int = 0, index: int = 0, *, tile: bool = False
) -> Tensor:
    """A picture (c, h, w) of a generator in evaluation mode, a function of (seed, index).

    It is cut out of a larger one where a side is no multiple of ``net.unit``; with ``tile`` that is
    a ValueError.

    >>> make(TextureNet(3, levels=3, width=4).eval(), (20, 30)).shape
    torch.Size([3, 20, 30])
    """
    h, w = size
    whole = size if tile else (-(-h // net.unit) * net.unit, -(-w // net.unit) * net.unit)
    like = net.colors.weight
    noise = [
        torch.randn(1, *s, generator=rng(seed, index, k)).to(like)
        for k, s in enumerate(net.noise_shapes(whole))
    ]
    return net(noise)[0, :, :h, :w]


def sampling_memory(net: TextureNet, size: tuple[int, int]) -> int:
    """Bytes that `make` takes at its peak, about: the finest level's features, four times while
    they are joined and filtered.
    """
    wide = net.blocks[-1][0].convolution.weight.shape[1]  # type: ignore[index]
    return 4 * 4 * wide * size[0] * size[1]


def build(config: Config, exemplar: Tensor, seed: int = 0) -> TextureGenerator:
    """Make the network with weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TextureGenerator(config, exemplar, seed)


def _require(config: Config, exemplar: Tensor) -> None:
    if exemplar.ndim != 3 or not exemplar.is_floating_point():
        raise ValueError(
            f"the exemplar must be floats (c, h, w), got {exemplar.dtype} {tuple(exemplar.shape)}"
        )
    c, unit = config, 1 << (config.levels - 1)
    for what, side in (("the exemplar's side", min(exemplar.shape[1:])), ("side", c.side)):
        if side >> (c.scales - 1) < c.patch:
            raise ValueError(
                f"patches of {c.patch} pixels do not fit into {what} {side} at {c.scales} scales: "
                "take fewer scales"
            )
    if c.side % unit:
        raise ValueError(f"side must be a multiple of {unit} = 2^(levels - 1), got {c.side}")
