"""What a log line says: the clock of training alone, figures over time, warnings when the game has
ended.
"""

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

from monge import metrics, plots
from monge.data import Dataset, FiniteDataset, from_array, load
from monge.methods.protocols import CriticEstimate
from monge.metrics.lenet import frechet_lenet
from monge.training import RunFolder, loop, runner, train
from monge.training import diagnose as diagnosis
from monge.training.diagnose import alarms, raised
from monge.training.evaluate import evaluators
from tests.metrics.test_metrics import tiny_pictures
from tests.training.test_resume import recipe

Scalars = Mapping[str, float | Tensor]


def diagnose(method: Any, data: Dataset) -> dict[str, float]:
    return diagnosis.diagnose(method, data, evaluators(data))


class Fixed:
    """A method that always samples the same points."""

    def __init__(self, samples: Tensor) -> None:
        self.samples = samples

    def sample(self, n: int, seed: int = 0) -> Tensor:
        return self.samples[torch.arange(n) % len(self.samples)]


class Estimator(Fixed):
    def estimate(self, x: Tensor, y: Tensor) -> Scalars:
        return {
            "w1_estimate": (x.mean() - y.mean()).abs(),
            "w1_exact": float(len(x)),
            "w1_nothing": float("nan"),
            "alike": x.dtype == y.dtype,
        }


def with_step(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Scalars], Scalars]) -> None:
    """Let every method that is built pass what its step returns through ``change(draw, scalars)``."""
    build = loop.build

    def built(*args: Any) -> Any:
        method = build(*args)
        step = method.step
        method.step = lambda draw: change(draw, step(draw))
        return method

    monkeypatch.setattr(loop, "build", built)


def test_the_clock_counts_training_steps_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 1 s on the wall and 2 s of CPU, everything else that the loop does 1000 s."""
    now = [0.0]
    monkeypatch.setattr(
        runner,
        "time",
        SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 2 * now[0]),
    )

    def passes(seconds: float, result: Any) -> Any:
        now[0] += seconds
        return result

    with_step(monkeypatch, lambda _, scalars: passes(1, scalars))
    for name in ("diagnose", "draw_pictures", "evaluate_run", "load", "Bar", "raised"):
        real = getattr(loop, name)
        monkeypatch.setattr(loop, name, lambda *args, real=real: passes(1000, real(*args)))
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan", steps=8), folder)
    train(recipe("sinkhorn_gan", steps=12), folder)
    assert [(line["wall_seconds"], line["cpu_seconds"]) for line in folder.history()] == [
        (4, 8),
        (8, 16),
        (12, 24),
    ]
    assert json.loads(folder.metrics.read_text())["cpu_seconds"] == 24
    assert "gpu_seconds" not in folder.history()[-1]


def test_gpu_seconds_wait_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of a step is done when the device says so, 3 s after the step has returned."""
    now = [0.0]
    monkeypatch.setattr(
        runner, "time", SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 0.0)
    )
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: now.__setitem__(0, max(now[0], 3.0)))
    clock = runner.Clock("cuda")
    clock.start()
    clock.add({"wall_seconds": 1.0, "cpu_seconds": 1.0, "gpu_seconds": 1.0})
    now[0] = 2.0
    clock._since = dict.fromkeys(clock._since, 0.0)  # the device was idle when the steps began
    with clock.paused():
        now[0] = 50.0
    assert clock.read() == {"wall_seconds": 4.0, "cpu_seconds": 1.0, "gpu_seconds": 4.0}


def test_diagnose_counts_the_modes_of_mixtures() -> None:
    toy = load("8gaussians")
    one = diagnose(Fixed(torch.tensor([[2.0, 0.0]])), toy)
    assert (one["modes"], one["share_within_3_sigma"]) == (1, 1.0)
    assert one["energy_distance"] > 1
    assert diagnose(Fixed(toy.held_out(1000, 1)), toy)["modes"] == 8
    assert set(diagnose(Fixed(torch.zeros(9, 2)), load("moons"))) == {"energy_distance"}


def test_a_file_that_is_named_like_a_toy_is_not_one() -> None:
    source = from_array(np.random.default_rng(0).normal(size=(50, 5)), "8gaussians")
    assert set(diagnose(Fixed(source.train(50)), source)) == {"energy_distance"}


def test_diagnose_adds_what_the_method_estimates() -> None:
    toy = load("8gaussians")
    method = Estimator(torch.zeros(3, 2, dtype=torch.float64))
    assert isinstance(method, CriticEstimate)
    assert not isinstance(Fixed(torch.zeros(1, 2)), CriticEstimate)
    found = diagnose(method, toy)
    assert found["w1_exact"] == 512
    assert found["alike"]
    assert found["w1_estimate"] == pytest.approx(toy.held_out(512).mean().abs().item(), abs=1e-6)
    assert "w1_nothing" not in found  # JSON has no NaN


def named_mnist(n: int = 400, labels: Tensor | None = None) -> FiniteDataset:
    halves = tiny_pictures(n)
    pictures, found = halves.labeled("train")
    return from_array(
        pictures,
        "mnist",
        n_held_out=100,
        labels=found if labels is None else labels[: len(pictures)],
    )


