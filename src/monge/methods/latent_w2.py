"""Latent-space transport: noise is moved optimally onto the codes of an autoencoder, and decoded.

    Korotin, Egiazarian, Asadulaev, Safin, Burnaev, "Wasserstein-2 generative networks", ICLR 2021, section 5.2    [korotin2021]
    Amos, "On amortizing convex conjugates for optimal transport", ICLR 2023                                       [amos2023]

==========  ============================================================
symbol      here
==========  ============================================================
e, d        ``encoder`` and ``decoder``
P, Q        normal noise, and the codes e(x) with mean 0 and mean variance 1 by one shift and one scale
ψ           ``potential``; d ∘ ∇ψ draws pictures
A           ``gaussian``, the map from P to a Gaussian with the moments of Q: where ∇ψ begins, and the baseline d ∘ A
==========  ============================================================

First the autoencoder learns alone, for ``config.encode`` of the run; then it is left as it is and ψ is found as in
`monge.methods.amortised_w2`. A transported Gaussian has holes where the codes have none, which is what d ∘ A suffers from.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen
from monge.data import Draw, generator
from monge.nets import EMA, DenseICNN, build_critic, build_generator, linear_decay

_START = 16  # batches of codes whose moments the map begins with


class Config(Frozen):
    """Autoencoder, then transport of its codes."""

    name: Literal["latent_w2"] = "latent_w2"
    latent: int = Field(16, ge=1)
    """Dimension of the codes."""
    net: Literal["mlp", "conv"] = "conv"
    """Networks of the autoencoder."""
    width: int = Field(32, ge=2)
    """Width of encoder and decoder."""
    encode: float = Field(0.5, gt=0, lt=1)
    """Share of the run that trains the autoencoder."""
    code_noise: float = Field(0.1, ge=0)
    """Standard deviation of noise on the codes while the autoencoder learns: neighbouring codes must decode to like pictures."""
    code_penalty: float = Field(1e-3, ge=0)
    """Weight of ‖e(x)‖², which keeps the noise from being outgrown."""
    batch: int = Field(128, ge=2)
    """Global batch of the autoencoder."""
    lr: float = Field(2e-3, gt=0)
    """Adam learning rate of the autoencoder; decays linearly over the second half of its part."""
    map_batch: int = Field(512, ge=2)
    """Global batch of the map."""
    map_lr: float = Field(3e-3, gt=0)
    """Adam learning rate of the map; decays linearly over the second half of its part."""
    widths: tuple[int, ...] = (256, 256, 128)
    """Widths of the potentials' layers."""
    refine: int = Field(5, ge=0)
    """Descent steps from the guess to the conjugate's point."""
    ema: float = Field(0.99, ge=0, lt=1)
    """Decay of the averaged potential that samples."""


