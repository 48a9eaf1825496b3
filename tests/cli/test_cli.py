"""The command line: the files it writes, its output, and its error messages."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.cli.main import COMMANDS, main
from monge.errors import MongeError
from tests.helpers.commands import monge, refusal

SHORT = ["--run.steps", "4", "--run.every", "2"]
SMALL = ["--method.batch", "16", "--method.nets.width", "8", "--eval.samples", "64"]
QUICK = [*SHORT, *SMALL]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert monge("train", "sinkhorn-gan-digits", *QUICK, "--run.out", folder) == 0
    return folder


def test_train_writes_all_files_of_a_run(run: Path) -> None:
    pictures = {"samples.png", "neighbours.png", "curves.png"}
    texts = {"config.yaml", "log.jsonl", "metrics.json", "report.html"}
    names = {*pictures, *texts, "model.safetensors", "checkpoints"}
    assert {p.name for p in run.iterdir()} == names
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["w2_ratio"] == pytest.approx(metrics["w2_squared"] / metrics["w2_squared_floor"])
    page = (run / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("https://", "http")  # no external files
    assert Image.open(run / "samples.png").width > 100


@pytest.mark.parametrize("suffix", ["npy", "npz", "png"])
def test_sample_writes_arrays_and_pictures(run: Path, suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"samples.{suffix}"
    assert monge("sample", run, "--n", 7, "--seed", 1, "-o", out) == 0
    if suffix == "png":
        assert Image.open(out).size[0] > 0
        return
    content = np.load(out)
    samples = content["x"] if suffix == "npz" else content
    assert samples.shape == (7, 1, 8, 8)
    monge("sample", run, "--n", 7, "--seed", 1, "-o", tmp_path / "again.npy")
    np.testing.assert_array_equal(samples, np.load(tmp_path / "again.npy"))


def test_eval_and_resume_repeat_the_metrics(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((run / "metrics.json").read_text())
    assert monge("eval", run) == 0
    assert json.loads((run / "metrics.json").read_text()) == before
    assert monge("resume", run) == 0
    assert "× the floor" in capsys.readouterr().out


def test_ls_lists_recipes_and_cp_copies_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert monge("ls") == 0
    listing = capsys.readouterr().out
    for name in ("sinkhorn-gan-digits", "ot-gan-mnist"):
        assert name in listing
    assert monge("cp", "ot-gan-25gaussians", tmp_path / "mine.yaml") == 0
    assert monge("train", tmp_path / "mine.yaml", "--print-config") == 0
    assert "name: ot_gan" in capsys.readouterr().out


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert monge("train", "sinkhorn-gan-8gaussians", "--dry-run", "--run.out", tmp_path / "no") == 0
    assert "parameters" in capsys.readouterr().out
    assert not (tmp_path / "no").exists()


def test_train_on_a_folder_of_pictures_and_on_an_array(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (80, 8, 8, 3)).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{i:02}.png")
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(80, 5)))
    for name, data in (("photos", tmp_path / "photos"), ("points", tmp_path / "points.npy")):
        flags = [*QUICK, "--eval.samples", 16, "--data.name", data]
        out = tmp_path / f"run-{name}"
        assert monge("train", "sinkhorn-gan-digits", *flags, "--run.out", out) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert monge(command, "--help") == 0
    assert command in capsys.readouterr().out


def test_train_help_lists_flags_with_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert monge("train", "ot-gan-25gaussians", "--help") == 0
    text = capsys.readouterr().out
    keys = ["run.steps", "run.out", "run.every", "run.seed", "method.epsilon", "data.root"]
    for flag in (*keys, "fresh", "dry-run"):
        assert f"--{flag}" in text
    assert "Training steps in all" in text


def test_help_does_not_import_torch() -> None:
    code = """
