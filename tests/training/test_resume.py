"""Interrupted runs continue bit for bit, and no failure loses a checkpoint."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from monge.data import StepInputs
from monge.errors import MongeError
from monge.training import Interrupted, RunFolder, checkpoint, loop, train
from tests.helpers.runs import METHODS, StopAt, assert_bitwise_equal, final_state, recipe


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", [2, 5, 8])
def test_interrupted_run_equals_uninterrupted_run(
    method: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    sizes: list[int] = []
    data = StepInputs.data

    def spy(inputs: StepInputs, n: int) -> torch.Tensor:
        sizes.append(n)
        return data(inputs, n)

    with monkeypatch.context() as patch:
        patch.setattr(StepInputs, "data", spy)
        train(recipe(method), whole)
    StopAt(monkeypatch, stop)
    with pytest.raises(Interrupted, match=f"step {stop + 1}"):
        train(recipe(method), parts)
    train(recipe(method), parts)
    assert_bitwise_equal(final_state(whole), final_state(parts))
    assert final_state(parts)["position"] == sum(sizes)


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("ot_gan"), folder)
    before = final_state(folder)
    train(recipe("ot_gan"), folder)
    assert_bitwise_equal(before, final_state(folder))
    assert [line["step"] for line in folder.history()] == [4, 8, 12]
    pictures, texts = {"curves.png", "samples.png"}, {"config.yaml", "log.jsonl", "metrics.json"}
    files = {*pictures, *texts, "model.safetensors", "report.html", "checkpoints"}
    assert {p.name for p in folder.path.iterdir()} == files


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
    with pytest.raises(MongeError, match=r"run.seed: 0 there, 1 here.*`fresh=True`"):
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
def test_corrupt_checkpoint_is_reported_and_the_previous_one_is_used(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    train(recipe("ot_gan"), whole)
    train(recipe("ot_gan"), folder)
    newest = folder.checkpoints / "step-00000012.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    contents = {"truncate": bytes(content[:100]), "flip": bytes(content), "empty": b""}
    newest.write_bytes(contents[damage])
    train(recipe("ot_gan"), folder)
    assert "step-00000012.pt is truncated or corrupt" in capsys.readouterr().out
    assert_bitwise_equal(final_state(whole), final_state(folder))
    assert [line["step"] for line in folder.history()] == [4, 8, 12]


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, {"step": step, "x": torch.ones(3)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002.pt", "step-00000003.pt"]
    state, messages = checkpoint.load_latest(tmp_path)
    assert state is not None
    assert state["step"] == 3
    assert not messages


def test_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    train(recipe("ot_gan", steps=4), folder)

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    error = r"the disk is full: .* free some space and run the same command again"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(MongeError, match=error):
            checkpoint.save(folder.checkpoints, 8, {"x": torch.ones(4)})
    assert [p.name for p in folder.checkpoints.iterdir()] == ["step-00000004.pt"]


def test_crash_before_the_rename_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, {"step": 1})

    def crash(*_: Any) -> None:
        raise SystemError

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(SystemError):
        checkpoint.save(tmp_path, 2, {"step": 2})
    state, messages = checkpoint.load_latest(tmp_path)
    assert state == {"step": 1}
    assert not messages


def test_kill_9_loses_no_checkpoint(tmp_path: Path) -> None:
    """A process is killed while it writes; afterwards every checkpoint is valid."""
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
    state, messages = checkpoint.load_latest(tmp_path)
    assert not messages
    assert state is not None
    assert state["step"] >= int((rest or seen)[-1])


def test_scalar_that_is_not_finite_stops_the_run_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    build = loop.build

    def build_with_nan(*args: Any) -> Any:
        method = build(*args)
        step = method.step
        nan = {"loss": float("nan")}
        method.step = lambda inputs: step(inputs) | (nan if inputs.step == 6 else {})
        return method

    monkeypatch.setattr(loop, "build", build_with_nan)
    with pytest.raises(MongeError, match="step 7: loss is nan; the last good checkpoint stays"):
        train(recipe("sinkhorn_gan"), folder)
    assert final_state(folder)["step"] == 4
