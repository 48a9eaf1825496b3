r"""A generator of textures of any size, trained without a discriminator.

    Houdard, Leclaire, Papadakis & Rabin, "Wasserstein generative models for patch-based texture
        synthesis", SSVM 2021 [houdard2021], the objective
    Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture networks: feed-forward synthesis of textures and
        stylized images", ICML 2016 [ulyanov2016], the network

==========  ======================================================================================
symbol      here
==========  ======================================================================================
g_θ         ``generator``, a `monge.nets.TextureNet`; `sample` uses the ``average`` of its weights
S_l, P_i    scale l and patch i of a picture, see `monge.nets.patches`
ν_l         ``config.targets`` patches y of the exemplar at scale l, with equal weights b
ψ_l         potential of ν_l, in ``matchings[l].law``, a `monge.ot.SemiDiscrete`
==========  ======================================================================================

In each step ψ_l is balanced on generated patches, by fixed-point steps at a small ε instead of the
authors' averaged gradient ascent. Then θ descends the cost of moving each patch to the target of
the Laguerre cell that contains it.
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
_TARGETS = 4  # stream of random numbers

NOT_IN_RECIPES = "it learns from one picture, see 'monge texture train'"


class Config(Frozen):
    """Texture generator by patch transport."""

    name: Literal["texture_generator"] = "texture_generator"
    patch: int = Field(8, ge=2, le=32)  # Side of the patches.
    #: Side of additional, smaller patches at the two finest scales, for fine grain; 0: none.
    detail: int = Field(3, ge=0, le=32)
    scales: int = Field(4, ge=1)  # Scales of the pyramid at which patches are matched.
    #: Number of patches of the exemplar, a sample of all of its patches at a scale.
    targets: int = Field(1500, ge=16)
    #: Number of generated patches on which ψ is balanced, some of earlier steps if necessary.
    points: int = Field(960, ge=16)
    sweeps: int = Field(5, ge=1)  # Fixed-point steps on ψ for one of θ.
    #: ε of those steps, in mean squared distances of a target to its third neighbor.
    blur: float = Field(0.5, gt=0)
    batch: int = Field(2, ge=1)  # Pictures in a step.
    side: int = Field(128, ge=8)  # Side of those pictures.
    lr: float = Field(5e-3, gt=0)  # Adam learning rate; decays linearly over the second half.
    ema: float = Field(0.99, ge=0, lt=1)  # Decay of the generator average that samples.
    #: Levels of noise, each half the next; sides of tiles are multiples of 2^(levels − 1) pixels.
    levels: int = Field(5, ge=1, le=10)
    width: int = Field(16, ge=1)  # Features of the generator's finest level.
    noise: int = Field(4, ge=1)  # Noise numbers for each position of a level.


TINY = Config(
    patch=4, detail=2, scales=2, side=32, levels=3, width=4, targets=100, points=64, batch=1
)


class TextureGenerator(nn.Module):
    r"""Minimize the patch transport from generated pictures to an exemplar, at several scales.

    .. math::

        \min_\theta \sum_l \max_{\psi_l}
        \mathbb{E}\,\psi_l^c(P S_l g_\theta(z)) + \langle b, \psi_l \rangle

    The exemplar (c, h, w) has values in about [0, 1]. The seed selects the patches used as targets.

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
        adam = torch.optim.Adam(self.generator.parameters(), lr=config.lr, betas=(0.9, 0.99))
        self.optimizers = {"generator": adam}

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Balance ψ_l on the patches of a batch, then take a descent step on θ."""
        c = self.config
        linear_decay(self.optimizers["generator"], c.lr, inputs.progress)
        shapes = self.generator.noise_shapes((c.side, c.side))
        noise = [inputs.noise(c.batch, *shape) for shape in shapes]
        shift = [int(s) for s in (inputs.uniform(1, 2)[0] * c.side)]
        # a random shift, because patches are taken on a grid
        x = self.generator(noise).roll(shift, (2, 3))
        levels, costs = pyramid(x, c.scales, torus=True), {}
        for (name, level), matching in zip(self.names, self.matchings, strict=True):
            costs[name] = matching(levels[level])
        loss = torch.stack([*costs.values()]).sum()
        norm = parallel.descend(self.optimizers["generator"], loss)
        self.average.update(self.generator)
        scalars = {name: cost.detach() for name, cost in costs.items()}
        return {"loss": loss.detach(), **scalars, "generator_grad": norm}

    def sample(
        self, n: int, seed: int = 0, *, size: tuple[int, int] | None = None, tile: bool = False
    ) -> Tensor:
        """Return n pictures (n, c, h, w) of the averaged generator, see `make`."""
        net = self.average.net.eval()
        side = self.config.side
        return torch.stack([make(net, size or (side, side), seed, k, tile=tile) for k in range(n)])


class _Matching(nn.Module):
    """One scale: ν_l with ψ_l, and patches of recent steps.

    The recent patches are used where the pictures of a step have few patches. If ψ were balanced on
    those few, every picture would have to show each part of the exemplar equally often, and the
    generator would place the parts on a grid.
    """

    recent: Tensor
    known: Tensor

    def __init__(
        self, x: Tensor, side: int, patch: int, config: Config, rng: torch.Generator
    ) -> None:
        super().__init__()
        y = random_patches(x[0], patch, config.targets, rng)
        # ν_l; named as in 0.1.0, because the name is a key of checkpoints
        self.law = SemiDiscrete(y, epsilon=matching_blur(y, config.blur, rows=len(y)))
        self.patch, self.sweeps = patch, config.sweeps

        def count(stride: int) -> int:
            return config.batch * (-(-side // stride)) ** 2

        strides = (s for s in range(1, side + 1) if count(s) >= config.points)
        self.stride = max(strides, default=1)
        missing = max(0, config.points - count(self.stride))
        self.register_buffer("recent", y.new_zeros(missing, y.shape[1]))
        self.register_buffer("known", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean squared difference of a pixel of x to that of the matched target."""
        nu, points = self.law, patches(x, self.patch, stride=self.stride, torus=True).flatten(0, 1)
        levels = 0 if nu.potential.any() else _LEVELS
        batch = torch.cat([points.detach(), self.recent[: int(self.known)]])
        nu.balance(batch, n_iter=self.sweeps, relaxation=_RELAXATION, n_levels=levels)
        self.known.fill_(min(len(batch), len(self.recent)))
        self.recent[: int(self.known)] = batch[: int(self.known)]
        return (points - nu.y[nu.assign(points)]).square().mean()


