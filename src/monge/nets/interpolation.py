r"""A critic of interpolations, which estimates the weight with which two codes were mixed.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders
        via an adversarial regularizer", ICLR 2019, equations (1) to (3)    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
d_ω         ``net``, one number for each sample
x̂_α         ``decode(mix(z, alpha))``
α           in [0, ½]: the weight of the partner, (n, 1)
γ           `REAL`, the weight of the datum x in γx + (1 − γ)x̂
==========  ============================================================

γ and the order of updates are those of the reference implementation: first the autoencoder, then
the critic, both on the same interpolations.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import parallel
from monge.config import Former, Frozen
from monge.optim import linear_decay, linear_rise

from .autoencoder import Autoencoder, AutoencoderNet, build_encoder

REAL = 0.2


class InterpolationCritic(nn.Module):
    r"""A critic that regresses α from interpolations, and 0 from data.

    .. math::

        L_d = \|d_\omega(\hat x_\alpha) - \alpha\|^2 + \|d_\omega(\gamma x + (1 - \gamma) \hat
        x)\|^2, \qquad L_{f,g} \ni \lambda \|d_\omega(\hat x_\alpha)\|^2

    ``net`` maps samples (n, ...) to (n, 1).

    >>> critic = InterpolationCritic(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)))
    >>> z, alpha = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.5], [0.0]])
    >>> critic.mix(z, alpha).tolist()  # α = 0 leaves a code where it is
    [[1.0], [2.0]]
    >>> x = torch.zeros(2, 1, 2, 2)
    >>> critic(x).shape, critic.fooled(x).shape, critic.loss(x, alpha, x, x).shape
    (torch.Size([2]), torch.Size([]), torch.Size([]))
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Return estimates of α, (n,)."""
        return self.net(x).flatten()  # (n, 1) − (n,) would broadcast to n² differences

    def mix(self, z: Tensor, alpha: Tensor) -> Tensor:
        """Return α z′ + (1 − α) z, where z′ are the codes of the global batch in reverse order."""
        reverse = parallel.gather(z, parts=True).flip(0)
        start = parallel.rank() * len(z)
        return torch.lerp(z, reverse[start : start + len(z)], alpha)

    def fooled(self, mixed: Tensor) -> Tensor:
        """Return the mean of d(x̂_α)², the autoencoder's term in eq. (2)."""
        return parallel.gather(self(mixed).square()).mean()

    def loss(self, mixed: Tensor, alpha: Tensor, x: Tensor, decoded: Tensor) -> Tensor:
        """Return eq. (3); no gradient flows to the interpolations and the reconstructions."""
        regressed = (self(mixed.detach()) - alpha.flatten()).square()
        real = self(torch.lerp(decoded.detach(), x, REAL)).square()
        return parallel.gather(regressed + real).mean()


class Interpolation(Frozen):
    """Critic of interpolations, as a part of an autoencoder method's configuration."""

    FORMER: ClassVar[Former] = {"interpolate": "weight"}

    #: Weight λ of the critic's term, per entry of a sample; 0 trains without a critic.
    weight: float = Field(0.0, ge=0)
    #: Share of the run over which that weight rises linearly from 0.
    warmup: float = Field(0.0, ge=0, lt=1)
    critic_width: int = Field(16, ge=2)  # Width of the critic.
    #: Adam learning rate of the critic; decays linearly over the second half.
    critic_lr: float = Field(1e-3, gt=0)

    def critic(self, kind: AutoencoderNet, shape: tuple[int, ...]) -> InterpolationCritic | None:
        """Return a critic of decoded samples (n, *shape), or None if ``weight`` is 0."""
        if not self.weight:
            return None
        return InterpolationCritic(build_encoder(kind, shape, self.critic_width, 1))


class InterpolationGame:
    """The game of an autoencoder against a critic of interpolations, one round in each step.

    Without a critic a round adds nothing. This class is not a module: the method registers the
    critic and adds ``optimizers``, {"critic": ...} or empty, to its own.

    >>> from monge.nets import build_autoencoder
    >>> autoencoder, settings = build_autoencoder("mlp", (1, 8, 8), 3, 8), Interpolation(weight=0.5)
    >>> game = InterpolationGame(settings, autoencoder, settings.critic("mlp", (1, 8, 8)))
    >>> x = torch.zeros(4, 1, 8, 8)
    >>> z = autoencoder.encode(x)
    >>> interpolations = game.play(z, torch.rand(4, 1) / 2, progress=0.0)
    >>> interpolations.term().shape, sorted(interpolations.answer(x, autoencoder.decode(z)))
    (torch.Size([]), ['alpha_error', 'interpolation'])
    """

    def __init__(
        self, settings: Interpolation, autoencoder: Autoencoder, critic: InterpolationCritic | None
    ) -> None:
        self.settings, self.autoencoder, self.critic = settings, autoencoder, critic
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        if critic is not None:
            self.optimizers["critic"] = torch.optim.Adam(critic.parameters(), lr=settings.critic_lr)

    def play(self, z: Tensor, alpha: Tensor, progress: float) -> Interpolations:
        """Mix codes z (n, latent) with weights α (n, 1) and decode the mixtures.

        ``progress`` is the share of the run that is done, in [0, 1).
        """
        return Interpolations(self, z, alpha, progress)


class Interpolations:
    """The decoded mixtures of one step.

    `term` is their part of the autoencoder's loss, and `answer` then trains the critic on them.
    """

    def __init__(self, game: InterpolationGame, z: Tensor, alpha: Tensor, progress: float) -> None:
        self.game, self.alpha, self.progress = game, alpha, progress
        if game.critic is not None:
            self.mixed = game.autoencoder.decode(game.critic.mix(z, alpha))
            self.fooled = game.critic.fooled(self.mixed)

    def term(self, entries: int = 1) -> Tensor | float:
        """Return λ times the mean of d(x̂_α)², equation (2).

        ``entries`` is the number of errors that the autoencoder's loss sums for one sample.
        """
        settings = self.game.settings
        if self.game.critic is None:
            return 0.0
        weight = settings.weight * linear_rise(self.progress, settings.warmup)
        return entries * weight * self.fooled

    def answer(self, x: Tensor, decoded: Tensor) -> dict[str, Tensor]:
        """Take a step of the critic on equation (3), from data and reconstructions.

        Returns both terms for the log.
        """
        if self.game.critic is None:
            return {}
        optimizer = self.game.optimizers["critic"]
        loss = self.game.critic.loss(self.mixed, self.alpha, x, decoded)
        linear_decay(optimizer, self.game.settings.critic_lr, self.progress)
        parallel.descend(optimizer, loss)
        return {"interpolation": self.fooled, "alpha_error": loss}
