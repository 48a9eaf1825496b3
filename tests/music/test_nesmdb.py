"""Piano rolls: windows of songs, the NES Music Database, and MIDI files there and back."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge.data import FiniteDataset, data_root, load
from monge.errors import MongeError
from monge.music.midi import read_midi, write_midi
from monge.music.nesmdb import from_songs
from monge.music.rolls import most_likely, one_hot, to_classes, to_song


def song(frames: int, first: int = 30, seed: int = 0) -> np.ndarray:
    """Random notes of random lengths in four voices, with rests."""
    random = np.random.default_rng(seed)
    voices = []
    for lowest, highest in ((first, first + 30), (first, first + 30), (first - 20, first), (1, 16)):
        notes = random.integers(lowest, highest + 1, frames) * (random.random(frames) < 0.8)
        voices.append(np.repeat(notes, random.integers(1, 9, frames))[:frames])
    made = np.stack(voices, 1).astype(np.uint8)
    made[-1] = (first, first, first - 1, 5)
    return made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A data root with small arrays: songs whose first pulse voice has one pitch, the song's number
    + 40.
    """
    (tmp_path / "nesmdb").mkdir()
    for split, first, lengths in (("train", 40, (30, 7, 16, 24)), ("valid", 60, (16, 20))):
        piano_rolls = np.zeros((sum(lengths), 4, 3), np.uint8)
        piano_rolls[:, 0, 0] = np.repeat(np.arange(first, first + len(lengths)), lengths)
        piano_rolls[:, 3, 0] = 16
        piano_rolls[:, :, 1:] = 3  # velocity and timbre are not read
        path = tmp_path / "nesmdb" / f"nesmdb24_exprsco_{split}.npz"
        np.savez(
            path,
            scores=piano_rolls,
            lengths=np.array(lengths, np.int32),
            names=np.array(["x"] * len(lengths)),
        )
    return tmp_path


def test_windows_stay_inside_their_songs_and_the_split_is_by_song(files: Path) -> None:
    source = load("nesmdb", files, size=16)
    assert isinstance(source, FiniteDataset)
    assert (source.shape, source.kind.rate) == ((4, 89, 16), 24.0)
    train, held_out = (
        most_likely(source.fetch(part))[:, 0]
        for part in (source.train_indices, source.held_out_indices)
    )
    assert train.float().std(1).max() == 0  # no window reaches over the end of a song
    # 30, 16 and 24 frames; seven are too few
    assert sorted(train[:, 0].tolist()) == [
        20,
        20,
        22,
        23,
        23,
    ]
    assert held_out[:, 0].tolist() == [40, 41]
    batch = source.batch(seed=0, position=3, n=7)
    assert torch.equal(batch.sum(2), torch.ones(7, 4, 16))
    assert torch.equal(batch, source.batch(seed=0, position=3, n=7))
    assert torch.equal(torch.cat([source.batch(0, 3, 4), source.batch(0, 7, 3)]), batch)


def test_silent_windows_are_left_out() -> None:
    quiet = np.zeros((64, 4), np.uint8)
    quiet[40, 0] = quiet[56:58, 1] = 50  # one frame of sixteen is too few, two are enough
    other = song(16)
    source = from_songs([quiet, other], size=16, n_held_out=1, ordered_split=True)
    assert most_likely(source.fetch(source.train_indices)).flatten(1).count_nonzero(1).tolist() == [
        2
    ]


def test_a_single_song_is_cut_in_two() -> None:
    source = from_songs([song(200)], size=16)
    parts = [
        most_likely(source.fetch(part)) for part in (source.train_indices, source.held_out_indices)
    ]
    whole = torch.from_numpy(song(200)).T
    assert torch.equal(parts[0][-1], whole[:, 144:160])
    assert torch.equal(parts[1][0], whole[:, 160:176])


def test_pitches_off_the_keys_move_by_octaves() -> None:
    notes = np.array([[21, 108, 0, 0], [20, 109, 1, 16], [127, 120, 12, 17]])
    assert to_classes(notes).tolist() == [[1, 88, 0, 0], [12, 77, 5, 16], [83, 88, 4, 16]]
    for before, after in zip(notes[:, :3].ravel(), to_classes(notes)[:, :3].ravel(), strict=True):
        assert before == 0 or (int(after) + 20 - before) % 12 == 0


def test_one_hot_and_back() -> None:
    x = torch.from_numpy(song(24)[None])
    samples = one_hot(x)
    assert samples.shape == (1, 4, 89, 24)
    assert torch.equal(most_likely(samples), x.movedim(2, 1))
    np.testing.assert_array_equal(to_song(samples[0]), song(24))
    samples[0, 3, 40] = 2  # no noise has such a type
    assert int(most_likely(samples)[:, 3].max()) <= 16


