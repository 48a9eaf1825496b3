"""The evaluator of piano rolls: metrics of a trained autoencoder, and pictures of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import FiniteDataset, StepInputs, from_array
from monge.methods import acai
from monge.metrics import EvalConfig
from monge.music.kind import music_of
from monge.music.metrics import TITLES
from monge.music.nesmdb import from_songs
from monge.training import RunFolder, evaluate, picture_of
from monge.training.evaluate import draw_pictures, known_metrics
from tests.helpers.measured import measured
from tests.helpers.music import melody

SHAPE = (4, 89, 16)


@pytest.fixture(scope="module")
def data() -> FiniteDataset:
    songs = [melody(30 + seed % 3, 64, seed) for seed in range(120)]
    return from_songs(songs, "melodies", size=16, n_held_out=30)


@pytest.fixture(scope="module")
def trained(data: FiniteDataset) -> acai.ACAI:
    torch.manual_seed(0)
    config = acai.Config(
        nets={"kind": "sequence", "latent": 32, "width": 16},
        batch=16,
        adam={"lr": 0.01},
        interpolation={"weight": 0.1, "critic_width": 2},
    )
    method, position = acai.build(config, data.shape), 0
    for step in range(250):
        inputs = StepInputs(data, 0, step, position=position, steps=250)
        method.step(inputs)
        position = inputs.position
    return method


def test_trained_autoencoder_reconstructs_held_out_songs(
    trained: acai.ACAI, data: FiniteDataset
) -> None:
    metrics = measured(music_of(24), trained, data, EvalConfig(samples=64))
    assert metrics["note_accuracy"] > 0.9
    assert metrics["note_accuracy_sounding"] > 0.85
    kinds = ("floor", "sample", "midpoint", "transported", "crossfade", "crossfade_latest")
    assert set(metrics) >= {f"score_{name}_{kind}" for name in TITLES for kind in kinds}
    assert metrics["score_onset_density_midpoint"] < metrics["score_onset_density_crossfade"]
    assert measured(music_of(24), trained, data, EvalConfig(samples=64)) == metrics


def test_evaluate_and_draw_pictures_handle_piano_rolls(
    trained: acai.ACAI, data: FiniteDataset, tmp_path: Path
) -> None:
    metrics = evaluate(trained, data, EvalConfig(samples=32))
    assert "score_pitch_class_midpoint" in metrics
    assert "nearest_train_ratio" not in metrics  # which is for pictures
    folder = RunFolder(tmp_path / "run")
    folder.samples.parent.mkdir(parents=True)
    draw_pictures(folder, trained, data)
    assert folder.samples.read_bytes().startswith(b"\x89PNG")
    assert picture_of(data.held_out(3), data).startswith(b"\x89PNG")


def test_other_data_are_not_measured_as_music() -> None:
    pictures = from_array(np.zeros((8, *SHAPE), np.float32), "pictures")
    assert not any(metric.key.startswith(("score", "note")) for metric in known_metrics(pictures))
    songs = from_songs([melody(30, 64), melody(32, 64)], size=16)
    assert any(metric.key.startswith("score") for metric in known_metrics(songs))
