"""An interrupted run continues to the bit; nothing that goes wrong loses what was saved."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data import StepInputs
from monge.errors import MongeError
from monge.training import Interrupted, Recipe, RunFolder, checkpoint, loop, parse, train
from monge.training.recipe import method_module, recipe_methods
from tests.helpers.dances import write_dances

METHODS = recipe_methods()
_KEPT = tempfile.TemporaryDirectory()
_FOLDER = Path(_KEPT.name)


def dances() -> dict[str, Any]:
    folder = _FOLDER / "dances"
    return {"name": str(folder if folder.is_dir() else write_dances(folder)), "size": 8}


def pictures() -> dict[str, Any]:
    """Two collections, twelve pictures of 16×16 pixels in each part."""
    folder = _FOLDER / "pictures"
    for k, part in enumerate(("trainA", "trainB", "testA", "testB")):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for i, pixels in enumerate(
            np.random.default_rng(k).integers(0, 255, (12, 16, 16, 3), np.uint8)
        ):
            Image.fromarray(pixels).save(folder / part / f"{i}.png")
    return {"name": str(folder)}


PAIRED = {"mdot": dances, "w2_cycle": pictures}  # methods that move given samples


def recipe(method: str, **run: Any) -> Recipe:
    """A method in its smallest configuration."""
    return parse(
        {
            "data": PAIRED[method]() if method in PAIRED else {"name": "8gaussians"},
            "method": method_module(method).TINY.model_dump(),
            "run": {"steps": 12, "every": 4, **run},
            "eval": {"samples": 64},
        },
        "test",
    )


def final_state(folder: RunFolder) -> dict[str, Any]:
    state, _ = folder.torch_state()
    assert state is not None
    return state


def assert_bitwise_equal(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            if key != "clock":
                assert_bitwise_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        for i, (s, t) in enumerate(zip(a, b, strict=True)):
            assert_bitwise_equal(s, t, f"{where}[{i}]")
    else:
        assert a == b, where


class StopAt:
    """Sends this process a signal while a given step runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        draw_init = StepInputs.__init__

        def init(draw: StepInputs, source: Any, seed: int, at: int, **options: Any) -> None:
            draw_init(draw, source, seed, at, **options)
            if at == step:
                monkeypatch.setattr(StepInputs, "__init__", draw_init)
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(StepInputs, "__init__", init)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", [2, 5, 8])
def test_interrupted_equals_uninterrupted(
    method: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts, drawn = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts"), [0]
    with monkeypatch.context() as patch:
        data = StepInputs.data
        patch.setattr(StepInputs, "data", lambda draw, n: (drawn.append(n), data(draw, n))[1])
        train(recipe(method), whole)
    StopAt(monkeypatch, stop)
    with pytest.raises(Interrupted, match=f"step {stop + 1}"):
        train(recipe(method), parts)
    train(recipe(method), parts)
    assert_bitwise_equal(final_state(whole), final_state(parts))
    assert final_state(parts)["position"] == sum(drawn)


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("ot_gan"), folder)
    before = final_state(folder)
    train(recipe("ot_gan"), folder)
    assert_bitwise_equal(before, final_state(folder))
    assert [line["step"] for line in folder.history()] == [4, 8, 12]
    assert sorted(p.name for p in folder.path.iterdir()) == [
        *(
            "checkpoints",
            "config.yaml",
            "curves.png",
            "log.jsonl",
            "metrics.json",
            "model.safetensors",
            "report.html",
            "samples.png",
        )
    ]


def test_more_steps_continue_and_fresh_restarts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan"), folder)
    train(recipe("sinkhorn_gan", steps=16), folder)
    assert [line["step"] for line in folder.history()] == [4, 8, 12, 16]
    train(recipe("sinkhorn_gan", seed=1), folder, fresh=True)
    assert [line["step"] for line in folder.history()] == [4, 8, 12]


