"""The data, source samples and noise of a training step."""

from __future__ import annotations

import pytest
import torch

from monge.data import StepInputs, from_array, load
from tests.helpers.subjects import MOONS_TO_MOONS


def test_data_and_source_are_independent_and_reproducible() -> None:
    inputs = StepInputs(MOONS_TO_MOONS, seed=3, step=7, position=70)
    x, y = inputs.source(10), inputs.data(10)
    assert inputs.position == 80
    assert not torch.equal(x, y)
    again = StepInputs(MOONS_TO_MOONS, seed=3, step=7, position=70)
    torch.testing.assert_close(again.data(10), y)
    torch.testing.assert_close(again.source(10), x)
    assert not torch.equal(again.source(10), x)
    assert not torch.equal(MOONS_TO_MOONS.source_held_out(10), MOONS_TO_MOONS.held_out(10))
    assert not torch.equal(MOONS_TO_MOONS.source_train(10), MOONS_TO_MOONS.source_held_out(10))


def test_two_processes_receive_the_rows_of_one() -> None:
    whole = StepInputs(MOONS_TO_MOONS, seed=0, step=0).data(8)
    parts = [StepInputs(MOONS_TO_MOONS, seed=0, step=0, part=(rank, 2)).data(8) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_uniform_is_a_function_of_seed_step_and_call() -> None:
    dataset = load("8gaussians")
    one = StepInputs(dataset, seed=3, step=5)
    first, second = one.uniform(4000, 2), one.uniform(4000, 2)
    assert 0 <= first.min() < 0.01 < 0.99 < first.max() < 1
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    assert not torch.equal(first, second)
    ranks = [StepInputs(dataset, seed=3, step=5, part=(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat([r.uniform(4000, 2) for r in ranks]), first)
    other = StepInputs(dataset, seed=3, step=5)
    assert other.noise(4).shape == (4,)
    # the second call of the step, whatever the first was
    assert torch.equal(other.uniform(4000, 2), second)
    assert not torch.equal(StepInputs(dataset, seed=3, step=6).uniform(4000, 2), first)


def test_noise_is_a_function_of_seed_and_step() -> None:
    dataset = from_array(torch.arange(20.0)[:, None].expand(20, 2))
    whole = StepInputs(dataset, 0, 5).noise(8, 2)
    parts = [StepInputs(dataset, 0, 5, part=(rank, 2)).noise(8, 2) for rank in range(2)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(StepInputs(dataset, 0, 5).noise(8), StepInputs(dataset, 0, 6).noise(8))
