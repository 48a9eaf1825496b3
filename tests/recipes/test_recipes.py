"""Every shipped recipe validates, says what it is, and takes two steps on its own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from monge.data import data_root
from monge.engine import RunFolder, find, parse, read, shipped, to_yaml, train

NAMES = [name for name, _ in shipped()]


@pytest.mark.parametrize("name", NAMES)
def test_recipe_validates_and_round_trips(name: str) -> None:
    import yaml

    recipe = read(find(name))
    assert all(getattr(recipe.about, field) not in ("", "-", "tbd") for field in ("title", "paper", "cost", "expected"))
    assert parse(yaml.safe_load(to_yaml(recipe)), name) == recipe


@pytest.mark.filterwarnings("default:sinkhorn did not reach")  # the log carries the marginal error
@pytest.mark.parametrize("name", NAMES)
def test_recipe_takes_two_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read(find(name))
    if recipe.data.name == "mnist" and not (data_root() / "mnist").is_dir():
        pytest.skip("MNIST is not on this machine: run 'monge data get mnist' or set MONGE_DATA")
    monkeypatch.setattr("monge.engine.measure.evaluate", lambda *_: {"w2_ratio": 1.0})  # measured elsewhere; slow for MNIST
    run = recipe.run.model_copy(update={"steps": 2, "every": 1})
    folder = RunFolder(tmp_path / "run")
    train(recipe.model_copy(update={"run": run}), folder)
    assert [line["step"] for line in folder.history()] == [1, 2]
    assert folder.samples.is_file()


def test_the_demo_learns_digits(tmp_path: Path) -> None:
    """A real training, shortened: in a tenth of the demo's steps the samples come close to the floor."""
    recipe = read(find("sinkhorn-gan-digits"))
    run = recipe.run.model_copy(update={"steps": 150, "every": 150})
    metrics = train(recipe.model_copy(update={"run": run}), RunFolder(tmp_path / "run"))
    assert metrics["w2_ratio"] < 1.6
