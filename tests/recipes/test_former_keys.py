"""Keys of version 0.1.0: runs with them load, and recipes, presets and flags name the new keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from monge.cli.train import main
from monge.dance.domains import DanceDomains
from monge.errors import MongeError
from monge.training import RunFolder, parse
from monge.training.recipe import method_module, recipe_methods

# run folders as version 0.1.0 wrote them
RUNS = yaml.safe_load((Path(__file__).parent / "runs_of_0_1_0.yaml").read_text())
NETS = {"net": "nets.kind", "latent": "nets.latent", "width": "nets.width"}
ADAM = {
    "lr": "adam.lr",
    "critic_lr": "adam.critic_lr",
    "beta1": "adam.beta1",
    "beta2": "adam.beta2",
}
GAME = NETS | ADAM | {"critic_width": "nets.critic_width"}
CODES = NETS | {
    "lr": "adam.lr",
    "interpolate": "interpolation.weight",
    "warmup": "interpolation.warmup",
}
CODES |= {"critic_width": "interpolation.critic_width", "critic_lr": "interpolation.critic_lr"}
DENSE = {"lr": "adam.lr"} | {
    name: f"nets.{name}" for name in ("widths", "rank", "strong", "spread")
}
MOVED: dict[str, dict[str, str]] = {
    **dict.fromkeys(("gan", "wgan_gp", "cramer_gan", "ot_gan", "sinkhorn_gan"), GAME),
    "wgan": GAME | {"lr": "rmsprop.lr", "critic_lr": "rmsprop.critic_lr"},
    "semidiscrete": NETS | {"lr": "adam.lr", "beta1": "adam.beta1"},
    **dict.fromkeys(("rae", "acai", "wwae", "sinkhorn_wae"), CODES),
    "wae": CODES | {"critic_lr": "interpolation.critic_lr discriminator.lr"},
    "latent_w2": NETS | {"lr": "adam.lr", "map_lr": "map_adam.lr", "widths": "potentials.widths"},
    **dict.fromkeys(("w2gn", "amortised_w2"), DENSE),
    "w2_cycle": DENSE | {name: f"nets.{name}" for name in ("strides", "head", "grid")},
    "mdot": {},
}


def old_run(name: str, folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.path.mkdir(exist_ok=True)
    run.config.write_text(yaml.safe_dump(RUNS[name]["config"]))
    return run


def at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = getattr(config, part)
    return list(config) if isinstance(config, tuple) else config


def test_every_method_of_0_1_0_has_a_stored_run() -> None:
    assert set(RUNS) == set(MOVED) <= set(recipe_methods())


@pytest.mark.parametrize("name", RUNS)
def test_old_run_keeps_each_value_under_its_new_key(name: str, tmp_path: Path) -> None:
    method = old_run(name, tmp_path).recipe().method
    for key, value in RUNS[name]["config"]["method"].items():
        for path in MOVED[name].get(key, key).split():
            assert at(method, path) == value, (key, path)


@pytest.mark.parametrize("name", RUNS)
def test_weights_of_an_old_run_have_the_current_names_and_shapes(name: str, tmp_path: Path) -> None:
    method = old_run(name, tmp_path).recipe().method
    domains = (DanceDomains(),) if name == "mdot" else ()  # the only ones of 0.1.0
    state = method_module(name).build(method, tuple(RUNS[name]["shape"]), *domains).state_dict()
    weights = sorted(f"{k} {'×'.join(map(str, v.shape))}".strip() for k, v in state.items())
    assert weights == RUNS[name]["weights"]


def test_old_run_continues_and_another_configuration_is_an_error(tmp_path: Path) -> None:
    run = old_run("gan", tmp_path)
    recipe = run.recipe()
    adam = recipe.method.adam.model_copy(update={"lr": 0.5})
    other = recipe.method.model_copy(update={"adam": adam})
    with pytest.raises(
        MongeError, match=r"another configuration \(method\.adam\.lr: 0\.011 there, 0\.5 here\)"
    ):
        run.claim(recipe.model_copy(update={"method": other}))
    run.claim(recipe)
    # the stored configuration now has the new keys
    assert yaml.safe_load(run.config.read_text())["method"]["adam"]["lr"] == 0.011
    run.claim(recipe)


@pytest.mark.parametrize("name", RUNS)
def test_recipe_with_an_old_key_is_an_error_that_names_the_new_key(name: str) -> None:
    flat = RUNS[name]["config"]["method"]
    for key in flat.keys() & MOVED[name].keys():
        now = " and ".join(f"'method.{path}'" for path in sorted(MOVED[name][key].split()))
        with pytest.raises(MongeError) as error:
            parse(
                {"data": {"name": "8gaussians"}, "method": {"name": name, key: flat[key]}},
                "mine.yaml",
            )
        assert str(error.value) == f"mine.yaml: unknown key 'method.{key}': it is now {now}"


def test_preset_or_flag_with_an_old_key_is_an_error_that_names_the_new_key() -> None:
    raw = {
        "data": {"name": "8gaussians"},
        "method": "gan",
        "presets": {"gpu": {"method": {"critic_width": 64}}},
    }
    with pytest.raises(
        MongeError,
        match=re.escape(
            "here, preset 'gpu': unknown key 'method.critic_width': it is now 'method.nets"
        ),
    ):
        parse(raw, "here")
    for flag in ("--method.critic-lr", "--method.critic_lr=0.5"):
        with pytest.raises(
            MongeError,
            match=r"unknown flag --method.critic.lr.*: it is now --method\.adam\.critic_lr$",
        ):
            main(["gan-8gaussians", flag, "0.5"])
    with pytest.raises(MongeError, match=r"unknown key 'method\.loss_'; did you mean 'loss'\?"):
        parse({"data": {"name": "8gaussians"}, "method": {"name": "gan", "loss_": 1}}, "here")


def test_partly_given_part_keeps_the_defaults_of_its_method() -> None:
    config = method_module("wgan_gp").Config(adam={"lr": 0.5})
    adam = {"lr": 0.5, "critic_lr": 1e-4, "beta1": 0.0, "beta2": 0.9}
    assert config.adam.model_dump() == adam
    raw = {"data": {"name": "8gaussians"}}
    with pytest.raises(MongeError, match=r"method\.adam\.beta1 = 1: input should be less than 1"):
        parse({**raw, "method": {"name": "gan", "adam": {"beta1": 1}}}, "here")
    with pytest.raises(
        MongeError,
        match=r"unknown key 'method\.adam\.beta'; did you mean 'beta2'\?|did you mean 'beta1'\?",
    ):
        parse({**raw, "method": {"name": "gan", "adam": {"beta": 1}}}, "here")


@pytest.mark.parametrize("name", ["texture", "texture_generator"])
def test_recipe_of_a_method_without_recipes_is_an_error(name: str) -> None:
    with pytest.raises(MongeError) as error:
        parse({"data": {"name": "digits"}, "method": {"name": name}}, "here")
    reason = method_module(name).NOT_IN_RECIPES
    assert str(error.value) == f"method '{name}' is not trained by a recipe: {reason}"
    assert name not in recipe_methods()
    with pytest.raises(MongeError, match="unknown method 'protocols'"):
        parse({"data": {"name": "digits"}, "method": "protocols"}, "here")


def test_every_method_builds_from_tiny_and_samples_if_it_can() -> None:
    torch.manual_seed(0)
    for name in recipe_methods():
        tiny = method_module(name).TINY
        assert type(tiny)(**tiny.model_dump()) == tiny
        shape = tuple(RUNS[name]["shape"]) if name in RUNS else (2,)
        method = method_module(name).build(tiny, shape)
        if hasattr(method, "sample"):
            assert len(method.sample(2)) == 2