import sys
from monge.cli.main import COMMANDS, main
for command in ([], *([name] for name in COMMANDS)):
    try:
        main([*command, "--help"])
    except SystemExit:
        assert "torch" not in sys.modules, command
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class TestErrors:
    def test_unknown_names_get_suggestions(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "did you mean 'train'" in refusal(capsys, "trian")
        assert "unknown recipe 'ot-gan-minst'; did you mean 'ot-gan-mnist'?" in refusal(
            capsys, "train", "ot-gan-minst"
        )
        assert "did you mean '--method.epsilon'" in refusal(
            capsys, "train", "ot-gan-mnist", "--method.epsilno", 1
        )

    def test_invalid_values_are_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "method.epsilon = '-1': input should be greater than 0" in refusal(
            capsys, "train", "ot-gan-mnist", "--method.epsilon", -1
        )
        assert "run.steps" in refusal(capsys, "train", "ot-gan-mnist", "--run.steps", "many")
        assert "device" in refusal(
            capsys, "train", "sinkhorn-gan-8gaussians", "--run.device", "cuda:7"
        )
        assert "--n must be at least 1" in refusal(capsys, "sample", "x", "--n", 0, "-o", "a.npy")

    def test_invalid_recipe_files(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "r.yaml"
        file.write_text("data: {name: digits}\nmethod: {name: ot_gan, epsilno: 1}\n")
        assert "unknown key 'method.epsilno'; did you mean 'epsilon'?" in refusal(
            capsys, "train", file
        )
        file.write_text("data: {name: digits}\nmethod: {name: otgan}\n")
        assert "unknown method 'otgan'; did you mean 'ot_gan'?" in refusal(capsys, "train", file)
        file.write_text("method: {name: ot_gan}\n")
        assert "'data' is missing" in refusal(capsys, "train", file)
        file.write_text("data: [")
        assert "not valid YAML" in refusal(capsys, "train", file)

    def test_invalid_data(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        def error_for(data: object) -> str:
            flags = [*QUICK, "--data.name", data, "--run.out", tmp_path / "out"]
            return refusal(capsys, "train", "sinkhorn-gan-digits", *flags)

        assert "did you mean 'digits'" in error_for("digit")
        np.save(tmp_path / "nan.npy", np.array([[1.0, 2.0], [np.nan, 1.0], [1.0, 1.0]]))
        assert "holds NaN or Inf, first in sample 1" in error_for(tmp_path / "nan.npy")
        np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
        assert "at least 2 samples" in error_for(tmp_path / "empty.npy")
        np.save(tmp_path / "words.npy", np.array(["a", "b"]))
        assert "not numeric" in error_for(tmp_path / "words.npy")
        np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
        assert "cannot be read as a numeric array" in error_for(tmp_path / "objects.npy")
        (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
        assert "cannot be read" in error_for(tmp_path / "torn.npz")
        folder = tmp_path / "mixed"
        folder.mkdir()
        assert "holds 0 pictures" in error_for(folder)
        Image.new("L", (8, 8)).save(folder / "a.png")
        Image.new("L", (9, 9)).save(folder / "b.png")
        assert "mixed sizes: 'a.png' is 8×8, 'b.png' 9×9: add --data.size 8" in error_for(folder)
        (folder / "b.png").write_bytes(b"no picture")
        assert "not a readable picture" in error_for(folder)
        assert not (tmp_path / "out").exists()

    def test_missing_data_set_names_the_command_that_gets_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = ["--data.root", tmp_path, "--run.out", tmp_path / "out"]
        error = refusal(capsys, "train", "ot-gan-mnist", *flags)
        assert "run 'monge data get mnist'" in error
        (tmp_path / "mnist").mkdir()
        for part in (
            "train-images-idx3",
            "train-labels-idx1",
            "t10k-images-idx3",
            "t10k-labels-idx1",
        ):
            (tmp_path / "mnist" / f"{part}-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x03abc"))
        assert "is corrupt" in refusal(capsys, "train", "ot-gan-mnist", *flags)

    def test_invalid_run_folders(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = [*QUICK, "--method.adam.lr", 0.5, "--run.out", run]
        error = refusal(capsys, "train", "sinkhorn-gan-digits", *flags)
        assert "method.adam.lr: 0.001 there, 0.5 here" in error
        assert "is not a run folder" in refusal(
            capsys, "sample", tmp_path, "-o", tmp_path / "a.npy"
        )
        assert "must end in .npy, .npz or .png" in refusal(
            capsys, "sample", run, "-o", tmp_path / "a.jpg"
        )


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(MongeError):
        main(["train", "nothing", "--debug"])


def test_ctrl_c_writes_a_checkpoint_and_exits_130(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "monge", "train", "sinkhorn-gan-8gaussians"]
    flags = ["--run.steps", "100000", "--run.every", "20", "--run.out", str(out)]
    process = subprocess.Popen(
        [*command, *flags], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    while not (out / "log.jsonl").exists() or not (out / "log.jsonl").read_text():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in error.splitlines()[-1]
    assert "Traceback" not in error
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"]
    assert (out / "checkpoints" / f"step-{last:08d}.pt").is_file()


def test_data_ls_shows_missing_data_sets_and_get_suggests_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert monge("data", "ls", "--data.root", tmp_path) == 0
    assert "not here: monge data get mnist" in capsys.readouterr().out
    assert "did you mean 'mnist'" in refusal(capsys, "data", "get", "mnst")


def test_pictures_and_batches_of_unsuitable_size_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "odd.npy", np.zeros((50, 30, 30), np.uint8))
    flags = ["--data.name", tmp_path / "odd.npy", "--run.out", tmp_path / "run"]
    error = refusal(capsys, "train", "wgan-gp-mnist", *flags)
    assert "picture size must be a multiple of 4 and at least 8, got 30" in error
    assert "batch" in refusal(capsys, "train", "gan-25gaussians", "--method.batch", 1)
    assert "must be even" in refusal(capsys, "train", "ot-gan-25gaussians", "--method.batch", 33)
