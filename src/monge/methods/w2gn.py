"""W2GN: an optimal map as the gradient of a convex potential, and its inverse as another's.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021
        [korotin2021]

==========  =================================================================================
symbol      here
==========  =================================================================================
P, Q        the source (normal noise unless the data are a `SourceTarget`), and the data
ψ_θ         ``potential``; ∇ψ_θ maps P to Q
ψ̄_ω         ``conjugate``; ∇ψ̄_ω maps Q to P, and is the inverse of ∇ψ_θ when both are optimal
λ           ``config.cycle``
==========  =================================================================================

By duality W₂²(P, Q) = E‖x‖² + E‖y‖² − 2 min_ψ (E ψ(x) + E ψ*(y)), and ψ*(y) = ⟨y, t⟩ − ψ(t) at
t = ∇ψ*(y). The conjugate network provides that t, and the cycle term makes it the inverse. Nothing
is maximized, so training is not a game.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Batch, Decay, Frozen
from monge.data import StepInputs
from monge.nets import DenseICNN, PotentialNets, Potentials
from monge.optim import PotentialAdam


class Config(Frozen):
    """Wasserstein-2 generative network."""

    name: Literal["w2gn"] = "w2gn"
    cycle: float = Field(1.0, gt=0)  # λ, weight of the cycle term.
    two_sided: bool = False  # Add a cycle term for P → Q → P.
    #: Initial map: optimal between Gaussians with the moments of P and Q, or the identity.
    start: Literal["gaussian", "identity"] = "gaussian"
    batch: Batch = 1024
    adam: PotentialAdam = PotentialAdam(lr=1e-3)
    nets: PotentialNets = PotentialNets(rank=3)
    ema: Decay = 0.999
    #: Descent steps from ∇ψ̄(y) toward ∇ψ(t) = y in the inverse map; the paper has 0.
    sharpen: int = Field(0, ge=0)


TINY = Config(batch=16, two_sided=True, nets={"widths": (8, 4)})


class W2GN(nn.Module):
    """Minimize E ψ(x) − E ψ(∇ψ̄(y)) + λ E‖∇ψ(∇ψ̄(y)) − y‖², the second term in θ only.

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> sorted(method.step(StepInputs(load("8gaussians"), seed=0, step=0)))
    ['cycle', 'generator_grad', 'loss']
    >>> method.inverse_transform(method.sample(5)).shape
    torch.Size([5, 2])
    """

    def __init__(self, config: Config, potential: DenseICNN, conjugate: DenseICNN) -> None:
        super().__init__()
        self.config, self.potential, self.conjugate = config, potential, conjugate
        self.pair = Potentials(potential, conjugate, config.ema)
        self.forward_map, self.inverse_map = self.pair.averages
        self.optimizers = {"potentials": config.adam.make(potential, conjugate)}

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a descent step on θ and ω."""
        c = self.config
        c.adam.decay(self.optimizers["potentials"], inputs.progress)
        y, x = inputs.data(c.batch), inputs.source(c.batch)
        if inputs.step == 0 and c.start == "gaussian":
            self.pair.start_at(*ot.gaussian_maps(parallel.gather(x), parallel.gather(y)))

        back = self.conjugate.gradient(y)  # ∇ψ̄(y)
        duality = self.potential(x) - self.potential(back.detach())  # ψ(x) + ψ*(y) − ⟨y, ∇ψ̄(y)⟩
        cycle = (self.potential.gradient(back) - y).square().sum(1)
        if c.two_sided:
            there_and_back = self.conjugate.gradient(self.potential.gradient(x))
            cycle = cycle + (there_and_back - x).square().sum(1)
        duality, cycle = parallel.gather(duality).mean(), parallel.gather(cycle).mean()
        loss = duality + c.cycle * cycle

        norm = parallel.descend(self.optimizers["potentials"], loss)
        self.pair.update()
        return {"loss": loss.detach(), "cycle": cycle.detach(), "generator_grad": norm}

    def transform(self, x: Tensor) -> Tensor:
        """Return ∇ψ(x), which maps points (n, d) of P to Q."""
        return self.forward_map.net.gradient(x)

    def inverse_transform(self, y: Tensor) -> Tensor:
        """Return ∇ψ̄(y), which maps points (n, d) of Q to P.

        With ``config.sharpen``, it is improved by descent steps toward ∇ψ(t) = y.
        """
        guess, steps = self.inverse_map.net.gradient(y), self.config.sharpen
        if not steps:
            return guess
        return ot.conjugate(self.transform, y, init=guess, tol=0, max_iter=steps).point

    @torch.no_grad()
    def w2_squared(self, x: Tensor, y: Tensor) -> Tensor:
        """Estimate W₂²(P, Q) by the dual, from samples (n, d) of P and (m, d) of Q."""
        return ot.dual_w2_squared(self.forward_map.net, x, y, self.inverse_transform(y))

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n points of normal noise mapped to Q, a function of the seed."""
        return self.pair.sample(n, self.potential.dim, seed)


def build(config: Config, shape: tuple[int, ...]) -> W2GN:
    """Build the potentials, for points of ``shape`` (d,)."""
    return W2GN(config, *config.nets.pair(shape))
