r"""WAE: an autoencoder with a penalty on the distance of its codes' distribution to a prior.

    Tolstikhin, Bousquet, Gelly, Schölkopf, "Wasserstein auto-encoders", ICLR 2018 [tolstikhin2018],
        algorithms 1 and 2

==========  ===============================================================
symbol      here
==========  ===============================================================
Q_φ, G_θ    encoder and decoder of ``autoencoder``
D_γ         ``discriminator`` of codes, to one number, for WAE-GAN
P_Z         ``prior``
λ           ``config.weight``
k, C        kernel and its scales, ℓ² = C = 2dσ²·{.1, .2, .5, 1, 2, 5, 10};
            2dσ² is the mean squared distance of two points of the prior
d_ω         ``critic`` of interpolations [berthelot2019], if
            ``config.interpolation.weight`` is positive
==========  ===============================================================

.. math:: \min_{Q, G} \; \mathbb{E} |x - \hat x|^2 + \lambda\, \mathcal{D}(Q_Z, P_Z)

The MMD is the unbiased one, without the pairs of a code with itself, and may be negative. See
docs/methods/wae.md.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from monge import ot, parallel
from monge.config import Batch, Former, Frozen
from monge.data import StepInputs, load_prior
from monge.nets import (
    MLP,
    Autoencoder,
    AutoencoderNets,
    Interpolation,
    InterpolationCritic,
    InterpolationGame,
)
from monge.optim import Adam

_POINTS = 4096  # points of the prior from which its variance is estimated


class Config(Frozen):
    """Wasserstein autoencoder."""

    FORMER: ClassVar[Former] = {"critic_lr": ("discriminator.lr", "interpolation.critic_lr")}

    name: Literal["wae"] = "wae"
    #: MMD with multi-scale inverse multiquadratic or Gaussian kernels (algorithm 2), or a
    #: discriminator of codes (algorithm 1).
    penalty: Literal["imq", "rbf", "gan"] = "imq"
    #: Weight λ of the penalty, in units of the squared error of one sample.
    weight: float = Field(100.0, ge=0)
    prior: str = "normal"  # normal, uniform, sphere, or a data set or file of points.
    batch: Batch = 128
    adam: Adam = Adam(lr=1e-3)
    nets: AutoencoderNets = AutoencoderNets()
    #: Adam of the discriminator of codes, for WAE-GAN.
    discriminator: Adam = Adam(lr=1e-3, beta1=0.5)
    interpolation: Interpolation = Interpolation()


TINY = Config(
    penalty="gan",
    batch=16,
    nets={"kind": "mlp", "latent": 3, "width": 8},
    interpolation={"weight": 0.5},
)


class WAE(nn.Module):
    """Minimize the reconstruction error and the distance of the codes to the prior.

    >>> from monge.data import load
    >>> method = build(TINY, (1, 8, 8))
    >>> names = sorted(method.step(StepInputs(load("digits"), seed=0, step=0)))
    >>> names[:4]
    ['alpha_error', 'discriminator', 'generator_grad', 'interpolation']
    >>> names[4:]
    ['loss', 'penalty', 'reconstruction']
    >>> method.sample(5).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self,
        config: Config,
        autoencoder: Autoencoder,
        discriminator: nn.Module | None = None,
        critic: InterpolationCritic | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = autoencoder
        self.discriminator = discriminator
        self.critic = critic
        self.prior = load_prior(config.prior, config.nets.latent)
        self.scales = ot.kernel_scales(self.prior.train(_POINTS))
        self.game = InterpolationGame(config.interpolation, autoencoder, critic)
        self.optimizers = self.game.optimizers | {
            "autoencoder": config.adam.make(autoencoder.parameters())
        }
        if discriminator is not None:
            self.optimizers["discriminator"] = config.discriminator.make(discriminator.parameters())

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a step of the discriminator, one of the autoencoder, and one of the critic."""
        c, scalars = self.config, {}
        c.adam.decay(self.optimizers["autoencoder"], inputs.progress)
        x, prior = inputs.data(c.batch), parallel.gather(inputs.of(self.prior, c.batch))
        r = self.autoencoder.reconstruct(x)
        if self.discriminator is not None:  # algorithm 1: ascend λ (log D(z) + log(1 − D(z̃)))
            c.discriminator.decay(self.optimizers["discriminator"], inputs.progress)
            real, fake = self.discriminator(prior), self.discriminator(r.codes.detach())
            loss = scalars["discriminator"] = softplus(-real).mean() + softplus(fake).mean()
            # every process has the gathered codes, and gradients are summed
            parallel.descend(self.optimizers["discriminator"], loss / parallel.world())

        penalty = self.penalty(r.codes, prior)
        mixtures = self.game.play(r.z, inputs.uniform(c.batch, 1) / 2, inputs.progress)
        loss = r.error + c.weight * penalty + mixtures.term(r.entries)
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(r.codes.detach())
        scalars |= {"loss": loss, "reconstruction": r.error / r.entries, "penalty": penalty}
        scalars |= {"generator_grad": norm} | mixtures.answer(x, r.decoded)
        return {name: value.detach() for name, value in scalars.items()}

    def penalty(self, codes: Tensor, prior: Tensor) -> Tensor:
        """Return D(Q_Z, P_Z): the unbiased MMD, or −log D(z̃) of the discriminator."""
        if self.discriminator is not None:
            return softplus(-self.discriminator(codes)).mean()
        return ot.mmd(codes, prior, kernel=self.config.penalty, scales=self.scales)

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from the prior, a function of the seed."""
        return self.autoencoder.sample(n, seed, self.prior)


def build(config: Config, shape: tuple[int, ...]) -> WAE:
    """Build the networks that the configuration names, for samples of ``shape``."""
    autoencoder = config.nets.autoencoder(shape)
    discriminator = MLP([config.nets.latent, 256, 256, 256, 1]) if config.penalty == "gan" else None
    critic = config.interpolation.critic(config.nets.kind, shape)
    return WAE(config, autoencoder, discriminator, critic)
