"""Two processes equal one, in float64, through torchrun as a user starts it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from monge.training import RunFolder, train
from tests.helpers.ranks import train_on_two
from tests.training.test_resume import METHODS, final_state, recipe

# a shift of all features moves no distance: its gradient is rounding noise
UNFELT = {("cramer_gan", "critic.layers.5.bias")}


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_equal_one_process(method: str, tmp_path: Path) -> None:
    one = RunFolder(tmp_path / "one")
    job = recipe(method, steps=20, every=20, dtype="float64")
    train(job, one)
    two = train_on_two(job, tmp_path)
    ours, theirs = final_state(one)["method"], final_state(two)["method"]
    for name, weight in ours.items():
        if weight.is_floating_point() and (method, name) not in UNFELT:
            gap = (weight - theirs[name]).norm()
            assert gap <= 1e-9 * weight.norm(), (name, gap)
            assert weight.dtype == torch.float64
    assert (
        yaml.safe_load(two.config.read_text())["method"]
        == yaml.safe_load(one.config.read_text())["method"]
    )


def test_a_batch_that_does_not_divide_is_refused() -> None:
    from monge.data import own_slice
    from monge.errors import MongeError

    with pytest.raises(MongeError, match="a global batch of 9 does not divide over 2 processes"):
        own_slice(9, (0, 2))
