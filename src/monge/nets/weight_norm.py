"""Weight normalization, w = g v/‖v‖, with data-dependent initialization.

Salimans, Kingma, "Weight normalization: A simple reparameterization to accelerate training of
    deep neural networks", NeurIPS 2016, section 3    [salimanskingma2016]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def weight_normalized(net: nn.Module) -> nn.Module:
    """Reparameterize every linear and convolutional layer of ``net`` and return ``net``.

    Each output of a layer has a length g and a direction v.

    >>> net = weight_normalized(nn.Linear(3, 2))
    >>> net.parametrizations.weight.original0.shape  # g
    torch.Size([2, 1])
    """
    for layer in net.modules():
        if isinstance(layer, _LAYERS):
            weight_norm(layer, dim=1 if isinstance(layer, nn.ConvTranspose2d) else 0)
    return net


@torch.no_grad()
def data_dependent_init(net: nn.Module, batch: Tensor) -> None:
    """Set g and b so that the outputs of each normalized layer have mean 0 and variance 1.

    In one forward pass of ``batch``, layer by layer: t = v·x/‖v‖, then g ← 1/σ[t] and
    b ← −μ[t]/σ[t]. Every process needs the same, gathered batch. A constant output keeps its g.

    >>> net = weight_normalized(nn.Linear(3, 2))
    >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) + 5
    >>> data_dependent_init(net, x)
    >>> torch.allclose(net(x).std(0, correction=0), torch.ones(2), atol=1e-4)
    True
    """

    def rescale(layer: Any, _: Any, out: Tensor) -> Tensor:
        axes = [axis for axis in range(out.ndim) if axis != 1]
        sigma, mu = torch.std_mean(out, axes, correction=0)
        sigma = torch.where(sigma > 1e-6 * (mu.abs() + 1e-6), sigma, 1.0)
        g = layer.parametrizations.weight.original0
        g /= sigma.view_as(g)
        b = layer.bias
        b.copy_((b - mu) / sigma)
        along = [1, -1] + [1] * (out.ndim - 2)
        return (out - mu.view(along)) / sigma.view(along)

    layers = [layer for layer in net.modules() if is_parametrized(layer, "weight")]
    hooks = [layer.register_forward_hook(rescale) for layer in layers]
    try:
        net(batch)
    finally:
        for hook in hooks:
            hook.remove()
