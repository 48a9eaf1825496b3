"""Run folders and commands of texture generators."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monge.errors import MongeError
from monge.images.texture import generator as app
from monge.images.texture import pictures
from monge.images.texture.command import main
from monge.images.texture.pictures import as_texture, to_tensor
from monge.methods import texture_generator
from monge.methods.texture_generator import TINY, Config
from monge.training import Interrupted
from tests.helpers.textures import red_and_blue_stripes, trained_generator


def pixels(channels: int = 3) -> Any:
    x = (red_and_blue_stripes().permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return x if channels == 3 else x[..., 0]


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def read_log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def every_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_EVERY", 2)


@pytest.mark.usefixtures("every_two")
def test_continued_training_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    def stop(step: int, _: Any) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        app.train(pixels(), tmp_path / "a", steps=6, config=TINY, on_step=stop)
    generator = app.train(pixels(), tmp_path / "a", steps=6, config=TINY)
    app.train(pixels(), tmp_path / "b", steps=6, config=TINY)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert "continues after 3 steps" in generator.notes[0]
    continued, whole = (read_log(tmp_path / name) for name in "ab")
    assert [line["step"] for line in continued] == [2, 3, 4, 6]
    assert continued[-1]["loss"] == whole[-1]["loss"]


@pytest.mark.usefixtures("every_two")
def test_log_has_each_step_once_after_a_crash(tmp_path: Path) -> None:
    def crash(step: int, _: Any) -> None:
        if step == 5:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        app.train(pixels(), tmp_path, steps=6, config=TINY, on_step=crash)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 6}\n{"ste')
    app.train(pixels(), tmp_path, steps=6, config=TINY)
    assert [line["step"] for line in read_log(tmp_path)] == [2, 4, 6]


def test_folder_of_another_training_is_an_error_unless_fresh(tmp_path: Path) -> None:
    app.train(pixels(), tmp_path, steps=1, config=TINY)
    before = weights(tmp_path)
    for seed, steps, message in ((1, 1, "another `seed`"), (0, 2, "another `steps`")):
        with pytest.raises(MongeError, match=message):
            app.train(pixels(), tmp_path, seed=seed, steps=steps, config=TINY)
    with pytest.raises(MongeError, match="another exemplar"):
        app.train(255 - pixels(), tmp_path, steps=1, config=TINY)
    assert weights(tmp_path) == before
    (tmp_path / "mine.txt").write_text("stays")
    app.train(255 - pixels(), tmp_path, steps=1, config=TINY, fresh=True)
    assert weights(tmp_path) != before
    assert (tmp_path / "mine.txt").exists()


def test_folder_with_other_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("stays")
    with pytest.raises(MongeError, match="other files"):
        app.train(pixels(), tmp_path, steps=1, config=TINY, fresh=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_loaded_generator_equals_the_trained_one(tmp_path: Path) -> None:
    generator = app.train(pixels(), tmp_path, steps=2, config=TINY)
    again = app.load(tmp_path).sample((20, 30), seed=5)
    assert np.array_equal(generator.sample((20, 30), seed=5).colors, again.colors)
    method = trained_generator(TINY, 2, to_tensor(as_texture(pixels(), ""), generator.kind))
    same = method.sample(1, 5, size=(20, 30))[0].clamp(0, 1).permute(1, 2, 0)
    assert np.abs(same.numpy() * 255 - again.colors).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_samples_have_the_channels_and_dtype_of_the_exemplar(
    tmp_path: Path, channels: int, dtype: Any
) -> None:
    exemplar = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 16, channels), dtype)
    picture = app.train(exemplar, tmp_path, steps=1, config=TINY).sample(8)
    assert picture.colors.dtype == dtype
    assert picture.colors.shape == (8, 8, channels - 1 | 1)
    assert (picture.alpha is not None) == (channels in (2, 4))


def test_small_exemplar_reduces_the_scales(tmp_path: Path) -> None:
    generator = app.train(
        pixels()[:10, :10], tmp_path, steps=1, config=TINY.model_copy(update={"scales": 5})
    )
    assert generator.notes == ("5 scales leave less than a patch of 4 pixels of 10: 2 used",)


def test_minutes_end_the_training(tmp_path: Path) -> None:
    generator = app.train(pixels(), tmp_path, steps=1000, config=TINY, minutes=1e-6)
    assert generator.notes == ("the minutes were over after 1 of 1000 steps: more make it finer",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exemplar": np.zeros((3, 3), np.uint8)}, "smaller than a patch"),
        ({"exemplar": np.zeros((32, 32, 4), np.uint8)}, "transparent"),
        ({"steps": 0}, "steps must be"),
        ({"minutes": float("nan")}, "minutes must be"),
        ({"config": TINY.model_copy(update={"side": 30})}, "multiple of 4"),
    ],
)
def test_wrong_arguments_are_errors(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(MongeError, match=message):
        app.train(
            **{"exemplar": pixels(), "folder": tmp_path / "new", "steps": 1, "config": TINY} | given
        )
    assert not (tmp_path / "new").exists()


def test_load_of_folders_without_a_generator_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="holds no texture generator"):
        app.load(tmp_path)
    app.train(pixels(), tmp_path, steps=1, config=TINY)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(MongeError, match="damaged"):
        app.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MongeError, match=r"no model\.safetensors yet"):
        app.load(tmp_path)


def test_too_large_samples_are_refused_before_memory_is_allocated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = app.train(pixels(), tmp_path, steps=1, config=TINY)
    monkeypatch.setattr(pictures, "available_memory", lambda: 2**20)
    with pytest.raises(MongeError, match=r"take about .* take fewer than"):
        generator.sample(4096)


def test_commands_train_and_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(texture_generator.Config, "__init__", _tiny)
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    folder, out = tmp_path / "a", tmp_path / "out.png"
    assert (
        main(["train", str(tmp_path / "a.png"), "-o", str(folder), "--steps", "2", "--scales", "1"])
        == 0
    )
    assert "trained in" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {
        *("log.jsonl", "model.safetensors", "preview.png", "generator.json", "checkpoints")
    }
    for seed in ("1", "1", "2"):
        assert (
            main(
                ["sample", str(folder), "-o", str(out), "--size", "30x17", "--seed", seed, "--tile"]
            )
            == 0
        )
        output = capsys.readouterr().out
        assert "sides of tiles are multiples of 4 pixels: 32×16 in place of 30×17" in output
        out = out.with_stem(out.stem + "+")
    one, same, other = (
        np.asarray(Image.open(tmp_path / f"out{plus}.png")) for plus in ("", "+", "++")
    )
    assert one.shape == (16, 32, 3)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def _tiny(self: Config, **given: Any) -> None:
    super(Config, self).__init__(**TINY.model_dump() | given)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train no.png -o f", "no picture at"),
        ("train no.png -o f --patch 1", "--patch must be greater"),
        ("train no.png -o f --seed -1", "--seed must be"),
        ("sample f -o out.png", "holds no texture generator"),
        ("sample f -o out.png --size big", "--size must be"),
    ],
)
def test_wrong_command_lines_are_errors(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MongeError, match=message):
        main(line.split())
