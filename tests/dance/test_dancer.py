"""Tests of the dancer: length, determinism and bone lengths of its dances."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from monge.dance.dancer import Dancer
from monge.dance.domains import DanceDomains
from monge.dance.motion import MELODY
from monge.data import rng
from monge.methods import mdot
from tests.helpers.skeletons import bone_lengths


def small_dancer(width: int = 8) -> Dancer:
    """Return an untrained dancer."""
    torch.manual_seed(0)
    return Dancer(mdot.build(mdot.Config(width=width), (96, 70), DanceDomains()))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 50, 97])
def test_dance_has_the_length_of_the_song(frames: int) -> None:
    dance = small_dancer().dance(torch.randn(frames, 80, generator=rng(1)))
    assert dance.shape == (frames, 23, 3)
    assert dance.isfinite().all()


def test_dance_is_determined_by_song_seed_and_style() -> None:
    dancer, song = small_dancer(width=32), torch.randn(120, 80, generator=rng(1))
    make = partial(dancer.dance, song)
    assert torch.equal(make(), make(seed=0))
    assert torch.equal(make(seed=2, style=3), make(seed=2, style=3))
    dances = [
        make(),
        make(seed=1),
        make(style=0),
        make(style=1),
        make(style=1, seed=1),
        dancer.dance(-song),
    ]
    for i, one in enumerate(dances):
        assert all((one - other).abs().max() > 1e-3 for other in dances[:i])


def test_five_minutes_are_finite_with_constant_bone_lengths() -> None:
    dancer = small_dancer(width=16)
    dance = dancer.dance(torch.randn(7500, 80, generator=rng(1)))
    assert dance.isfinite().all()
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    assert (bone_lengths(dance, MELODY) / own - 1).abs().max() < 1e-5
