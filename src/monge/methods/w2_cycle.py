r"""Unpaired image-to-image translation by the gradients of two convex potentials.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021
        [korotin2021]
    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023 [amos2023]

==========  ======================================================================================
symbol      here
==========  ======================================================================================
A, B        two unpaired collections of pictures, source and target of a `monge.data.SourceTarget`
ψ_θ         ``potential``; ∇ψ maps pictures of A to pictures of B
ψ̄_ω         ``conjugate``; ∇ψ̄ maps B to A, and is the inverse of ∇ψ when both are optimal
t(y)        ∇ψ̄(y), improved by ``config.refine`` descent steps toward ∇ψ(t) = y
λ           ``config.cycle``
D           numbers in a picture; all terms are divided by it
==========  ======================================================================================

By duality W₂²(A, B) = E‖x‖² + E‖y‖² − 2 min_ψ (E ψ(x) + E ψ*(y)), and ψ*(y) = ⟨y, t⟩ − ψ(t) at
∇ψ(t) = y, so that nothing is maximized. W2GN takes t = ∇ψ̄(y) and trains ψ on the cycle term, too.
Here t is improved first and both cycles train ψ̄ alone, the inverse. This avoids second derivatives
of ψ on pictures.
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

_PICTURES = 512  # pictures of each collection for the moments of the initial map of colors


class Config(Frozen):
    """Unpaired image-to-image translation by two convex potentials."""

    name: Literal["w2_cycle"] = "w2_cycle"
    #: λ, weight of the cycle A → B → A; the cycle B → A → B always has weight 1.
    cycle: float = Field(1.0, ge=0)
    #: Descent steps from ∇ψ̄(y) to the point where the conjugate is attained, in training.
    refine: int = Field(1, ge=0)
    sharpen: int = Field(10, ge=0)  # The same in the map from B to A.
    #: Initial map: optimal between Gaussians of the pixels' colors, or the identity.
    start: Literal["colours", "identity"] = "colours"
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
        """Take a descent step on θ and ω."""
        c = self.config
        c.adam.decay(self.optimizers["potentials"], inputs.progress)
        if inputs.step == 0 and c.start == "colours":
            A = _color_moments(parallel.gather(inputs.source(_PICTURES)))
            B = _color_moments(parallel.gather(inputs.data(_PICTURES)))
            self.pair.start_at(ot.gaussian_map(*A, *B), ot.gaussian_map(*B, *A))
        x, y = inputs.source(c.batch), inputs.data(c.batch)

        guess = self.conjugate.gradient(y)
        t, residual = _invert(self.potential, y, guess, c.refine)
        # ψ(x) + ψ*(y) − ⟨y, t⟩, with t fixed by the envelope theorem
        duality = self.potential(x) - self.potential(t)
        amortisation = (guess - t).square().flatten(1).sum(1)  # cycle B → A → B
        with torch.no_grad():
            mapped = self.potential.gradient(x)
        cycle = (self.conjugate.gradient(mapped) - x).square().flatten(1).sum(1)  # cycle A → B → A
        terms = {"loss": duality, "amortisation": amortisation, "cycle": cycle}
        means = {name: parallel.gather(term).mean() / x[0].numel() for name, term in terms.items()}

        loss = means["loss"] + means["amortisation"] + c.cycle * means["cycle"]
        norm = parallel.descend(self.optimizers["potentials"], loss)
        self.pair.update()
        logged = {name: mean.detach() for name, mean in means.items()}
        return {**logged, "residual": parallel.gather(residual).mean(), "generator_grad": norm}

    def transform(self, x: Tensor) -> Tensor:
        """Return ∇ψ(x), which maps pictures (n, c, s, s) of A in [−1, 1] to B.

        A few values of the result lie outside [−1, 1].
        """
        return self.forward_map.net.gradient(x)

    def inverse_transform(self, y: Tensor) -> Tensor:
        """Return ∇ψ*(y), which maps pictures of B to A, by descent from ∇ψ̄(y).

        It takes ``config.sharpen`` steps.
        """
        guess = self.inverse_map.net.gradient(y)
        return _invert(self.forward_map.net, y, guess, self.config.sharpen)[0]


def _invert(net: ConvICNN, y: Tensor, guess: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Solve ∇ψ(t) = y in ``steps`` steps; return t and the root mean squares (n,) of residuals."""

    def gradient(t: Tensor) -> Tensor:
        return net.gradient(t.view_as(y)).flatten(1)

    solution = ot.conjugate(gradient, y.flatten(1), init=guess.flatten(1), tol=0, max_iter=steps)
    return solution.point.view_as(y), solution.residual / y[0].numel() ** 0.5


def _color_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and covariance of the channels over all pixels."""
    pixels = x.movedim(1, 0).flatten(1)
    covariance = torch.atleast_2d(pixels.cov())
    ridge = 1e-6 + 1e-6 * covariance.diagonal().mean()  # for gray pictures in three channels
    return pixels.mean(1), covariance + ridge * torch.eye(len(pixels)).to(x)


def build(config: Config, shape: tuple[int, ...]) -> W2Cycle:
    """Build the potentials, for square pictures of ``shape`` (c, s, s)."""
    return W2Cycle(config, *config.nets.pair(shape))
