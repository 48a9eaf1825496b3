"""Autoencoders: an encoder, a decoder, and the moments of the codes.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders
        via an adversarial regularizer", ICLR 2019, appendix B    [berthelot2019]

``dcgan`` halves the picture by strided convolutions down to 4 pixels or less, which is fast and
deep enough for codes that separate classes. ``conv`` halves it only twice. ``acai`` has the paper's
blocks, which begin at full size and are several times slower on a CPU. ``mlp`` takes samples of any
shape, and ``sequence`` takes piano rolls.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import log2
from typing import Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from monge import parallel

from .build import build_critic, build_generator
from .parts import batched
from .sequence import SequenceCritic, SequenceDecoder, SequenceEncoder

AutoencoderNet: TypeAlias = Literal["mlp", "conv", "dcgan", "acai", "sequence"]

_DECAY = 0.99  # of the moments, which average over about a hundred batches of codes
_SMALLEST = 4  # side of the smallest feature map
_BLOCK, _ENTRIES = 1000, 2**21  # at most so many samples and numbers pass a network at once
_HIDDEN = 256  # width of the layer between the smallest feature map and the codes


class Prior(Protocol):
    """A distribution of codes to sample from, such as `monge.data.load_prior` returns."""

    def batch(self, seed: int, position: int, n: int) -> Tensor: ...


class Reconstruction(NamedTuple):
    """A batch that was encoded and decoded, from which every autoencoder method forms its loss."""

    z: Tensor  # Codes (n, latent) of this process.
    codes: Tensor  # Codes of all processes.
    decoded: Tensor  # Reconstructions x̂ (n, ...) of this process.
    error: Tensor  # Mean of `Autoencoder.errors` over all processes.
    entries: int  # Number of errors that are summed for one sample.


class Autoencoder(nn.Module):
    r"""Codes z = e(x) of dimension d, and reconstructions x̂ = d(z).

    ``encoder`` maps samples (n, ...) to codes (n, latent) and ``decoder`` maps codes to samples;
    errors are squared differences. With ``classes``, samples are one-hot over their second axis,
    (n, voices, classes, frames): the decoder returns logits, `decode` their softmax, and errors are
    cross-entropies in nats.

    >>> ae = build_autoencoder("mlp", (1, 8, 8), latent=3, width=16)
    >>> x = torch.zeros(5, 1, 8, 8)
    >>> z = ae.encode(x)
    >>> z.shape, ae.errors(x, ae.decode(z)).shape, ae.fitted(2).shape
    (torch.Size([5, 3]), torch.Size([5]), torch.Size([2, 3]))
    """

    mean: Tensor
    covariance: Tensor
    observed: Tensor

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, *, classes: bool = False
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent, self.classes = encoder, decoder, latent, classes
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("covariance", torch.eye(latent))
        self.register_buffer("observed", torch.zeros(()))

    def encode(self, x: Tensor) -> Tensor:
        """Return codes (n, latent)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return samples, or probabilities of the classes."""
        output = self.decoder(z)
        return output.softmax(2) if self.classes else output

    def encode_all(self, x: Tensor) -> Tensor:
        """Return codes (n, latent) of any number of samples.

        They are computed in blocks on the device of the networks, and returned on the CPU.
        """
        return self._in_blocks(self.encode, x)

    def decode_all(self, z: Tensor) -> Tensor:
        """Return samples of any number of codes, computed in blocks as in `encode_all`."""
        return self._in_blocks(self.decode, z)

    def error_all(self, x: Tensor) -> Tensor:
        """Return `errors` of the reconstructions of any number of samples, computed in blocks."""
        return self._in_blocks(lambda block: self.errors(block, self.decode(self.encode(block))), x)

    @torch.no_grad()
    def _in_blocks(self, f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        rows = max(1, min(_BLOCK, _ENTRIES // x[0].numel()))
        return torch.cat([f(block.to(self.mean)).float().cpu() for block in x.split(rows)])

    def errors(self, x: Tensor, decoded: Tensor) -> Tensor:
        """Return |x − x̂|² or −Σ x log x̂ of each sample, (n,)."""
        error = -(x * decoded.clamp_min(1e-12).log()) if self.classes else (x - decoded).square()
        return error.flatten(1).sum(1)

    def reconstruct(self, x: Tensor) -> Reconstruction:
        """Encode and decode a batch."""
        z = self.encode(x)
        codes = parallel.gather(z)
        decoded = self.decode(z)
        error = parallel.gather(self.errors(x, decoded)).mean()
        return Reconstruction(z, codes, decoded, error, self.entries(x))

    def entries(self, x: Tensor) -> int:
        """Return how many errors are summed for one sample: its numbers, or voices × frames."""
        return x[0].numel() // (x.shape[2] if self.classes else 1)

    @torch.no_grad()
    def observe(self, z: Tensor) -> None:
        """Update the moments with a batch of codes, gathered from all processes."""
        self.observed += 1
        share = torch.clamp(1 / self.observed, min=1 - _DECAY)  # first a plain mean
        self.mean.lerp_(z.mean(0), share.to(z))
        self.covariance.lerp_((z - self.mean).T @ (z - self.mean) / len(z), share.to(z))

    def fitted(self, n: int, seed: int = 0) -> Tensor:
        """Return n codes from the Gaussian with the observed moments, a function of the seed."""
        values, vectors = torch.linalg.eigh(self.covariance.double().cpu())
        noise = torch.randn(n, self.latent, generator=torch.Generator().manual_seed(seed)).double()
        return ((noise * values.clamp_min(0).sqrt()) @ vectors.T).to(self.mean) + self.mean

    def sample(self, n: int, seed: int = 0, prior: Prior | None = None) -> Tensor:
        """Return n samples decoded from ``prior``, or from `fitted` if it is None."""
        z = self.fitted(n, seed) if prior is None else prior.batch(seed, 0, n).to(self.mean)
        return batched(self.decode, z)


def build_autoencoder(
    net: AutoencoderNet, shape: tuple[int, ...], latent: int, width: int
) -> Autoencoder:
    """Return an autoencoder for samples of ``shape`` with codes of ``latent`` numbers."""
    if net == "sequence":
        parts = SequenceEncoder(shape, latent, width), SequenceDecoder(latent, shape, width)
        return Autoencoder(*parts, latent, classes=True)
    encoder = build_encoder(net, shape, width, latent)
    if net == "dcgan":
        return Autoencoder(encoder, ConvDecoder(latent, *_square(shape), width), latent)
    if net == "acai":
        return Autoencoder(encoder, ACAIDecoder(latent, *_square(shape), width), latent)
    return Autoencoder(encoder, build_generator(net, latent, shape, width), latent)


def build_encoder(
    net: AutoencoderNet, shape: tuple[int, ...], width: int, features: int
) -> nn.Module:
    """Return a network from samples of ``shape`` to ``features`` numbers.

    It serves as an encoder, or as a critic of decoded samples.
    """
    if net == "dcgan":
        return ConvEncoder(*_square(shape), features, width)
    if net == "acai":
        return ACAIEncoder(*_square(shape), features, width)
    if net == "sequence":
        return SequenceCritic(shape, features, width)
    return build_critic(net, shape, width, features)


class ConvEncoder(nn.Module):
    """Strided 4×4 convolutions and two linear layers.

    Each convolution doubles the channels, and the last leaves a feature map of 4×4 pixels or less.
    ``width`` is the number of channels at half size.
    """

    def __init__(self, channels: int, size: int, features: int, width: int = 16) -> None:
        super().__init__()
        sizes = _halved(size)
        depths = [channels, *(width * 2**scale for scale in range(len(sizes) - 1))]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(depths):
            layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        head = [
            nn.Linear(depths[-1] * sizes[-1] ** 2, _HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(_HIDDEN, features),
        ]
        self.body = nn.Sequential(*layers, nn.Flatten(), *head)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class ConvDecoder(nn.Module):
    """The layers of `ConvEncoder` in reverse, transposed, with pictures in [−1, 1] as output."""

    def __init__(self, latent: int, channels: int, size: int, width: int = 16) -> None:
        super().__init__()
        sizes = _halved(size)
        depths = [channels, *(width * 2**scale for scale in range(len(sizes) - 1))]
        stem = [
            nn.Linear(latent, _HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(_HIDDEN, depths[-1] * sizes[-1] ** 2),
            nn.LeakyReLU(0.2),
        ]
        layers: list[nn.Module] = [nn.Unflatten(1, (depths[-1], sizes[-1], sizes[-1]))]
        steps = zip(pairwise(sizes[::-1]), list(pairwise(depths))[::-1], strict=True)
        for (small, large), (n_out, n_in) in steps:
            odd = large - 2 * small
            up = nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, output_padding=odd)
            layers += [up, nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*stem, *layers[:-1], nn.Tanh())
        _initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z)


class ACAIEncoder(nn.Module):
    """Blocks of two 3×3 convolutions and average pooling, down to 4×4 pixels.

    The second convolution of a block doubles the channels. ``width`` is the number of channels of
    the first block, 16 in the paper. Pictures are padded to a power of two.
    """

    def __init__(self, channels: int, size: int, features: int, width: int = 16) -> None:
        super().__init__()
        self.size, scales = _padded(size)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 1)]
        for scale in range(scales):
            depth = width * 2**scale
            layers += [*_block(depth, depth), *_block(depth, 2 * depth), nn.AvgPool2d(2)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width * 2**scales * _SMALLEST**2, features)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        margin = self.size - x.shape[-1]
        if margin:
            sides = (margin // 2, margin - margin // 2)
            x = nn.functional.pad(x, sides * 2, mode="replicate")
        return self.head(self.body(x).flatten(1))


class ACAIDecoder(nn.Module):
    """The blocks of `ACAIEncoder` in reverse, with nearest-neighbor upsampling."""

    def __init__(self, latent: int, channels: int, size: int, width: int = 16) -> None:
        super().__init__()
        padded, scales = _padded(size)
        self.out, self.crop, self.depth = size, (padded - size) // 2, width * 2 ** (scales - 1)
        self.stem = nn.Linear(latent, self.depth * _SMALLEST**2)
        layers: list[nn.Module] = []
        for scale in range(scales - 1, -1, -1):
            depth = width * 2**scale
            deeper = depth if scale == scales - 1 else 2 * depth
            layers += [*_block(deeper, depth), *_block(depth, depth), nn.Upsample(scale_factor=2)]
        layers += [*_block(width, width), nn.Conv2d(width, channels, 3, padding=1)]
        self.body = nn.Sequential(*layers)
        _initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        h = self.body(self.stem(z).reshape(-1, self.depth, _SMALLEST, _SMALLEST))
        return h[..., self.crop : self.crop + self.out, self.crop : self.crop + self.out]


def _block(n_in: int, n_out: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(n_in, n_out, 3, padding=1), nn.LeakyReLU(0.2)


def _initialize(net: nn.Module) -> None:
    """Apply He initialization for leaky ReLUs of slope 0.2."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _halved(size: int) -> list[int]:
    """Return the sides of the feature maps, halved at least once and until 4 or less.

    >>> _halved(28)
    [28, 14, 7, 3]
    """
    sizes = [size, size // 2]
    while sizes[-1] > _SMALLEST:
        sizes.append(sizes[-1] // 2)
    return sizes


def _padded(size: int) -> tuple[int, int]:
    """Return the smallest power of two ≥ ``size`` and ≥ 8, and the number of halvings to 4."""
    scales = max(1, -int(-log2(max(size, 1) / _SMALLEST) // 1))
    return _SMALLEST * 2**scales, scales


def _square(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(
            f"nets 'dcgan' and 'acai' take square pictures (channels, size, size), got {shape}: "
            "choose net 'mlp'"
        )
    return shape[0], shape[1]
