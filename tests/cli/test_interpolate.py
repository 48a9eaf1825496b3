"""`monge interpolate`: grids and sounds of paths between samples and files, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from monge.cli.main import main
from monge.music.chip import render
from monge.music.rolls import to_song
from monge.training import RunFolder, load_run, parse, train

SMALL = {"nets": {"kind": "mlp", "latent": 4, "width": 8}, "batch": 16}
ZOOM = 64 // 8  # of the digits, 8 pixels wide


def run_of(folder: Path, data: str, method: dict[str, object]) -> Path:
    """Train a method for two steps."""
    run = {"steps": 2, "every": 2}
    tree = {"data": {"name": data}, "method": method, "run": run, "eval": {"samples": 16}}
    train(parse(tree, "test"), RunFolder(folder))
    return folder


def call(*args: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["interpolate", *map(str, args)])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    method = {"name": "acai", "interpolation": {"critic_width": 4}, **SMALL}
    return run_of(tmp_path_factory.mktemp("runs") / "digits", "digits", method)


def cells(path: Path, columns: int) -> np.ndarray:
    """Return the pictures of a grid, (rows, columns, 8, 8)."""
    sheet = np.asarray(Image.open(path))[::ZOOM, ::ZOOM, 0]
    rows = (len(sheet) + 1) // 9
    assert sheet.shape == (9 * rows - 1, 9 * columns - 1)
    places = [(9 * i, 9 * j) for i in range(rows) for j in range(columns)]
    pictures = np.array([sheet[top : top + 8, left : left + 8] for top, left in places])
    return pictures.reshape(rows, columns, 8, 8)


def test_rows_begin_and_end_with_the_samples_themselves(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.png"
    assert call(digits, "--from", "12", "--to", "train:3", "--n", 4, "-o", out) == 0
    shown = cells(out, 6)
    method, dataset = load_run(RunFolder(digits))
    a = dataset.fetch(dataset.held_out_indices[12:13])[0]
    b = dataset.fetch(dataset.train_indices[3:4])[0]
    bytes_of = lambda x: ((x[0].detach().clamp(-1, 1) + 1) * 127.5).round().numpy()
    np.testing.assert_array_equal(shown[0, 0], bytes_of(a))
    np.testing.assert_array_equal(shown[0, -1], bytes_of(b))
    z = method.autoencoder.encode(a[None]), method.autoencoder.encode(b[None])
    for k in range(4):
        decoded = method.autoencoder.decode((1 - k / 3) * z[0] + k / 3 * z[1])[0]
        np.testing.assert_allclose(shown[0, 1 + k], bytes_of(decoded), atol=1)


def test_all_modes_of_several_pairs_are_rows(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid.png"
    assert call(digits, "--pairs", 2, "--mode", "all", "--n", 3, "-o", out) == 0
    assert "2 pairs, 3 samples on each path: linear, slerp, transport" in capsys.readouterr().out
    shown = cells(out, 5)
    assert len(shown) == 6  # the three modes of the first pair, then of the second
    for column in (0, 1, 3, 4):
        assert (shown[:3, column] == shown[0, column]).all()
        assert (shown[3:, column] == shown[3, column]).all()
    assert (shown[0, 0] != shown[3, 0]).any()
    assert (shown[0, 0] != shown[0, 4]).any()
    assert (shown[0, 2] != shown[2, 2]).any()
    flags = ("--pairs", 2, "--mode", "all", "--n", 3, "--seed", 1)
    assert call(digits, *flags, "-o", tmp_path / "other.png") == 0
    assert (cells(tmp_path / "other.png", 5)[0, 0] != shown[0, 0]).any()


def test_learned_transport_differs_from_gaussian_transport(digits: Path, tmp_path: Path) -> None:
    for steps in (0, 1, 40):
        args = ("--from", 1, "--to", 2, "--mode", "transport", "--steps", steps, "--n", 3)
        assert call(digits, *args, "-o", tmp_path / f"{steps}.png") == 0
    gaussian, begun, learned = (cells(tmp_path / f"{steps}.png", 5)[0] for steps in (0, 1, 40))
    assert (gaussian[[0, 1, 3, 4]] == learned[[0, 1, 3, 4]]).all()
    assert (gaussian[2] != learned[2]).any()
    assert (begun[2] != learned[2]).any()


def test_pictures_from_files_are_interpolated(digits: Path, tmp_path: Path) -> None:
    white, black, out = (tmp_path / name for name in ("white.png", "black.jpg", "grid.png"))
    Image.new("RGB", (30, 20), (255, 255, 255)).save(white)
    Image.new("L", (5, 5), 0).save(black)
    assert call(digits, "--from", white, "--to", black, "-o", out) == 0
    shown = cells(out, 11)
    assert (shown[0, 0] == 255).all()
    assert (shown[0, -1] == 0).all()


def test_numbers_name_different_samples_of_an_infinite_data_set() -> None:
    from monge.cli._inputs import numbered_sample
    from monge.data import load

    rings = load("8gaussians")
    assert numbered_sample("3", rings).equal(numbered_sample("held_out:3", rings))
    assert not numbered_sample("3", rings).equal(numbered_sample("4", rings))
    assert not numbered_sample("3", rings).equal(numbered_sample("train:3", rings))
    assert numbered_sample("-1", rings) is None


def test_invalid_arguments_are_refused(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid.png"
    (tmp_path / "song.mid").write_bytes(b"MThd")
    (tmp_path / "bad.png").write_text("no picture")
    between = ("--from", 1, "--to", 2)
    cases = [
        (
            (*between, "-o", tmp_path / "grid.gif"),
            "--out must end in .png, or for piano rolls .wav or .mid, got",
        ),
        (
            (*between, "-o", tmp_path / "grid.wav"),
            "--out must end in .png for data 'digits', which are pictures, got",
        ),
        ((*between, "--n", 1, "-o", out), "--n must be at least 2, got 1"),
        (("--pairs", 0, "-o", out), "--pairs must be at least 1, got 0"),
        (
            ("--pairs", 399, "-o", out),
            "--pairs 399 needs 798 held-out samples, data 'digits' has 797: at most 398",
        ),
        (("--pairs", 2, *between, "-o", out), "leave out --from and --to, or --pairs"),
        (("--from", 1, "-o", out), "give --from and --to"),
        (
            ("--from", 797, "--to", 2, "-o", out),
            "no held-out sample 797: data 'digits' has 797, choose from 0 to 796",
        ),
        (
            ("--from", 1, "--to", "train:1000", "-o", out),
            "no training sample 1000: data 'digits' has 1000",
        ),
        (
            ("--from", "absent.png", "--to", 2, "-o", out),
            "'absent.png' is neither a sample nor a file",
        ),
        (("--from", "test:1", "--to", 2, "-o", out), "'test:1' is neither a sample nor a file"),
        (("--from", tmp_path / "song.mid", "--to", 2, "-o", out), "is not a picture (.png, .jpg"),
        (("--from", tmp_path / "bad.png", "--to", 2, "-o", out), "is not a readable picture"),
    ]
    for args, message in cases:
        assert call(digits, *args) == 1
        assert message in capsys.readouterr().err
    assert not out.exists()
    assert call(tmp_path / "norun", *between, "-o", out) == 1
    assert "norun" in capsys.readouterr().err


def test_runs_without_pictures_or_codes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = {"name": "gan", "nets": {"kind": "mlp", "width": 8}, "batch": 8}
    gan = run_of(tmp_path / "gan", "digits", method)
    points = run_of(tmp_path / "points", "8gaussians", {"name": "acai", **SMALL})
    for run, message in (
        (gan, "has no autoencoder: train acai"),
        (points, "was trained on points of shape (2,)"),
    ):
        assert call(run, "--from", 1, "--to", 2, "-o", tmp_path / "grid.png") == 1
        assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on scales and drums in the files of the NES Music Database."""
    root = tmp_path_factory.mktemp("music")
    (root / "nesmdb").mkdir()
    for split, shift in (("train", 0), ("valid", 1)):
        frames = np.arange(64)
        scale = 60 + frames // 4 % 8 + shift
        notes = np.stack([scale, np.full(64, 64), np.full(64, 40), frames % 5], 1)
        rolls = np.stack([notes, 0 * notes, 0 * notes], 2).astype(np.uint8)
        file = root / "nesmdb" / f"nesmdb24_exprsco_{split}.npz"
        np.savez(file, scores=rolls, lengths=np.array([64]))
    nets = {"kind": "sequence", "latent": 4, "width": 8}
    method = {"name": "acai", "nets": nets, "batch": 4, "interpolation": {"weight": 0}}
    data = {"name": "nesmdb", "root": str(root), "size": 16}
    run = {"steps": 2, "every": 2}
    tree = {"data": data, "method": method, "run": run, "eval": {"samples": 16}}
    train(parse(tree, "test"), RunFolder(root / "run"))
    return root / "run"


