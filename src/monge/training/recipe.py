"""Recipes: YAML files with the configuration of data, method and run, validated by pydantic."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
import yaml
from pydantic import BaseModel, Field, ValidationError, create_model

from monge.config import Frozen, renamed
from monge.data import Dataset
from monge.errors import MongeError, nearest
from monge.metrics import EvalConfig

UNCHANGED = "cpu"  # the preset that every recipe has, without changes


class About(Frozen):
    """The description that `monge ls` prints."""

    title: str = "a run of your own"
    paper: str = "-"
    cost: str = "-"
    expected: str = "-"


class DataConfig(Frozen):
    """The data set."""

    name: str
    """Data set, .npy/.npz file, or folder of pictures."""
    root: str | None = None
    """Folder of the data sets; default: $MONGE_DATA."""
    size: int | None = Field(None, ge=4, le=4096)
    """Resize the pictures of a folder to this size."""


class RunConfig(Frozen):
    """Length, place and hardware of a run."""

    out: str | None = None
    """Run folder; default: runs/RECIPE, or runs/RECIPE-PRESET."""
    steps: int = Field(1000, ge=1)
    """Training steps in all."""
    every: int = Field(200, ge=1)
    """Steps between two checkpoints, log lines and sample pictures."""
    seed: int = Field(0, ge=0)
    """Seed of weights, data order and noise."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type of networks and data."""
    threads: int | None = Field(None, ge=1)
    """CPU threads; default: torch's choice.

    Small networks run fastest with 1, in particular on a busy machine.
    """
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""


class Recipe(Frozen):
    """The configuration of an experiment.

    ``method`` is the configuration of one module in `monge.methods`. ``presets`` maps names to
    changes of the other keys, such as ``{gpu: {method: {batch: 512}, run: {steps: 50000}}}``. A run
    has the changes of its preset applied and stores no presets.
    """

    about: About = About()
    data: DataConfig
    method: Any
    run: RunConfig = RunConfig()
    eval: EvalConfig = EvalConfig()
    presets: dict[str, dict[str, Any]] = Field(default_factory=dict)


def method_names() -> list[str]:
    """Return the names of the modules in `monge.methods`, without importing them."""
    folder = resources.files("monge") / "methods"
    return [m.name for m in pkgutil.iter_modules([str(folder)]) if m.name != "protocols"]


def method_module(name: str) -> ModuleType:
    """Import and return the module of a method. MongeError for an unknown name."""
    if name not in method_names():
        raise MongeError(f"unknown method '{name}'{nearest(name, recipe_methods())}")
    return importlib.import_module(f"monge.methods.{name}")


def recipe_methods() -> list[str]:
    """Return the names of the methods that a recipe can train.

    The other modules define ``NOT_IN_RECIPES``, the reason why not.
    """
    return [name for name in method_names() if not hasattr(method_module(name), "NOT_IN_RECIPES")]


def shipped() -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each recipe in the package."""
    folder = Path(str(resources.files("monge") / "recipes"))
    for path in sorted(folder.glob("*.yaml")):
        yield path.stem, path


def find(name: str) -> Path:
    """Return the file of a recipe, given by the name of a shipped recipe or by its path."""
    recipes = dict(shipped())
    if name in recipes:
        return recipes[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    raise MongeError(f"unknown recipe '{name}'{nearest(name, recipes)} ('monge ls' lists them)")


def read(path: Path, preset: str | None = None) -> Recipe:
    """Read and validate a recipe file, with the changes of a preset; ``cpu`` has no changes."""
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise MongeError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    recipe = parse(raw, str(path))
    if preset in (None, UNCHANGED):
        return recipe
    if preset not in recipe.presets:
        raise MongeError(
            f"unknown preset '{preset}' of recipe '{path.stem}'"
            f"{nearest(preset, (UNCHANGED, *recipe.presets))}"
        )
    return _apply_preset(recipe, preset, str(path))


def parse(raw: Any, where: str) -> Recipe:
    """Validate the content of a recipe and of all its presets; ``where`` names it in errors."""
    recipe = _validate(raw, where)
    for name in recipe.presets:
        _apply_preset(recipe, name, where)
    return recipe


def _validate(raw: Any, where: str) -> Recipe:
    if not isinstance(raw, Mapping):
        raise MongeError(f"{where} must be a mapping with the keys data, method, run, eval")
    raw = dict(raw)
    method = raw.get("method")
    if isinstance(method, str):
        method = {"name": method}
    if not isinstance(method, Mapping) or "name" not in method:
        raise MongeError(
            f"{where} names no method: add 'method: {{name: ...}}'{nearest('', recipe_methods())}"
        )
    raw["method"] = method
    model = recipe_class(str(method["name"]))
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise MongeError(f"{where}: {explain(error, model)}") from error


def _apply_preset(recipe: Recipe, name: str, where: str) -> Recipe:
    changes = recipe.presets[name]
    if name == UNCHANGED:
        raise MongeError(
            f"{where}: preset '{name}' always means the unchanged recipe: choose another name"
        )
    if "presets" in changes:
        raise MongeError(f"{where}, preset '{name}': unknown key 'presets', presets do not nest")
    return _validate(merge(dump(recipe), changes), f"{where}, preset '{name}'")


def merge(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree of mappings with changed leaves.

    >>> merge({"run": {"steps": 5, "seed": 0}}, {"run": {"steps": 9}})
    {'run': {'steps': 9, 'seed': 0}}
    """
    merged = dict(tree)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(tree.get(key), Mapping)
        merged[key] = merge(tree[key], value) if nested else value
    return merged


