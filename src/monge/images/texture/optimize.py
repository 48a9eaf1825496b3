"""From pictures of one kind to the optimisation and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from monge import __version__
from monge.errors import MongeError
from monge.images.io import Picture
from monge.methods.texture import Config, Texture

from .limits import Size, checked_config, require_memory, size_of
from .pictures import kind_of, to_picture, to_tensor, without_opaque_alpha
from .run import Settings, fingerprint, run


@dataclass(frozen=True)
class Choices:
    """What is handed on to the method."""

    tile: bool
    seed: int
    config: Config | None
    extractor: nn.Module | None


def barycentre(
    pictures: Sequence[Picture], weights: Sequence[float] | None, size: Size | None, choices: Choices, settings: Settings
) -> Picture:
    """A picture between exemplars that are alike; those of weight 0 are left out."""
    seen = [without_opaque_alpha(picture) for picture in pictures]
    for k, picture in enumerate(seen):
        if not len(picture.visible):
            raise MongeError(f"exemplar {k + 1} is fully transparent and shows no texture")
    kind = kind_of(seen)
    used = [(picture, w) for picture, w in zip(seen, weights or [1.0], strict=True) if w]
    tensors = [to_tensor(picture, kind) for picture, _ in used]
    shape = size_of(size, seen[0].colours.shape[:2])
    several = [w for _, w in used] if len(used) > 1 else None

    def finish(made: Tensor) -> Picture:
        return without_opaque_alpha(to_picture(made, kind))

    return optimised(tensors, several, shape, choices, settings, finish)


def optimised(
    exemplars: list[Tensor],
    weights: list[float] | None,
    size: tuple[int, int],
    choices: Choices,
    settings: Settings,
    finish: Callable[[Tensor], Picture],
    masks: dict[str, Tensor] | None = None,
) -> Picture:
    """The picture that ``finish`` makes of channels (c, h, w); ``masks`` are mask and region where the exemplar has a hole."""
    begun = time.monotonic()
    config, notes = checked_config(choices.config or Config(), [x.shape[1:] for x in exemplars], size)
    require_memory(exemplars, size, config)
    named: dict[str, Any] = {"weights": weights, "tile": choices.tile, "seed": choices.seed}
    inputs: dict[str, Any] = masks | {"image": exemplars[0]} if masks else {}
    try:
        texture = Texture(exemplars, size, config=config, extractor=choices.extractor, **named, **inputs)
    except ValueError as error:
        raise MongeError(str(error)) from error
    features = [] if choices.extractor is None else [*choices.extractor.state_dict().values()]
    words = named | {"size": size, "config": config.model_dump(), "version": __version__, "extractor": str(choices.extractor)}
    made = run(texture, finish, fingerprint([*exemplars, *inputs.values(), *features], words), settings, begun)
    return replace(made, notes=(*notes, *made.notes))
