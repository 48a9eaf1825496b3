"""Training with two processes, started by torchrun, equals training with one, in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from monge.training import RunFolder, train
from tests.helpers.ranks import train_on_two
from tests.helpers.runs import METHODS, final_state, recipe

# a shift of all features changes no distance: its gradient is rounding noise
WITHOUT_GRADIENT = {("cramer_gan", "critic.layers.5.bias")}


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_equal_one_process(method: str, tmp_path: Path) -> None:
    one = RunFolder(tmp_path / "one")
    job = recipe(method, steps=20, every=20, dtype="float64")
    train(job, one)
    two = train_on_two(job, tmp_path)
    ours, theirs = final_state(one)["method"], final_state(two)["method"]
    for name, weight in ours.items():
        if weight.is_floating_point() and (method, name) not in WITHOUT_GRADIENT:
            difference = (weight - theirs[name]).norm()
            assert difference <= 1e-9 * weight.norm(), (name, difference)
            assert weight.dtype == torch.float64
    configs = [yaml.safe_load(folder.config.read_text())["method"] for folder in (one, two)]
    assert configs[0] == configs[1]
