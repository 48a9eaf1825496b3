"""Features that a texture may be matched on in place of its patches: random filters, or VGG-19 with
the user's weights.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015    [simonyan2015]
                                                                                                         VGG
Gatys, Ecker & Bethge, "Texture synthesis using convolutional neural networks", NeurIPS 2015    [gatys2015]
                                                                                                its
                                                                                                use
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

_FILTER = 7  # pixels, of the random filters
# channels and convolutions between two poolings
_BLOCKS = (
    (64, 2),
    (128, 2),
    (256, 4),
    (512, 4),
    (512, 4),
)
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_FORMAT = (
    "a state dict of tensors 'features.0.weight', … as the common VGG-19 weight files have them"
)


class VGG19(nn.Module):
    """The first convolution's maps of each of VGG-19's five blocks, its poolings averages, on (n, 1
    to 4, h, w) in [0, 1].

    Gray is repeated, alpha left out, and so are blocks that a picture is too small for. Source:
        [simonyan2015], [gatys2015].
    """

    def __init__(self, *, torus: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.taps, before = [], 3
        for width, convolutions in _BLOCKS:
            self.taps.append(len(layers) + 1)
            for _ in range(convolutions):
                layers += [
                    nn.Conv2d(
                        before, width, 3, padding=1, padding_mode="circular" if torus else "zeros"
                    ),
                    nn.ReLU(),
                ]
                before = width
            layers.append(nn.AvgPool2d(2))
        self.features = nn.Sequential(*layers[: self.taps[-1] + 1])
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        colors = x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)
        x = (colors - colors.new_tensor(_MEAN).view(3, 1, 1)) / colors.new_tensor(_STD).view(
            3, 1, 1
        )
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
    """The module that a name means, for pictures of ``channels`` whose smallest side is ``side``;
    None for ``"none"``.

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
        fit = max(s for s in range(1, 5) if side >> (s - 1) >= _FILTER)
        return RandomFilters(channels, scales=fit, size=_FILTER, seed=seed, torus=tile)
    if weights is None:
        raise MongeError(
            "features 'vgg19' need weights, which monge does not bring: give --vgg-weights FILE, "
            f"{_FORMAT}"
        )
    return _vgg(Path(weights), tile)


def _vgg(path: Path, tile: bool) -> VGG19:
    if not path.is_file():
        raise MongeError(f"no VGG-19 weights at '{path}': there is no such file; give {_FORMAT}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise MongeError(
            f"'{path}' is damaged or holds more than tensors ({type(error).__name__}): give "
            f"{_FORMAT}"
        ) from None
    made = VGG19(torus=tile)
    wanted = made.state_dict()
    if not isinstance(state, dict) or (missing := [name for name in wanted if name not in state]):
        raise MongeError(
            f"'{path}' has no '{missing[0] if isinstance(state, dict) else 'features.0.weight'}': "
            f"give {_FORMAT}"
        )
    try:
        made.load_state_dict({name: state[name] for name in wanted})
    except RuntimeError:
        raise MongeError(
            f"the tensors in '{path}' are not of VGG-19's shapes: give {_FORMAT}"
        ) from None
    return made