def test_wrong_sizes_and_empty_windows(files: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MongeError,
        match=r"data.size must be a multiple of 8 frames for piano rolls, got 50: choose 48",
    ):
        load("nesmdb", files, size=50)
    with pytest.raises(
        MongeError,
        match=r"empty windows: none of the 6 songs of data 'nesmdb' has 48 frames \(2 seconds\)",
    ):
        load("nesmdb", files)
    with pytest.raises(MongeError, match="empty windows: none of the 1 songs"):
        from_songs([np.zeros((99, 4), np.uint8)])
    with pytest.raises(MongeError, match=r"'nesmdb' is not at .*set MONGE_DATA"):
        load("nesmdb", tmp_path / "elsewhere")
    path = files / "nesmdb" / "nesmdb24_exprsco_valid.npz"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(MongeError, match=r"exprsco_valid.npz' is corrupt"):
        load("nesmdb", files)
    np.savez(path, scores=np.zeros((5, 3, 3), np.uint8), lengths=np.array([5]))
    with pytest.raises(MongeError, match=r"holds piano rolls \(5, 3, 3\) of 5 frames"):
        load("nesmdb", files)


def test_the_database() -> None:
    if not (data_root() / "nesmdb").is_dir():
        pytest.skip("the NES Music Database is not on this machine: set MONGE_DATA")
    source = load("nesmdb")
    assert isinstance(source, FiniteDataset)
    assert source.shape == (4, 89, 48)
    assert len(source.train_indices) > 100_000
    piano_rolls = most_likely(source.held_out(200))
    assert (piano_rolls[:, 3] <= 16).all()
    assert (piano_rolls > 0).any(1).float().mean(1).min() >= 1 / 8


@pytest.mark.parametrize("rate", [24, 12.5, 60])
def test_midi_round_trip(tmp_path: Path, rate: float) -> None:
    pytest.importorskip("symusic")
    for seed in range(5):
        made = song(96, seed=seed)
        write_midi(made, tmp_path / "song.mid", rate)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing of it is reduced
            np.testing.assert_array_equal(read_midi(tmp_path / "song.mid", rate), made)


def midi(path: Path, *tracks: list[tuple[float, float, int]], drums: bool = False) -> Path:
    """Write tracks of (start, duration, pitch) in seconds; the last one are drums if asked."""
    symusic = pytest.importorskip("symusic")
    piano_roll = symusic.Score(480)
    piano_roll.tempos.append(symusic.Tempo(time=0, qpm=120))  # 960 ticks a second
    for i, notes in enumerate(tracks):
        track = symusic.Track(name=f"track {i}", is_drum=drums and i + 1 == len(tracks))
        for start, duration, pitch in notes:
            track.notes.append(symusic.Note(round(start * 960), round(duration * 960), pitch, 80))
        piano_roll.tracks.append(track)
    piano_roll.dump_midi(str(path))
    return path


def test_three_tracks_are_ordered_by_pitch(tmp_path: Path) -> None:
    low, high, middle = [(0.0, 1.0, 40)], [(0.0, 1.0, 80)], [(0.0, 0.5, 60), (0.5, 0.5, 62)]
    found = read_midi(
        midi(tmp_path / "three.mid", low, high, middle, [(0.5, 0.01, 38)], drums=True)
    )
    assert found.shape == (24, 4)
    assert found[0].tolist() == [60, 40, 20, 0]
    assert found[12].tolist() == [60, 42, 20, 4]  # a drum, however short, sounds for a frame
    assert found[13].tolist() == [60, 42, 20, 0]
    two = read_midi(midi(tmp_path / "two.mid", low, high))
    assert two[0].tolist() == [20, 60, 0, 0]


def test_chords_are_reduced_and_it_is_said_how(tmp_path: Path) -> None:
    chord = [(0.0, 1.0, pitch) for pitch in (48, 60, 64, 67)]
    with pytest.warns(
        UserWarning,
        match=r"'chord.mid' has 1 melodic track with up to 4 notes at once: .* 80 % of what sounds",
    ):
        found = read_midi(
            midi(tmp_path / "chord.mid", [*chord, (1.0, 0.5, 50), (1.5, 0.25, 50), (1.5, 0.25, 70)])
        )
    assert found[0].tolist() == [47, 44, 28, 0]
    assert found[30].tolist() == [30, 0, 0, 0]
    assert found[40].tolist() == [50, 0, 30, 0]
    four = [[(0.0, 1.0, pitch)] for pitch in (48, 60, 64, 67)]
    with pytest.warns(UserWarning, match="has 4 melodic tracks with up to 4 notes at once"):
        assert read_midi(midi(tmp_path / "four.mid", *four))[0].tolist() == [47, 44, 28, 0]


def test_bad_midi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with pytest.raises(MongeError, match=r"a song is \(frames, 4\), got \(4, 5, 1\)"):
        write_midi(np.zeros((4, 5, 1)), tmp_path / "x.mid")
    monkeypatch.setitem(sys.modules, "symusic", None)
    with pytest.raises(MongeError, match=r"pip install monge\[midi\]"):
        read_midi(tmp_path / "none.mid")


def test_midi_files_are_a_source(tmp_path: Path) -> None:
    pytest.importorskip("symusic")
    for i in range(6):
        write_midi(song(64, seed=i), tmp_path / f"{i}.mid")
    folder: Any = load(str(tmp_path), size=16)
    assert folder.shape == (4, 89, 16)
    assert (len(folder.train_indices), len(folder.held_out_indices)) == (5 * 7, 7)
    single: Any = load(str(tmp_path / "0.mid"), size=8)
    assert torch.equal(
        most_likely(single.fetch(np.array([0])))[0], torch.from_numpy(song(64)[:8].T)
    )
    with pytest.raises(MongeError, match="empty windows"):
        load(str(tmp_path / "0.mid"), size=128)
