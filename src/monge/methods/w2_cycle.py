r"""Unpaired image-to-image translation with two networks: the gradient of one convex potential each way.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021    [korotin2021]
    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023                          [amos2023]

==========  ======================================================================================
symbol      here
==========  ======================================================================================
A, B        two collections of pictures, unpaired: the origin and the target of a `monge.data.Pair`
ψ_θ         ``potential``; ∇ψ turns pictures of A into pictures of B
ψ̄_ω         ``conjugate``; ∇ψ̄ turns B into A, and is the inverse of ∇ψ when both are optimal
t(y)        ∇ψ̄(y), improved by ``config.refine`` descent steps towards ∇ψ(t) = y
λ           ``config.cycle``
D           numbers in a picture; all terms are divided by it
==========  ======================================================================================

By duality W₂²(A, B) = E‖x‖² + E‖y‖² − 2 min_ψ (E ψ(x) + E ψ*(y)), and ψ*(y) = ⟨y, t⟩ − ψ(t) at ∇ψ(t) = y: ψ has no opponent.
W2GN takes t = ∇ψ̄(y) as it is and binds ψ by the cycle term; here t is improved first and both cycles bind ψ̄ alone, which should
be an inverse of ψ in any case. It spares ψ's second derivatives on pictures.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen
from monge.data import Draw
from monge.errors import MongeError
from monge.nets import EMA, ConvICNN, linear_decay

_LOOK = 512  # pictures of either collection whose colours are measured before the first step


class Config(Frozen):
    """Two-network unpaired image-to-image."""

    name: Literal["w2_cycle"] = "w2_cycle"
    cycle: float = Field(1.0, ge=0)
    """λ, weight of the cycle A → B → A; the cycle B → A → B always has weight 1."""
    refine: int = Field(1, ge=0)
    """Descent steps from ∇ψ̄(y) to the conjugate's point, in training."""
    sharpen: int = Field(10, ge=0)
    """The same in the map from B to A."""
    start: Literal["colours", "identity"] = "colours"
    """The map to begin with: the optimal one between Gaussians of the pixels' colours, or x itself."""
    batch: int = Field(8, ge=2)
    """Global batch of each collection."""
    lr: float = Field(5e-3, gt=0)
    """Adam learning rate of both potentials; decays linearly over the second half."""
    widths: tuple[int, ...] = Field((16, 16, 32, 32, 32), min_length=1)
    """Channels of the convolutional layers."""
    strides: tuple[int, ...] = Field((1, 1, 2, 2, 2), min_length=1)
    """Their strides, 1 or even; their product divides the size of the pictures."""
    rank: int = Field(1, ge=1)
    """Squares in each quadratic skip layer."""
    head: tuple[int, ...] = Field((64, 32), min_length=1)
    """Widths of the dense network that sees the averaged picture."""
    grid: int = Field(4, ge=1)
    """Side of the averaged picture, a divisor of the size."""
    strong: float = Field(1e-6, ge=0)
    """Modulus of strong convexity."""
    spread: float = Field(0.5, gt=0)
    """Size of the initial filters."""
    ema: float = Field(0.99, ge=0, lt=1)
    """Decay of the averaged potentials that map."""

    @model_validator(mode="after")
    def _one_stride_for_each_width(self) -> Config:
        if len(self.strides) != len(self.widths):
            raise ValueError(f"{len(self.widths)} widths need as many strides, got {len(self.strides)}")
        return self


