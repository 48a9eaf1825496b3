"""The command line as a person meets it: what it writes, and how it says no."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.cli.main import COMMANDS, main
from monge.data.download import get
from monge.data.sets.idx import Remote
from monge.errors import MongeError

QUICK = [
    "--run.steps",
    "4",
    "--run.every",
    "2",
    "--method.batch",
    "16",
    "--method.nets.width",
    "8",
    "--eval.samples",
    "64",
]


def monge(*args: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert monge("train", "sinkhorn-gan-digits", *QUICK, "--run.out", folder) == 0
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """Run a command that must fail with one line on standard error, and return the line."""
    assert monge(*args) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert error.startswith("monge: ")
    assert "\n" not in error
    assert "Traceback" not in error
    return error


def test_a_run_leaves_what_it_promises(run: Path) -> None:
    names = {
        "config.yaml",
        "log.jsonl",
        "samples.png",
        "neighbours.png",
        "curves.png",
        "metrics.json",
        "report.html",
        "model.safetensors",
        "checkpoints",
    }
    assert {p.name for p in run.iterdir()} == names
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["w2_ratio"] == pytest.approx(figures["w2_squared"] / figures["w2_squared_floor"])
    page = (run / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("https://", "http")  # self-contained
    assert Image.open(run / "samples.png").width > 100


@pytest.mark.parametrize("suffix", ["npy", "npz", "png"])
def test_sample(run: Path, suffix: str, tmp_path: Path) -> None:
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


def test_eval_and_resume_repeat_the_figures(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((run / "metrics.json").read_text())
    assert monge("eval", run) == 0
    assert json.loads((run / "metrics.json").read_text()) == before
    assert monge("resume", run) == 0
    assert "× the floor" in capsys.readouterr().out


def test_ls_and_cp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_any_folder_of_pictures_and_any_array(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (80, 8, 8, 3)).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{i:02}.png")
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(80, 5)))
    for name, data in (("photos", tmp_path / "photos"), ("points", tmp_path / "points.npy")):
        out = tmp_path / f"run-{name}"
        assert (
            monge(
                "train",
                "sinkhorn-gan-digits",
                *QUICK,
                "--eval.samples",
                16,
                "--data.name",
                data,
                "--run.out",
                out,
            )
            == 0
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert monge(command, "--help") == 0
    assert command in capsys.readouterr().out


def test_flags_are_listed_with_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert monge("train", "ot-gan-25gaussians", "--help") == 0
    text = capsys.readouterr().out
    for flag in (
        "--run.steps",
        "--run.out",
        "--run.every",
        "--run.seed",
        "--method.epsilon",
        "--data.root",
        "--fresh",
        "--dry-run",
    ):
        assert flag in text
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


class TestRefusals:
    def test_names(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "did you mean 'train'" in refusal(capsys, "trian")
        assert "unknown recipe 'ot-gan-minst'; did you mean 'ot-gan-mnist'?" in refusal(
            capsys, "train", "ot-gan-minst"
        )
        assert "did you mean '--method.epsilon'" in refusal(
            capsys, "train", "ot-gan-mnist", "--method.epsilno", 1
        )

    def test_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "method.epsilon = '-1': input should be greater than 0" in refusal(
            capsys, "train", "ot-gan-mnist", "--method.epsilon", -1
        )
        assert "run.steps" in refusal(capsys, "train", "ot-gan-mnist", "--run.steps", "many")
        assert "device" in refusal(
            capsys, "train", "sinkhorn-gan-8gaussians", "--run.device", "cuda:7"
        )
        assert "--n must be at least 1" in refusal(capsys, "sample", "x", "--n", 0, "-o", "a.npy")

    def test_recipe_files(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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

    def test_data(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        def told(data: object) -> str:
            return refusal(
                capsys,
                "train",
                "sinkhorn-gan-digits",
                *QUICK,
                "--data.name",
                data,
                "--run.out",
                tmp_path / "out",
            )

        assert "did you mean 'digits'" in told("digit")
        np.save(tmp_path / "nan.npy", np.array([[1.0, 2.0], [np.nan, 1.0], [1.0, 1.0]]))
        assert "holds NaN or Inf, first in sample 1" in told(tmp_path / "nan.npy")
        np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
        assert "at least 2 samples" in told(tmp_path / "empty.npy")
        np.save(tmp_path / "words.npy", np.array(["a", "b"]))
        assert "not numeric" in told(tmp_path / "words.npy")
        np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
        assert "cannot be read as a numeric array" in told(tmp_path / "objects.npy")
        (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
        assert "cannot be read" in told(tmp_path / "torn.npz")
        folder = tmp_path / "mixed"
        folder.mkdir()
        assert "holds 0 pictures" in told(folder)
        Image.new("L", (8, 8)).save(folder / "a.png")
        Image.new("L", (9, 9)).save(folder / "b.png")
        assert "mixed sizes: 'a.png' is 8×8, 'b.png' 9×9: add --data.size 8" in told(folder)
        (folder / "b.png").write_bytes(b"no picture")
        assert "not a readable picture" in told(folder)
        assert not (tmp_path / "out").exists()

    def test_missing_data_set_names_the_command_that_gets_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = refusal(
            capsys, "train", "ot-gan-mnist", "--data.root", tmp_path, "--run.out", tmp_path / "out"
        )
        assert "run 'monge data get mnist'" in told
        (tmp_path / "mnist").mkdir()
        for part in (
            "train-images-idx3",
            "train-labels-idx1",
            "t10k-images-idx3",
            "t10k-labels-idx1",
        ):
            (tmp_path / "mnist" / f"{part}-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x03abc"))
        assert "is corrupt" in refusal(
            capsys, "train", "ot-gan-mnist", "--data.root", tmp_path, "--run.out", tmp_path / "out"
        )

    def test_run_folders(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = refusal(
            capsys,
            "train",
            "sinkhorn-gan-digits",
            *QUICK,
            "--method.adam.lr",
            0.5,
            "--run.out",
            run,
        )
        assert "method.adam.lr: 0.001 there, 0.5 here" in told
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
    command = [
        sys.executable,
        "-m",
        "monge",
        "train",
        "sinkhorn-gan-8gaussians",
        "--run.steps",
        "100000",
        "--run.every",
        "20",
    ]
    process = subprocess.Popen(
        [*command, "--run.out", str(out)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
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


PAYLOAD = os.urandom(300_000)


class Mirror(BaseHTTPRequestHandler):
    """Serves a file with ranges; /broken/ cuts it off half-way, /wrong/ alters it."""

    def do_GET(self) -> None:
        body = PAYLOAD[::-1] if self.path.startswith("/wrong") else PAYLOAD
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        self.wfile.write(rest[: len(rest) // 2] if self.path.startswith("/broken") else rest)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_download_resumes_tries_mirrors_and_checks(mirror: str, tmp_path: Path) -> None:
    files = {"file.gz": hashlib.sha256(PAYLOAD).hexdigest()}
    remote = Remote(files, (f"{mirror}/wrong/", f"{mirror}/broken/", f"{mirror}/good/"))
    folder = get("thing", tmp_path, remote)
    assert (folder / "file.gz").read_bytes() == PAYLOAD
    assert not list(folder.glob("*.part"))
    # an interrupted download that is in fact complete
    (folder / "file.gz").rename(folder / "file.gz.part")
    assert get("thing", tmp_path, Remote(files, (f"{mirror}/good/",))).is_dir()
    with pytest.raises(MongeError, match=r"could not get other.gz; tried .*sha256 is"):
        get("thing", tmp_path, Remote({"other.gz": "0" * 64}, (f"{mirror}/good/",)))


def test_data_ls(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert monge("data", "ls", "--data.root", tmp_path) == 0
    assert "not here: monge data get mnist" in capsys.readouterr().out
    assert "did you mean 'mnist'" in refusal(capsys, "data", "get", "mnst")


def test_pictures_that_the_network_does_not_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "odd.npy", np.zeros((50, 30, 30), np.uint8))
    error = refusal(
        capsys,
        "train",
        "wgan-gp-mnist",
        "--data.name",
        tmp_path / "odd.npy",
        "--run.out",
        tmp_path / "run",
    )
    assert "picture size must be a multiple of 4 and at least 8, got 30" in error
    assert "batch" in refusal(capsys, "train", "gan-25gaussians", "--method.batch", 1)
    assert "must be even" in refusal(capsys, "train", "ot-gan-25gaussians", "--method.batch", 33)
