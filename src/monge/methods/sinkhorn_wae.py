r"""Sinkhorn autoencoder: the Sinkhorn divergence of the codes to any prior that can be sampled.

    Patrini, van den Berg, Forré, Carioni, Bhargav, Welling, Genewein, Nielsen, "Sinkhorn
        autoencoders", UAI 2019 [patrini2019]
    Genevay, Peyré, Cuturi, "Learning generative models with Sinkhorn divergences", AISTATS 2018
        [genevay2018]

==========  ==============================================================
symbol      here
==========  ==============================================================
Q, G        encoder and decoder of ``autoencoder``
P_Z         ``prior``
ε           ``config.epsilon`` times the mean squared distance of two
            points of the prior
S_ε         ``ot.sinkhorn_divergence``, of squared distances between codes
β           ``config.weight``
d_ω         ``critic`` of interpolations [berthelot2019], if
            ``config.interpolation.weight`` is positive
==========  ==============================================================

.. math:: \min_{Q, G} \; \mathbb{E} |x - \hat x|^2 + \beta\, S_\varepsilon(Q_Z, P_Z)
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from monge import ot, parallel
from monge.config import Batch, Frozen, Tolerance
from monge.data import StepInputs, load_prior
from monge.nets import (
    Autoencoder,
    AutoencoderNets,
    Interpolation,
    InterpolationCritic,
    InterpolationGame,
)
from monge.optim import Adam

_POINTS = 4096  # points of the prior from which its variance is estimated


class Config(Frozen):
    """Sinkhorn autoencoder."""

    name: Literal["sinkhorn_wae"] = "sinkhorn_wae"
    #: Weight β of the divergence, in units of the squared error of one sample.
    weight: float = Field(10.0, ge=0)
    #: Entropic regularization, in units of the mean squared distance of two prior points.
    epsilon: float = Field(0.1, gt=0)
    tol: Tolerance = 1e-2
    prior: str = "normal"  # normal, uniform, sphere, or a data set or file of points.
    batch: Batch = 128
    adam: Adam = Adam(lr=1e-3)
    nets: AutoencoderNets = AutoencoderNets()
    interpolation: Interpolation = Interpolation()


TINY = Config(batch=16, prior="25gaussians", nets={"kind": "mlp", "latent": 2, "width": 8})


class SinkhornWAE(nn.Module):
    """Minimize the reconstruction error and the Sinkhorn divergence of the codes to the prior.

    >>> from monge.data import load
    >>> method = build(TINY, (1, 8, 8))
    >>> sorted(method.step(StepInputs(load("digits"), seed=0, step=0))), method.sample(5).shape
    (['generator_grad', 'loss', 'penalty', 'reconstruction'], torch.Size([5, 1, 8, 8]))
    """

    def __init__(
        self, config: Config, autoencoder: Autoencoder, critic: InterpolationCritic | None = None
    ) -> None:
        super().__init__()
        self.config, self.autoencoder, self.critic = config, autoencoder, critic
        self.prior = load_prior(config.prior, config.nets.latent)
        self.epsilon = config.epsilon * 2 * self.prior.train(_POINTS).double().var(0).sum().item()
        self.game = InterpolationGame(config.interpolation, autoencoder, critic)
        self.optimizers = self.game.optimizers | {
            "autoencoder": config.adam.make(autoencoder.parameters())
        }

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a step of the autoencoder, then one of the critic on the same interpolations."""
        c = self.config
        c.adam.decay(self.optimizers["autoencoder"], inputs.progress)
        x, prior = inputs.data(c.batch), parallel.gather(inputs.of(self.prior, c.batch))
        r = self.autoencoder.reconstruct(x)
        penalty = ot.sinkhorn_divergence(r.codes, prior, epsilon=self.epsilon, tol=c.tol)
        mixtures = self.game.play(r.z, inputs.uniform(c.batch, 1) / 2, inputs.progress)
        loss = r.error + c.weight * penalty + mixtures.term(r.entries)
        norm = parallel.descend(self.optimizers["autoencoder"], loss)
        self.autoencoder.observe(r.codes.detach())
        scalars = {"loss": loss, "reconstruction": r.error / r.entries, "penalty": penalty}
        scalars |= {"generator_grad": norm} | mixtures.answer(x, r.decoded)
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from the prior, a function of the seed."""
        return self.autoencoder.sample(n, seed, self.prior)


def build(config: Config, shape: tuple[int, ...]) -> SinkhornWAE:
    """Build the networks that the configuration names, for samples of ``shape``."""
    autoencoder = config.nets.autoencoder(shape)
    critic = config.interpolation.critic(config.nets.kind, shape)
    return SinkhornWAE(config, autoencoder, critic)
