"""Small runs of every method, and comparison of their checkpoints."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data import StepInputs
from monge.training import Recipe, RunFolder, find, parse, read, train
from monge.training.recipe import method_module, recipe_methods
from tests.helpers.dances import write_dances

METHODS = recipe_methods()
_TEMPORARY = tempfile.TemporaryDirectory()
_FOLDER = Path(_TEMPORARY.name)


def _dances() -> dict[str, Any]:
    folder = _FOLDER / "dances"
    return {"name": str(folder if folder.is_dir() else write_dances(folder)), "size": 8}


def _pictures() -> dict[str, Any]:
    """Two collections with twelve pictures of 16×16 pixels in each part."""
    folder = _FOLDER / "pictures"
    for k, part in enumerate(("trainA", "trainB", "testA", "testB")):
        (folder / part).mkdir(parents=True, exist_ok=True)
        pictures = np.random.default_rng(k).integers(0, 255, (12, 16, 16, 3), np.uint8)
        for i, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(folder / part / f"{i}.png")
    return {"name": str(folder)}


PAIRED = {"mdot": _dances, "w2_cycle": _pictures}  # methods that move given samples


def recipe(method: str, **run: Any) -> Recipe:
    """Return a recipe with a method in its smallest configuration; ``run`` are keys of the run."""
    tree = {
        "data": PAIRED[method]() if method in PAIRED else {"name": "8gaussians"},
        "method": method_module(method).TINY.model_dump(),
        "run": {"steps": 12, "every": 4, **run},
        "eval": {"samples": 64},
    }
    return parse(tree, "test")


def train_two_seeds(root: Path) -> Path:
    """Train two seeds of one recipe into the folders root/0 and root/1."""
    shipped = read(find("sinkhorn-gan-8gaussians"))
    narrow = shipped.method.nets.model_copy(update={"width": 8})
    method = shipped.method.model_copy(update={"batch": 16, "nets": narrow})
    evaluation = shipped.eval.model_copy(update={"samples": 64, "draws": 1})
    for seed in (0, 1):
        folder = root / str(seed)
        keys = {"steps": 4, "every": 2, "seed": seed, "out": str(folder)}
        run = shipped.run.model_copy(update=keys)
        changes = {"run": run, "method": method, "eval": evaluation}
        train(shipped.model_copy(update=changes), RunFolder(folder))
    return root


def copy_with_change(run: Path, copy: Path, old: str, new: str) -> Path:
    """Copy a run folder, and replace a text in its configuration."""
    shutil.copytree(run, copy)
    config = (copy / "config.yaml").read_text()
    assert old in config
    (copy / "config.yaml").write_text(config.replace(old, new))
    return copy


def final_state(folder: RunFolder) -> dict[str, Any]:
    """Return the newest checkpoint of a run."""
    state, _ = folder.torch_state()
    assert state is not None
    return state


def assert_bitwise_equal(a: Any, b: Any, where: str = "") -> None:
    """Compare two checkpoints, except for their clocks."""
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
    """Sends this process SIGINT during a given step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        original = StepInputs.__init__

        def init(inputs: StepInputs, dataset: Any, seed: int, at: int, **options: Any) -> None:
            original(inputs, dataset, seed, at, **options)
            if at == step:
                monkeypatch.setattr(StepInputs, "__init__", original)
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(StepInputs, "__init__", init)
