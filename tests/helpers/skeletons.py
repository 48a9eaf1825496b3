"""Both skeletons as a parameter of tests, and the lengths of bones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.dance.motion import SKELETONS, Skeleton

BOTH = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


def bone_lengths(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Compute the lengths (..., B) of the bones of positions (..., J, 3), bone by bone."""
    ends = [(j, skeleton.parents[j]) for j in skeleton.bones]
    bones = [positions[..., j, :] - positions[..., parent, :] for j, parent in ends]
    return torch.stack(bones, -2).norm(dim=-1)
