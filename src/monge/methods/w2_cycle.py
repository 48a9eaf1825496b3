r"""Unpaired image-to-image translation with two networks: the gradient of one convex potential each
way.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021
        [korotin2021]
    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023 [amos2023]

==========  ======================================================================================
symbol      here
==========  ======================================================================================
A, B        two collections of pictures, unpaired: the origin and the target of a
            `monge.data.SourceTarget`
ψ_θ         ``potential``; ∇ψ turns pictures of A into pictures of B
ψ̄_ω         ``conjugate``; ∇ψ̄ turns B into A, and is the inverse of ∇ψ when both are optimal
t(y)        ∇ψ̄(y), improved by ``config.refine`` descent steps toward ∇ψ(t) = y
λ           ``config.cycle``
D           numbers in a picture; all terms are divided by it
==========  ======================================================================================

By duality W₂²(A, B) = E‖x‖² + E‖y‖² − 2 min_ψ (E ψ(x) + E ψ*(y)), and ψ*(y) = ⟨y, t⟩ − ψ(t) at
∇ψ(t) = y: ψ has no opponent. W2GN takes t = ∇ψ̄(y) as it is and binds ψ by the cycle term; here t
is improved first and both cycles bind ψ̄ alone, which should be an inverse of ψ in any case. It
spares ψ's second derivatives on pictures.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Decay, Frozen
from monge.data import StepInputs
from monge.nets import ConvICNN, ConvPotentialNets, Potentials
from monge.optim import PotentialAdam

_LOOK = 512  # pictures of either collection whose colors are measured before the first step


class Config(Frozen):
    """Two-network unpaired image-to-image."""

    name: Literal["w2_cycle"] = "w2_cycle"
    # λ, weight of the cycle A → B → A; the cycle B → A → B always has weight 1.
    cycle: float = Field(1.0, ge=0)
    refine: int = Field(1, ge=0)  # Descent steps from ∇ψ̄(y) to the conjugate's point, in training.
    sharpen: int = Field(10, ge=0)  # The same in the map from B to A.
    start: Literal["colours", "identity"] = (
        "colours"  # First map: optimal between Gaussians of pixels' colors, or x itself.
    )
    batch: int = Field(8, ge=2)  # Global batch of each collection.
    adam: PotentialAdam = PotentialAdam(lr=5e-3)
    nets: ConvPotentialNets = ConvPotentialNets()
    ema: Decay = 0.99


TINY = Config(batch=4, nets={"widths": (4, 4), "strides": (1, 2), "head": (4,), "grid": 2})


class W2Cycle(nn.Module):
    """Minimize E ψ(x) − E ψ(t(y)) in θ, and E‖∇ψ̄(y) − t(y)‖² + λ E‖∇ψ̄(∇ψ(x)) − x‖² in ω.

    >>> from monge.data import load
    >>> method = build(TINY, shape=(1, 8, 8))
    >>> scalars = method.step(StepInputs(load("digits"), seed=0, step=0))
    >>> method.transform(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(self, config: Config, potential: ConvICNN, conjugate: ConvICNN) -> None:
        super().__init__()
        self.config, self.potential, self.conjugate = config, potential, conjugate
        self.pair = Potentials(potential, conjugate, config.ema)
        self.forward_map, self.inverse_map = self.pair.averages
        self.optimizers = {"potentials": config.adam.make(potential, conjugate)}

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """One descent step on θ and ω."""
        c = self.config
        c.adam.decay(self.optimizers["potentials"], inputs.progress)
        if inputs.step == 0 and c.start == "colours":
            A, B = (
                _colors(parallel.gather(pictures(_LOOK)))
                for pictures in (inputs.source, inputs.data)
            )
            self.pair.start_at(ot.gaussian_map(*A, *B), ot.gaussian_map(*B, *A))
        x, y = inputs.source(c.batch), inputs.data(c.batch)

        guess = self.conjugate.gradient(y)
        t, residual = _inverted(self.potential, y, guess, c.refine)
        # ψ(x) + ψ*(y) − ⟨y, t⟩, t fixed by the envelope theorem
        duality = self.potential(x) - self.potential(t)
        amortisation = (guess - t).square().flatten(1).sum(1)  # cycle B → A → B
        with torch.no_grad():
            moved = self.potential.gradient(x)
        cycle = (self.conjugate.gradient(moved) - x).square().flatten(1).sum(1)  # cycle A → B → A
        terms = {"loss": duality, "amortisation": amortisation, "cycle": cycle}
        means = {name: parallel.gather(term).mean() / x[0].numel() for name, term in terms.items()}

        loss = means["loss"] + means["amortisation"] + c.cycle * means["cycle"]
        norm = parallel.descend(self.optimizers["potentials"], loss)
        self.pair.update()
        logged = {name: mean.detach() for name, mean in means.items()}
        return {**logged, "residual": parallel.gather(residual).mean(), "generator_grad": norm}

    def transform(self, x: Tensor) -> Tensor:
        """∇ψ(x): pictures of A, (n, c, s, s) in [−1, 1], as pictures of B; a few values lie outside
        [−1, 1].
        """
        return self.forward_map.net.gradient(x)

    def inverse_transform(self, y: Tensor) -> Tensor:
        """∇ψ*(y): pictures of B as pictures of A, found by ``config.sharpen`` descent steps from
        ∇ψ̄(y).
        """
        guess = self.inverse_map.net.gradient(y)
        return _inverted(self.forward_map.net, y, guess, self.config.sharpen)[0]


def _inverted(net: ConvICNN, y: Tensor, guess: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """t with ∇ψ(t) = y, as far as ``steps`` come, and the root mean square of what is left, (n,)."""

    def gradient(t: Tensor) -> Tensor:
        return net.gradient(t.view_as(y)).flatten(1)

    found = ot.conjugate(gradient, y.flatten(1), init=guess.flatten(1), tol=0, max_iter=steps)
    return found.point.view_as(y), found.residual / y[0].numel() ** 0.5


def _colors(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the channels over all pixels."""
    pixels = x.movedim(1, 0).flatten(1)
    covariance = torch.atleast_2d(pixels.cov())
    ridge = 1e-6 + 1e-6 * covariance.diagonal().mean()  # for gray pictures in three channels
    return pixels.mean(1), covariance + ridge * torch.eye(len(pixels)).to(x)


def build(config: Config, shape: tuple[int, ...]) -> W2Cycle:
    """Make the potentials, for square pictures of ``shape`` (c, s, s)."""
    return W2Cycle(config, *config.nets.pair(shape))
