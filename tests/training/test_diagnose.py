"""Log lines: training time, metrics during training, and warnings of a collapsed game."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from monge import metrics
from monge.data import Dataset, FiniteDataset, from_array, load
from monge.methods.protocols import CriticEstimate
from monge.metrics.lenet import frechet_lenet
from monge.training import RunFolder, loop, runner, train
from monge.training import diagnose as diagnosis
from monge.training.diagnose import find_warnings, logged_warnings
from monge.training.evaluate import evaluators
from tests.helpers.runs import recipe
from tests.helpers.subjects import Fixed, bright_halves, bright_halves_named_mnist

Scalars = Mapping[str, float | Tensor]


def diagnose(method: Any, data: Dataset) -> dict[str, float]:
    return diagnosis.diagnose(method, data, evaluators(data))


class Estimator(Fixed):
    def estimate(self, x: Tensor, y: Tensor) -> Scalars:
        return {
            "w1_estimate": (x.mean() - y.mean()).abs(),
            "w1_exact": float(len(x)),
            "w1_nothing": float("nan"),
            "alike": x.dtype == y.dtype,
        }


def change_scalars(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Scalars], Scalars]
) -> None:
    """Replace the scalars of each step of each method by ``change(inputs, scalars)``."""
    build = loop.build

    def build_changed(*args: Any) -> Any:
        method = build(*args)
        step = method.step
        method.step = lambda inputs: change(inputs, step(inputs))
        return method

    monkeypatch.setattr(loop, "build", build_changed)


def test_clock_counts_training_steps_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 1 s of wall time and 2 s of CPU time, everything else in the loop 1000 s."""
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 2 * now[0])
    monkeypatch.setattr(runner, "time", clock)

    def passes(seconds: float, result: Any) -> Any:
        now[0] += seconds
        return result

    change_scalars(monkeypatch, lambda _, scalars: passes(1, scalars))
    for name in ("diagnose", "draw_pictures", "evaluate_run", "load", "Bar", "logged_warnings"):
        real = getattr(loop, name)
        monkeypatch.setattr(loop, name, lambda *args, real=real: passes(1000, real(*args)))
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan", steps=8), folder)
    train(recipe("sinkhorn_gan", steps=12), folder)
    seconds = [(line["wall_seconds"], line["cpu_seconds"]) for line in folder.history()]
    assert seconds == [(4, 8), (8, 16), (12, 24)]
    assert json.loads(folder.metrics.read_text())["cpu_seconds"] == 24
    assert "gpu_seconds" not in folder.history()[-1]


def test_diagnose_counts_the_modes_of_mixtures() -> None:
    toy = load("8gaussians")
    one = diagnose(Fixed(torch.tensor([[2.0, 0.0]])), toy)
    assert (one["modes"], one["share_within_3_sigma"]) == (1, 1.0)
    assert one["energy_distance"] > 1
    assert diagnose(Fixed(toy.held_out(1000, 1)), toy)["modes"] == 8
    assert set(diagnose(Fixed(torch.zeros(9, 2)), load("moons"))) == {"energy_distance"}


def test_diagnose_counts_no_modes_of_a_file_named_like_a_toy() -> None:
    dataset = from_array(np.random.default_rng(0).normal(size=(50, 5)), "8gaussians")
    assert set(diagnose(Fixed(dataset.train(50)), dataset)) == {"energy_distance"}


def test_diagnose_adds_the_finite_estimates_of_the_method() -> None:
    toy = load("8gaussians")
    method = Estimator(torch.zeros(3, 2, dtype=torch.float64))
    assert isinstance(method, CriticEstimate)
    assert not isinstance(Fixed(torch.zeros(1, 2)), CriticEstimate)
    numbers = diagnose(method, toy)
    assert numbers["w1_exact"] == 512
    assert numbers["alike"]
    assert numbers["w1_estimate"] == pytest.approx(toy.held_out(512).mean().abs().item(), abs=1e-6)
    assert "w1_nothing" not in numbers  # JSON has no NaN


