"""Amortized conjugates: the W₂ dual, with its inner maximum improved from a learned first guess.

    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023, algorithm 1 [amos2023]

==========  =======================================================================================
symbol      here
==========  =======================================================================================
α, β        P, the source (normal noise unless the data are a `SourceTarget`), and Q, the data
f_θ         ``potential``; ∇f maps P to Q
ỹ_φ(y)      ``guess``, the gradient of a second potential: a first guess of where f*(y) is attained
x̆(y)        that guess, improved by ``config.refine`` descent steps: argmax_x ⟨x, y⟩ − f(x)
==========  =======================================================================================

Instead of L-BFGS the descent uses Barzilai-Borwein steps, see `ot.conjugate`.
docs/methods/amortised-w2.md compares it with W2GN.
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
    """W₂ by amortized conjugates."""

    name: Literal["amortised_w2"] = "amortised_w2"
    #: Descent steps from the guess to the point where the conjugate is attained, in training.
    refine: int = Field(5, ge=0)
    sharpen: int = Field(50, ge=0)  # The same in the inverse map.
    #: Initial map: optimal between Gaussians with the moments of P and Q, or the identity.
    start: Literal["gaussian", "identity"] = "gaussian"
    batch: Batch = 1024
    adam: PotentialAdam = PotentialAdam(lr=1e-3)
    nets: PotentialNets = PotentialNets()
    ema: Decay = 0.99


TINY = Config(batch=16, nets={"widths": (8, 4)})


class AmortisedW2(nn.Module):
    """Minimize E f(x) + E f*(y) in θ, and E‖ỹ(y) − x̆(y)‖² in φ.

    >>> from monge.data import load
    >>> method = build(TINY, shape=(2,))
    >>> scalars = method.step(StepInputs(load("8gaussians"), seed=0, step=0))
    >>> method.inverse_transform(method.sample(5)).shape
    torch.Size([5, 2])
    """

    def __init__(self, config: Config, potential: DenseICNN, guess: DenseICNN) -> None:
        super().__init__()
        self.config, self.potential, self.guess = config, potential, guess
        self.pair = Potentials(potential, guess, config.ema)
        self.forward_map, self.inverse_map = self.pair.averages
        self.optimizers = {"potentials": config.adam.make(potential, guess)}

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take one iteration of Algorithm 1."""
        c = self.config
        c.adam.decay(self.optimizers["potentials"], inputs.progress)
        y, x = inputs.data(c.batch), inputs.source(c.batch)
        if inputs.step == 0 and c.start == "gaussian":
            self.pair.start_at(*ot.gaussian_maps(parallel.gather(x), parallel.gather(y)))

        guess = self.guess.gradient(y)  # line 3
        # line 4
        solution = ot.conjugate(self.potential.gradient, y, init=guess, tol=0, max_iter=c.refine)
        # line 5: f*(y) = ⟨x̆, y⟩ − f(x̆), with x̆ fixed by the envelope theorem
        duality = self.potential(x) - self.potential(solution.point)
        amortisation = (guess - solution.point).square().sum(1)  # line 6, the regression loss
        residual = parallel.gather(solution.residual).mean()
        loss, amortisation = parallel.gather(duality).mean(), parallel.gather(amortisation).mean()

        norm = parallel.descend(self.optimizers["potentials"], loss + amortisation)
        self.pair.update()
        return {
            "loss": loss.detach(),
            "amortisation": amortisation.detach(),
            "residual": residual,
            "generator_grad": norm,
        }

    def transform(self, x: Tensor) -> Tensor:
        """Return ∇f(x), which maps points (n, d) of P to Q."""
        return self.forward_map.net.gradient(x)

    def inverse_transform(self, y: Tensor) -> Tensor:
        """Return x̆(y) = ∇f*(y), which maps points (n, d) of Q to P."""
        guess, steps = self.inverse_map.net.gradient(y), self.config.sharpen
        return ot.conjugate(self.transform, y, init=guess, tol=0, max_iter=steps).point

    @torch.no_grad()
    def w2_squared(self, x: Tensor, y: Tensor) -> Tensor:
        """Estimate W₂²(P, Q) by the dual, from samples (n, d) of P and (m, d) of Q."""
        return ot.dual_w2_squared(self.forward_map.net, x, y, self.inverse_transform(y))

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n points of normal noise mapped to Q, a function of the seed."""
        return self.pair.sample(n, self.potential.dim, seed)


def build(config: Config, shape: tuple[int, ...]) -> AmortisedW2:
    """Build the networks that the configuration names, for points of ``shape`` (d,)."""
    return AmortisedW2(config, *config.nets.pair(shape))
