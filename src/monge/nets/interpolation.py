r"""The critic of interpolations: it tells how far a decoded mixture of two codes is from real.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders via an adversarial
    regularizer", ICLR 2019, equations (1) to (3)    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
d_ω         ``net``, one number for a sample
x̂_α         ``decode(mix(z, alpha))``
α           in [0, ½]: the weight of the partner, (n, 1)
γ           `REAL`, how much of the datum is in the second kind of example
==========  ============================================================

The reference implementation's γ and the order "autoencoder, then critic, both from the same interpolations" are kept. An
autoencoder method that holds one of these is regularised by it, whatever else it minimises.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monge import parallel

REAL = 0.2


class InterpolationCritic(nn.Module):
    r"""Regresses α from interpolations, and 0 from data.

    .. math:: L_d = \|d_\omega(\hat x_\alpha) - \alpha\|^2 + \|d_\omega(\gamma x + (1 - \gamma) \hat x)\|^2, \qquad
              L_{f,g} \ni \lambda \|d_\omega(\hat x_\alpha)\|^2

    Parameters
    ----------
    net : Module
        Samples (n, ...) to (n, 1).

    Examples
    --------
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
        """The estimate of α, (n,)."""
        return self.net(x).flatten()  # (n, 1) − (n,) would be a table of n² differences

    def mix(self, z: Tensor, alpha: Tensor) -> Tensor:
        """α z' + (1 − α) z, where z' is the code at the mirrored place of the global batch."""
        everyone = parallel.gather(z, parts=True).flip(0)
        start = parallel.rank() * len(z)
        return torch.lerp(z, everyone[start : start + len(z)], alpha)

    def fooled(self, mixed: Tensor) -> Tensor:
        """Mean d(x̂_α)²: the autoencoder's term, eq. (2)."""
        return parallel.gather(self(mixed).square()).mean()

    def loss(self, mixed: Tensor, alpha: Tensor, x: Tensor, made: Tensor) -> Tensor:
        """Eq. (3), from interpolations, data and reconstructions without gradient."""
        regressed = (self(mixed.detach()) - alpha.flatten()).square()
        real = self(torch.lerp(made.detach(), x, REAL)).square()
        return parallel.gather(regressed + real).mean()
