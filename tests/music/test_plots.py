"""Plots of piano rolls."""

from __future__ import annotations

import numpy as np

from monge.data import kind_of
from monge.music.nesmdb import from_songs
from monge.music.plots import plot_piano_rolls
from monge.music.rolls import most_likely


def test_bars_lie_at_seconds_and_pitches() -> None:
    song = np.zeros((16, 4), np.uint8)
    song[:, 0], song[4:8, 2] = 88, 1
    data = from_songs([song, song], size=16, n_held_out=1)
    figure = plot_piano_rolls(most_likely(data.held_out(1)), 24)
    bars = [bar.get_paths()[0].get_extents() for bar in figure.axes[0].collections]
    assert [(bar.x0, bar.x1, (bar.y0 + bar.y1) / 2) for bar in bars] == [
        (0, 16 / 24, 108),
        (4 / 24, 8 / 24, 21),
    ]
    assert kind_of(data).show(data.held_out(1), data.held_out(1)).startswith(b"\x89PNG")
