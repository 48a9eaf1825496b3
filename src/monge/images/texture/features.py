"""Features to match in place of patches: random filters, or VGG-19 with the user's weights.

    Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition",
        ICLR 2015: VGG   [simonyan2015]
    Gatys, Ecker & Bethge, "Texture synthesis using convolutional neural networks", NeurIPS 2015:
        its use for textures   [gatys2015]

An extractor maps a picture (n, c, h, w) to a list of features, maps (n, k, h', w').
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from monge.errors import MongeError, nearest
from monge.nets import RandomFilters

Features: TypeAlias = Literal["none", "random", "vgg19"]

_FILTER = 7  # side of a random filter in pixels
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, and convolutions in a block
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_FORMAT = "a state dict of tensors 'features.0.weight', … as in the common VGG-19 weight files"


class VGG19(nn.Module):
    """The maps of the first convolution of each of the five blocks of VGG-19, with average pooling.

    Pictures are (n, 1 to 4, h, w) in [0, 1]. Gray is repeated and alpha is left out, and so are the
    blocks for which a picture is too small. Source: [simonyan2015], [gatys2015].
    """

    def __init__(self, *, torus: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        mode: Literal["circular", "zeros"] = "circular" if torus else "zeros"
        self.taps, before = [], 3
        for width, convolutions in _BLOCKS:
            self.taps.append(len(layers) + 1)
            for _ in range(convolutions):
                convolution = nn.Conv2d(before, width, 3, padding=1, padding_mode=mode)
                layers += [convolution, nn.ReLU()]
                before = width
            layers.append(nn.AvgPool2d(2))
        self.features = nn.Sequential(*layers[: self.taps[-1] + 1])
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)
        mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
        x = (x - mean) / std
        maps = []
        for k, layer in enumerate(self.features):
            if isinstance(layer, nn.AvgPool2d) and min(x.shape[2:]) < 4:
                break
            x = layer(x)
            if k in self.taps:
                maps.append(x)
        return maps


def load_extractor(
    features: str,
    channels: int,
    side: int,
    *,
    tile: bool = False,
    seed: int = 0,
    weights: str | Path | None = None,
) -> nn.Module | None:
    """Build the module of a name, for pictures with ``channels`` and a smallest side of ``side``.

    The result is None for ``"none"``.

    >>> load_extractor("random", channels=3, side=64).scales
    4
    """
    if features not in (names := get_args(Features)):
        raise MongeError(f"unknown features '{features}'{nearest(features, names)}")
    if weights is not None and features != "vgg19":
        raise MongeError(f"weights '{weights}' are for features 'vgg19', got features '{features}'")
    if features == "none":
        return None
    if features == "random":
        if side < _FILTER:
            raise MongeError(
                f"random filters have {_FILTER} pixels and the picture {side}: take features 'none'"
            )
        scales = max(s for s in range(1, 5) if side >> (s - 1) >= _FILTER)
        return RandomFilters(channels, scales=scales, size=_FILTER, seed=seed, torus=tile)
    if weights is None:
        raise MongeError(
            f"features 'vgg19' need weights, which monge does not bring: give `weights`, {_FORMAT}"
        )
    return _vgg(Path(weights), tile)


def _vgg(path: Path, tile: bool) -> VGG19:
    if not path.is_file():
        raise MongeError(f"no VGG-19 weights at '{path}': the file does not exist; give {_FORMAT}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise MongeError(
            f"'{path}' is damaged or holds more than tensors ({type(error).__name__}): give "
            f"{_FORMAT}"
        ) from None
    net = VGG19(torus=tile)
    names = list(net.state_dict())
    missing = [name for name in names if not isinstance(state, dict) or name not in state]
    if missing:
        raise MongeError(f"'{path}' has no '{missing[0]}': give {_FORMAT}")
    try:
        net.load_state_dict({name: state[name] for name in names})
    except RuntimeError:
        raise MongeError(
            f"the tensors in '{path}' do not have the shapes of VGG-19: give {_FORMAT}"
        ) from None
    return net
