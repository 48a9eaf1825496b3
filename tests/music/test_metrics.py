"""Music: networks that give piano rolls back, figures that know music from noise, and cross-fades
as they are meant.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.data import FiniteDataset, StepInputs, from_array, kind_of
from monge.methods import acai
from monge.metrics import EvalConfig
from monge.music.kind import music_of
from monge.music.metrics import (
    FIGURES,
    coin_fade,
    latest_fade,
    note_accuracy,
    onset_density,
    onsets,
    piano_roll_distances,
    pitch_classes,
    silence,
    steps,
)
from monge.music.nesmdb import from_songs
from monge.music.plots import plot_piano_rolls
from monge.music.rolls import most_likely, one_hot
from monge.nets import build_autoencoder, build_encoder
from monge.nets.sequence import Mix
from monge.training import RunFolder, evaluate, picture_of
from monge.training.evaluate import draw_pictures, known
from tests.helpers.measured import measured

SHAPE = (4, 89, 16)


def melody(key: int, frames: int = 16, seed: int = 0) -> np.ndarray:
    """Notes of a major chord, two or four frames long, over a bass and a beat."""
    random = np.random.default_rng(seed)
    lengths = random.choice([2, 4], frames)
    chord = key + np.array([0, 4, 7, 12])
    voices = [np.repeat(random.choice(chord, frames), lengths)[:frames] for _ in range(2)]
    bass, beat = np.full(frames, key - 12), np.where(np.arange(frames) % 4 == 0, 3, 0)
    return np.stack([*voices, bass, beat], 1).astype(np.uint8)


@pytest.fixture(scope="module")
def source() -> FiniteDataset:
    songs = [melody(30 + seed % 3, 64, seed) for seed in range(120)]
    return from_songs(songs, "melodies", size=16, n_held_out=30)


@pytest.fixture(scope="module")
def trained(source: FiniteDataset) -> acai.ACAI:
    torch.manual_seed(0)
    config = acai.Config(
        nets={"kind": "sequence", "latent": 32, "width": 16},
        batch=16,
        adam={"lr": 0.01},
        interpolation={"weight": 0.1, "critic_width": 2},
    )
    method, position = acai.build(config, source.shape), 0
    for step in range(250):
        draw = StepInputs(source, 0, step, position=position, steps=250)
        method.step(draw)
        position = draw.position
    return method


def test_the_autoencoder_gives_held_out_songs_back(
    trained: acai.ACAI, source: FiniteDataset
) -> None:
    figures = measured(music_of(24), trained, source, EvalConfig(samples=64))
    assert figures["note_accuracy"] > 0.9
    assert figures["note_accuracy_sounding"] > 0.85
    kinds = ("floor", "sample", "midpoint", "transported", "crossfade", "crossfade_latest")
    assert set(figures) >= {f"score_{name}_{kind}" for name in FIGURES for kind in kinds}
    assert figures["score_onset_density_midpoint"] < figures["score_onset_density_crossfade"]
    assert measured(music_of(24), trained, source, EvalConfig(samples=64)) == figures


def test_evaluate_and_pictures(trained: acai.ACAI, source: FiniteDataset, tmp_path: Path) -> None:
    found = evaluate(trained, source, EvalConfig(samples=32))
    assert "score_pitch_class_midpoint" in found
    assert "nearest_train_ratio" not in found  # piano rolls are no pictures
    folder = RunFolder(tmp_path / "run")
    folder.samples.parent.mkdir(parents=True)
    draw_pictures(folder, trained, source)
    assert folder.samples.read_bytes().startswith(b"\x89PNG")
    assert picture_of(source.held_out(3), source).startswith(b"\x89PNG")


def test_other_data_are_not_measured_as_music() -> None:
    pictures = from_array(np.zeros((8, *SHAPE), np.float32), "pictures")
    assert not any(metric.key.startswith(("score", "note")) for metric in known(pictures))
    assert any(
        metric.key.startswith("score")
        for metric in known(from_songs([melody(30, 64), melody(32, 64)], size=16))
    )


@pytest.mark.parametrize("latent", [1, 2, 7, 24, 33])
def test_codes_of_any_size(latent: int) -> None:
    autoencoder = build_autoencoder("sequence", SHAPE, latent, 4)
    x = one_hot(torch.from_numpy(np.stack([melody(30), melody(35)])))
    z = autoencoder.encode(x)
    assert z.shape == (2, latent)
    assert autoencoder.classes
    made = autoencoder.decode(z)
    assert made.shape == x.shape
    torch.testing.assert_close(made.sum(2), torch.ones(2, 4, 16))


def test_no_sample_sees_another() -> None:
    x = one_hot(torch.from_numpy(np.stack([melody(30, seed=s) for s in range(4)])))
    critic = build_encoder("sequence", SHAPE, 4, 3)
    autoencoder = build_autoencoder("sequence", SHAPE, 6, 4)
    for net in (critic, autoencoder.encoder, lambda x: autoencoder.decode(autoencoder.encode(x))):
        torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


def test_the_critic_compares_patches() -> None:
    """Exchanging the second patches of two piano rolls changes more than the sum of what each patch
    says.
    """
    torch.manual_seed(0)
    critic = build_encoder("sequence", SHAPE, 8, 1)
    a, b = (one_hot(torch.from_numpy(melody(key)[None])) for key in (30, 37))
    ab, ba = torch.cat([a[..., :8], b[..., 8:]], 3), torch.cat([b[..., :8], a[..., 8:]], 3)
    assert (critic(a) + critic(b) - critic(ab) - critic(ba)).abs() > 1e-4


def test_mix_begins_as_the_identity_and_learns() -> None:
    mix, x = Mix(3, 5), torch.randn(4, 3)
    torch.testing.assert_close(mix(x), torch.cat([x, torch.zeros(4, 2)], 1))
    mix(x).square().sum().backward()
    last = mix.change[2]
    assert isinstance(last, torch.nn.Linear)
    assert last.weight.grad is not None
    assert last.weight.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(4, 89, 20), (4, 89, 0), (1, 8, 8, 8)])
def test_wrong_shapes(shape: tuple[int, ...]) -> None:
    for make in (
        lambda: build_autoencoder("sequence", shape, 4, 4),
        lambda: build_encoder("sequence", shape, 4, 1),
    ):
        with pytest.raises(
            ValueError,
            match=r"net 'sequence' takes piano rolls \(voices, classes, frames\) with a multiple of 8 frames",
        ):
            make()


def piano_rolls(*songs: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack(songs)).movedim(2, 1)


def test_figures_know_what_was_changed() -> None:
    """Each change of music is seen by its own figure, and one that leaves a figure alone is not
    seen by it.
    """
    music = piano_rolls(*(melody(30 + seed % 12, 64, seed) for seed in range(60)))
    other = piano_rolls(*(melody(30 + seed % 12, 64, seed) for seed in range(60, 120)))
    floor = piano_roll_distances(other, music, rate=24)
    assert set(floor) == set(FIGURES)
    noise = torch.where(
        music > 0, torch.randint(20, 60, music.shape, generator=torch.Generator().manual_seed(0)), 0
    )
    twice = other[:, :, ::2].repeat(1, 1, 2)  # twice as fast
    octave = torch.where(torch.arange(64) % 8 < 4, other, (other.int() + 12 * (other > 0)).byte())
    octave[:, 3] = other[:, 3]
    resting = other.clone()
    resting[:, 1] = 0
    assert piano_roll_distances(noise, music, 24)["pitch_class"] > 3 * floor["pitch_class"]
    faster = piano_roll_distances(twice, music, 24)
    assert faster["onset_density"] > 5 * floor["onset_density"]
    assert faster["pitch_class"] < 1.5 * floor["pitch_class"]
    leaping = piano_roll_distances(octave, music, 24)
    assert leaping["voice_leading"] > 5 * floor["voice_leading"]
    assert leaping["pitch_class"] == pytest.approx(floor["pitch_class"])
    assert leaping["silence"] == floor["silence"] == 0
    assert piano_roll_distances(resting, music, 24)["silence"] == pytest.approx(0.25)
    assert all(value == 0 for value in piano_roll_distances(music, music, 24).values())


def test_two_keys_at_once_show_in_single_windows() -> None:
    """A mixture of keys has the pooled histogram of the data, and is yet not taken for music."""
    music, a, b = (
        piano_rolls(*(melody(30 + (s * 7) % 12, 64, s) for s in range(k, k + 80)))
        for k in (0, 80, 160)
    )
    b = b.roll(37, 0)
    faded = coin_fade(a, b)
    pooled = [pitch_classes(x).mean(0) for x in (music, faded)]
    assert (pooled[0] - pooled[1]).abs().sum() / 2 < 0.05
    assert (
        piano_roll_distances(faded, music, 24)["pitch_class"]
        > 1.5 * piano_roll_distances(a, music, 24)["pitch_class"]
    )


def test_parts_of_the_figures_by_hand() -> None:
    x = torch.tensor([[[40, 40, 0, 40, 52], [0, 0, 0, 0, 0], [5, 5, 6, 6, 6], [1, 0, 1, 0, 1]]])
    assert onsets(x).sum(2).tolist() == [[3, 0, 2, 3]]
    # of four frames, half a second
    assert onset_density(x, rate=8).tolist() == [[4.0, 0.0, 2.0, 4.0]]
    assert steps(x).tolist() == [0, 12, 1]
    assert silence(x).tolist() == [[0.2, 1.0, 0.0, 0.4]]
    # C of 40 and 52, C♯ of 5, D of 6
    assert pitch_classes(x)[0].nonzero().flatten().tolist() == [
        0,
        1,
        2,
    ]
    assert len(pitch_classes(torch.zeros(2, 4, 8))) == 0
    assert np.isnan(piano_roll_distances(torch.zeros(2, 4, 8), x, 8)["pitch_class"])
    assert note_accuracy(x, x) == (1.0, 1.0)


def test_cross_fades() -> None:
    a, b = torch.full((200, 4, 8), 10), torch.full((200, 4, 8), 20)
    for weight in (0.25, 0.5):
        faded = coin_fade(a, b, seed=1, weight=weight)
        assert (faded == 20).float().mean().item() == pytest.approx(weight, abs=0.02)
        assert torch.equal(faded, coin_fade(a, b, seed=1, weight=weight))
        assert not torch.equal(faded, coin_fade(a, b, seed=2, weight=weight))
    both = latest_fade(a, b)
    assert (both == both[..., :1]).all()  # struck together: one coin for the whole note
    assert (both[..., 0] == 20).float().mean().item() == pytest.approx(0.5, abs=0.06)
    one, other = torch.tensor([[[5, 5, 6, 6, 0, 0]]]), torch.tensor([[[0, 7, 7, 7, 7, 0]]])
    assert latest_fade(one, other).tolist() == [[[5, 7, 6, 6, 7, 0]]]


def test_most_likely_of_probabilities() -> None:
    p = torch.zeros(1, 4, 89, 1)
    p[0, 0, 50], p[0, 3, 17], p[0, 3, 16] = 1, 0.9, 0.1
    assert most_likely(p).flatten().tolist() == [50, 0, 0, 16]


def test_piano_rolls_have_high_pitches_above_and_seconds_across() -> None:
    song = np.zeros((16, 4), np.uint8)
    song[:, 0], song[4:8, 2] = 88, 1
    source = from_songs([song, song], size=16, n_held_out=1)
    figure = plot_piano_rolls(most_likely(source.held_out(1)), 24)
    bars = [bar.get_paths()[0].get_extents() for bar in figure.axes[0].collections]
    assert [(bar.x0, bar.x1, (bar.y0 + bar.y1) / 2) for bar in bars] == [
        (0, 16 / 24, 108),
        (4 / 24, 8 / 24, 21),
    ]
    assert kind_of(source).show(source.held_out(1), source.held_out(1)).startswith(b"\x89PNG")
