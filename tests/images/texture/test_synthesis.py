"""Synthesis, mixtures and inpainting of textures: kinds of pictures, interruptions, errors."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monge.errors import MongeError
from monge.images.io import Picture, read_picture, write_picture
from monge.images.pixels import as_picture
from monge.images.texture import pictures as _pictures
from monge.images.texture import synthesis as app
from monge.methods.texture import Texture, memory_estimate
from monge.training import Interrupted, runner
from tests.helpers.images import bricks, square, swapped_profile

TINY = app.Config(scales=2, targets=40, steps=3)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_texture_has_the_kind_of_its_exemplar(channels: int, dtype: type) -> None:
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
    made = app.synthesize(given, 24, config=TINY)
    assert (made.profile, made.exif) == (given.profile, b"")
    gray = app.synthesize(bricks(1), 24, config=TINY)
    # color transfer expects three channels
    assert as_picture(gray, "gray").colors.shape == (24, 24, 3)


def test_opaque_alpha_is_dropped_and_invisible_colors_are_ignored() -> None:
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


def test_size_defaults_to_the_exemplar_and_seeds_differ() -> None:
    made = app.synthesize(bricks(), config=TINY)
    np.testing.assert_array_equal(made.colors, app.synthesize(bricks(), 32, config=TINY).colors)
    assert not np.array_equal(made.colors, app.synthesize(bricks(), seed=1, config=TINY).colors)


def test_mix_with_one_weight_equals_synthesize() -> None:
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


def test_strip_runs_from_one_exemplar_to_the_other() -> None:
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
def test_inpaint_changes_the_hole_only(tmp_path: Path, channels: int, dtype: type) -> None:
    pixels, hole = bricks(channels, dtype), square()
    given = replace(app.as_texture(pixels, "picture"), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    write_picture(given, tmp_path / "a.png")
    made = app.inpaint(tmp_path / "a.png", hole, config=TINY)
    write_picture(made, tmp_path / "b.png")
    written = read_picture(tmp_path / "b.png", native=True)
    for ours, theirs in ((written.colors, given.colors), (written.alpha, given.alpha)):
        if theirs is not None:
            assert ours is not None
            assert ours.dtype == dtype
            np.testing.assert_array_equal(ours[~hole], theirs[~hole])
            assert (ours[hole] != theirs[hole]).mean() > 0.5


def test_inpaint_ignores_the_pixels_in_the_hole() -> None:
    changed, hole = bricks(), square()
    changed[hole] = (255, 0, 0)
    expected = app.inpaint(bricks(), hole, config=TINY).colors
    np.testing.assert_array_equal(app.inpaint(changed, hole, config=TINY).colors, expected)


def test_inpaint_learns_from_the_region_only() -> None:
    picture, hole = bricks(), square()
    region = np.zeros_like(hole)
    region[20:] = True
    made = app.inpaint(picture, hole, region=region, config=TINY).colors
    assert not np.array_equal(made, app.inpaint(picture, hole, config=TINY).colors)
    with pytest.raises(MongeError, match="the region has no pixel outside the mask"):
        app.inpaint(picture, hole, region=hole, config=TINY)


def test_transparent_hole_is_filled_and_becomes_opaque() -> None:
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


def test_inverted_mask_fills_the_same_hole() -> None:
    picture, hole = Picture(bricks()), square()
    white = (hole * 255).astype(np.uint8)
    made = app.inpaint(picture, ~hole, invert=True, config=TINY)
    np.testing.assert_array_equal(made.colors, app.inpaint(picture, white, config=TINY).colors)


def interrupted_at(step: int) -> Callable[[app.Progress], None]:
    def listen(progress: app.Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return listen


def test_continued_run_equals_an_uninterrupted_run(tmp_path: Path) -> None:
    state = tmp_path / "state"
    options: dict[str, Any] = {"config": TINY, "size": 40}
    with pytest.raises(Interrupted, match="stopped at step 2"):
        app.synthesize(bricks(), state=state, on_progress=interrupted_at(2), **options)
    steps: list[app.Progress] = []
    made = app.synthesize(bricks(), state=state, on_progress=steps.append, **options)
    assert steps[0].step == 3
    assert re.match("continues after 2 steps", made.notes[0])
    whole: list[app.Progress] = []
    expected = app.synthesize(bricks(), on_progress=whole.append, **options)
    np.testing.assert_array_equal(made.colors, expected.colors)
    assert [p.step for p in whole] == [*range(1, steps[-1].step + 1)]
    assert whole[-1].fraction == 1
    assert whole[-1].picture().colors.shape == (40, 40, 3)
    no_step = lambda _: pytest.fail("a finished run makes no step")
    again = app.synthesize(bricks(), state=state, on_progress=no_step, **options)
    np.testing.assert_array_equal(made.colors, again.colors)
    app.forget(state)
    assert not state.exists()


def test_state_of_other_inputs_is_not_continued(tmp_path: Path) -> None:
    state = tmp_path / "state"

    def interrupt() -> None:
        with pytest.raises(Interrupted):
            app.synthesize(bricks(), state=state, on_progress=interrupted_at(2), config=TINY)

    kinds: list[dict[str, Any]] = [
        {"seed": 1},
        {"tile": True},
        {"size": 24},
        {"exemplar": bricks(seed=1)},
        {"config": TINY.model_copy(update={"targets": 30})},
    ]
    for other in kinds:
        interrupt()
        made = app.synthesize(**{"exemplar": bricks(), "config": TINY, "state": state, **other})
        assert made.notes == (f"{state} is of other pictures or settings: started over",)
    interrupt()
    steps: list[app.Progress] = []
    app.synthesize(bricks(), state=state, fresh=True, on_progress=steps.append, config=TINY)
    assert steps[0].step == 1
    (state / "notes.txt").write_text("mine")
    app.forget(state)
    assert [*state.iterdir()] == [state / "notes.txt"]


def test_strip_continues_after_an_interruption(tmp_path: Path) -> None:
    state, a, b = tmp_path / "state", bricks(), bricks(seed=1)

    def listen(progress: app.Progress) -> None:
        if (progress.part, progress.step) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        app.strip([a, b], 3, config=TINY, state=state, on_progress=listen)
    steps: list[app.Progress] = []
    made = app.strip([a, b], 3, config=TINY, state=state, on_progress=steps.append)
    assert {progress.part for progress in steps} == {1, 2}
    for ours, theirs in zip(made, app.strip([a, b], 3, config=TINY), strict=True):
        np.testing.assert_array_equal(ours.colors, theirs.colors)
    app.forget(state)
    assert not state.exists()


def test_ctrl_c_without_a_state_raises_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        app.synthesize(bricks(), on_progress=interrupted_at(1), config=TINY)


def test_time_budget_stops_the_run_and_includes_earlier_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, step = [0.0], Texture.step

    def a_second(texture: Any) -> Any:
        now[0] += 1
        return step(texture)

    monkeypatch.setattr(runner.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Texture, "step", a_second)
    steps: list[app.Progress] = []
    config = TINY.model_copy(update={"steps": 50})
    options: dict[str, Any] = {"config": config, "time_budget": 20}
    made = app.synthesize(bricks(), on_progress=steps.append, **options)
    assert [progress.seconds for progress in steps] == [*range(1, 21)]
    assert re.match(r"the time budget was used at \d+% of the work", made.notes[0])
    options["state"] = tmp_path
    with pytest.raises(Interrupted):
        app.synthesize(bricks(), on_progress=interrupted_at(1), **options)
    steps.clear()
    app.synthesize(bricks(), on_progress=steps.append, **options)
    assert [progress.seconds for progress in steps] == [*range(2, 21)]  # the first session counts
    assert app.synthesize(bricks(), config=config, time_budget=1e-9).colors.shape == (32, 32, 3)


def test_loss_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Texture, "step", lambda _: {"loss": float("nan")})
    with pytest.raises(MongeError, match="step 1: loss is nan"):
        app.synthesize(bricks(), config=TINY)


def test_scales_that_do_not_fit_are_left_out() -> None:
    made = app.synthesize(bricks(side=17), 32, config=TINY.model_copy(update={"scales": 5}))
    assert made.notes == ("5 scales leave less than a patch of 8 pixels of 17: 2 are used",)
    plain = app.synthesize(bricks(side=17), 32, config=TINY.model_copy(update={"scales": 2}))
    np.testing.assert_array_equal(made.colors, plain.colors)


def test_size_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = app.synthesize(bricks(), config=TINY)
    need = memory_estimate([(3, 32, 32)], (2048, 1024), TINY)
    monkeypatch.setattr(_pictures, "available_memory", lambda: need // 2)
    message = r"1024×2048 pixels take about .*iB of memory and .*iB are free: `size=\d+x\d+` fits"
    with pytest.raises(MongeError, match=message) as error:
        app.synthesize(bricks(), (2048, 1024), config=TINY)
    w, h = map(int, re.findall(r"`size=(\d+)x(\d+)", str(error.value))[0])
    assert abs(h - 2 * w) <= 2
    assert 300 < w < 1024
    assert memory_estimate([(3, 32, 32)], (h, w), TINY) <= 0.9 * (need // 2)
    monkeypatch.setattr(_pictures, "available_memory", lambda: 1000)
    with pytest.raises(MongeError, match="take a smaller exemplar, or free some memory"):
        app.synthesize(bricks(), config=TINY)
    monkeypatch.setattr(_pictures, "available_memory", lambda: None)
    np.testing.assert_array_equal(app.synthesize(bricks(), config=TINY).colors, expected.colors)


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
            "invert needs a mask, got none",
        ),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(MongeError, match=message):
        call()
