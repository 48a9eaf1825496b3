r"""RAE: a deterministic autoencoder with penalized codes and decoder, and a Gaussian on the codes.

    Ghosh, Sajjadi, Vergari, Black, Schölkopf, "From variational to deterministic autoencoders",
        ICLR 2020 [ghosh2020]

==========  ============================================================
symbol      here
==========  ============================================================
β           ``config.code_penalty``
λ           ``config.decoder_decay``, the paper's L2 form of L_REG
==========  ============================================================

.. math::

    \min_{e, d} \; \mathbb{E} |x - \hat x|^2 + \tfrac{\beta}{2}\, \mathbb{E} |z|^2
    + \lambda |\theta_d|^2

The Gaussian is fitted to the codes during training, and samples are decoded from it.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from monge import parallel
from monge.config import Batch, Frozen
from monge.data import StepInputs
from monge.nets import Autoencoder, AutoencoderNets
from monge.optim import Adam


class Config(Frozen):
    """Regularized autoencoder."""

    name: Literal["rae"] = "rae"
    batch: Batch = 128
    adam: Adam = Adam(lr=1e-3)
    nets: AutoencoderNets = AutoencoderNets()
    code_penalty: float = Field(0.1, ge=0)  # β, weight of the codes' squared length.
    decoder_decay: float = Field(1e-3, ge=0)  # λ, weight of the decoder's squared weights.


TINY = Config(batch=16, nets={"kind": "mlp", "latent": 3, "width": 8})


class RAE(nn.Module):
    """Minimize the reconstruction error, the length of the codes and the decoder's weights.

    >>> from monge.data import load
    >>> method = build(TINY, (1, 8, 8))
    >>> sorted(method.step(StepInputs(load("digits"), seed=0, step=0)))
    ['code_size', 'decoder_size', 'generator_grad', 'loss', 'reconstruction']
    >>> method.sample(5).shape
    torch.Size([5, 1, 8, 8])
    """

    prior = None

    def __init__(self, config: Config, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.config, self.autoencoder = config, autoencoder
        self.optimizers = {"autoencoder": config.adam.make(autoencoder.parameters())}

    def step(self, inputs: StepInputs) -> dict[str, float | Tensor]:
        """Take a step of encoder and decoder."""
        c = self.config
        optimizer = self.optimizers["autoencoder"]
        decoder = self.autoencoder.decoder
        c.adam.decay(optimizer, inputs.progress)
        r = self.autoencoder.reconstruct(inputs.data(c.batch))
        size = parallel.gather(r.z.square().sum(1)).mean()
        weights = torch.stack([w.square().sum() for w in decoder.parameters()]).sum()
        # the gradients of all processes are summed
        loss = r.error + c.code_penalty / 2 * size + c.decoder_decay * weights / parallel.world()
        norm = parallel.descend(optimizer, loss)
        self.autoencoder.observe(r.codes.detach())
        scalars = {"loss": loss, "reconstruction": r.error / r.entries, "code_size": size}
        scalars |= {"decoder_size": weights, "generator_grad": norm}
        return {name: value.detach() for name, value in scalars.items()}

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return n samples decoded from a Gaussian fitted to the codes, a function of the seed."""
        return self.autoencoder.sample(n, seed)


def build(config: Config, shape: tuple[int, ...]) -> RAE:
    """Build the networks that the configuration names, for samples of ``shape``."""
    return RAE(config, config.nets.autoencoder(shape))