@cache
def recipe_class(method: str) -> type[Recipe]:
    """Return the `Recipe` model with the configuration of a method as ``method``."""
    module = method_module(method)
    if reason := getattr(module, "NOT_IN_RECIPES", None):
        raise MongeError(f"method '{method}' is not trained by a recipe: {reason}")
    return create_model("Recipe", __base__=Recipe, method=(module.Config, ...))


def translate_keys(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a config.yaml with keys of version 0.1.0 replaced by current ones.

    >>> translate_keys({"method": {"name": "gan", "batch": 64, "lr": 0.1}})
    {'method': {'name': 'gan', 'batch': 64, 'adam': {'lr': 0.1}}}
    """
    method = raw.get("method")
    if not isinstance(method, Mapping) or "name" not in method:
        return dict(raw)
    model, translated = method_module(str(method["name"])).Config, dict[str, Any]()
    for key, value in method.items():
        for path in renamed(model, key) or (key,):
            part, _, inner = path.rpartition(".")
            translated = merge(translated, {part: {inner: value}} if part else {inner: value})
    return {**raw, "method": translated}


def current_keys(model: type[BaseModel], key: str) -> tuple[str, ...]:
    """Return the current names of a dotted key of version 0.1.0; empty for other keys.

    >>> current_keys(recipe_class("gan"), "method.lr")
    ('method.adam.lr',)
    """
    *path, last = key.split(".")
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ()
        model = inner
    return tuple(".".join([*path, new]) for new in renamed(model, last))


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe the first error of a validation, and what to do about it, in one line."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        if now := current_keys(model, key):
            return f"unknown key '{key}': it is now {' and '.join(map(repr, now))}"
        parent: Any = model
        for part in first["loc"][:-1]:
            parent = parent.model_fields[str(part)].annotation
        return f"unknown key '{key}'{nearest(str(first['loc'][-1]), parent.model_fields)}"
    if first["type"] == "missing":
        return f"'{key}' is missing"
    return f"{key} = {first['input']!r}: {first['msg'].lower()}"


def dump(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain values for YAML, without its presets."""
    return recipe.model_dump(mode="json", exclude={"presets"})


def to_yaml(recipe: Recipe) -> str:
    """Return a recipe as YAML, without its presets."""
    return yaml.safe_dump(dump(recipe), sort_keys=False, allow_unicode=True)


def build(recipe: Recipe, dataset: Dataset, device: torch.device | str = "cpu") -> Any:
    """Build the method of a recipe, with weights initialized from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed)
        try:
            module = method_module(recipe.method.name)
            # defined by methods that need more of the data than its shape
            if build_for := getattr(module, "build_for", None):
                method = build_for(recipe.method, dataset)
            else:
                method = module.build(recipe.method, dataset.shape)
        except ValueError as error:  # the networks do not fit the data
            raise MongeError(f"data '{dataset.name}': {error}") from error
    return method.to(device, getattr(torch, recipe.run.dtype))
