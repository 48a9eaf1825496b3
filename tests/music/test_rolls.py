"""Piano rolls: classes of pitches, one-hot samples, and the way back."""

from __future__ import annotations

import numpy as np
import torch

from monge.music.rolls import most_likely, one_hot, to_classes, to_song
from tests.helpers.music import song


def test_pitches_outside_the_keys_are_shifted_by_octaves() -> None:
    notes = np.array([[21, 108, 0, 0], [20, 109, 1, 16], [127, 120, 12, 17]])
    assert to_classes(notes).tolist() == [[1, 88, 0, 0], [12, 77, 5, 16], [83, 88, 4, 16]]
    for before, after in zip(notes[:, :3].ravel(), to_classes(notes)[:, :3].ravel(), strict=True):
        assert before == 0 or (int(after) + 20 - before) % 12 == 0


def test_one_hot_samples_are_converted_back() -> None:
    x = torch.from_numpy(song(24)[None])
    samples = one_hot(x)
    assert samples.shape == (1, 4, 89, 24)
    assert torch.equal(most_likely(samples), x.movedim(2, 1))
    np.testing.assert_array_equal(to_song(samples[0]), song(24))
    samples[0, 3, 40] = 2  # not a type of noise
    assert int(most_likely(samples)[:, 3].max()) <= 16


def test_most_likely_limits_the_noise_voice_to_its_types() -> None:
    p = torch.zeros(1, 4, 89, 1)
    p[0, 0, 50], p[0, 3, 17], p[0, 3, 16] = 1, 0.9, 0.1
    assert most_likely(p).flatten().tolist() == [50, 0, 0, 16]
