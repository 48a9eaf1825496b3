r"""Sinkhorn autoencoder: codes are transported onto any prior that can be sampled.

    Patrini, van den Berg, Forré, Carioni, Bhargav, Welling, Genewein, Nielsen, "Sinkhorn autoencoders", UAI 2019    [patrini2019]
    Genevay, Peyré, Cuturi, "Learning generative models with Sinkhorn divergences", AISTATS 2018                     [genevay2018]

==========  ============================================================
symbol      here
==========  ============================================================
Q, G        encoder and decoder of ``autoencoder``
P_Z         ``prior``
ε           ``config.epsilon`` times the mean squared distance of two points of the prior
S_ε         ``ot.sinkhorn_divergence``, of squared distances between codes
β           ``config.weight``
d_ω         ``critic`` of interpolations [berthelot2019], where ``config.interpolate`` is above 0
==========  ============================================================

.. math:: \min_{Q, G} \; \mathbb{E} |x - \hat x|^2 + \beta\, S_\varepsilon(Q_Z, P_Z)

In many dimensions two batches of one prior are far apart under exact transport, nearly as far as any two of its points. A larger
ε makes that sampling error smaller and sees less of the shape of the codes; with a small one they are drawn together a little.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Frozen
from monge.data import Draw, EndlessSource, FiniteSource, load_prior
from monge.nets import (
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
    """Sinkhorn autoencoder."""

    name: Literal["sinkhorn_wae"] = "sinkhorn_wae"
    weight: float = Field(10.0, ge=0)
    """Weight β of the divergence, in units of the squared error of one sample."""
    epsilon: float = Field(0.1, gt=0)
    """Entropic regularisation, in units of the mean squared distance of two points of the prior."""
    tol: float = Field(1e-2, gt=0, lt=1)
    """L1 marginal error of the plans."""
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
    """Width of the critic."""
    critic_lr: float = Field(1e-3, gt=0)
    """Adam learning rate of the critic; decays likewise."""


class SinkhornWAE(nn.Module):
    """Minimise the reconstruction error and the Sinkhorn divergence of the codes to the prior.

    Parameters
    ----------
    config : Config
    autoencoder : Autoencoder
    prior : Source
        Of codes, of shape (latent,).
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
        critic: InterpolationCritic | None = None,
    ) -> None:
        super().__init__()
        self.config, self.autoencoder, self.prior, self.critic = config, autoencoder, prior, critic
        self.epsilon = config.epsilon * 2 * prior.train(_JUDGED).double().var(0).sum().item()
        self.optimizers = {"autoencoder": torch.optim.Adam(autoencoder.parameters(), lr=config.lr)}
        if critic is not None:
            self.optimizers["critic"] = torch.optim.Adam(critic.parameters(), lr=config.critic_lr)

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One step of the autoencoder, then one of the critic on the same interpolations."""
        c, scalars = self.config, {}
        linear_decay(self.optimizers["autoencoder"], c.lr, draw.progress)
        x, prior = draw.data(c.batch), parallel.gather(draw.of(self.prior, c.batch))
        z = self.autoencoder.encode(x)
        codes = parallel.gather(z)
        made = self.autoencoder.decode(z)
        error = parallel.gather(self.autoencoder.errors(x, made)).mean()
        penalty = ot.sinkhorn_divergence(codes, prior, epsilon=self.epsilon, tol=c.tol)
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
            linear_decay(self.optimizers["critic"], c.critic_lr, draw.progress)
            scalars["alpha_error"] = self.critic.loss(mixed, alpha, x, made)
            parallel.descend(self.optimizers["critic"], scalars["alpha_error"])
        scalars |= {"loss": loss, "reconstruction": error / entries, "penalty": penalty, "generator_grad": norm}
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from the prior, a function of the seed."""
        z = self.prior.batch(seed, 0, n).to(self.autoencoder.mean)
        return torch.cat([self.autoencoder.decode(block) for block in z.split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> SinkhornWAE:
    """Make the networks, for samples of ``shape``."""
    autoencoder = build_autoencoder(config.net, shape, config.latent, config.width)
    critic = InterpolationCritic(build_encoder(config.net, shape, config.critic_width, 1)) if config.interpolate else None
    return SinkhornWAE(config, autoencoder, load_prior(config.prior, config.latent), critic)
