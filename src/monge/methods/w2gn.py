"""W2GN: the optimal map as the gradient of a convex potential, its inverse as that of the conjugate.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021    [korotin2021]

==========  ============================================================
symbol      here
==========  ============================================================
P, Q        the origin, normal noise unless the data are a `Pair`, and the data
ψ_θ         ``potential``; ∇ψ_θ moves P to Q
ψ̄_ω        ``conjugate``; ∇ψ̄_ω moves Q to P, and is the inverse of ∇ψ_θ when both are optimal
λ           ``config.cycle``
==========  ============================================================

By duality W₂²(P, Q) = E‖x‖² + E‖y‖² − 2 min_ψ (E ψ(x) + E ψ*(y)), and ψ*(y) is ⟨y, t⟩ − ψ(t) at t = ∇ψ*(y). The conjugate network
supplies that t. It is held to be the inverse by the cycle term alone, so nothing is maximised: this is no game.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen
from monge.data import Draw, generator
from monge.nets import EMA, DenseICNN, linear_decay


class Config(Frozen):
    """Wasserstein-2 generative network."""

    name: Literal["w2gn"] = "w2gn"
    cycle: float = Field(1.0, gt=0)
    """λ, weight of the cycle term."""
    two_sided: bool = False
    """Ask for the cycle P → Q → P too."""
    start: Literal["gaussian", "identity"] = "gaussian"
    """The map to begin with: the optimal one between Gaussians of the data's moments, or x itself."""
    batch: int = Field(1024, ge=2)
    """Global batch."""
    lr: float = Field(1e-3, gt=0)
    """Adam learning rate of both potentials; decays linearly over the second half."""
    widths: tuple[int, ...] = (128, 128, 64)
    """Widths of the potentials' layers."""
    rank: int = Field(3, ge=1)
    """Squares in each quadratic skip layer."""
    strong: float = Field(1e-6, ge=0)
    """Modulus of strong convexity."""
    spread: float = Field(0.7, gt=0)
    """Standard deviation of the potentials' projections of standardised points, at the start."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay of the averaged potentials that map and sample."""
    sharpen: int = Field(0, ge=0)
    """Descent steps by which ∇ψ(t) = y is solved from the conjugate network's guess in the inverse map; 0 is the paper's."""


class W2GN(nn.Module):
    """Minimise E ψ(x) − E ψ(∇ψ̄(y)) + λ E‖∇ψ(∇ψ̄(y)) − y‖², the second term in θ only.

    Parameters
    ----------
    config : Config
    potential, conjugate : DenseICNN

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(batch=32, widths=(8, 4)), shape=(2,))
    >>> scalars = method.step(Draw(load("8gaussians"), seed=0, step=0))
    >>> x = method.inverse_transform(method.sample(5))
    >>> x.shape
    torch.Size([5, 2])
    """

    def __init__(self, config: Config, potential: DenseICNN, conjugate: DenseICNN) -> None:
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
        y, x = draw.data(c.batch), draw.origin(c.batch)
        if draw.step == 0 and c.start == "gaussian":
            self.start_at(*ot.gaussian_maps(parallel.gather(x), parallel.gather(y)))

        back = self.conjugate.gradient(y)  # ∇ψ̄(y)
        duality = self.potential(x) - self.potential(back.detach())  # ψ(x) + ψ*(y) − ⟨y, ∇ψ̄(y)⟩
        cycle = (self.potential.gradient(back) - y).square().sum(1)
        if c.two_sided:
            cycle = cycle + (self.conjugate.gradient(self.potential.gradient(x)) - x).square().sum(1)
        duality, cycle = parallel.gather(duality).mean(), parallel.gather(cycle).mean()
        loss = duality + c.cycle * cycle

        norm = parallel.descend(self.optimizers["potentials"], loss)
        for net, average in ((self.potential, self.forward_map), (self.conjugate, self.inverse_map)):
            net.project()
            average.update(net)
        return {"loss": loss.detach(), "cycle": cycle.detach(), "generator_grad": norm}

    def start_at(self, forward: ot.AffineMap, back: ot.AffineMap) -> None:
        """Begin with an affine map P → Q and its inverse, both symmetric."""
        for net, affine, average in (
            (self.potential, forward, self.forward_map),
            (self.conjugate, back, self.inverse_map),
        ):
            net.start_at(affine.matrix, affine.shift)
            average.net.load_state_dict(net.state_dict())

    def transform(self, x: Tensor) -> Tensor:
        """∇ψ(x): points of P, (n, d), moved to Q."""
        return _averaged(self.forward_map).gradient(x)

    def inverse_transform(self, y: Tensor) -> Tensor:
        """∇ψ̄(y): points of Q, (n, d), moved to P; with ``config.sharpen``, descended to where ∇ψ(t) = y."""
        guess = _averaged(self.inverse_map).gradient(y)
        if not self.config.sharpen:
            return guess
        return ot.conjugate(self.transform, y, init=guess, tol=0, max_iter=self.config.sharpen).point

    @torch.no_grad()
    def w2_squared(self, x: Tensor, y: Tensor) -> Tensor:
        """Estimate of W₂²(P, Q) from samples x and y of the two, (n, d) and (m, d), by the dual."""
        return ot.dual_w2_squared(_averaged(self.forward_map), x, y, self.inverse_transform(y))

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n points of normal noise, moved; a function of the seed."""
        like = next(self.forward_map.parameters())
        z = torch.randn(n, self.potential.dim, generator=generator(seed)).to(like)
        return torch.cat([self.transform(block) for block in z.split(10_000)])


def _averaged(average: EMA) -> DenseICNN:
    assert isinstance(average.net, DenseICNN)
    return average.net


def build(config: Config, shape: tuple[int, ...]) -> W2GN:
    """Make the potentials, for points of ``shape`` (d,)."""
    if len(shape) != 1:
        raise ValueError(f"w2gn moves points (d,), got samples of shape {shape}: flatten them, or move their codes")
    nets = [DenseICNN(shape[0], config.widths, config.rank, config.strong, config.spread) for _ in range(2)]
    return W2GN(config, *nets)
