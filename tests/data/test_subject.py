"""Samples of a source, and samples of a method on a data set."""

from __future__ import annotations

import torch

from monge.data import StepInputs, load, sample_from, sample_source
from monge.methods import gan
from monge.metrics import EvalConfig
from monge.training.maps import inverse
from tests.helpers.measured import measured
from tests.helpers.subjects import MOONS_TO_MOONS


def test_source_of_data_without_a_source_is_normal_noise() -> None:
    data = load("8gaussians")
    x = StepInputs(data, seed=0, step=0).source(5000)
    assert abs(x.mean()) < 0.05
    assert abs(x.std() - 1) < 0.05
    assert not torch.equal(sample_source(data, 10, 0), sample_source(data, 10, 1))
    assert not torch.equal(sample_source(data, 10, 0), sample_source(data, 10, 0, train=True))


def test_a_generator_on_a_pair_samples_without_the_source() -> None:
    method = gan.build(gan.Config(batch=8, nets={"width": 8}), MOONS_TO_MOONS.shape)
    torch.testing.assert_close(sample_from(method, MOONS_TO_MOONS, 5, seed=1), method.sample(5, 1))
    assert measured(inverse, method, MOONS_TO_MOONS, EvalConfig(samples=50)) == {}
