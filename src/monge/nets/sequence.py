"""Networks for piano rolls (n, voices, classes, frames), one-hot over the classes.

Encoder and decoder are perceptrons over patches of eight frames with shared weights, and a layer
that mixes the patches. On music of the NES they learn several times faster than strided
convolutions or a perceptron over the whole window.

No layer couples samples, so that several processes compute the same as one.
"""

from __future__ import annotations

from torch import Tensor, nn

_PATCH = 8  # frames in a patch
_HIDDEN = 8  # hidden numbers of a patch for each hidden number of a frame


class SequenceEncoder(nn.Module):
    """Encoder from piano rolls to codes (n, features).

    Each frame is mapped to ``width`` numbers, each patch of eight frames to a part of the code, and
    `Mix` mixes the parts.

    >>> import torch
    >>> SequenceEncoder((4, 89, 16), features=10, width=4)(torch.zeros(5, 4, 89, 16)).shape
    torch.Size([5, 10])
    """

    def __init__(self, shape: tuple[int, ...], features: int, width: int = 64) -> None:
        super().__init__()
        patches = _patches(shape)
        share = -(-features // patches)
        last = nn.Conv1d(_HIDDEN * width, share, 1)
        nn.init.kaiming_normal_(last.weight, a=0.2)
        self.body = nn.Sequential(*_patch_layers(shape, width), last, nn.Flatten())
        self.mix = Mix(share * patches, features)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.body(x))


class SequenceDecoder(nn.Module):
    """Decoder from codes (n, latent) to logits, the layers of the encoder in reverse.

    >>> import torch
    >>> SequenceDecoder(10, (4, 89, 16), width=4)(torch.zeros(5, 10)).shape
    torch.Size([5, 4, 89, 16])
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int = 64) -> None:
        super().__init__()
        patches, hidden = _patches(shape), _HIDDEN * width
        share = -(-latent // patches)
        self.mix = Mix(latent, share * patches)
        self.body = nn.Sequential(
            nn.Unflatten(1, (share, patches)),
            nn.Conv1d(share, hidden, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose1d(hidden, width, _PATCH, _PATCH),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, shape[0] * shape[1], 1),
            nn.Unflatten(1, shape[:2]),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.body(self.mix(z))


class SequenceCritic(nn.Module):
    """Critic from piano rolls to (n, features): patch features and a perceptron over all of them.

    >>> import torch
    >>> SequenceCritic((4, 89, 16), features=1, width=4)(torch.zeros(5, 4, 89, 16)).shape
    torch.Size([5, 1])
    """

    def __init__(self, shape: tuple[int, ...], features: int, width: int = 16) -> None:
        super().__init__()
        hidden = _HIDDEN * width
        self.net = nn.Sequential(
            *_patch_layers(shape, width),
            nn.Flatten(),
            nn.Linear(hidden * _patches(shape), hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Mix(nn.Module):
    """x ↦ x + V σ(U x) / 10, initialized as the identity.

    If the sizes differ, the identity cuts x off or pads it with zeros. Patches thus learn
    independently first, which is fast, and learn their relations later. Without the factor 1/10,
    the first steps of Adam change the code of every patch too much, and learning takes twice as
    long.

    >>> import torch
    >>> Mix(3, 2)(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 2.0]]
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        last = nn.Linear(n_out, n_out)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.change = nn.Sequential(nn.Linear(n_in, n_out), nn.LeakyReLU(0.2), last)
        self.n_out = n_out

    def forward(self, x: Tensor) -> Tensor:
        kept = nn.functional.pad(x, (0, self.n_out - x.shape[1]))  # a negative pad cuts off
        return kept + 0.1 * self.change(x)


def _patch_layers(shape: tuple[int, ...], width: int) -> tuple[nn.Module, ...]:
    """Return layers from frames to ``width`` numbers and to patches (n, 8·width, patches)."""
    frames = nn.Conv1d(shape[0] * shape[1], width, 1)
    patches = nn.Conv1d(width, _HIDDEN * width, _PATCH, _PATCH)
    # in each voice one of the inputs is 1 and the others are 0
    nn.init.normal_(frames.weight, std=shape[0] ** -0.5)
    nn.init.kaiming_normal_(patches.weight, nonlinearity="linear")
    return nn.Flatten(1, 2), frames, patches, nn.LeakyReLU(0.2)


def _patches(shape: tuple[int, ...]) -> int:
    """Return the number of patches in a window."""
    if len(shape) != 3 or shape[2] % _PATCH or not shape[2]:
        raise ValueError(
            "net 'sequence' takes piano rolls (voices, classes, frames) with a multiple of "
            f"{_PATCH} frames, got {shape}"
        )
    return shape[2] // _PATCH
