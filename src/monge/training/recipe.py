"""Recipes: a YAML file that names a data set, a method and the run, read into closed pydantic
models, and the method it makes.
"""

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

AS_IT_IS = "cpu"  # the preset that every recipe has, which changes nothing


class About(Frozen):
    """What `monge ls` prints."""

    title: str = "a run of your own"
    paper: str = "-"
    cost: str = "-"
    expected: str = "-"


class DataConfig(Frozen):
    """Where samples come from."""

    name: str
    """Data set, .npy/.npz file, or folder of pictures."""
    root: str | None = None
    """Folder of the data sets; default: $MONGE_DATA."""
    size: int | None = Field(None, ge=4, le=4096)
    """Resize the pictures of a folder to this size."""


class RunConfig(Frozen):
    """How long, how often, where."""

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

    Small networks run fastest with 1, most of all on a busy machine.
    """
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""


class Recipe(Frozen):
    """A whole experiment. ``method`` is the configuration class of one module in `monge.methods`.

    ``presets`` maps a name to changes of the other keys, e.g. ``{gpu: {method: {batch: 512}, run:
    {steps: 50000}}}``. They belong to the recipe's file: a run has the changes in place and stores
    no presets.
    """

    about: About = About()
    data: DataConfig
    method: Any
    run: RunConfig = RunConfig()
    eval: EvalConfig = EvalConfig()
    presets: dict[str, dict[str, Any]] = Field(default_factory=dict)


def method_names() -> list[str]:
    """Names of the modules in `monge.methods`, found without importing them."""
    folder = resources.files("monge") / "methods"
    return [m.name for m in pkgutil.iter_modules([str(folder)]) if m.name != "protocols"]


def method_module(name: str) -> ModuleType:
    """Import the module of a method."""
    if name not in method_names():
        raise MongeError(f"unknown method '{name}'{nearest(name, recipe_methods())}")
    return importlib.import_module(f"monge.methods.{name}")


def recipe_methods() -> list[str]:
    """Names of the methods that a recipe can name: those whose module does not say
    ``NOT_IN_RECIPES``, and why.
    """
    return [name for name in method_names() if not hasattr(method_module(name), "NOT_IN_RECIPES")]


def shipped() -> Iterator[tuple[str, Path]]:
    """Name and path of every recipe in the package."""
    folder = Path(str(resources.files("monge") / "recipes"))
    for path in sorted(folder.glob("*.yaml")):
        yield path.stem, path


def find(name: str) -> Path:
    """Return the file of a shipped recipe, or of a recipe given by path."""
    recipes = dict(shipped())
    if name in recipes:
        return recipes[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    raise MongeError(f"unknown recipe '{name}'{nearest(name, recipes)} ('monge ls' lists them)")


def read(path: Path, preset: str | None = None) -> Recipe:
    """Read and validate a recipe file, with the changes of one of its presets; ``cpu`` is the file
    as it is.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise MongeError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    recipe = parse(raw, str(path))
    if preset in (None, AS_IT_IS):
        return recipe
    if preset not in recipe.presets:
        raise MongeError(
            f"unknown preset '{preset}' of recipe "
            f"'{path.stem}'{nearest(preset, (AS_IT_IS, *recipe.presets))}"
        )
    return _with_preset(recipe, preset, str(path))


def parse(raw: Any, where: str) -> Recipe:
    """Validate the content of a recipe, every preset included; ``where`` names it in errors."""
    recipe = _validated(raw, where)
    for name in recipe.presets:
        _with_preset(recipe, name, where)
    return recipe


def _validated(raw: Any, where: str) -> Recipe:
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


def _with_preset(recipe: Recipe, name: str, where: str) -> Recipe:
    changes = recipe.presets[name]
    if name == AS_IT_IS:
        raise MongeError(
            f"{where}: preset '{name}' always means the recipe as it is: choose another name"
        )
    if "presets" in changes:
        raise MongeError(f"{where}, preset '{name}': unknown key 'presets', a preset holds none")
    return _validated(merged(dump(recipe), changes), f"{where}, preset '{name}'")


def merged(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes over a tree of mappings, leaf by leaf.

    >>> merged({"run": {"steps": 5, "seed": 0}}, {"run": {"steps": 9}})
    {'run': {'steps': 9, 'seed': 0}}
    """
    both = {
        k for k, v in changes.items() if isinstance(v, Mapping) and isinstance(tree.get(k), Mapping)
    }
    return {**tree, **{k: merged(tree[k], v) if k in both else v for k, v in changes.items()}}


@cache
def recipe_class(method: str) -> type[Recipe]:
    """The `Recipe` model whose ``method`` is that method's configuration."""
    module = method_module(method)
    if reason := getattr(module, "NOT_IN_RECIPES", None):
        raise MongeError(f"method '{method}' is not trained by a recipe: {reason}")
    return create_model("Recipe", __base__=Recipe, method=(module.Config, ...))


def translated(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a config.yaml with the keys that version 0.1.0 wrote under their present
    names.

    >>> translated({"method": {"name": "gan", "batch": 64, "lr": 0.1}})
    {'method': {'name': 'gan', 'batch': 64, 'adam': {'lr': 0.1}}}
    """
    method = raw.get("method")
    if not isinstance(method, Mapping) or "name" not in method:
        return dict(raw)
    model, found = method_module(str(method["name"])).Config, dict[str, Any]()
    for key, value in method.items():
        for path in renamed(model, key) or (key,):
            part, _, inner = path.rpartition(".")
            found = merged(found, {part: {inner: value}} if part else {inner: value})
    return {**raw, "method": found}


def current(model: type[BaseModel], key: str) -> tuple[str, ...]:
    """What a dotted key of version 0.1.0 is called now; nothing for one that it did not have.

    >>> current(recipe_class("gan"), "method.lr")
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
    """Say in one line what the first problem is and what to do about it."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        if now := current(model, key):
            return f"unknown key '{key}': it is now {' and '.join(map(repr, now))}"
        parent: Any = model
        for part in first["loc"][:-1]:
            parent = parent.model_fields[str(part)].annotation
        return f"unknown key '{key}'{nearest(str(first['loc'][-1]), parent.model_fields)}"
    if first["type"] == "missing":
        return f"'{key}' is missing"
    return f"{key} = {first['input']!r}: {first['msg'].lower()}"


def dump(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, ready for YAML; without its presets, which are no part of a run."""
    return recipe.model_dump(mode="json", exclude={"presets"})


def to_yaml(recipe: Recipe) -> str:
    return yaml.safe_dump(dump(recipe), sort_keys=False, allow_unicode=True)


def build(recipe: Recipe, dataset: Dataset, device: torch.device | str = "cpu") -> Any:
    """Make the method that a recipe names, with weights from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed)
        try:
            module = method_module(recipe.method.name)
            # of a method that needs more of the data than its shape
            build_for = getattr(module, "build_for", None)
            method = (
                build_for(recipe.method, dataset)
                if build_for
                else module.build(recipe.method, dataset.shape)
            )
        except ValueError as error:  # networks that do not fit the data say which do
            raise MongeError(f"data '{dataset.name}': {error}") from error
    return method.to(device, getattr(torch, recipe.run.dtype))
