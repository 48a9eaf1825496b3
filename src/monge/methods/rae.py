r"""RAE: a deterministic autoencoder with small codes and a smooth decoder, and a Gaussian fitted to the codes afterwards.

    Ghosh, Sajjadi, Vergari, Black, Schölkopf, "From variational to deterministic autoencoders", ICLR 2020    [ghosh2020]

==========  ============================================================
symbol      here
==========  ============================================================
β           ``config.code_penalty``
λ           ``config.decoder_decay``, the paper's L2 form of L_REG
==========  ============================================================

.. math:: \min_{e, d} \; \mathbb{E} |x - \hat x|^2 + \tfrac{\beta}{2}\, \mathbb{E} |z|^2 + \lambda |\theta_d|^2

The baseline without a variational part, a prior or a critic: what a fitted Gaussian alone can do.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import parallel
from monge.config import Frozen
from monge.data import Draw
from monge.nets import Autoencoder, AutoencoderNet, build_autoencoder, linear_decay


class Config(Frozen):
    """Regularised autoencoder."""

    name: Literal["rae"] = "rae"
    net: AutoencoderNet = "conv"
    """mlp, conv, dcgan, acai (its paper's blocks) for pictures, sequence for scores; see `monge.nets.autoencoder`."""
    latent: int = Field(32, ge=1)
    """Dimension of the codes."""
    width: int = Field(32, ge=2)
    """Width of encoder and decoder."""
    batch: int = Field(128, ge=2)
    """Global batch."""
    lr: float = Field(1e-3, gt=0)
    """Adam learning rate; decays linearly over the second half."""
    code_penalty: float = Field(0.1, ge=0)
    """Weight β of the codes' squared length."""
    decoder_decay: float = Field(1e-3, ge=0)
    """Weight λ of the decoder's squared weights."""


class RAE(nn.Module):
    """Minimise the reconstruction error, the length of the codes and the decoder's weights.

    Parameters
    ----------
    config : Config
    autoencoder : Autoencoder

    Examples
    --------
    >>> from monge.data import load
    >>> method = build(Config(net="mlp", latent=2, width=8, batch=16), (1, 8, 8))
    >>> scalars = method.step(Draw(load("digits"), seed=0, step=0))
    >>> sorted(scalars), method.sample(5).shape
    (['code_size', 'decoder_size', 'generator_grad', 'loss', 'reconstruction'], torch.Size([5, 1, 8, 8]))
    """

    prior = None

    def __init__(self, config: Config, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.config, self.autoencoder = config, autoencoder
        self.optimizers = {"autoencoder": torch.optim.Adam(autoencoder.parameters(), lr=config.lr)}

    def step(self, draw: Draw) -> dict[str, float | Tensor]:
        """One step of encoder and decoder."""
        c, optimizer = self.config, self.optimizers["autoencoder"]
        linear_decay(optimizer, c.lr, draw.progress)
        x = draw.data(c.batch)
        z = self.autoencoder.encode(x)
        error = parallel.gather(self.autoencoder.errors(x, self.autoencoder.decode(z))).mean()
        size = parallel.gather(z.square().sum(1)).mean()
        weights = torch.stack([w.square().sum() for w in self.autoencoder.decoder.parameters()]).sum()
        loss = error + c.code_penalty / 2 * size + c.decoder_decay * weights / parallel.world()  # gradients are added up
        norm = parallel.descend(optimizer, loss)
        self.autoencoder.observe(parallel.gather(z.detach()))
        scalars = {"loss": loss, "reconstruction": error / self.autoencoder.entries(x), "code_size": size}
        return {name: value.detach() for name, value in (scalars | {"decoder_size": weights, "generator_grad": norm}).items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from a Gaussian fitted to the codes, a function of the seed."""
        return torch.cat([self.autoencoder.decode(z) for z in self.autoencoder.fitted(n, seed).split(1000)])


def build(config: Config, shape: tuple[int, ...]) -> RAE:
    """Make the networks, for samples of ``shape``."""
    return RAE(config, build_autoencoder(config.net, shape, config.latent, config.width))
