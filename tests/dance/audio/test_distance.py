"""Tests of the distance between windows of music."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from monge.dance.audio import music_distance, music_features, music_summary, sound_features
from monge.data import data_root
from tests.helpers.songs import song


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    """Four windows of each of two songs with different tempi."""
    samples = [torch.from_numpy(song(20, bpm, 22050, seed=bpm)).float() for bpm in (84, 126)]
    songs = [sound_features(x) for x in samples]
    return torch.stack([x[start : start + 96] for x in songs for start in (40, 140, 240, 340)])


def test_distance_is_a_pseudo_metric(windows: torch.Tensor) -> None:
    d = music_distance(windows, windows)
    assert d.diagonal().abs().max() == 0
    torch.testing.assert_close(d, d.T)
    assert (d[:, None] <= d[:, :, None] + d.T[None] + 1e-5).all()
    torch.testing.assert_close(d[:2, 3:], music_distance(windows[:2], windows[3:]))
    summary = music_summary(windows)
    torch.testing.assert_close(d, torch.cdist(summary, summary), atol=2e-3, rtol=1e-3)


def test_windows_of_one_song_are_nearer_than_other_songs(windows: torch.Tensor) -> None:
    d = music_distance(windows, windows)
    within = torch.cat([d[:4, :4][~torch.eye(4).bool()], d[4:, 4:][~torch.eye(4).bool()]])
    assert within.max() < 0.6 * d[:4, 4:].min()


def test_summary_accepts_any_length_and_silence() -> None:
    g = torch.Generator().manual_seed(0)
    for frames in (2, 30, 61, 96, 200):
        music = torch.randn(3, frames, 80, generator=g)
        assert music_summary(music).shape == (3, 201)
        assert music_summary(music).isfinite().all()
        assert music_summary(torch.zeros_like(music)).isfinite().all()
    for shape in ((3, 96, 79), (96, 80), (3, 1, 80)):
        with pytest.raises(ValueError, match="music must have shape"):
            music_summary(torch.zeros(shape))


def test_distance_distinguishes_songs_and_styles_of_dance_melody() -> None:
    folder = data_root() / "dance_melody"
    if not folder.is_dir():
        pytest.skip(
            "dance_melody is not on this machine: set MONGE_DATA to the folder that holds it"
        )
    here, later, number, style = [], [], [], []
    for k, path in enumerate(sorted(folder.glob("*.npz"))):
        with np.load(path) as stored:
            mel, chroma, onset = (
                torch.from_numpy(stored[name]) for name in ("mel", "chroma", "onset")
            )
        x = music_features(mel, chroma, onset, 25.0)
        for start in range(0, len(x) - 99, 96):
            here.append(x[start : start + 96])
            later.append(x[start + 3 : start + 99])
            number.append(k)
            style.append(path.stem.split("_")[1])
    music = torch.stack(here)
    d = music_distance(music, music).numpy()
    pairs = np.triu_indices(len(here), 1)
    same_song, same_style = ((np.array(v)[:, None] == np.array(v))[pairs] for v in (number, style))
    d = d[pairs]
    assert np.median(d[~same_song]) == pytest.approx(1, abs=0.02)
    assert roc_auc_score(same_song, -d) > 0.92
    assert roc_auc_score(same_style[~same_song], -d[~same_song]) > 0.84
    shifted = (music_summary(music) - music_summary(torch.stack(later))).norm(dim=1)
    assert shifted.median() < 0.1
