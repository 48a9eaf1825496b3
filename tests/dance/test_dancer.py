"""Dances of any length to songs: functions of song, seed and style, with bones that keep their
lengths.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch

from monge.dance.dancer import Dancer
from monge.dance.domains import DanceDomains
from monge.dance.motion import MELODY
from monge.data import rng
from monge.methods import mdot


def small(width: int = 8) -> Dancer:
    torch.manual_seed(0)
    return Dancer(mdot.build(mdot.Config(width=width), (96, 70), DanceDomains()))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 50, 97])
def test_a_song_of_any_length_is_danced_to(frames: int) -> None:
    dance = small().dance(torch.randn(frames, 80, generator=rng(1)))
    assert dance.shape == (frames, 23, 3)
    assert dance.isfinite().all()


def test_a_dance_is_a_function_of_song_seed_and_style() -> None:
    dancer, song = small(width=32), torch.randn(120, 80, generator=rng(1))
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


def test_five_minutes_are_finite_and_bones_keep_their_lengths() -> None:
    dancer = small(width=16)
    dance = dancer.dance(torch.randn(7500, 80, generator=rng(1)))
    assert dance.isfinite().all()
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    lengths = (
        dance[:, list(MELODY.bones)] - dance[:, [MELODY.parents[j] for j in MELODY.bones]]
    ).norm(dim=-1)
    assert (lengths / own - 1).abs().max() < 1e-5