def test_diagnose_measures_frechet_lenet_and_computes_features_of_data_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    dataset = bright_halves_named_mnist()
    sizes: list[int] = []
    held_out = FiniteDataset.held_out

    def spy(dataset: FiniteDataset, n: int, *seed: int) -> Tensor:
        sizes.append(n)
        return held_out(dataset, n, *seed)

    monkeypatch.setattr(FiniteDataset, "held_out", spy)
    frechet_lenet(dataset)
    assert sizes == [10_000]
    real = Fixed(dataset.train(300))
    rng = torch.Generator().manual_seed(0)
    noise = Fixed(torch.rand(300, 1, 28, 28, generator=rng))
    distance = diagnose(real, dataset)["frechet_lenet"]
    assert distance < 1 < diagnose(noise, dataset)["frechet_lenet"]
    assert sizes.count(10_000) == 1
    lenet = metrics.classifier(dataset)
    features, _ = lenet(dataset.held_out(10_000))
    expected = metrics.frechet(lenet(real.sample(2000))[0], features)
    assert distance == pytest.approx(expected, rel=1e-6)
    for other in (load("digits"), load("8gaussians"), bright_halves()):
        assert "frechet_lenet" not in diagnose(Fixed(other.held_out(9)), other)


def test_warnings_have_bounds() -> None:
    assert find_warnings({"critic_spread": 2e-5, "generator_grad": 2e-7, "loss": 0.0}) == []
    assert find_warnings({}) == []
    both = find_warnings({"critic_spread": 9e-6, "generator_grad": 9e-8})
    assert [w.split(",")[0].split(" (")[0] for w in both] == [
        "the critic has collapsed",
        "the critic gives the generator no gradient",
    ]


def test_warnings_in_logs_of_version_0_1_0_are_recognized() -> None:
    old = (
        "the critic has collapsed, its outputs are all equal (critic_spread below 1e-5): lower "
        "method.critic_lr"
    )
    assert list(logged_warnings([{"step": 3, "warning": old}, {"step": 6}]).values()) == [[3]]


def test_collapsed_critic_is_reported_once_and_shown_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def collapse(inputs: Any, scalars: Scalars) -> Scalars:
        spread = 0.5 if inputs.step < 4 else 0.0
        gradient = 1.0 if inputs.step < 8 else 0.0
        return {**scalars, "critic_spread": spread, "generator_grad": gradient}

    change_scalars(monkeypatch, collapse)
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan"), folder)
    out = capsys.readouterr().out
    assert "step 8: the critic has collapsed" in out
    assert "step 12: the critic gives the generator no gradient" in out
    assert out.count("the critic has collapsed") == out.count("no gradient") == 1
    warnings = [line.get("warning", "") for line in folder.history()]
    assert ["collapsed" in w for w in warnings] == [False, True, True]
    assert ["no gradient" in w for w in warnings] == [False, False, True]

    evaluation = train(recipe("sinkhorn_gan", steps=16), folder)
    assert capsys.readouterr().out == ""  # reported in the earlier session already
    assert [w.split(":")[0] for w in evaluation["warnings"]] == [
        "from step 8, in 3 of 4 log lines",
        "from step 12, in 2 of 4 log lines",
    ]
    text = evaluation.summary()
    assert "warning: from step 8, in 3 of 4 log lines: the critic has collapsed" in text
    page = folder.report.read_text()
    assert page.index('<p class="warning">from step 8') < page.index("<table>")
    assert json.loads(folder.metrics.read_text())["warnings"] == evaluation["warnings"]


def test_a_run_without_collapse_has_no_warning(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    evaluation = train(recipe("sinkhorn_gan"), folder)
    assert "warnings" not in evaluation
    assert "warning" not in evaluation.summary()
    assert not any("warning" in line for line in folder.history())
    assert '<p class="warning">' not in folder.report.read_text()
