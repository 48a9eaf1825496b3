"""`monge texture`, end to end on small pictures: files, output, exit statuses."""

from __future__ import annotations

import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monge.cli.main import main
from monge.errors import MongeError
from monge.images.texture import command as texture
from monge.images.texture import show as show_module
from monge.images.texture import synthesis as app
from tests.helpers.images import bricks, square


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Config", partial(app.Config, steps=3, targets=40))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test in a folder of pictures."""
    monkeypatch.chdir(tmp_path)
    for name, pixels in (
        ("a.png", bricks()),
        ("b.png", 255 - bricks(seed=1)),
        ("gray.png", bricks(1)[..., 0]),
        ("la.png", bricks(2)),
        ("mask.png", square()),
        ("holed.png", np.dstack([bricks(), np.where(square(), 0, 255).astype(np.uint8)])),
    ):
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def run(line: str) -> int:
    return texture.main(line.split())


def pixels(path: str) -> Any:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    output = capsys.readouterr().out
    assert re.findall(r"^  (\w+) ", output, re.M) == ["synth", "inpaint", "mix", "train", "sample"]
    assert run("") == 0
    assert run("synht a.png") == 2
    assert "did you mean 'synth'" in capsys.readouterr().err


def test_synth_writes_a_picture_and_a_page_and_prints_metrics(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(here)
    assert run("synth a.png -o new/out.png --size 40x24 --tile --report") == 0
    output, distances = capsys.readouterr().out, r"[\d.]+ at scale 0 .*, [\d.]+ at scale 1"
    assert re.search(r"^40×24 pixels in [\d.]+ s$", output, re.M)
    assert re.search(f"^patch-W2² over floor: {distances}", output, re.M)
    assert output.endswith("look at new/out.png and new/out.html\n")
    assert pixels("new/out.png").shape == (24, 40, 3)
    assert files(here / "new") == {"out.png", "out.html"}
    assert files(here) == before | {"new"}
    page = (here / "new" / "out.html").read_text()
    for part in ("2 × 2 tiles", "patch-W2² over floor", "<polyline", "exemplar", "a.png"):
        assert part in page, part
    assert "http-equiv" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize("name", ["gray", "la", "holed"])
def test_synth_keeps_the_mode(here: Path, name: str) -> None:
    assert run(f"synth {name}.png -o out.png --size 24") == 0
    with Image.open(here / "out.png") as made, Image.open(here / f"{name}.png") as given:
        assert (made.mode, made.size) == (given.mode, (24, 24))


def test_synth_drops_an_opaque_alpha(here: Path) -> None:
    Image.fromarray(np.dstack([bricks(), np.full((32, 32), 255, np.uint8)])).save("opaque.png")
    assert run("synth opaque.png -o out.jpg --size 24") == 0
    with Image.open(here / "out.jpg") as made:
        assert made.mode == "RGB"


def test_each_option_changes_the_picture(here: Path) -> None:
    options = (
        "",
        "--seed 1",
        "--scales 2",
        "--patch 5",
        "--targets 19",
        "--features random --time-budget 0.3",
        "--tile",
    )
    for k, option in enumerate(options):
        assert run(f"synth a.png -o {k}.png --no-preview {option}") == 0
    assert len({(here / f"{k}.png").read_bytes() for k in range(len(options))}) == len(options)


def test_preview_and_page_are_complete_while_synth_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The preview and the page of a running command are complete files."""
    monkeypatch.setattr(show_module, "_EVERY", 1e-9)
    monkeypatch.setattr(show_module, "_SHARE", 0.0)
    seen: list[tuple[int, str]] = []
    refresh = show_module.Show._refresh

    def watched(show: Any, progress: Any) -> None:
        refresh(show, progress)
        seen.append((pixels("out.preview.png").shape[0], (here / "out.html").read_text()))

    monkeypatch.setattr(show_module.Show, "_refresh", watched)
    assert run("synth a.png -o out.png --size 40 --report") == 0
    assert {side for side, _ in seen} == {40}
    assert all('http-equiv="refresh" content' in page and "so far" in page for _, page in seen)
    assert files(here) >= {"out.png", "out.html"}
    assert not any("preview" in name or "state" in name or "part" in name for name in files(here))


def test_same_command_continues_after_ctrl_c(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("synth a.png -o whole.png") == 0
    call = show_module.Show.__call__

    def stopping(show: Any, progress: Any) -> None:
        call(show, progress)
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(show_module.Show, "__call__", stopping)
        with pytest.raises(SystemExit) as stop:
            main(["texture", "synth", "a.png", "-o", "out.png", "--report"])
    assert stop.value.code == 130
    assert "monge: stopped at step 2; the same command continues" in capsys.readouterr().err
    assert not (here / "out.png").exists()
    assert (here / "out.png.state").is_dir()
    assert "stopped at" in (page := (here / "out.html").read_text())
    assert "http-equiv" not in page
    assert run("synth a.png -o out.png --report") == 0
    assert "note: continues after 2 steps" in capsys.readouterr().out
    assert (here / "out.png").read_bytes() == (here / "whole.png").read_bytes()
    assert not (here / "out.png.state").exists()


def test_inpaint_fills_masked_and_transparent_holes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hole = square()
    assert run("inpaint a.png --mask mask.png -o out.png --report") == 0
    np.testing.assert_array_equal(pixels("out.png")[~hole], bricks()[~hole])
    assert (pixels("out.png") != bricks())[hole].mean() > 0.5
    assert "patch-W2² over floor" in capsys.readouterr().out
    Image.fromarray(~hole).save("inverse.png")
    masks = "--mask inverse.png --invert --exemplar-region inverse.png"
    assert run(f"inpaint a.png {masks} -o again.png") == 0
    assert (here / "out.png").read_bytes() == (here / "again.png").read_bytes()
    assert run("inpaint holed.png -o full.png --features random --time-budget 0.3") == 0
    assert pixels("full.png").shape == (32, 32, 4)
    assert (pixels("full.png")[..., 3] == 255).all()
    np.testing.assert_array_equal(pixels("full.png")[~hole], pixels("holed.png")[~hole])


def test_mix_writes_mixtures_and_strips(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mix a.png b.png --weights 0.3 0.7 -o out.png --size 40x32") == 0
    output = capsys.readouterr().out
    assert "patch-W2² to a over floor" in output
    assert "patch-W2² to b over floor" in output
    assert pixels("out.png").shape == (32, 40, 3)
    assert run("mix a.png b.png --steps 3 -o strip.png --size 24 --singles") == 0
    parts = [pixels(f"strip-{k}.png") for k in (1, 2, 3)]
    np.testing.assert_array_equal(pixels("strip.png"), np.hstack(parts))
    assert run("mix gray.png gray.png a.png -o three.png --weights 1 1 0") == 0
    assert not any(name.endswith((".state", ".preview.png")) for name in files(here))


@pytest.mark.usefixtures("here")
def test_unusual_files_are_read_with_notes(capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.fromarray(bricks(seed=k)) for k in (0, 1)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    assert run("synth moving.gif -o out.png --size 24") == 0
    assert "note: moving.gif: only the first of 2 frames is used" in capsys.readouterr().out
    deep = bricks(1, np.uint16)[..., 0]
    Image.fromarray(deep).save("deep.png")
    assert run("synth deep.png -o out.png --size 24") == 0
    assert pixels("out.png").dtype == np.uint16
    assert run("inpaint deep.png --mask mask.png -o out.png") == 0
    np.testing.assert_array_equal(pixels("out.png")[~square()], deep[~square()])
    Image.fromarray(bricks(side=9)).save("tiny.png")
    assert run("synth tiny.png -o out.png --size 32 --scales 4") == 0
    note = "note: 4 scales leave less than a patch of 8 pixels of 9: 1 is used"
    assert note in capsys.readouterr().out
    assert run("synth tiny.png -o out.png --size 32 --time-budget 0.001") == 0
    assert "note: the time budget was used at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("synth torn.png -o out.png", "'torn.png' is damaged"),
        ("synth text.png -o out.png", "'text.png' is not a picture"),
        ("synth none.png -o out.png", "the file does not exist"),
        ("synth a.png -o a.png", "--out 'a.png' would overwrite an input"),
        (
            "synth out.preview.png -o out.png",
            "--preview 'out.preview.png' would overwrite an input",
        ),
        (
            "mix a.png out-2.png --steps 3 --singles -o out.png",
            "--out 'out-2.png' would overwrite an input",
        ),
        ("inpaint a.png --mask mask.png -o mask.png", "would overwrite an input"),
        ("synth a.png -o out.bmp", "give it one of these endings"),
        (
            "synth holed.png -o out.jpg",
            "JPEG has no transparency and the picture has: write 'out.png'",
        ),
        (
            "inpaint a.png --mask mask.png -o out.jpg",
            "JPEG would change pixels that are to stay: write 'out.png'",
        ),
        ("inpaint a.png -o out.png", "the picture has no transparent hole to fill: give `mask`"),
        (
            "inpaint a.png --mask b16.png -o out.png",
            "the mask has 16×16 pixels and the picture 32×32",
        ),
        (
            "inpaint a.png --mask mask.png --exemplar-region b16.png -o out.png",
            "--exemplar-region has 16×16 pixels",
        ),
        ("inpaint a.png --mask black.png -o out.png", "the mask is empty"),
        ("inpaint a.png --mask black.png --invert -o out.png", "the mask covers the whole picture"),
        ("mix a.png b.png --weights 1 -o out.png", "1 weight for 2 exemplars"),
        (
            "mix a.png b.png --weights -1 2 -o out.png",
            "weights must be at least 0 and not all 0, got -1 2",
        ),
        ("mix a.png -o out.png", "mixing takes at least two exemplars, got 1"),
        (
            "mix a.png b.png --steps 3 --weights 1 1 -o out.png",
            "--steps makes a strip over all weights",
        ),
        (
            "mix a.png b.png --singles -o out.png",
            "--singles are the pictures of a strip: give --steps",
        ),
        (
            "mix a.png b.png gray.png --steps 3 -o out.png",
            "a strip leads from one texture to another, got 3",
        ),
        ("synth a.png -o out.png --size 7", "the size of 7 pixels is smaller than a patch of 8"),
        ("synth a.png -o out.png --size large", "--size must be like 1024x768 .* got 'large'"),
        (
            "synth a.png -o out.png --size 9999999",
            "9999999×9999999 pixels take about .* are free: `size=",
        ),
        ("synth a.png -o out.png --seed -1", "--seed must be at least 0, got -1"),
        ("synth a.png -o out.png --patch 0", "--patch must be greater than or equal to .*, got 0"),
        (
            "synth a.png -o out.png --time-budget 0",
            "time_budget must be a number of seconds above 0",
        ),
        ("synth a.png -o out.png --features vgg", "unknown features 'vgg'; did you mean 'vgg19'"),
        ("synth a.png -o out.png --features vgg19", "give `weights`"),
        (
            "synth a.png -o out.png --features vgg19 --vgg-weights evil.pt",
            "damaged or holds more than tensors",
        ),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(
    here: Path, line: str, message: str
) -> None:
    (here / "torn.png").write_bytes((here / "a.png").read_bytes()[:400])
    (here / "text.png").write_text("no picture")
    torch.save({"x": partial(print, "run by loading")}, here / "evil.pt")
    for name in ("out.preview.png", "out-2.png"):
        Image.fromarray(bricks()).save(name)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("black.png")
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("b16.png")
    before = {path: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(MongeError, match=message) as error:
        run(line)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in here.iterdir()} == before
