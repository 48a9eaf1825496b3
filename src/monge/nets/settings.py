"""Networks as parts of a configuration, built for samples of a given shape."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator
from torch import nn

from monge.config import Former, Frozen

from .autoencoder import Autoencoder, AutoencoderNet, build_autoencoder
from .build import Net, build_critic, build_generator
from .conv_icnn import ConvICNN
from .icnn import DenseICNN


class GeneratorNets(Frozen):
    """A generator.

    >>> import torch
    >>> GeneratorNets(latent=3, width=8).generator((1, 8, 8))(torch.zeros(5, 3)).shape
    torch.Size([5, 1, 8, 8])
    """

    FORMER: ClassVar[Former] = {"net": "kind"}

    kind: Net = "mlp"  # mlp, or conv for square pictures.
    latent: int = Field(2, ge=1)  # Dimension of the noise z.
    width: int = Field(256, ge=1)  # Width of the generator.

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a network from noise (n, latent) to samples (n, *shape)."""
        return build_generator(self.kind, self.latent, shape, self.width)


class GameNets(Frozen):
    """A generator and a critic.

    >>> import torch
    >>> GameNets(critic_width=8).critic((2,), features=4)(torch.zeros(5, 2)).shape
    torch.Size([5, 4])
    """

    FORMER: ClassVar[Former] = {"net": "kind"}

    kind: Net = "mlp"  # mlp, or conv for square pictures, for both networks.
    latent: int = Field(2, ge=1)  # Dimension of the noise z.
    width: int = Field(256, ge=1)  # Width of the generator.
    critic_width: int = Field(32, ge=1)  # Width of the critic.

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a network from noise (n, latent) to samples (n, *shape)."""
        return build_generator(self.kind, self.latent, shape, self.width)

    def critic(self, shape: tuple[int, ...], features: int = 1) -> nn.Module:
        """Return a network from samples (n, *shape) to (n, features)."""
        return build_critic(self.kind, shape, self.critic_width, features)


class AutoencoderNets(Frozen):
    """An encoder and a decoder.

    >>> import torch
    >>> autoencoder = AutoencoderNets(kind="mlp", latent=3, width=8).autoencoder((1, 8, 8))
    >>> autoencoder.encode(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 3])
    """

    FORMER: ClassVar[Former] = {"net": "kind"}

    #: mlp, conv, dcgan, acai for pictures, sequence for piano rolls; see `monge.nets.autoencoder`.
    kind: AutoencoderNet = "conv"
    latent: int = Field(32, ge=1)  # Dimension of the codes.
    width: int = Field(32, ge=2)  # Width of encoder and decoder.

    def autoencoder(self, shape: tuple[int, ...]) -> Autoencoder:
        """Return an autoencoder of samples (n, *shape)."""
        return build_autoencoder(self.kind, shape, self.latent, self.width)


class PotentialNets(Frozen):
    """Two convex potentials of points, see `DenseICNN`.

    >>> [net.dim for net in PotentialNets(widths=(8, 4)).pair((3,))]
    [3, 3]
    """

    widths: tuple[int, ...] = (128, 128, 64)  # Widths of the layers.
    rank: int = Field(1, ge=1)  # Squares in each quadratic skip layer.
    strong: float = Field(1e-6, ge=0)  # Modulus of strong convexity.
    #: Standard deviation of the initial projections of standardized points.
    spread: float = Field(0.7, gt=0)

    def pair(self, shape: tuple[int, ...]) -> tuple[DenseICNN, DenseICNN]:
        """Return two potentials of points of ``shape`` (d,); ValueError for other shapes."""
        if len(shape) != 1:
            raise ValueError(
                f"these potentials move points (d,), got samples of shape {shape}: flatten them, "
                "or move their codes"
            )
        settings = (shape[0], self.widths, self.rank, self.strong, self.spread)
        return DenseICNN(*settings), DenseICNN(*settings)


class ConvPotentialNets(Frozen):
    """Two convex potentials of square pictures, see `ConvICNN`.

    >>> import torch
    >>> small = ConvPotentialNets(widths=(4, 4), strides=(1, 2), head=(4,), grid=2)
    >>> small.pair((3, 8, 8))[0](torch.zeros(5, 3, 8, 8)).shape
    torch.Size([5])
    """

    #: Channels of the convolutional layers.
    widths: tuple[int, ...] = Field((16, 16, 32, 32, 32), min_length=1)
    #: 1 or even; their product divides the size of the pictures.
    strides: tuple[int, ...] = Field((1, 1, 2, 2, 2), min_length=1)
    rank: int = Field(1, ge=1)  # Squares in each quadratic skip layer.
    #: Widths of the dense network on the averaged picture.
    head: tuple[int, ...] = Field((64, 32), min_length=1)
    grid: int = Field(4, ge=1)  # Side of the averaged picture; it divides the size of the pictures.
    strong: float = Field(1e-6, ge=0)  # Modulus of strong convexity.
    spread: float = Field(0.5, gt=0)  # Size of the initial filters.

    @model_validator(mode="after")
    def _one_stride_for_each_width(self) -> ConvPotentialNets:
        if len(self.strides) != len(self.widths):
            raise ValueError(
                f"{len(self.widths)} widths need as many strides, got {len(self.strides)}"
            )
        return self

    def pair(self, shape: tuple[int, ...]) -> tuple[ConvICNN, ConvICNN]:
        """Return two potentials of pictures of ``shape`` (c, s, s); ValueError for other shapes."""
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(
                f"these potentials move square pictures (c, s, s), got samples of shape {shape}: "
                "crop or resize them"
            )
        layers = (self.widths, self.strides, self.rank, self.head, self.grid)
        settings = (shape[0], shape[1], *layers, self.strong, self.spread)
        return ConvICNN(*settings), ConvICNN(*settings)
