"""Textures: pictures in, pictures of the same kind out; what stays to the bit; interruptions; and
what is refused.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data import data_root
from monge.errors import MongeError
from monge.images.io import Picture, read_picture, write_picture
from monge.images.pixels import as_picture
from monge.images.texture import pictures as _pictures
from monge.images.texture import synthesis as app
from monge.images.texture.features import VGG19, load_extractor
from monge.images.texture.pictures import in_srgb, read_mask
from monge.images.texture.show import copied_share, patch_distances
from monge.methods.texture import Texture, memory_estimate
from monge.training import Interrupted, runner
from tests.images.color.test_transfer import swapped_profile

TINY = app.Config(scales=2, targets=40, steps=3)
MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def bricks(channels: int = 3, dtype: type = np.uint8, side: int = 32, seed: int = 0) -> Any:
    """A picture (side, side, channels) with some order; alpha, where there is one, varies."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    base = (
        0.3
        + 0.4 * ((x // 4 + y // 8) % 2)[..., None]
        + rng.uniform(-0.2, 0.2, (side, side, channels))
    )
    return (base * np.iinfo(dtype).max).astype(dtype)


def square(side: int = 32) -> Any:
    hole = np.zeros((side, side), bool)
    hole[8:18, 10:22] = True
    return hole


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_native_pictures_survive_reading_and_writing(
    tmp_path: Path, mode: str, dtype: type
) -> None:
    pixels = bricks(MODES[mode], dtype)
    given = replace(
        app.as_texture(pixels, "picture"), profile=swapped_profile() if "RGB" in mode else b""
    )
    write_picture(given, tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png", native=True)
    np.testing.assert_array_equal(found.colors, given.colors)
    np.testing.assert_array_equal(found.alpha, given.alpha)
    assert (found.profile, found.notes) == (given.profile, ())
    with Image.open(tmp_path / "a.png") as image:
        assert (
            image.mode
            == {np.uint8: mode, np.uint16: {"L": "I;16", "LA": "RGBA"}.get(mode, mode)}[dtype]
        )
    if "RGB" in mode and dtype is np.uint8:
        assert not np.array_equal(in_srgb(tmp_path / "a.png", "a").colors, given.colors)
    if mode == "L":
        assert read_picture(tmp_path / "a.png").colors.shape == (32, 32, 3)
        for ending in ("tif", "webp", "jpg") if dtype is np.uint8 else ():
            write_picture(
                replace(given, profile=b"some gray profile" if ending == "webp" else b""),
                tmp_path / f"a.{ending}",
            )
            again = read_picture(tmp_path / f"a.{ending}", native=True).colors
            assert np.abs(again.astype(int) - given.colors).max() <= (8 if ending == "jpg" else 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_texture_is_of_its_exemplars_kind(channels: int, dtype: type) -> None:
    made = app.synthesize(bricks(channels, dtype), (24, 40), config=TINY)
    assert made.colors.shape == (24, 40, 1 if channels < 3 else 3)
    assert made.colors.dtype == dtype
    assert (made.alpha is None) == (channels in (1, 3))
    assert made.notes == ()
    assert app.synthesize(bricks(channels, dtype), config=TINY).colors.shape[:2] == (32, 32)


def test_floats_and_profiles_are_kept() -> None:
    made = app.synthesize(bricks() / 255, 24, config=TINY).colors
    assert made.dtype == np.float64
    assert 0 <= made.min() <= made.max() <= 1
    given = Picture(bricks(), profile=swapped_profile(), exif=b"Exif\0\0somebody")
    found = app.synthesize(given, 24, config=TINY)
    assert (found.profile, found.exif) == (given.profile, b"")
    gray = app.synthesize(bricks(1), 24, config=TINY)
    # other parts of the house know three channels
    assert as_picture(gray, "gray").colors.shape == (
        24,
        24,
        3,
    )


def test_an_opaque_alpha_is_dropped_and_invisible_colors_do_not_matter() -> None:
    opaque = np.dstack([bricks(), np.full((32, 32), 255, np.uint8)])
    made = app.synthesize(opaque, config=TINY)
    assert made.alpha is None
    np.testing.assert_array_equal(made.colors, app.synthesize(bricks(), config=TINY).colors)
    some, other = opaque.copy(), opaque.copy()
    some[:16, :, 3] = other[:16, :, 3] = 0
    other[:16, :, :3] = 99
    made, again = app.synthesize(some, config=TINY), app.synthesize(other, config=TINY)
    np.testing.assert_array_equal(made.colors, again.colors)
    np.testing.assert_array_equal(made.alpha, again.alpha)
    assert made.alpha is not None


def test_seed_and_size() -> None:
    made = app.synthesize(bricks(), config=TINY)
    np.testing.assert_array_equal(made.colors, app.synthesize(bricks(), 32, config=TINY).colors)
    assert not np.array_equal(made.colors, app.synthesize(bricks(), seed=1, config=TINY).colors)


def test_mixing() -> None:
    a, b = bricks(), 255 - bricks(seed=1)
    ends = [app.mix([a, b], weights, config=TINY).colors for weights in ([2, 0], [0, 1])]
    for end, exemplar in zip(ends, (a, b), strict=True):
        np.testing.assert_array_equal(end, app.synthesize(exemplar, config=TINY).colors)
    middle = app.mix([a, b], config=TINY).colors
    assert not np.array_equal(middle, ends[0])
    np.testing.assert_array_equal(middle, app.mix([a, b], [3, 3], config=TINY).colors)
    assert app.mix([bricks(1), a], config=TINY).colors.shape == (32, 32, 3)
    assert app.mix([bricks(1), bricks(2)], config=TINY).colors.shape == (32, 32, 1)
    deep = app.mix([bricks(1, np.uint16), bricks(1)], [0, 1], config=TINY)
    assert deep.colors.dtype == np.uint16
    assert abs(deep.colors.mean() / 257 - app.synthesize(bricks(1), config=TINY).colors.mean()) < 1
    assert app.mix([a, bricks(side=48), b], [1, 1, 1], config=TINY).colors.shape == (32, 32, 3)


def test_strip() -> None:
    a, b = bricks(), 255 - bricks(seed=1)
    seen: list[tuple[int, int]] = []
    made = app.strip(
        [a, b], 3, (16, 24), config=TINY, on_progress=lambda p: seen.append((p.part, p.parts))
    )
    assert sorted({*seen}) == [(0, 3), (1, 3), (2, 3)]
    np.testing.assert_array_equal(made[0].colors, app.synthesize(a, (16, 24), config=TINY).colors)
    np.testing.assert_array_equal(made[2].colors, app.synthesize(b, (16, 24), config=TINY).colors)
    sheet = app.joined(made)
    np.testing.assert_array_equal(sheet.colors, np.hstack([p.colors for p in made]))
    half = app.joined([made[0], replace(made[1], alpha=made[1].colors[..., 0])])
    assert half.alpha is not None
    assert (half.alpha[:, :24] == 255).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inpainting_changes_the_hole_only(tmp_path: Path, channels: int, dtype: type) -> None:
    pixels, hole = bricks(channels, dtype), square()
    given = replace(app.as_texture(pixels, "picture"), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    write_picture(given, tmp_path / "a.png")
    made = app.inpaint(tmp_path / "a.png", hole, config=TINY)
    write_picture(made, tmp_path / "b.png")
    found = read_picture(tmp_path / "b.png", native=True)
    for ours, theirs in ((found.colors, given.colors), (found.alpha, given.alpha)):
        if theirs is not None:
            assert ours is not None
            assert ours.dtype == dtype
            np.testing.assert_array_equal(ours[~hole], theirs[~hole])
            assert (ours[hole] != theirs[hole]).mean() > 0.5


def test_what_lies_in_the_hole_does_not_matter() -> None:
    spoilt, hole = bricks(), square()
    spoilt[hole] = (255, 0, 0)
    np.testing.assert_array_equal(
        app.inpaint(spoilt, hole, config=TINY).colors,
        app.inpaint(bricks(), hole, config=TINY).colors,
    )


def test_what_lies_outside_the_region_is_not_learned_from() -> None:
    picture, hole = bricks(), square()
    region = np.zeros_like(hole)
    region[20:] = True
    made = app.inpaint(picture, hole, region=region, config=TINY).colors
    assert not np.array_equal(made, app.inpaint(picture, hole, config=TINY).colors)
    with pytest.raises(MongeError, match="the region has no pixel outside the mask"):
        app.inpaint(picture, hole, region=hole, config=TINY)


def test_a_transparent_hole_is_filled_and_becomes_opaque() -> None:
    picture, hole = np.dstack([bricks(), np.full((32, 32), 255, np.uint8)]), square()
    picture[hole, 3] = 0
    picture[12, 9, 3] = 200  # half transparent, beside the hole
    hole[12, 9] = True
    made = app.inpaint(picture, config=TINY)
    assert made.alpha is not None
    assert (made.alpha == 255).all()
    np.testing.assert_array_equal(made.colors[~hole], picture[~hole, :3])
    assert not np.array_equal(made.colors[hole], picture[hole, :3])
    np.testing.assert_array_equal(app.hole(app.as_texture(picture, "picture"), None), hole)


def test_masks(tmp_path: Path) -> None:
    picture, hole = Picture(bricks()), square()
    white = (hole * 255).astype(np.uint8)
    empty, ink = np.zeros_like(white), np.where(hole, 255, 0).astype(np.uint8)
    Image.fromarray(white).save(tmp_path / "mask.jpg", quality=60)
    for mask in (
        white,
        (hole * 65535).astype(np.uint16),
        hole * 0.5,
        np.dstack([white, white, white, np.full_like(white, 255)]),  # opaque alpha says nothing
        np.dstack([empty, empty, empty, ink]),  # black ink on an empty layer
        np.dstack([np.full_like(white, 255), ink]),  # white ink on an empty layer
        np.dstack(
            [white, white, white, np.where(np.arange(32) < 28, 255, 0) * np.ones((32, 1))]
        ).astype(np.uint8),
        tmp_path / "mask.jpg",
    ):
        np.testing.assert_array_equal(read_mask(mask, "mask", picture), hole)
    assert not read_mask(white // 2, "mask", picture).any()
    made = app.inpaint(picture, ~hole, invert=True, config=TINY)
    np.testing.assert_array_equal(made.colors, app.inpaint(picture, white, config=TINY).colors)


def test_shared_masks() -> None:
    folder = data_root() / "inpainting_masks"
    if not folder.is_dir():
        pytest.skip("the inpainting masks are not on this machine: set MONGE_DATA")
    bark = read_picture(folder / "image_3_bark_with_red_z.jpg")
    hole = app.hole(bark, read_picture(folder / "mask_3_inpaint.jpg"), invert=True)
    red = (bark.colors[..., 0] > 220) & (bark.colors[..., 1] < 60)
    assert 0.05 < hole.mean() < 0.3
    assert (red & ~hole).sum() < 0.01 * red.sum()
    wall = read_picture(folder / "image_bricks_with_hole_rgba.png", native=True)
    assert 0.15 < app.hole(wall, None).mean() < 0.17


def interrupted_at(step: int) -> Callable[[app.Progress], None]:
    def listen(progress: app.Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return listen


def test_interrupted_and_continued_equals_uninterrupted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    options: dict[str, Any] = {"config": TINY, "size": 40}
    with pytest.raises(Interrupted, match="stopped at step 2"):
        app.synthesize(bricks(), state=state, on_progress=interrupted_at(2), **options)
    steps: list[app.Progress] = []
    made = app.synthesize(bricks(), state=state, on_progress=steps.append, **options)
    assert steps[0].step == 3
    assert re.match("continues after 2 steps", made.notes[0])
    whole: list[app.Progress] = []
    np.testing.assert_array_equal(
        made.colors, app.synthesize(bricks(), on_progress=whole.append, **options).colors
    )
    assert [p.step for p in whole] == [*range(1, steps[-1].step + 1)]
    assert whole[-1].fraction == 1
    assert whole[-1].picture().colors.shape == (40, 40, 3)
    again = app.synthesize(
        bricks(), state=state, on_progress=lambda _: pytest.fail("has nothing to do"), **options
    )
    np.testing.assert_array_equal(made.colors, again.colors)
    app.forget(state)
    assert not state.exists()


def test_a_state_of_something_else_is_not_continued(tmp_path: Path) -> None:
    def stopped() -> Path:
        with pytest.raises(Interrupted):
            app.synthesize(
                bricks(), state=tmp_path / "state", on_progress=interrupted_at(2), config=TINY
            )
        return tmp_path / "state"

    kinds: list[dict[str, Any]] = [
        {"seed": 1},
        {"tile": True},
        {"size": 24},
        {"exemplar": bricks(seed=1)},
        {"config": TINY.model_copy(update={"targets": 30})},
    ]
    for other in kinds:
        made = app.synthesize(**{"exemplar": bricks(), "config": TINY, "state": stopped(), **other})
        assert made.notes == (
            f"{tmp_path / 'state'} is of other pictures or settings: started over",
        )
    first: list[int] = []
    app.synthesize(
        bricks(),
        state=stopped(),
        fresh=True,
        on_progress=lambda p: first.append(p.step),
        config=TINY,
    )
    assert first[0] == 1
    (tmp_path / "state" / "notes.txt").write_text("mine")
    app.forget(tmp_path / "state")
    assert [*(tmp_path / "state").iterdir()] == [tmp_path / "state" / "notes.txt"]


def test_a_strip_continues(tmp_path: Path) -> None:
    a, b = bricks(), bricks(seed=1)

    def listen(progress: app.Progress) -> None:
        if (progress.part, progress.step) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        app.strip([a, b], 3, config=TINY, state=tmp_path / "state", on_progress=listen)
    parts: list[int] = []
    made = app.strip(
        [a, b], 3, config=TINY, state=tmp_path / "state", on_progress=lambda p: parts.append(p.part)
    )
    assert {*parts} == {1, 2}
    for ours, theirs in zip(made, app.strip([a, b], 3, config=TINY), strict=True):
        np.testing.assert_array_equal(ours.colors, theirs.colors)
    app.forget(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_without_a_state_ctrl_c_is_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        app.synthesize(bricks(), on_progress=interrupted_at(1), config=TINY)


def test_time_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, step = [0.0], Texture.step

    def a_second(texture: Any) -> Any:
        now[0] += 1
        return step(texture)

    monkeypatch.setattr(runner.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Texture, "step", a_second)
    seconds: list[float] = []
    config = TINY.model_copy(update={"steps": 50})
    made = app.synthesize(
        bricks(), config=config, time_budget=20, on_progress=lambda p: seconds.append(p.seconds)
    )
    assert seconds == [*range(1, 21)]
    assert re.match(r"the time budget was used at \d+% of the work", made.notes[0])
    with pytest.raises(Interrupted):
        app.synthesize(
            bricks(), config=config, time_budget=20, state=tmp_path, on_progress=interrupted_at(1)
        )
    seconds.clear()
    app.synthesize(
        bricks(),
        config=config,
        time_budget=20,
        state=tmp_path,
        on_progress=lambda p: seconds.append(p.seconds),
    )
    assert seconds == [*range(2, 21)]  # the first sitting counts
    assert app.synthesize(bricks(), config=config, time_budget=1e-9).colors.shape == (32, 32, 3)


def test_a_loss_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Texture, "step", lambda _: {"loss": float("nan")})
    with pytest.raises(MongeError, match="step 1: loss is nan"):
        app.synthesize(bricks(), config=TINY)


def test_scales_that_do_not_fit_are_left_out() -> None:
    made = app.synthesize(bricks(side=17), 32, config=TINY.model_copy(update={"scales": 5}))
    assert made.notes == ("5 scales leave less than a patch of 8 pixels of 17: 2 are used",)
    plain = app.synthesize(bricks(side=17), 32, config=TINY.model_copy(update={"scales": 2}))
    np.testing.assert_array_equal(made.colors, plain.colors)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = app.synthesize(bricks(), config=TINY)
    need = memory_estimate([(3, 32, 32)], (2048, 1024), TINY)
    monkeypatch.setattr(_pictures, "available_memory", lambda: need // 2)
    with pytest.raises(
        MongeError,
        match=r"1024×2048 pixels take about .*iB of memory and .*iB are free: --size \d+x\d+ fits",
    ) as error:
        app.synthesize(bricks(), (2048, 1024), config=TINY)
    w, h = map(int, re.findall(r"--size (\d+)x(\d+)", str(error.value))[0])
    assert abs(h - 2 * w) <= 2
    assert 300 < w < 1024
    assert memory_estimate([(3, 32, 32)], (h, w), TINY) <= 0.9 * (need // 2)
    monkeypatch.setattr(_pictures, "available_memory", lambda: 1000)
    with pytest.raises(MongeError, match="take a smaller exemplar, or free some memory"):
        app.synthesize(bricks(), config=TINY)
    monkeypatch.setattr(_pictures, "available_memory", lambda: None)
    np.testing.assert_array_equal(app.synthesize(bricks(), config=TINY).colors, asked.colors)


def test_free_memory_is_known_here() -> None:
    free = _pictures.available_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: app.synthesize(bricks(side=7)),
            "the exemplar of 7 pixels is smaller than a patch of 8: take a larger picture",
        ),
        (
            lambda: app.synthesize(bricks(), (7, 40)),
            "the size of 7 pixels is smaller than a patch of 8",
        ),
        (lambda: app.synthesize(bricks(), 0), "size must be at least 1 pixel"),
        (
            lambda: app.synthesize(bricks(5)),
            r"exemplar must have shape \(h, w\) or \(h, w, 1 to 4\), got \(32, 32, 5\)",
        ),
        (lambda: app.synthesize(bricks() * 1.0), "exemplar has floats outside"),
        (
            lambda: app.synthesize(np.zeros((32, 32, 4), np.uint8)),
            "exemplar 1 is fully transparent",
        ),
        (
            lambda: app.synthesize(bricks(), time_budget=0),
            "time_budget must be a number of seconds above 0, got 0",
        ),
        (lambda: app.synthesize(bricks(), time_budget=float("nan")), "time_budget must be"),
        (lambda: app.mix([bricks()]), "mixing takes at least two exemplars, got 1"),
        (lambda: app.mix([bricks(), bricks()], [1]), "1 weight for 2 exemplars"),
        (
            lambda: app.mix([bricks(), bricks()], [-1, 2]),
            "weights must be at least 0 and not all 0, got -1 2",
        ),
        (
            lambda: app.mix([bricks(), bricks()], [0, 0]),
            "weights must be at least 0 and not all 0, got 0 0",
        ),
        (lambda: app.mix([bricks(), bricks()], [1, float("inf")]), "weights must be at least 0"),
        (
            lambda: app.strip([bricks(), bricks(), bricks()]),
            "a strip leads from one texture to another, got 3",
        ),
        (lambda: app.strip([bricks(), bricks()], 1), "steps must be at least 2"),
        (
            lambda: app.inpaint(bricks(), square(24)),
            "the mask has 24×24 pixels and the picture 32×32",
        ),
        (
            lambda: app.inpaint(bricks(), square(), region=square(8)),
            "the region has 8×8 pixels and the picture 32×32",
        ),
        (
            lambda: app.inpaint(bricks(), square() & False),
            "the mask is empty, nothing is to be made: white is filled",
        ),
        (lambda: app.inpaint(bricks(), square() | True), "the mask covers the whole picture"),
        (lambda: app.inpaint(bricks()), "no transparent hole to fill"),
        (
            lambda: app.inpaint(np.dstack([bricks(), np.full((32, 32), 255, np.uint8)])),
            "no transparent hole",
        ),
        (
            lambda: app.inpaint(bricks(4), invert=True),
            "invert turns a mask round, and none was given",
        ),
    ],
)
def test_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(MongeError, match=message):
        call()


def test_features(tmp_path: Path) -> None:
    assert load_extractor("none", 3, 32) is None
    assert load_extractor("random", 1, 32, tile=True).torus  # type: ignore[union-attr]
    (tmp_path / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pt")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(os.system))
    for call, message in (
        (lambda: load_extractor("vgg", 3, 32), "unknown features 'vgg'; did you mean 'vgg19'"),
        (
            lambda: load_extractor("vgg19", 3, 32),
            "need weights, which monge does not bring: give --vgg-weights FILE",
        ),
        (lambda: load_extractor("random", 3, 6), "random filters have 7 pixels and the picture 6"),
        (
            lambda: load_extractor("none", 3, 32, weights="a.pt"),
            "weights 'a.pt' are for features 'vgg19'",
        ),
        (
            lambda: load_extractor("vgg19", 3, 32, weights=tmp_path / "none.pt"),
            "there is no such file",
        ),
        (
            lambda: load_extractor("vgg19", 3, 32, weights=tmp_path / "torn.pt"),
            "damaged or holds more than tensors",
        ),
        (
            lambda: load_extractor("vgg19", 3, 32, weights=tmp_path / "evil.pt"),
            "damaged or holds more than tensors",
        ),
        (
            lambda: load_extractor("vgg19", 3, 32, weights=tmp_path / "other.pt"),
            "has no 'features.0.bias'",
        ),
    ):
        with pytest.raises(MongeError, match=message):
            call()


def test_vgg19(tmp_path: Path) -> None:
    state = VGG19().state_dict()
    assert [k for k in state if k.endswith("bias")] == [
        f"features.{k}.bias" for k in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
    ]
    torch.save({**state, "classifier.0.weight": torch.zeros(3)}, tmp_path / "vgg.pt")
    found = load_extractor("vgg19", 3, 32, weights=tmp_path / "vgg.pt")
    assert isinstance(found, VGG19)
    x = torch.rand(1, 3, 40, 32)
    assert [tuple(f.shape[1:]) for f in found(x)] == [
        (64, 40, 32),
        (128, 20, 16),
        (256, 10, 8),
        (512, 5, 4),
        (512, 2, 2),
    ]
    assert len(found(x[..., :24, :24])) == 4  # the fifth would see 1 pixel
    with torch.no_grad():
        y = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]
        ).view(3, 1, 1)
        first = torch.conv2d(
            y, state["features.0.weight"], state["features.0.bias"], padding=1
        ).relu()
        torch.testing.assert_close(found(x)[0], first)
        torch.testing.assert_close(found(x[:, :1])[1], found(x[:, :1].expand(-1, 3, -1, -1))[1])


def test_measures() -> None:
    a, hole = bricks(side=36), square(36)
    found = patch_distances(Picture(a), Picture(a))
    assert len(found) == 2
    assert found[0].ratio < 1.5
    assert patch_distances(Picture(a // 2), Picture(a))[0].ratio > 2
    spoilt = a.copy()
    spoilt[hole] = 0
    assert patch_distances(Picture(spoilt), Picture(spoilt), mask=hole, region=~hole)[0].ratio > 5
    assert len(patch_distances(Picture(bricks(side=7)), Picture(a))) == 1
    assert patch_distances(Picture(bricks(side=3)), Picture(a)) == []
    large = Picture(bricks(side=64))
    assert copied_share(large, large) == pytest.approx(1, abs=0.05)
    assert copied_share(Picture(255 - large.colors), large) == 0
    assert copied_share(Picture(a), large) is None