def test_frechet_lenet_over_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    source = named_mnist()
    seen: list[int] = []
    held_out = FiniteDataset.held_out
    monkeypatch.setattr(
        FiniteDataset, "held_out", lambda *args: (seen.append(args[1]), held_out(*args))[1]
    )
    frechet_lenet(source)
    assert seen == [10_000]
    data = diagnose(Fixed(source.train(300)), source)
    noise = diagnose(
        Fixed(torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0))), source
    )
    assert data["frechet_lenet"] < 1 < noise["frechet_lenet"]
    assert seen.count(10_000) == 1  # the data's features are computed once
    lenet = metrics.classifier(source)
    expected = metrics.frechet(
        lenet(Fixed(source.train(300)).sample(2000))[0], lenet(source.held_out(10_000))[0]
    )
    assert data["frechet_lenet"] == pytest.approx(expected, rel=1e-6)
    for other in (load("digits"), load("8gaussians"), tiny_pictures()):
        assert "frechet_lenet" not in diagnose(Fixed(other.held_out(9)), other)


def test_alarms_have_bounds() -> None:
    assert alarms({"critic_spread": 2e-5, "generator_grad": 2e-7, "loss": 0.0}) == []
    assert alarms({}) == []
    both = alarms({"critic_spread": 9e-6, "generator_grad": 9e-8})
    assert [w.split(",")[0].split(" (")[0] for w in both] == [
        "the critic has collapsed",
        "the critic gives the generator no gradient",
    ]


def test_an_alarm_in_the_words_of_0_1_0_is_found() -> None:
    old = (
        "the critic has collapsed, its outputs are all equal (critic_spread below 1e-5): lower "
        "method.critic_lr"
    )
    assert list(raised([{"step": 3, "warning": old}, {"step": 6}]).values()) == [[3]]


def test_a_collapsed_critic_is_told_once_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def collapsing(draw: Any, scalars: Scalars) -> Scalars:
        return {
            **scalars,
            "critic_spread": 0.5 if draw.step < 4 else 0.0,
            "generator_grad": 1.0 if draw.step < 8 else 0.0,
        }

    with_step(monkeypatch, collapsing)
    folder = RunFolder(tmp_path / "run")
    train(recipe("sinkhorn_gan"), folder)
    out = capsys.readouterr().out
    assert (
        out.count("step 8: the critic has collapsed") == out.count("the critic has collapsed") == 1
    )
    assert (
        out.count("step 12: the critic gives the generator no gradient")
        == out.count("no gradient")
        == 1
    )
    warnings = [line.get("warning", "") for line in folder.history()]
    assert ["collapsed" in w for w in warnings] == [False, True, True]
    assert ["no gradient" in w for w in warnings] == [False, False, True]

    found = train(recipe("sinkhorn_gan", steps=16), folder)  # another sitting: nothing new to tell
    assert capsys.readouterr().out == ""
    assert [w.split(":")[0] for w in found["warnings"]] == [
        "from step 8, in 3 of 4 log lines",
        "from step 12, in 2 of 4 log lines",
    ]
    assert "warning: from step 8, in 3 of 4 log lines: the critic has collapsed" in found.summary()
    page = folder.report.read_text()
    assert page.index('<p class="warning">from step 8') < page.index("<table>")
    assert json.loads(folder.metrics.read_text())["warnings"] == found["warnings"]


def test_a_healthy_run_has_no_warning(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    found = train(recipe("sinkhorn_gan"), folder)
    assert "warnings" not in found
    assert "warning" not in found.summary()
    assert not any("warning" in line for line in folder.history())
    assert '<p class="warning">' not in folder.report.read_text()


def test_curves_draw_numbers_and_pair_estimates() -> None:
    history: list[dict[str, Any]] = [
        {
            "step": 1,
            "loss": "text",
            "gone": 2.0,
            "w1_estimate": 0.1,
            "w1_exact": 0.4,
            "warning": "x",
            "cpu_seconds": 1.0,
        },
        {
            "step": 2,
            "loss": 1.0,
            "gone": 2.0,
            "note": 3.0,
            "w1_exact": 0.3,
            "warning": "x",
            "gpu_seconds": 1.0,
        },
        {
            "step": 3,
            "loss": 0.5,
            "note": "text",
            "w1_estimate": 0.2,
            "w1_exact": 0.3,
            "warning": "x",
            "gpu_seconds": 1.0,
        },
    ]
    figure = plots.curves(history)
    panels = {axis.get_title(loc="left"): axis for axis in figure.axes if axis.get_visible()}
    assert set(panels) == {"loss", "w1 estimate"}
    assert [list(line.get_xdata()) for line in panels["w1 estimate"].lines] == [[1, 2, 3], [1, 3]]
    assert list(panels["loss"].lines[0].get_ydata()) == [1.0, 0.5]
    assert plots.to_png(plots.curves([{"step": 1, "warning": "x"}]))
