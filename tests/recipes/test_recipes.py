"""Shipped recipes: they validate, describe themselves, and take two steps on their data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from monge.cli.train import main
from monge.data import load
from monge.errors import MongeError
from monge.metrics import Measured
from monge.metrics.samples import W2
from monge.training import Recipe, RunFolder, find, parse, read, shipped, to_yaml, train

NAMES = [name for name, _ in shipped()]


@pytest.mark.parametrize("name", NAMES)
def test_recipe_validates_and_round_trips(name: str) -> None:
    import yaml

    recipe = read(find(name))
    assert all(
        getattr(recipe.about, field) not in ("", "-", "tbd")
        for field in ("title", "paper", "cost", "expected")
    )
    assert parse(yaml.safe_load(to_yaml(recipe)), name) == recipe.model_copy(update={"presets": {}})


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_a_valid_recipe(name: str) -> None:
    recipe = read(find(name))
    for preset in recipe.presets:
        variant = read(find(name), preset)
        assert variant != recipe
        assert variant.method.name == recipe.method.name
        assert not variant.presets


def shortened(recipe: Recipe) -> Recipe:
    """Return the recipe with two steps and a small batch."""
    changes = {"run": recipe.run.model_copy(update={"steps": 2, "every": 1, "device": "cpu"})}
    if getattr(recipe.method, "batch", 0) > 64:
        changes["method"] = recipe.method.model_copy(update={"batch": 64})
    return recipe.model_copy(update=changes)


@pytest.mark.filterwarnings("default:sinkhorn did not reach")  # the log carries the marginal error
@pytest.mark.parametrize("name", NAMES)
def test_recipe_takes_two_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read(find(name))
    try:
        load(recipe.data.name, size=recipe.data.size)
    except MongeError as error:
        pytest.skip(str(error))
    module = sys.modules["monge.training.evaluate"]  # the package has a function of that name
    # metrics are slow, and other tests check them
    monkeypatch.setattr(module, "_measure", lambda *_: {W2: Measured(1.0, 1.0)})
    monkeypatch.setattr("monge.metrics.has_lenet", lambda _: False)  # else a LeNet is trained
    folder = RunFolder(tmp_path / "run")
    train(shortened(recipe), folder)
    assert [line["step"] for line in folder.history()] == [1, 2]
    assert folder.samples.is_file()


def test_demo_learns_digits(tmp_path: Path) -> None:
    """After a tenth of the demo's steps, W₂² of the samples is less than 1.6 times its floor."""
    recipe = read(find("sinkhorn-gan-digits"))
    run = recipe.run.model_copy(update={"steps": 150, "every": 150})
    metrics = train(recipe.model_copy(update={"run": run}), RunFolder(tmp_path / "run"))
    assert metrics["w2_ratio"] < 1.6


def test_help_text_belongs_to_one_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["w2gn-8gaussians", "--help"]) == 0
    assert capsys.readouterr().out.count("Initial map") == 1