@torch.no_grad()
def make(
    net: TextureNet, size: tuple[int, int], seed: int = 0, index: int = 0, *, tile: bool = False
) -> Tensor:
    """Return a picture (c, h, w) of a generator in evaluation mode, a function of (seed, index).

    If a side is not a multiple of ``net.unit``, the picture is cropped from a larger one. With
    ``tile`` such a size is a ValueError.

    >>> make(TextureNet(3, levels=3, width=4).eval(), (20, 30)).shape
    torch.Size([3, 20, 30])
    """
    h, w = size
    whole = size if tile else (-(-h // net.unit) * net.unit, -(-w // net.unit) * net.unit)
    noise = [
        torch.randn(1, *shape, generator=rng(seed, index, k)).to(net.colours.weight)
        for k, shape in enumerate(net.noise_shapes(whole))
    ]
    return net(noise)[0, :, :h, :w]


def sampling_memory(net: TextureNet, size: tuple[int, int]) -> int:
    """Return the approximate peak memory of `make` in bytes.

    It is four times that of the features of the finest level.
    """
    wide = net.blocks[-1][0].convolution.weight.shape[1]  # type: ignore[index]
    return 4 * 4 * wide * size[0] * size[1]


def build(config: Config, exemplar: Tensor, seed: int = 0) -> TextureGenerator:
    """Build the networks, with initial weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TextureGenerator(config, exemplar, seed)


def _require(config: Config, exemplar: Tensor) -> None:
    if exemplar.ndim != 3 or not exemplar.is_floating_point():
        raise ValueError(
            f"the exemplar must be floats (c, h, w), got {exemplar.dtype} {tuple(exemplar.shape)}"
        )
    c, unit = config, 1 << (config.levels - 1)
    for name, side in (("the exemplar's side", min(exemplar.shape[1:])), ("side", c.side)):
        if side >> (c.scales - 1) < c.patch:
            raise ValueError(
                f"patches of {c.patch} pixels do not fit into {name} {side} at {c.scales} scales: "
                "take fewer scales"
            )
    if c.side % unit:
        raise ValueError(f"side must be a multiple of {unit} = 2^(levels - 1), got {c.side}")
