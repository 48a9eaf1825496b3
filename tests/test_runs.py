"""`monge.train` and `monge.load`, and that they share their run folders with the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import monge
from monge.data import StepInputs, from_array, iterate, load
from monge.methods import sinkhorn_gan
from monge.training import Interrupted, RunFolder
from tests.helpers.commands import monge as command
from tests.helpers.runs import StopAt, assert_bitwise_equal, final_state

TINY: dict[str, Any] = {
    "steps": 12,
    "every": 4,
    "batch": 16,
    "nets": {"width": 8},
    "eval": {"samples": 64},
}


def points(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(100, 2)).astype(np.float32)


def small(out: Path, **settings: Any) -> monge.Run:
    return monge.train("sinkhorn_gan", "8gaussians", out=out, **TINY | settings)


def test_train_returns_model_data_metrics_and_files(tmp_path: Path) -> None:
    run = small(tmp_path / "a")
    assert run.model.sample(5).shape == run.sample(5).shape == (5, 2)
    torch.testing.assert_close(run.sample(5, seed=1), run.model.sample(5, 1))
    assert run.data.name == "8gaussians"
    assert run.metrics["w2_squared"].ratio == pytest.approx(
        run.metrics["w2_squared"].value / run.metrics["w2_squared"].floor
    )
    assert run.report.is_file()
    assert run.picture.read_bytes() == run._repr_png_()
    assert [line["step"] for line in run.history] == [4, 8, 12]
    assert run.config.method.batch == 16
    assert repr(run) == f"Run('{tmp_path / 'a'}', sinkhorn_gan on 8gaussians, 12 steps)"
    again = monge.load(tmp_path / "a")
    assert again.metrics == run.metrics
    assert_bitwise_equal(again.model.state_dict(), run.model.state_dict())


@pytest.mark.parametrize("first", ["python", "command"])
def test_python_and_the_command_line_continue_each_other(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def python(out: Path) -> None:
        small(out)

    def commands(out: Path) -> None:
        file = tmp_path / "recipe.yaml"
        whole = yaml.safe_load((tmp_path / "whole" / "config.yaml").read_text())
        file.write_text(yaml.safe_dump(whole))
        if command("train", file, "--run.out", out) >= 128:
            raise Interrupted(2, 0)

    python(tmp_path / "whole")
    begin, finish = (python, commands) if first == "python" else (commands, python)
    StopAt(monkeypatch, 5)
    with pytest.raises(Interrupted):
        begin(tmp_path / "parts")
    finish(tmp_path / "parts")
    whole, parts = (RunFolder(tmp_path / name) for name in ("whole", "parts"))
    assert_bitwise_equal(final_state(whole), final_state(parts))


def test_a_recipe_is_trained_with_settings_over_its_own(tmp_path: Path) -> None:
    run = monge.train("sinkhorn-gan-8gaussians", out=tmp_path / "a", **TINY)
    assert run.config.about.title != "a run of your own"
    assert (run.config.run.steps, run.config.method.nets.width) == (12, 8)
    assert run.config.method.nets.latent == 2  # the recipe's, which is not named here


def test_default_folder_is_that_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert monge.train("gan-8gaussians", **TINY).folder == Path("runs/gan-8gaussians")
    assert monge.train("ot_gan", "moons", **TINY).folder == Path("runs/ot-gan-moons")


def test_an_array_is_stored_in_the_run_folder(tmp_path: Path) -> None:
    out = tmp_path / "a"
    run = monge.train("sinkhorn_gan", points(), out=out, **TINY)
    assert run.data.shape == (2,)
    (stored,) = out.glob("data-*.npy")
    np.testing.assert_array_equal(np.load(stored), points())
    # the command line continues it; a tensor with the same numbers is the same data
    assert command("resume", out) == 0
    monge.train("sinkhorn_gan", torch.from_numpy(points()), out=out, **TINY)
    with pytest.raises(monge.MongeError, match=r"another configuration \(data.name"):
        monge.train("sinkhorn_gan", points(1), out=out, **TINY)
    other = monge.train("sinkhorn_gan", points(1), out=out, fresh=True, **TINY)
    assert other.data.name != run.data.name


def test_data_set_objects_are_passed_again(tmp_path: Path) -> None:
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(points()))
    for data in (from_array(points(), "mine"), pairs):
        out = tmp_path / type(data).__name__
        run = monge.train("sinkhorn_gan", data, out=out, **TINY)
        assert monge.load(out, data=data).metrics == run.metrics
        with pytest.raises(monge.MongeError, match="no data set, file or folder"):
            monge.load(out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "sinkhorn_gn"}, "unknown method or recipe 'sinkhorn_gn'; did you mean 'sink"),
        ({"method": "sinkhorn-gan-digit"}, "did you mean 'sinkhorn-gan-digits'?"),
        ({"data": "8gausians"}, "'8gausians'; did you mean '8gaussians'?"),
        ({"data": None}, "data is missing: 'sinkhorn_gan' is a method"),
        ({"data": np.array([["a", "b"]])}, "data must be numbers, got an array of <U1"),
        ({"data": np.zeros(3)}, "expected at least 2 samples"),
        ({"stepz": 3}, "unknown setting 'stepz'; did you mean 'steps'?"),
        ({"epsilom": 3}, "unknown setting 'epsilom'; did you mean 'epsilon'?"),
        ({"lr": 0.1}, "unknown setting 'lr': its name is 'adam.lr'"),
        ({"steps": 0}, "run.steps = 0: input should be greater than or equal to 1"),
        ({"nets": {"widht": 3}}, "unknown key 'method.nets.widht'; did you mean 'width'?"),
        ({"preset": "gpu"}, "preset 'gpu' needs a recipe, and 'sinkhorn_gan' is a method"),
        ({"method": "gan-8gaussians", "preset": "gqu"}, "unknown preset 'gqu'"),
        ({"method": "texture"}, "method 'texture' is not trained by a recipe"),
    ],
)
def test_wrong_arguments_name_the_nearest_and_leave_no_folder(
    arguments: dict[str, Any], said: str, tmp_path: Path
) -> None:
    given = {"method": "sinkhorn_gan", "data": "8gaussians", "out": tmp_path / "a"} | arguments
    with pytest.raises(monge.MongeError) as error:
        monge.train(**given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_a_folder_with_another_configuration_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "a")
    with pytest.raises(monge.MongeError, match=r"method\.batch: 16 there, 32 here"):
        small(tmp_path / "a", batch=32)
    assert small(tmp_path / "a", steps=14).history[-1]["step"] == 14


def test_load_refuses_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(monge.MongeError, match="is not a run folder"):
        monge.load(tmp_path)


def test_a_loop_of_ones_own_equals_train(tmp_path: Path) -> None:
    run = small(tmp_path / "a")
    data = load("8gaussians")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = sinkhorn_gan.Config(batch=16, nets={"width": 8})
        method = sinkhorn_gan.build(config, data.shape)
    for inputs in iterate(data, steps=12):
        method.step(inputs)
    assert_bitwise_equal(method.state_dict(), run.model.state_dict())


def test_iterate_begins_where_the_last_step_ended() -> None:
    data = from_array(points(), "mine")
    batches = [inputs.data(20) for inputs in iterate(data, steps=4, seed=5)]
    assert len(torch.cat(batches).unique(dim=0)) == 80  # an epoch has no sample twice
    torch.testing.assert_close(batches[1], StepInputs(data, 5, 1, position=20).data(20))
    assert [inputs.progress for inputs in iterate(data, steps=4)] == [0, 0.25, 0.5, 0.75]
