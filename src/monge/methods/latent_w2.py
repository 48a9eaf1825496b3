"""Latent-space transport: noise is moved optimally onto the codes of an autoencoder, and decoded.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021,
        section 5.2 [korotin2021]
    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023 [amos2023]

==========  ============================================================
symbol      here
==========  ============================================================
e, d        ``encoder`` and ``decoder``
P, Q        normal noise, and the codes e(x) with mean 0 and mean variance 1 by one shift and one
            scale
ψ           ``potential``; d ∘ ∇ψ draws pictures
A           ``gaussian``, the map from P to a Gaussian with the moments of Q: where ∇ψ begins, and
            the baseline d ∘ A
==========  ============================================================

First the autoencoder learns alone, for ``config.encode`` of the run; then it is left as it is and ψ
is found as in `monge.methods.amortised_w2`. A transported Gaussian has holes where the codes have
none, which is what d ∘ A suffers from.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Decay, Former, Frozen
from monge.data import StepInputs
from monge.nets import EMA, AutoencoderNets, DenseICNN, PotentialNets, batched
from monge.optim import Adam, PotentialAdam
from monge.rng import noise

_START = 16  # batches of codes whose moments the map begins with


class Config(Frozen):
    """Autoencoder, then transport of its codes."""

    FORMER: ClassVar[Former] = {"map_lr": "map_adam.lr"}

    name: Literal["latent_w2"] = "latent_w2"
    nets: AutoencoderNets = AutoencoderNets(latent=16)
    encode: float = Field(0.5, gt=0, lt=1)  # Share of the run that trains the autoencoder.
    # Standard deviation of noise on codes in training: neighbors must decode alike.
    code_noise: float = Field(0.1, ge=0)
    # Weight of ‖e(x)‖², which keeps the noise from being outgrown.
    code_penalty: float = Field(1e-3, ge=0)
    batch: int = Field(128, ge=2)  # Global batch of the autoencoder.
    # Adam of the autoencoder; its rate decays over the second half of its part of the run.
    adam: Adam = Adam(lr=2e-3)
    map_batch: int = Field(512, ge=2)  # Global batch of the map.
    # Adam of the map; its rate decays over the second half of its part.
    map_adam: PotentialAdam = PotentialAdam(lr=3e-3)
    potentials: PotentialNets = PotentialNets(widths=(256, 256, 128))
    refine: int = Field(5, ge=0)  # Descent steps from the guess to the conjugate's point.
    ema: Decay = 0.99


TINY = Config(
    batch=16,
    map_batch=16,
    nets={"kind": "mlp", "latent": 2, "width": 8},
    potentials={"widths": (8, 4)},
)


class LatentW2(nn.Module):
    """Minimize E‖d(e(x)) − x‖², then E ψ(z) + E ψ*(e(x)); both potentials are of codes.

    >>> from monge.data import load
    >>> method = build(TINY, (1, 8, 8))
    >>> for step in (0, 1):
    ...     scalars = method.step(StepInputs(load("digits"), seed=0, step=step, steps=2))
    >>> method.sample(5).shape, method.sample_baseline(5).shape, sorted(scalars)[0]
    (torch.Size([5, 1, 8, 8]), torch.Size([5, 1, 8, 8]), 'amortisation')
    """

    mean: Tensor
    scale: Tensor
    matrix: Tensor
    shift: Tensor
    started: Tensor

    def __init__(
        self,
        config: Config,
        encoder: nn.Module,
        decoder: nn.Module,
        potential: DenseICNN,
        guess: DenseICNN,
    ) -> None:
        super().__init__()
        self.config, self.encoder, self.decoder = config, encoder, decoder
        self.potential, self.guess, self.averaged = potential, guess, EMA(potential, config.ema)
        autoencoder = [*encoder.parameters(), *decoder.parameters()]
        self.optimizers = {
            "autoencoder": config.adam.make(autoencoder),
            "potentials": config.map_adam.make(potential, guess),
        }
        d = config.nets.latent
        moments = {
            "mean": torch.zeros(d),
            "scale": torch.ones(()),
            "matrix": torch.eye(d),
            "shift": torch.zeros(d),
        }
        for name, value in (moments | {"started": torch.zeros((), dtype=torch.bool)}).items():
            self.register_buffer(name, value)

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """One step of the autoencoder or, after its part of the run, of the map."""
        part = self.config.encode
        if inputs.progress < part:
            return self._encode(inputs, inputs.progress / part)
        if not self.started:
            self._start(inputs)
        return self._transport(inputs, (inputs.progress - part) / (1 - part))

    def _encode(self, inputs: StepInputs, progress: float) -> dict[str, float | Tensor]:
        c, optimizer = self.config, self.optimizers["autoencoder"]
        c.adam.decay(optimizer, progress)
        x = inputs.data(c.batch)
        code = self.encoder(x)
        noisy = code + c.code_noise * inputs.noise(c.batch, c.nets.latent)
        error = parallel.gather((self.decoder(noisy) - x).square().flatten(1).sum(1)).mean()
        size = parallel.gather(code.square().sum(1)).mean()
        norm = parallel.descend(optimizer, error + c.code_penalty * size)
        return {
            "reconstruction": error.detach(),
            "code_size": size.detach(),
            "generator_grad": norm,
        }

    @torch.no_grad()
    def _start(self, inputs: StepInputs) -> None:
        """Standardize the codes, and begin with the map to their Gaussian."""
        n = self.config.map_batch
        code = torch.cat([parallel.gather(self.encoder(inputs.data(n))) for _ in range(_START)])
        self.mean.copy_(code.mean(0))
        self.scale.copy_(code.var(0).mean().sqrt())
        d = self.config.nets.latent
        covariance = (
            code.T.cov().reshape(d, d) / self.scale**2 + 1e-6 * torch.eye(d).to(code)
        ).contiguous()
        zero, one = torch.zeros_like(self.mean), torch.eye(d).to(code)
        forward = ot.gaussian_map(zero, one, zero, covariance)
        back = ot.gaussian_map(zero, covariance, zero, one)
        self.matrix.copy_(forward.matrix)
        self.potential.start_at(forward.matrix, forward.shift)
        self.guess.start_at(back.matrix, back.shift)
        self.averaged.net.load_state_dict(self.potential.state_dict())
        self.started.fill_(True)

    def _transport(self, inputs: StepInputs, progress: float) -> dict[str, float | Tensor]:
        c, optimizer = self.config, self.optimizers["potentials"]
        c.map_adam.decay(optimizer, progress)
        y, z = self.encode(inputs.data(c.map_batch)), inputs.noise(c.map_batch, c.nets.latent)
        guess = self.guess.gradient(y)
        found = ot.conjugate(self.potential.gradient, y, init=guess, tol=0, max_iter=c.refine)
        loss = parallel.gather(self.potential(z) - self.potential(found.point)).mean()
        amortisation = parallel.gather((guess - found.point).square().sum(1)).mean()
        residual = parallel.gather(found.residual).mean()
        norm = parallel.descend(optimizer, loss + amortisation)
        self.potential.project()
        self.guess.project()
        self.averaged.update(self.potential)
        return {
            "loss": loss.detach(),
            "amortisation": amortisation.detach(),
            "residual": residual,
            "generator_grad": norm,
        }

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Standardized codes of pictures, (n, latent)."""
        return (self.encoder(x) - self.mean) / self.scale

    def decode(self, code: Tensor) -> Tensor:
        """Pictures of standardized codes."""
        return self.decoder(code * self.scale + self.mean)

    def reconstruct(self, x: Tensor) -> Tensor:
        """d(e(x)): the best that any map to the codes can draw."""
        return batched(lambda block: self.decode(self.encode(block)), x)

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n pictures d(∇ψ(z)), a function of the seed."""
        z = noise(n, self.config.nets.latent, seed, like=self.mean)
        return batched(lambda block: self.decode(self.averaged.net.gradient(block)), z)

    def sample_baseline(self, n: int, seed: int = 0) -> Tensor:
        """Return n pictures d(A z) of the Gaussian fitted to the codes."""
        z = noise(n, self.config.nets.latent, seed, like=self.mean)
        return batched(lambda block: self.decode(block @ self.matrix.T + self.shift), z)


def build(config: Config, shape: tuple[int, ...]) -> LatentW2:
    """Make the networks, for pictures of ``shape`` (channels, height, width)."""
    if config.nets.kind == "sequence":
        other = "choose another method.nets.kind"
        raise ValueError(
            f"latent_w2 encodes pictures by squared errors, which scores do not have: {other}"
        )
    autoencoder = config.nets.autoencoder(shape)
    return LatentW2(
        config,
        autoencoder.encoder,
        autoencoder.decoder,
        *config.potentials.pair((config.nets.latent,)),
    )
