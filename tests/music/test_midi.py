"""MIDI files: round trips, reduction of tracks and chords, errors, data sets."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge.data import load
from monge.errors import MongeError
from monge.music.midi import read_midi, write_midi
from monge.music.rolls import most_likely
from tests.helpers.music import song


@pytest.mark.parametrize("rate", [24, 12.5, 60])
def test_written_songs_are_read_unchanged(tmp_path: Path, rate: float) -> None:
    pytest.importorskip("symusic")
    for seed in range(5):
        classes = song(96, seed=seed)
        write_midi(classes, tmp_path / "song.mid", rate)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing is reduced
            np.testing.assert_array_equal(read_midi(tmp_path / "song.mid", rate), classes)


def midi(path: Path, *tracks: list[tuple[float, float, int]], drums: bool = False) -> Path:
    """Write tracks of (start, duration, pitch) in seconds; with ``drums`` the last one is drums."""
    symusic = pytest.importorskip("symusic")
    file = symusic.Score(480)
    file.tempos.append(symusic.Tempo(time=0, qpm=120))  # 960 ticks a second
    for i, notes in enumerate(tracks):
        track = symusic.Track(name=f"track {i}", is_drum=drums and i + 1 == len(tracks))
        for start, duration, pitch in notes:
            track.notes.append(symusic.Note(round(start * 960), round(duration * 960), pitch, 80))
        file.tracks.append(track)
    file.dump_midi(str(path))
    return path


def test_three_tracks_are_ordered_by_pitch_and_two_are_not(tmp_path: Path) -> None:
    low, high, middle = [(0.0, 1.0, 40)], [(0.0, 1.0, 80)], [(0.0, 0.5, 60), (0.5, 0.5, 62)]
    drum = [(0.5, 0.01, 38)]
    three = read_midi(midi(tmp_path / "three.mid", low, high, middle, drum, drums=True))
    assert three.shape == (24, 4)
    assert three[0].tolist() == [60, 40, 20, 0]
    assert three[12].tolist() == [60, 42, 20, 4]  # a drum, however short, sounds for a frame
    assert three[13].tolist() == [60, 42, 20, 0]
    two = read_midi(midi(tmp_path / "two.mid", low, high))
    assert two[0].tolist() == [20, 60, 0, 0]


def test_chords_are_reduced_with_a_warning(tmp_path: Path) -> None:
    chord = [(0.0, 1.0, pitch) for pitch in (48, 60, 64, 67)]
    path = midi(tmp_path / "chord.mid", [*chord, (1.0, 0.5, 50), (1.5, 0.25, 50), (1.5, 0.25, 70)])
    message = "'chord.mid' has 1 melodic track with up to 4 notes at once: .* 80 % of what sounds"
    with pytest.warns(UserWarning, match=message):
        classes = read_midi(path)
    assert classes[0].tolist() == [47, 44, 28, 0]
    assert classes[30].tolist() == [30, 0, 0, 0]
    assert classes[40].tolist() == [50, 0, 30, 0]
    four = [[(0.0, 1.0, pitch)] for pitch in (48, 60, 64, 67)]
    with pytest.warns(UserWarning, match="has 4 melodic tracks with up to 4 notes at once"):
        assert read_midi(midi(tmp_path / "four.mid", *four))[0].tolist() == [47, 44, 28, 0]


def test_bad_midi_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MongeError, match=r"'.*none.mid' is a MIDI file without notes"):
        read_midi(midi(tmp_path / "none.mid", []))
    (tmp_path / "torn.mid").write_bytes(b"MThd\x00\x00 torn")
    with pytest.raises(MongeError, match=r"torn.mid' is not a readable MIDI file"):
        read_midi(tmp_path / "torn.mid")
    with pytest.raises(MongeError, match=r"no MIDI file '.*gone.mid'"):
        read_midi(tmp_path / "gone.mid")
    with pytest.raises(MongeError, match="rate must be positive, got 0"):
        read_midi(tmp_path / "none.mid", rate=0)
    with pytest.raises(MongeError, match="lasts 67 minutes"):
        read_midi(midi(tmp_path / "long.mid", [(4000.0, 1.0, 60)]))
    with pytest.raises(MongeError, match=r"song must be \(frames, 4\), got \(4, 5, 1\)"):
        write_midi(np.zeros((4, 5, 1)), tmp_path / "x.mid")
    monkeypatch.setitem(sys.modules, "symusic", None)
    with pytest.raises(MongeError, match=r"pip install monge\[midi\]"):
        read_midi(tmp_path / "none.mid")


def test_midi_files_are_a_data_set(tmp_path: Path) -> None:
    pytest.importorskip("symusic")
    for i in range(6):
        write_midi(song(64, seed=i), tmp_path / f"{i}.mid")
    folder: Any = load(str(tmp_path), size=16)
    assert folder.shape == (4, 89, 16)
    assert (len(folder.train_indices), len(folder.held_out_indices)) == (5 * 7, 7)
    single: Any = load(str(tmp_path / "0.mid"), size=8)
    first = most_likely(single.fetch(np.array([0])))[0]
    assert torch.equal(first, torch.from_numpy(song(64)[:8].T))
    with pytest.raises(MongeError, match="empty windows"):
        load(str(tmp_path / "0.mid"), size=128)
