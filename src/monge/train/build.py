"""From a recipe to its method, fresh or as a run has trained it."""

from __future__ import annotations

from typing import Any

import torch

from monge.data import Source, load
from monge.errors import MongeError

from .folder import RunFolder
from .recipe import Recipe, method_module


def build(recipe: Recipe, source: Source, device: torch.device | str = "cpu") -> Any:
    """Make the method that a recipe names, with weights from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed)
        try:
            module = method_module(recipe.method.name)
            build_for = getattr(module, "build_for", None)  # of a method that needs more of the data than its shape
            method = build_for(recipe.method, source) if build_for else module.build(recipe.method, source.shape)
        except ValueError as error:  # networks that do not fit the data say which do
            raise MongeError(f"data '{source.name}': {error}") from error
    return method.to(device, getattr(torch, recipe.run.dtype))


def load_run(folder: RunFolder) -> tuple[Any, Source]:
    """Build the method of a run with its trained weights, and its data."""
    recipe = folder.recipe()
    data = load(recipe.data.name, recipe.data.root, recipe.data.size)
    method = build(recipe, data)
    try:
        method.load_state_dict(folder.load_weights())
    except RuntimeError as error:
        raise MongeError(f"{folder.weights} does not fit the networks of {folder.config}: train again with --fresh") from error
    return method, data