class LatentW2(nn.Module):
    """Minimise E‖d(e(x)) − x‖², then E ψ(z) + E ψ*(e(x)).

    Parameters
    ----------
    config : Config
    encoder, decoder : nn.Module
    potential, guess : DenseICNN
        Of dimension ``config.latent``.

    Examples
    --------
    >>> from monge.data import Draw, load
    >>> method = build(Config(net="mlp", latent=2, width=8, batch=16, map_batch=16, widths=(8, 4)), (1, 8, 8))
    >>> for step in (0, 1):
    ...     scalars = method.step(Draw(load("digits"), seed=0, step=step, steps=2))
    >>> method.sample(5).shape, method.sample_baseline(5).shape, sorted(scalars)[0]
    (torch.Size([5, 1, 8, 8]), torch.Size([5, 1, 8, 8]), 'amortisation')
    """

    mean: Tensor
    scale: Tensor
    matrix: Tensor
    shift: Tensor
    started: Tensor

    def __init__(self, config: Config, encoder: nn.Module, decoder: nn.Module, potential: DenseICNN, guess: DenseICNN) -> None:
        super().__init__()
        self.config, self.encoder, self.decoder = config, encoder, decoder
        self.potential, self.guess, self.averaged = potential, guess, EMA(potential, config.ema)
        autoencoder = [*encoder.parameters(), *decoder.parameters()]
        groups = [
            {"params": list(potential.parameters()), "betas": (0.8, 0.99)},
            {"params": list(guess.parameters()), "betas": (0.4, 0.4)},
        ]
        self.optimizers = {
            "autoencoder": torch.optim.Adam(autoencoder, lr=config.lr),
            "potentials": torch.optim.Adam(groups, lr=config.map_lr),
        }
        d = config.latent
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("matrix", torch.eye(d))
        self.register_buffer("shift", torch.zeros(d))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One step of the autoencoder or, after its part of the run, of the map."""
        part = self.config.encode
        if draw.progress < part:
            return self._encode(draw, draw.progress / part)
        if not self.started:
            self._start(draw)
        return self._transport(draw, (draw.progress - part) / (1 - part))

    def _encode(self, draw: Draw, progress: float) -> dict[str, float | Tensor]:
        c, optimizer = self.config, self.optimizers["autoencoder"]
        linear_decay(optimizer, c.lr, progress)
        x = draw.data(c.batch)
        code = self.encoder(x)
        noisy = code + c.code_noise * draw.noise(c.batch, c.latent)
        error = parallel.gather((self.decoder(noisy) - x).square().flatten(1).sum(1)).mean()
        size = parallel.gather(code.square().sum(1)).mean()
        norm = parallel.descend(optimizer, error + c.code_penalty * size)
        return {"reconstruction": error.detach(), "code_size": size.detach(), "generator_grad": norm}

    @torch.no_grad()
    def _start(self, draw: Draw) -> None:
        """Standardise the codes, and begin with the map to their Gaussian."""
        n = self.config.map_batch
        code = torch.cat([parallel.gather(self.encoder(draw.data(n))) for _ in range(_START)])
        self.mean.copy_(code.mean(0))
        self.scale.copy_(code.var(0).mean().sqrt())
        d = self.config.latent
        covariance = (code.T.cov().reshape(d, d) / self.scale**2 + 1e-6 * torch.eye(d).to(code)).contiguous()
        zero, one = torch.zeros_like(self.mean), torch.eye(d).to(code)
        forward, back = ot.gaussian_map(zero, one, zero, covariance), ot.gaussian_map(zero, covariance, zero, one)
        self.matrix.copy_(forward.matrix)
        self.potential.start_at(forward.matrix, forward.shift)
        self.guess.start_at(back.matrix, back.shift)
        self.averaged.net.load_state_dict(self.potential.state_dict())
        self.started.fill_(True)

    def _transport(self, draw: Draw, progress: float) -> dict[str, float | Tensor]:
        c, optimizer = self.config, self.optimizers["potentials"]
        linear_decay(optimizer, c.map_lr, progress)
        y, z = self.encode(draw.data(c.map_batch)), draw.noise(c.map_batch, c.latent)
        guess = self.guess.gradient(y)
        found = ot.conjugate(self.potential.gradient, y, init=guess, tol=0, max_iter=c.refine)
        loss = parallel.gather(self.potential(z) - self.potential(found.point)).mean()
        amortisation = parallel.gather((guess - found.point).square().sum(1)).mean()
        residual = parallel.gather(found.residual).mean()
        norm = parallel.descend(optimizer, loss + amortisation)
        self.potential.project()
        self.guess.project()
        self.averaged.update(self.potential)
        return {"loss": loss.detach(), "amortisation": amortisation.detach(), "residual": residual, "generator_grad": norm}

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Standardised codes of pictures, (n, latent)."""
        return (self.encoder(x) - self.mean) / self.scale

    def decode(self, code: Tensor) -> Tensor:
        """Pictures of standardised codes."""
        return self.decoder(code * self.scale + self.mean)

    def reconstruct(self, x: Tensor) -> Tensor:
        """d(e(x)): the best that any map to the codes can draw."""
        return torch.cat([self.decode(self.encode(block)) for block in x.split(1000)])

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n pictures d(∇ψ(z)), a function of the seed."""
        assert isinstance(self.averaged.net, DenseICNN)
        net = self.averaged.net
        return torch.cat([self.decode(net.gradient(z)) for z in self._noise(n, seed)])

    def sample_baseline(self, n: int, seed: int = 0) -> Tensor:
        """Return n pictures d(A z) of the Gaussian fitted to the codes."""
        return torch.cat([self.decode(z @ self.matrix.T + self.shift) for z in self._noise(n, seed)])

    def _noise(self, n: int, seed: int) -> tuple[Tensor, ...]:
        return torch.randn(n, self.config.latent, generator=generator(seed)).to(self.mean).split(1000)


def build(config: Config, shape: tuple[int, ...]) -> LatentW2:
    """Make the networks, for pictures of ``shape`` (channels, height, width)."""
    encoder = build_critic(config.net, shape, config.width, config.latent)
    decoder = build_generator(config.net, config.latent, shape, config.width)
    potentials = [DenseICNN(config.latent, config.widths, rank=1) for _ in range(2)]
    return LatentW2(config, encoder, decoder, *potentials)
