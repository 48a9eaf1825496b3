"""Recipes, run folders, checkpoints, training and evaluation."""

from . import checkpoint, loop
from .evaluate import Evaluation, evaluate, evaluate_run, picture_of
from .folder import RunFolder, load_run
from .loop import Training, train
from .recipe import Recipe, build, find, parse, read, recipe_class, shipped, to_yaml
from .runner import Bar, Clock, Interrupted, Runner

# fmt: off
__all__ = [
    "Bar", "Clock", "Evaluation", "Interrupted", "Recipe", "RunFolder", "Runner", "Training",
    "build", "checkpoint", "evaluate", "evaluate_run", "find", "load_run", "loop", "parse",
    "picture_of", "read", "recipe_class", "shipped", "to_yaml", "train",
]
# fmt: on
