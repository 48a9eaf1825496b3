"""Multi-layer perceptrons for points and small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them and He initialization.

    The biases of the first layer are uniform in [−1, 1], which spreads its kinks over the latent
    space: a generator that starts with smooth maps takes many times longer to separate modes.

    ``sizes`` are the widths from input to output. Outputs have ``shape``, with ``sizes[-1]``
    numbers in all. With ``squash`` the last layer is tanh, for pictures in [−1, 1].

    >>> import torch
    >>> MLP([2, 8, 12], shape=(3, 2, 2))(torch.zeros(5, 2)).shape
    torch.Size([5, 3, 2, 2])
    """

    def __init__(
        self, sizes: Sequence[int], shape: tuple[int, ...] | None = None, *, squash: bool = False
    ) -> None:
        super().__init__()
        self.shape = tuple(shape or (sizes[-1],))
        if prod(self.shape) != sizes[-1]:
            raise ValueError(
                f"shape {self.shape} holds {prod(self.shape)} numbers, but the last size is "
                f"{sizes[-1]}"
            )
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        layers[-1] = nn.Tanh() if squash else nn.Identity()
        self.layers = nn.Sequential(*layers)
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.uniform_(linear[0].bias, -1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).reshape(-1, *self.shape)
