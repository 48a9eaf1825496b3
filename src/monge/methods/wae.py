r"""WAE: an autoencoder whose codes, taken together, are pulled to a prior by a kernel or by a critic.

    Tolstikhin, Bousquet, Gelly, Schölkopf, "Wasserstein auto-encoders", ICLR 2018    [tolstikhin2018], algorithms 1 and 2

==========  ============================================================
symbol      here
==========  ============================================================
Q_φ, G_θ    encoder and decoder of ``autoencoder``
D_γ         ``discriminator`` of codes, for WAE-GAN
P_Z         ``prior``
λ           ``config.weight``
k, C        kernel and its scales, ℓ² = C = 2dσ²·{.1, .2, .5, 1, 2, 5, 10}; 2dσ² is the mean squared distance of two prior points
d_ω         ``critic`` of interpolations [berthelot2019], where ``config.interpolate`` is above 0
==========  ============================================================

.. math:: \min_{Q, G} \; \mathbb{E} |x - \hat x|^2 + \lambda\, \mathcal{D}(Q_Z, P_Z)

The MMD leaves out the pairs of a code with itself, so it is 0 in the mean for codes that follow the prior, and as often
negative as positive; clipping it at 0 would hide half of its gradient.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from monge import ot, parallel
from monge.config import Frozen
from monge.data import Draw, EndlessSource, FiniteSource, load_prior
from monge.nets import (
    MLP,
    Autoencoder,
    AutoencoderNet,
    InterpolationCritic,
    build_autoencoder,
    build_encoder,
    linear_decay,
    linear_rise,
)

_JUDGED = 4096  # points of the prior that say how wide it is


class Config(Frozen):
    """Wasserstein autoencoder."""

    name: Literal["wae"] = "wae"
    penalty: Literal["imq", "rbf", "gan"] = "imq"
    """MMD of multi-scale inverse multiquadratic or Gaussian kernels (algorithm 2), or a discriminator of codes (algorithm 1)."""
    weight: float = Field(100.0, ge=0)
    """Weight λ of the penalty, in units of the squared error of one sample."""
    prior: str = "normal"
    """normal, uniform, sphere, or points of any data set or file."""
    net: AutoencoderNet = "conv"
    """mlp, conv, dcgan, acai (its paper's blocks) for pictures, sequence for scores; see `monge.nets.autoencoder`."""
    latent: int = Field(32, ge=1)
    """Dimension of the codes."""
    width: int = Field(32, ge=2)
    """Width of encoder and decoder."""
    batch: int = Field(128, ge=2)
    """Global batch."""
    lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the autoencoder; decays linearly over the second half."""
    interpolate: float = Field(0.0, ge=0)
    """Weight of a critic of interpolations, per entry of a sample as in ACAI; 0 leaves it out."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the run over which that weight rises from 0, so that there are codes before mixtures of them are judged."""
    critic_width: int = Field(16, ge=2)
    """Width of the critics."""
    critic_lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the critics; decays likewise."""


class WAE(nn.Module):
    """Minimise the reconstruction error and the distance of the codes to the prior.

    Parameters
    ----------
    config : Config
    autoencoder : Autoencoder
    prior : Source
        Of codes, of shape (latent,).
    discriminator : Module, optional
        Codes to one number, for WAE-GAN.
    critic : InterpolationCritic, optional
        None where ``config.interpolate`` is 0.

    Examples
    --------
    >>> from monge.data import load
    >>> method = build(Config(net="mlp", latent=2, width=8, batch=16), (1, 8, 8))
    >>> scalars = method.step(Draw(load("digits"), seed=0, step=0))
    >>> sorted(scalars), method.sample(5).shape
    (['generator_grad', 'loss', 'penalty', 'reconstruction'], torch.Size([5, 1, 8, 8]))
    """

    def __init__(
        self,
        config: Config,
        autoencoder: Autoencoder,
        prior: EndlessSource | FiniteSource,
        discriminator: nn.Module | None = None,
        critic: InterpolationCritic | None = None,
    ) -> None:
        super().__init__()
        self.config, self.autoencoder, self.prior = config, autoencoder, prior
        self.discriminator, self.critic = discriminator, critic
        self.optimizers = {"autoencoder": torch.optim.Adam(autoencoder.parameters(), lr=config.lr)}
        for name, net in (("discriminator", discriminator), ("critic", critic)):
            if net is not None:
                betas = (0.5, 0.999) if name == "discriminator" else (0.9, 0.999)
                self.optimizers[name] = torch.optim.Adam(net.parameters(), lr=config.critic_lr, betas=betas)
        self.scales = ot.kernel_scales(prior.train(_JUDGED))

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One step of the autoencoder, after one of the discriminator and before one of the critic."""
        c, scalars = self.config, {}
        for name, optimizer in self.optimizers.items():
            linear_decay(optimizer, c.lr if name == "autoencoder" else c.critic_lr, draw.progress)
        x, prior = draw.data(c.batch), parallel.gather(draw.of(self.prior, c.batch))
        z = self.autoencoder.encode(x)
        codes = parallel.gather(z)
        if self.discriminator is not None:  # algorithm 1: ascend λ (log D(z) + log(1 − D(z̃)))
            scalars["discriminator"] = self._told_apart(prior, codes.detach())
            parallel.descend(self.optimizers["discriminator"], scalars["discriminator"] / parallel.world())

        made = self.autoencoder.decode(z)
        error = parallel.gather(self.autoencoder.errors(x, made)).mean()
        penalty = self.penalty(codes, prior)
        loss, entries = error + c.weight * penalty, self.autoencoder.entries(x)
        if self.critic is not None:
            alpha = draw.uniform(c.batch, 1) / 2
            mixed = self.autoencoder.decode(self.critic.mix(z, alpha))
            scalars["interpolation"] = self.critic.fooled(mixed)
            weight = c.interpolate * linear_rise(draw.progress, c.warmup)
            loss = loss + entries * weight * scalars["interpolation"]
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(codes.detach())

        if self.critic is not None:
            scalars["alpha_error"] = self.critic.loss(mixed, alpha, x, made)
            parallel.descend(self.optimizers["critic"], scalars["alpha_error"])
        scalars |= {"loss": loss, "reconstruction": error / entries, "penalty": penalty, "generator_grad": norm}
        return {name: value.detach() for name, value in scalars.items()}

    def penalty(self, codes: Tensor, prior: Tensor) -> Tensor:
        """D(Q_Z, P_Z): the unbiased MMD, or −log D(z̃) of the discriminator."""
        if self.discriminator is not None:
            return softplus(-self.discriminator(codes)).mean()
        return ot.mmd(codes, prior, kernel=self.config.penalty, scales=self.scales)

    def _told_apart(self, prior: Tensor, codes: Tensor) -> Tensor:
        """−log D(z) − log(1 − D(z̃))."""
        assert self.discriminator is not None
        return softplus(-self.discriminator(prior)).mean() + softplus(self.discriminator(codes)).mean()

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from the prior, a function of the seed."""
        z = self.prior.batch(seed, 0, n).to(self.autoencoder.mean)
        return torch.cat([self.autoencoder.decode(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> WAE:
    """Make the networks, for samples of ``shape``."""
    autoencoder = build_autoencoder(config.net, shape, config.latent, config.width)
    prior = load_prior(config.prior, config.latent)
    discriminator = MLP([config.latent, 256, 256, 256, 1]) if config.penalty == "gan" else None
    critic = InterpolationCritic(build_encoder(config.net, shape, config.critic_width, 1)) if config.interpolate else None
    return WAE(config, autoencoder, prior, discriminator, critic)