def test_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan"), folder)
    with pytest.raises(MongeError, match=r"run.seed: 0 there, 1 here.*--fresh"):
        train(recipe("sinkhorn_gan", seed=1), folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    with pytest.raises(MongeError, match="not a run folder"):
        train(recipe("sinkhorn_gan"), RunFolder(other), fresh=True)
    assert (other / "thesis.tex").exists()


def test_fresh_deletes_the_run_and_nothing_else(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan"), folder)
    (folder.path / "notes.txt").write_text("mine")
    train(recipe("sinkhorn_gan", seed=1), folder, fresh=True)
    assert (folder.path / "notes.txt").read_text() == "mine"
    assert [line["step"] for line in folder.history()] == [4, 8, 12]

    foreign = RunFolder(tmp_path / "foreign")
    foreign.path.mkdir()
    for content in ("title: my web site\n", "[", "just text"):
        foreign.config.write_text(content)
        for fresh in (False, True):
            with pytest.raises(MongeError, match="was not written by monge"):
                train(recipe("sinkhorn_gan"), foreign, fresh=fresh)
        assert foreign.config.read_text() == content


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_corrupt_checkpoint_falls_back_and_says_so(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    train(recipe("ot_gan"), whole)
    train(recipe("ot_gan"), folder)
    newest = folder.checkpoints / "step-00000012.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(
        {"truncate": bytes(content[:100]), "flip": bytes(content), "empty": b""}[damage]
    )
    train(recipe("ot_gan"), folder)
    assert "step-00000012.pt is torn or corrupt" in capsys.readouterr().out
    assert_bitwise_equal(final_state(whole), final_state(folder))
    assert [line["step"] for line in folder.history()] == [4, 8, 12]


def test_only_two_checkpoints_are_kept_and_torch_reads_them(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, {"step": step, "x": torch.ones(3)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002.pt", "step-00000003.pt"]
    state, remarks = checkpoint.load_latest(tmp_path)
    assert state is not None
    assert state["step"] == 3
    assert not remarks


def test_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("ot_gan", steps=4), folder)
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        MongeError, match=r"the disk is full: .* free some space and run the same command again"
    ):
        checkpoint.save(folder.checkpoints, 8, {"x": torch.ones(4)})
    monkeypatch.setattr(os, "fsync", real)
    assert [p.name for p in folder.checkpoints.iterdir()] == ["step-00000004.pt"]


def test_a_crash_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, {"step": 1})

    def crash(*_: Any) -> None:
        raise SystemError

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(SystemError):
        checkpoint.save(tmp_path, 2, {"step": 2})
    state, remarks = checkpoint.load_latest(tmp_path)
    assert state == {"step": 1}
    assert not remarks


def test_kill_9_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    """A process is killed while it writes; every file that is there afterwards is whole."""
    script = (
        "import torch, sys, pathlib\nfrom monge.training import checkpoint\n"
        "for step in range(10**6):\n"
        "    checkpoint.save(pathlib.Path(sys.argv[1]), step, "
        "{'step': step, 'x': torch.ones(200_000)})\n"
        "    print(step, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(5)]
    time.sleep(0.02)
    process.kill()
    rest = process.stdout.read().split()
    state, remarks = checkpoint.load_latest(tmp_path)
    assert not remarks
    assert state is not None
    assert state["step"] >= int((rest or seen)[-1])


def test_not_finite_stops_and_names_step_and_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    build = loop.build

    def poisoned(*args: Any) -> Any:
        method = build(*args)
        step = method.step
        method.step = lambda draw: {
            **step(draw),
            **({"loss": float("nan")} if draw.step == 6 else {}),
        }
        return method

    monkeypatch.setattr(loop, "build", poisoned)
    with pytest.raises(MongeError, match="step 7: loss is nan; the last good checkpoint stays"):
        train(recipe("sinkhorn_gan"), folder)
    assert final_state(folder)["step"] == 4


def test_data_and_noise_are_functions_of_seed_and_position() -> None:
    from monge.data import from_array

    source = from_array(
        np.arange(100, dtype=np.float32)[:, None] @ np.ones((1, 2), np.float32), n_held_out=20
    )
    whole = source.batch(seed=3, position=70, n=40)
    parts = torch.cat([source.batch(3, 70, 25), source.batch(3, 95, 15)])
    assert torch.equal(whole, parts)
    halves = torch.cat([source.batch(3, 70, 40, (r, 2)) for r in range(2)])
    assert torch.equal(whole, halves)
    epoch = source.batch(seed=3, position=80, n=80)[:, 0]
    assert len(epoch.unique()) == 80  # each sample once an epoch
    assert not torch.equal(source.batch(3, 0, 80), source.batch(3, 80, 80))
    assert torch.equal(
        StepInputs(source, 0, 5).noise(8, 2),
        torch.cat([StepInputs(source, 0, 5, part=(r, 2)).noise(8, 2) for r in range(2)]),
    )
    assert not torch.equal(StepInputs(source, 0, 5).noise(8), StepInputs(source, 0, 6).noise(8))


def test_streams_of_different_keys_never_meet() -> None:
    from monge.data import rng

    keys = [(0,), (0, 0), (0, 0, 0), (1,), (1, 0), (0, 1), (0, 3, 0, 0), (-1,)]
    assert len({torch.rand(1, generator=rng(*key)).item() for key in keys}) == len(keys)


def test_any_torch_dataset_is_a_source() -> None:
    from torch.utils.data import TensorDataset

    from monge.data import from_dataset

    points = torch.arange(40.0)[:, None].expand(40, 3).contiguous()
    source = from_dataset(TensorDataset(points, torch.zeros(40)))
    assert source.shape == (3,)
    assert source.batch(0, 0, 8).shape == (8, 3)
    trained = set(source.train(100)[:, 0].tolist())
    assert not trained & set(source.held_out(100)[:, 0].tolist())
    with pytest.raises(MongeError, match="has 1 samples"):
        from_dataset(TensorDataset(points[:1]))