def read_wav(path: Path) -> np.ndarray:
    rate, samples = wavfile.read(path)
    assert rate == 44100
    return samples / 32767


def test_pairs_of_piano_rolls_are_written_as_sounds_beside_their_cross_fades(
    music: Path, tmp_path: Path
) -> None:
    assert call(music, "--pairs", 2, "--n", 3, "-o", tmp_path / "out.wav") == 0
    names = ["out-1-crossfade.wav", "out-1.wav", "out-2-crossfade.wav", "out-2.wav"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert {len(read_wav(tmp_path / name)) for name in names} == {3 * 16 * 44100 // 24}
    faded = read_wav(tmp_path / "out-1-crossfade.wav").reshape(3, -1)
    np.testing.assert_allclose(faded[1], (faded[0] + faded[2]) / 2, atol=1e-4)
    dataset = load_run(RunFolder(music))[1]
    first = render(to_song(dataset.held_out(4)[0]), 24)
    np.testing.assert_allclose(faded[0], first, atol=1e-4)


def test_midi_files_are_interpolated_as_midi_and_as_pictures(
    music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("symusic", reason="MIDI needs the extra midi")
    from monge.music.midi import read_midi, write_midi

    song = np.zeros((12, 4), np.uint8)
    song[3:, 0] = 50
    write_midi(song, tmp_path / "mine.mid")
    args = ("--from", tmp_path / "mine.mid", "--to", 1, "--mode", "all", "--n", 3)
    assert call(music, *args, "-o", tmp_path / "out.mid") == 0
    faded = read_midi(tmp_path / "out-crossfade.mid")
    np.testing.assert_array_equal(faded[:9], song[3:])  # leading silence is removed
    assert not faded[9:16].any()
    dataset = load_run(RunFolder(music))[1]
    goal = to_song(dataset.fetch(dataset.held_out_indices[1:2])[0])
    np.testing.assert_array_equal(faded[32:], goal)
    assert {f"out-{mode}.mid" for mode in ("linear", "slerp", "transport")} <= {
        file.name for file in tmp_path.iterdir()
    }
    assert call(music, *args, "-o", tmp_path / "roll.png") == 0
    with Image.open(tmp_path / "roll.png") as roll:
        assert roll.width > roll.height > 400
    capsys.readouterr()
    (tmp_path / "empty.mid").write_bytes(b"MThd")
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    for file, message in (
        ("x.png", "is not a MIDI file (.mid, .midi)"),
        ("empty.mid", "is not a readable MIDI file"),
    ):
        assert call(music, "--from", tmp_path / file, "--to", 1, "-o", tmp_path / "y.wav") == 1
        assert message in capsys.readouterr().err
