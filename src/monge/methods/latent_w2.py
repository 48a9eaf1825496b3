"""Latent-space transport: an optimal map from noise to the codes of an autoencoder, and decoding.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021,
        section 5.2 [korotin2021]
    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023 [amos2023]

==========  ========================================================================================
symbol      here
==========  ========================================================================================
e, d        ``encoder`` and ``decoder``
P, Q        normal noise, and the codes e(x), brought to mean 0 and mean variance 1 by one shift and
            one scale
ψ           ``potential``; d ∘ ∇ψ generates pictures
A           ``matrix`` and ``shift``, the optimal map from P to a Gaussian with the moments of Q; ∇ψ
            is initialized with it, and d ∘ A is the baseline
==========  ========================================================================================

The autoencoder is trained first, for the share ``config.encode`` of the run. Then it is frozen and
ψ is trained as in `monge.methods.amortised_w2`. The baseline d ∘ A also decodes codes from regions
where Q has no mass.
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

_START = 16  # batches of codes for the moments of the initial map


class Config(Frozen):
    """Autoencoder, then transport of its codes."""

    FORMER: ClassVar[Former] = {"map_lr": "map_adam.lr"}

    name: Literal["latent_w2"] = "latent_w2"
    nets: AutoencoderNets = AutoencoderNets(latent=16)
    encode: float = Field(0.5, gt=0, lt=1)  # Share of the run that trains the autoencoder.
    #: Standard deviation of noise on codes in training, so that neighbors decode alike.
    code_noise: float = Field(0.1, ge=0)
    #: Weight of ‖e(x)‖², which keeps the scale of the codes comparable to the noise.
    code_penalty: float = Field(1e-3, ge=0)
    batch: int = Field(128, ge=2)  # Global batch of the autoencoder.
    #: Adam of the autoencoder; its rate decays over the second half of its part of the run.
    adam: Adam = Adam(lr=2e-3)
    map_batch: int = Field(512, ge=2)  # Global batch of the map.
    #: Adam of the map; its rate decays over the second half of its part.
    map_adam: PotentialAdam = PotentialAdam(lr=3e-3)
    potentials: PotentialNets = PotentialNets(widths=(256, 256, 128))
    #: Descent steps from the guess to the point where the conjugate is attained.
    refine: int = Field(5, ge=0)
    ema: Decay = 0.99


TINY = Config(
    batch=16,
    map_batch=16,
    nets={"kind": "mlp", "latent": 2, "width": 8},
    potentials={"widths": (8, 4)},
)


class LatentW2(nn.Module):
    """Minimize E‖d(e(x)) − x‖², then E ψ(z) + E ψ*(e(x)), with ψ a potential on codes.

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
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("matrix", torch.eye(d))
        self.register_buffer("shift", torch.zeros(d))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a step of the autoencoder or, after its part of the run, of the map."""
        part = self.config.encode
        if inputs.progress < part:
            return self._train_autoencoder(inputs, inputs.progress / part)
        if not self.started:
            self._start(inputs)
        return self._train_map(inputs, (inputs.progress - part) / (1 - part))

    def _train_autoencoder(self, inputs: StepInputs, progress: float) -> dict[str, float | Tensor]:
        c, optimizer = self.config, self.optimizers["autoencoder"]
        c.adam.decay(optimizer, progress)
        x = inputs.data(c.batch)
        code = self.encoder(x)
        noisy = code + c.code_noise * inputs.noise(c.batch, c.nets.latent)
        error = parallel.gather((self.decoder(noisy) - x).square().flatten(1).sum(1)).mean()
        size = parallel.gather(code.square().sum(1)).mean()
        norm = parallel.descend(optimizer, error + c.code_penalty * size)
        scalars = {"reconstruction": error.detach(), "code_size": size.detach()}
        return {**scalars, "generator_grad": norm}

    @torch.no_grad()
    def _start(self, inputs: StepInputs) -> None:
        """Measure the moments of the codes, and initialize the map with that to their Gaussian."""
        n = self.config.map_batch
        code = torch.cat([parallel.gather(self.encoder(inputs.data(n))) for _ in range(_START)])
        self.mean.copy_(code.mean(0))
        self.scale.copy_(code.var(0).mean().sqrt())
        d = self.config.nets.latent
        zero, one = torch.zeros_like(self.mean), torch.eye(d).to(code)
        covariance = (code.T.cov().reshape(d, d) / self.scale**2 + 1e-6 * one).contiguous()
        forward = ot.gaussian_map(zero, one, zero, covariance)
        back = ot.gaussian_map(zero, covariance, zero, one)
        self.matrix.copy_(forward.matrix)
        self.potential.start_at(forward.matrix, forward.shift)
        self.guess.start_at(back.matrix, back.shift)
        self.averaged.net.load_state_dict(self.potential.state_dict())
        self.started.fill_(True)

    def _train_map(self, inputs: StepInputs, progress: float) -> dict[str, float | Tensor]:
        c, optimizer = self.config, self.optimizers["potentials"]
        c.map_adam.decay(optimizer, progress)
        y, z = self.encode(inputs.data(c.map_batch)), inputs.noise(c.map_batch, c.nets.latent)
        guess = self.guess.gradient(y)
        solution = ot.conjugate(self.potential.gradient, y, init=guess, tol=0, max_iter=c.refine)
        loss = parallel.gather(self.potential(z) - self.potential(solution.point)).mean()
        amortisation = parallel.gather((guess - solution.point).square().sum(1)).mean()
        residual = parallel.gather(solution.residual).mean()
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
        """Return standardized codes of pictures, (n, latent)."""
        return (self.encoder(x) - self.mean) / self.scale

    def decode(self, code: Tensor) -> Tensor:
        """Return pictures of standardized codes."""
        return self.decoder(code * self.scale + self.mean)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return d(e(x)), the best pictures that a map to the codes can give."""
        return batched(lambda block: self.decode(self.encode(block)), x)

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n pictures d(∇ψ(z)), a function of the seed."""
        z = noise(n, self.config.nets.latent, seed, like=self.mean)
        return batched(lambda block: self.decode(self.averaged.net.gradient(block)), z)

    def sample_baseline(self, n: int, seed: int = 0) -> Tensor:
        """Return n pictures d(A z), decoded from the Gaussian fitted to the codes."""
        z = noise(n, self.config.nets.latent, seed, like=self.mean)
        return batched(lambda block: self.decode(block @ self.matrix.T + self.shift), z)


def build(config: Config, shape: tuple[int, ...]) -> LatentW2:
    """Build the networks, for pictures of ``shape`` (channels, height, width)."""
    if config.nets.kind == "sequence":
        raise ValueError(
            "latent_w2 minimizes squared errors of pictures, got method.nets.kind = 'sequence' for "
            "piano rolls: choose another kind"
        )
    autoencoder = config.nets.autoencoder(shape)
    potentials = config.potentials.pair((config.nets.latent,))
    return LatentW2(config, autoencoder.encoder, autoencoder.decoder, *potentials)
