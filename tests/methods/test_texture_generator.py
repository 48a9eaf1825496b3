"""Texture generator: statistics learned, shifts, seams, sizes, and a folder that continues and can
be told from others.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from monge.data import InfiniteDataset, StepInputs
from monge.errors import MongeError
from monge.images.texture import generator as app
from monge.images.texture import pictures as _pictures
from monge.images.texture.command import main
from monge.images.texture.metrics import patch_w2, seam_score
from monge.images.texture.pictures import as_texture, to_tensor
from monge.methods import texture_generator
from monge.methods.texture_generator import TINY, Config, TextureGenerator
from monge.nets import TextureNet
from monge.training import Interrupted


def stripes(side: int = 32) -> Tensor:
    """Red and blue, each 4 pixels wide."""
    x = torch.zeros(3, side, side)
    red = torch.arange(side) % 8 < 4
    x[0, :, red], x[2, :, ~red] = 0.9, 0.8
    return x


def trained(config: Config, steps: int, exemplar: Tensor | None = None) -> TextureGenerator:
    exemplar = stripes() if exemplar is None else exemplar
    method = texture_generator.build(config, exemplar)
    for step in range(steps):
        method.step(draw(step, steps))
    return method


def draw(step: int, steps: int) -> StepInputs:
    return StepInputs(
        InfiniteDataset("none", (1,), lambda n, _: torch.zeros(n, 1)), 0, step, steps=steps
    )


@pytest.fixture(scope="module")
def net() -> TextureNet:
    """With running means that are not those it begins with."""
    torch.manual_seed(0)
    net = TextureNet(3, levels=3, width=4)
    for _ in range(20):
        net([1.5 * torch.randn(2, *shape) for shape in net.noise_shapes((32, 32))])
    return net.eval()


@torch.no_grad()
def test_sampling_normalizes_by_the_means_of_training(net: TextureNet) -> None:
    layer, x = cast(Any, net.blocks[0])[0], torch.randn(2, 4, 8, 8)
    y = layer.convolution(torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"))
    y = torch.nn.functional.batch_norm(y, layer.mean, layer.var, layer.scale, layer.shift)
    assert torch.allclose(layer(x), torch.nn.functional.leaky_relu(y, 0.2), atol=1e-5)
    assert (layer.var - 1).abs().max() > 0.1


@torch.no_grad()
def test_the_net_commutes_with_shifts_of_its_coarsest_noise(net: TextureNet) -> None:
    noise = [torch.randn(1, *shape) for shape in net.noise_shapes((16, 24))]
    rolled = [z.roll((1 << k, 2 << k), (2, 3)) for k, z in enumerate(noise)]
    assert torch.allclose(net(rolled), net(noise).roll((4, 8), (2, 3)), atol=1e-5)
    assert not torch.allclose(net(rolled), net(noise), atol=0.1)


@pytest.mark.parametrize("size", [(8, 8), (13, 30), (1, 5), (4, 100)])
def test_any_size(net: TextureNet, size: tuple[int, int]) -> None:
    made = texture_generator.make(net, size)
    assert made.shape == (3, *size)
    assert made.isfinite().all()


def test_what_is_seen_of_a_large_picture_is_as_of_a_small_one(net: TextureNet) -> None:
    """Nothing is normalized by the picture: the same noise around a place is the same color,
    whatever lies far away.
    """
    noise = [torch.randn(1, *shape) for shape in net.noise_shapes((64, 64))]
    other = [z.clone() for z in noise]
    for k, z in enumerate(other):
        z[..., : 2 << k, :] = 5.0
    with torch.no_grad():
        a, b = net(noise), net(other)
    assert torch.equal(a[..., 32:40, :], b[..., 32:40, :])
    assert not torch.allclose(a[..., :8, :], b[..., :8, :])


def test_tiles_have_sides_that_divide(net: TextureNet) -> None:
    assert texture_generator.make(net, (8, 12), tile=True).shape == (3, 8, 12)
    with pytest.raises(ValueError, match="multiples of 4 pixels"):
        texture_generator.make(net, (8, 13), tile=True)


def test_seeds_and_indices_are_other_pictures(net: TextureNet) -> None:
    one = texture_generator.make(net, (16, 16), 3)
    assert torch.equal(one, texture_generator.make(net, (16, 16), 3))
    for other in (
        texture_generator.make(net, (16, 16), 4),
        texture_generator.make(net, (16, 16), 3, 1),
    ):
        assert (one - other).abs().mean() > 0.02


@pytest.fixture(scope="module")
def learned() -> TextureGenerator:
    return trained(TINY.model_copy(update={"width": 8, "points": 256, "lr": 0.01}), 200)


def test_it_learns_the_patches_of_two_colors(learned: TextureGenerator) -> None:
    """Stripes turned by noise into a picture: half the pixels red, half blue, none purple; at
    random W₂² is 3.6.
    """
    made = learned.sample(2, size=(64, 64))
    red = made[:, 0] / 0.9
    assert 0.4 < red.mean() < 0.6
    assert ((red - red.round()).abs() < 0.2).float().mean() > 0.8
    assert patch_w2(made[0], stripes(64), scales=1, n=300, draws=1)[0].value < 1.5


def test_a_tile_has_no_seam(learned: TextureGenerator) -> None:
    tile = learned.sample(1, size=(64, 64), tile=True)[0]
    assert seam_score(tile).ratio < 2 < seam_score(tile[:, :-3, :-3]).ratio


def test_scalars_say_what_is_minimized() -> None:
    method = texture_generator.build(TINY, stripes())
    scalars = {k: float(v) for k, v in method.step(draw(0, 1)).items()}
    assert scalars["loss"] == pytest.approx(
        sum(scalars[f"{kind}_{k}"] for kind in ("loss", "detail") for k in (0, 1))
    )
    assert scalars["generator_grad"] > 0


def test_targets_are_patches_of_the_exemplar() -> None:
    exemplar = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    y = cast(Any, texture_generator.build(TINY, exemplar).matchings[0]).target_measure.y
    every = exemplar.unfold(1, 4, 1).unfold(2, 4, 1).movedim(0, 2).reshape(-1, 32)
    assert {tuple(row) for row in y.tolist()} <= {tuple(row) for row in every.tolist()}
    assert len(y.unique(dim=0)) == 100


def test_coarse_scales_remember() -> None:
    """8² places at the second scale of one picture of 16²: with those of earlier steps they are as
    many as are asked for.
    """
    method = texture_generator.build(TINY.model_copy(update={"side": 16, "points": 100}), stripes())
    match, seen = cast(Any, method.matchings[1]), []
    for step in range(3):
        method.step(draw(step, 3))
        seen.append((int(match.known), match.recent.clone()))
    assert [known for known, _ in seen] == [36, 36, 36]
    assert not torch.equal(seen[0][1], seen[1][1])


@pytest.mark.parametrize(
    ("config", "exemplar", "words"),
    [
        (TINY, torch.zeros(32, 32), "floats"),
        (TINY, torch.zeros(3, 32, 32, dtype=torch.uint8), "floats"),
        (TINY, torch.zeros(3, 7, 32), "fewer scales"),
        (TINY.model_copy(update={"side": 30}), torch.zeros(3, 32, 32), "multiple of 4"),
    ],
)
def test_what_does_not_fit_is_said(config: Config, exemplar: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        texture_generator.build(config, exemplar)


# The folder and the command


def pixels(channels: int = 3) -> Any:
    x = (stripes().permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return x if channels == 3 else x[..., 0]


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture
def every_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_EVERY", 2)


@pytest.mark.usefixtures("every_two")
def test_continuing_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    def stop(step: int, _: Any) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        app.train(pixels(), tmp_path / "a", steps=6, config=TINY, on_step=stop)
    made = app.train(pixels(), tmp_path / "a", steps=6, config=TINY)
    app.train(pixels(), tmp_path / "b", steps=6, config=TINY)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert "continues after 3 steps" in made.notes[0]
    logs = [
        [json.loads(line) for line in (tmp_path / f / "log.jsonl").read_text().splitlines()]
        for f in "ab"
    ]
    assert [line["step"] for line in logs[0]] == [2, 3, 4, 6]
    assert logs[0][-1]["loss"] == logs[1][-1]["loss"]


@pytest.mark.usefixtures("every_two")
def test_a_crash_loses_no_line_and_doubles_none(tmp_path: Path) -> None:
    def crash(step: int, _: Any) -> None:
        if step == 5:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        app.train(pixels(), tmp_path, steps=6, config=TINY, on_step=crash)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 6}\n{"ste')
    app.train(pixels(), tmp_path, steps=6, config=TINY)
    assert [
        json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()
    ] == [2, 4, 6]


def test_a_folder_is_of_one_training(tmp_path: Path) -> None:
    app.train(pixels(), tmp_path, steps=1, config=TINY)
    before = weights(tmp_path)
    for seed, steps, words in ((1, 1, "another --seed"), (0, 2, "another --steps")):
        with pytest.raises(MongeError, match=words):
            app.train(pixels(), tmp_path, seed=seed, steps=steps, config=TINY)
    with pytest.raises(MongeError, match="another exemplar"):
        app.train(255 - pixels(), tmp_path, steps=1, config=TINY)
    assert weights(tmp_path) == before
    (tmp_path / "mine.txt").write_text("stays")
    app.train(255 - pixels(), tmp_path, steps=1, config=TINY, fresh=True)
    assert weights(tmp_path) != before
    assert (tmp_path / "mine.txt").exists()


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("stays")
    with pytest.raises(MongeError, match="other files"):
        app.train(pixels(), tmp_path, steps=1, config=TINY, fresh=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_kept_samples_what_was_trained(tmp_path: Path) -> None:
    made = app.train(pixels(), tmp_path, steps=2, config=TINY)
    again = app.load(tmp_path).sample((20, 30), seed=5)
    assert np.array_equal(made.sample((20, 30), seed=5).colors, again.colors)
    method = trained(TINY, 2, to_tensor(as_texture(pixels(), ""), made.kind))
    same = method.sample(1, 5, size=(20, 30))[0].clamp(0, 1).permute(1, 2, 0)
    assert np.abs(same.numpy() * 255 - again.colors).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_every_kind(tmp_path: Path, channels: int, dtype: Any) -> None:
    exemplar = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 16, channels), dtype)
    made = app.train(exemplar, tmp_path, steps=1, config=TINY).sample(8)
    assert made.colors.dtype == dtype
    assert made.colors.shape == (8, 8, channels - 1 | 1)
    assert (made.alpha is not None) == (channels in (2, 4))


def test_fewer_scales_for_a_small_exemplar(tmp_path: Path) -> None:
    made = app.train(
        pixels()[:10, :10], tmp_path, steps=1, config=TINY.model_copy(update={"scales": 5})
    )
    assert made.notes == ("5 scales leave less than a patch of 4 pixels of 10: 2 used",)


def test_minutes_end_the_training(tmp_path: Path) -> None:
    made = app.train(pixels(), tmp_path, steps=1000, config=TINY, minutes=1e-6)
    assert made.notes == ("the minutes were over after 1 of 1000 steps: more make it finer",)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"exemplar": np.zeros((3, 3), np.uint8)}, "smaller than a patch"),
        ({"exemplar": np.zeros((32, 32, 4), np.uint8)}, "transparent"),
        ({"steps": 0}, "steps must be"),
        ({"minutes": float("nan")}, "minutes must be"),
        ({"config": TINY.model_copy(update={"side": 30})}, "multiple of 4"),
    ],
)
def test_bad_input(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(MongeError, match=words):
        app.train(
            **{"exemplar": pixels(), "folder": tmp_path / "new", "steps": 1, "config": TINY} | given
        )
    assert not (tmp_path / "new").exists()


def test_folders_that_hold_no_generator(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="holds no texture generator"):
        app.load(tmp_path)
    app.train(pixels(), tmp_path, steps=1, config=TINY)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(MongeError, match="damaged"):
        app.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MongeError, match=r"no model\.safetensors yet"):
        app.load(tmp_path)


def test_memory_is_asked_for_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = app.train(pixels(), tmp_path, steps=1, config=TINY)
    monkeypatch.setattr(_pictures, "available_memory", lambda: 2**20)
    with pytest.raises(MongeError, match=r"take about .* take fewer than"):
        made.sample(4096)


def test_the_command(
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
        said = capsys.readouterr().out
        assert "sides of tiles are multiples of 4 pixels: 32×16 in place of 30×17" in said
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
    ("line", "words"),
    [
        ("train no.png -o f", "no picture at"),
        ("train no.png -o f --patch 1", "--patch must be greater"),
        ("train no.png -o f --seed -1", "--seed must be"),
        ("sample f -o out.png", "holds no texture generator"),
        ("sample f -o out.png --size big", "--size must be"),
    ],
)
def test_the_command_says_what_is_wrong(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MongeError, match=words):
        main(line.split())
