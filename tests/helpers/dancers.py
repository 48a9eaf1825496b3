"""A dancer without a network, and run folders of untrained methods."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from monge.dance.dancer import RATE
from monge.dance.domains import DanceDomains
from monge.dance.motion import MELODY, Skeleton, rest
from monge.methods import mdot
from monge.training import RunFolder, parse
from monge.training.checkpoint import write_atomically
from monge.training.recipe import to_yaml

PERIOD = 0.55  # seconds of the sway


class SwayingDancer:
    """A dancer that ignores the music and sways at a beat of its own."""

    def __init__(self, skeleton: Skeleton = MELODY) -> None:
        self.skeleton, self.received = skeleton, (-1, None)

    def dance(self, music: Tensor, /, *, seed: int = 0, style: int | None = None) -> Tensor:
        """Return a dance; ``received`` holds the seed and the style."""
        self.received = (seed, style)
        time = torch.arange(len(music)) / RATE
        positions = rest(self.skeleton).repeat(len(music), 1, 1)
        positions[:, :, 0] += 0.2 * torch.cos(math.pi * time / PERIOD)[:, None]
        return positions


def write_run(folder: Path, method: dict[str, object]) -> Path:
    """Write a run folder with the initial weights of a method."""
    recipe = parse({"data": {"name": "dance_melody"}, "method": method}, "test")
    folder.mkdir(parents=True)
    write_atomically(folder / "config.yaml", to_yaml(recipe).encode())
    if isinstance(recipe.method, mdot.Config):
        network = mdot.build(recipe.method, (96, 70), DanceDomains())
        RunFolder(folder).save_weights(network.state_dict())
    return folder