class W2Cycle(nn.Module):
    """Minimise E ψ(x) − E ψ(t(y)) in θ, and E‖∇ψ̄(y) − t(y)‖² + λ E‖∇ψ̄(∇ψ(x)) − x‖² in ω.

    Parameters
    ----------
    config : Config
    potential, conjugate : ConvICNN

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=4, widths=(4, 4), strides=(1, 2), head=(4,), grid=2), shape=(1, 8, 8))
    >>> scalars = method.step(Draw(load("digits"), seed=0, step=0))
    >>> method.transform(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(self, config: Config, potential: ConvICNN, conjugate: ConvICNN) -> None:
        super().__init__()
        self.config, self.potential, self.conjugate = config, potential, conjugate
        self.forward_map, self.inverse_map = EMA(potential, config.ema), EMA(conjugate, config.ema)
        groups = [
            {"params": list(potential.parameters()), "betas": (0.8, 0.99)},
            {"params": list(conjugate.parameters()), "betas": (0.4, 0.4)},
        ]
        self.optimizers = {"potentials": torch.optim.Adam(groups, lr=config.lr)}

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One descent step on θ and ω."""
        c = self.config
        linear_decay(self.optimizers["potentials"], c.lr, draw.progress)
        if draw.step == 0 and c.start == "colours":
            self._start(*(parallel.gather(pictures(_LOOK)) for pictures in (draw.origin, draw.data)))
        x, y = draw.origin(c.batch), draw.data(c.batch)

        guess = self.conjugate.gradient(y)
        t, residual = _inverted(self.potential, y, guess, c.refine)
        duality = self.potential(x) - self.potential(t)  # ψ(x) + ψ*(y) − ⟨y, t⟩, t fixed by the envelope theorem
        amortisation = (guess - t).square().flatten(1).sum(1)  # cycle B → A → B
        with torch.no_grad():
            moved = self.potential.gradient(x)
        cycle = (self.conjugate.gradient(moved) - x).square().flatten(1).sum(1)  # cycle A → B → A
        means = [parallel.gather(term).mean() / x[0].numel() for term in (duality, amortisation, cycle)]

        norm = parallel.descend(self.optimizers["potentials"], means[0] + means[1] + c.cycle * means[2])
        for net, average in ((self.potential, self.forward_map), (self.conjugate, self.inverse_map)):
            net.project()
            average.update(net)
        return {
            "loss": means[0].detach(),
            "amortisation": means[1].detach(),
            "cycle": means[2].detach(),
            "residual": parallel.gather(residual).mean(),
            "generator_grad": norm,
        }

    def transform(self, x: Tensor) -> Tensor:
        """∇ψ(x): pictures of A, (n, c, s, s) in [−1, 1], as pictures of B; a few values lie outside [−1, 1]."""
        return _averaged(self.forward_map).gradient(x)

    def inverse_transform(self, y: Tensor) -> Tensor:
        """∇ψ*(y): pictures of B as pictures of A, found by ``config.sharpen`` descent steps from ∇ψ̄(y)."""
        guess = _averaged(self.inverse_map).gradient(y)
        return _inverted(_averaged(self.forward_map), y, guess, self.config.sharpen)[0]

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Refuse: this method turns given pictures into others."""
        raise MongeError(
            f"w2_cycle cannot make {n} samples (seed {seed}) out of nothing: give it pictures of a pair to transform"
        )

    @torch.no_grad()
    def _start(self, x: Tensor, y: Tensor) -> None:
        """Begin with the optimal map between Gaussians of the colours of x and y."""
        A, B = _colours(x), _colours(y)
        for net, average, affine in (
            (self.potential, self.forward_map, ot.gaussian_map(*A, *B)),
            (self.conjugate, self.inverse_map, ot.gaussian_map(*B, *A)),
        ):
            net.start_at(affine.matrix, affine.shift)
            average.net.load_state_dict(net.state_dict())


def _inverted(net: ConvICNN, y: Tensor, guess: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """t with ∇ψ(t) = y, as far as ``steps`` come, and the root mean square of what is left, (n,)."""

    def gradient(t: Tensor) -> Tensor:
        return net.gradient(t.view_as(y)).flatten(1)

    found = ot.conjugate(gradient, y.flatten(1), init=guess.flatten(1), tol=0, max_iter=steps)
    return found.point.view_as(y), found.residual / y[0].numel() ** 0.5


def _averaged(average: EMA) -> ConvICNN:
    assert isinstance(average.net, ConvICNN)
    return average.net


def _colours(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the channels over all pixels."""
    pixels = x.movedim(1, 0).flatten(1)
    covariance = torch.atleast_2d(pixels.cov())
    ridge = 1e-6 + 1e-6 * covariance.diagonal().mean()  # for grey pictures in three channels
    return pixels.mean(1), covariance + ridge * torch.eye(len(pixels)).to(x)


def build(config: Config, shape: tuple[int, ...]) -> W2Cycle:
    """Make the potentials, for square pictures of ``shape`` (c, s, s)."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(
            f"w2_cycle moves square pictures (c, s, s), got samples of shape {shape}: crop or resize with --data.size"
        )
    c = config
    nets = [ConvICNN(shape[0], shape[1], c.widths, c.strides, c.rank, c.head, c.grid, c.strong, c.spread) for _ in range(2)]
    return W2Cycle(config, *nets)
